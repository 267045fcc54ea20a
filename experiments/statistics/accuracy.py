"""Accuracy and intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.statistics.intervals import crossed_mean
from experiments.statistics.outcomes import Outcomes, known
from experiments.statistics.trials import Run
from storage.tables import write_rows

POOLED = "pooled"


@dataclass(frozen=True)
class Accuracy:
    """Share of correct trials of a condition after some exposures, with 95 % intervals."""

    version: str
    """`as_given`, `swapped`, or `pooled` over all runs."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    exposure: int
    """Passes over the study list."""
    accuracy: float
    """Share of correct trials; a tie counts one half, or nothing with `--ties wrong`."""
    chance: float
    """Accuracy of guessing: one half, less where there are ties that count as wrong."""
    low: float | None
    """Lower end of the interval for other images and other runs; empty for one run, which does not tell how runs
    differ."""
    high: float | None
    """Upper end of it."""
    low_images: float
    """Lower end of the interval for other images, judged by the same runs."""
    high_images: float
    """Upper end of it."""
    trials: int
    """Number of trials."""
    images: int
    """Different images among the trials."""
    runs: int
    """Seeds on lists that the trials come from; both versions of a list under a seed count as one."""
    readout: str = "weights"
    """What decided: `weights`, `weights+store` or `familiarity`."""
    change: str = "none"
    """Change made to the test images."""
    interference: int = 0
    """Passes over another list after the exposures."""
    list: str = POOLED
    """Name of the study list, or `pooled`."""
    seed: int | None = None
    """Of the run; empty where runs are pooled."""
    model: str = ""
    """Name of the model."""


def accuracies(outcomes: Iterable[Outcomes]) -> list[Accuracy]:
    """Return the accuracy of each test condition at each moment, of all runs together and of each run.

    Runs are pooled at the moments at which all of them were tested: where some end sooner, the others would make a
    curve that jumps for reasons of its own.
    """
    results: list[Accuracy] = []
    for of_condition in outcomes:
        common = of_condition.common_moments()
        if common:
            results += _accuracies(of_condition.at(common), None)
        for run in of_condition.runs:
            results += _accuracies(of_condition.of_run(run), run)
    return results


def pooled(
    results: Iterable[Accuracy], readout: str = "weights", change: str = "none", model: str | None = None
) -> dict[str, list[Accuracy]]:
    """Return the accuracies of all runs together before any interference, by condition, in order of exposure.

    Args:
        results: of any test conditions.
        readout: what decided.
        change: made to the test images.
        model: its name; not needed where there is one.
    """
    curves: dict[str, list[Accuracy]] = defaultdict(list)
    for result in results:
        tested = result.version, result.readout, result.change, result.interference
        if tested == (POOLED, readout, change, 0) and model in (None, result.model):
            curves[result.condition].append(result)
    return {name: sorted(curve, key=lambda point: point.exposure) for name, curve in sorted(curves.items())}


def write_accuracies(path: Path, results: Iterable[Accuracy]) -> None:
    """Write an `accuracy.csv`."""
    write_rows(path, results, Accuracy)


def _accuracies(outcomes: Outcomes, run: Run | None) -> Iterator[Accuracy]:
    mean = crossed_mean(outcomes.correct, 0.0, 1.0, outcomes.units)
    chances = np.nanmean(outcomes.guessed, axis=(1, 2)).tolist()
    ends = (*mean.over_images_and_runs(), *mean.over_images())
    intervals = zip(*(of_end.tolist() for of_end in ends), strict=True)
    tested = outcomes.tested
    judged = outcomes.judged_images().tolist()
    by_moment = zip(
        outcomes.moments, mean.means.tolist(), intervals, outcomes.counts.tolist(), judged, chances, strict=True
    )
    for moment, share, (low, high, low_images, high_images), count, images, chance in by_moment:
        yield Accuracy(
            version=run.version if run else POOLED,
            condition=tested.condition,
            exposure=moment.exposure,
            accuracy=share,
            chance=chance,
            low=known(low),
            high=known(high),
            low_images=low_images,
            high_images=high_images,
            trials=count,
            images=images,
            runs=len(set(outcomes.units.tolist())),
            readout=tested.readout,
            change=tested.change,
            interference=moment.interference,
            list=run.list if run else POOLED,
            seed=run.seed if run else None,
            model=tested.model,
        )
