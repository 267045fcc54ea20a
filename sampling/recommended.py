"""The sampling settings that a GPT recommends, and when they are taken. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt.sampling_settings import SETTINGS, SamplingSettings, read_settings
from storage.checked_files import DamageError, read_json
from storage.config_file import COMMAND, values_of
from storage.hub_names import is_hub_model
from storage.model_paths import CheckpointError, find_model
from storage.options import Options
from storage.run_folder import has_begun


def implied_settings(kind: type[Options], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sampling settings, by name, of those that are not given themselves: those that the GPT recommends.

    Where a run goes on they are those that it was begun with, with which a GPT that recommends any is sampled on.

    Args:
        kind: the options class of the command.
        given: the options that were given, by name, as texts or as values.

    Returns:
        All of them, or none where the GPT recommends none, or cannot be read, which is said when it is loaded.
    """
    gpt = given.get("gpt")
    if gpt is None:
        return {}
    # Options that are read again are all given: a hub is not asked for their sake.
    settings = find_recommended(Path(gpt), ask_hub=not given.keys() >= {*SETTINGS})
    if settings is None:
        return {}
    recorded = _recorded(kind, given)
    return settings.flat() if recorded is None else recorded.flat()


def find_recommended(gpt: Path, ask_hub: bool = True) -> SamplingSettings | None:
    """Return the sampling settings that a GPT recommends; None where it recommends none, or cannot be read.

    Args:
        gpt: a model folder, a run, or a name.
        ask_hub: whether a model of the hub may be downloaded.
    """
    try:
        path = find_model(gpt) / "config.json" if ask_hub or not is_hub_model(gpt) else _cached(gpt)
        config = None if path is None else read_json(path, "config of a model")
        return read_settings(config, gpt) if isinstance(config, dict) else None
    except (CheckpointError, DamageError, OSError):
        return None


def describe_settings(used: SamplingSettings, recommended: SamplingSettings, gpt: Path) -> str:
    """Return in words what is sampled with, beside what a GPT recommends.

    Args:
        used: the settings.
        recommended: those of the GPT.
        gpt: what it was asked for by.
    """
    others = [name for name in SETTINGS if getattr(used, name) != getattr(recommended, name)]
    if not others:
        return f"as {gpt} recommends: {recommended.describe()}"
    own = ", ".join(f"--{name.replace('_', '-')} {getattr(used, name):g}" for name in others)
    return f"{own}; for the rest as {gpt} recommends: {recommended.describe()}"


def _cached(gpt: Path) -> Path | None:
    from storage.hub import cached_config  # here, as its client takes long to import

    return cached_config(gpt.as_posix())


def _recorded(kind: type[Options], given: Mapping[str, Any]) -> SamplingSettings | None:
    """Return the settings of the run that goes on; None if none does."""
    out = given.get("out")
    replaced = given.get("overwrite", False) is not False  # typed without a value, it is None
    if given.get("resume") != "auto" or replaced or out is None or not has_begun(Path(out), kind):
        return None
    try:
        content = json.loads((Path(out) / "config.json").read_text(encoding="utf-8"))
        if content[COMMAND] != kind.command:
            return None
        return SamplingSettings(
            **values_of({name: content[name] for name in SETTINGS if name in content}, SamplingSettings)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
