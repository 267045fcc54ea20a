"""Which comparisons a model has right on the scenes for reporting, and how two models differ on the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from experiments.physics.contrasts import Judgement, Measure, judge
from experiments.physics.manifest import CONTROL, Film
from experiments.physics.readouts import Readout
from experiments.physics.reporting.accuracy import reported
from experiments.physics.reporting.runs import Model
from experiments.physics.scores import ALL, readout_of
from experiments.physics.tables import FilmRow, ScoreRow, Visibility
from experiments.statistics.comparison import sign_flip_p
from experiments.statistics.grouped import Grouping, share_of
from experiments.statistics.outcomes import known

ROUNDING = 1e-9
"""By which a share may be another when it is computed again."""


Outcomes = Mapping[tuple[str, ...], Judgement]
"""Comparisons by the names of the films that are compared."""


class Difference(NamedTuple):
    """How much larger a share of the same comparisons a model has right than another."""

    value: float
    low: float | None
    """Lower end of the 95 % interval over scenes; None where these are fewer than two, or all alike."""
    high: float | None
    p: float
    """Two-sided, exact sign-flip test over scenes."""
    scenes: int


def chosen_readout(model: Model, measure: Measure) -> Readout | None:
    """Return the readout that a model chose for a measure; None where there was nothing to choose by."""
    return next((readout_of(row) for row in reported(model) if row.measure == measure), None)


def outcomes(model: Model, measure: Measure) -> Outcomes:
    """Return the comparisons of the scenes for reporting by the readout that a model chose.

    Raises:
        ValueError: they do not give the shares in scores.csv.
    """
    readout = chosen_readout(model, measure)
    if readout is None:
        return {}
    run = model.run
    found = {
        tuple(film.film for film in one.films): one
        for one in judge(measure, values_of(model, readout), list(run.matched.values()))
        if run.halves[one.film.scene] == "reporting"
    }
    for row in reported(model):
        if row.measure == measure:
            _check_share(model, row, found)
    return found


def values_of(model: Model, readout: Readout) -> dict[str, float]:
    """Return the surprise of films under a model, by their names."""
    return {row.film: value for row in model.films if (value := _number(row, readout)) is not None}


def in_subset(film: Film, concept: str, visibility: Visibility) -> bool:
    """Whether a film is of a concept, or of any but `control` for `all`, and of visible or hidden events."""
    of_concept = film.concept != CONTROL if concept == ALL else film.concept == concept
    return of_concept and visibility in ("both", "hidden" if film.hidden else "visible")


def compare(first: Outcomes, second: Outcomes) -> Difference | None:
    """Return the difference between two models on the comparisons that both have, first minus second; None of none."""
    common = [name for name in first if name in second]
    if not common:
        return None
    grouping = Grouping.of([first[name].film.scene for name in common])
    differences = np.array([[first[name].correct - second[name].correct] for name in common])
    share = share_of(differences, grouping, lowest=-1.0)
    lows, highs = share.interval()
    return Difference(
        float(share.value[0]),
        known(float(lows[0])),
        known(float(highs[0])),
        sign_flip_p(grouping.totals(differences)[:, 0]),
        grouping.count,
    )


def _number(row: FilmRow, readout: Readout) -> float | None:
    value: float | None = getattr(row, readout.name)
    return value


def _check_share(model: Model, row: ScoreRow, found: Outcomes) -> None:
    correct = [one.correct for one in found.values() if in_subset(one.film, row.concept, row.visibility)]
    if len(correct) != row.comparisons or abs(float(np.mean(correct)) - row.value) > ROUNDING:
        raise ValueError(
            f"scores.csv in {model.run.folder} does not follow from its films.csv ({model.row.model}, {row.measure}, "
            f"{row.concept}, {row.visibility}): one of them was changed since, measure it again"
        )
