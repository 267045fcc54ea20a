"""Correlations between measures of pictures, as they are and by random weights of pictures, runs and participants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from experiments.memory.items.pictures import Pictures
from experiments.statistics.correlation import (
    FEWEST,
    Coefficient,
    Indices,
    Measure,
    correlations,
    covariances,
    draw_item_weights,
    draw_weights,
    pooled,
)
from experiments.statistics.outcomes import Floats

MOST_NUMBERS = 20_000_000
"""That are in memory at once while weights are drawn."""


@dataclass(frozen=True)
class Sampling:
    """How intervals and ceilings are computed."""

    resamples: int
    splits: int
    seed: int

    def generator(self) -> np.random.Generator:
        """Return what draws, the same for every comparison."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class Variable:
    """A measure by its name, and on which side it stands, which decides with whose weights it is averaged."""

    name: str
    measure: Measure
    of_model: bool


class Covariances(NamedTuple):
    """Covariances (1, V, V), or by random weights (B, V, V), of each stratum."""

    observed: dict[int, Floats]
    over_items: dict[int, Floats]
    over_all: dict[int, Floats]
    sides: list[tuple[dict[int, Floats], int]]
    """With random weights of one side's units alone, and their number."""


class Matrices(NamedTuple):
    """Correlations (1, V, V), or by random weights (B, V, V)."""

    observed: Floats
    over_items: Floats
    over_all: Floats
    sides: list[tuple[Floats, int]]
    """With random weights of one side's units alone, and their number."""


@dataclass(frozen=True)
class Comparison:
    """Variables of the pictures that all of them have a value of, and their correlations."""

    pictures: Pictures
    variables: tuple[Variable, ...]
    sampling: Sampling
    coefficient: Coefficient

    @cached_property
    def places(self) -> Indices:
        """Places (N,) of the pictures: all variables have a value, and the stratum has enough of them."""
        known = np.isfinite([variable.measure.values for variable in self.variables]).all(axis=0)
        sizes = np.bincount(self.pictures.strata[known], minlength=self.pictures.strata.max() + 1)
        return np.flatnonzero(known & (sizes[self.pictures.strata] >= FEWEST))

    def places_in(self, condition: str | None) -> Indices:
        """Return those of a condition, or of all."""
        return np.intersect1d(self.places, self.pictures.places_in(condition))

    def matrices(self, condition: str | None) -> Matrices:
        """Return the correlations in a condition, or within all, as they are and by random weights."""
        strata = np.unique(self.pictures.strata[self.places_in(condition)])

        def of(covariances_by_stratum: dict[int, Floats]) -> Floats:
            return correlations(pooled([covariances_by_stratum[int(stratum)] for stratum in strata]))

        sides = [(of(found), units) for found, units in self._covariances.sides]
        return Matrices(
            of(self._covariances.observed), of(self._covariances.over_items), of(self._covariances.over_all), sides
        )

    @cached_property
    def _covariances(self) -> Covariances:
        strata = self.pictures.strata[self.places]
        measures = [variable.measure.of(self.places) for variable in self.variables]
        generator = self.sampling.generator()
        even = np.ones((1, len(strata)))
        observed = np.stack([measure.values for measure in measures])[None]
        units = {of_model: self._units(of_model) for of_model in (False, True)}
        sides: dict[bool, list[dict[int, Floats]]] = {side: [] for side, number in units.items() if number > 1}
        over_items: list[dict[int, Floats]] = []
        over_all: list[dict[int, Floats]] = []
        for draws in _blocks(self.sampling.resamples, len(strata) * len(measures)):
            weights = draw_item_weights(draws, strata, self.pictures.trials[self.places], generator)
            drawn = self._drawn(measures, draws, generator)
            over_items.append(covariances(observed, weights, strata, self.coefficient))
            over_all.append(covariances(drawn, weights, strata, self.coefficient))
            for side, found in sides.items():
                of_side = np.array([variable.of_model == side for variable in self.variables])
                alone = np.where(of_side[None, :, None], drawn, observed)
                found.append(covariances(alone, np.repeat(even, draws, axis=0), strata, self.coefficient))
        return Covariances(
            covariances(observed, even, strata, self.coefficient),
            _joined(over_items),
            _joined(over_all),
            [(_joined(found), units[side]) for side, found in sides.items()],
        )

    def _units(self, of_model: bool) -> int:
        """Return the units of a side: runs, or participants."""
        return max((variable.measure.units for variable in self.variables if variable.of_model == of_model), default=1)

    def _drawn(self, measures: Sequence[Measure], draws: int, generator: np.random.Generator) -> Floats:
        """Return the variables (B, V, N) with random weights of runs and of participants."""
        weights: dict[tuple[bool, int], Floats] = {}
        drawn = []
        for variable, measure in zip(self.variables, measures, strict=True):
            side = (variable.of_model, measure.units)
            if side not in weights:
                weights[side] = draw_weights(draws, measure.units, generator)
            drawn.append(measure.means(weights[side]))
        return np.stack(drawn, axis=1)


def _blocks(draws: int, numbers: int) -> Iterator[int]:
    """Yield into how many draws at a time so many are divided, of `numbers` each."""
    most = max(1, MOST_NUMBERS // max(1, numbers))
    while draws > 0:
        yield min(most, draws)
        draws -= most


def _joined(blocks: Sequence[dict[int, Floats]]) -> dict[int, Floats]:
    return {stratum: np.concatenate([block[stratum] for block in blocks]) for stratum in blocks[0]}
