"""What models remember of pictures beside what people do: correlations within conditions, and their ceiling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from experiments.memory.items.models import BITS, GAIN, MEASURES, MISLEADING, RATIO, RAW, Model
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.resampling import Comparison, Sampling, Variable
from experiments.memory.items.sources import Source
from experiments.memory.items.tables import COMPLEXITY, NOTHING, POOLED, Correlation, CourseRow, ReliabilityRow
from experiments.statistics.correlation import (
    FEWEST,
    Coefficient,
    Estimate,
    Indices,
    Measure,
    estimate,
    partial_correlations,
)
from experiments.statistics.multiplicity import holm
from experiments.statistics.reliability import split_half
from storage.terminal import count

COEFFICIENTS: tuple[Coefficient, ...] = ("spearman", "pearson")
MOST_MOMENTS = 20
"""Exposures that are shown in the course of study."""


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


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
