"""Translating the weights of other GPTs: pure functions from state dict to state dict of ours.

And drawing those that igpt-memory begins with.

Facts of the layouts (read in karpathy/minGPT, eminorhan/vqgan-gpt, eminorhan/igpt-memory and songweige/TATS): all three
are minGPT, with separate queries, keys and values, and a buffer `attn.mask` that only repeats that attention is causal;
they become the legacy variant. The Image GPT of transformers (read in huggingface/transformers 4.57) has a variant of
its own here: queries, keys and values are one matrix, and matrices are stored as (in, out).
Nothing is passed over in silence: a name or shape that does not belong stops the translation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gpt.config import GPTConfig
from storage.model_paths import CheckpointError
from vqgan.foreign.convert import MARKS

# Where a checkpoint of TATS keeps the GPT, and what else it holds: its tokenizers, and what they were trained with.
TATS_GPT = "transformer."
TATS_OTHERS = ("first_stage_model.", "cond_stage_model.", "loss.")


MINGPT_KINDS = "try --kind vqgan-gpt, or igpt for a model of pixels"
LIKELY = {
    "tats": ". They look like those of TATS: try --kind tats",
    "imagegpt": ". They look like an Image GPT of transformers: try --kind imagegpt",
    "gpt2": ". They look like a GPT-2 of transformers, of which only the Image GPT of pixels can be imported",
    "mingpt": ". They are close to one: the file may be cut short, or come from a changed program",
}
"""What weights of a layout look like, as the end of a sentence."""

# Where a checkpoint of transformers keeps its Image GPT, but for the head.
IMAGEGPT = "transformer."
IMAGEGPT_BLOCK = r"transformer\.h\.(\d+)\."

Layout = Literal["mingpt", "tats", "imagegpt", "gpt2"]


def layout_of(names: Iterable[str]) -> Layout | None:
    """Return which layout the names of weights are of; None where it is none of a known GPT."""
    names = set(names)
    if any(name.startswith(f"{TATS_GPT}blocks.") for name in names):
        return "tats"
    if any(name.endswith("h.0.attn.c_attn.weight") for name in names):
        return "gpt2" if any(name.endswith("h.0.ln_1.bias") for name in names) else "imagegpt"
    return "mingpt" if any(name.startswith("blocks.0.ln1.") for name in names) else None


def convert_mingpt(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Translate a minGPT, as vqgan-gpt and igpt save it, into a legacy GPT without a BOS token.

    Args:
        state: its state dict, of any floating-point type.

    Returns:
        float32 weights; the embedding has a row per token, the positions one fewer than the window.

    Raises:
        CheckpointError: a name is missing or too many, a shape is not that of a minGPT, or attention is not causal.
    """
    weights = _checked(state)
    converted = {
        "embedding.weight": weights["tok_emb.weight"],
        "positions.table.weight": weights["pos_emb"][0],
        "norm.weight": weights["ln_f.weight"],
        "norm.bias": weights["ln_f.bias"],
        "head.weight": weights["head.weight"],
    }
    for block in range(_layers(weights)):
        converted |= _converted_block(weights, f"blocks.{block}.")
    return converted


def draw_mingpt(config: GPTConfig, seed: int) -> dict[str, Tensor]:
    """Draw the weights of a new minGPT, as igpt-memory begins with them under a seed.

    All matrices and embeddings are normal with a deviation of 0.02, positions and biases zero. The layers of torch
    draw weights of their own when they are made, before those; that is done here too, so that the generator stands
    where it stands there.

    Args:
        config: of a legacy GPT without a BOS token; its grid and vocabulary are those of the tokens.
        seed: of torch's generator, which is left where the drawing ends.

    Returns:
        the state dict of that minGPT, for `convert_mingpt`.
    """
    torch.manual_seed(seed)
    width = config.width
    parts = {f"attn.{part}": (width, width) for part in ("key", "query", "value", "proj")}
    parts |= {"mlp.0": (width, 4 * width), "mlp.2": (4 * width, width)}
    layers: dict[str, nn.Embedding | nn.Linear] = {"tok_emb": nn.Embedding(config.vocab_size, width)}
    for block in range(config.layers):
        layers |= {f"blocks.{block}.{name}": nn.Linear(*shape) for name, shape in parts.items()}
    layers["head"] = nn.Linear(width, config.vocab_size, bias=False)
    state = {"pos_emb": torch.zeros(1, config.window - 1, width)}
    for name, layer in layers.items():
        state[f"{name}.weight"] = nn.init.normal_(layer.weight.detach(), std=0.02)
        if isinstance(layer, nn.Linear) and name != "head":
            state[f"{name}.bias"] = torch.zeros(layer.out_features)
    norms = ["ln_f", *(f"blocks.{block}.{norm}" for block in range(config.layers) for norm in ("ln1", "ln2"))]
    state |= {f"{norm}.weight": torch.ones(width) for norm in norms}
    return state | {f"{norm}.bias": torch.zeros(width) for norm in norms}


