"""Translating the weights of other GPTs: pure functions from state dict to state dict of the legacy variant.

And drawing those that igpt-memory begins with.

Facts of the layouts (read in karpathy/minGPT, eminorhan/vqgan-gpt, eminorhan/igpt-memory and songweige/TATS): all three
are minGPT, with separate queries, keys and values, and a buffer `attn.mask` that only repeats that attention is causal.
Nothing is passed over in silence: a name or shape that does not belong stops the translation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gpt.config import GPTConfig
from storage.model_folder import CheckpointError

# Where a checkpoint of TATS keeps the GPT, and what else it holds: its tokenizers, and what they were trained with.
TATS_GPT = "transformer."
TATS_OTHERS = ("first_stage_model.", "cond_stage_model.", "loss.")


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


def convert_tats(state: Mapping[str, Any], codes: int) -> dict[str, Tensor]:
    """Translate the transformer of TATS into a legacy GPT with a BOS token.

    Its vocabulary is K condition ids (none in an unconditional model), then the codes. A clip begins with id 0: a
    BOS token of its own where there are conditions, else the row of code 0 doing double duty. That row becomes the
    row of our BOS token, the last one; the rows of the codes move down to 0. The head's rows of the condition ids
    are left out, so the probability that the model gave to them is shared among the codes.

    `vtokens_pos_emb` adds a position to each position of a grid of latents. If that grid is the whole window the sum
    with `pos_emb` is what is kept; if clips were cropped from a larger grid there is no one sum, and it is refused.

    Args:
        state: its state dict, in which the GPT is `transformer.*`; the tokenizers and losses beside it are left out.
        codes: how many codes its tokenizer has.

    Returns:
        float32 weights; the embedding has codes + 1 rows, the positions are as many as the window.

    Raises:
        CheckpointError: as in `convert_mingpt`, or there are fewer tokens than codes, or positions that depend on
            where a clip was cropped.
    """
    plain = {
        name.removeprefix(TATS_GPT) if name.startswith(TATS_GPT) else f"not of the transformer: {name}": value
        for name, value in state.items()
        if not name.startswith(TATS_OTHERS)
    }
    if not any(name.startswith(TATS_GPT) for name in state):
        mingpt = ". They look like a minGPT: try --kind vqgan-gpt, or igpt for a model of pixels"
        cause = mingpt if "blocks.0.ln1.weight" in state else _likely_cause(state)
        raise CheckpointError(f"no weight is called {TATS_GPT}*, as those of TATS are{cause}")
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
    converted["embedding.weight"] = torch.cat([embedding[conditions:], embedding[:1]])
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
    faults = [f"{name} is missing" for name in expected if name not in weights]
    faults += [f"{name} does not belong to it" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        value = weights[name]
        if not isinstance(value, Tensor) or not value.is_floating_point():
            faults.append(f"{name} is no tensor of floating-point numbers")
        elif tuple(value.shape) != expected[name]:
            faults.append(f"{name} has shape {tuple(value.shape)}, not {expected[name]}")
    faults += [
        f"{name} is not causal, and only models that read from the first token to the last can be imported"
        for name, mask in masks.items()
        if not _is_causal(mask)
    ]
    if faults:
        more = f"; and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise CheckpointError(
            f"these are not the weights of a minGPT: {'; '.join(faults[:10])}{more}{_likely_cause(state)}"
        )
    return {name: weights[name].float() for name in expected}


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


def _layers(names: Collection[str]) -> int:
    """Return how many blocks the names tell.

    Raises:
        CheckpointError: a block has a number that is larger than all of them are together.
    """
    numbers = [found[1] for name in names if (found := re.match(r"blocks\.(\d+)\.", name))]
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
    if any(name.startswith(f"{TATS_GPT}blocks.") for name in names):
        return ". They look like those of TATS: try --kind tats"
    if "blocks.0.ln1.weight" in names:
        return ". They are close to one: the file may be cut short, or come from a changed program"
    if any(name.startswith(("encoder.", "decoder.", "codebook.", "quantize.")) for name in names):
        return ". They look like a tokenizer: try secondsight vqgan import"
    if "embedding.weight" in names and "head.weight" in names:
        return ". They look like a GPT of Secondsight, which needs no import"
    return f". The checkpoint holds {', '.join(names[:10]) or 'no weights'}"
