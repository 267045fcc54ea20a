"""`secondsight scaling plan`: what each training of a ladder is and takes, and which ladders are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladders import SMALL, STEP, make_counting_store
from tiny import make_store

import secondsight
from data.tokens import StoreMetadata, TokenStore
from experiments.scaling.ladder import film_hours, flops_per_step, make_ladder
from experiments.scaling.options import ScalingPlanOptions, ScalingRunOptions
from experiments.scaling.plan_rows import PlanRow
from experiments.scaling.planning import plan_scaling
from gpt.model import GPT
from storage.tables import read_rows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 clips to learn from, 4 held out."""
    return make_counting_store(tmp_path_factory.mktemp("counting") / "store")


def options(store: Path, out: Path, **others: Any) -> ScalingPlanOptions:
    return ScalingPlanOptions.of(tokens=store, out=out, **{**SMALL, **others})


def planned(store: Path, out: Path, **others: Any) -> list[PlanRow]:
    return read_rows(plan_scaling(options(store, out, **others)) / "plan.csv", PlanRow)


# What a training is


def test_every_combination_is_a_cell(store: Path, tmp_path: Path) -> None:
    rows = planned(store, tmp_path, widths=(16, 32), unique_tokens=(64, 256), seeds=3, budgets=(20 * STEP, 80 * STEP))
    assert len({row.cell for row in rows}) == 2 * 2 * 3 * 2
    assert {(row.width, row.data_available, row.seed, row.budget) for row in rows} == {
        (width, data, seed, budget)
        for width in (16, 32)
        for data in (64, 256)
        for seed in (0, 1, 2)
        for budget in (20 * STEP, 80 * STEP)
    }


def test_parameters_are_counted_with_and_without_embeddings(store: Path, tmp_path: Path) -> None:
    row = planned(store, tmp_path)[0]
    (cell, _) = make_ladder(options(store, tmp_path), TokenStore(store)).cells
    parameters = dict(GPT(cell.trunk.size.config).named_parameters())
    assert row.parameters == sum(parameter.numel() for parameter in parameters.values())
    assert row.non_embedding_parameters == row.parameters - parameters["embedding.weight"].numel()


def test_compute_counts_the_head_and_attention(store: Path, tmp_path: Path) -> None:
    row = planned(store, tmp_path)[0]
    (cell, _) = make_ladder(options(store, tmp_path), TokenStore(store)).cells
    matrices = sum(
        parameter.numel()
        for name, parameter in GPT(cell.trunk.size.config).named_parameters()
        if parameter.ndim == 2 and not name.startswith("embedding")
    )
    per_token = 6 * matrices + 12 * 16 * 32  # one layer, width 16, window 32
    assert row.compute == row.data * per_token
    assert flops_per_step(cell.trunk.size.config, 4) == 4 * 32 * per_token == STEP


@given(st.floats(2, 1000), st.integers(1, 9))
def test_whole_steps_miss_a_budget_by_half_a_step_at_most(store: Path, budget: float, batch: int) -> None:
    ladder = make_ladder(
        options(store, Path("out"), budgets=(10 * budget * STEP,), batch=batch, warmup=0), TokenStore(store)
    )
    (cell,) = ladder.cells
    assert abs(cell.compute - cell.budget) <= flops_per_step(cell.trunk.size.config, batch) / 2 * 1.0001


def test_steps_of_a_trunk_are_taken_once(store: Path, tmp_path: Path) -> None:
    one, two = planned(store, tmp_path)
    assert (one.steps, one.decay_steps) == (10, 2)
    assert (two.steps, two.decay_steps) == (20, 4)
    assert one.trunk == two.trunk
    assert one.added_compute == one.compute
    assert two.added_compute == two.compute - 8 * STEP  # the first left the trunk after 8 steps


def test_the_order_of_budgets_does_not_matter(store: Path, tmp_path: Path) -> None:
    budgets = SMALL["budgets"]
    rows = planned(store, tmp_path / "one", budgets=budgets)
    assert planned(store, tmp_path / "other", budgets=budgets[::-1]) == rows


def test_hours_follow_from_a_stated_speed(store: Path, tmp_path: Path) -> None:
    rows = planned(store, tmp_path, flops_per_second=1e6)
    assert [row.expected_hours for row in rows] == pytest.approx([row.added_compute / 1e6 / 3600 for row in rows])


def test_without_a_stated_speed_a_few_steps_are_timed(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = planned(store, tmp_path, flops_per_second=None)
    assert all(row.expected_hours and row.expected_hours > 0 for row in rows)
    assert "at the speed of a few steps taken here" in capsys.readouterr().out


def test_the_cost_is_printed(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(store, tmp_path, flops_per_second=1e6)
    printed = capsys.readouterr()
    assert f"{22 * STEP:.3g} FLOP in all: {22 * STEP / 1e6 / 3600:.3g} hours at the speed" in printed.out
    assert f"{100 * 22 / 30:.0f} % of what separate trainings take" in printed.err


# Data


def test_amounts_are_clips_of_the_store(store: Path, tmp_path: Path) -> None:
    rows = planned(store, tmp_path, hours=(3 / 3600, 12 / 3600), budgets=(20 * STEP,))
    assert [row.data_available for row in rows] == [3 * 32, 12 * 32]
    assert [row.hours_of_film for row in rows] == pytest.approx([3 / 3600, 12 / 3600])
    assert [row.epochs for row in rows] == pytest.approx([80 / 3, 80 / 12])


@given(st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), min_size=1))
def test_film_that_clips_share_is_counted_once(store: Path, clips: set[tuple[str, int]]) -> None:
    opened = TokenStore(store)
    opened.metadata = StoreMetadata((2, 4, 4), 32, "counting", 8.0, 32, 16)  # clips of four seconds
    covered = {(source, start + second) for source, start in clips for second in range(4)}
    assert film_hours([(source, float(start)) for source, start in clips], opened) == pytest.approx(len(covered) / 3600)


