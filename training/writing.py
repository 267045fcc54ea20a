"""How checkpoints are written: beside their place, by all processes that have something to write, and then renamed.

What was killed on the way leaves a folder that ends in `.tmp`, which is no checkpoint; the next save removes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import torch.distributed as dist

from storage.checked_files import DamageError
from storage.checkpoints import best_checkpoint, is_kept, read_state, state_text
from storage.files import temporary_path, to_json, write_text
from storage.model_folder import save_model_folder
from storage.naming import naming
from storage.places import list_checkpoints, part_path
from storage.tensor_files import is_finite, save_tensors
from storage.tensor_parts import Part, write_index
from training.processes import process_count, process_index
from training.snapshots import Pieces, Snapshot

ADVICE = "the last checkpoint is kept: look at what was read, or train again with a lower --learning-rate"

Value = TypeVar("Value")


class CheckpointWriteError(OSError):
    """A checkpoint could not be written, as on a full disk; those before it are whole."""


@dataclass(frozen=True)
class Together:
    """The processes of a run, as they write one checkpoint together; one alone agrees with itself."""

    group: Any = None
    """Group of all processes for this alone, if other threads exchange something meanwhile; None is that of all."""

    def do(self, action: Callable[[], Value]) -> list[Value]:
        """Run `action` on every process, and return the results of all in their order.

        Raises:
            Exception: what it raised on the first process, or, with the same message, on another; the others exit, so
                that people read it once.
        """
        if not dist.is_initialized():
            return [action()]
        failure: Exception | None = None
        outcome: tuple[str, Any]
        try:
            outcome = ("", action())
        except Exception as error:
            failure = error
            outcome = ("OSError" if isinstance(error, OSError) else type(error).__name__, str(error))
        outcomes: list[Any] = [None] * process_count()
        dist.all_gather_object(outcomes, outcome, group=self.group)
        failed = [(kind, text) for kind, text in outcomes if kind]
        if failed and process_index() > 0:
            raise SystemExit(1)
        if failure is not None:
            raise failure
        for kind, text in failed:
            raise _SAID.get(kind, RuntimeError)(text)
        return [value for _, value in outcomes]

    def on_first(self, action: Callable[[], Value]) -> Value:
        """Run `action` on the first process and return its result on all; see `do`."""
        first = self.do(lambda: action() if process_index() == 0 else None)[0]
        return cast(Value, first)


_SAID: dict[str, type[Exception]] = {kind.__name__: kind for kind in (OSError, FloatingPointError)}
"""What of another process is told as it is, by name; all else is a defect."""


def write_checkpoint(
    run: Path,
    snapshot: Snapshot,
    keep: int,
    together: Together,
    check: Callable[[], object] = lambda: None,
    keep_at: Collection[int] = (),
) -> Path:
    """Write `run/checkpoints/<step>` beside, rename it into place, and prune all but the newest `keep` and the best.

    All processes call it together. Checkpoints of later steps go too: a run that goes on from an earlier one found
    them damaged.

    Args:
        run: the run folder; if it is written in parts, one that all processes share.
        snapshot: what this process writes.
        keep: how many of the newest checkpoints stay.
        together: the processes.
        check: called on the first process before anything is written and before it is renamed, to raise an error if
            the folder is no longer this run's.
        keep_at: steps whose checkpoints are never pruned, also where a later save does not name them.

    Raises:
        CheckpointWriteError: the disk is full, or the folder cannot be written.
        FloatingPointError: a weight of the model, or a moment of an optimizer, is not finite.
    """
    snapshot.finish()
    snapshot = replace(snapshot, state={**snapshot.state, "kept": snapshot.step in keep_at})
    together.do(lambda: _check_finite(snapshot))
    final = run / "checkpoints" / f"{snapshot.step:06d}"
    unfinished = temporary_path(final)
    try:
        unfinished = together.on_first(lambda: _begin(run, unfinished, check))
        written = together.do(lambda: _write_own(unfinished, snapshot))
        together.on_first(lambda: _finish(unfinished, final, snapshot, written, check))
    except BaseException as error:
        if process_index() == 0:
            shutil.rmtree(unfinished, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise CheckpointWriteError(
            f"the checkpoint of step {snapshot.step} cannot be written to {run}: {error}; those before it are whole: "
            "make room there and continue with --resume auto"
        ) from error
    if process_index() == 0:
        _prune(run, keep, snapshot.step, keep_at)
    return final


def _check_finite(snapshot: Snapshot) -> None:
    for name, piece in {**snapshot.weights, **snapshot.tensors}.items():
        if not is_finite(piece.tensor):
            raise FloatingPointError(f"after step {snapshot.step}, {name} is not finite; {ADVICE}")


def _begin(run: Path, unfinished: Path, check: Callable[[], object]) -> Path:
    """Make the folder that is written into, on the first process, and return it."""
    check()
    _remove_unfinished(run)
    (unfinished / "training_state").mkdir(parents=True)
    return unfinished


@dataclass(frozen=True)
class _Written:
    """What a process wrote."""

    weights: Part
    tensors: Part


_NOTHING = Part(digest=None, places={})


def _write_own(folder: Path, snapshot: Snapshot) -> _Written:
    """Write what this process has: its part, or on the first process of a checkpoint without parts all tensors."""
    if snapshot.in_parts:
        return _Written(
            weights=_write_part(_model(folder), snapshot.weights),
            tensors=_write_part(_moments(folder), snapshot.tensors),
        )
    if process_index() > 0:
        return _Written(_NOTHING, _NOTHING)
    model = save_model_folder(folder, snapshot.description, _plain(snapshot.weights))
    moments = save_tensors(_moments(folder), _plain(snapshot.tensors))
    for file in (_model(folder), _moments(folder)):
        _to_disk(file)
    return _Written(weights=Part(model, {}), tensors=Part(moments, {}))


def _write_part(path: Path, pieces: Pieces) -> Part:
    """Write what this process holds of the tensors that are asked for as `path`."""
    if not pieces:
        return _NOTHING
    file = part_path(path, process_index(), process_count())
    digest = save_tensors(file, _plain(pieces))
    _to_disk(file)
    return Part(digest=digest, places={name: piece.place for name, piece in pieces.items()})


def _finish(
    folder: Path, final: Path, snapshot: Snapshot, written: list[_Written], check: Callable[[], object]
) -> None:
    """Make, on the first process, a checkpoint of what all have written, and give it its name."""
    digests = {"model": written[0].weights.digest, "training_state": written[0].tensors.digest}
    if snapshot.in_parts:
        write_text(folder / "config.json", to_json(snapshot.description))
        weights = [each.weights for each in written]
        tensors = [each.tensors for each in written]
        _check_shared(_model(folder), weights)
        _check_shared(_moments(folder), tensors)
        digests = {
            "model": write_index(_model(folder), weights, snapshot.description),
            "training_state": write_index(_moments(folder), tensors),
        }
    write_text(folder / "training_state" / "state.json", state_text({**snapshot.state, "digests": digests}))
    for file in folder.rglob("*.json"):
        _to_disk(file)  # the name must not be there before the content, should the machine lose its power
    check()
    if final.exists():
        _discard(final)
    os.replace(folder, final)


def _check_shared(path: Path, parts: list[Part]) -> None:
    """Make sure that the first process sees what the others wrote.

    Raises:
        OSError: it does not.
    """
    for process, part in enumerate(parts):
        file = part_path(path, process, len(parts))
        if part.digest is not None and not file.exists():
            raise OSError(
                f"the first process does not see what process {process} wrote ({file}); --checkpoints sharded needs a "
                "folder that all machines share"
            )


def _model(folder: Path) -> Path:
    return folder / "model.safetensors"


def _moments(folder: Path) -> Path:
    return folder / "training_state" / "tensors.safetensors"


def _plain(pieces: Pieces) -> dict[str, Any]:
    return {name: piece.tensor for name, piece in pieces.items()}


def _to_disk(file: Path) -> None:
    with naming(file), file.open("rb") as opened:
        os.fsync(opened.fileno())


def copy_checkpoint(checkpoint: Path, run: Path) -> None:
    """Make a checkpoint of another run one of `run` as well; it appears by rename.

    Raises:
        CheckpointWriteError: the disk is full, or the folder cannot be written.
    """
    final = run / "checkpoints" / checkpoint.name
    temporary = temporary_path(final)
    try:
        shutil.copytree(checkpoint, temporary)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointWriteError(f"the checkpoint {checkpoint} cannot be copied to {run}: {error}") from error
    os.replace(temporary, final)


def keep_for_good(run: Path, steps: Collection[int]) -> None:
    """Note in the checkpoints of these steps that are there already that they are never pruned; not in damaged ones."""
    for checkpoint in list_checkpoints(run):
        if int(checkpoint.name) not in steps:
            continue
        try:
            state = read_state(checkpoint)
        except (DamageError, OSError):
            continue
        if not state.get("kept"):
            write_text(checkpoint / "training_state" / "state.json", state_text({**state, "kept": True}))


def discard_after(run: Path, step: int) -> list[int]:
    """Remove the checkpoints of a run that are of later steps than `step`, and return their steps."""
    later = [checkpoint for checkpoint in list_checkpoints(run) if int(checkpoint.name) > step]
    for checkpoint in later:
        _discard(checkpoint)
    return [int(checkpoint.name) for checkpoint in later]


def _prune(run: Path, keep: int, step: int, keep_at: Collection[int]) -> None:
    """Discard all checkpoints but that of `step`, which was written just now, those before it, and the best.

    Of those before it, the ones of the steps `keep_at` stay, and those that were once noted to be kept for good.
    """
    complete = list_checkpoints(run)
    until_now = [path for path in complete if int(path.name) <= step]
    named = [path for path in until_now if int(path.name) in keep_at or is_kept(path)]
    kept = {*until_now[-keep:], *named, best_checkpoint(run)} - {path for path in complete if path not in until_now}
    for old in complete:
        if old not in kept:
            _discard(old)


def _discard(checkpoint: Path) -> None:
    """Remove a checkpoint; killed on the way, it leaves nothing that looks like one."""
    doomed = temporary_path(checkpoint.with_name(f"{checkpoint.name}.old"))
    os.replace(checkpoint, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _remove_unfinished(run: Path) -> None:
    """Remove what was left unfinished, by this process or by one before it: there is one writer to a run."""
    for folder in (run / "checkpoints").glob("*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)
