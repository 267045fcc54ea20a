"""How often the intervals of `secondsight scaling fit` hold the true exponents.

Runs are simulated from known laws, in designs as people train them; the log of every loss has normal noise, half of
whose variance the ends of one trunk share. Nominal are 95 %. Noise is 0.3 % of the loss, and what `--noise` says; the
residuals of the points that Besiroglu et al. (2024) read off a published figure have a median size of 0.3 %. Two kinds
of intervals stand side by side: plain percentiles, and those of the command, expanded for few trainings.

    .venv/bin/python benchmarks/coverage_of_scaling.py            # every design, 100 experiments each
    .venv/bin/python benchmarks/coverage_of_scaling.py --quick    # 20 experiments each

Ends with 1 if an interval of the command holds an exponent in fewer of 100 experiments than docs/benchmarks.md states.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import product

import numpy as np

from experiments.scaling.bootstrap import draw_counts, fit_draws, fit_law, interval
from experiments.scaling.laws import FLOP_PER_PARAMETER_AND_ITEM, Floats, Law
from experiments.scaling.selecting import Runs, make_runs
from experiments.scaling.tables import RunRow

LEAST_COVERAGE = 0.93
EXPERIMENTS = 100
DRAWS = 200
SHARED = 0.5
"""Share of the variance of noise that the ends of one trunk have in common."""
LAW = Law(1.8172, 477.8, 2143.0, 0.3473, 0.3672)
"""As fitted by Besiroglu et al. (2024)."""
REPEATS = 15.0
"""Decay of repeats, of about the size that Muennighoff et al. (2023) found."""
DESIGNS = ("ladder", "grid", "slices", "trunks")
EXPONENTS = ("alpha", "beta", "size_exponent")


@dataclass(frozen=True)
class Cell:
    """What is simulated."""

    design: str
    repeated: bool
    noise: float


@dataclass(frozen=True)
class Outcome:
    """How often intervals held an exponent, and their median width."""

    cell: Cell
    exponent: str
    plain: float
    expanded: float
    width: float


def main() -> int:
    """Simulate, print, and return 1 if intervals hold the truth less often than is stated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 experiments of each design")
    parser.add_argument("--noise", type=float, default=0.003, help="standard deviation of the log of losses")
    arguments = parser.parse_args()
    experiments = EXPERIMENTS // 5 if arguments.quick else EXPERIMENTS
    cells = [Cell(design, repeated, arguments.noise) for design, repeated in product(DESIGNS, (False, True))]
    failed = 0
    for number, cell in enumerate(cells):
        failed += _print(simulate(cell, experiments, DRAWS, np.random.default_rng(number)), experiments)
    print(f"{failed} outside" if failed else "every interval holds as often as is stated")
    return int(failed > 0)


def simulate(cell: Cell, experiments: int, draws: int, generator: np.random.Generator) -> list[Outcome]:
    """Return how often the intervals of a cell hold each exponent."""
    truth = _truth(cell)
    held: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in EXPONENTS}
    for _ in range(experiments):
        runs = draw_runs(cell, generator)
        fitted = fit_law(runs, cell.repeated, grid=False)
        laws = [fitted.points.law(vector) for vector in fit_draws(fitted, draw_counts(runs, draws, generator))]
        for name in EXPONENTS:
            values = np.array([getattr(law, name) for law in laws])
            true = float(getattr(truth, name))
            plain = np.quantile(values, (0.025, 0.975))
            ends = interval(values, int(runs.sources.max()) + 1, fitted.points.size)
            low, high = ends or (-np.inf, np.inf)
            held[name].append((bool(plain[0] <= true <= plain[1]), low <= true <= high, high - low))
    return [_outcome(cell, name, found) for name, found in held.items()]


def draw_runs(cell: Cell, generator: np.random.Generator) -> Runs:
    """Return the runs of one experiment."""
    parameters, data, source = _design(cell.design)
    unique = np.minimum(data, np.where(np.arange(len(data)) % 3 > 0, 0.15, 1) * np.median(data))
    unique = unique if cell.repeated else data
    groups = int(source.max()) + 1
    own = 1 - SHARED if groups < len(data) else 1.0
    noise = np.sqrt(own) * generator.normal(size=len(data)) + np.sqrt(1 - own) * generator.normal(size=groups)[source]
    loss = _truth(cell).loss(parameters, data, unique) * np.exp(cell.noise * noise)
    rows = [
        RunRow(
            run=f"run {index}",
            seed=0,
            parameters=round(size),
            non_embedding_parameters=None,
            data=amount,
            unique_data=different,
            compute=FLOP_PER_PARAMETER_AND_ITEM * size * amount,
            loss=reached,
            loss_unit="nats per token",
            source=f"source {group:03d}",
            diverged=False,
        )
        for index, (size, amount, different, reached, group) in enumerate(
            zip(parameters, data, unique, loss, source, strict=True)
        )
    ]
    return make_runs(rows, parameters)


def _truth(cell: Cell) -> Law:
    repeats = REPEATS if cell.repeated else float("inf")
    return Law(LAW.floor, LAW.parameters_scale, LAW.data_scale, LAW.alpha, LAW.beta, repeats)


def _design(name: str) -> tuple[Floats, Floats, np.ndarray]:
    """Return parameters and items seen (n,), and what belongs together (n,)."""
    if name == "slices":  # 5 budgets of 8 sizes, around 20 tokens per parameter
        compute = np.repeat(np.geomspace(1e17, 1e20, 5), 8)
        parameters = np.sqrt(compute / 120) * np.tile(np.geomspace(1 / 6, 6, 8), 5)
        return parameters, compute / FLOP_PER_PARAMETER_AND_ITEM / parameters, np.arange(40)
    if name == "ladder":  # 4 sizes, 3 budgets, 2 seeds
        parameters = np.repeat(np.geomspace(1e6, 1e8, 4), 6)
        compute = np.tile(np.repeat((1e16, 1e17, 1e18), 2), 4)
        return parameters, compute / FLOP_PER_PARAMETER_AND_ITEM / parameters, np.arange(24)
    parameters = np.repeat(np.geomspace(1e6, 1e9, 6), 6)
    data = np.tile(np.geomspace(1e8, 3e10, 6), 6)
    if name == "grid":  # every size with every amount of data
        return parameters, data, np.arange(36)
    # 24 trunks with 3 ends each, two seeds
    trunk = np.repeat(np.arange(12), 3)
    return np.tile(parameters, 2), np.tile(data, 2), np.concatenate([trunk, 12 + trunk])


def _outcome(cell: Cell, exponent: str, found: list[tuple[bool, bool, float]]) -> Outcome:
    plain, expanded, widths = (np.array(kind, np.float64) for kind in zip(*found, strict=True))
    return Outcome(cell, exponent, float(plain.mean()), float(expanded.mean()), float(np.median(widths)))


def _print(outcomes: list[Outcome], experiments: int) -> int:
    """Print a line for each exponent of a cell; return how many of the command's intervals hold too seldom."""
    error = 0.0 if experiments >= EXPERIMENTS else 2 * np.sqrt(LEAST_COVERAGE * (1 - LEAST_COVERAGE) / experiments)
    failed = 0
    for outcome in outcomes:
        outside = outcome.expanded < LEAST_COVERAGE - error
        failed += outside
        print(
            f"{outcome.cell.design:7s} {'repeated' if outcome.cell.repeated else 'new':8s} {outcome.exponent:13s} "
            f"expanded {outcome.expanded:.2f}  plain {outcome.plain:.2f}  width {outcome.width:.4f}"
            f"{'  OUTSIDE' if outside else ''}",
            flush=True,
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
