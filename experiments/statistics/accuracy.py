"""Accuracy and intervals from `trials.csv` alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.statistics.bootstrap import resampled_shares, share_interval
from experiments.statistics.outcomes import Outcomes, Run, collect
from storage.tables import read_table, write_rows, write_table

# One row per trial: see `experiments.memory.experiment`.
TRIAL_COLUMNS = (
    "list", "version", "seed", "learner", "change", "item", "condition", "exposure", "interference",
    "studied", "foil", "nll_studied", "nll_foil", "correct",
)  # fmt: skip
POOLED = "pooled"


@dataclass(frozen=True)
class Accuracy:
    """Share of correct trials of a condition after some exposures, with its 95 % interval."""

    version: str
    """`as_given`, `swapped`, or `pooled` over all runs."""
    condition: str
    exposure: int
    """Passes over the study list."""
    accuracy: float
    low: float
    high: float
    """The interval allows for other items and other runs, see `experiments.statistics.bootstrap`."""
    trials: int
    learner: str = "weights"
    change: str = "none"
    """Change made to the test images."""
    interference: int = 0
    """Passes over another list after the exposures."""
    list: str = POOLED
    seed: str = POOLED
    model: str = ""
    """Name of the model where several are compared."""


def correctness(nll_studied: float, nll_foil: float) -> float:
    """Return 1 when the studied image is the more likely one, 0 when the foil is, one half for a tie."""
    return 0.5 + 0.5 * ((nll_studied < nll_foil) - (nll_studied > nll_foil))


def accuracies(trials: Iterable[dict[str, str]]) -> list[Accuracy]:
    """Return the accuracy of each way of testing at each moment, of all runs together and of each run."""
    pooled_run = Run(POOLED, POOLED, POOLED)
    results: list[Accuracy] = []
    for outcomes in collect(trials):
        results += _accuracies(outcomes, pooled_run)
        for run in outcomes.runs:
            results += _accuracies(outcomes.of_run(run), run)
    return results


def likelihood_ratio_trials(trials: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return the trials as judged by what study has changed.

    The score of an image becomes NLL(k) - NLL(0), its negative log likelihood ratio per token between the model after
    and before study, so that an image that is simple in itself has no advantage. Trials of runs that were not tested
    before study, with the same learner and change, are left out.
    """
    before = {_image_key(trial): trial for trial in trials if _is_before_study(trial)}
    return [_relative(trial, before[key]) for trial in trials if (key := _image_key(trial)) in before]


def pooled(
    results: Iterable[Accuracy], learner: str = "weights", change: str = "none", model: str = ""
) -> dict[str, list[Accuracy]]:
    """Return the accuracies of all runs together before any interference, by condition, in order of exposure."""
    curves: dict[str, list[Accuracy]] = defaultdict(list)
    for result in results:
        way = result.version, result.learner, result.change, result.interference, result.model
        if way == (POOLED, learner, change, 0, model):
            curves[result.condition].append(result)
    return {name: sorted(curve, key=lambda point: point.exposure) for name, curve in sorted(curves.items())}


def read_trials(path: Path) -> list[dict[str, str]]:
    """Read a `trials.csv`.

    Raises:
        ValueError: a column is missing, or a row is damaged.
    """
    return read_table(path, TRIAL_COLUMNS)


def write_trials(path: Path, trials: Iterable[dict[str, str]]) -> None:
    """Write a `trials.csv`, whole or not at all."""
    write_table(path, trials, TRIAL_COLUMNS)


def write_accuracies(path: Path, results: Iterable[Accuracy]) -> None:
    """Write an `accuracy.csv`."""
    write_rows(path, results, Accuracy)


def _accuracies(outcomes: Outcomes, run: Run) -> Iterator[Accuracy]:
    variances = resampled_shares(outcomes.correct).var(axis=0)
    way = outcomes.way
    figures = zip(outcomes.moments, outcomes.shares.tolist(), variances.tolist(), outcomes.counts.tolist(), strict=True)
    for moment, share, variance, count in figures:
        low, high = share_interval(share, variance, len(outcomes.items))
        yield Accuracy(
            run.version, way.condition, moment.exposure, share, low, high, count, way.learner, way.change,
            moment.interference, run.list, run.seed, way.model,
        )  # fmt: skip


def _image_key(trial: dict[str, str]) -> tuple[str, ...]:
    return (trial.get("model", ""), *(trial[name] for name in ("list", "version", "seed", "learner", "change", "item")))


def _is_before_study(trial: dict[str, str]) -> bool:
    return trial["exposure"] == "0"


def _relative(trial: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    studied = float(trial["nll_studied"]) - float(before["nll_studied"])
    foil = float(trial["nll_foil"]) - float(before["nll_foil"])
    correct = str(correctness(studied, foil))
    return trial | {"nll_studied": repr(studied), "nll_foil": repr(foil), "correct": correct}
