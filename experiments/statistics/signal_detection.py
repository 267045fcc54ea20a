"""Sensitivity: how far apart what was studied and what was not lie on the learner's scale.

After Macmillan and Creelman (2005, Detection Theory: A User's Guide): a forced choice between two gives
d' = sqrt(2) z(share correct), and judging single images old or new gives d' = z(hits) - z(false alarms).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from experiments.statistics.accuracy import likelihood_ratio_trials
from experiments.statistics.outcomes import Floats, Moment, Run, Way, moment_of, run_of


@dataclass(frozen=True)
class Sensitivity:
    """Measures of one way of testing at one moment, over all runs."""

    model: str
    learner: str
    change: str
    condition: str
    exposure: int
    interference: int
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
    """Return false alarms and hits (N,) as the criterion goes from the lowest score to the highest, from 0 to 1."""
    criteria = np.unique(np.concatenate([studied, foils]))
    hits = np.searchsorted(np.sort(studied), criteria, side="right") / len(studied)
    false_alarms = np.searchsorted(np.sort(foils), criteria, side="right") / len(foils)
    return np.concatenate([[0.0], false_alarms]), np.concatenate([[0.0], hits])


def sensitivities(trials: Sequence[dict[str, str]]) -> list[Sensitivity]:
    """Return the sensitivity of each way of testing at each moment."""
    relative = scores(likelihood_ratio_trials(trials))
    return [
        _sensitivity(way, moment, of_runs, relative.get((way, moment)))
        for (way, moment), of_runs in sorted(scores(trials).items())
    ]


def scores(trials: Sequence[dict[str, str]]) -> dict[tuple[Way, Moment], list[tuple[Floats, Floats]]]:
    """Return the scores of studied images and of foils, (I,) each, of every run: runs differ in their scale."""
    pairs: dict[tuple[Way, Moment], dict[Run, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        way = Way(trial.get("model", ""), trial["learner"], trial["change"], trial["condition"])
        pair = float(trial["nll_studied"]), float(trial["nll_foil"])
        pairs[way, moment_of(trial)][run_of(trial)].append(pair)
    arrays = {key: [np.array(of_run) for of_run in of_runs.values()] for key, of_runs in pairs.items()}
    return {key: [(of_run[:, 0], of_run[:, 1]) for of_run in of_runs] for key, of_runs in arrays.items()}


def _sensitivity(
    way: Way,
    moment: Moment,
    of_runs: list[tuple[Floats, Floats]],
    relative: list[tuple[Floats, Floats]] | None,
) -> Sensitivity:
    count = sum(len(studied) for studied, _ in of_runs)
    share = _share(of_runs)
    hits, false_alarms = np.array([_called_old(studied, foils) for studied, foils in of_runs]).sum(axis=0)
    ratio = (_share(relative), _mean_area(relative)) if relative else (None, None)
    return Sensitivity(
        way.model, way.learner, way.change, way.condition, moment.exposure, moment.interference,
        share, forced_choice_d_prime(share * count, count),
        float(hits / count), float(false_alarms / count), old_new_d_prime(hits, false_alarms, count),
        _mean_area(of_runs), *ratio,
    )  # fmt: skip


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
