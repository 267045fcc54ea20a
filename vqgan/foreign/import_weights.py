"""Import tokenizers that other programs trained: their checkpoints become model folders of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from storage.checked_files import RefusedFileError, on_one_line, read_text, shortly
from storage.foreign.checkpoint import (
    Settings,
    check_weights,
    read_foreign,
    say_converted,
    settings_of,
    without_wrappers,
)
from storage.lock import FolderLock
from storage.model_paths import CheckpointError
from storage.terminal import visible
from storage.unfinished import adding, check_no_model
from training.progress import say_done
from vqgan.foreign.convert import (
    AVERAGED,
    check_no_gpt,
    check_taming_settings,
    convert_ibq,
    convert_llamagen,
    convert_taming,
    convert_tats,
    convert_vidtok,
    taming_config,
    tats_config,
    vidtok_config,
)
from vqgan.foreign.taming import TamingVQGAN
from vqgan.foreign.tats import TATSVQGAN
from vqgan.foreign.vidtok import VidTok
from vqgan.leakage import latent_frame_changes
from vqgan.options import ImportOptions
from vqgan.tokenizer import Tokenizer

DRAWN_ELSEWHERE = (
    "Assumed: the token of a latent is the likeliest code. The original of a GumbelVQ adds noise to the logits "
    "whenever it encodes, so that its tokens are draws: those of two encodings of an image differ, and from these too."
)
"""What is said of the one tokenizer whose tokens are not those of the original."""

GPT_ENTRY = "model_state_dict"
"""Where vqgan-gpt and igpt keep their GPTs, and no tokenizer is kept."""

MOST_YAML = 100_000
"""Bytes of a configuration file, at most; published ones have two thousand."""

DEEPEST_YAML = 20
"""Levels of a configuration file, at most."""

MOST_ALIASES = 20
"""Aliases in a configuration file, at most."""


def import_weights(options: ImportOptions) -> Path:
    """Write the tokenizer of a foreign checkpoint as a model folder and print one line about it.

    Returns:
        the folder, for `load_tokenizer`.

    Raises:
        CheckpointError: the file is damaged or unsafe, holds another kind of weights, or has other settings.
        FileExistsError: `--out` holds a model.
        FolderLockError: another process is writing into `--out`.
    """
    with FolderLock(options.out):
        check_no_model(options.out)
        content = read_foreign(options.weights)
        importers: dict[str, Callable[[Mapping[str, Any], ImportOptions], Tokenizer]] = {
            "taming": _import_taming,
            "tats": _import_tats,
            "llamagen": _import_llamagen,
            "ibq": _import_ibq,
            "vidtok": _import_vidtok,
        }
        tokenizer = _with_leakage(importers[options.kind](content, options))
        with adding(options.out) as folder:
            tokenizer.save_pretrained(folder)
    print(visible(_describe(tokenizer, options)))
    if isinstance(tokenizer, TamingVQGAN) and tokenizer.config.quantizer == "gumbel":
        print(DRAWN_ELSEWHERE)
    data = "VIDEOS" if tokenizer.frames > 1 else "IMAGES"
    say_done(options.out, "secondsight vqgan eval --tokenizer", options.out, f"--data {data} --out EVALUATION")
    return options.out


def _import_taming(content: Mapping[str, Any], options: ImportOptions) -> Tokenizer:
    tensors = convert_taming(_weights(content, options.weights, "state_dict"))
    if options.config is None:
        return _load(TamingVQGAN, taming_config(tensors), tensors, options.weights)
    settings = _read_settings(options.config)
    config = taming_config(tensors, resolution=settings["resolution"])
    check_taming_settings(config, settings)
    return _load(TamingVQGAN, config, tensors, options.weights)


def _import_llamagen(content: Mapping[str, Any], options: ImportOptions) -> Tokenizer:
    tensors = convert_llamagen(_weights(content, options.weights, "ema", "model", "state_dict"))
    return _load(TamingVQGAN, taming_config(tensors, normalised=True), tensors, options.weights)


def _import_ibq(content: Mapping[str, Any], options: ImportOptions) -> Tokenizer:
    weights = _weights(content, options.weights, "state_dict")
    tensors = convert_ibq(weights)
    settings = _read_ibq_settings(_given(options))
    config = replace(taming_config(tensors, resolution=settings["resolution"]), quantizer="product")
    check_taming_settings(config, settings)
    if any(name.startswith(AVERAGED) for name in weights):
        print("The averages of the weights (model_ema) are taken, as IBQ itself does.")
    return _load(TamingVQGAN, config, tensors, options.weights)


def _import_vidtok(content: Mapping[str, Any], options: ImportOptions) -> Tokenizer:
    tensors = convert_vidtok(_weights(content, options.weights, "state_dict"))
    settings = vidtok_settings(_read_yaml(_given(options)), _given(options))
    config = vidtok_config(tensors, settings)
    if not isinstance(settings["clips"].get("input_height"), int):
        print(f"Assumed: {config.resolution} pixels a side, as --config has no input_height.")
    return _load(VidTok, config, tensors, options.weights)


def _given(options: ImportOptions) -> Path:
    assert options.config is not None, "ImportOptions has looked"
    return options.config


def _import_tats(content: Mapping[str, Any], options: ImportOptions) -> Tokenizer:
    tensors = convert_tats(_weights(content, options.weights, "state_dict"))
    settings = content.get("hyper_parameters")
    settings = settings.get("args", settings) if isinstance(settings, dict) else settings
    if not isinstance(settings, dict | Settings):
        raise CheckpointError(
            f"{options.weights} has no hyper_parameters, which alone tell the strides and the length of its clips: "
            "take the checkpoint that the training wrote"
        )
    return _load(TATSVQGAN, tats_config(tensors, settings_of(settings)), tensors, options.weights)


def _with_leakage(tokenizer: Tokenizer) -> Tokenizer:
    """Measure how much the latent frames of a tokenizer of clips depend on later frames, and note it in its config."""
    if isinstance(tokenizer, TATSVQGAN | VidTok):
        tokenizer.config = replace(tokenizer.config, leakage=latent_frame_changes(tokenizer))
    return tokenizer


def _weights(content: Mapping[str, Any], path: Path, *names: str) -> dict[str, Tensor]:
    """Return the tensors under the first of `names` that the checkpoint has, or else of its top level."""
    found = next((content[name] for name in names if isinstance(content.get(name), dict)), None)
    if found is None:
        check_no_gpt(without_wrappers(_tensors(content.get(GPT_ENTRY))))
        found = content
    tensors = _tensors(found)
    if not tensors:
        held = ", ".join(on_one_line(str(name)) for name in list(found)[:10]) or "nothing"
        raise CheckpointError(f"{path} holds no weights under {' or '.join(names)}: it has {held}")
    check_weights(tensors, path)
    say_converted(tensors)
    return tensors


def _tensors(value: Any) -> dict[str, Tensor]:
    """Return the tensors of a dictionary by name; none of what is no dictionary."""
    entries = value.items() if isinstance(value, dict) else ()
    return {name: each for name, each in entries if isinstance(name, str) and isinstance(each, Tensor)}


def _read_ibq_settings(path: Path) -> dict[str, Any]:
    """Return the settings of the IBQ tokenizer that a configuration describes, in one dictionary.

    Raises:
        CheckpointError: there is no such file, it is no plain YAML, or describes something else.
    """
    model = _entry(_read_yaml(path), "model")
    described = model.get("class_path", model.get("target"))
    if not isinstance(described, str) or not described.endswith(".IBQ"):
        other = ": use --kind taming" if "target" in model else ""
        raise CheckpointError(f"--config {path} describes {shortly(described)}, and not a model of class IBQ{other}")
    arguments = _entry(model, "init_args")
    settings = {**_entry(arguments, "ddconfig")}
    settings |= {key: arguments[key] for key in ("embed_dim", "n_embed") if key in arguments}
    return _with_resolution(settings, path, "model.init_args.ddconfig.resolution")


def vidtok_settings(content: Any, path: Path) -> dict[str, Any]:
    """Return the settings of the model that a configuration of VidTok describes, as `vidtok_config` takes them.

    Args:
        content: of the file.
        path: of the file, for messages.

    Raises:
        CheckpointError: it describes no model of VidTok.
    """
    parameters = _entry(_entry(content, "model"), "params")
    parts = {name: _entry(parameters, f"{name}_config") for name in ("encoder", "decoder", "regularizer")}
    if "target" not in parts["encoder"]:
        raise CheckpointError(
            f"--config {path} describes no tokenizer of VidTok: it has no model.params.encoder_config.target"
        )
    training = content
    for name in ("data", "params", "train", "params"):
        training = _entry(training, name)
    return {
        **{name: part.get("target") for name, part in parts.items()},
        "parameters": _entry(parts["encoder"], "params"),
        "levels": _entry(parts["regularizer"], "params").get("levels"),
        "clips": _entry(training, "video_params"),
    }


def _read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of the VQGAN that a configuration of taming-transformers describes, in one dictionary.

    Raises:
        CheckpointError: there is no such file, it is no plain YAML, or describes no VQGAN.
    """
    content = _read_yaml(path)
    model = _entry(content, "model")
    if isinstance(model.get("class_path"), str) and model["class_path"].endswith(".IBQ"):
        raise CheckpointError(f"--config {path} describes a model of class IBQ: use --kind ibq")
    # The configuration of a transformer describes its tokenizer within.
    model = _entry(_entry(model, "params"), "first_stage_config") or model
    parameters = _entry(model, "params")
    settings = {**_entry(parameters, "ddconfig"), **{key: model[key] for key in ("target",) if key in model}}
    settings |= {key: parameters[key] for key in ("embed_dim", "n_embed") if key in parameters}
    return _with_resolution(settings, path, "model.params.ddconfig.resolution")


