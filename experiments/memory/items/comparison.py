"""What models remember of pictures beside what people do: correlations within conditions, and their ceiling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from experiments.memory.items.models import BITS, GAIN, MEASURES, MISLEADING, RATIO, RAW, Model
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.sources import Source
from experiments.memory.items.tables import COMPLEXITY, NOTHING, POOLED, Correlation, CourseRow, ReliabilityRow
from experiments.statistics.correlation import (
    FEWEST,
    Coefficient,
    Estimate,
    Indices,
    Measure,
    correlations,
    covariances,
    draw_item_weights,
    draw_weights,
    estimate,
    partial_correlations,
    pooled,
)
from experiments.statistics.multiplicity import holm
from experiments.statistics.outcomes import Floats
from experiments.statistics.reliability import split_half
from storage.terminal import count

COEFFICIENTS: tuple[Coefficient, ...] = ("spearman", "pearson")
MOST_NUMBERS = 20_000_000
"""That are in memory at once while weights are drawn."""
MOST_MOMENTS = 20
"""Exposures that are shown in the course of study."""


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


def compare(
    model: Model,
    exposure: int,
    source: Source,
    covariates: Mapping[str, Measure],
    pictures: Pictures,
    sampling: Sampling,
    coefficients: Sequence[Coefficient] = COEFFICIENTS,
) -> list[Correlation]:
    """Return how all measures of a model go with all of a source.

    Args:
        model: that has studied the pictures.
        exposure: after which it is measured.
        source: what it is compared with.
        covariates: measures of complexity, partialled out one by one and all together.
        pictures: N of them.
        sampling: how intervals are computed.
        coefficients: Spearman's, Pearson's or both.
    """
    measures = model.measures(exposure)
    tested = [name for name in (*MEASURES, *MISLEADING) if name in measures]
    rows: list[Correlation] = []
    for of_source, measure in source.measures.items():
        variables = (
            Variable(of_source, measure, of_source == BITS),
            *(Variable(name, measures[name], True) for name in tested),
            *(Variable(name, each, name == BITS) for name, each in covariates.items()),
        )
        for coefficient in coefficients:
            comparison = Comparison(pictures, variables, sampling, coefficient)
            for condition in conditions_of(pictures):
                blank = _blank(model, exposure, source, of_source, condition, comparison)
                rows += _rows(blank, comparison, tested, list(covariates))
    return rows


def complexity_of(model: Model, exposure: int, complexity: Mapping[str, Measure]) -> dict[str, Measure]:
    """Return measures of complexity, with the bits of the model before study where it tells them."""
    bits = model.measures(exposure).get(BITS)
    return {**({} if bits is None else {BITS: bits}), **complexity}


def correct_for_number(rows: Sequence[Correlation]) -> list[Correlation]:
    """Return rows with Holm's p-values, of all that do not mislead, by coefficient and what was partialled out."""
    families: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        if row.p is not None and not row.misleading and row.kind != COMPLEXITY:
            families.setdefault((row.coefficient, row.partialled), []).append(index)
    corrected = list(rows)
    for family in families.values():
        adjusted = holm([rows[index].p or 0.0 for index in family])
        for index, p in zip(family, adjusted, strict=True):
            corrected[index] = replace(rows[index], p_holm=p)
    return corrected


def reliabilities(
    who: str, measures: Mapping[str, Measure], groups: Sequence[object], pictures: Pictures, sampling: Sampling
) -> list[ReliabilityRow]:
    """Return how far halves of the units agree on each measure, in each condition.

    Args:
        who: name of the source, or of the model.
        measures: of N pictures.
        groups: (U,) what units have in common; each group is divided by itself.
        pictures: N of them.
        sampling: how many divisions.
    """
    rows = []
    for name, measure in measures.items():
        for condition in conditions_of(pictures):
            places = _enough(measure, pictures, pictures.places_in(condition))
            for coefficient in COEFFICIENTS:
                found = split_half(
                    measure.of(places),
                    pictures.strata[places],
                    groups,
                    coefficient,
                    sampling.splits,
                    sampling.generator(),
                )
                rows.append(
                    ReliabilityRow(
                        who=who,
                        measure=name,
                        condition=condition or POOLED,
                        coefficient=coefficient,
                        pictures=len(places),
                        units=measure.units,
                        halves=_known(found.halves),
                        reliability=_known(found.whole),
                        ceiling=_known(found.ceiling),
                    )
                )
    return rows


def with_ceilings(rows: Sequence[Correlation], found: Sequence[ReliabilityRow]) -> list[Correlation]:
    """Return correlations with the ceilings that follow from reliabilities; none where something is partialled out."""
    known = {(row.who, row.measure, row.condition, row.coefficient): row.ceiling for row in found}

    def complete(row: Correlation) -> Correlation:
        where = (row.condition, row.coefficient)
        of_source = known.get((row.source, row.source_measure, *where))
        of_runs = known.get((called(row.model, row.readout), row.measure, *where))
        if row.partialled != NOTHING or of_source is None:
            return row
        return replace(row, ceiling=of_source, ceiling_of_runs=None if of_runs is None else of_source * of_runs)

    return [complete(row) for row in rows]


def course(model: Model, source: Source, pictures: Pictures, sampling: Sampling) -> Iterator[CourseRow]:
    """Yield correlations of margins and likelihood ratios with a source's main measure in the course of study."""
    of_source = source.main_measure
    for exposure in _moments(model.exposures):
        measures = model.measures(exposure)
        tested = [name for name in (RAW, GAIN, RATIO) if name in measures]
        variables = (
            Variable(of_source, source.measures[of_source], False),
            *(Variable(name, measures[name], True) for name in tested),
        )
        comparison = Comparison(pictures, variables, sampling, "spearman")
        for name, found in _estimates(comparison, None, tested, ()).items():
            if math.isfinite(found.correlation):
                yield CourseRow(
                    model=model.name,
                    readout=model.readout,
                    measure=name,
                    source=source.name,
                    source_measure=of_source,
                    exposure=exposure,
                    pictures=len(comparison.places),
                    correlation=found.correlation,
                    low_images=found.low_items,
                    high_images=found.high_items,
                )


