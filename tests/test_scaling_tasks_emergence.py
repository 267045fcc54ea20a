"""Curves with and without a jump, and what they are called."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from experiments.scaling.emergence import Kind, Rules, classify, simulate_rates
from experiments.scaling.shapes import WIDTH, Design
from experiments.statistics.outcomes import Floats

Curve = Callable[[Floats], Floats]

LOGS = np.repeat(np.linspace(0, 3.5, 8), 3)
DESIGN = Design(LOGS, 1.0)
QUICK = Rules(draws=99)
SMOOTH: dict[str, Curve] = {
    "line": lambda u: 0.2 + 0.15 * u,
    "levels off": lambda u: 0.8 - 0.6 * 10 ** (-0.8 * u),
    "sharpest logistic": lambda u: 0.15 + 0.7 * expit(WIDTH * (u - 1.75)),
    "exact match of five": lambda u: (1 - 0.8 * 10 ** (-0.4 * u)) ** 5,
}


def step(place: float, height: float = 0.3, slope: float = 0.0) -> Curve:
    return lambda u: 0.2 + height * (u > place) + slope * u


def called(curve: Curve, times: int, noise: float = 0.02, seed: int = 0) -> list[Kind]:
    chance = np.random.default_rng(seed)
    return [
        classify(DESIGN, curve(LOGS) + noise * chance.normal(size=len(LOGS)), QUICK, chance).kind for _ in range(times)
    ]


def test_smooth_curves_are_hardly_ever_called_emergent() -> None:
    kinds = [kind for index, curve in enumerate(SMOOTH.values()) for kind in called(curve, 50, seed=index)]
    assert kinds.count("emergent") <= 0.05 * len(kinds)


def test_jumps_are_found() -> None:
    jumps = [step(0.75), step(1.75), step(2.75), step(1.75, 0.3, 0.04)]
    kinds = [kind for index, curve in enumerate(jumps) for kind in called(curve, 25, seed=index)]
    assert kinds.count("emergent") >= 0.9 * len(kinds)


@pytest.mark.parametrize(
    ("curve", "kind"),
    [
        (lambda u: 0.3 + 0 * u, "flat"),
        (lambda u: 0.7 - 0.1 * u, "inverse"),
        (step(1.75, -0.3), "inverse"),
        (SMOOTH["line"], "smooth"),
        (step(1.75), "emergent"),
        (lambda u: 0.3 + 0.1 * (u - 1.75) ** 2, "undecided"),
    ],
)
def test_a_curve_is_called_what_it_is(curve: Curve, kind: Kind) -> None:
    assert called(curve, 1, noise=0.01) == [kind]


def test_a_change_that_may_be_hidden_in_noise_is_not_flat() -> None:
    found = classify(
        DESIGN, 0.3 + 0.2 * np.random.default_rng(0).normal(size=len(LOGS)), QUICK, np.random.default_rng(0)
    )
    assert (found.kind, found.reason) == ("undecided", "a change may be hidden in the noise")


def test_a_coarse_ladder_does_not_tell_a_jump_from_a_sharp_rise() -> None:
    logs = np.repeat(np.arange(6.0), 3)
    values = step(2.5)(logs) + 0.02 * np.random.default_rng(0).normal(size=len(logs))
    found = classify(Design(logs, 1.0), values, QUICK, np.random.default_rng(0))
    assert found.kind == "emergent"
    found = classify(Design(logs, 0.3), values, QUICK, np.random.default_rng(0))
    assert (found.kind, found.reason) == ("undecided", "it rises, and a jump and a smooth curve both explain it")


def test_values_that_are_all_the_same_are_flat() -> None:
    assert classify(DESIGN, np.full(len(LOGS), 0.5), QUICK, np.random.default_rng(0)).kind == "flat"


def test_few_points_are_not_classified() -> None:
    design = Design(np.arange(5.0), 1.0)
    assert classify(design, np.arange(5.0), QUICK, np.random.default_rng(0)).reason.startswith("5 points: more than 5")


def test_a_jump_without_noise_is_measured() -> None:
    jump = DESIGN.jump(step(1.75, 0.3, 0.04)(LOGS))
    assert (jump.gap, jump.size, jump.slope) == (3, pytest.approx(0.3), pytest.approx(0.14))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-0.2, 0.2))
def test_the_rise_beside_a_jump_is_neither_negative_nor_larger(seed: int, slope: float) -> None:
    jump = DESIGN.jump(slope * LOGS + 0.1 * np.random.default_rng(seed).normal(size=len(LOGS)))
    assert 0 <= jump.slope <= jump.size * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_squares_of_many_tables_are_those_of_each(seed: int) -> None:
    table = 0.1 * LOGS + 0.1 * np.random.default_rng(seed).normal(size=len(LOGS))
    smooth = DESIGN.smooth(table, LOGS)
    piecewise = DESIGN.piecewise(table, LOGS)
    assert DESIGN.smooth_squares(table[None])[0] == pytest.approx(smooth.squares)
    assert DESIGN.jump_squares(table[None])[0] == pytest.approx(piecewise.squares)
    assert ((piecewise.values - table) ** 2).sum() == pytest.approx(piecewise.squares)
    assert ((smooth.values - table) ** 2).sum() == pytest.approx(smooth.squares)


def test_no_smooth_curve_rises_faster_than_was_said() -> None:
    at = np.linspace(0, 3.5, 701)
    rise = np.diff(DESIGN.logistic(step(1.75)(LOGS), at).values)
    assert (
        rise.max() / 0.005 <= 0.4 * WIDTH / 4 * 1.2
    )  # the slope of a logistic in its middle, a little more for its fit


def test_simulated_rates_are_those_of_the_curve() -> None:
    values = step(1.75)(LOGS) + 0.02 * np.random.default_rng(0).normal(size=len(LOGS))
    rates = simulate_rates(DESIGN, values, QUICK, 20, np.random.default_rng(0))
    assert rates.jumps_found >= 0.9
    assert rates.smooth_called_emergent <= 0.15
