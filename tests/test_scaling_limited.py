"""The best size and data of a budget where there are only so many different items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scaling.analysis import Analysis
from experiments.scaling.bootstrap import draw_counts, fit_draws, fit_law
from experiments.scaling.fit_page import limited_in_words, limited_section
from experiments.scaling.laws import Law
from experiments.scaling.limited import limited_optimum, limited_rows
from experiments.scaling.options import ScalingFitOptions
from experiments.scaling.runs import RunTable
from experiments.scaling.selecting import Runs, make_runs
from experiments.scaling.tables import RunRow
from storage.tables import write_table

LAW = Law(1.8, 480.0, 2100.0, 0.35, 0.37, repeats=12.0)
UNIQUE = 3e8
exponents = st.floats(0.15, 0.8)


@given(exponents, exponents, st.floats(0.5, 100), st.floats(17, 23), st.floats(7, 11))
def test_nothing_on_the_budget_has_a_lower_loss(
    alpha: float, beta: float, decay: float, log_compute: float, log_unique: float
) -> None:
    law = Law(1.8, 480.0, 2100.0, alpha, beta, decay)
    compute, unique = 10**log_compute, 10**log_unique
    size, data, loss = (float(value) for value in limited_optimum([law], compute, 6.0, unique)[:, 0])
    assert 6 * size * data == pytest.approx(compute)
    others = np.geomspace(size / 1e4, size * 1e4, 4001)
    assert loss <= law.loss(others, compute / 6 / others, unique).min() * (1 + 1e-9)


def test_with_items_enough_nothing_changes() -> None:
    size, data = LAW.optimum(1e20)
    found = limited_optimum([LAW], 1e20, 6.0, 2 * float(data))
    assert found[:2, 0] == pytest.approx([float(size), float(data)])


def test_with_few_items_the_best_model_is_larger_and_sees_them_again() -> None:
    size, data = LAW.optimum(1e21)
    larger, seen, _ = limited_optimum([LAW], 1e21, 6.0, UNIQUE)[:, 0]
    assert larger > size
    assert UNIQUE < seen < data


def test_a_law_that_rises_has_no_optimum() -> None:
    found = limited_optimum([Law(1.8, 480.0, 2100.0, -0.1, 0.3, 12.0), LAW], 1e21, 6.0, UNIQUE)
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()


def _runs(unique: float) -> Runs:
    """Return runs of three budgets and seven sizes with nearly exact losses of the law."""
    chance = np.random.default_rng(0)
    rows = []
    for compute in (1e18, 1e19, 1e20):
        for size in np.geomspace(2e7, 2e9, 7):
            data = compute / 6 / size
            loss = float(LAW.loss(size, data, unique)) * np.exp(chance.normal(0, 1e-4))
            name = f"run {len(rows)}"
            different = min(data, unique)
            rows.append(RunRow(name, 0, round(size), None, data, different, compute, loss, "nats", name, False))
    return make_runs(rows, np.array([row.parameters for row in rows], np.float64))


@pytest.fixture(scope="module")
def found() -> Analysis:
    """What is found out about runs with repeats, as far as the best sizes need it."""
    runs = _runs(UNIQUE)
    fitted = fit_law(runs, repeats=True, grid=False)
    vectors = fit_draws(fitted, draw_counts(runs, 200, np.random.default_rng(0)))
    return Analysis(
        options=ScalingFitOptions.of(table=Path("runs.csv"), out=Path("out"), at=(1e21,), unique=(UNIQUE, 1e12)),
        table=RunTable(runs.rows, "tokens", []),
        runs=runs,
        left_out=[""] * len(runs.rows),
        repeats=True,
        factor=6.0,
        fitted=fitted,
        vectors=vectors,
        budgets=[],
        slices={},
        on_envelope=[],
        envelope_power=None,
        held_out=None,
        not_held_out="",
        attempts=[],
    )


def test_rows_tell_what_is_best_with_the_items_asked_for(found: Analysis) -> None:
    scarce, plenty = limited_rows(found)
    expected = limited_optimum([LAW], 1e21, 6.0, UNIQUE)[:, 0]
    assert (scarce.parameters, scarce.data, scarce.loss) == pytest.approx(tuple(expected), rel=0.05)
    assert (scarce.parameters_low or 0.0) < scarce.parameters < (scarce.parameters_high or 0.0)
    assert scarce.epochs == pytest.approx(scarce.data / UNIQUE)
    assert plenty.epochs < 1


def test_if_none_are_asked_for_the_items_are_the_most_of_the_table(found: Analysis) -> None:
    rows = limited_rows(replace(found, options=found.options.changed(unique=(), at=(1e20, 1e21))))
    assert [(row.compute, row.unique_data) for row in rows] == [(1e20, UNIQUE), (1e21, UNIQUE)]


def test_where_nothing_repeats_there_are_no_rows(found: Analysis) -> None:
    assert list(limited_rows(replace(found, repeats=False))) == []


def test_it_is_said_in_words_and_on_the_page(found: Analysis) -> None:
    row = next(limited_rows(found))
    assert limited_in_words(row, "tokens").startswith("At 1e+21 FLOP with 3e+08 different tokens, the best size by the")
    section = limited_section([row], "tokens")
    assert section.title == "When different tokens run out"
    assert section.table[1][:2] == ("1e+21", "3e+08")


def test_without_repeats_items_cannot_be_limited(tmp_path: Path, refused: Callable[..., str]) -> None:
    table = tmp_path / "runs.csv"
    rows = [
        {"params": row.parameters, "tokens": row.data, "flop": row.compute, "loss": row.loss}
        for row in _runs(1e15).rows
    ]
    write_table(table, rows, list(rows[0]))
    said = refused("scaling", "fit", table, "--unique", 1e9, "--out", tmp_path / "out")
    assert "--unique 1e+09: what repeated tokens are worth is only known where runs saw some twice" in said
