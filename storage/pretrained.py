"""Models that are saved as, and loaded from, folders that explain themselves: `config.json`, `model.safetensors`.

A class of models is known by its `kind`, which stands in its `config.json`. It is found again without being listed
anywhere: a class that was imported registers itself, and an installed package names its classes as entry points of the
group `secondsight.models`, as this project does in its own pyproject.toml:

    [project.entry-points."secondsight.models"]
    mykind = "mypackage.mymodule:MyTokenizer"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from storage.ancestry import ANCESTRY, Ancestor
from storage.checked_files import on_one_line
from storage.model_folder import (
    as_type,
    check_fit,
    config_from_dict,
    load_model_folder,
    load_weights,
    save_model_folder,
)
from storage.model_paths import CheckpointError, find_of_kind, other_kind
from storage.options import unknown_name

ENTRY_POINTS = "secondsight.models"
"""Group of the entry points by which installed packages name their classes of models."""

MOST_SPARE = 100
"""Parameters that a model may make in vain while it is built, beside as many again as it has."""

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
    ancestry: tuple[Ancestor, ...] = ()
    """The models that its weights began from, its parent first; none if it began from random weights."""

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
        """What it is, by which it is told from others, and where its weights began."""
        ancestry = {ANCESTRY: [asdict(ancestor) for ancestor in self.ancestry]} if self.ancestry else {}
        return {"kind": self.kind, **asdict(self.config), **ancestry}

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def content(self) -> dict[str, Any]:
        """What its config.json holds: its description, and what else is kept with it."""
        return self.description

    def save_pretrained(self, folder: Path, dtype: torch.dtype | None = None) -> None:
        """Write `config.json` and `model.safetensors` into `folder`.

        Args:
            folder: of the model.
            dtype: float type that is stored in place of its own, such as torch.bfloat16. What is loaded again is
                another model then, with weights so rounded. Of a tokenizer it has other tokens and another fingerprint:
                round it first, and train GPTs on the tokens of the tokenizer that was loaded again.

        Raises:
            ValueError: numbers of a weights file cannot have that type.
        """
        tensors = self.state_dict() if dtype is None else self.rounded(dtype)
        save_model_folder(folder, self.content, tensors)

    def rounded(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return its tensors by name, floating-point numbers rounded to a type, as far as its range goes.

        Raises:
            ValueError: numbers of a weights file cannot have that type.
        """
        return {name: as_type(tensor, dtype) for name, tensor in self.state_dict().items()}

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load a model, in evaluation mode: from a model folder, a run's final or newest model, the hub or the package.

        Args:
            folder: a folder, `hf:owner/name` or `hf:owner/name@revision` on the Hugging Face hub, or `starter-clips` or
                `starter-stills`, which come with the package.

        Raises:
            CheckpointError: there is no such model, it is of another class, or weights and config disagree.
        """
        return cls.from_content(*load_model_folder(find_of_kind(Path(folder), cls.kind)), folder)

    @classmethod
    def from_content(cls, values: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path | str) -> Self:
        """Build a model, in evaluation mode, of what `load_model_folder` returned for a folder.

        Raises:
            CheckpointError: it is of another class, or weights and config disagree.
        """
        config = cls.read_config(values, folder)
        model = cls.with_weights(config, tensors, folder).eval()
        model.ancestry = read_ancestry(values, f"the config.json of {folder}")
        return model

    @classmethod
    def read_config(cls, values: Mapping[str, Any], folder: Path | str) -> Any:
        """Return the config that the content of a config.json describes.

        Raises:
            CheckpointError: it is of another class, or describes no model.
        """
        if values["kind"] != cls.kind:
            raise other_kind(folder, values["kind"], cls.kind)
        known = {cls.renamed.get(name, name): value for name, value in values.items() if name != ANCESTRY}
        return config_from_dict(cls.config_class, known, f"the config.json of {folder}")

    @classmethod
    def with_weights(cls, config: Any, tensors: Mapping[str, Tensor], source: Path | str) -> Self:
        """Build the model that `config` describes, with weights.

        Before memory is taken, the model is built on the meta device, where weights have shapes and no numbers, and
        compared with the tensors: a config can claim any size.

        Args:
            config: of the model.
            tensors: all of its weights by name; they are copied.
            source: what both are from, for messages.

        Raises:
            CheckpointError: weights and config disagree, or weights are not those of any model.
        """
        check_fit(_shapes(cls, config, tensors, source), tensors, source)
        with _WithoutDrawing():
            model = cls.from_config(config)
        load_weights(model, tensors, source)
        return model

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Build the model that `config` describes, not yet trained."""
        return cls(config)


def read_ancestry(values: Mapping[str, Any], source: Path | str) -> tuple[Ancestor, ...]:
    """Return the ancestors that the content of a model's config.json names; none in files of before.

    Args:
        values: the content.
        source: what it is from, for messages.

    Raises:
        CheckpointError: they are not written as they should be.
    """
    ancestors = values.get(ANCESTRY, [])
    if not isinstance(ancestors, list) or not all(isinstance(each, dict) for each in ancestors):
        raise CheckpointError(f"{source} has an {ANCESTRY} that is no list of models: take the one that was saved")
    return tuple(config_from_dict(Ancestor, each, f"the {ANCESTRY} in {source}") for each in ancestors)


class _WithoutDrawing(TorchFunctionMode):
    """Leaves parameters as they are made, without the random numbers that weights of a file would replace."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out a function of torch, if it does not draw the numbers of a parameter."""
        kwargs = kwargs or {}
        filled = args[0] if args else kwargs.get("tensor")
        if function in _DRAWING and isinstance(filled, nn.Parameter):
            return filled
        return function(*args, **kwargs)


_DRAWING = (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, Tensor.normal_, Tensor.uniform_)


class _WithoutNumbers(TorchFunctionMode):
    """Makes tensors of random numbers without the numbers: for the meta device, which has none."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out a function of torch, or make an empty tensor of that shape."""
        return (torch.empty if function in (torch.randn, torch.rand) else function)(*args, **(kwargs or {}))


def _shapes(
    cls: type[Pretrained], config: Any, tensors: Mapping[str, Tensor], source: Path | str
) -> Mapping[str, Tensor]:
    """Return the state dict of a model on the meta device.

    Raises:
        CheckpointError: the config describes many more weights than there are, or none that can be.
    """
    left = MOST_SPARE + 2 * len(tensors)

    def count(*registered: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise CheckpointError(
                f"weights and config in {source} disagree: the config describes a model of far more than the "
                f"{len(tensors)} weights that are there. Take the config.json that was saved with the weights"
            )

    with register_module_parameter_registration_hook(count):
        try:
            # To draw numbers on the meta device, where there are none, torch would import its compiler.
            with torch.device("meta"), _WithoutNumbers(), _WithoutDrawing():
                return cls.from_config(config).state_dict()
        except (RuntimeError, TypeError, ArithmeticError, MemoryError) as error:
            raise CheckpointError(
                f"weights and config in {source} disagree: the config describes a model that cannot be built "
                f"({on_one_line(str(error))}). Take the config.json that was saved with the weights"
            ) from error


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
