"""Import GPTs that other programs trained: their checkpoints become model folders of our own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt.config import GPTConfig
from gpt.convert import LIKELY, MINGPT_KINDS, Layout, convert_imagegpt, convert_mingpt, convert_tats, layout_of
from gpt.model import GPT
from gpt.options import PREPROCESSOR, ImportOptions
from storage.checked_files import RefusedFileError, read_json, shortly
from storage.foreign.checkpoint import (
    Settings,
    check_weights,
    read_foreign,
    say_converted,
    settings_of,
    without_wrappers,
)
from storage.hub_names import TOKENIZER
from storage.lock import FolderLock
from storage.model_paths import CheckpointError
from storage.terminal import visible
from storage.unfinished import MODEL_WITH_TOKENIZER, adding, check_no_model
from training.progress import say_done
from vqgan.model import load_tokenizer
from vqgan.palette import Palette
from vqgan.tokenizer import Tokenizer

LAYOUTS: dict[str, Layout] = {"vqgan-gpt": "mingpt", "igpt": "mingpt", "imagegpt": "imagegpt", "tats": "tats"}
"""Layout of the weights of each kind."""

IMAGEGPT_SETTINGS = {
    "model_type": "imagegpt",
    "activation_function": "quick_gelu",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
"""What the config.json of an Image GPT says, if anything, of what its weights do not show."""

IMAGEGPT_HEADS = {512: 8, 1024: 8, 1536: 16}
"""Attention heads of the published Image GPTs by width: imagegpt-small, -medium and -large."""

DRAWN = 32
"""Tokens that are drawn to measure what a head without the rows of classes changes."""


def import_weights(options: ImportOptions) -> Path:
    """Write the GPT of a foreign checkpoint as a model folder, and print what it is and what had to be assumed.

    The palette of an igpt or imagegpt checkpoint goes into `out/tokenizer`.

    Returns:
        the folder, for `GPT.from_pretrained`.

    Raises:
        CheckpointError: the file is damaged or unsafe, holds other weights, or does not belong to the tokenizer.
        FileExistsError: `--out` holds a model.
        FolderLockError: another process is writing into `--out`.
    """
    with FolderLock(options.out):
        check_no_model(options.out)
        model, palette = _convert(options)
        with adding(options.out, MODEL_WITH_TOKENIZER) as folder:
            if palette is not None:
                palette.save_pretrained(folder / TOKENIZER)
            model.save_pretrained(folder)
    print(visible(_describe(model, options)))
    tokenizer_folder = options.out / TOKENIZER if palette is not None else options.tokenizer or "TOKENIZER"
    inputs = "VIDEOS" if model.config.grid[0] > 1 else "IMAGES --prompt half-image"
    say_done(
        options.out,
        *("secondsight complete --gpt", options.out, "--tokenizer", tokenizer_folder),
        f"--input {inputs} --out COMPLETIONS",
    )
    return options.out


def _convert(options: ImportOptions) -> tuple[GPT, Palette | None]:
    """Return the GPT of a foreign checkpoint, and the palette that it brings along."""
    content = read_foreign(options.weights)
    _check_kind(content, options)
    state = _state(content, options.weights)
    _check_layout(state, options)
    tokenizer = load_tokenizer(options.tokenizer) if options.tokenizer else None
    settings = _imagegpt_settings(options.weights) if options.kind == "imagegpt" else _settings(content)
    conditions = 0
    if options.kind == "tats":
        assert tokenizer is not None, "the options ask for it"
        conditions = _tats_conditions(settings, state, tokenizer)
        if options.condition is not None and not conditions:
            raise CheckpointError(
                f"--condition {options.condition} is none of {options.weights}, which was trained without: leave it out"
            )
        weights = convert_tats(state, tokenizer.vocab_size, options.condition or 0)
    else:
        weights = convert_imagegpt(state) if options.kind == "imagegpt" else convert_mingpt(state)
    say_converted(state)
    has_bos = options.kind in ("tats", "imagegpt")
    window = len(weights["positions.table.weight"]) + (not has_bos)
    palette = _palette_of(content, options, len(weights["head.weight"]), window)
    tokenizer = palette or tokenizer
    if options.kind == "imagegpt":
        _check_agreement(settings, weights, options.weights.parent / "config.json")
    heads = _heads(settings, options, width=weights["embedding.weight"].shape[1])
    config = replace(
        _config(weights, heads, window, has_bos, tokenizer),
        variant="imagegpt" if options.kind == "imagegpt" else "legacy",
        condition=(options.condition or 0) if conditions else None,
    )
    model = GPT.with_weights(config, weights, options.weights).eval()
    if conditions:
        _say_conditions(model, state["transformer.head.weight"][:conditions].float(), options)
    return model, palette


def _check_kind(content: Mapping[str, Any], options: ImportOptions) -> None:
    """Tell apart checkpoints whose weights have the same names.

    Raises:
        CheckpointError: the checkpoint is of another kind, or a tokenizer was given beside the palette that it brings.
    """
    layout = layout_of(_state(content, options.weights))
    if options.kind == "igpt" and "clusters" not in content and layout in (None, "mingpt"):
        raise CheckpointError(
            f"{options.weights} has no entry clusters, the colours of igpt's pixels: "
            "try --kind vqgan-gpt, or tats for clips"
        )
    if options.kind != "igpt" and "clusters" in content:
        raise CheckpointError(f"{options.weights} has an entry clusters, the colours of igpt's pixels: try --kind igpt")
    if content.get("clusters") is not None and options.tokenizer is not None:
        raise CheckpointError(f"{options.weights} brings its own palette as its tokenizer: leave out --tokenizer")


def _check_layout(state: Mapping[str, Any], options: ImportOptions) -> None:
    """Refuse weights in the layout of another kind; what is of no known layout is for the translation to name.

    Raises:
        CheckpointError: they are; the kind that they look like is named.
    """
    layout = layout_of(state)
    if layout is None or layout == LAYOUTS[options.kind]:
        return
    likely = f". They look like a minGPT: {MINGPT_KINDS}"
    raise CheckpointError(
        f"{options.weights} does not hold the weights of --kind {options.kind}"
        f"{likely if layout == 'mingpt' else LIKELY[layout]}"
    )


def _state(content: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Return the state dict of a checkpoint, or the whole of one that is nothing else.

    Raises:
        CheckpointError: it is no dictionary of weights by name.
    """
    state = next((content[name] for name in ("model_state_dict", "state_dict") if name in content), content)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(
            f"{path} has a state dict that is no dictionary of weights by name: ask for the weights alone"
        )
    check_weights(state, path)
    return without_wrappers(state)