def convert_imagegpt(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Translate an Image GPT of transformers (ImageGPTForCausalImageModeling) into a GPT of the variant `imagegpt`.

    Its last token begins every sequence and is never predicted, as our BOS token.

    Args:
        state: its state dict, of any floating-point type; buffers that only repeat that attention is causal are left
            out.

    Returns:
        float32 weights; the embedding has a row more than the head, the positions are as many as the window.

    Raises:
        CheckpointError: a name is missing or too many, a shape is not that of an Image GPT, or attention is not causal.
    """
    masks = {name: value for name, value in state.items() if name.endswith(".attn.bias")}
    kept = {name: value for name, value in state.items() if name not in masks and not name.endswith(".masked_bias")}
    faults = _faults(kept, _imagegpt_shapes(kept)) + _mask_faults(masks)
    if faults:
        headless = ". It is a model without a head: take one for causal image modelling"
        cause = headless if "lm_head.weight" not in state else _likely_cause(state)
        raise _not_weights_of("an Image GPT", faults, cause)
    weights = {name: value.float() for name, value in kept.items()}
    renamed = {"embedding": f"{IMAGEGPT}wte", "positions.table": f"{IMAGEGPT}wpe", "norm": f"{IMAGEGPT}ln_f"}
    converted = {f"{ours}.weight": weights[f"{theirs}.weight"] for ours, theirs in renamed.items()}
    converted["head.weight"] = weights["lm_head.weight"]
    matrices = {"attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj"}
    matrices |= {"feed_forward.hidden": "mlp.c_fc", "feed_forward.out": "mlp.c_proj"}
    for block in range(_layers(weights, IMAGEGPT_BLOCK)):
        theirs = f"{IMAGEGPT}h.{block}."
        for ours, name in {"attention_norm": "ln_1", "feed_forward_norm": "ln_2"}.items():
            converted[f"blocks.{block}.{ours}.weight"] = weights[f"{theirs}{name}.weight"]
        for ours, name in matrices.items():
            converted[f"blocks.{block}.{ours}.weight"] = weights[f"{theirs}{name}.weight"].T.contiguous()
            converted[f"blocks.{block}.{ours}.bias"] = weights[f"{theirs}{name}.bias"]
    return converted


def convert_tats(state: Mapping[str, Any], codes: int, condition: int = 0) -> dict[str, Tensor]:
    """Translate the transformer of TATS into a legacy GPT with a BOS token.

    Its vocabulary is K condition ids (none in an unconditional model), then the codes. A clip begins with the id of its
    class, or with id 0 in an unconditional model: the row of code 0 doing double duty. That row becomes the row of our
    BOS token, the last one; the rows of the codes move down to 0. The head's rows of the condition ids are left out, so
    the probability that the model gave to them is shared among the codes.

    `vtokens_pos_emb` adds a position to each position of a grid of latents. If that grid is the whole window the sum
    with `pos_emb` is what is kept; if clips were cropped from a larger grid there is no one sum, and it is refused.

    Args:
        state: its state dict, in which the GPT is `transformer.*`; the tokenizers and losses beside it are left out.
        codes: how many codes its tokenizer has.
        condition: class of every clip.

    Returns:
        float32 weights; the embedding has codes + 1 rows, the positions are as many as the window.

    Raises:
        CheckpointError: as in `convert_mingpt`, or there are fewer tokens than codes, no such class, or positions that
            depend on where a clip was cropped.
    """
    plain = {
        name.removeprefix(TATS_GPT) if name.startswith(TATS_GPT) else f"not of the transformer: {name}": value
        for name, value in state.items()
        if not name.startswith(TATS_OTHERS)
    }
    if not any(name.startswith(TATS_GPT) for name in state):
        mingpt = f". They look like a minGPT: {MINGPT_KINDS}"
        cause = mingpt if layout_of(state) == "mingpt" else _likely_cause(state)
        raise CheckpointError(f"no weight is called {TATS_GPT}*, as those of TATS are{cause}")
    if layout_of(state) in ("imagegpt", "gpt2"):
        raise CheckpointError(f"these are not the weights of TATS{_likely_cause(state)}")
    extra_positions = plain.pop("vtokens_pos_emb", None)
    converted = convert_mingpt(plain)
    if extra_positions is not None:
        table = converted["positions.table.weight"]
        converted["positions.table.weight"] = table + _folded(extra_positions, *table.shape)
    embedding = converted["embedding.weight"]
    head = converted["head.weight"]
    conditions = len(embedding) - codes
    if conditions < 0:
        raise CheckpointError(f"the checkpoint has {len(embedding)} tokens, fewer than the tokenizer's {codes} codes")
    if condition >= max(conditions, 1):
        raise CheckpointError(
            f"--condition {condition} is none of the {conditions} that the GPT was trained with: choose one of 0 to "
            f"{max(conditions, 1) - 1}"
        )
    converted["embedding.weight"] = torch.cat([embedding[conditions:], embedding[condition : condition + 1]])
    converted["head.weight"] = head[conditions:]
    return converted


def _converted_block(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    kinds = ("weight", "bias")
    renamed = {
        "attention_norm": "ln1",
        "attention.out": "attn.proj",
        "feed_forward_norm": "ln2",
        "feed_forward.hidden": "mlp.0",
        "feed_forward.out": "mlp.2",
    }
    converted = {
        f"{ours}.{kind}": weights[f"{prefix}{theirs}.{kind}"] for ours, theirs in renamed.items() for kind in kinds
    }
    for kind in kinds:
        parts = [weights[f"{prefix}attn.{part}.{kind}"] for part in ("query", "key", "value")]
        converted[f"attention.qkv.{kind}"] = torch.cat(parts)
    return {prefix + name: weight for name, weight in converted.items()}


def _checked(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a minGPT in float32, without its masks, after checking that they are all and nothing else.

    Raises:
        CheckpointError: they are not; the first ten faults are named.
    """
    masks = {name: value for name, value in state.items() if name.endswith(".attn.mask")}
    weights = {name: value for name, value in state.items() if name not in masks}
    expected = _expected_shapes(state)
    faults = _faults(weights, expected) + _mask_faults(masks)
    if faults:
        raise _not_weights_of("a minGPT", faults, _likely_cause(state))
    return {name: weights[name].float() for name in expected}


def _faults(weights: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return in what weights are not those of the expected names and shapes."""
    faults = [f"{name} is missing" for name in expected if name not in weights]
    faults += [f"{name} does not belong to it" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        value = weights[name]
        if not isinstance(value, Tensor) or not value.is_floating_point():
            faults.append(f"{name} is no tensor of floating-point numbers")
        elif tuple(value.shape) != expected[name]:
            faults.append(f"{name} has shape {tuple(value.shape)}, not {expected[name]}")
    return faults


def _mask_faults(masks: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is not causal, and only models that read from the first token to the last can be imported"
        for name, mask in masks.items()
        if not _is_causal(mask)
    ]


def _not_weights_of(what: str, faults: list[str], cause: str) -> CheckpointError:
    more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
    return CheckpointError(f"these are not the weights of {what}: {'; '.join(faults[:10])}{more}{cause}")


def _imagegpt_shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the Image GPT whose sizes `wte`, `wpe` and the numbered blocks tell."""
    tables = [state.get(f"{IMAGEGPT}{name}.weight") for name in ("wte", "wpe")]
    sizes = [tuple(table.shape) for table in tables if isinstance(table, Tensor) and table.ndim == 2]
    if len(sizes) < 2:
        raise CheckpointError(
            f"there are no matrices {IMAGEGPT}wte.weight and {IMAGEGPT}wpe.weight, as every Image GPT has"
            f"{_likely_cause(state)}"
        )
    (vocabulary, width), (positions, _) = sizes
    shapes: dict[str, tuple[int, ...]] = {
        f"{IMAGEGPT}wte.weight": (vocabulary, width),
        f"{IMAGEGPT}wpe.weight": (positions, width),
        f"{IMAGEGPT}ln_f.weight": (width,),
        "lm_head.weight": (vocabulary - 1, width),
    }
    matrices = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
    matrices |= {"mlp.c_fc": (width, 4 * width), "mlp.c_proj": (4 * width, width)}
    for block in range(_layers(state, IMAGEGPT_BLOCK)):
        shapes |= {f"{IMAGEGPT}h.{block}.{norm}.weight": (width,) for norm in ("ln_1", "ln_2")}
        for name, shape in matrices.items():
            shapes |= {f"{IMAGEGPT}h.{block}.{name}.weight": shape, f"{IMAGEGPT}h.{block}.{name}.bias": shape[1:]}
    return shapes


def _expected_shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the minGPT whose sizes `tok_emb`, `pos_emb` and the numbered blocks tell."""
    embedding = state.get("tok_emb.weight")
    positions = state.get("pos_emb")
    if not isinstance(embedding, Tensor) or embedding.ndim != 2:
        raise CheckpointError(f"there is no matrix tok_emb.weight, as every minGPT has{_likely_cause(state)}")
    if not isinstance(positions, Tensor) or positions.ndim != 3:
        raise CheckpointError(f"there is no pos_emb of three axes, as every minGPT has{_likely_cause(state)}")
    vocabulary, width = embedding.shape
    shapes: dict[str, tuple[int, ...]] = {
        "tok_emb.weight": (vocabulary, width),
        "pos_emb": (1, positions.shape[1], width),
        "ln_f.weight": (width,),
        "ln_f.bias": (width,),
        "head.weight": (vocabulary, width),
    }
    matrices = {f"attn.{part}": (width, width) for part in ("query", "key", "value", "proj")}
    matrices |= {"mlp.0": (4 * width, width), "mlp.2": (width, 4 * width)}
    for block in range(_layers(state)):
        shapes |= {f"blocks.{block}.{norm}.{kind}": (width,) for norm in ("ln1", "ln2") for kind in ("weight", "bias")}
        for name, shape in matrices.items():
            shapes |= {f"blocks.{block}.{name}.weight": shape, f"blocks.{block}.{name}.bias": shape[:1]}
    return shapes


def _layers(names: Collection[str], block: str = r"blocks\.(\d+)\.") -> int:
    """Return how many blocks the names tell, which begin as the pattern `block` says.

    Raises:
        CheckpointError: a block has a number that is larger than all of them are together.
    """
    numbers = [found[1] for name in names if (found := re.match(block, name))]
    if any(len(number) > 9 or int(number) >= len(names) for number in numbers):
        raise CheckpointError(
            f"there is a block {max(numbers, key=len)[:20]} among {len(names)} weights: a damaged name"
        )
    return max((int(number) + 1 for number in numbers), default=1)


def _is_causal(mask: Any) -> bool:
    if not isinstance(mask, Tensor) or mask.ndim != 4:
        return False
    seen = mask[0, 0] != 0
    return torch.equal(seen, torch.ones_like(seen).tril())


def _folded(extra: Any, positions: int, width: int) -> Tensor:
    """Return positions (T, H, W) as a table of the window's positions, if they are that.

    Raises:
        CheckpointError: they are not.
    """
    shape = tuple(extra.shape) if isinstance(extra, Tensor) else None
    if shape is None or len(shape) != 5 or shape[0] != 1 or shape[4] != width:
        raise CheckpointError(f"{TATS_GPT}vtokens_pos_emb has shape {shape}, not (1, T, H, W, {width})")
    if shape[1] * shape[2] * shape[3] != positions:
        raise CheckpointError(
            f"{TATS_GPT}vtokens_pos_emb holds positions of {shape[1]}x{shape[2]}x{shape[3]} latents, of which every "
            f"clip of {positions} saw the part that it was cropped from: there is no one table of positions to import"
        )
    return extra.float().reshape(positions, width)


def _likely_cause(names: Iterable[str]) -> str:
    """Return, as the end of a sentence, what the names of the weights look like."""
    names = list(names)
    layout = layout_of(names)
    if layout is not None:
        return LIKELY[layout]
    for kind, mark in MARKS.items():
        if any(name.startswith((mark, f"first_stage_model.{mark}")) for name in names):
            return f". They look like a tokenizer: try secondsight vqgan import --kind {kind}"
    if any(name.startswith(("encoder.", "decoder.", "codebook.", "quantize.")) for name in names):
        return ". They look like a tokenizer: try secondsight vqgan import"
    if "embedding.weight" in names and "head.weight" in names:
        return ". They look like a GPT of Secondsight, which needs no import"
    return f". The checkpoint holds {', '.join(names[:10]) or 'no weights'}"