def _with_resolution(settings: dict[str, Any], path: Path, name: str) -> dict[str, Any]:
    resolution = settings.get("resolution")
    if not isinstance(resolution, int) or isinstance(resolution, bool):
        raise CheckpointError(f"--config {path} describes no VQGAN: it has no {name}")
    return settings


def _read_yaml(path: Path, at_most: int = MOST_YAML) -> Any:
    """Return what a YAML file of plain values holds.

    Aliases can stand for one another, and a few lines of them for more than any memory holds; tags can name classes.

    Raises:
        CheckpointError: there is no such file, it is no YAML or too large, deep or full of aliases, or it has tags.
    """
    try:
        text = read_text(path, "configuration file", at_most)
        _check_yaml(text, path)
        return yaml.safe_load(text)
    except RefusedFileError as error:
        raise CheckpointError(str(error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"--config {path} is no YAML file: {on_one_line(str(error))}") from error


def _check_yaml(text: str, path: Path) -> None:
    depth = 0
    aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > DEEPEST_YAML or aliases > MOST_ALIASES:
            raise CheckpointError(
                f"--config {path} is nested deeper than {DEEPEST_YAML} levels or has more than {MOST_ALIASES} aliases, "
                "as no configuration of a VQGAN does: give the one that the training wrote"
            )
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) is not None:
            raise CheckpointError(
                f"--config {path} has the tag {shortly(event.tag)}, and only plain values are read: take it out"
            )


