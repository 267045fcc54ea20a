"""Sensitivity: how far apart what was studied and what was not lie on the scale of a readout.

After Macmillan and Creelman (2005, Detection Theory: A User's Guide): a forced choice between two gives
d' = sqrt(2) z(share correct), and judging single images old or new gives d' = z(hits) - z(false alarms).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from experiments.statistics.outcomes import Floats
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
    """Share of pairs in which the studied image has the lower score."""
    d_prime: float
    """d' of the forced choice between two."""
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
    """Return a rate whose z is finite: of 0 or 1, the log-linear correction (Hautus 1995, Behavior Research Methods 27,
    46-51), which adds half a success and half a failure.
    """
    return successes / count if 0 < successes < count else (successes + 0.5) / (count + 1)


def forced_choice_d_prime(correct: float, count: int) -> float:
    """Return d' of `correct` choices between two out of `count`; 0 at chance."""
    return math.sqrt(2) * float(norm.ppf(corrected_rate(correct, count)))


def old_new_d_prime(hits: float, false_alarms: float, count: int) -> float:
    """Return d' of judging `count` old and `count` new images."""
    return float(norm.ppf(corrected_rate(hits, count)) - norm.ppf(corrected_rate(false_alarms, count)))


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


def sensitivities(trials: Sequence[TrialRow]) -> list[Sensitivity]:
    """Return the sensitivity of each test condition at each moment."""
    relative = scores(likelihood_ratio_trials(trials))
    return [
        _sensitivity(tested, moment, of_runs, relative.get((tested, moment)))
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


def _sensitivity(
    tested: TestCondition,
    moment: Moment,
    of_runs: list[tuple[Floats, Floats]],
    relative: list[tuple[Floats, Floats]] | None,
) -> Sensitivity:
    count = sum(len(studied) for studied, _ in of_runs)
    share = _share(of_runs)
    hits, false_alarms = np.array([_called_old(studied, foils) for studied, foils in of_runs]).sum(axis=0)
    return Sensitivity(
        model=tested.model,
        readout=tested.readout,
        change=tested.change,
        condition=tested.condition,
        exposure=moment.exposure,
        interference=moment.interference,
        accuracy=share,
        d_prime=forced_choice_d_prime(share * count, count),
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
