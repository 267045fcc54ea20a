"""Sensitivity: how far apart what was studied and what was not lie on the scale of a readout.

After Macmillan and Creelman (2005, Detection Theory: A User's Guide): a forced choice between two gives
d' = sqrt(2) z(share correct), and judging single images old or new gives d' = z(hits) - z(false alarms).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from experiments.human import Landmarks, landmarks
from experiments.statistics.intervals import crossed_mean
from experiments.statistics.outcomes import CHANCE, Floats, Outcomes
from experiments.statistics.trials import Moment, Run, TestCondition, TrialRow, likelihood_ratio_trials


@dataclass(frozen=True)
class Sensitivity:
    """Measures of one test condition at one moment, over all runs."""

    model: str
    """Name of the model where several are compared."""
    readout: str
    """What decided: `weights`, `weights+store` or `familiarity`."""
    change: str
    """Change made to the test images."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    exposure: int
    """Passes over the study list."""
    interference: int
    """Passes over another list after the exposures."""
    accuracy: float
    """Share of correct choices."""
    p_chance: float | None
    """Two-sided, that the accuracy is that of guessing, for other images and other runs; empty for one run."""
    p_chance_images: float
    """The same for other images, judged by the same runs."""
    people: float | None
    """Accuracy of people: of one's own participants, or in the experiment that the list is from; empty where it is not
    known."""
    p_people: float | None
    """Two-sided, that the accuracy is that of people, for other images and other runs, and other people where their
    standard error is known; empty for one run."""
    p_people_images: float | None
    """The same for other images, judged by the same runs."""
    d_prime: float
    """d' of the forced choice between two, a tie counting one half."""
    d_prime_low: float | None
    """Lower end of its 95 % interval for other images and other runs; empty for one run, or where it has no end."""
    d_prime_high: float | None
    """Upper end of it; empty for one run, or where it has no end."""
    d_prime_low_images: float | None
    """Lower end of its 95 % interval for other images, judged by the same runs; empty where it has no end."""
    d_prime_high_images: float | None
    """Upper end of it; empty where it has no end."""
    hits: float
    """Share of studied images called old, when as many images are called old as new."""
    false_alarms: float
    """Share of foils called old."""
    d_prime_old_new: float
    """d' of judging single images."""
    auc: float
    """Area under the ROC: the accuracy if every studied image were paired with every foil, mean over runs."""
    likelihood_ratio_accuracy: float | None
    """Share of pairs in which study has made the studied image more likely than the foil; None without a test
    before study."""
    likelihood_ratio_auc: float | None
    """Area under the ROC of NLL(k) - NLL(0)."""


def corrected_rate(successes: float, count: int) -> float:
    """Return a rate with the log-linear correction: half a success and half a failure are added to every rate, not only
    to those of 0 and 1, so that its z is finite and its bias small (Hautus 1995, Behavior Research Methods, Instruments
    & Computers 27, 46-51).
    """
    return (successes + 0.5) / (count + 1)


def forced_choice_d_prime(correct: float, count: int) -> float:
    """Return d' of `correct` choices between two out of `count`; 0 at chance."""
    return _d_prime(corrected_rate(correct, count))


def old_new_d_prime(hits: float, false_alarms: float, count: int) -> float:
    """Return d' of judging `count` old and `count` new images."""
    return float(ndtri(corrected_rate(hits, count)) - ndtri(corrected_rate(false_alarms, count)))


def area_under_roc(studied: Floats, foils: Floats) -> float:
    """Return the share of all pairs of a studied image (S,) and a foil (F,) in which the studied one scores lower.

    Ties count one half. This is the Mann-Whitney statistic divided by S F (Bamber 1975, Journal of Mathematical
    Psychology 12, 387-415).
    """
    ranks = rankdata(np.concatenate([studied, foils]))[: len(studied)]
    lower = len(studied) * (len(studied) + 1) / 2 + len(studied) * len(foils) - ranks.sum()
    return float(lower / (len(studied) * len(foils)))


def roc(studied: Floats, foils: Floats) -> tuple[Floats, Floats]:
    """Return the ROC of scores of studied images (S,) and foils (F,): false alarms and hits, (N,) each, from 0 to 1.

    The criterion goes from below the lowest score to the highest, one point for each different score.
    """
    criteria = np.unique(np.concatenate([studied, foils]))
    hits = np.searchsorted(np.sort(studied), criteria, side="right") / len(studied)
    false_alarms = np.searchsorted(np.sort(foils), criteria, side="right") / len(foils)
    return np.concatenate([[0.0], false_alarms]), np.concatenate([[0.0], hits])


def equal_variance_hits(false_alarms: Floats, area: float) -> Floats:
    """Return the hits (N,) at rates of false alarms (N,) of normal distributions of equal variance.

    Args:
        false_alarms: in [0, 1].
        area: under the ROC, in [0, 1]: the accuracy of the choice between two that it belongs to.
    """
    return ndtr(ndtri(false_alarms) + math.sqrt(2) * ndtri(min(max(area, 1e-9), 1 - 1e-9)))


