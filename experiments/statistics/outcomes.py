"""Trials as arrays: which item was judged correctly, in which run, at which moment.

A run is a list in a version under a seed. Runs and items are crossed: every run judges every item of its list. All that
is resampled or compared is computed from these arrays.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.trials import Moment, Run, TestCondition, TrialRow

Floats = NDArray[np.float64]
CHANCE = 0.5
"""Accuracy of guessing between two images."""

Item = tuple[str, str]
"""List, and name in it."""


@dataclass(frozen=True)
class Outcomes:
    """All trials of one test condition."""

    tested: TestCondition
    moments: tuple[Moment, ...]
    """In order."""
    runs: tuple[Run, ...]
    items: tuple[Item, ...]
    correct: Floats
    """(M, R, I) by moment, run and item: 1 correct, 0 wrong, a tie one half or 0, NaN not tested."""
    guessed: Floats
    """(M, R, I) what guessing has on average: one half, or of a tie what it counts; NaN not tested."""

    @property
    def units(self) -> NDArray[np.int64]:
        """Index of the seed on a list that each run belongs to, (R,).

        Both versions of a list begin from the same weights and take the same order under a seed, and share its luck.
        """
        names = [(run.list, run.seed) for run in self.runs]
        return np.array([sorted(set(names)).index(name) for name in names])

    @property
    def without_ties(self) -> Floats:
        """(M, R, I) as `correct`, but with one half for a tie whatever it counts."""
        return self.correct - self.guessed + 0.5

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of trials at each moment, (M,)."""
        return np.isfinite(self.correct).sum(axis=(1, 2))

    @property
    def shares(self) -> Floats:
        """Share of correct trials at each moment, (M,)."""
        return np.nansum(self.correct, axis=(1, 2)) / self.counts

    def judged_images(self) -> NDArray[np.int64]:
        """Return the number of different images that were judged at each moment, (M,)."""
        return np.isfinite(self.correct).any(axis=1).sum(axis=1)

    def common_moments(self) -> list[Moment]:
        """Return the moments at which every run was tested."""
        tested = np.isfinite(self.correct).any(axis=2).sum(axis=1)
        return [moment for moment, runs in zip(self.moments, tested, strict=True) if runs == len(self.runs)]

    def at(
        self,
        moments: Sequence[Moment],
        runs: Sequence[Run] | None = None,
        items: Sequence[Item] | None = None,
    ) -> Outcomes:
        """Return the outcomes of these moments, runs and items, in their order; all runs and items if not given."""
        runs = runs or self.runs
        items = items or self.items
        index = np.ix_(_positions(self.moments, moments), _positions(self.runs, runs), _positions(self.items, items))
        return Outcomes(
            self.tested, tuple(moments), tuple(runs), tuple(items), self.correct[index], self.guessed[index]
        )

    def of_run(self, run: Run) -> Outcomes:
        """Return the trials of one run: the moments and items at which it was tested."""
        tested = np.isfinite(self.correct[:, self.runs.index(run)])
        moments = [self.moments[index] for index in np.flatnonzero(tested.any(axis=1))]
        items = [self.items[index] for index in np.flatnonzero(tested.any(axis=0))]
        return self.at(moments, (run,), items)


def collect(trials: Iterable[TrialRow]) -> list[Outcomes]:
    """Return the outcomes of every test condition among trials, in order."""
    groups: dict[TestCondition, list[TrialRow]] = defaultdict(list)
    for trial in trials:
        groups[trial.tested].append(trial)
    return [_outcomes(tested, groups[tested]) for tested in sorted(groups)]


def known(value: float) -> float | None:
    """Return a number for a table, None for NaN."""
    return None if math.isnan(value) else value


def _outcomes(tested: TestCondition, trials: Sequence[TrialRow]) -> Outcomes:
    moments = sorted({trial.moment for trial in trials})
    runs = sorted({trial.run for trial in trials})
    items = sorted({(trial.list, trial.item) for trial in trials})
    index = (
        _positions(moments, [trial.moment for trial in trials]),
        _positions(runs, [trial.run for trial in trials]),
        _positions(items, [(trial.list, trial.item) for trial in trials]),
    )
    correct = np.full((len(moments), len(runs), len(items)), np.nan)
    correct[index] = [trial.correct for trial in trials]
    guessed = np.full_like(correct, np.nan)
    guessed[index] = [trial.correct if trial.nll_studied == trial.nll_foil else CHANCE for trial in trials]
    return Outcomes(tested, tuple(moments), tuple(runs), tuple(items), correct, guessed)


def _positions(among: Sequence[Hashable], wanted: Sequence[Hashable]) -> list[int]:
    positions = {value: position for position, value in enumerate(among)}
    return [positions[value] for value in wanted]
