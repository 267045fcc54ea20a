"""What a training takes over of the model that it begins from, and which parameters it leaves as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from storage.ancestry import Ancestor
from storage.checked_files import DamageError, shortly
from storage.checkpoints import load_training_tensors, read_state
from storage.checksums import fingerprint
from storage.hub_names import TOKENIZER, is_hub_model
from storage.model_folder import load_model_folder
from storage.model_paths import CheckpointError, find_of_kind
from storage.options import leaves
from storage.places import is_checkpoint, is_in_parts, list_checkpoints
from storage.pretrained import Pretrained, model_class
from storage.starters import is_starter
from storage.tensor_parts import load_whole, whole_digest
from training.init_options import InitOptions
from training.parts import part_like
from training.progress import count, say_found

Fate = Literal["kept", "resized", "interpolated", "new"]
TRAINERS = {"gpt": "secondsight gpt train", "vqgan": "secondsight vqgan train"}
"""The commands that begin from models, by the kind of these."""
NAMED = 5
"""Names that a message lists, at most."""


class InitError(ValueError):
    """A training cannot begin from the model that was named; the message says why, and what to do."""


@dataclass(frozen=True)
class Parent:
    """A model that a training begins from."""

    named: Path
    """What it was asked for by."""
    folder: Path
    """The model folder that this means."""
    model: Pretrained
    """With its weights, on the CPU, in evaluation mode."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its weights by name."""
        return self.model.state_dict()


class Inheritance:
    """The weights of a model that begins from another: tensor by tensor what is taken over, and what becomes of it.

    Args:
        fresh: all tensors of the new model, as they would begin.
    """

    def __init__(self, fresh: Mapping[str, Tensor]) -> None:
        self.tensors = {name: tensor.clone() for name, tensor in fresh.items()}
        """All tensors of the new model, as they begin."""
        self.fates: dict[str, Fate] = dict.fromkeys(self.tensors, "new")
        """What becomes of each."""
        self.notes: list[str] = []
        """What was changed, in sentences for people."""

    def take(self, name: str, tensor: Tensor, fate: Fate = "kept") -> None:
        """Let a tensor begin as `tensor`, of its shape.

        Raises:
            InitError: the shape is another.
        """
        own = self.tensors[name]
        if tensor.shape != own.shape:
            raise InitError(
                f"--init: {name} has shape {tuple(tensor.shape)} in the model, and {tuple(own.shape)} is needed: give "
                "the options of the model's own architecture, or leave --init out"
            )
        own.copy_(tensor)
        self.fates[name] = fate

    def describe(self, parent: Parent) -> Ancestor:
        """Return the record of it."""
        counted = {fate: self._count(fate) for fate in ("kept", "resized", "interpolated", "new")}
        without_ancestry = {key: value for key, value in parent.model.description.items() if key != "ancestry"}
        return Ancestor(
            model=_public_name(parent),
            weights=fingerprint(without_ancestry, parent.tensors),
            steps=_steps(parent.folder),
            notes=tuple(self.notes),
            **counted,
        )

    def _count(self, fate: str) -> tuple[int, int]:
        names = [name for name, own in self.fates.items() if own == fate]
        return len(names), sum(self.tensors[name].numel() for name in names)


def read_architecture(init: Path, kind: str, command: str) -> Any:
    """Return the config of the model that `--init` names, of which the weights are not read.

    Raises:
        CheckpointError: there is no such model.
        InitError: it is of another kind.
    """
    folder = find_of_kind(init, kind)
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the config.json in {folder} cannot be read: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise CheckpointError(f'the config.json in {folder} has no "kind", and so describes no model')
    _check_kind(init, values["kind"], kind, command)
    return model_class(kind).read_config(values, folder)


def load_parent(init: Path, kind: str, command: str) -> Parent:
    """Load the model that `--init` names.

    Args:
        init: a model folder, a run, a checkpoint, or a model of the hub or of those that come with the package.
        kind: what it must be, or the tokenizer that it brings along.
        command: that begins from it, such as `gpt train`.

    Raises:
        CheckpointError: there is no such model, or it is damaged.
        InitError: it is of another kind.
    """
    folder = find_of_kind(init, kind)
    config, tensors = load_model_folder(folder)
    _check_kind(init, config["kind"], kind, command)
    return Parent(init, folder, model_class(kind).from_content(config, tensors, folder))


