"""Beginning a run with the trunk of another: what was trained at a rate that had not yet begun to fall."""

from __future__ import annotations

from pathlib import Path

from storage.checked_files import DamageError
from storage.checkpoints import check_checkpoint
from storage.options import Options, value_at
from storage.places import list_checkpoints
from storage.run_folder import RunFolderError, holds_training, other_options, read_options
from training.options import TrainingOptions
from training.schedule import trunk_steps

WITH_TRUNK = ("wsd", "constant")
"""Schedules whose rate does not depend on the number of steps until a decay begins."""


def trunk_checkpoint(options: Options, training: TrainingOptions, out: Path, data: str) -> Path:
    """Return the checkpoint of `training.trunk` that lies where the decay of this run begins.

    Args:
        options: of the command.
        training: those of them that all trainings have.
        out: the run folder.
        data: name of the option that names what is learned from; whether it is the same the command must see.

    Raises:
        RunFolderError: the trunk is no run of this command or has other options; its rate has begun to fall before; or
            it has no such checkpoint, or a damaged one.
    """
    trunk = training.trunk
    step = trunk_steps(training)
    assert trunk is not None, "asked for"
    assert step is not None, "checked with the options"
    if trunk.resolve() == out.resolve():
        raise RunFolderError(f"--trunk {trunk} is --out itself: a run begins with the trunk of another; choose another")
    _refuse_what_lies_in_a_run(trunk)
    before: TrainingOptions = value_at(read_options(trunk, type(options)), ("training",))
    if before.schedule not in WITH_TRUNK:
        raise RunFolderError(
            f"--trunk {trunk} was trained with --schedule {before.schedule}, whose rate falls from the warm-up on: "
            f"name a run of --schedule {' or '.join(WITH_TRUNK)}"
        )
    differing = other_options(trunk, options, but=("steps", "decay_steps", "schedule", data))
    if differing:
        raise RunFolderError(f"--trunk {trunk} was trained with other options ({differing}): give the same ones")
    begun = trunk_steps(before)
    if begun is not None and begun < step:
        raise RunFolderError(
            f"--trunk {trunk} began to decay at step {begun}, and this run does at step {step}: give --steps and "
            f"--decay-steps that differ by {begun} at most, or name a longer run"
        )
    return _whole(trunk, step)


def _refuse_what_lies_in_a_run(trunk: Path) -> None:
    if not trunk.exists() or holds_training(trunk):
        return
    for run in list(trunk.parents)[:2]:
        if holds_training(run):
            raise RunFolderError(f"--trunk {trunk} lies in a run: give the run, {run}")


def _whole(trunk: Path, step: int) -> Path:
    there = {int(path.name): path for path in list_checkpoints(trunk)}
    if step not in there:
        listed = ", ".join(map(str, there)) or "none"
        raise RunFolderError(
            f"--trunk {trunk} has no checkpoint of step {step}, where the decay of this run begins; there are: "
            f"{listed}. Give --steps and --decay-steps that differ by one of these, or train the trunk with --keep-at "
            f"{step}"
        )
    try:
        check_checkpoint(there[step])
    except DamageError as error:
        raise RunFolderError(f"--trunk {trunk} cannot be gone on from: {error}") from error
    return there[step]
