"""Does the comparison of single pictures find what is there, and nothing where nothing is? Simulated.

    python benchmarks/items_against_people.py             # 200 simulated experiments of each kind
    python benchmarks/items_against_people.py --runs 20   # fewer

People choose between a studied picture and its foil, each picture with a probability of its own between .5 and 1. Two
observers are compared with them by the functions of `secondsight memory items`: one whose scores are these
probabilities, and one that has the same scores shuffled. Of the first the mean correlation must lie within .05 of the
mean noise ceiling; of the second within two standard errors of 0 (of the mean of so many experiments), and its 95 %
intervals must hold 0 in 93 % of experiments or more. A third observer has the first one's scores with noise of its own
in each of four runs: its mean correlation must lie within .05 of the ceiling that allows for runs.

Prints a line for each, and ends with 1 if one lies outside.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tyro

from experiments.memory.items.comparison import (
    compare,
    correct_for_number,
    reliabilities,
    with_ceilings,
)
from experiments.memory.items.models import RATIO, Model
from experiments.memory.items.pictures import Picture, Pictures
from experiments.memory.items.resampling import Sampling
from experiments.memory.items.sources import HITS, Source
from experiments.memory.items.tables import POOLED
from experiments.statistics.correlation import Coefficient, Measure
from experiments.statistics.outcomes import Floats

CONDITIONS = ("novel", "exemplar", "state")
TOLERANCE = 0.05
"""How far a mean correlation may lie from the ceiling."""
LEAST_COVERAGE = 0.93
NOISY_RUNS = 4
NOISE = 0.15
"""Standard deviation of what each run adds to its scores; that of the scores is .14."""


@dataclass(frozen=True)
class Options:
    """How much is simulated."""

    runs: int = 200
    """Simulated experiments."""
    participants: int = 24
    """Half of whom study either version."""
    trials: int = 20
    """Of each of the three conditions."""
    resamples: int = 200
    """Random weightings behind each interval."""
    splits: int = 50
    """Random halves behind each ceiling."""
    seed: int = 0
    """Of the simulation."""


@dataclass(frozen=True)
class Outcome:
    """What came out of one experiment, of one observer."""

    correlation: float
    ceiling: float
    ceiling_of_runs: float
    holds_zero: bool


def main(options: Options) -> int:
    """Simulate, print, and return 1 if something lies outside of what it must."""
    failed = 0
    for coefficient in ("spearman", "pearson"):
        for kind in ("people's", "shuffled", "noisy"):
            outcomes = simulate(options, kind, coefficient)
            said, holds = judge(kind, outcomes)
            print(f"{coefficient:8s} {kind:8s} {said} {'ok' if holds else 'OUTSIDE'}")
            failed += not holds
    return 1 if failed else 0


def simulate(options: Options, kind: str, coefficient: Coefficient) -> list[Outcome]:
    """Return what came out of experiments with an observer of a kind: `people's`, `shuffled` or `noisy`."""
    pictures = make_pictures(options.trials)
    sampling = Sampling(options.resamples, options.splits, options.seed)
    outcomes = []
    for number in range(options.runs):
        generator = np.random.default_rng([options.seed, number])
        truth = generator.uniform(0.5, 1.0, len(pictures))
        people = make_people(truth, pictures, options.participants, generator)
        model = make_model(_scores(kind, truth, generator))
        rows = compare(model, 1, people, {}, pictures, sampling, (coefficient,))
        found = reliabilities(people.name, people.measures, people.groups, pictures, sampling)
        found += reliabilities("weights", model.measures(1), [0] * model.runs, pictures, sampling)
        row = next(
            row
            for row in with_ceilings(correct_for_number(rows), found)
            if (row.measure, row.condition) == (RATIO, POOLED)
        )
        of_runs = np.nan if row.ceiling_of_runs is None else row.ceiling_of_runs
        low, high = row.low or 0.0, row.high or 0.0
        outcomes.append(Outcome(row.correlation or 0.0, row.ceiling or 0.0, of_runs, low <= 0 <= high))
    return outcomes


def judge(kind: str, outcomes: Sequence[Outcome]) -> tuple[str, bool]:
    """Return what came out in words, and whether it is what it must be."""
    correlations = np.array([outcome.correlation for outcome in outcomes])
    mean = float(correlations.mean())
    if kind == "shuffled":
        error = float(correlations.std(ddof=1) / np.sqrt(len(correlations)))
        held = float(np.mean([outcome.holds_zero for outcome in outcomes]))
        said = f"mean correlation {mean:+.4f}, standard error {error:.4f}; intervals that hold 0: {100 * held:.1f} %"
        return said, abs(mean) <= 2 * error and held >= LEAST_COVERAGE
    ceilings = [outcome.ceiling_of_runs if kind == "noisy" else outcome.ceiling for outcome in outcomes]
    ceiling = float(np.mean(ceilings))
    return f"mean correlation {mean:+.4f}, mean ceiling {ceiling:.4f}", abs(mean - ceiling) <= TOLERANCE


def make_pictures(trials: int) -> Pictures:
    """Return both pictures of so many trials of each condition."""
    studied = {}
    for condition in CONDITIONS:
        for number in range(trials):
            for version in ("as_given", "swapped"):
                item = f"{condition}/{number:03}"
                studied["list", item, version] = Picture("list", condition, item, f"{item}_{version}.png")
    return Pictures(tuple(sorted(studied.values())), studied)


def make_people(truth: Floats, pictures: Pictures, participants: int, generator: np.random.Generator) -> Source:
    """Return people who know each picture of their version with its own probability."""
    hits = (generator.random((participants, len(pictures))) < truth).astype(np.float64)
    given = np.array([picture.path.endswith("_as_given.png") for picture in pictures.all])
    takes_given = np.arange(participants) % 2 == 0
    hits[takes_given[:, None] != given[None, :]] = np.nan
    return Source("people", "people", {HITS: Measure(((1.0, hits),))}, tuple(takes_given.tolist()))


def make_model(scores: Floats) -> Model:
    """Return an observer whose runs' likelihood ratios are scores (R, N) after one exposure, from 0 before."""
    studied = np.stack([np.zeros_like(scores), -scores])
    units = tuple(("list", seed) for seed in range(len(scores)))
    return Model("", "weights", units, (0, 1), studied, np.zeros_like(studied))


def _scores(kind: str, truth: Floats, generator: np.random.Generator) -> Floats:
    if kind == "noisy":
        return truth + NOISE * generator.standard_normal((NOISY_RUNS, len(truth)))
    return (generator.permutation(truth) if kind == "shuffled" else truth)[None, :]


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
