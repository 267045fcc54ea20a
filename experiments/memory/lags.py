"""Continuous recognition in numbers: hit rates by lag, false alarms, d' and areas under the ROC, with intervals.

A picture is called a repeat where its score lies below a criterion. The criterion is the one below which a stated share
of new pictures lies, and it is held out: showings are dealt out into two halves, and each is judged by the criterion of
the other half's new pictures, so that the rate of false alarms is found and not set. The area under the ROC needs no
criterion. The first picture of a stream is left out, as nothing was seen before it.

Axes: S showings of a stream; M lags, R runs, I pictures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from experiments.human import HumanResult, all_human_results
from experiments.statistics.intervals import CrossedMean, crossed_mean
from experiments.statistics.outcomes import Floats, known
from experiments.statistics.signal_detection import corrected_rate
from experiments.tables import read_results

HIT_RATE = "hit rate"
ALL_DELAYS = "repeat detection: all delays"
"""Condition of the figures of people that are of all lags together."""
BACK = re.compile(r"repeat detection: ([\d,]+) back")
"""Conditions that are of one lag."""


@dataclass(frozen=True)
class Stream:
    """A stream of pictures, as an observer judged it."""

    seed: int
    images: NDArray[np.int64]
    """(S,) which picture is shown."""
    lags: NDArray[np.int64]
    """(S,) places since it was shown before; 0 where it is new."""
    scores: Floats
    """(S,) how unfamiliar it was found, before it was studied."""


@dataclass(frozen=True)
class LagRow:
    """How well repeats were told from new pictures, at a lag: a row of `lags.csv`."""

    model: str
    """Name of the observer."""
    list: str
    """Name of the stimulus list that the pictures are of."""
    lag: int | None
    """Places from a picture to its repeat, 1 for at once; empty for all lags together."""
    runs: int
    """Streams, each of an observer of its own."""
    repeats: int
    """Pictures that were shown again after this lag, over all runs."""
    hits: float
    """Share of them that were called repeats."""
    hits_low: float | None
    """Lower end of the 95 % interval for other pictures and other runs; empty for one run."""
    hits_high: float | None
    """Upper end of it."""
    hits_low_images: float
    """Lower end of the 95 % interval for other pictures and the same runs."""
    hits_high_images: float
    """Upper end of it."""
    false_alarms: float
    """Share of new pictures that were called repeats, of all in the streams."""
    false_alarms_low_images: float
    """Lower end of its 95 % interval for other pictures and the same runs."""
    false_alarms_high_images: float
    """Upper end of it."""
    d_prime: float
    """z(hits) - z(false alarms), half a success and half a failure added to each rate (Hautus 1995)."""
    d_prime_low_images: float | None
    """Lower end of its 95 % interval for other pictures and the same runs; empty where it has no end."""
    d_prime_high_images: float | None
    """Upper end of it; empty where it has no end."""
    auc: float
    """Area under the ROC: how often a repeat is the more familiar one of a repeat and a new picture, a tie counting one
    half; mean over runs."""
    auc_low_images: float
    """Lower end of its 95 % interval for other pictures and the same runs."""
    auc_high_images: float
    """Upper end of it."""
    people: float | None
    """Hit rate of people at this lag (Brady et al. 2008); empty where it is not known."""


class Calls(NamedTuple):
    """Which showings of a stream were called repeats, and which were judged at all."""

    called: Floats
    """(S,) 1 for `repeat`, 0 for `new`, NaN for the first picture, which is not judged."""
    criterion: Floats
    """(S,) below which a score is called so."""


def call_repeats(stream: Stream, false_alarms: float) -> Calls:
    """Call showings repeats, each by the criterion of the new pictures of the other half.

    Args:
        stream: with at least three new pictures.
        false_alarms: share of the new pictures of a half that lie below its criterion, rounded down.
    """
    new = _judged(stream, [0])
    half = np.zeros(len(new), dtype=np.int64)
    for kind in (new, stream.lags > 0):
        half[kind] = np.arange(kind.sum()) % 2
    criterion = np.empty(len(new))
    for one in (0, 1):
        others = np.sort(stream.scores[new & (half != one)])
        criterion[half == one] = others[int(false_alarms * len(others))]
    called = (stream.scores < criterion).astype(np.float64)
    called[0] = np.nan
    return Calls(called, criterion)


def lag_rows(streams: Sequence[Stream], model: str, list_name: str, false_alarms: float) -> list[LagRow]:
    """Return a row for each lag, and one for all together.

    Args:
        streams: of one observer, with the same lags.
        model: name of the observer.
        list_name: of the stimuli.
        false_alarms: share of new pictures that are called repeats, for the criterion.
    """
    lags = sorted({int(lag) for stream in streams for lag in stream.lags if lag})
    groups = [*([lag] for lag in lags), lags]
    calls = [call_repeats(stream, false_alarms).called for stream in streams]
    alarms = _rates(streams, calls, [[0]])[0]
    hits = _rates(streams, calls, groups)
    areas = _areas(streams, groups)
    people = people_by_lag()
    return [
        _row(model, list_name, lag, len(streams), hit, alarms, area, people.get(lag))
        for lag, hit, area in zip([*lags, None], hits, areas, strict=True)
    ]


def _row(
    model: str,
    list_name: str,
    lag: int | None,
    runs: int,
    hits: _Rate,
    alarms: _Rate,
    area: _Area,
    people: HumanResult | None,
) -> LagRow:
    low, high = _d_prime_ends(hits, alarms)
    return LagRow(
        model=model,
        list=list_name,
        lag=lag,
        runs=runs,
        repeats=hits.showings,
        hits=hits.value,
        hits_low=hits.low,
        hits_high=hits.high,
        hits_low_images=hits.low_images,
        hits_high_images=hits.high_images,
        false_alarms=alarms.value,
        false_alarms_low_images=alarms.low_images,
        false_alarms_high_images=alarms.high_images,
        d_prime=hits.z - alarms.z,
        d_prime_low_images=low,
        d_prime_high_images=high,
        auc=area.value,
        auc_low_images=area.low,
        auc_high_images=area.high,
        people=people.accuracy if people else None,
    )


def read_lags(path: Path) -> list[LagRow]:
    """Read a `lags.csv`.

    Raises:
        ValueError: it is damaged; the file and the row are named.
    """
    return read_results(path, LagRow, ("model", "list", "lag"))


def people_by_lag() -> dict[int | None, HumanResult]:
    """Return the hit rates of people who detect repeats, by lag; that of all lags together under None."""
    found: dict[int | None, HumanResult] = {}
    for result in all_human_results():
        back = BACK.fullmatch(result.condition)
        if result.measure == HIT_RATE and (back or result.condition == ALL_DELAYS):
            found[int(back[1].replace(",", "")) if back else None] = result
    return found


class _Rate(NamedTuple):
    """A share of showings, with the ends of its 95 % intervals."""

    value: float
    showings: int
    low: float | None
    high: float | None
    low_images: float
    high_images: float

    @property
    def z(self) -> float:
        """Of the rate with half a success and half a failure added."""
        return float(ndtri(corrected_rate(self.value * self.showings, self.showings)))


class _Area(NamedTuple):
    """An area under the ROC, with the ends of its 95 % interval over pictures."""

    value: float
    low: float
    high: float


def _rates(streams: Sequence[Stream], calls: Sequence[Floats], groups: Sequence[Sequence[int]]) -> list[_Rate]:
    """Return how often the showings of each group of lags were called repeats."""
    means = _crossed(streams, calls, groups)
    ends = (*means.over_images_and_runs(), *means.over_images())
    return [
        _Rate(
            float(means.means[index]),
            sum(int(_judged(stream, group).sum()) for stream in streams),
            known(float(ends[0][index])),
            known(float(ends[1][index])),
            float(ends[2][index]),
            float(ends[3][index]),
        )
        for index, group in enumerate(groups)
    ]


def _areas(streams: Sequence[Stream], groups: Sequence[Sequence[int]]) -> list[_Area]:
    """Return the area under the ROC of each group of lags.

    It is the mean over repeats of the share of new pictures that were found less familiar, and likewise the mean over
    new pictures; the squared half-widths of both means add up, as the variances of DeLong et al. (1988) do.
    """
    of_repeats = _crossed(streams, [_beating(stream, [0]) for stream in streams], groups)
    repeat_low, repeat_high = of_repeats.over_images()
    areas = []
    for index, group in enumerate(groups):
        of_new = _crossed(streams, [1 - _beating(stream, group) for stream in streams], [[0]])
        new_low, new_high = (float(end[0]) for end in of_new.over_images())
        value = float(of_repeats.means[index])
        below = math.hypot(value - repeat_low[index], value - new_low)
        above = math.hypot(repeat_high[index] - value, new_high - value)
        areas.append(_Area(value, max(0.0, value - below), min(1.0, value + above)))
    return areas


def _beating(stream: Stream, group: Sequence[int]) -> Floats:
    """Return (S,) the share of the showings of some lags that have a higher score than each; ties count one half."""
    ranked = np.sort(stream.scores[_judged(stream, group)])
    below = np.searchsorted(ranked, stream.scores, side="left")
    up_to = np.searchsorted(ranked, stream.scores, side="right")
    with np.errstate(invalid="ignore"):
        return 1 - (below + up_to) / (2 * len(ranked))


def _crossed(streams: Sequence[Stream], values: Sequence[Floats], groups: Sequence[Sequence[int]]) -> CrossedMean:
    """Return the means of values (S,) of the showings of each group of lags, over pictures and runs."""
    images = 1 + max(int(stream.images.max()) for stream in streams)
    table = np.full((len(groups), len(streams), images), np.nan)
    for run, (stream, of_run) in enumerate(zip(streams, values, strict=True)):
        for index, group in enumerate(groups):
            chosen = _judged(stream, group)
            table[index, run, stream.images[chosen]] = of_run[chosen]
    return crossed_mean(table, 0.0, 1.0)


def _judged(stream: Stream, group: Sequence[int]) -> NDArray[np.bool_]:
    """Return (S,) which showings are of some lags, the first picture left out."""
    chosen: NDArray[np.bool_] = np.isin(stream.lags, group)
    chosen[0] = False
    return chosen


def _d_prime_ends(hits: _Rate, alarms: _Rate) -> tuple[float | None, float | None]:
    """Return the ends of the 95 % interval of d' over pictures.

    The squared distances of both z to the ends of their intervals add up (Zou and Donner 2008, Statistics in Medicine
    27, 1693-1702). An end at 0 or 1 has no finite z.
    """
    hit_low, hit_high, alarm_low, alarm_high = ndtri(
        [hits.low_images, hits.high_images, alarms.low_images, alarms.high_images]
    )
    below = math.hypot(max(0.0, hits.z - hit_low), max(0.0, alarm_high - alarms.z))
    above = math.hypot(max(0.0, hit_high - hits.z), max(0.0, alarms.z - alarm_low))
    low, high = hits.z - alarms.z - below, hits.z - alarms.z + above
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)
