"""Learning rates that the sizes of a ladder try: which is chosen, what it costs, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from killed_commands import run_until
from ladders import SMALL, STEP, make_counting_store

import secondsight
from data.tokens import TokenStore
from experiments.scaling.ladder import make_ladder
from experiments.scaling.options import ScalingPlanOptions, ScalingRunOptions
from experiments.scaling.planning import plan_scaling
from experiments.scaling.rate_table import PlannedTrialRow, TriedRow
from experiments.scaling.rates import RateTrial, edge_of, trials_of
from experiments.scaling.run_table import LadderRow
from experiments.scaling.running import LadderError, ladder_steps, run_scaling
from experiments.scaling.trainings import End, best_trial
from gpt.options import TrainOptions
from storage.command import arguments_of
from storage.run_folder import RunFolderError, read_options
from storage.tables import read_rows, read_table

RATES = (1e-3, 3e-2, 1e30)
"""The first learns hardly anything in a few steps, and the last diverges."""
TRIED: dict[str, Any] = {"learning_rate": 1e-3, "learning_rates": RATES, "rate_steps": 6, "grad_clip": 0.0}
TRUNK = "width-16_all_seed-0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_counting_store(tmp_path_factory.mktemp("counting") / "store")


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder that nothing stopped: two budgets of one size, which tried three rates."""
    return run_scaling(options(store, tmp_path_factory.mktemp("whole") / "run"))


def options(store: Path, out: Path, **others: Any) -> ScalingRunOptions:
    return ScalingRunOptions.of(tokens=store, out=out, **{**SMALL, **TRIED, **others})


def plan_options(store: Path, out: Path, **others: Any) -> ScalingPlanOptions:
    return ScalingPlanOptions.of(tokens=store, out=out, **{**SMALL, **TRIED, **others})


def tried(out: Path) -> list[TriedRow]:
    return read_rows(out / "rates.csv", TriedRow)


# Which is chosen


def test_the_rate_of_lowest_loss_is_chosen(whole: Path) -> None:
    low, middle, high = tried(whole)
    assert (low.chosen, middle.chosen, high.chosen) == (False, True, False)
    assert (middle.loss or 9.0) < (low.loss or 0.0)
    assert (middle.run, middle.size, middle.learning_rate, middle.edge) == ("width-16_rate-0.03", "width-16", 3e-2, "")


def test_what_diverges_is_marked_and_not_chosen(whole: Path) -> None:
    high = tried(whole)[-1]
    assert (high.diverged, high.why_diverged, high.loss, high.chosen) == (True, "loss not finite", None, False)


def test_losses_are_those_that_the_trials_ended_with(whole: Path) -> None:
    for row in tried(whole)[:2]:
        lines = (whole / "rates" / row.run / "metrics.jsonl").read_text().splitlines()
        last = json.loads(lines[-1])
        assert (row.loss, row.bits_per_pixel) == (last["validation_nll"], last["validation_bits_per_pixel"])
        assert last["step"] == 5


def test_trunks_and_cells_learn_at_the_rate_that_was_chosen(whole: Path) -> None:
    for folder in [*(whole / "trunks").iterdir(), *(whole / "cells").iterdir()]:
        assert read_options(folder, TrainOptions).training.learning_rate == 3e-2
    assert {row.learning_rate for row in read_rows(whole / "runs.csv", LadderRow)} == {3e-2}


def test_each_size_has_a_rate_of_its_own(store: Path, tmp_path: Path) -> None:
    rates = {"learning_rates": (3e-2, 3.0), "rate_at_width": 0, "budgets": (8 * STEP, 200 * STEP), "rate_steps": None}
    asked = options(store, tmp_path, widths=(16, 64), **rates)
    sizes = {cell.trunk.size for cell in make_ladder(asked, TokenStore(store)).trained}
    steps = {size.name: {trial.steps for trial in trials_of(asked, size)} for size in sizes}
    assert steps == {"width-16": {8}, "width-64": {19}}


def test_without_a_number_of_steps_a_trial_is_as_long_as_the_smallest_budget(store: Path, tmp_path: Path) -> None:
    asked = options(store, tmp_path, rate_steps=None)
    (size,) = make_ladder(asked, TokenStore(store)).sizes
    assert {(trial.steps, trial.decay_steps) for trial in trials_of(asked, size)} == {(10, 2)}


