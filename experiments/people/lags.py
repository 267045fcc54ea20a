"""Repeats detected in a stream of pictures: hit rate by lag, and false alarms.

A lag is the number of pictures between the two showings plus one: a picture repeated immediately after has lag 1. Rows
of people and of models that learn on line are the same (`experiments.people.table.Response`), a run standing where a
participant does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from scipy.special import ndtri

from experiments.people.accuracy import crossed
from experiments.people.table import Response
from experiments.statistics.outcomes import known
from experiments.statistics.signal_detection import corrected_rate

MOST_LAGS = 16
"""Different lags up to which each has a rate of its own; more are put together around powers of two."""
HIT_RATE = "hit rate"
FALSE_ALARM_RATE = "false alarm rate"


@dataclass(frozen=True)
class LagRate:
    """How often pictures were called repeats, at a lag or when they were new: a row of `people_lags.csv`."""

    who: str
    """Whose answers: `people`, or the name of a model."""
    task: str
    """`vigilance`, repeats detected while studying, or `continuous`."""
    measure: str
    """`hit rate`, or `false alarm rate` of pictures that were new."""
    lag: float | None
    """Pictures between the two showings plus 1, the median of those that are put together; empty for new pictures."""
    least_lag: int | None
    """Smallest lag that is put together here; empty for new pictures."""
    most_lag: int | None
    """Largest lag that is put together here; empty for new pictures."""
    rate: float
    """Share of pictures called repeats."""
    low: float | None
    """Lower end of the 95 % interval for other images and other people; empty for one participant."""
    high: float | None
    """Upper end of it."""
    low_images: float
    """Lower end of the 95 % interval for other images, judged by the same people."""
    high_images: float
    """Upper end of it."""
    d_prime: float | None
    """z(hit rate) - z(false alarm rate), half a success and half a failure added to each; empty of false alarms, and
    without new pictures."""
    participants: int
    """People, or runs, that answered."""
    trials: int
    """Pictures that were answered."""


def rates_by_lag(rows: Iterable[Response], who: str = "people") -> list[LagRate]:
    """Return the hit rate at every lag and the rate of false alarms, of each task that has repeats.

    Pictures without an answer are left out. Repeats whose lag is not known are a rate without a lag.

    Args:
        rows: responses of the tasks `vigilance` and `continuous`; others are left out.
        who: whose they are.
    """
    tasks: dict[str, list[Response]] = defaultdict(list)
    for row in rows:
        if row.task in ("vigilance", "continuous") and row.response:
            tasks[row.task].append(row)
    return [rate for task in sorted(tasks) for rate in _of_task(who, task, tasks[task])]


def _of_task(who: str, task: str, rows: Sequence[Response]) -> list[LagRate]:
    new = [row for row in rows if row.condition == "new"]
    repeats: dict[int | None, list[Response]] = defaultdict(list)
    for row in rows:
        if row.condition == "repeat":
            repeats[row.lag].append(row)
    lags = sorted(lag for lag in repeats if lag is not None)
    groups = [[lag] for lag in lags] if len(lags) <= MOST_LAGS else _around_powers(lags)
    hits = [[row for lag in group for row in repeats[lag]] for group in groups]
    if None in repeats:
        hits.append(repeats[None])
    rates = [_rate(who, task, HIT_RATE, of_lag, new) for of_lag in hits]
    return rates + ([_rate(who, task, FALSE_ALARM_RATE, new, ())] if new else [])


def _around_powers(lags: Sequence[int]) -> list[list[int]]:
    """Return lags by the power of two that is nearest on a logarithmic scale."""
    groups: dict[int, list[int]] = defaultdict(list)
    for lag in lags:
        groups[round(math.log2(lag))].append(lag)
    return [groups[power] for power in sorted(groups)]


def _rate(who: str, task: str, measure: str, rows: Sequence[Response], new: Sequence[Response]) -> LagRate:
    called = [float(row.response == "repeat") for row in rows]
    mean = crossed(rows, called)
    low, high = (known(float(end[0])) for end in mean.over_images_and_runs())
    low_images, high_images = (float(end[0]) for end in mean.over_images())
    lags = [row.lag for row in rows if row.lag is not None]
    return LagRate(
        who=who,
        task=task,
        measure=measure,
        lag=median(lags) if lags else None,
        least_lag=min(lags, default=None),
        most_lag=max(lags, default=None),
        rate=sum(called) / len(called),
        low=low,
        high=high,
        low_images=low_images,
        high_images=high_images,
        d_prime=_d_prime(called, new) if new else None,
        participants=len({row.participant for row in rows}),
        trials=len(rows),
    )


def _d_prime(hits: Sequence[float], new: Sequence[Response]) -> float:
    false_alarms = sum(row.response == "repeat" for row in new)
    hit_rate = corrected_rate(sum(hits), len(hits))
    return float(ndtri(hit_rate) - ndtri(corrected_rate(false_alarms, len(new))))
