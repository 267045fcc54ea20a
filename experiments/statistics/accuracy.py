"""Accuracy and intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.statistics.bootstrap import resampled_shares, share_interval
from experiments.statistics.outcomes import Outcomes
from experiments.statistics.trials import Run
from storage.tables import write_rows

POOLED = "pooled"


@dataclass(frozen=True)
class Accuracy:
    """Share of correct trials of a condition after some exposures, with its 95 % interval."""

    version: str
    """`as_given`, `swapped`, or `pooled` over all runs."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    exposure: int
    """Passes over the study list."""
    accuracy: float
    """Share of correct trials; a tie counts one half."""
    low: float
    """Lower end of the 95 % interval, which allows for other items and runs (`experiments.statistics.bootstrap`)."""
    high: float
    """Upper end of it."""
    trials: int
    """Number of trials."""
    readout: str = "weights"
    """What decided: `weights`, `weights+store` or `familiarity`."""
    change: str = "none"
    """Change made to the test images."""
    interference: int = 0
    """Passes over another list after the exposures."""
    list: str = POOLED
    """Name of the study list, or `pooled`."""
    seed: str = POOLED
    """Of the run, or `pooled`."""
    model: str = ""
    """Name of the model where several are compared."""


def accuracies(outcomes: Iterable[Outcomes]) -> list[Accuracy]:
    """Return the accuracy of each test condition at each moment, of all runs together and of each run."""
    results: list[Accuracy] = []
    for of_condition in outcomes:
        results += _accuracies(of_condition, None)
        for run in of_condition.runs:
            results += _accuracies(of_condition.of_run(run), run)
    return results


def pooled(
    results: Iterable[Accuracy], readout: str = "weights", change: str = "none", model: str = ""
) -> dict[str, list[Accuracy]]:
    """Return the accuracies of all runs together before any interference, by condition, in order of exposure."""
    curves: dict[str, list[Accuracy]] = defaultdict(list)
    for result in results:
        tested = result.version, result.readout, result.change, result.interference, result.model
        if tested == (POOLED, readout, change, 0, model):
            curves[result.condition].append(result)
    return {name: sorted(curve, key=lambda point: point.exposure) for name, curve in sorted(curves.items())}


def write_accuracies(path: Path, results: Iterable[Accuracy]) -> None:
    """Write an `accuracy.csv`."""
    write_rows(path, results, Accuracy)


def _accuracies(outcomes: Outcomes, run: Run | None) -> Iterator[Accuracy]:
    variances = resampled_shares(outcomes.correct).var(axis=0)
    tested = outcomes.tested
    shares = zip(outcomes.moments, outcomes.shares.tolist(), variances.tolist(), outcomes.counts.tolist(), strict=True)
    for moment, share, variance, count in shares:
        low, high = share_interval(share, variance, len(outcomes.items))
        yield Accuracy(
            version=run.version if run else POOLED,
            condition=tested.condition,
            exposure=moment.exposure,
            accuracy=share,
            low=low,
            high=high,
            trials=count,
            readout=tested.readout,
            change=tested.change,
            interference=moment.interference,
            list=run.list if run else POOLED,
            seed=str(run.seed) if run else POOLED,
            model=tested.model,
        )
