"""The law, its fit, and how far it may be off: losses are made from laws that are known."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize

from experiments.scaling.bootstrap import draw_counts, fit_draws, fit_law, interval
from experiments.scaling.fitting import (
    DELTA,
    Points,
    gradient_of,
    huber,
    make_points,
    minimise,
    residuals,
)
from experiments.scaling.isoflop import (
    Budget,
    akima,
    biases,
    envelope,
    find_budgets,
    fit_power,
    parabola,
)
from experiments.scaling.laws import Floats, Law, effective
from experiments.scaling.selecting import Runs, make_runs
from experiments.scaling.starts import grid_starts, projected_starts
from experiments.scaling.tables import RunRow

ROOT = Path(__file__).parents[1]
LAW = Law(1.8, 480.0, 2100.0, 0.35, 0.37)
REPEATED = Law(1.8, 480.0, 2100.0, 0.35, 0.37, 12.0)
exponents = st.floats(0.1, 1.0)


def _runs(law: Law, noise: float = 0.0, repeated: bool = False, per_source: int = 1) -> Runs:
    """Return runs of 5 sizes with 5 amounts of data, with losses from a law."""
    parameters = np.repeat(np.geomspace(1e6, 1e9, 5), 5)
    data = np.tile(np.geomspace(1e8, 3e10, 5), 5)
    unique = np.minimum(data, np.where(np.arange(25) % 2, 3e8, 3e9)) if repeated else data
    chance = np.random.default_rng(0).normal(0, noise, 25) if noise else np.zeros(25)
    losses = law.loss(parameters, data, unique) * np.exp(chance)
    rows = [
        RunRow(
            run=f"run {index}",
            seed=0,
            parameters=round(parameters[index]),
            non_embedding_parameters=None,
            data=data[index],
            unique_data=unique[index],
            compute=6 * parameters[index] * data[index],
            loss=losses[index],
            loss_unit="nats per token",
            source=f"source {index // per_source:02d}",
            diverged=False,
        )
        for index in range(25)
    ]
    return make_runs(rows, parameters)


def _points(runs: Runs, repeats: bool = False) -> Points:
    return make_points(runs.parameters, runs.data, runs.unique, runs.loss, repeats)


@given(alpha=exponents, beta=exponents, compute=st.floats(1e15, 1e26))
def test_the_optimum_is_the_lowest_loss_of_a_budget(alpha: float, beta: float, compute: float) -> None:
    law = Law(1.0, 300.0, 900.0, alpha, beta)
    size, data = law.optimum(compute)
    assert 6 * size * data == pytest.approx(compute)
    assert all(law.loss(size, data) <= law.loss(size * factor, data / factor) for factor in (0.9, 1.1))


@given(data=st.floats(1e3, 1e12), share=st.floats(1e-3, 1.0), decay=st.floats(0.1, 1e3))
def test_repeated_items_are_worth_less_than_new_ones_and_more_than_none(
    data: float, share: float, decay: float
) -> None:
    unique = share * data
    worth = effective(np.array([data]), np.array([unique]), decay)[0]
    assert unique * (1 - 1e-9) <= worth <= data * (1 + 1e-9)


def test_four_repeats_are_worth_what_the_paper_says() -> None:
    # 1 + 15.4 (1 - exp(-3 / 15.4)): four epochs at the decay of Muennighoff et al. (2023)
    worth = effective(np.array([4.0]), np.array([1.0]), 15.4)[0]
    assert worth == pytest.approx(1 + 15.4 * (1 - math.exp(-3 / 15.4)))


def test_without_a_decay_repeats_count_as_new_items() -> None:
    assert LAW.loss(1e7, 1e9, 1e8) == LAW.loss(1e7, 1e9)


def test_a_law_that_rises_has_no_optimum() -> None:
    assert np.isnan(Law(1.0, 1.0, 1.0, -0.1, 0.3).optimum(1e20)).all()


@settings(max_examples=30, deadline=None)
@given(alpha=exponents, beta=exponents, floor=st.floats(0.2, 1.2), decay=st.floats(-1.0, 4.0))
def test_the_gradient_is_that_of_the_objective(alpha: float, beta: float, floor: float, decay: float) -> None:
    points = _points(_runs(REPEATED, noise=0.01, repeated=True), repeats=True)
    vector = np.array([[-1.0, -1.2, floor, alpha, beta, decay]])
    analytic = gradient_of(points, vector, np.clip(residuals(points, vector), -DELTA, DELTA))[0]
    numeric = [
        (huber(residuals(points, vector + step)).sum() - huber(residuals(points, vector - step)).sum()) / 2e-6
        for step in 1e-6 * np.eye(6)
    ]
    assert analytic == pytest.approx(numeric, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("repeated", [False, True])
def test_exact_losses_give_back_their_law(repeated: bool) -> None:
    law = REPEATED if repeated else LAW
    found = fit_law(_runs(law, repeated=repeated), repeated, grid=False).law
    for name in ("floor", "parameters_scale", "data_scale", "alpha", "beta", *(["repeats"] if repeated else [])):
        assert getattr(found, name) == pytest.approx(getattr(law, name), rel=1e-3)


def test_the_full_grid_has_the_starts_of_the_published_analysis() -> None:
    assert grid_starts(_points(_runs(LAW))).shape == (4500, 5)


def test_the_grid_and_the_projection_reach_one_minimum() -> None:
    fitted = fit_law(_runs(LAW, noise=0.01), repeats=False)
    assert fitted.projected
    assert fitted.reached > 0.05
    assert fitted.converged > 0.5


def test_no_other_optimizer_goes_lower() -> None:
    runs = _runs(LAW, noise=0.01)
    fitted = fit_law(runs, repeats=False, grid=False)
    points = _points(runs)
    options = {"maxiter": 20000, "maxfev": 20000, "xatol": 1e-10, "fatol": 1e-14}
    other = scipy_minimize(
        lambda vector: huber(residuals(points, vector[None])).sum(),
        fitted.vector + 0.01,
        method="Nelder-Mead",
        options=options,
    )
    assert fitted.objective <= other.fun * (1 + 1e-6)


def test_an_outlier_hardly_moves_the_law() -> None:
    runs = _runs(LAW)
    runs.loss[7] *= 1.5
    assert fit_law(runs, repeats=False, grid=False).law.alpha == pytest.approx(LAW.alpha, rel=0.01)


def test_a_weight_of_two_is_a_point_twice() -> None:
    runs = _runs(LAW, noise=0.01)
    twice = make_runs([*runs.rows, *runs.rows[:5]], np.concatenate([runs.parameters, runs.parameters[:5]]))
    points = _points(runs)
    weights = np.where(np.arange(25) < 5, 2.0, 1.0)[None]
    start = projected_starts(points, weights, 1)[0]
    weighted = points.law(minimise(points, start, weights).vectors[0])
    assert fit_law(twice, repeats=False, grid=False).law.beta == pytest.approx(weighted.beta, rel=1e-4)


def test_a_loss_in_another_unit_has_the_same_exponents() -> None:
    bits = _runs(Law(LAW.floor / 50, LAW.parameters_scale / 50, LAW.data_scale / 50, LAW.alpha, LAW.beta))
    points = _points(bits)
    ends = minimise(points, grid_starts(points)[::31])
    assert points.law(ends.vectors[ends.best]).alpha == pytest.approx(LAW.alpha, rel=1e-3)


def test_draws_take_the_points_of_one_training_together() -> None:
    runs = _runs(LAW, per_source=5)
    counts = draw_counts(runs, 50, np.random.default_rng(0)).reshape(50, 5, 5)
    assert (counts == counts[..., :1]).all()
    assert (counts[..., 0].sum(axis=1) == 5).all()


def test_draws_find_the_lowest_minimum_of_theirs() -> None:
    runs = _runs(LAW, noise=0.01)
    fitted = fit_law(runs, repeats=False, grid=False)
    counts = draw_counts(runs, 2, np.random.default_rng(1))
    starts = grid_starts(fitted.points)[::31]
    for counted, vector in zip(counts, fit_draws(fitted, counts), strict=True):
        own = (counted * huber(residuals(fitted.points, vector[None]))[0]).sum()
        grid = minimise(fitted.points, starts, np.repeat(counted[None], len(starts), axis=0))
        assert own <= grid.objectives.min() * (1 + 1e-4)


def test_intervals_of_few_trainings_are_wider_than_percentiles() -> None:
    values = np.random.default_rng(0).normal(size=4000)
    few, many = interval(values, 12, 5), interval(values, 500, 5)
    assert few is not None
    assert many is not None
    assert few[1] > many[1] > np.quantile(values, 0.97)


def test_as_many_trainings_as_parameters_have_no_interval() -> None:
    assert interval(np.arange(1000.0), 5, 5) is None


def test_draws_without_a_value_lie_beyond_both_ends() -> None:
    values = np.concatenate([np.full(100, np.nan), np.arange(900.0)])
    assert interval(values, 400, 5) == (-math.inf, math.inf)


def test_intervals_hold_the_true_exponents() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from coverage_of_scaling import Cell, simulate

    outcomes = [
        outcome
        for repeated in (False, True)
        for outcome in simulate(Cell("ladder", repeated, 0.003), 5, 150, np.random.default_rng(0))
    ]
    assert np.mean([outcome.expanded for outcome in outcomes]) >= 0.93


def _slice(law: Law, compute: float, centre: float = 1.0) -> tuple[Floats, Floats]:
    sizes = float(law.optimum(compute)[0]) * centre * np.geomspace(1 / 6, 6, 9)
    return sizes, law.loss(sizes, compute / 6 / sizes)


@given(place=st.floats(0.2, 0.8), square=st.floats(0.01, 1.0))
def test_a_parabola_is_read_exactly(place: float, square: float) -> None:
    logs = np.linspace(0, 1, 6)
    lowest = parabola(np.exp(logs), 2 + square * (logs - place) ** 2, np.ones(6))
    assert lowest is not None
    assert lowest.parameters == pytest.approx(math.exp(place))
    assert lowest.loss == pytest.approx(2)


@pytest.mark.parametrize("read", [parabola, akima])
def test_a_lowest_loss_at_the_end_of_the_sizes_is_no_minimum(read: object) -> None:
    sizes, losses = _slice(LAW, 1e20, centre=60.0)
    assert callable(read)
    assert read(sizes, losses, np.ones(9)) is None


def test_a_symmetric_law_has_no_bias_where_sizes_are_centred() -> None:
    found = biases(Law(1.0, 100.0, 100.0, 0.3, 0.3), 1e20, 6.0)
    assert all(
        bias == pytest.approx(1, abs=1e-6) for kind, _, centre, bias in found if kind == "parabola" and centre == 1
    )


def test_a_parabola_through_wide_sizes_of_an_unsymmetric_law_lies_off() -> None:
    found = biases(Law(1.8, 480.0, 2100.0, 0.25, 0.6), 1e20, 6.0)
    by_reading = {kind: bias for kind, width, centre, bias in found if (width, centre) == (32, 1)}
    assert by_reading["parabola"] is not None
    assert by_reading["akima"] is not None
    assert abs(by_reading["parabola"] - 1) > max(0.1, 2 * abs(by_reading["akima"] - 1))


def test_budgets_are_found_where_compute_scatters() -> None:
    chance = np.random.default_rng(0).uniform(-0.04, 0.04, 18)
    compute = np.repeat([1e18, 1e19, 1e20], 6) * np.exp(chance)
    runs = _made(compute, np.tile(np.geomspace(1e6, 1e8, 6), 3))
    assert [len(budget.runs) for budget in find_budgets(runs, 1.25)] == [6, 6, 6]


def test_runs_of_few_sizes_are_no_slice() -> None:
    runs = _made(np.full(6, 1e18), np.repeat([1e6, 1e7, 1e8], 2))
    assert find_budgets(runs, 1.25) == []


def _made(compute: Floats, parameters: Floats) -> Runs:
    rows = _runs(LAW).rows[: len(compute)]
    data = compute / 6 / parameters
    sources = np.arange(len(compute))
    return Runs(rows, parameters, data, data, compute, LAW.loss(parameters, data), sources)


def test_best_sizes_of_slices_grow_as_the_law_says() -> None:
    budgets = [1e18, 1e19, 1e20, 1e21]
    lowest = [akima(*_slice(LAW, compute), np.ones(9)) for compute in budgets]
    power = fit_power(np.array(budgets), np.array([one.parameters for one in lowest if one]))
    assert power.exponent == pytest.approx(LAW.size_exponent, abs=0.002)


@given(losses=st.lists(st.floats(1, 9), min_size=2, max_size=25))
def test_the_envelope_falls_and_nothing_lies_below_it(losses: list[float]) -> None:
    runs = _made(np.geomspace(1e18, 1e20, len(losses)), np.full(len(losses), 1e7))
    runs.loss[:] = losses
    chosen = envelope(runs)
    assert (np.diff(runs.loss[chosen]) < 0).all()
    lowest = np.minimum.accumulate(losses)
    assert set(runs.loss[chosen]) == set(lowest)


def test_a_budget_that_became_whole_steps_has_one_run_on_the_envelope() -> None:
    runs = _made(np.array([1.0e18, 1.004e18, 2.0e18, 2.01e18]), np.geomspace(1e6, 1e8, 4))
    runs.loss[:] = (4.2, 4.0, 3.9, 3.8)
    assert envelope(runs).tolist() == [1, 3]


def test_the_budget_of_a_slice_is_its_median() -> None:
    runs = _made(np.array([1.0e18, 1.02e18, 1.04e18, 1.06e18, 1.08e18]), np.geomspace(1e6, 1e8, 5))
    (budget,) = find_budgets(runs, 1.25)
    assert isinstance(budget, Budget)
    assert budget.compute == pytest.approx(1.04e18)
