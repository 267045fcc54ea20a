"""How often impossible films are the more surprising ones, per concept, visible and hidden, on each half of the scenes.

Of many readouts the best is good by chance alone. So it is chosen on one half of the scenes and reported on the other;
both halves, and all scenes, are in the table for every readout. Halves are made by what films hold, not by their names.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple, get_args

import numpy as np

from experiments.physics.contrasts import Measure, area, judge
from experiments.physics.manifest import CONTROL, Film
from experiments.physics.readouts import Readout
from experiments.physics.tables import Half, ScoreRow, Visibility
from experiments.statistics.comparison import sign_flip_p
from experiments.statistics.grouped import Grouping, share_of
from experiments.statistics.multiplicity import holm
from experiments.statistics.outcomes import CHANCE, Floats

ALL = "all"

Values = Mapping[Readout, Mapping[str, float]]
"""Surprise of films by their names, for every readout; films without one are lacking."""


def score(model: str, values: Values, films: Sequence[Film], halves: Mapping[str, Half]) -> list[ScoreRow]:
    """Return all scores of a model.

    Args:
        model: its name.
        values: of its films.
        films: that count, in an order that does not depend on names.
        halves: of scenes, by their names.
    """
    rows = [
        row
        for measure in get_args(Measure)
        for concept, visibility, half, counted in _subsets(films, halves)
        for row in _rows(Group(model, measure, concept, visibility, half), values, counted)
    ]
    return _corrected(_chosen(rows))


def split_scenes(films: Sequence[Film], digests: Mapping[str, str]) -> dict[str, Half]:
    """Return which half each scene belongs to: every second one, of those with the same concepts and occlusions.

    Args:
        films: all of them.
        digests: of films by their names, on which it depends how scenes follow one another.
    """
    scenes: dict[str, list[Film]] = defaultdict(list)
    for film in films:
        scenes[film.scene].append(film)
    ordered = sorted(scenes, key=lambda scene: _place(scenes[scene], digests))
    return {scene: "reporting" if index % 2 else "choosing" for index, scene in enumerate(ordered)}


class Group(NamedTuple):
    """The columns that the scores of all readouts share."""

    model: str
    measure: Measure
    concept: str
    visibility: Visibility
    half: Half


class _Outcomes(NamedTuple):
    """What is averaged: comparisons, or what films contribute to an area under the ROC."""

    films: tuple[Film, ...]
    values: Floats


def _subsets(films: Sequence[Film], halves: Mapping[str, Half]) -> Iterator[tuple[str, Visibility, Half, list[Film]]]:
    concepts = sorted({film.concept for film in films})
    for concept in (ALL, *concepts):
        of_concept = [film for film in films if film.concept == concept or (concept == ALL and film.concept != CONTROL)]
        for visibility in get_args(Visibility):
            subset = [film for film in of_concept if visibility in ("both", "hidden" if film.hidden else "visible")]
            for half in get_args(Half):
                counted = [film for film in subset if half in (ALL, halves[film.scene])]
                if counted:
                    yield concept, visibility, half, counted


def _rows(group: Group, values: Values, films: Sequence[Film]) -> Iterator[ScoreRow]:
    """Yield the scores of all readouts; those of the same films are averaged together."""
    together: dict[tuple[Film, ...], dict[Readout, Floats]] = defaultdict(dict)
    for readout, of_readout in values.items():
        outcomes = _outcomes(group.measure, of_readout, films)
        if outcomes is not None:
            together[outcomes.films][readout] = outcomes.values
    for compared, by_readout in together.items():
        yield from _averaged(group, [film.scene for film in compared], by_readout)


def _outcomes(measure: Measure, values: Mapping[str, float], films: Sequence[Film]) -> _Outcomes | None:
    if measure == "auroc":
        found = area(values, films)
        return None if found is None else _Outcomes(tuple(found[1]), found[0])
    judged = judge(measure, values, films)
    if not judged:
        return None
    return _Outcomes(tuple(one.film for one in judged), np.array([one.correct for one in judged]))


def _averaged(group: Group, scenes: Sequence[str], by_readout: Mapping[Readout, Floats]) -> Iterator[ScoreRow]:
    """Yield the scores of readouts whose outcomes (I,) are of the same scenes."""
    grouping = Grouping.of(scenes)
    values = np.stack(list(by_readout.values()), axis=1)
    share = share_of(values, grouping)
    lows, highs = share.interval()
    exact = group.measure != "auroc"
    totals = grouping.totals(2 * (values - CHANCE))
    for index, readout in enumerate(by_readout):
        yield ScoreRow(
            **group._asdict(),
            **readout._asdict(),
            chosen=False,
            value=float(share.value[index]),
            low=_known(lows[index]),
            high=_known(highs[index]),
            p=_sign_flip_p(tuple(sorted(totals[:, index].tolist()))) if exact else None,
            p_holm=None,
            comparisons=len(scenes),
            scenes=grouping.count,
        )


@cache
def _sign_flip_p(totals: tuple[float, ...]) -> float:
    """Return the exact p-value of the sums of scenes, in ascending order; many scores have the same."""
    return sign_flip_p(np.array(totals))


def _known(end: float) -> float | None:
    return None if math.isnan(end) else float(end)


def _chosen(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Mark, for each measure, the readout with the largest pooled value on the scenes for choosing.

    Of equals it is the first. Where there is no such value none is chosen. Of quadruples no maximum is: where A has the
    object and B has none, AB and BA both hold its frames and of AA and BB only one does, so that what knows nothing of
    how frames follow one another is nearly always right. Of means it ties.
    """
    best: dict[Measure, ScoreRow] = {}
    for row in rows:
        eligible = row.measure != "quadruple" or row.statistic == "mean"
        pooled = (row.concept, row.visibility, row.half) == (ALL, "both", "choosing")
        if eligible and pooled and (row.measure not in best or row.value > best[row.measure].value):
            best[row.measure] = row
    chosen = {(measure, readout_of(row)) for measure, row in best.items()}
    return [replace(row, chosen=(row.measure, readout_of(row)) in chosen) for row in rows]


def readout_of(row: ScoreRow) -> Readout:
    """Return the readout of a row."""
    return Readout(row.tokens, row.frames, row.statistic)


def _corrected(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Return the rows with p-values corrected for the number of concepts, visible and hidden."""
    families: dict[tuple[Readout, Measure, Half], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if row.p is not None and row.visibility != "both" and row.concept not in (ALL, CONTROL):
            families[readout_of(row), row.measure, row.half].append(index)
    corrected = list(rows)
    for family in families.values():
        adjusted = holm([p for index in family if (p := rows[index].p) is not None])
        for index, p in zip(family, adjusted, strict=True):
            corrected[index] = replace(rows[index], p_holm=p)
    return corrected


def _place(films: Iterable[Film], digests: Mapping[str, str]) -> tuple[list[tuple[str, bool]], str]:
    kinds = sorted({(film.concept, film.hidden) for film in films})
    together = "".join(sorted(digests[film.film] for film in films))
    return kinds, hashlib.sha256(together.encode()).hexdigest()
