"""How often `secondsight scaling tasks` calls a smooth curve emergent, and how often it finds a jump that is there.

Accuracies over 3.5 decades of compute are simulated, with one or three seeds at each of 8 or 15 amounts. Smooth are a
level, a line in log compute, one that levels off, the exact match of five answers each of which is learned smoothly
(Schaeffer, Miranda and Koyejo 2023), and logistic curves that take one, two or four decades for the middle 80 % of
their rise; one decade is what the command calls the sharpest smooth rise. Jumps lie between two neighbouring amounts,
early, in the middle or late, alone or with a slope that makes a third of the rise. Noise is normal, or that of 200
trials a model and of seeds that differ by as much. Stated are at most 5 % of smooth curves of any kind, and at least
90 % of jumps that are ten times as high as the noise, of 8 single models twenty times.

    .venv/bin/python benchmarks/errors_of_emergence.py            # every cell, 200 curves each
    .venv/bin/python benchmarks/errors_of_emergence.py --quick    # the same, 50 curves each

Prints the worst cells of each kind, and ends with 1 if one lies outside of what is stated by more than two standard
errors, or a kind of curve does on the whole.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from experiments.scaling.emergence import Kind, Rules, classify
from experiments.scaling.shapes import WIDTH, Design
from training.progress import Progress

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]

MOST_FALSE = 0.05
LEAST_FOUND = 0.9
FULL = 200
"""Simulated curves in each cell."""
DECADES = 3.5
RUNGS = (8, 15)
SEEDS = (1, 3)
SHARPEST = 1.0
TRIALS = 200
HEIGHTS = (10.0, 20.0)
"""Of jumps, in standard deviations of the noise."""
PLACES = {"early": 0.2, "middle": 0.5, "late": 0.8}
NOISES = (0.02, 0.04)
DRAWS = 199


@dataclass(frozen=True)
class Cell:
    """What is simulated."""

    curve: str
    jump: bool
    rungs: int
    seeds: int
    noise: str
    stated: bool = True
    """Whether something is stated of it."""


@dataclass(frozen=True)
class Outcome:
    """What the curves of a cell were called."""

    cell: Cell
    kinds: Counter[Kind]

    @property
    def share(self) -> float:
        """Of curves that were called emergent."""
        return self.kinds["emergent"] / self.kinds.total()


def main() -> int:
    """Simulate, print the worst cells, and return 1 if one is outside of what is stated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50 curves in each cell")
    curves = FULL // 4 if parser.parse_args().quick else FULL
    cells = list(_cells())
    outcomes = []
    with Progress("Simulating", len(cells)) as progress:
        for number, (cell, curve, noise) in enumerate(cells):
            outcomes.append(_simulate(cell, curve, noise, curves, np.random.default_rng(number)))
            progress.show(number + 1)
    return _print(outcomes)


def _cells() -> Iterator[tuple[Cell, Curve, float | None]]:
    """Yield what is simulated: a cell, its curve over log compute, and the noise, None for that of trials."""
    for rungs, seeds in product(RUNGS, SEEDS):
        for name, curve in _smooth().items():
            for noise in (*NOISES, None):
                yield Cell(name, False, rungs, seeds, _say(noise)), curve, noise
        for (place, share), height, slope in product(PLACES.items(), HEIGHTS, (0.0, 0.5)):
            noise = NOISES[0]
            jump = _jump(_place(share, rungs), height * noise, slope)
            name = f"{place}, {height:g} times the noise{', with a slope' if slope else ''}"
            stated = rungs * seeds > min(RUNGS) or height == max(HEIGHTS)
            yield Cell(name, True, rungs, seeds, _say(noise), stated), jump, noise


def _smooth() -> dict[str, Curve]:
    curves: dict[str, Curve] = {
        "level": lambda logs: np.full(len(logs), 0.3),
        "line": lambda logs: 0.2 + 0.15 * logs,
        "levels off": lambda logs: 0.8 - 0.6 * 10 ** (-0.8 * logs),
        "exact match of five": lambda logs: (1 - 0.8 * 10 ** (-0.4 * logs)) ** 5,
    }
    for width, share in product((1.0, 2.0, 4.0), (0.3, 0.5, 0.8)):
        curves[f"logistic, {width:g} decades, middle at {share:g}"] = _logistic(width, share * DECADES)
    return curves


