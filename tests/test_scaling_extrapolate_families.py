"""Families of curves, how far they may be off, and their weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scaling_points import make_curve
from scipy.stats import t as student

from experiments.scaling.extrapolation import Asked, extrapolate_curve
from experiments.scaling.families import FAMILIES, Family, FamilyName, Fits, Limits, after, fit
from experiments.scaling.uncertainty import basis_of, fit_drawn, quantile
from experiments.scaling.units import Life
from experiments.scaling.weights import hold_out, weigh

UNIT = Limits(0.0, 1.0)
BY_NAME = {family.name: family for family in FAMILIES}
LOGS = np.linspace(0, 4, 9)
TRUE_SHAPES = {"power law": (-0.7,), "broken power law": (-1.5, -0.4, 0.5)}


def true_curve(family: Family, level: float = 0.9, slope: float = 0.05) -> Fits:
    shapes = np.array([TRUE_SHAPES.get(family.name, ())])
    return Fits(family, UNIT, 4.0, 4.0, shapes, np.array([level]), np.array([slope]), np.zeros(1))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_curve_without_noise_is_found_again(family: Family) -> None:
    true = true_curve(family)
    found = fit(family, UNIT, LOGS, true.scores(LOGS))
    assert found.scores(np.array([6.0])) == pytest.approx(true.scores(np.array([6.0])), abs=2e-4)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(FAMILIES), st.floats(-1, 6), st.floats(0.01, 0.2))
def test_the_amount_that_reaches_a_value_is_the_one_that_has_it(family: Family, log: float, slope: float) -> None:
    true = true_curve(family, 0.5, slope)
    target = float(true.values(np.array([log]))[0, 0])
    reached = true.reaching(target)
    assert true.values(reached) == pytest.approx(target, rel=1e-6)


def test_many_tables_are_fitted_as_each_alone_is() -> None:
    scores = 0.9 - 0.3 * 10 ** (-0.2 * LOGS) + np.random.default_rng(0).normal(0, 0.01, (4, len(LOGS)))
    together = fit(BY_NAME["power law"], UNIT, LOGS, scores)
    alone = [fit(BY_NAME["power law"], UNIT, LOGS, one[None]).a[0] for one in scores]
    assert together.a == pytest.approx(alone)


def test_no_power_law_levels_off_beyond_the_end_of_the_measure() -> None:
    found = fit(BY_NAME["power law"], UNIT, LOGS, (0.2 + 0.1 * LOGS)[None])
    assert found.a[0] == 1.0


def test_a_curve_that_falls_reaches_nothing() -> None:
    assert true_curve(BY_NAME["log-linear"], 0.5, -0.1).reaching(0.9)[0] == math.inf


def test_a_target_above_where_a_curve_levels_off_is_never_reached() -> None:
    assert true_curve(BY_NAME["power law"], 0.8).reaching(0.85)[0] == math.inf


@pytest.mark.parametrize(
    ("family", "level", "slope", "ever"),
    [
        ("log-linear", 0.5, 1e-4, True),  # after 4,000 decades
        ("log-linear", 0.5, -0.1, False),
        ("power law", 0.8, 0.05, False),
        ("power law", 0.9, 0.05, True),
    ],
)
def test_what_is_reached_too_far_out_is_told_from_what_is_never_reached(
    family: FamilyName, level: float, slope: float, ever: bool
) -> None:
    assert true_curve(BY_NAME[family], level, slope).ever(0.85)[0] == ever


def test_it_is_told_how_many_tables_are_fitted() -> None:
    scores = 0.9 - 0.3 * 10 ** (-0.2 * LOGS) + np.random.default_rng(0).normal(0, 0.01, (4, len(LOGS)))
    told: list[int] = []
    fit(BY_NAME["power law"], UNIT, LOGS, scores, after(told.append, 10))
    assert told[-1] == 14


def test_a_value_at_the_end_of_the_measure_has_no_logit() -> None:
    curve = make_curve([0.2, 0.5, 1.0], [0, 1, 2])
    assert BY_NAME["logit-linear"].left_out(curve, UNIT).startswith("a value lies at or beyond an end")


def test_intervals_of_a_line_are_students(tmp_path: Path) -> None:
    logs = np.repeat(np.arange(4.0), 2)
    values = 0.2 + 0.1 * logs + np.random.default_rng(1).normal(0, 0.02, 8)
    fitted = fit_drawn(BY_NAME["log-linear"], UNIT, make_curve(values, logs), 40_000, np.random.default_rng(0))
    assert fitted.draws is not None
    drawn = fitted.draws.values(np.array([5.0]))[:, 0]
    deviation = math.sqrt(fitted.point.squares[0] / 6 * (1 / 8 + (5 - 1.5) ** 2 / 10))
    half = deviation * student.ppf(0.975, 6)
    assert quantile(drawn, 0.975) - quantile(drawn, 0.025) == pytest.approx(2 * half, rel=0.03)


def test_intervals_over_seeds_are_students_over_their_own_fits() -> None:
    logs = np.tile(np.arange(4.0), 3)
    seeds = np.repeat(np.arange(3), 4)
    slopes = np.array([0.08, 0.1, 0.13])
    fitted = fit_drawn(
        BY_NAME["log-linear"], UNIT, make_curve(slopes[seeds] * logs, logs, seeds), 40_000, np.random.default_rng(0)
    )
    assert fitted.basis == "seeds"
    assert fitted.draws is not None
    drawn = fitted.draws.values(np.array([5.0]))[:, 0]
    half = 5 * slopes.std(ddof=1) / math.sqrt(3) * student.ppf(0.975, 2)
    assert quantile(drawn, 0.975) - quantile(drawn, 0.025) == pytest.approx(2 * half, rel=0.04)


def test_intervals_of_amounts_hold_the_true_one() -> None:
    chance = np.random.default_rng(0)
    logs = np.repeat(np.arange(4.0), 3)
    held = 0
    for repeat in range(100):
        values = 0.2 + 0.1 * logs + chance.normal(0, 0.02, len(logs))
        fitted = fit_drawn(BY_NAME["log-linear"], UNIT, make_curve(values, logs), 400, np.random.default_rng(repeat))
        assert fitted.draws is not None
        reached = fitted.draws.reaching(0.9)
        held += quantile(reached, 0.025) <= 7 <= quantile(reached, 0.975)
    assert held >= 93


@pytest.mark.parametrize(
    ("logs", "seeds", "basis"),
    [
        ((0, 1, 2, 0, 1, 2), (0, 0, 0, 1, 1, 1), "seeds"),
        ((0, 1, 2, 0, 1, 2), (0, 1, 2, 3, 4, 5), "runs"),
        ((0, 1, 2, 0, 1, 2), None, "runs"),
        ((0, 1, 2, 3), (0, 0, 0, 0), "residuals"),
        ((0, 1), None, "none"),
    ],
)
def test_intervals_come_from_what_there_is(logs: tuple[float, ...], seeds: tuple[int, ...] | None, basis: str) -> None:
    assert basis_of(make_curve([0.5] * len(logs), logs, seeds), 2) == basis


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_amounts_may_be_as_far_apart_as_is_allowed(family: Family) -> None:
    logs = np.array([-100.0, -50.0, 0.0, 50.0, 100.0])
    found = fit(family, UNIT, logs, (0.5 + 0.002 * logs)[None])
    assert np.isfinite(found.squares).all()


def test_points_on_a_curve_have_intervals_of_no_width() -> None:
    curve = make_curve(0.2 + 0.1 * LOGS, LOGS)
    fitted = fit_drawn(BY_NAME["log-linear"], UNIT, curve, 200, np.random.default_rng(0))
    assert fitted.draws is not None
    assert np.ptp(fitted.draws.reaching(0.9)) < 1e-9


def test_the_family_that_foretells_the_largest_amount_weighs_most() -> None:
    values = true_curve(BY_NAME["logit-linear"], 2.0, 1.2).values(LOGS)[0]
    weights = weigh(hold_out(make_curve(values + 0.001 * np.sin(9 * LOGS), LOGS), UNIT, 300, 0))
    assert max(weights, key=lambda name: weights[name]) == "logit-linear"
    assert weights["linear"] < 1e-3


def test_families_that_no_amount_can_be_held_out_for_have_no_weight() -> None:
    held_out = hold_out(make_curve([0.2, 0.3, 0.4, 0.2, 0.3, 0.4], [0, 1, 2, 0, 1, 2]), UNIT, 200, 0)
    assert "power law" not in held_out
    assert "log-linear" in held_out


def test_an_interval_of_targets_and_ceilings_reaches_over_its_ends() -> None:
    curve = make_curve([0.21, 0.19, 0.3, 0.31, 0.41, 0.39, 0.52, 0.5], np.repeat(np.arange(4.0), 2))

    def reached(name: str, targets: tuple[float, ...], *ceilings: float) -> tuple[float, float | None, float | None]:
        asked = Asked(targets, tuple(Limits(0.0, ceiling) for ceiling in ceilings), 200, 0)
        return extrapolate_curve(curve, asked).reach(BY_NAME[name].name).interval()

    low, high = (reached("logit-linear", (0.9,), ceiling) for ceiling in (0.95, 1.0))
    assert reached("logit-linear", (0.9,), 0.95, 1.0)[1:] == (high[1], low[2])
    wide = reached("log-linear", (0.85, 0.9), 1.0)
    assert wide[0] == pytest.approx(reached("log-linear", (0.875,), 1.0)[0])
    assert wide[2] == reached("log-linear", (0.9,), 1.0)[2]


def test_quantiles_of_infinite_numbers_are_among_them() -> None:
    assert quantile(np.array([1.0, math.inf, 2.0, math.inf]), 0.5) == 2.0
    assert quantile(np.array([1.0, math.inf, 2.0, math.inf]), 0.975) == math.inf
    assert quantile(np.array([1.0, 2.0, 3.0]), 0.5, np.array([3.0, 1.0, 1.0])) == 1.0


def test_years_are_of_24_hours_and_of_waking_life() -> None:
    life = Life("hours of film", 12)
    assert life.years(8760) == 1
    assert life.waking_years(8760) == 2
    assert Life("minutes", 8).marks()["1 year of waking life"] == pytest.approx(365 * 8 * 60)
    assert Life("tokens", 12).years(5) is None
