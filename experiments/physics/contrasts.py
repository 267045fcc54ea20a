"""Which of matched films is called impossible: the one with the larger surprise.

Films of a quadruple are of two beginnings and two endings. AB + BA against AA + BB leaves nothing but what follows from
how a beginning and an ending go together. Films with the same ending differ in what came before it, and films with the
same beginning in the ending itself, which may be likelier for reasons of its own: emptier pictures are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import rankdata

from experiments.physics.manifest import Film
from experiments.statistics.outcomes import Floats

Measure = Literal["quadruple", "pair", "same_ending", "same_beginning", "auroc"]

SAME = 1e-6
"""Share of the surprise below which a difference is one of rounding: those films tie."""


class Judgement(NamedTuple):
    """One comparison of matched films."""

    films: tuple[Film, ...]
    correct: float
    """1 where the impossible films have the larger surprise, 0 where they have the smaller, one half for a tie."""

    @property
    def film(self) -> Film:
        """One of them, which tells scene and concept."""
        return self.films[0]


def judge(measure: Measure, values: Mapping[str, float], films: Sequence[Film]) -> list[Judgement]:
    """Return the comparisons of a measure, in the order of the films.

    Args:
        measure: but `auroc`, which compares all films with all.
        values: surprise of films by their names; films without one are compared with nothing.
        films: all of them.
    """
    groups: dict[str, list[Film]] = defaultdict(list)
    for film in films:
        if film.quadruple:
            groups[film.quadruple].append(film)
    return [
        _judgement(compared, values)
        for group in groups.values()
        for compared in _compared(measure, group)
        if all(film.film in values for film in compared)
    ]


def area(values: Mapping[str, float], films: Sequence[Film]) -> tuple[Floats, list[Film]] | None:
    """Return pseudo-values whose mean is the area under the ROC of impossible against possible films, and the films.

    The area is the share of all pairs of an impossible and a possible film in which the impossible one has the larger
    surprise. A film's pseudo-value is the area and how far the film moves it: the structural components of DeLong,
    DeLong and Clarke-Pearson (1988, Biometrics 44, 837-845), scaled so that their mean over films is the area and the
    variance of this mean that of the area, also when films come in groups (Obuchowski 1997, Biometrics 53, 567-578).

    Returns:
        (I,) pseudo-values, which may lie outside [0, 1], and the I films; None where films of a kind are lacking.
    """
    known = [film for film in films if film.film in values]
    sides = {side: [film for film in known if film.possible == side] for side in (True, False)}
    if not sides[True] or not sides[False]:
        return None
    impossible, possible = (np.array([values[film.film] for film in sides[side]]) for side in (False, True))
    larger = _share_below(possible, impossible)
    smaller = _share_below(-impossible, -possible)
    mean = larger.mean()
    pseudo = [mean + len(known) / len(of) * (of - mean) for of in (larger, smaller)]
    return np.concatenate(pseudo), [*sides[False], *sides[True]]


def _compared(measure: Measure, group: Sequence[Film]) -> list[list[Film]]:
    """Return the sets of films of a group that are compared."""
    possible, impossible = ([film for film in group if film.possible == side] for side in (True, False))
    if measure == "quadruple":
        return [list(group)] if len(possible) == len(impossible) == 2 else []
    if measure == "pair":
        alone = min(len(possible), len(impossible)) == 1
        return [list(pair) for pair in product(possible, impossible)] if alone else []
    side = "ending" if measure == "same_ending" else "beginning"
    if not all(film.versions for film in group):
        return []
    pairs = [[film for film in group if getattr(film, side) == version] for version in ("A", "B")]
    return [pair for pair in pairs if len(pair) == 2]


def _judgement(compared: Sequence[Film], values: Mapping[str, float]) -> Judgement:
    difference = sum(values[film.film] * (-1 if film.possible else 1) for film in compared)
    size = sum(abs(values[film.film]) for film in compared)
    if abs(difference) <= SAME * size:
        return Judgement(tuple(compared), 0.5)
    return Judgement(tuple(compared), float(difference > 0))


def _share_below(others: Floats, values: Floats) -> Floats:
    """Return the share of others (O,) that lie below each value (N,); those that are equal count one half."""
    joined = rankdata(np.concatenate([values, others]))[: len(values)]
    alone = rankdata(values)
    share: Floats = (joined - alone) / len(others)
    return share
