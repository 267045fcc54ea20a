"""What a training can be asked about the weights that it begins from. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.config_file import COMMAND, from_json
from storage.model_paths import check_model, is_named
from storage.options import OptionError, Options, leaves, option


@dataclass(frozen=True)
class InitOptions(Options):
    """Weights of a model to begin from, in place of random ones."""

    init: Path | None = option(None, read_once=True, must_hold=check_model)
    """Model whose weights the training begins from: a model folder, a run, a checkpoint, what was imported,
    hf:owner/name on the Hugging Face hub, or starter-clips or starter-stills, which come with secondsight; a tokenizer
    also by the GPT that brings it along. The architecture is its, unless options of it are given."""
    init_optimizer: bool = False
    """Take over the moments of the optimizer, too; --init is then a checkpoint, or a run that has one, and all weights
    must fit."""
    freeze: tuple[str, ...] = ()
    """Parameters that stay as they are, by name: patterns such as 'embedding*' or 'blocks.0.*'."""

    def check(self) -> None:
        """Check that there is a model to take moments of.

        Raises:
            ValueError: there is none.
        """
        if self.init_optimizer and self.init is None:
            raise ValueError("--init-optimizer needs --init, the checkpoint whose moments are taken over")


def implied_architecture(
    kind: type[Options], model_kind: str, names: Collection[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of the architecture that `--init` gives to those that are not given themselves.

    Of a run that is resumed they are those it was begun with: the model is not read again.

    Args:
        kind: the options class of the command.
        model_kind: of the models that it trains.
        names: of the options of the architecture.
        given: the options that were given, by name, as texts or as values; `preset` is among them where one was named.

    Raises:
        ValueError: the folder holds no model, the hub has none, or it is of another kind.
    """
    init = given.get("init")
    if init is None or "preset" in given:
        return {}
    if set(names) <= given.keys():
        return _values(kind, {name: given[name] for name in names})
    recorded = _recorded(kind, Path(init), given)
    if recorded is not None:
        return _values(kind, {name: value for name, value in recorded.items() if name in names})
    if not is_named(init) and not Path(init).exists():
        return {}  # which is said when the training begins
    # Imported here, so that commands without --init need no torch to be understood.
    check_model(Path(init), model_kind)
    from training.inheritance import read_architecture

    config = read_architecture(Path(init), model_kind, kind.command)
    return {name: getattr(config, name) for name in names}


def _values(kind: type[Options], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values among entries that are of the types of their options; others are words that were typed."""
    values: dict[str, Any] = {}
    for name, value in content.items():
        try:
            values[name] = from_json(name, value, leaves(kind)[name].annotation)
        except OptionError:
            continue
    return values


def _recorded(kind: type[Options], init: Path, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of the run that would be resumed, if it was begun from the same model; else None."""
    if given.get("resume") != "auto" or "out" not in given:
        return None
    try:
        content = json.loads((Path(given["out"]) / "config.json").read_text(encoding="utf-8"))
        same = content[COMMAND] == kind.command and Path(content["init"]).resolve() == init.resolve()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(content) if same else None