def sensitivities(
    trials: Sequence[TrialRow], outcomes: Sequence[Outcomes], people: Landmarks | None = None
) -> list[Sensitivity]:
    """Return the sensitivity of each test condition at each moment.

    Args:
        trials: of any test conditions.
        outcomes: of the same trials (`experiments.statistics.outcomes.collect`).
        people: measured, by condition; the published ones if not given.
    """
    relative = scores(likelihood_ratio_trials(trials))
    people = landmarks((of_condition.tested.condition for of_condition in outcomes), people)
    tests = {key: test for of_condition in outcomes for key, test in _tests(of_condition, people).items()}
    return [
        _sensitivity(tested, moment, of_runs, relative.get((tested, moment)), tests[tested, moment])
        for (tested, moment), of_runs in sorted(scores(trials).items())
    ]


def scores(trials: Sequence[TrialRow]) -> dict[tuple[TestCondition, Moment], list[tuple[Floats, Floats]]]:
    """Return the scores of studied images and of foils, (I,) each, of every run: runs differ in their scale."""
    pairs: dict[tuple[TestCondition, Moment], dict[Run, list[tuple[float, float]]]] = {}
    for trial in trials:
        of_run = pairs.setdefault((trial.tested, trial.moment), {}).setdefault(trial.run, [])
        of_run.append((trial.nll_studied, trial.nll_foil))
    arrays = {key: [np.array(of_run) for of_run in of_runs.values()] for key, of_runs in pairs.items()}
    return {key: [(of_run[:, 0], of_run[:, 1]) for of_run in of_runs] for key, of_runs in arrays.items()}


@dataclass(frozen=True)
class _Tests:
    """The accuracy at a moment, beside chance and people, and the interval of its d'."""

    accuracy: float
    choices: float
    """The accuracy with one half for a tie."""
    p_chance: float | None
    p_chance_images: float
    people: float | None
    p_people: float | None
    p_people_images: float | None
    d_prime_low: float | None
    d_prime_high: float | None
    d_prime_low_images: float | None
    d_prime_high_images: float | None


def _tests(outcomes: Outcomes, people: Landmarks) -> dict[tuple[TestCondition, Moment], _Tests]:
    counted = crossed_mean(outcomes.correct, 0.0, 1.0, outcomes.units)
    mean = crossed_mean(outcomes.without_ties, 0.0, 1.0, outcomes.units)
    human = people.get(outcomes.tested.condition)
    level = human.accuracy if human else math.nan
    error = (human.sem if human else None) or 0.0
    columns = {
        "accuracy": counted.means,
        "choices": mean.means,
        "p_chance": mean.p_over_images_and_runs(CHANCE),
        "p_chance_images": mean.p_over_images(CHANCE),
        "people": np.full(len(counted.means), level),
        "p_people": counted.p_over_images_and_runs(level, error),
        "p_people_images": counted.p_over_images(level, error),
    }
    ends = (*mean.over_images_and_runs(), *mean.over_images())
    names = ("d_prime_low", "d_prime_high", "d_prime_low_images", "d_prime_high_images")
    columns |= {name: math.sqrt(2) * ndtri(end) for name, end in zip(names, ends, strict=True)}
    return {
        (outcomes.tested, moment): _Tests(**{name: _finite(column[index]) for name, column in columns.items()})
        for index, moment in enumerate(outcomes.moments)
    }


def _finite(value: float) -> Any:
    """Return a number for a table, None for one that is not finite."""
    return float(value) if math.isfinite(value) else None


def _d_prime(share: float) -> float:
    return math.sqrt(2) * float(ndtri(share))


def _sensitivity(
    tested: TestCondition,
    moment: Moment,
    of_runs: list[tuple[Floats, Floats]],
    relative: list[tuple[Floats, Floats]] | None,
    tests: _Tests,
) -> Sensitivity:
    count = sum(len(studied) for studied, _ in of_runs)
    hits, false_alarms = np.array([_called_old(studied, foils) for studied, foils in of_runs]).sum(axis=0)
    return Sensitivity(
        model=tested.model,
        readout=tested.readout,
        change=tested.change,
        condition=tested.condition,
        exposure=moment.exposure,
        interference=moment.interference,
        **{name: value for name, value in asdict(tests).items() if name != "choices"},
        d_prime=forced_choice_d_prime(tests.choices * count, count),
        hits=float(hits / count),
        false_alarms=float(false_alarms / count),
        d_prime_old_new=old_new_d_prime(hits, false_alarms, count),
        auc=_mean_area(of_runs),
        likelihood_ratio_accuracy=_share(relative) if relative else None,
        likelihood_ratio_auc=_mean_area(relative) if relative else None,
    )


def _share(of_runs: list[tuple[Floats, Floats]]) -> float:
    return sum(_correct(*of_run) for of_run in of_runs) / sum(len(studied) for studied, _ in of_runs)


def _correct(studied: Floats, foils: Floats) -> float:
    return float(0.5 * ((studied < foils).sum() + (studied <= foils).sum()))


def _called_old(studied: Floats, foils: Floats) -> tuple[float, float]:
    """Return hits and false alarms of a judge without bias, whose criterion is the median of all scores.

    Images that lie on the criterion are called old half the time.
    """
    criterion = float(np.median(np.concatenate([studied, foils])))
    hits, false_alarms = (_correct(scores, np.full(len(scores), criterion)) for scores in (studied, foils))
    return hits, false_alarms


def _mean_area(of_runs: list[tuple[Floats, Floats]]) -> float:
    return float(np.mean([area_under_roc(studied, foils) for studied, foils in of_runs]))
