"""How far a ladder has come, read from its folders alone, so that any process of any machine sees the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.scaling.clock import seconds_of
from experiments.scaling.ladder import Cell, Ladder, flops_per_step
from experiments.scaling.measurements import LAST_WRITTEN, Measurement, measurements
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.rates import RateTrial, all_trials
from experiments.scaling.trainings import End, has_diverged, read_end
from storage.lock import LOCK, STALE, find_owner

State = Literal["waiting", "under way", "stopped", "done", "diverged"]
TAIL = 4096
"""Bytes at the end of metrics.jsonl in which its last line lies."""


@dataclass(frozen=True)
class Training:
    """A trial of a learning rate, a trunk, or a cell that leaves one."""

    name: str
    run: Path
    """Its run folder."""
    size: str
    """Name of the size."""
    first: int
    """Step at which it begins: of a cell the one at which it leaves its trunk."""
    steps: int
    """Step at which it ends."""
    step_flop: float
    """FLOP of a step."""
    cell: Cell | None = None
    """None of others."""
    trial: RateTrial | None = None
    """None of others."""

    @property
    def flop(self) -> float:
        """FLOP of all its own steps."""
        return (self.steps - self.first) * self.step_flop


@dataclass(frozen=True)
class Standing:
    """Where a training stands."""

    training: Training
    state: State
    step: int
    """Steps that are done, those of its trunk among them."""
    loss: float | None
    """Newest loss on training items in nats per token; None where there is none."""
    end: End | None
    """How it ended; None while it has not, and of trunks that came to their end."""
    seconds: float | None
    """How long it has taken; None where that is not known."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ("done", "diverged")

    @property
    def flop(self) -> float:
        """FLOP of its own steps that are done."""
        return max(0, self.step - self.training.first) * self.training.step_flop


@dataclass(frozen=True)
class Measured:
    """Where a measurement stands."""

    name: str
    task: str
    state: State
    """`diverged` of a cell that did, which is not measured."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ("done", "diverged")


def trainings_of(options: ScalingRunOptions, ladder: Ladder) -> Iterator[Training]:
    """Yield all trainings of a ladder: trials of learning rates, then each trunk before its cells."""
    for trial in all_trials(options, ladder):
        run = options.out / "rates" / trial.name
        flop = flops_per_step(trial.size.config, options.batch)
        yield Training(trial.name, run, trial.size.name, 0, trial.steps, flop, trial=trial)
    for trunk, cells in ladder.by_trunk.items():
        flop = flops_per_step(trunk.size.config, options.batch)
        last = max(cell.branch for cell in cells)
        yield Training(trunk.name, options.out / "trunks" / trunk.name, trunk.size.name, 0, last, flop)
        for cell in cells:
            run = options.out / "cells" / cell.name
            yield Training(cell.name, run, trunk.size.name, cell.branch, cell.steps, flop, cell)


class Standings:
    """Looks where trainings and measurements stand; trainings that have ended are not looked at again."""

    def __init__(self, options: ScalingRunOptions, ladder: Ladder) -> None:
        self.trainings = list(trainings_of(options, ladder))
        self.measurements = measurements(options, ladder)
        self._ended: dict[str, Standing] = {}

    def read(self) -> list[Standing]:
        """Return where each training stands, in their order."""
        found = []
        for training in self.trainings:
            standing = self._ended.get(training.name) or read_standing(training)
            if standing.ended:
                self._ended[training.name] = standing
            found.append(standing)
        return found

    def measured(self) -> list[Measured]:
        """Return where each measurement stands, in their order, by the newest look at the trainings."""
        return [Measured(one.name, one.task, self._state(one)) for one in self.measurements]

    def _state(self, one: Measurement) -> State:
        trained = self._ended.get(one.cell.name) if one.cell else None
        if trained is not None and trained.state == "diverged":
            return "diverged"
        if (one.folder / LAST_WRITTEN[one.task]).exists():
            return "done"
        if _is_held(one.folder):
            return "under way"
        return "stopped" if (one.folder / "config.json").exists() else "waiting"


def read_standing(training: Training) -> Standing:
    """Return where a training stands."""
    run = training.run
    seconds = seconds_of(run)
    if has_diverged(run) or (run / "final" / "model.safetensors").exists():
        return _ended(training, seconds)
    if not (run / "config.json").exists():
        return Standing(training, "waiting", training.first, None, None, seconds)
    step, loss = _last_metrics(run)
    state: State = "under way" if _is_held(run) else "stopped"
    return Standing(training, state, max(training.first, step), loss, None, seconds)


def seconds_left(standings: Sequence[Standing]) -> float | None:
    """Return the seconds until all are done, at the speed so far of each size, or of all where that is not known.

    Those that are under way side by side go on side by side. None where no speed is known.
    """
    if all(one.ended for one in standings):
        return 0.0
    speeds = {size: _speed([one for one in standings if one.training.size == size]) for size in _sizes(standings)}
    of_all = _speed(standings)
    if of_all is None:
        return None
    left = sum(
        max(0.0, one.training.flop - one.flop) / (speeds[one.training.size] or of_all)
        for one in standings
        if not one.ended
    )
    return left / max(1, sum(one.state == "under way" for one in standings))


def _ended(training: Training, seconds: float | None) -> Standing:
    """Return where a training stands that has its final model, or that diverged before."""
    diverged = has_diverged(training.run)
    if not (training.cell or training.trial or diverged):
        return Standing(training, "done", training.steps, None, None, seconds)
    try:
        end = read_end(training.run, training.steps)
    except ValueError:  # a file is damaged: the table refuses it, this page goes on
        return Standing(training, "diverged" if diverged else "done", training.steps, None, None, seconds)
    state: State = "diverged" if end.why_diverged else "done"
    return Standing(training, state, training.steps, None, end, seconds)


def _sizes(standings: Sequence[Standing]) -> list[str]:
    return list(dict.fromkeys(one.training.size for one in standings))


def _speed(standings: Sequence[Standing]) -> float | None:
    """Return the FLOP per second of trainings whose time is known."""
    timed = [one for one in standings if one.seconds and one.state != "diverged"]
    flop = sum(one.flop for one in timed)
    seconds = sum(one.seconds or 0.0 for one in timed)
    return flop / seconds if flop and seconds else None


def _last_metrics(run: Path) -> tuple[int, float | None]:
    """Return the steps that are done by the last line of a run's metrics, and the last loss; 0 and None of none."""
    step, loss = 0, None
    try:
        with (run / "metrics.jsonl").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return step, loss
    for line in lines:
        try:
            values = json.loads(line)
            step, loss = int(values["step"]) + 1, values.get("loss", loss)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # the first line may be cut, the last half written
    return step, loss if isinstance(loss, int | float) else None


def _is_held(run: Path) -> bool:
    """Whether a process is at work in a run folder, as far as can be told from here."""
    owner = find_owner(run)
    if owner is None:
        return False
    if owner.is_here():
        return owner.runs()
    try:
        return time.time() - (run / LOCK).stat().st_mtime < STALE
    except OSError:
        return False