def _tats_conditions(settings: Mapping[str, Any], state: Mapping[str, Any], tokenizer: Tokenizer) -> int:
    """Return how many classes a transformer of TATS knows, whose settings may be such that a plain GPT cannot follow.

    Raises:
        CheckpointError: they are, or the tokenizer is not the one it was trained with.
    """
    if unmasked := _number(settings, "n_unmasked"):
        raise CheckpointError(f"n_unmasked {unmasked}: it sees parts of what follows, and is no causal GPT")
    if every := _number(settings, "sample_every_n_latent_frames"):
        raise CheckpointError(
            f"sample_every_n_latent_frames {every}: it reads clips of which latent "
            "frames were left out, which no tokenizer here makes"
        )
    codebook = state.get("first_stage_model.codebook.embeddings")
    if isinstance(codebook, Tensor) and codebook.ndim and len(codebook) != tokenizer.vocab_size:
        raise CheckpointError(
            f"it was trained with a tokenizer of {len(codebook)} codes, this one has {tokenizer.vocab_size}: "
            "give the one that it was trained with"
        )
    embedding = state.get("transformer.tok_emb.weight")
    conditions = len(embedding) - tokenizer.vocab_size if isinstance(embedding, Tensor) and embedding.ndim else 0
    if conditions > 0 and _number(settings, "unconditional"):
        raise CheckpointError(
            f"it has {conditions} tokens more than the tokenizer's {tokenizer.vocab_size} codes and yet is "
            "unconditional: give the tokenizer that it was trained with"
        )
    return max(conditions, 0)


