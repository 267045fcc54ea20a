"""What a model was trained on and how, as far as its run tells, without a path of the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.tokens import TokenStore
from gpt import options as gpt
from storage.options import Options
from storage.run_folder import read_options
from training.progress import count
from vqgan import options as vqgan


def describe_origin(model: Path) -> dict[str, str]:
    """Return facts about the training of the model in a folder, by what they are; none if it lies in no run."""
    run = model.parents[1] if model.parent.name == "checkpoints" else model.parent
    tokenizer_options = _options(run, vqgan.TrainOptions)
    if tokenizer_options is not None:
        facts = {"data": _name(tokenizer_options.data)} | _images(run) | _training(tokenizer_options.training)
    else:
        gpt_options = _options(run, gpt.TrainOptions)
        if gpt_options is None:
            return {}
        facts = _store(gpt_options.tokens) | _training(gpt_options.training)
    return facts | _software(run)


def _options(run: Path, kind: type[Any]) -> Any:
    """Return the options of a run of a command; None if the folder holds none."""
    assert issubclass(kind, Options)
    try:
        return read_options(run, kind)
    except ValueError:
        return None


def _name(path: Path) -> str:
    """Return what a folder or file is called."""
    return path.name or path.resolve().name


def _images(run: Path) -> dict[str, str]:
    path = run / "training_images.csv"
    rows = len(path.read_text(encoding="utf-8").splitlines()) - 1 if path.is_file() else 0
    return {"training images": f"{rows:,}"} if rows > 0 else {}


def _store(tokens: Path) -> dict[str, str]:
    """Return what a token store tells, if it is still there."""
    encoded = _options(tokens, vqgan.EncodeOptions)
    facts = {} if encoded is None else {"data": _name(encoded.data)}
    try:
        store = TokenStore(tokens)
    except (ValueError, OSError):
        return facts or {"tokens": _name(tokens)}
    metadata = store.metadata
    splits = (f"{len(store.split('train')):,} for training", f"{len(store.split('validation')):,} for validation")
    form = f"{count(metadata.frames, 'frame')} of {metadata.size} x {metadata.size} pixels"
    facts["items"] = f"{len(store):,}, {' and '.join(splits)}; each {form}"
    if metadata.frames > 1:
        facts["items"] += f" at {metadata.fps:g} per second"
    facts["tokens of an item"] = "x".join(map(str, metadata.grid))
    return facts


def _training(options: Any) -> dict[str, str]:
    return {"training": f"{count(options.steps, 'step')} in batches of {options.batch:,}, seed {options.seed}"}


def _software(run: Path) -> dict[str, str]:
    """Return versions and the device, as the environment.json of a run has them."""
    try:
        known = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        packages = [f"{name} {known['packages'][name]}" for name in ("secondsight", "torch")]
        return {"trained with": f"{', '.join(packages)}, on {known['device']}"}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
