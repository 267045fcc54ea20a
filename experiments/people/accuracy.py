"""How much people remember: accuracy by condition, with intervals over images and over people.

Images and participants are crossed as images and runs of models are: the same functions give the intervals
(`experiments.statistics.intervals`), a participant standing where a run does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.special import ndtri

from experiments.human import TWO_ALTERNATIVES as MEASURE
from experiments.human import HumanResult
from experiments.people.table import TWO_ALTERNATIVES, Response
from experiments.statistics.intervals import CrossedMean, crossed_mean
from experiments.statistics.outcomes import CHANCE, Floats, known
from experiments.statistics.signal_detection import forced_choice_d_prime

POOLED = "pooled"


@dataclass(frozen=True)
class PeopleAccuracy:
    """Share of correct choices of people in a condition, with 95 % intervals: a row of `people.csv`."""

    list: str
    """Name of the study list, or `pooled` over all."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    accuracy: float
    """Share of correct choices; choices that were not made in time are left out."""
    low: float | None
    """Lower end of the interval for other images and other people; empty for one participant, who does not tell how
    people differ."""
    high: float | None
    """Upper end of it."""
    low_images: float
    """Lower end of the interval for other images, judged by the same people."""
    high_images: float
    """Upper end of it."""
    low_people: float | None
    """Lower end of the interval for other people and the same images; empty for one participant."""
    high_people: float | None
    """Upper end of it."""
    sem: float | None
    """Standard error of the accuracy for other people and the same images; empty for one participant."""
    p_chance: float | None
    """Two-sided, that the accuracy is one half, for other images and other people; empty for one participant."""
    p_chance_images: float
    """The same for other images, judged by the same people."""
    d_prime: float
    """d' of the choice between two: sqrt(2) z(share correct), half a success and half a failure added."""
    d_prime_low: float | None
    """Lower end of its interval for other images and other people; empty where it has no end."""
    d_prime_high: float | None
    """Upper end of it; empty where it has no end."""
    remembered: float
    """Share of images that are remembered if those that are not are guessed: twice the accuracy less one."""
    remembered_low: float | None
    """Lower end of its interval for other images and other people; empty for one participant."""
    remembered_high: float | None
    """Upper end of it."""
    reaction_time: float | None
    """Median of all choices; empty where no time is known."""
    participants: int
    """People who chose."""
    images: int
    """Different trials of the list."""
    trials: int
    """Choices that were made."""
    unanswered: int
    """Choices that were not made in time."""


def people_accuracies(rows: Iterable[Response]) -> list[PeopleAccuracy]:
    """Return the accuracy of people in each condition: of all lists together, and of each list."""
    groups: dict[tuple[str, str], list[Response]] = defaultdict(list)
    for row in rows:
        if row.task == TWO_ALTERNATIVES:
            groups[POOLED, row.condition].append(row)
            groups[row.list, row.condition].append(row)
    order = sorted(groups, key=lambda key: (key[0] != POOLED, *key))
    return [result for key in order if (result := _accuracy(*key, groups[key]))]


def measured(results: Iterable[PeopleAccuracy], source: str) -> dict[str, HumanResult]:
    """Return what people reached, by condition, to be set beside models.

    Args:
        results: those of all lists together are taken.
        source: where the responses come from.
    """
    return {
        result.condition: HumanResult(
            study="your participants",
            condition=result.condition,
            measure=MEASURE,
            accuracy=result.accuracy,
            sem=result.sem,
            status="measured",
            source=source,
            low=result.low_images if result.low is None else result.low,
            high=result.high_images if result.high is None else result.high,
            participants=result.participants,
        )
        for result in results
        if result.list == POOLED
    }


def crossed(rows: Sequence[Response], values: Sequence[float]) -> CrossedMean:
    """Return the mean of values in [0, 1], one of each response, with what intervals over images and people need.

    Several values of a participant on an image, as there are of one who took part twice, become their mean.
    """
    people = sorted({row.participant for row in rows})
    images = sorted({(row.list, row.item) for row in rows})
    place = {name: index for index, name in enumerate(people)}
    column = {name: index for index, name in enumerate(images)}
    sums = np.zeros((len(people), len(images)))
    counts = np.zeros_like(sums)
    index = ([place[row.participant] for row in rows], [column[row.list, row.item] for row in rows])
    np.add.at(sums, index, values)
    np.add.at(counts, index, 1)
    with np.errstate(invalid="ignore"):
        return crossed_mean((sums / counts)[None], 0.0, 1.0)


def _accuracy(name: str, condition: str, rows: Sequence[Response]) -> PeopleAccuracy | None:
    """Return the accuracy in a condition; None where nobody answered."""
    answered = [row for row in rows if row.correct is not None]
    if not answered:
        return None
    mean = crossed(answered, [row.correct or 0.0 for row in answered])
    low, high = _ends(mean.over_images_and_runs())
    low_images, high_images = (float(end[0]) for end in mean.over_images())
    low_people, high_people = _ends(mean.over_runs())
    correct = sum(row.correct or 0.0 for row in answered)
    times = [row.reaction_time for row in answered if row.reaction_time is not None]
    return PeopleAccuracy(
        list=name,
        condition=condition,
        accuracy=correct / len(answered),
        low=low,
        high=high,
        low_images=low_images,
        high_images=high_images,
        low_people=low_people,
        high_people=high_people,
        sem=known(math.sqrt(mean.run_variances[0])),
        p_chance=known(float(mean.p_over_images_and_runs(CHANCE)[0])),
        p_chance_images=float(mean.p_over_images(CHANCE)[0]),
        d_prime=forced_choice_d_prime(correct, len(answered)),
        d_prime_low=_d_prime(low_images if low is None else low),
        d_prime_high=_d_prime(high_images if high is None else high),
        remembered=_remembered(correct / len(answered)),
        remembered_low=None if low is None else _remembered(low),
        remembered_high=None if high is None else _remembered(high),
        reaction_time=median(times) if times else None,
        participants=len({row.participant for row in answered}),
        images=len({(row.list, row.item) for row in answered}),
        trials=len(answered),
        unanswered=len(rows) - len(answered),
    )


def _ends(ends: tuple[Floats, Floats]) -> tuple[float | None, float | None]:
    low, high = (known(float(end[0])) for end in ends)
    return low, high


def _d_prime(share: float) -> float | None:
    """Return d' of an end of an interval; None where it is not finite."""
    value = math.sqrt(2) * float(ndtri(share))
    return value if math.isfinite(value) else None


def _remembered(accuracy: float) -> float:
    return 2 * accuracy - 1
