"""Do 95 % intervals of items that come in groups cover? Simulated with the functions that the diversity report uses.

    python benchmarks/coverage_of_groups.py           # the whole grid, minutes on one core
    python benchmarks/coverage_of_groups.py --quick   # a corner of it

Items come from groups, such as clips from films, and items of a group are alike by an intraclass correlation. Every
cell is a number of items and of groups, equal or unequal in size, a correlation and a kind of value; of each the share
of simulated data is printed whose interval holds the truth. Cells of less than 93 % are marked, and end the script with
an error. Beside them stands what resampling items alone would cover, as of independent ones.

Values, by kind (the correlation is that of the normal variables that they are made of):

    normal        means of normal values
    skewed        means of lognormal values (sigma 1), on the scale of the values, as of differences
    skewed, log   the same on the logarithmic scale, as of distances and bits
    share p       shares with probability p: those of groups are beta distributed with the correlation
    difference    of two shares of the same items, .7 each
    ratio         of means of two independent sets of lognormal values, both of so many items and groups
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import tyro

from experiments.statistics.grouped import Grouping, mean_of, ratio_of, share_of
from experiments.statistics.outcomes import Floats

LEAST = 0.93
RESAMPLES = 400
"""Of the percentile bootstrap over items, for comparison."""
COMPARED = 100
"""Simulated data of each cell that are bootstrapped."""


@dataclass(frozen=True)
class Options:
    """How much is simulated."""

    quick: bool = False
    """A corner of the grid."""
    runs: int = 4000
    """Simulated data in each cell; the standard error of a coverage of 95 % is 0.3 points with 4,000."""
    seed: int = 0
    """Of the simulation."""


@dataclass(frozen=True)
class Cell:
    """What is simulated."""

    items: int
    """Of each data set."""
    groups: int
    """That they come from."""
    correlation: float
    """Of items of one group."""
    equal: bool
    """Whether groups have equally many items; otherwise the g-th has 1/g of what the first has."""

    @property
    def grouping(self) -> Grouping:
        """Which items belong together."""
        weights = np.ones(self.groups) if self.equal else 1 / np.arange(1, self.groups + 1)
        sizes = 1 + np.floor((self.items - self.groups) * weights / weights.sum()).astype(int)
        sizes[: self.items - sizes.sum()] += 1
        return Grouping.of([str(group) for group, size in enumerate(sizes) for _ in range(size)])


def cells(quick: bool) -> Iterator[Cell]:
    """Yield the grid; where each item is a group there is nothing to correlate."""
    for items in (8, 36) if quick else (8, 16, 36, 100):
        for groups in (2, 6, 36) if quick else (2, 4, 6, 8, 12, 36):
            alone = groups == items
            for correlation in (0.0,) if alone else (0.0, 0.5) if quick else (0.0, 0.1, 0.3, 0.5):
                for equal in (True,) if alone else (True, False):
                    if groups <= items:
                        yield Cell(items=items, groups=groups, correlation=correlation, equal=equal)


def normal(cell: Cell, runs: int, generator: np.random.Generator) -> Floats:
    """Draw standard normal values (I, runs) with the correlation of a cell."""
    shared = generator.normal(size=(cell.groups, runs))[cell.grouping.codes]
    own = generator.normal(size=(cell.items, runs))
    return np.sqrt(cell.correlation) * shared + np.sqrt(1 - cell.correlation) * own


def binary(share: float, cell: Cell, runs: int, generator: np.random.Generator) -> Floats:
    """Draw right (1) and wrong (0) items (I, runs) with the correlation of a cell."""
    if share == 1 or not cell.correlation:
        return (generator.random((cell.items, runs)) < share).astype(np.float64)
    scale = 1 / cell.correlation - 1
    of_group = generator.beta(share * scale, (1 - share) * scale, (cell.groups, runs))
    return (generator.random((cell.items, runs)) < of_group[cell.grouping.codes]).astype(np.float64)


Covered = Callable[[Cell, int, np.random.Generator], tuple[float, float]]
"""Simulates a cell and returns the coverage, and that of the percentile bootstrap over items."""


def covered_mean(scale: str, cell: Cell, runs: int, generator: np.random.Generator) -> tuple[float, float]:
    """Cover the mean of normal or lognormal values."""
    values = normal(cell, runs, generator)
    truth = 0.0
    if scale != "normal":
        values, truth = np.exp(values), float(np.exp(0.5))
    found = mean_of(values, cell.grouping, "log" if scale == "log" else "linear")
    return coverage(found.interval(), truth), bootstrapped(values, truth, generator)


def covered_share(share: float, cell: Cell, runs: int, generator: np.random.Generator) -> tuple[float, float]:
    """Cover a share."""
    values = binary(share, cell, runs, generator)
    return coverage(share_of(values, cell.grouping).interval(), share), bootstrapped(values, share, generator)


def covered_difference(cell: Cell, runs: int, generator: np.random.Generator) -> tuple[float, float]:
    """Cover the difference of two equal shares of the same items."""
    values = binary(0.7, cell, runs, generator) - binary(0.7, cell, runs, generator)
    return coverage(share_of(values, cell.grouping, -1.0).interval(), 0.0), bootstrapped(values, 0.0, generator)


def covered_ratio(cell: Cell, runs: int, generator: np.random.Generator) -> tuple[float, float]:
    """Cover the ratio of means of two sets of lognormal values."""
    above, below = (np.exp(normal(cell, runs, generator)) for _ in range(2))
    return coverage(ratio_of(above, cell.grouping, below, cell.grouping).interval(), 1.0), np.nan


KINDS: dict[str, Covered] = {
    "normal": partial(covered_mean, "normal"),
    "skewed": partial(covered_mean, "skewed"),
    "skewed, log": partial(covered_mean, "log"),
    **{f"share {share:g}": partial(covered_share, share) for share in (0.5, 0.7, 0.9, 0.95, 0.99, 1.0)},
    "difference": covered_difference,
    "ratio": covered_ratio,
}


def coverage(ends: tuple[Floats, Floats], truth: float) -> float:
    """Return the share of intervals that hold the truth; the allowance is for rounding."""
    low, high = ends
    return float(((low <= truth + 1e-12) & (truth - 1e-12 <= high)).mean())


def bootstrapped(values: Floats, truth: float, generator: np.random.Generator) -> float:
    """Return what percentile intervals of the mean cover that take items (I, runs) as independent."""
    drawn = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), size=RESAMPLES)
    means = drawn @ values[:, :COMPARED] / len(values)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return coverage((low, high), truth)


def main(options: Options) -> None:
    """Print the table of coverages, and of each kind the least."""
    generator = np.random.default_rng(options.seed)
    grid = list(cells(options.quick))
    print("coverage in % (in brackets: items resampled as if independent)")
    print(f"{'items':>5} {'groups':>6} {'corr.':>5} {'sizes':>7}  {'  '.join(f'{name:>12}' for name in KINDS)}")
    least = dict.fromkeys(KINDS, (1.0, np.nan))
    for cell in grid:
        texts: list[str] = []
        for name, covered in KINDS.items():
            ours, independent = covered(cell, options.runs, generator)
            least[name] = (min(least[name][0], ours), float(np.fmin(least[name][1], independent)))
            beside = "" if np.isnan(independent) else f" ({100 * independent:.0f})"
            texts.append(f"{100 * ours:.1f}{'!' if ours < LEAST else ''}{beside}")
        sizes = "equal" if cell.equal else "unequal"
        print(
            f"{cell.items:5} {cell.groups:6} {cell.correlation:5g} {sizes:>7}  {'  '.join(f'{t:>12}' for t in texts)}",
            flush=True,
        )
    print("\nleast of all cells")
    for name, (ours, independent) in least.items():
        beside = "" if np.isnan(independent) else f" (items resampled as if independent: {100 * independent:.0f})"
        print(f"{name:>12}  {100 * ours:.1f}{beside}")
    under = sum(ours < LEAST for ours, _ in least.values())
    if under:
        sys.exit(f"{under} kinds of value have a cell of less than {100 * LEAST:.0f} %")


if __name__ == "__main__":
    main(tyro.cli(Options))