def conditions_of(pictures: Pictures) -> tuple[str | None, ...]:
    """Return the conditions that are compared, None for all together where there are several."""
    several = len(set(pictures.strata.tolist())) > 1
    return (*pictures.conditions, *((None,) if several else ()))


def called(model: str, readout: str) -> str:
    """Return what a model that is judged by a readout is called."""
    return ", ".join(part for part in (model, readout) if part)


def _blank(
    model: Model, exposure: int, source: Source, of_source: str, condition: str | None, comparison: Comparison
) -> Correlation:
    """Return a row without its correlation."""
    return Correlation(
        model=model.name,
        readout=model.readout,
        measure="",
        source=source.name,
        kind=source.kind,
        source_measure=of_source,
        condition=condition or POOLED,
        coefficient=comparison.coefficient,
        partialled=NOTHING,
        exposure=exposure,
        pictures=len(comparison.places_in(condition)),
        runs=model.runs,
        participants=source.participants,
        correlation=None,
        standard_error=None,
        low_images=None,
        high_images=None,
        low=None,
        high=None,
        ceiling=None,
        ceiling_of_runs=None,
        p=None,
        p_holm=None,
        misleading=False,
        note="",
    )


def _rows(
    blank: Correlation, comparison: Comparison, tested: Sequence[str], covariates: Sequence[str]
) -> Iterator[Correlation]:
    """Yield the rows of one condition: each measure of the model, and each set of what is partialled out."""
    condition = None if blank.condition == POOLED else blank.condition
    for partialled in _sets(covariates):
        found = _estimates(comparison, condition, tested, partialled)
        for name in tested:
            row = replace(
                blank, measure=name, partialled="+".join(partialled) or NOTHING, misleading=name in MISLEADING
            )
            of_measure = found.get(name)
            if of_measure is None:
                yield replace(row, note=f"fewer than {FEWEST} pictures of a condition have all values")
            elif not math.isfinite(of_measure.correlation):
                yield replace(row, note=_without_variance(comparison, condition, (blank.source_measure, name)))
            else:
                yield replace(
                    row,
                    correlation=of_measure.correlation,
                    standard_error=of_measure.standard_error,
                    low_images=of_measure.low_items,
                    high_images=of_measure.high_items,
                    low=of_measure.low,
                    high=of_measure.high,
                    p=of_measure.p,
                )


def _estimates(
    comparison: Comparison, condition: str | None, tested: Sequence[str], partialled: Sequence[str]
) -> dict[str, Estimate]:
    """Return the correlations of the first variable with those named; none where there are too few pictures."""
    places = comparison.places_in(condition)
    if not len(places):
        return {}
    names = [variable.name for variable in comparison.variables[1:]]
    others = tuple(1 + names.index(name) for name in partialled)
    trials = len(np.unique(comparison.pictures.trials[places]))
    matrices = comparison.matrices(condition)
    found = {}
    for name in tested:
        pair = (0, 1 + names.index(name))
        found[name] = estimate(
            float(partial_correlations(matrices.observed, *pair, others)[0]),
            partial_correlations(matrices.over_items, *pair, others),
            partial_correlations(matrices.over_all, *pair, others),
            trials,
            [(partial_correlations(alone, *pair, others), units) for alone, units in matrices.sides],
        )
    return found


def _without_variance(comparison: Comparison, condition: str | None, names: Sequence[str]) -> str:
    """Say which of the named variables does not vary."""
    places = comparison.places_in(condition)
    constant = [
        variable.name
        for variable in comparison.variables
        if variable.name in names and np.ptp(variable.measure.values[places]) == 0
    ]
    if constant:
        return f"{' and '.join(constant)}: the same for all {count(len(places), 'picture')}"
    return "nothing varies within conditions, or beyond what was partialled out"


def _sets(covariates: Sequence[str]) -> list[tuple[str, ...]]:
    """Return what is partialled out in turn: nothing, each covariate, and all of several."""
    together = [tuple(covariates)] if len(covariates) > 1 else []
    return [(), *((name,) for name in covariates), *together]


def _enough(measure: Measure, pictures: Pictures, places: Indices) -> Indices:
    """Return those of some places that have a value, in strata that have enough of them."""
    known = places[np.isfinite(measure.values[places])]
    strata = pictures.strata[known]
    return known[np.bincount(strata, minlength=1)[strata] >= FEWEST]


def _moments(exposures: Sequence[int]) -> list[int]:
    """Return up to `MOST_MOMENTS` of the exposures, the nearer the earlier they are."""
    if len(exposures) <= MOST_MOMENTS:
        return list(exposures)
    places = np.geomspace(1, len(exposures), MOST_MOMENTS).round().astype(int) - 1
    return [exposures[place] for place in sorted(set(places.tolist()))]


def _blocks(draws: int, numbers: int) -> Iterator[int]:
    """Yield into how many draws at a time so many are divided, of `numbers` each."""
    most = max(1, MOST_NUMBERS // max(1, numbers))
    while draws > 0:
        yield min(most, draws)
        draws -= most


def _joined(blocks: Sequence[dict[int, Floats]]) -> dict[int, Floats]:
    return {stratum: np.concatenate([block[stratum] for block in blocks]) for stratum in blocks[0]}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
