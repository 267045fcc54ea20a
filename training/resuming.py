"""How a training begins in its run folder: anew, or where the one before it ended, and what is said of changes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from storage.checkpoints import newest_checkpoint
from storage.metrics_log import truncate_metrics
from storage.options import Options
from storage.run_folder import RunCheck, RunFolderError, check_run, open_run
from training.options import TrainingOptions
from training.schedule import learning_rate

MADE_AT_START = ("environment.json", "data.json", "trackers")
"""What a training makes in its run folder before it is one: see `storage.run_folder.leaving_nothing`."""


def check_training(options: Options, training: TrainingOptions, out: Path, data: str) -> RunCheck:
    """Check that `out` can be the run folder of a training; nothing is written.

    Args:
        options: of the command.
        training: those of them that all trainings have.
        out: the run folder.
        data: name of the option that names what is learned from; it may be another path if the same lies there.

    Raises:
        RunFolderError: see `storage.run_folder.check_run`.
    """
    return check_run(out, options, training.resume, training.overwrite, by_content=[data])


def find_checkpoint(out: Path, check: RunCheck, steps: int) -> Path | None:
    """Return the checkpoint from which a run goes on, None if it begins.

    Raises:
        RunFolderError: it has done more steps than are asked for, or has a final model alone.
    """
    if not check.continues:
        return None
    checkpoint = newest_checkpoint(out)
    if checkpoint is None:
        raise RunFolderError(
            f"{out} holds a final model and no checkpoint from which its training could be continued: replace it with "
            "--overwrite, or choose another --out"
        )
    done = int(checkpoint.name)
    if done > steps:
        raise RunFolderError(
            f"--steps {steps} is less than the {done} steps that the run in {out} has done: give --steps {done} or "
            "more, begin anew with --overwrite, or choose another --out"
        )
    return checkpoint


def begin_run(options: Options, training: TrainingOptions, out: Path, check: RunCheck, first: int) -> None:
    """Make `out` the folder of this run, when everything else was checked; the next thing is the first step.

    Args:
        options: of the command.
        training: those of them that all trainings have.
        out: the run folder.
        check: what was found in it.
        first: steps done.
    """
    open_run(out, options, training.resume, training.overwrite, same=check.moved)
    truncate_metrics(out, first)
    if first < training.steps:
        # The newest checkpoint is the model of a run that has not come to its end.
        shutil.rmtree(out / "final", ignore_errors=True)


def say_schedule(training: TrainingOptions, check: RunCheck, first: int, floor: float = 0.1) -> None:
    """Say what becomes of the learning rate where a run goes on to another number of steps.

    Args:
        training: how it is trained.
        check: what was found in the run folder.
        first: steps done.
        floor: share of the peak at which the learning rate ends.
    """
    if "steps" not in check.changes or first >= training.steps:
        return
    peak = training.learning_rate
    before = learning_rate(first - 1, check.changes["steps"].before, peak, training.warmup, floor)
    now = learning_rate(first, training.steps, peak, training.warmup, floor)
    print(
        f"the learning rate follows the schedule of {training.steps} steps from here on: it was {before:.3g} and is "
        f"{now:.3g} at step {first}",
        file=sys.stderr,
    )