def _say_conditions(model: GPT, rows: Tensor, options: ImportOptions) -> None:
    """Print which class a GPT was imported for, and what its head without the rows of the classes changes.

    Args:
        model: the GPT.
        rows: (K, D) rows of the head that are left out, one for each class.
        options: of the import.
    """
    condition = model.config.condition
    of = f"condition {condition} of the {len(rows)} (0 to {len(rows) - 1}) that it was trained with"
    if options.condition is None:
        print(f"Assumed: every clip begins with {of}. --condition chooses another; it stays in the model.")
    else:
        print(f"Every clip begins with {of}. It stays in the model: import again for another.")
    print(
        f"The head's rows of the {len(rows)} conditions are left out: the softmax is over the "
        f"{model.config.vocab_size} codes alone, and the NLL of a token lower by "
        f"{_given_to_conditions(model, rows):.2g} nats than with them (mean over {min(DRAWN, model.config.window)} "
        "tokens that were drawn from the model)."
    )


@torch.no_grad()
def _given_to_conditions(model: GPT, rows: Tensor) -> float:
    """Return by how many nats the NLL of a token falls when classes cannot be predicted, over one sequence of draws."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.full((1, 1), model.bos_token)
    falls = []
    for _ in range(min(DRAWN, model.config.window)):
        features = model.features(tokens)[:, -1]
        codes = model.head(features).double()
        everything = torch.cat([codes, (features @ rows.T).double()], dim=1)
        falls.append(everything.logsumexp(dim=1) - codes.logsumexp(dim=1))
        drawn = torch.multinomial(codes.softmax(dim=1), 1, generator=generator)
        tokens = torch.cat([tokens, drawn], dim=1)
    return float(torch.cat(falls).mean())


def _imagegpt_settings(weights: Path) -> dict[str, Any]:
    """Return what the config.json beside the weights of an Image GPT says; nothing where there is none.

    Raises:
        CheckpointError: it is no JSON, or describes another model than is imported.
    """
    path = weights.parent / "config.json"
    if not path.exists():
        return {}
    settings = _read_json(path, "config.json of the Image GPT")
    for name, value in IMAGEGPT_SETTINGS.items():
        if settings.get(name, value) != value:
            raise CheckpointError(
                f"{path} says {name} {shortly(settings[name])}; only Image GPTs with {value!r}, as the published ones "
                "are, can be imported"
            )
    return settings


def _check_agreement(settings: Mapping[str, Any], weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse the config.json of another Image GPT, whose heads would be wrong for the weights.

    Args:
        settings: that it has; what it leaves out is not compared.
        weights: as converted.
        path: of it, for the message.

    Raises:
        CheckpointError: it contradicts the weights, or itself.
    """
    vocab_size, width = weights["embedding.weight"].shape
    shown = {
        "n_embd": width,
        "n_layer": _layers(weights),
        "n_positions": len(weights["positions.table.weight"]),
        "vocab_size": vocab_size,
    }
    if settings.get("n_inner") is not None:
        shown["n_inner"] = 4 * width  # as the conversion has checked
    for name, value in shown.items():
        told = settings.get(name, value)
        if type(told) is not int or told != value:
            raise CheckpointError(
                f"{path} says {name} {shortly(told)}, the weights show {value}: they do not belong together; give the "
                "config.json that was saved with the weights"
            )
    heads = _number(settings, "n_head")
    if heads and width % heads:
        raise CheckpointError(
            f"{path} says n_head {heads} and n_embd {width}, which must split into that many heads: give the "
            "config.json that was saved with the weights"
        )


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        content = read_json(path, what)
    except RefusedFileError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not the settings of a {what}")
    return content