def check_same_architecture(parent: Parent, config: Any, may_differ: Iterable[str]) -> None:
    """Refuse an architecture into which the weights of a model do not fit.

    Args:
        parent: the model.
        config: of the model that begins from it.
        may_differ: fields in which they may differ.

    Raises:
        InitError: they differ in others; the first are named with both values.
    """
    before = parent.model.config
    asked = leaves(type(config))
    others = [
        f"{asked[field.name].flag if field.name in asked else field.name} {_shown(getattr(config, field.name))} is not "
        f"the {_shown(getattr(before, field.name))} of the model"
        for field in fields(config)
        if field.name not in may_differ and getattr(config, field.name) != getattr(before, field.name)
    ]
    if others:
        raise InitError(
            f"--init {parent.named}: its weights do not fit: {'; '.join(others[:NAMED])}. Leave --preset and such "
            "options out, and the architecture is the model's; or leave --init out"
        )


def block_sources(before: int, now: int) -> list[int | None]:
    """Return which of the `before` blocks of a model each of `now` blocks begins from: None for new ones.

    Fewer are chosen evenly, the first and the last among them; new ones stand behind the old ones.
    """
    if now >= before:
        return [*range(before), *[None] * (now - before)]
    if now == 1:
        return [0]
    return [round(index * (before - 1) / (now - 1)) for index in range(now)]


def say_inheritance(ancestor: Ancestor) -> None:
    """Say what a training begins from, and what it took over."""
    say_found(begins_from=ancestor.describe_source(), weights=ancestor.describe_changes())
    for note in ancestor.notes:
        say_found(changed=note)


def freeze(model: nn.Module, patterns: Sequence[str], also: Iterable[str] = ()) -> set[str]:
    """Let parameters stay as they are, by their names.

    Args:
        model: changed in place.
        patterns: of `fnmatch`, such as `embedding*` or `blocks.0.*`.
        also: further names that patterns may mean, of what is no parameter.

    Returns:
        Those of `also` that are meant.

    Raises:
        InitError: a pattern means no parameter (near names are listed), or none is left to be trained.
    """
    parameters = dict(model.named_parameters())
    others = list(also)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in [*parameters, *others]):
            known = [*parameters, *others]
            near = get_close_matches(pattern, known, n=NAMED, cutoff=0.4) or known[:NAMED]
            raise InitError(f"--freeze {pattern} is the name of no parameter; there are {', '.join(near)} and others")
    for name, parameter in parameters.items():
        if _means(patterns, name):
            parameter.requires_grad_(False)
    if patterns and not any(parameter.requires_grad for parameter in parameters.values()):
        raise InitError(
            f"--freeze {' '.join(patterns)} leaves no parameter to be trained: leave a pattern out, or use the model "
            "as it is"
        )
    return {name for name in others if _means(patterns, name)}


def describe_parameters(model: nn.Module) -> str:
    """Return the number of parameters, and how many of them are trained if not all are, in words."""
    total = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return f"{total:,} parameters" + ("" if trained == total else f", of which {trained:,} are trained")


def take_moments(
    options: InitOptions, inheritance: Inheritance, parent: Parent, name: str, optimizer: torch.optim.Optimizer
) -> None:
    """Give an optimizer the moments that the one of a checkpoint had; its settings stay.

    Args:
        options: whether it is asked for.
        inheritance: what was taken over of the weights.
        parent: the model that they are of.
        name: of the optimizer in the checkpoint.
        optimizer: of all parameters of the new model, in the order of that of the checkpoint.

    Raises:
        InitError: there are no moments, or they are of other weights.
    """
    if not options.init_optimizer:
        return
    checkpoint = find_moments(parent)
    changed = [key for key, fate in inheritance.fates.items() if fate != "kept"]
    if changed:
        raise _misfit(checkpoint, f"{changed[0]} is not kept as it was ({inheritance.fates[changed[0]]})")
    state, saved = _saved_moments(checkpoint, name)
    # Moments are numbered by group, and weights of other groups may have the same shape.
    before = [_shape_of(group) for group in state["param_groups"].get(name, [])]
    now = [_shape_of(group) for group in optimizer.param_groups]
    if before != now:
        raise _misfit(checkpoint, _differing_groups(before, now))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in saved.items():
        index, moment = key.split(".")
        if int(index) >= len(weights):
            raise _misfit(checkpoint, f"it is of more weights than the {len(weights)} that there are")
        weight = weights[int(index)]
        if tensor.ndim and tensor.shape != weight.shape:
            raise _misfit(
                checkpoint, f"{moment} of weight {index} has shape {tuple(tensor.shape)}, not {tuple(weight.shape)}"
            )
        if weight.requires_grad:
            value = part_like(tensor, weight) if tensor.shape == weight.shape else tensor
            moments.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    say_found(optimizer=f"moments of {count(len(moments), 'tensor')}, from {checkpoint}")


