"""Do 95 % intervals of people's accuracy hold the truth? Simulated with the functions that the report uses.

    python benchmarks/coverage_of_people.py           # the whole grid, minutes on one core
    python benchmarks/coverage_of_people.py --quick   # a corner of it

Scripted participants remember a share p of the images and guess the others, so that the share of correct choices is
p + (1 - p) / 2. In every cell the share of simulated experiments is printed whose interval for p, over images and
people, or of one participant over images, holds it. Participants may differ (p is beta distributed over people, with a
standard deviation), and images may (on the probit scale). Cells of less than 93 % are marked, and end the script with
an error.

People of whom most know all and a few much less are not in the grid: two or three participants who all know everything
do not tell that there are others, and no interval of theirs can.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tyro
from scipy.special import ndtr, ndtri

from experiments.statistics.intervals import crossed_mean
from experiments.statistics.outcomes import Floats

LEAST = 0.93
SPREAD_OF_IMAGES = 0.5
"""Standard deviation over images on the probit scale, where they differ."""
DRAWN = 200_000
"""People of whom the mean over people is taken, where they differ."""


@dataclass(frozen=True)
class Options:
    """How much is simulated."""

    quick: bool = False
    """A corner of the grid."""
    experiments: int = 2000
    """In each cell; the standard error of a coverage of 95 % is 0.5 points with 2,000."""
    seed: int = 0
    """Of the simulation."""


@dataclass(frozen=True)
class Cell:
    """What is simulated."""

    participants: int
    images: int
    """Of a condition, all judged by every participant."""
    share: float
    """That people remember on average."""
    people_differ: float
    """Standard deviation of the share over people."""
    images_differ: bool


def cells(quick: bool) -> Iterator[Cell]:
    """Yield the grid; where nothing or all is remembered nobody differs."""
    for participants in (1, 20) if quick else (1, 2, 3, 5, 10, 20, 50):
        for images in (30, 100) if quick else (10, 30, 100):
            for share in (0.0, 0.8, 1.0) if quick else (0.0, 0.2, 0.5, 0.8, 0.95, 1.0):
                fixed = share in (0.0, 1.0)
                spread = 0.03 if share > 0.9 else 0.1
                for people_differ in (0.0,) if fixed or participants == 1 else (0.0, spread):
                    for images_differ in (False,) if fixed else (False, True):
                        yield Cell(participants, images, share, people_differ, images_differ)


def simulate(cell: Cell, experiments: int, generator: np.random.Generator) -> tuple[Floats, float]:
    """Return correct (1) and wrong (0) choices (experiments, participants, images), and the share remembered."""
    size = (experiments, cell.participants, cell.images)
    of_people = _beta(cell.share, cell.people_differ, (experiments, cell.participants, 1), generator)
    truth = cell.share
    chances = np.broadcast_to(of_people, size)
    if cell.images_differ:
        shift = generator.normal(0, SPREAD_OF_IMAGES, (experiments, 1, cell.images))
        chances = ndtr(ndtri(np.clip(of_people, 1e-6, 1 - 1e-6)) + shift)
        truth = _mean_over_images(cell, generator)
    remembered = generator.random(size) < chances
    return (remembered | (generator.random(size) < 0.5)).astype(np.float64), truth


def coverage(cell: Cell, experiments: int, generator: np.random.Generator) -> float:
    """Return the share of experiments whose interval for the share remembered holds the truth."""
    correct, truth = simulate(cell, experiments, generator)
    mean = crossed_mean(correct, 0.0, 1.0)
    low, high = mean.over_images() if cell.participants == 1 else mean.over_images_and_runs()
    held = (2 * low - 1 <= truth + 1e-12) & (truth - 1e-12 <= 2 * high - 1)
    return float(held.mean())


def _beta(share: float, deviation: float, size: tuple[int, ...], generator: np.random.Generator) -> Floats:
    if not deviation:
        return np.full(size, share)
    scale = share * (1 - share) / deviation**2 - 1
    return generator.beta(share * scale, (1 - share) * scale, size)


def _mean_over_images(cell: Cell, generator: np.random.Generator) -> float:
    """Return the share remembered of all images by all people."""
    people = _beta(cell.share, cell.people_differ, (DRAWN if cell.people_differ else 1,), generator)
    spread = np.sqrt(1 + SPREAD_OF_IMAGES**2)  # ndtr(a + s z) has the mean ndtr(a / sqrt(1 + s^2)) over normal z
    return float(ndtr(ndtri(np.clip(people, 1e-6, 1 - 1e-6)) / spread).mean())


def main(options: Options) -> None:
    """Print the coverage of every cell, and the least."""
    generator = np.random.default_rng(options.seed)
    print("people images share  people differ  images differ  coverage in %")
    found = []
    for cell in cells(options.quick):
        held = coverage(cell, options.experiments, generator)
        found.append(held)
        print(
            f"{cell.participants:6} {cell.images:6} {cell.share:5g} {cell.people_differ:14g} "
            f"{'yes' if cell.images_differ else 'no':>14} {100 * held:14.1f}{'!' if held < LEAST else ''}",
            flush=True,
        )
    under = sum(held < LEAST for held in found)
    print(f"least of {len(found)} cells: {100 * min(found):.1f}")
    if under:
        sys.exit(f"{under} of {len(found)} cells have less than {100 * LEAST:.0f} %")


if __name__ == "__main__":
    main(tyro.cli(Options))