def test_a_rate_at_the_edge_is_warned_of(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_scaling(options(store, tmp_path, learning_rates=(3e-2, 1e-3), budgets=(4 * STEP,)))
    assert {row.edge for row in tried(tmp_path) if row.chosen} == {"highest"}
    assert "beware: 0.03 is the highest rate that width-16 tried" in capsys.readouterr().err


@given(st.lists(st.floats(0.1, 9) | st.none(), min_size=2, max_size=6))
def test_the_best_is_the_lowest_loss_that_did_not_diverge(store: Path, losses: list[float | None]) -> None:
    trials = _trials(store, len(losses))
    ends = {
        trial: End(loss or 0.0, loss or 0.0, "" if loss else "loss not finite")
        for trial, loss in zip(trials, losses, strict=True)
    }
    best = best_trial(ends)
    finite = [loss for loss in losses if loss]
    assert (best is None) == (not finite)
    if best is not None:
        assert losses[trials.index(best)] == min(finite)
        assert losses.index(min(finite)) == trials.index(best)


def test_nothing_is_chosen_before_all_were_tried(store: Path) -> None:
    one, other = _trials(store, 2)
    assert best_trial({one: End(1.0, 1.0, ""), other: None}) is None


def _trials(store: Path, number: int) -> list[RateTrial]:
    asked = options(store, Path("out"))
    (size,) = make_ladder(asked, TokenStore(store)).sizes
    first = trials_of(asked, size)[0]
    return [replace(first, rate=10.0**index) for index in range(number)]


def test_between_the_ends_there_is_no_edge() -> None:
    assert [edge_of(rate, (3.0, 1.0, 2.0)) for rate in (1.0, 2.0, 3.0)] == ["lowest", "", "highest"]


# All diverge


def test_a_size_that_diverged_at_every_rate_counts_as_diverged(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_scaling(options(store, tmp_path, learning_rates=(1e29, 1e30)))
    rows = read_rows(tmp_path / "runs.csv", LadderRow)
    assert {(row.diverged, row.why_diverged) for row in rows} == {(True, "diverged at every rate tried")}
    assert not (tmp_path / "trunks" / TRUNK / "checkpoints").exists()
    assert "width-16 diverged at every rate tried, 1e+29, 1e+30: begin anew with lower ones" in capsys.readouterr().err
    assert "none for 1 layer, 1 head, 16 wide, as all diverged" in _methods(tmp_path)
    before = (tmp_path / "runs.csv").read_bytes()
    run_scaling(options(store, tmp_path, learning_rates=(1e29, 1e30)))
    assert (tmp_path / "runs.csv").read_bytes() == before


# In words


def _methods(out: Path) -> str:
    return " ".join((out / "methods.txt").read_text().split())


def test_methods_say_how_the_rate_was_chosen(whole: Path) -> None:
    said = _methods(whole)
    assert "had a peak learning rate chosen for each size, given at width 16" in said
    assert "Each size tried 0.001, 0.03 and 1e+30, each once on all training items for 6 steps from seed 0" in said
    assert "lowest loss on the held-out items: 0.03 for 1 layer, 1 head, 16 wide." in said


def test_the_codebook_knows_every_column(whole: Path) -> None:
    described = {row["column"] for row in read_table(whole / "codebook.csv") if row["table"] == "rates.csv"}
    assert described == set(read_table(whole / "rates.csv")[0])


# What it costs


def test_a_plan_counts_the_trials(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_scaling(plan_options(store, tmp_path, flops_per_second=1e6))
    rows = read_rows(plan / "rates.csv", PlannedTrialRow)
    assert [(row.learning_rate, row.steps, row.compute) for row in rows] == [(rate, 6, 6 * STEP) for rate in RATES]
    assert [row.expected_hours for row in rows] == pytest.approx([6 * STEP / 1e6 / 3600] * 3)
    printed = capsys.readouterr()
    assert f"{(22 + 18) * STEP:.3g} FLOP in all: {(22 + 18) * STEP / 1e6 / 3600:.3g} hours" in printed.out
    assert f"{18 * STEP:.3g} FLOP for 3 trials of learning rates" in printed.err


def test_a_plan_that_tries_none_leaves_no_table_of_them(store: Path, tmp_path: Path) -> None:
    plan_scaling(plan_options(store, tmp_path))
    plan_scaling(plan_options(store, tmp_path, learning_rates=(), rate_steps=None))
    assert not (tmp_path / "rates.csv").exists()


def test_rates_that_are_tried_need_no_rule_for_depths(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_scaling(plan_options(store, tmp_path, presets=("demo", "tiny"), widths=(), budgets=(1e12,)))
    assert "covers widths, not the depths" not in capsys.readouterr().out


# Killed, extended, as jobs

MOMENTS = (
    "rates/width-16_rate-0.001/final/model.safetensors",
    "rates/width-16_rate-0.03/checkpoints/000006",
    "run/rates.csv",
    "rates/width-16_rate-1e+30/diverged.json",
)


def test_killed_while_rates_are_tried_and_resumed(
    store: Path, whole: Path, tmp_path: Path, python: tuple[str, ...]
) -> None:
    for moment in MOMENTS:
        run_until(python, moment, *arguments_of(options(store, tmp_path / "run")))
    run_scaling(options(store, tmp_path / "run"))
    for table in ("rates.csv", "runs.csv"):
        assert (tmp_path / "run" / table).read_bytes() == (whole / table).read_bytes()


def test_more_sizes_try_rates_of_their_own(store: Path, tmp_path: Path) -> None:
    others = {"budgets": (20 * STEP,), "learning_rates": (1e-3, 3e-2)}
    run_scaling(options(store, tmp_path, **others))
    before = tried(tmp_path)
    run_scaling(options(store, tmp_path, widths=(16, 32), **others))
    after = tried(tmp_path)
    assert after[:2] == before
    assert {row.size for row in after[2:]} == {"width-32"}


def test_jobs_try_rates_before_trunks(store: Path, whole: Path, tmp_path: Path) -> None:
    asked = options(store, tmp_path)
    steps = ladder_steps(asked, make_ladder(asked, TokenStore(store)))
    assert [(step.name, len(step.commands)) for step in steps[:3]] == [("tokens", 1), ("rates", 3), ("trunks", 1)]
    for step in steps:
        for command in step.commands:
            assert isinstance(command, ScalingRunOptions)
            run_scaling(command)
    for table in ("rates.csv", "runs.csv"):
        assert (tmp_path / table).read_bytes() == (whole / table).read_bytes()


def test_a_trunk_before_its_rates_is_refused(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path, part="tokens"))
    with pytest.raises(ValueError, match=r"width-16 has no learning rate yet: width-16_rate-0\.001, .* must be tried"):
        run_scaling(options(store, tmp_path, part=TRUNK))


def test_a_trial_that_fails_keeps_its_size_from_being_trained(store: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "rates" / "width-16_rate-0.001"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    with pytest.raises(LadderError, match=r"rate width-16_rate-0\.001"):
        run_scaling(options(store, tmp_path))
    assert not (tmp_path / "trunks").exists()


def test_other_rates_need_another_folder(store: Path, whole: Path) -> None:
    with pytest.raises(RunFolderError, match="--learning-rates"):
        run_scaling(options(store, whole, learning_rates=(1e-3, 1e-2)))


# What is refused

REFUSED: tuple[tuple[list[str], str], ...] = (
    (["--learning-rates", "1e-3"], "--learning-rates 0.001 leaves nothing to choose: give several, or --learning-rate"),
    (["--learning-rates", "1e-3", "1e-2", "1e-3"], "--learning-rates 0.001 0.01 0.001 names a value twice"),
    (["--learning-rates", "1e-3", "0"], "--learning-rates 0 must be positive"),
    (
        ["--learning-rates", "1e-3", "1e-2", "--learning-rate", "2e-3"],
        "--learning-rate 0.002 and --learning-rates excl",
    ),
    (["--rate-steps", "9"], "--rate-steps 9 needs --learning-rates"),
    (["--learning-rates", "1e-3", "1e-2", "--rate-steps", "2"], "--rate-steps 2: 2 steps are too few for a warm-up of"),
)


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_refused(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    ladder = ["--widths", 16, "--layers", 1, "--head-size", 16, "--warmup", 2, "--budgets", 20 * STEP]
    asked = ["scaling", "plan", "--tokens", store, *ladder, *words, "--out", tmp_path / "plan"]
    with pytest.raises(SystemExit):
        secondsight.main([str(word) for word in asked])
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "plan").exists()