def _entry(value: Any, name: str) -> dict[str, Any]:
    """Return the dictionary under a name, or an empty one where there is none."""
    entry = value.get(name) if isinstance(value, dict) else None
    return entry if isinstance(entry, dict) else {}


def _load(kind: type[Tokenizer], config: Any, tensors: Mapping[str, Tensor], path: Path) -> Tokenizer:
    try:
        return kind.with_weights(config, tensors, path).eval()
    except CheckpointError as error:
        raise CheckpointError(f"{error}. The file is incomplete, or its architecture was changed") from error


def _describe(tokenizer: Tokenizer, options: ImportOptions) -> str:
    assumed = (
        " (the size is assumed, as there is no --config)" if options.kind == "taming" and options.config is None else ""
    )
    return f"{options.out}: {options.kind} tokenizer, {tokenizer.describe()}{assumed}; {_describe_causality(tokenizer)}"


def _describe_causality(tokenizer: Tokenizer) -> str:
    leakage = getattr(tokenizer.config, "leakage", None)
    measured = "" if leakage is None else f"; {leakage:.1%} of a latent frame's tokens change with later frames"
    if tokenizer.causal:
        return f"it is causal: latent frames depend on no later frame{measured}"
    return f"it is not causal, so prompts are encoded alone{measured}"
