"""Trials as arrays: which item was judged correctly, in which run, at which moment.

A run is a list in a version under a seed. Runs and items are crossed: every run judges every item of its list. All that
is resampled or compared is computed from these arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Way(NamedTuple):
    """What is tested, and how it is judged."""

    model: str
    """Empty where there is only one."""
    learner: str
    change: str
    condition: str


class Moment(NamedTuple):
    """When it is tested: after so many passes over the list, and then over another."""

    exposure: int
    interference: int


class Run(NamedTuple):
    """One model that studied one list."""

    list: str
    version: str
    seed: str


Item = tuple[str, str]
"""List, and name in it."""


@dataclass(frozen=True)
class Outcomes:
    """All trials of one way of testing."""

    way: Way
    moments: tuple[Moment, ...]
    """In order."""
    runs: tuple[Run, ...]
    items: tuple[Item, ...]
    correct: Floats
    """(M, R, I) by moment, run and item: 1 correct, 0 wrong, one half a tie, NaN not tested."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of trials at each moment, (M,)."""
        return np.isfinite(self.correct).sum(axis=(1, 2))

    @property
    def shares(self) -> Floats:
        """Share of correct trials at each moment, (M,)."""
        return np.nansum(self.correct, axis=(1, 2)) / self.counts

    def at(
        self,
        moments: Sequence[Moment],
        runs: Sequence[Run] | None = None,
        items: Sequence[Item] | None = None,
    ) -> Outcomes:
        """Return the part with these moments, runs and items, in their order; all runs and items if not given."""
        runs, items = runs or self.runs, items or self.items
        index = np.ix_(_places(self.moments, moments), _places(self.runs, runs), _places(self.items, items))
        return Outcomes(self.way, tuple(moments), tuple(runs), tuple(items), self.correct[index])

    def of_run(self, run: Run) -> Outcomes:
        """Return the trials of one run: the moments and items at which it was tested."""
        tested = np.isfinite(self.correct[:, self.runs.index(run)])
        moments, items = np.flatnonzero(tested.any(axis=1)), np.flatnonzero(tested.any(axis=0))
        return self.at([self.moments[place] for place in moments], (run,), [self.items[place] for place in items])


def collect(trials: Iterable[dict[str, str]]) -> list[Outcomes]:
    """Return the outcomes of every way of testing among the rows of `trials.csv`, in order."""
    groups: dict[Way, list[dict[str, str]]] = defaultdict(list)
    for trial in trials:
        way = Way(trial.get("model", ""), trial["learner"], trial["change"], trial["condition"])
        groups[way].append(trial)
    return [_outcomes(way, groups[way]) for way in sorted(groups)]


def run_of(trial: dict[str, str]) -> Run:
    """Return the run that a row of `trials.csv` belongs to."""
    return Run(trial["list"], trial["version"], trial["seed"])


def moment_of(trial: dict[str, str]) -> Moment:
    """Return when the trial of a row of `trials.csv` took place."""
    return Moment(int(trial["exposure"]), int(trial["interference"]))


def _outcomes(way: Way, trials: Sequence[dict[str, str]]) -> Outcomes:
    moments, runs = sorted({moment_of(trial) for trial in trials}), sorted({run_of(trial) for trial in trials})
    items = sorted({(trial["list"], trial["item"]) for trial in trials})
    index = (
        _places(moments, [moment_of(trial) for trial in trials]),
        _places(runs, [run_of(trial) for trial in trials]),
        _places(items, [(trial["list"], trial["item"]) for trial in trials]),
    )
    correct = np.full((len(moments), len(runs), len(items)), np.nan)
    correct[index] = [float(trial["correct"]) for trial in trials]
    return Outcomes(way, tuple(moments), tuple(runs), tuple(items), correct)


def _places(among: Sequence[Hashable], wanted: Sequence[Hashable]) -> list[int]:
    places = {value: place for place, value in enumerate(among)}
    return [places[value] for value in wanted]