def test_images_have_no_hours(tmp_path: Path, refused: Callable[..., str]) -> None:
    images = make_counting_store(tmp_path / "store", frames=1)
    assert planned(images, tmp_path / "plan")[0].hours_of_film is None
    words = ["scaling", "plan", "--tokens", images, *typed(hours=(1.0,)), "--out", tmp_path / "other"]
    assert "holds images, which have no --hours: give --unique-tokens" in refused(*words)


# What is left out, said and refused


def test_sizes_that_cannot_spend_a_budget_are_left_out(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = planned(store, tmp_path, widths=(16, 256))
    assert [bool(row.left_out) for row in rows] == [False, False, True, True]
    assert "2 cells left out, as a size cannot spend a budget" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"budgets": (20 * STEP,)}, "one budget alone"),
        ({}, "fewer different trainings than the 5 parameters"),
        ({}, "with one seed"),
        ({}, "takes 10 steps: a smaller --batch gives more"),
        ({"presets": ("demo", "tiny"), "widths": (), "budgets": (1e12,)}, "covers widths, not the depths"),
    ],
)
def test_what_a_ladder_cannot_tell_is_said(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], others: dict[str, Any], said: str
) -> None:
    planned(store, tmp_path, **others)
    assert said in capsys.readouterr().out


def typed(**others: Any) -> list[str]:
    words = []
    for name, value in {**SMALL, **others}.items():
        values = value if isinstance(value, tuple) else (value,)
        if values:
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return words


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    (
        {"budgets": (0.3 * STEP, 10 * STEP)},
        "can be spent by no size: of width-16, whose step takes 4.33e+06 FLOP, a st",
    ),
    ({"budgets": (2 * STEP,)}, "2 steps are too few for a warm-up of 2 and a decay of 1; give a larger budget"),
    ({"budgets": (1e20,)}, "2.31e+13 steps are more than a training can have; give a smaller budget"),
    ({"budgets": (1e9, 1e9)}, "--budgets 1e+09 1e+09 names a value twice"),
    ({"widths": (16, 16)}, "--widths 16 16 names a value twice"),
    ({"widths": ()}, "give sizes either as --widths or as --presets"),
    ({"presets": ("tiny",)}, "give sizes either as --widths or as --presets"),
    ({"widths": (), "presets": ("tinny",)}, "there is no preset 'tinny'"),
    ({"widths": (24,)}, "--widths 24 must split into heads of --head-size 16"),
    ({"head_size": 4}, "heads of 4 dimensions, too narrow"),
    ({"hours": (1.0,), "unique_tokens": (64,)}, "--hours and --unique-tokens exclude each other"),
    ({"hours": (1.0,)}, "has 384 tokens, 0.003333 hours, for training, less than hours-1: ask for less"),
    ({"unique_tokens": (8,)}, "tokens-8 is less than one clip"),
    ({"unique_tokens": (64, 65)}, "tokens-64 and tokens-65 are the same clips"),
    ({"decay": 1.0}, "--decay 1 must"),
    ({"budgets": (-1.0,)}, "--budgets -1 must be positive"),
)


@pytest.mark.parametrize(("others", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_refused(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], others: dict[str, Any], said: str
) -> None:
    with pytest.raises(SystemExit):
        secondsight.main(["scaling", "plan", "--tokens", str(store), *typed(**others), "--out", str(tmp_path / "plan")])
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "plan").exists()


def test_a_store_with_nothing_held_out_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    store = make_store(tmp_path / "store", held_out=0)
    words = ["scaling", "plan", "--tokens", store, *typed(), "--out", tmp_path / "plan"]
    assert "has no validation items whose loss could be measured" in refused(*words)


# The folder


def test_a_plan_replaces_the_one_before(store: Path, tmp_path: Path) -> None:
    planned(store, tmp_path)
    assert len(planned(store, tmp_path, seeds=2)) == 4


def test_the_folder_of_something_else_is_left_alone(store: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"command": "gpt train"}))
    with pytest.raises(ValueError, match="holds a run of `gpt train`, not of `scaling plan`"):
        planned(store, tmp_path)


def test_a_plan_is_what_a_run_carries_out(store: Path, tmp_path: Path) -> None:
    plan_scaling(options(store, tmp_path / "plan", seeds=2))
    words = ["scaling", "run", "--plan", tmp_path / "plan", "--out", tmp_path / "run", "--seeds", "3"]
    run = secondsight.parse(list(map(str, words)))
    assert isinstance(run, ScalingRunOptions)
    same = options(store, tmp_path / "run", seeds=3).flat()
    assert {name: run.flat()[name] for name in same} == same


def test_larger_amounts_hold_smaller_ones(store: Path) -> None:
    asked = options(store, Path("out"), unique_tokens=(64, 128, 384), budgets=(20 * STEP,))
    parts = make_ladder(asked, TokenStore(store)).parts
    assert [part.clips for part in parts] == [2, 4, None]
    assert all(one.items < other.items for one, other in pairwise(parts))