def _settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a checkpoint keeps beside its weights; none if it keeps none."""
    settings = content.get("model_config", content.get("hyper_parameters"))
    if isinstance(settings, dict):
        settings = settings.get("args", settings)
    return settings_of(settings) if isinstance(settings, dict | Settings) else {}


def _number(settings: Mapping[str, Any], name: str) -> int:
    """Return a whole number, or true or false, of the settings; 0 where there is none.

    Raises:
        CheckpointError: it is something else.
    """
    value = settings.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or value < 0:
        raise CheckpointError(f"the settings in the checkpoint say {name} {shortly(value)}, which is no whole number")
    return value


def _heads(settings: Mapping[str, Any], options: ImportOptions, width: int) -> int:
    """Return the number of attention heads, which no shape tells: from the settings, the options or the usual rule.

    Raises:
        CheckpointError: they contradict each other, or the rule does not apply.
    """
    stored = _number(settings, "n_head")
    if stored and options.heads not in (None, stored):
        raise CheckpointError(f"--heads {options.heads} contradicts {options.weights}, which has {stored}")
    given = stored or options.heads
    if given is not None:
        return given
    if options.kind == "imagegpt":
        return _published_heads(options.weights, width)
    # Published models have heads of 64 dimensions (8 for 512, 12 for 768, 16 for 1024, 20 for 1280, 25 for 1600).
    heads = max(2, width // 64)
    if width % (64 if width > 128 else 2):
        raise CheckpointError(
            f"{options.weights} does not say how many attention heads it has, and its width of {width} is that of no "
            "published model: give --heads"
        )
    print(
        f"Assumed: {heads} attention heads, because the checkpoint does not say and published models have heads of 64 "
        "dimensions (at least two). Others would give wrong likelihoods and no error; --heads sets them."
    )
    return heads


def _published_heads(weights: Path, width: int) -> int:
    if width not in IMAGEGPT_HEADS:
        raise CheckpointError(
            f"there is no config.json beside {weights}, which alone says how many attention heads it has, and its "
            f"width of {width} is that of no published model: put it there or give --heads"
        )
    print(
        f"Assumed: {IMAGEGPT_HEADS[width]} attention heads, as the published model of this width has, because there is "
        "no config.json beside the weights. Others would give wrong likelihoods and no error; --heads sets them."
    )
    return IMAGEGPT_HEADS[width]


def _palette_of(content: Mapping[str, Any], options: ImportOptions, colours: int, window: int) -> Palette | None:
    """Return the palette that comes with a checkpoint; None where its kind has none, or a tokenizer was given."""
    if options.kind == "igpt":
        return _palette(content["clusters"], colours, window)
    if options.kind == "imagegpt" and options.tokenizer is None:
        return _imagegpt_palette(options, colours, window)
    return None


def _imagegpt_palette(options: ImportOptions, colours: int, window: int) -> Palette | None:
    """Return the palette of the colours in [-1, 1] that the preprocessor's file of an Image GPT holds.

    Raises:
        CheckpointError: the file is damaged, or its colours or its size are not those of the GPT.
    """
    path = options.clusters or options.weights.parent / PREPROCESSOR
    if options.clusters is None and not path.exists():
        print(
            f"There is no {PREPROCESSOR}, which holds the colours, beside the weights: no palette is written. Give it "
            "with --clusters to work with images."
        )
        return None
    return read_imagegpt_palette(path, colours, window)


def read_imagegpt_palette(path: Path, colours: int, window: int) -> Palette:
    """Return the palette of the colours that the preprocessor's file of an Image GPT holds.

    Args:
        path: of the file.
        colours: that the GPT knows.
        window: pixels of the square images that it reads.

    Raises:
        CheckpointError: the file is damaged, or its colours or its size are not those of the GPT.
    """
    settings = _read_json(path, PREPROCESSOR)
    clusters = settings.get("clusters")
    try:
        values = torch.tensor(clusters, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise CheckpointError(
            f"{path} has clusters {shortly(clusters)}, not one RGB colour for each of {colours} tokens"
        ) from None
    if tuple(values.shape) != (colours, 3):
        raise CheckpointError(
            f"{path} has clusters of {tuple(values.shape)}, not one RGB colour for each of {colours} tokens"
        )
    if not (torch.isfinite(values).all() and values.abs().max() <= 1):
        raise CheckpointError(f"{path} has clusters that are not RGB between -1 and 1")
    side = _square(window)
    size = settings.get("size", side)
    sides = [size.get("height", side), size.get("width", side)] if isinstance(size, dict) else [size, size]
    if sides != [side, side]:
        raise CheckpointError(
            f"{path} makes images of {shortly(size)}, the GPT reads {side}x{side} pixels: give its own"
        )
    return Palette(values, side)


def _palette(clusters: Any, colours: int, window: int) -> Palette | None:
    """Return the palette of igpt's colours, RGB in [0, 255], for square images of as many pixels as the window.

    Models of noise have no colours, and get no palette.

    Raises:
        CheckpointError: the colours are not as many as the tokens, or no colours.
    """
    if clusters is None:
        print("The checkpoint has no colours (a model of noise): no palette is written.")
        return None
    if not isinstance(clusters, Tensor) or clusters.is_complex() or tuple(clusters.shape) != (colours, 3):
        shape = tuple(clusters.shape) if isinstance(clusters, Tensor) else type(clusters).__name__
        raise CheckpointError(f"clusters is {shape}, not one RGB colour for each of {colours} tokens")
    values = clusters.double()  # two whites of a palette may differ in the last digits only
    if not (torch.isfinite(values).all() and values.min() >= 0 and values.max() <= 255):
        raise CheckpointError("clusters holds values that are not RGB between 0 and 255")
    return Palette(values / 127.5 - 1, _square(window))


def _config(
    weights: Mapping[str, Tensor], heads: int, window: int, has_bos: bool, tokenizer: Tokenizer | None
) -> GPTConfig:
    """Return the config of converted weights.

    Raises:
        CheckpointError: they do not belong to the tokenizer, or without one their window is no square.
    """
    vocab_size, width = weights["head.weight"].shape
    return GPTConfig(
        layers=_layers(weights),
        heads=heads,
        width=width,
        grid=_grid(tokenizer, vocab_size, window) if tokenizer else (1, _square(window), _square(window)),
        vocab_size=vocab_size,
        tokenizer=tokenizer.fingerprint if tokenizer else "",
        variant="legacy",
        bos=has_bos,
    )


def _layers(weights: Mapping[str, Tensor]) -> int:
    return sum(name.endswith("attention.out.weight") for name in weights)


def _grid(tokenizer: Tokenizer, vocab_size: int, window: int) -> tuple[int, int, int]:
    grid = tokenizer.grid(tokenizer.frames, tokenizer.size, tokenizer.size)
    if vocab_size != tokenizer.vocab_size or math.prod(grid) != window:
        raise CheckpointError(
            f"the GPT reads {window} tokens of {vocab_size} kinds, the tokenizer makes {math.prod(grid)} "
            f"({'x'.join(map(str, grid))}) of {tokenizer.vocab_size}: give the tokenizer that it was trained with"
        )
    return grid


def _square(window: int) -> int:
    side = math.isqrt(window)
    if side * side != window:
        raise CheckpointError(
            f"the GPT reads {window} tokens, which is no square: give --tokenizer, which has the grid"
        )
    return side


def _describe(model: GPT, options: ImportOptions) -> str:
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{options.weights.name} is now {options.out}: {config.layers} layers, {config.heads} heads, width "
        f"{config.width}, {parameters:,} parameters; grids of {'x'.join(map(str, config.grid))} tokens of "
        f"{config.vocab_size} kinds, {'with' if config.bos else 'without'} a BOS token"
        f"{'' if config.condition is None else f' that stands for condition {config.condition}'}; tokenizer "
        f"{config.tokenizer or 'unknown'}."
    )
