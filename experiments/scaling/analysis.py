"""Everything that `scaling fit` finds out about a table of runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.scaling.bootstrap import FittedLaw, draw_counts, fit_draws, fit_law
from experiments.scaling.isoflop import (
    READINGS,
    Budget,
    Minimum,
    Power,
    Reading,
    envelope,
    exact,
    find_budgets,
    fit_power,
    power_of,
    read_minima,
)
from experiments.scaling.laws import Floats, Law
from experiments.scaling.newcomer import Attempt, attempts, flop_factor
from experiments.scaling.options import ScalingFitOptions
from experiments.scaling.runs import RunTable
from experiments.scaling.selecting import DIVERGED, Runs, check_enough, choose, make_runs, sized, wants_repeats
from experiments.scaling.starts import grid_size
from training.progress import Progress

LEAST_ENVELOPE = 3
"""Runs on the envelope through which a line is drawn."""
DRAWS_HELD_OUT = 200


@dataclass(frozen=True)
class Slices:
    """What a reading makes of the budgets."""

    minima: list[Minimum | None]
    """By budget."""
    exact: list[Minimum | None]
    """What it makes of the exact losses of the law."""
    power: Power | None
    """The line through the minima; None for fewer than two."""
    exact_power: Power | None
    draws: list[Power | None]
    """The line through the minima of each draw."""


@dataclass(frozen=True)
class HeldOut:
    """The largest budget, predicted from the smaller ones."""

    fitted: FittedLaw
    smaller: Runs
    largest: Runs
    predicted: Floats
    """(n,) losses of the largest budget."""
    draws: Floats
    """(W, n) the same by laws fitted to draws of the smaller ones."""


@dataclass(frozen=True)
class Analysis:
    """What was found out."""

    options: ScalingFitOptions
    table: RunTable
    runs: Runs
    """That were fitted."""
    left_out: list[str]
    """Why each row of the table was not, empty for those that were."""
    repeats: bool
    """Whether repeated items count less than new ones."""
    factor: float
    """FLOP per parameter and item."""
    fitted: FittedLaw
    vectors: Floats
    """(W, P) of the laws fitted to draws."""
    budgets: list[Budget]
    slices: dict[Reading, Slices]
    on_envelope: list[int]
    """Indices of runs on the envelope, by compute."""
    envelope_power: Power | None
    held_out: HeldOut | None
    not_held_out: str
    """Why the largest budget was not held out; empty if it was."""
    attempts: list[Attempt]
    """The fit, and fits as they might have been made."""

    @property
    def law(self) -> Law:
        """The law of all runs."""
        return self.fitted.law

    @property
    def laws(self) -> list[Law]:
        """The laws fitted to draws (W,)."""
        return [self.fitted.points.law(vector) for vector in self.vectors]

    @property
    def groups(self) -> int:
        """Groups of runs that belong together."""
        return int(self.runs.sources.max()) + 1

    @property
    def has_intervals(self) -> bool:
        """Whether there are more such groups than parameters, without which draws say nothing."""
        return self.groups > self.fitted.points.size

    @property
    def largest(self) -> float:
        """The largest compute, in FLOP."""
        return float(self.runs.compute.max())

    @property
    def asked(self) -> tuple[float, ...]:
        """The budgets whose best size is asked for, in FLOP."""
        return self.options.at or (self.largest, 10 * self.largest, 100 * self.largest)


def analyse(table: RunTable, options: ScalingFitOptions) -> Analysis:
    """Return what is found out about a table.

    Raises:
        ValueError: its runs cannot tell the parameters of the law, or losses do not fall with parameters and data.
    """
    runs, left_out = choose(table.rows, options)
    repeats = wants_repeats(runs, options.repetition)
    if options.unique and not repeats:
        amounts = " ".join(f"{amount:g}" for amount in options.unique)
        raise ValueError(
            f"--unique {amounts}: what repeated {table.item} are worth is only known where runs saw some twice, and "
            "without --repetition off"
        )
    with Progress("starts of the fit", grid_size(repeats)) as progress:
        fitted = fit_law(runs, repeats, say=progress.show)
    _check_law(fitted.law)
    generator = np.random.default_rng(options.seed)
    counts = draw_counts(runs, options.draws, generator)
    with Progress("runs drawn anew", options.draws) as progress:
        vectors = fit_draws(fitted, counts, progress.show)
    budgets = find_budgets(runs, options.budget_spread)
    on_envelope = envelope(runs)
    held_out, not_held_out = _hold_out(runs, repeats, options, generator)
    return Analysis(
        options=options,
        table=table,
        runs=runs,
        left_out=left_out,
        repeats=repeats,
        factor=flop_factor(runs),
        fitted=fitted,
        vectors=vectors,
        budgets=budgets,
        slices={reading: _slice(runs, budgets, reading, fitted.law, counts) for reading in READINGS if budgets},
        on_envelope=[int(index) for index in on_envelope],
        envelope_power=(
            fit_power(runs.compute[on_envelope], runs.parameters[on_envelope])
            if len(on_envelope) >= LEAST_ENVELOPE
            else None
        ),
        held_out=held_out,
        not_held_out=not_held_out,
        attempts=list(attempts(runs.rows, runs, fitted, options, _with_highest(table, left_out, options))),
    )


def _check_law(law: Law) -> None:
    if not law.falls:
        raise ValueError(
            f"the law that fits best has alpha {law.alpha:.3g} and beta {law.beta:.3g}: losses do not fall with both "
            "parameters and data, so that no size is best. Are all columns what they seem?"
        )


def _slice(runs: Runs, budgets: list[Budget], reading: Reading, law: Law, counts: Floats) -> Slices:
    once = np.ones(len(runs.loss))
    minima = read_minima(runs, budgets, reading, once)
    of_law = read_minima(exact(runs, budgets, law), budgets, reading, once)
    draws = []
    with Progress(f"{reading} of runs drawn anew", len(counts)) as progress:
        for of_draw in counts:
            draws.append(power_of(budgets, read_minima(runs, budgets, reading, of_draw)))
            progress.show(len(draws))
    return Slices(minima, of_law, power_of(budgets, minima), power_of(budgets, of_law), draws)


def _hold_out(
    runs: Runs, repeats: bool, options: ScalingFitOptions, generator: np.random.Generator
) -> tuple[HeldOut | None, str]:
    """Return the prediction of the largest budget, or why there is none."""
    largest = runs.compute >= runs.compute.max() / options.budget_spread
    smaller = runs.some(~largest) if not largest.all() else None
    if smaller is None:
        return None, "all runs are of the largest budget"
    repeats = repeats and bool(smaller.repeated.any())
    try:
        check_enough(smaller, repeats)
    except ValueError as error:
        return None, str(error)
    rest = runs.some(largest)
    fitted = fit_law(smaller, repeats, grid=False)
    laws = [fitted.points.law(each) for each in fit_draws(fitted, draw_counts(smaller, DRAWS_HELD_OUT, generator))]
    predicted = _predict(fitted.law, rest)
    return HeldOut(fitted, smaller, rest, predicted, np.array([_predict(law, rest) for law in laws])), ""


def _predict(law: Law, runs: Runs) -> Floats:
    return law.loss(runs.parameters, runs.data, runs.unique)


def _with_highest(table: RunTable, left_out: list[str], options: ScalingFitOptions) -> Runs:
    """Return all runs but diverged ones."""
    rows = [row for row, why in zip(table.rows, left_out, strict=True) if why != DIVERGED]
    try:
        return make_runs(rows, sized(rows, options.size))
    except ValueError:  # one that is left out does not say its size
        return make_runs([], np.zeros(0))
