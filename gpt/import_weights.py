"""Import GPTs that other programs trained: their checkpoints become model folders of our own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt.config import GPTConfig
from gpt.convert import convert_mingpt, convert_tats
from gpt.model import GPT
from gpt.options import ImportOptions
from storage.checked_files import shortly
from storage.foreign.checkpoint import Settings, check_weights, read_foreign, say_converted, settings_of
from storage.hub_names import TOKENIZER
from storage.lock import FolderLock
from storage.model_folder import CheckpointError
from storage.terminal import visible
from storage.unfinished import MODEL_WITH_TOKENIZER, adding, check_no_model
from training.progress import say_done
from vqgan.model import load_tokenizer
from vqgan.palette import Palette
from vqgan.tokenizer import Tokenizer


def import_weights(options: ImportOptions) -> Path:
    """Write the GPT of a foreign checkpoint as a model folder, and print what it is and what had to be assumed.

    The palette of an igpt checkpoint goes into `out/tokenizer`.

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
    tokenizer = load_tokenizer(options.tokenizer) if options.tokenizer else None
    if options.kind == "tats":
        assert tokenizer is not None, "the options ask for it"
        weights = _tats_weights(content, state, tokenizer)
    else:
        weights = convert_mingpt(state)
    say_converted(state)
    has_bos = options.kind == "tats"
    window = len(weights["positions.table.weight"]) + (not has_bos)
    palette = _palette(content["clusters"], len(weights["head.weight"]), window) if options.kind == "igpt" else None
    tokenizer = palette or tokenizer
    heads = _heads(content, options, width=weights["embedding.weight"].shape[1])
    model = GPT.with_weights(_config(weights, heads, window, has_bos, tokenizer), weights, options.weights)
    return model, palette


def _check_kind(content: Mapping[str, Any], options: ImportOptions) -> None:
    """Tell apart checkpoints whose weights have the same names.

    Raises:
        CheckpointError: the checkpoint is of another kind, or a tokenizer was given beside the palette that it brings.
    """
    if options.kind == "igpt" and "clusters" not in content:
        raise CheckpointError(
            f"{options.weights} has no entry clusters, the colours of igpt's pixels: "
            "try --kind vqgan-gpt, or tats for clips"
        )
    if options.kind != "igpt" and "clusters" in content:
        raise CheckpointError(f"{options.weights} has an entry clusters, the colours of igpt's pixels: try --kind igpt")
    if content.get("clusters") is not None and options.tokenizer is not None:
        raise CheckpointError(f"{options.weights} brings its own palette as its tokenizer: leave out --tokenizer")


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
    return state


def _tats_weights(content: Mapping[str, Any], state: Mapping[str, Any], tokenizer: Tokenizer) -> dict[str, Tensor]:
    """Translate a transformer of TATS, whose settings may be such that a plain GPT cannot do the same.

    Raises:
        CheckpointError: they are, or the tokenizer is not the one it was trained with.
    """
    settings = _settings(content)
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
    weights = convert_tats(state, tokenizer.vocab_size)
    conditions = len(state["transformer.tok_emb.weight"]) - tokenizer.vocab_size
    if conditions and _number(settings, "unconditional"):
        raise CheckpointError(
            f"it has {conditions} tokens more than the tokenizer's {tokenizer.vocab_size} codes and yet is "
            "unconditional: give the tokenizer that it was trained with"
        )
    if conditions:
        print(f"Assumed: every clip begins with condition 0 of the {conditions} that it was trained with.")
    return weights


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


def _heads(content: Mapping[str, Any], options: ImportOptions, width: int) -> int:
    """Return the number of attention heads, which no shape tells: from the settings, the options or the usual rule.

    Raises:
        CheckpointError: they contradict each other, or the rule does not apply.
    """
    stored = _number(_settings(content), "n_head")
    if stored and options.heads not in (None, stored):
        raise CheckpointError(f"--heads {options.heads} contradicts {options.weights}, which has {stored}")
    given = stored or options.heads
    if given is not None:
        return given
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
        layers=sum(name.endswith("attention.out.weight") for name in weights),
        heads=heads,
        width=width,
        grid=_grid(tokenizer, vocab_size, window) if tokenizer else (1, _square(window), _square(window)),
        vocab_size=vocab_size,
        tokenizer=tokenizer.fingerprint if tokenizer else "",
        variant="legacy",
        bos=has_bos,
    )


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
        f"{config.vocab_size} kinds, {'with' if config.bos else 'without'} a BOS token; tokenizer "
        f"{config.tokenizer or 'unknown'}."
    )