def _logistic(width: float, middle: float) -> Curve:
    return lambda logs: 0.15 + 0.7 * expit(WIDTH * (logs - middle) / width)


def _jump(place: float, height: float, slope: float) -> Curve:
    return lambda logs: 0.2 + height * (logs > place) + slope * height * logs / DECADES


def _place(share: float, rungs: int) -> float:
    """Return the middle of the gap between amounts that lies at a share of the range."""
    gap = DECADES / (rungs - 1)
    return (np.floor(share * (rungs - 2)) + 0.5) * gap


def _say(noise: float | None) -> str:
    return f"{TRIALS} trials and seeds" if noise is None else f"normal, {noise:g}"


def _simulate(cell: Cell, curve: Curve, noise: float | None, curves: int, generator: np.random.Generator) -> Outcome:
    logs = np.repeat(np.linspace(0, DECADES, cell.rungs), cell.seeds)
    design = Design(logs, SHARPEST)
    kinds: Counter[Kind] = Counter()
    for _ in range(curves):
        values = _noisy(np.clip(curve(logs), 0, 1), noise, generator)
        kinds[classify(design, values, Rules(draws=DRAWS), generator).kind] += 1
    return Outcome(cell, kinds)


def _noisy(expected: Floats, noise: float | None, generator: np.random.Generator) -> Floats:
    if noise is not None:
        return expected + noise * generator.normal(size=len(expected))
    spread = np.sqrt(expected * (1 - expected) / TRIALS)
    of_seeds = np.clip(expected + spread * generator.normal(size=len(expected)), 0, 1)
    return generator.binomial(TRIALS, of_seeds) / TRIALS


def _print(outcomes: list[Outcome]) -> int:
    """Print the mean share of each kind of curve and its worst cells; return 1 if something is outside."""
    failed = 0
    for jump, said in ((False, "smooth curves called emergent"), (True, "jumps found")):
        of_kind = [outcome for outcome in outcomes if outcome.cell.jump == jump]
        ranked = sorted(of_kind, key=lambda outcome: outcome.share, reverse=not jump)
        outside = [outcome for outcome in ranked if _is_outside(outcome)]
        mean = float(np.mean([outcome.share for outcome in of_kind]))
        print(f"{said}: {len(of_kind)} cells, mean {mean:.3f}")
        for outcome in ranked[: max(4, len(outside))]:
            marked = "  OUTSIDE" if outcome in outside else ""
            print(f"  {outcome.share:.3f}  {outcome.cell}  {dict(outcome.kinds)}{marked}")
        failed += len(outside)
    for curve in dict.fromkeys(outcome.cell.curve for outcome in outcomes):
        of_curve = [outcome for outcome in outcomes if outcome.cell.curve == curve and outcome.cell.stated]
        kinds = sum((outcome.kinds for outcome in of_curve), Counter[Kind]())
        shares = ", ".join(f"{kind} {number / kinds.total():.3f}" for kind, number in kinds.most_common())
        print(f"{'jump' if of_curve[0].cell.jump else 'smooth'}, {curve}: {shares}")
        share = kinds["emergent"] / kinds.total()
        failed += share < LEAST_FOUND if of_curve[0].cell.jump else share > MOST_FALSE
    print(f"{failed} outside of what is stated" if failed else "all is within what is stated")
    return int(failed > 0)


def _is_outside(outcome: Outcome) -> bool:
    """Return whether a cell misses what is stated by more than two standard errors."""
    if not outcome.cell.stated:
        return False
    limit = LEAST_FOUND if outcome.cell.jump else MOST_FALSE
    error = 2 * np.sqrt(limit * (1 - limit) / outcome.kinds.total())
    return outcome.share < limit - error if outcome.cell.jump else outcome.share > limit + error


if __name__ == "__main__":
    sys.exit(main())
