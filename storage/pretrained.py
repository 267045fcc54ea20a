"""Models that are saved as, and loaded from, folders that explain themselves: `config.json`, `model.safetensors`.

A class of models is known by its `kind`, which stands in its `config.json`. It is found again without being listed
anywhere: a class that was imported registers itself, and an installed package names its classes as entry points of the
group `secondsight.models`, as this project does in its own pyproject.toml:

    [project.entry-points."secondsight.models"]
    mykind = "mypackage.mymodule:MyTokenizer"
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import nn

from storage.model_folder import CheckpointError, config_from_dict, load_model_folder, load_weights, save_model_folder
from storage.options import unknown_name

ENTRY_POINTS = "secondsight.models"
"""Group of the entry points by which installed packages name their classes of models."""

_imported: dict[str, type[Pretrained]] = {}
"""Classes that registered themselves, by kind."""


class Pretrained(nn.Module):
    """A module that its config, a frozen dataclass, describes completely."""

    kind: ClassVar[str]
    """The "kind" of its config.json, which no other class has."""
    config_class: ClassVar[type[Any]]
    """The dataclass of its config."""
    renamed: ClassVar[dict[str, str]] = {}
    """Fields of the config that had other names in files of before: the old name, and today's."""
    summary: ClassVar[str]
    """What a model card says of all models of the class, one sentence or two."""
    usage: ClassVar[str]
    """Python that uses a model, for its card; `{name}` stands for what it is loaded by."""
    tags: ClassVar[tuple[str, ...]] = ()
    """What the hub finds it by."""
    config: Any

    def __init_subclass__(cls, **options: Any) -> None:
        """Register the class under its kind.

        Raises:
            TypeError: another class has that kind.
        """
        super().__init_subclass__(**options)
        if "kind" in vars(cls):
            other = _imported.setdefault(cls.kind, cls)
            if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(f"{cls.__module__}.{cls.__qualname__} has the kind {cls.kind!r} of {other.__module__}")
            _imported[cls.kind] = cls

    @property
    def description(self) -> dict[str, Any]:
        """What its config.json holds."""
        return {"kind": self.kind, **asdict(self.config)}

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(chain(self.parameters(), self.buffers())).device

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model_folder(folder, self.description, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load a model, in evaluation mode: from a model folder, a run's final or newest model, or the hub.

        Args:
            folder: a folder, or `hf:owner/name` or `hf:owner/name@revision` on the Hugging Face hub.

        Raises:
            CheckpointError: there is no such model, it is of another class, or weights and config disagree.
        """
        config, tensors = load_model_folder(Path(folder))
        if config["kind"] != cls.kind:
            raise CheckpointError(f"{folder} holds a {config['kind']!r}, not a {cls.kind}")
        values = {cls.renamed.get(name, name): value for name, value in config.items()}
        model = cls.from_config(config_from_dict(cls.config_class, values))
        load_weights(model, tensors, folder)
        return model.eval()

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Build the model that `config` describes, not yet trained."""
        return cls(config)


def model_class(kind: str) -> type[Pretrained]:
    """Return the class of models of a kind, imported now if need be.

    Raises:
        CheckpointError: no class of that kind was imported, and no installed package names one.
    """
    if kind not in _imported:
        declared = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
        if kind not in declared:
            raise CheckpointError(
                f"{unknown_name('kind of model', kind, declared)} (import the module of a class of your own first)"
            )
        declared[kind].load()
    return _imported[kind]
