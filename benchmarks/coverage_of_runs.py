"""How often intervals over images and runs hold the truth, and how often tests reject what is true.

Recognition is simulated: every run (a seed) studies both versions of a list, and tells an image from its foil with the
probability Phi(a + run + image), runs and images being normally distributed on that scale; in the second version the
studied image and the foil have changed places, so that a preference between them changes its sign. What a run adds is
the same in both versions, or has half of its variance in common. Nominal are 95 % and 5 %. Runs differ by 0, 0.08 or
0.17, the standard deviation (probit) of the published runs from scratch (Orhan 2022, arXiv 2204.13061); `--apart` adds
runs that differ by 0.3. The intervals and tests are those of the package, one call for all simulated experiments of a
cell.

    .venv/bin/python benchmarks/coverage_of_runs.py            # every cell, 2,000 experiments each
    .venv/bin/python benchmarks/coverage_of_runs.py --quick    # some cells, 500 experiments each

Prints the worst cells of each kind, and ends with 1 if one lies outside what docs/benchmarks.md states.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from experiments.statistics.comparison import sign_flip_p
from experiments.statistics.intervals import crossed_mean
from experiments.statistics.outcomes import Outcomes
from experiments.statistics.psychometric import Psychometric
from experiments.statistics.thresholds import thresholds
from experiments.statistics.trials import Moment, Run, TestCondition
from training.progress import Progress

Floats = NDArray[np.float64]
LEAST_COVERAGE = 0.93
GREATEST_ERROR = 0.06
FULL = 2000
"""Simulated experiments in each cell."""
RUNS = (1, 2, 3, 4, 8)
IMAGES = (8, 16, 40, 100)
ACCURACIES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
SPREADS = (0.0, 0.08, 0.17)
APART = 0.3
VERSIONS = 2
COMMON = (1.0, 0.5)
"""Share of the variance of runs that both versions of a list have in common."""
IMAGE_SPREADS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
"""How much images differ in how well they are told from foils, and how much one of a pair is preferred."""
SHARED = (0.0, 0.8)
"""Share of the chance of single trials that two models under comparison have in common."""


LEARNED = 0.75
"""Accuracy of the cells in which learning curves are simulated, once for each of their other values."""
CURVE = Psychometric(scale=6.0, slope=2.0, lapse=0.0)
EXPOSURES = range(21)
CONDITION = "state"
"""Of Brady et al., whose people reach 87.2 %."""


@dataclass(frozen=True)
class Cell:
    """What is simulated."""

    runs: int
    images: int
    accuracy: float
    run_spread: float
    common: float
    image_spread: float
    preference: float


@dataclass(frozen=True)
class Outcome:
    """What came out of a cell: a share of simulated experiments."""

    kind: str
    cell: Cell
    share: float
    width: float
    experiments: int


def main() -> int:
    """Simulate, print the worst cells, and return 1 if one is outside of what is stated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some cells, 500 experiments each")
    parser.add_argument("--apart", action="store_true", help="also runs that differ more than published ones")
    arguments = parser.parse_args()
    experiments = FULL // 4 if arguments.quick else FULL
    spreads = (*SPREADS, APART) if arguments.apart else SPREADS
    cells = list(_cells(spreads, arguments.quick))
    outcomes: list[Outcome] = []
    with Progress("Simulating", len(cells)) as progress:
        for number, cell in enumerate(cells):
            generator = np.random.default_rng(number)
            outcomes += _coverage(cell, experiments, generator)
            outcomes += _errors(cell, experiments, generator)
            if (cell.accuracy, cell.preference, cell.common) == (LEARNED, 0.0, 1.0):
                outcomes.append(_thresholds(cell, experiments // 10, generator))
            progress.show(number + 1)
    return _print(outcomes)


def _cells(spreads: tuple[float, ...], quick: bool) -> Iterator[Cell]:
    images = (8, 100) if quick else IMAGES
    accuracies = (0.5, 0.75, 0.9, 1.0) if quick else ACCURACIES
    grid = product(RUNS, images, accuracies, spreads, COMMON, IMAGE_SPREADS)
    for runs, count, accuracy, spread, common, of_images in grid:
        is_new = common == 1 or (spread > 0 and not quick)
        if is_new and (accuracy < 1 or (spread == 0 and of_images == (0.0, 0.0))):
            yield Cell(runs, count, accuracy, spread, common, *of_images)


def _coverage(cell: Cell, experiments: int, generator: np.random.Generator) -> list[Outcome]:
    """Return how often the interval of an accuracy holds it: over images for one run, else over images and runs."""
    runs, chances = _chances(cell, experiments, generator)
    correct = (generator.random(chances.shape) < chances).astype(np.float64)
    mean = crossed_mean(correct, 0.0, 1.0, _units(cell))
    if cell.runs > 1:
        return [
            _held("accuracy, images and runs", cell, mean.over_images_and_runs(), np.full(experiments, cell.accuracy))
        ]
    others = np.hypot(1.0, np.hypot(cell.image_spread, cell.preference))
    truth = ndtr((_middle(cell) + runs[:, :, 0]) / others).mean(axis=1)
    return [_held("accuracy, images, one run", cell, mean.over_images(), truth)]


def _errors(cell: Cell, experiments: int, generator: np.random.Generator) -> list[Outcome]:
    """Return how often two models that are equally good are found to differ."""
    found = []
    if cell.accuracy == 1:
        return []
    for shared in SHARED:
        differences = _differences(cell, experiments, shared, generator)
        mean = crossed_mean(differences, -1.0, 1.0, _units(cell))
        if cell.runs > 1:
            found.append(_rejected("comparison, images and runs", cell, mean.over_images_and_runs()))
        elif cell.run_spread == 0:
            found.append(_rejected("comparison, images, one run: interval", cell, mean.over_images()))
            p = np.array([sign_flip_p(of_one.sum(axis=0)) for of_one in differences])
            kind = "comparison, images, one run: sign flips"
            found.append(Outcome(kind, cell, float((p < 0.05).mean()), found[-1].width, experiments))
    return found


def _thresholds(cell: Cell, experiments: int, generator: np.random.Generator) -> Outcome:
    """Return how often the interval of the exposures to the level of people holds those of the true curve."""
    spread = np.hypot(np.hypot(1.0, cell.run_spread), cell.image_spread)
    middles = np.array([ndtri(CURVE(exposure)) * spread for exposure in EXPOSURES])
    held = []
    widths = []
    for _ in range(experiments):
        runs = _runs(cell, 1, generator)
        images = generator.normal(0, cell.image_spread, (1, 1, cell.images))
        noise = generator.normal(
            size=(1, VERSIONS * cell.runs, cell.images)
        )  # one and the same after every exposure: they cohere
        line = thresholds([_outcomes((middles[:, None, None] + runs + images + noise > 0).astype(np.float64))])[0]
        low, high = (line.low_images, line.high_images) if cell.runs == 1 else (line.low, line.high)
        low = np.inf if low is None else low
        high = np.inf if high is None else high
        of_run = np.array([CURVE(exposure) for exposure in EXPOSURES])
        if cell.runs == 1:
            of_run = ndtr((middles[:, None] + runs[0, :, 0]) / np.hypot(1.0, cell.image_spread)).mean(axis=1)
        truth = float(np.interp(line.people, of_run, EXPOSURES))
        held.append(low <= truth <= high)
        widths.append(min(high, max(EXPOSURES)) - min(low, max(EXPOSURES)))
    return Outcome("exposures to people", cell, float(np.mean(held)), float(np.mean(widths)), experiments)


def _outcomes(correct: Floats) -> Outcomes:
    """Return the outcomes (M, R, I) of a learning curve as the package collects them."""
    moments = tuple(Moment(exposure, 0) for exposure in EXPOSURES)
    seeds = range(correct.shape[1] // VERSIONS)
    runs = tuple(Run("list", version, seed) for seed in seeds for version in ("as_given", "swapped"))
    images = tuple(("list", str(image)) for image in range(correct.shape[2]))
    return Outcomes(
        TestCondition("", "weights", "none", CONDITION), moments, runs, images, correct, np.full_like(correct, 0.5)
    )


def _chances(cell: Cell, experiments: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Return what versions of runs add (E, 2 R, 1) and the chance (E, 2 R, I) of every trial of E experiments."""
    runs = _runs(cell, experiments, generator)
    images = generator.normal(0, cell.image_spread, (experiments, 1, cell.images))
    preferred = generator.normal(0, cell.preference, (experiments, 1, cell.images))
    return runs, ndtr(_middle(cell) + runs + images + preferred * _signs(cell))


def _differences(cell: Cell, experiments: int, shared: float, generator: np.random.Generator) -> Floats:
    """Return the differences (E, 2 R, I) in correctness of two models whose runs differ independently."""
    images = generator.normal(0, cell.image_spread, (experiments, 1, cell.images))
    preferred = generator.normal(0, cell.preference, (experiments, 1, cell.images)) * _signs(cell)
    common = np.sqrt(shared) * generator.normal(size=(experiments, VERSIONS * cell.runs, cell.images))
    correct = []
    for _ in range(2):
        own = np.sqrt(1 - shared) * generator.normal(size=common.shape)
        runs = _runs(cell, experiments, generator)
        correct.append(_middle(cell) + runs + images + preferred + common + own > 0)
    return correct[0].astype(np.float64) - correct[1]


def _middle(cell: Cell) -> float:
    """Return the mean on the probit scale that gives the accuracy over all runs and images."""
    spread = np.sqrt(1 + cell.run_spread**2 + cell.image_spread**2 + cell.preference**2)
    return float(ndtri(min(cell.accuracy, 1 - 1e-15)) * spread) if cell.accuracy < 1 else 40.0


def _signs(cell: Cell) -> Floats:
    """Return (2 R, 1) with -1 for the second version of every run."""
    return np.tile([1.0, -1.0], cell.runs)[:, None]


def _units(cell: Cell) -> NDArray[np.int64]:
    return np.repeat(np.arange(cell.runs), VERSIONS)


def _runs(cell: Cell, experiments: int, generator: np.random.Generator) -> Floats:
    """Return what each version of each run adds, (E, 2 R, 1)."""
    in_common = np.repeat(generator.normal(size=(experiments, cell.runs, 1)), VERSIONS, axis=1)
    own = generator.normal(size=in_common.shape)
    return cell.run_spread * (np.sqrt(cell.common) * in_common + np.sqrt(1 - cell.common) * own)


def _held(kind: str, cell: Cell, interval: tuple[Floats, Floats], truth: Floats) -> Outcome:
    low, high = interval
    held = (low <= truth + 1e-12) & (truth <= high + 1e-12)
    return Outcome(kind, cell, float(held.mean()), float((high - low).mean()), len(held))


def _rejected(kind: str, cell: Cell, interval: tuple[Floats, Floats]) -> Outcome:
    """Return how often an interval lies beside 0, which is when the p-value is below 5 %."""
    low, high = interval
    share = float(((low > 0) | (high < 0)).mean())
    return Outcome(kind, cell, share, float((high - low).mean()), len(low))


def _print(outcomes: list[Outcome]) -> int:
    """Print each kind's worst and mean share, and its worst cells; return 1 if one is outside of what is stated."""
    failed = 0
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        covers = not kind.startswith("comparison")
        ranked = sorted(of_kind, key=lambda outcome: outcome.share if covers else -outcome.share)
        mean = float(np.mean([outcome.share for outcome in of_kind]))
        print(f"{kind}: {'coverage' if covers else 'type I error'}, {len(of_kind)} cells, mean {mean:.3f}")
        outside = [outcome for outcome in ranked if _is_outside(outcome, covers)]
        for outcome in ranked[: max(3, len(outside))]:
            marked = "  OUTSIDE" if outcome in outside else ""
            print(f"  {outcome.share:.3f}  width {outcome.width:.3f}  {outcome.cell}{marked}")
        failed += len(outside)
    print(f"{failed} cells outside" if failed else "every cell is within what is stated")
    return int(failed > 0)


def _is_outside(outcome: Outcome, covers: bool) -> bool:
    """Return whether a cell misses what is stated; of fewer experiments, by more than two standard errors."""
    limit = LEAST_COVERAGE if covers else GREATEST_ERROR
    error = 0.0 if outcome.experiments >= FULL else 2 * np.sqrt(limit * (1 - limit) / outcome.experiments)
    return outcome.share < limit - error if covers else outcome.share > limit + error


if __name__ == "__main__":
    sys.exit(main())