def find_moments(parent: Parent) -> Path:
    """Return the checkpoint that holds the optimizer's moments of a model: the model itself, or one with its weights.

    Raises:
        InitError: there is none, or the newest cannot be compared with the model.
    """
    if (parent.folder / "training_state").is_dir():
        return parent.folder
    newest = next(reversed(list_checkpoints(parent.folder.parent)), None)
    if newest is not None and (newest / "training_state").is_dir() and _same_weights(newest, parent):
        return newest
    raise InitError(
        f"--init-optimizer: {parent.named} has no optimizer state (training_state/): give --init a checkpoint of a "
        "run, such as RUN/checkpoints/000500, or leave --init-optimizer out"
    )


def _shape_of(group: Mapping[str, Any]) -> tuple[int, bool]:
    """Return how many weights are in a parameter group, and whether their rate falls with the width."""
    return len(group.get("params", [])), "rate_factor" in group


def _differing_groups(before: list[tuple[int, bool]], now: list[tuple[int, bool]]) -> str:
    """Return in words how the groups of two optimizers differ."""
    scaled = any(by_width for _, by_width in now)
    if scaled != any(by_width for _, by_width in before):
        with_rule, without = ("this run", "the run of it") if scaled else ("the run of it", "this run")
        return f"{with_rule} has --rate-at-width, {without} has not, and they number the weights in another order"
    sizes = [", ".join(str(size) for size, _ in groups) or "none" for groups in (before, now)]
    return f"it is of groups of {sizes[0]} weights, not of {sizes[1]}"


def _saved_moments(checkpoint: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the state of a checkpoint, and the moments of an optimizer by the index of the weight and what they are.

    Raises:
        InitError: it is damaged, or has none.
    """
    try:
        state = read_state(checkpoint)
        tensors = load_training_tensors(checkpoint, state)
    except (DamageError, OSError) as error:
        raise _unreadable(checkpoint, error) from error
    prefix = f"optimizer.{name}."
    found = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    if not found:
        raise _misfit(checkpoint, f"it holds no moments of the {name}'s optimizer")
    return state, found


def _misfit(checkpoint: Path, reason: str) -> InitError:
    return InitError(
        f"--init-optimizer: the optimizer state of {checkpoint} does not fit: {reason}; leave --init-optimizer out, or "
        "train the same architecture on tokens of the same kind"
    )


def _same_weights(checkpoint: Path, parent: Parent) -> bool:
    """Whether a checkpoint has the weights of a model; either may lie in parts.

    Raises:
        InitError: the checkpoint is damaged.
    """
    files = [folder / "model.safetensors" for folder in (checkpoint, parent.folder)]
    try:
        if any(map(is_in_parts, files)):
            return _equal(load_whole(files[0]), parent.tensors)
        digests = {whole_digest(file) for file in files}
    except (DamageError, OSError) as error:
        raise _unreadable(checkpoint, error) from error
    return len(digests) == 1 and None not in digests


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def _unreadable(checkpoint: Path, error: Exception) -> InitError:
    return InitError(
        f"--init-optimizer: the optimizer state of {checkpoint} cannot be read: {error}; give another checkpoint, or "
        "leave --init-optimizer out"
    )


def _means(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _check_kind(init: Path, found: str, wanted: str, command: str) -> None:
    if found == wanted:
        return
    instead = f"; it can be begun from with {TRAINERS[found]}" if found in TRAINERS else ", which cannot be trained on"
    raise InitError(f"--init {init} holds a {shortly(found)}{instead}: {command} begins from a {wanted!r}")


def _public_name(parent: Parent) -> str:
    """Return what people find the model by, without the path of this machine."""
    if is_starter(parent.named):
        return parent.named.as_posix()
    brought = parent.folder.name == TOKENIZER and parent.folder != parent.named
    folder = parent.folder.parent if brought else parent.folder
    if is_hub_model(parent.named):
        return f"{parent.named.as_posix().partition('@')[0]}@{folder.name}"
    folder = folder.resolve()
    behind = f"/{TOKENIZER}" if brought else ""
    if is_checkpoint(folder):
        return f"{folder.parent.parent.name}/checkpoints/{folder.name}{behind}"
    return f"{folder.parent.name if folder.name == 'final' else folder.name}{behind}"


def _steps(folder: Path) -> int | None:
    """Return the optimizer steps that the model in a folder was trained for, as far as its run tells."""
    if is_checkpoint(folder):
        return int(folder.name)
    if folder.name != "final":
        return None
    newest = next(reversed(list_checkpoints(folder.parent)), None)
    if newest is not None:
        return int(newest.name)
    try:
        steps = json.loads((folder.parent / "config.json").read_text(encoding="utf-8"))["steps"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return steps if isinstance(steps, int) and steps >= 0 else None


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_shown(each) for each in value) or "none"
    return str(value)
