"""How a training begins in its run folder: anew, or where the one before it ended, and what is said of changes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from storage.checkpoints import newest_checkpoint
from storage.metrics_log import truncate_metrics
from storage.options import Options
from storage.places import list_checkpoints
from storage.run_folder import RunCheck, RunFolderError, check_run, open_run
from training.curves import discard_curves
from training.options import TrainingOptions
from training.schedule import kept_steps, rate_at, trunk_steps
from training.trunk import trunk_checkpoint
from training.writing import copy_checkpoint, discard_after, keep_for_good

MADE_AT_START = ("environment.json", "data.json", "trackers")
"""What a training makes in its run folder before it is one: see `storage.run_folder.leaving_nothing`."""

SAMPLE_ENDINGS = (".npy", ".png")
"""Endings of what trainings write into `samples/`, under the number of steps done."""


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


def find_checkpoint(options: Options, training: TrainingOptions, out: Path, check: RunCheck, data: str) -> Path | None:
    """Return the checkpoint from which a run goes on, None if it begins; it lies in another run if that is its trunk.

    A wsd run that goes on to another end goes back to where no decay has begun, neither the one before nor its own.

    Args:
        options: of the command.
        training: those of them that all trainings have.
        out: the run folder.
        check: what was found in it.
        data: name of the option that names what is learned from.

    Raises:
        RunFolderError: it has done more steps than are asked for, has a final model alone, or has no checkpoint from
            before the decay; or the trunk cannot be gone on from.
    """
    if not check.continues:
        return None if training.trunk is None else trunk_checkpoint(options, training, out, data)
    checkpoint = newest_checkpoint(out)
    if checkpoint is None:
        raise RunFolderError(
            f"{out} holds a final model and no checkpoint from which its training could be continued: replace it with "
            "--overwrite, or choose another --out"
        )
    done = int(checkpoint.name)
    if done > training.steps:
        raise RunFolderError(
            f"--steps {training.steps} is less than the {done} steps that the run in {out} has done: give --steps "
            f"{done} or more, begin anew with --overwrite, or choose another --out"
        )
    last = _last_in_common(training, check)
    if last is None or done <= last:
        return checkpoint
    earlier = newest_checkpoint(out, until=last)
    if earlier is None:
        raise RunFolderError(
            f"the run in {out} cannot end otherwise ({_ends(training, check, done)}): it would have to go on from a "
            f"checkpoint of step {last} or before, and the oldest is that of step "
            f"{int(list_checkpoints(out)[0].name)}; begin anew with --overwrite, or choose another --out"
        )
    return earlier


def begin_run(
    options: Options, training: TrainingOptions, out: Path, check: RunCheck, first: int, checkpoint: Path | None = None
) -> None:
    """Make `out` the folder of this run, when everything else was checked; the next thing is the first step.

    What the run that was there before made after that step is removed, and it is said what becomes of the rate.

    Args:
        options: of the command.
        training: those of them that all trainings have.
        out: the run folder.
        check: what was found in it.
        first: steps done.
        checkpoint: what it goes on from. One of another run is copied, and so are that run's metrics up to there.
    """
    last = _last_in_common(training, check)
    replaced = [] if last is None else discard_after(out, last)  # what was not on the way to this end
    open_run(out, options, training.resume, training.overwrite, same=check.moved)
    if checkpoint is not None and not check.continues:
        trunk = checkpoint.parent.parent
        copy_checkpoint(checkpoint, out)
        if (trunk / "metrics.jsonl").exists():
            shutil.copyfile(trunk / "metrics.jsonl", out / "metrics.jsonl")
    keep_for_good(out, kept_steps(training))
    truncate_metrics(out, first)
    _discard_samples(out, first if check.continues else 0)
    if not check.continues:
        discard_curves(out)
    if first < training.steps:
        # The newest checkpoint is the model of a run that has not come to its end.
        shutil.rmtree(out / "final", ignore_errors=True)
    _say_schedule(training, check, first, replaced)


def _discard_samples(out: Path, last: int) -> None:
    """Remove the samples that a training made after later steps than `last`; what people put beside them stays."""
    samples = out / "samples"
    for path in samples.glob("*"):
        number = path.stem
        if path.suffix in SAMPLE_ENDINGS and number.isascii() and number.isdecimal() and int(number) > last:
            path.unlink()
    if samples.is_dir() and not any(samples.iterdir()):
        samples.rmdir()


def _say_schedule(training: TrainingOptions, check: RunCheck, first: int, replaced: Sequence[int]) -> None:
    """Say what becomes of the learning rate where a run goes on to another number of steps, or from another run.

    Args:
        training: how it is trained.
        check: what was found in the run folder.
        first: steps done.
        replaced: steps of the checkpoints that were removed, as they were on the way to another end.
    """
    if not check.continues and first:
        print(f"begins with step {first} of {training.trunk}, and decays from here on", file=sys.stderr)
    if not check.continues or first >= training.steps:
        return
    if _last_in_common(training, check) is not None:
        advice = (
            ", and what came after is replaced; to keep both ends, name this run as the --trunk of another"
            if replaced
            else ""
        )
        print(
            f"the run ends otherwise ({_ends(training, check, max(replaced, default=first))}): it goes on from step "
            f"{first}, before a decay began{advice}",
            file=sys.stderr,
        )
    elif "steps" in check.changes:
        before = f"{rate_at(first - 1, _as_before(training, check)):.3g}"
        now = f"{rate_at(first, training):.3g}"
        rises = first >= training.warmup and float(now) > float(before)
        print(
            f"the learning rate {'rises again, as it ' if rises else ''}follows the schedule of {training.steps} steps "
            f"from here on: it was {before} and is {now} at step {first}",
            file=sys.stderr,
        )


def _as_before(training: TrainingOptions, check: RunCheck) -> TrainingOptions:
    """Return how a run was trained before its options changed, as far as the learning rate goes."""
    before = {name: check.changes[name].before for name in ("steps", "decay_steps") if name in check.changes}
    return replace(training, **before, keep_at=(), trunk=None)


def _last_in_common(training: TrainingOptions, check: RunCheck) -> int | None:
    """Return the last step up to which a wsd run is trained as it was before; None if nothing changed after it."""
    now = trunk_steps(training)
    if now is None or not check.continues:
        return None
    earlier = _as_before(training, check)
    before = trunk_steps(earlier)
    assert before is not None, "another schedule is refused"
    return None if (before, earlier.steps) == (now, training.steps) else min(before, now)


def _ends(training: TrainingOptions, check: RunCheck, done: int) -> str:
    """Return where a wsd run that had done so many steps decayed, or was to, and where it is to now, in words."""
    earlier = _as_before(training, check)
    begun = trunk_steps(earlier)
    assert begun is not None, "asked of wsd alone"
    before = f"{'decayed' if done > begun else 'was to decay'} from step {begun} to {earlier.steps}"
    return f"it {before}, and is to from step {trunk_steps(training)} to {training.steps}"
