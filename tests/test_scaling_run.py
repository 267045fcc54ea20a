"""`secondsight scaling run`: killed anywhere and resumed, as jobs, or extended, the table is the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from killed_commands import run_until
from ladders import SMALL, STEP, make_counting_store

import secondsight
from data.tokens import TokenStore
from experiments.scaling.ladder import make_ladder
from experiments.scaling.options import RunTableOptions, ScalingPlanOptions, ScalingRunOptions
from experiments.scaling.planning import plan_scaling
from experiments.scaling.run_table import TABLES, LadderRow
from experiments.scaling.running import LadderError, ladder_steps, run_scaling
from experiments.scaling.runs import read_runs
from gpt.options import TrainOptions
from gpt.train import train
from storage.command import arguments_of
from storage.run_folder import RunFolderError, read_options
from storage.tables import read_rows, read_table

CELLS = ("width-16_tokens-256_seed-0_flop-4.32538e+07", "width-16_tokens-256_seed-0_flop-8.65075e+07")
TRUNK = "width-16_tokens-256_seed-0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_counting_store(tmp_path_factory.mktemp("counting") / "store")


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder that nothing stopped: two budgets on 8 of the 12 clips."""
    return run_scaling(options(store, tmp_path_factory.mktemp("whole") / "run"))


def options(store: Path, out: Path, **others: Any) -> ScalingRunOptions:
    return ScalingRunOptions.of(tokens=store, out=out, **{**SMALL, "unique_tokens": (256,), **others})


def rows(out: Path) -> list[LadderRow]:
    return read_rows(out / "runs.csv", LadderRow)


# The table


def test_a_row_is_what_was_trained(whole: Path) -> None:
    one, two = rows(whole)
    assert (one.run, two.run) == CELLS
    assert (one.steps, two.steps) == (10, 20)
    assert one.source == two.source == TRUNK
    assert (one.data, one.compute, one.unique_data) == (10 * 4 * 32, 10 * STEP, 256)
    assert (one.seed, one.diverged, one.loss_unit) == (0, False, "nats per token")


def test_losses_are_those_that_the_trainings_ended_with(whole: Path) -> None:
    for row in rows(whole):
        lines = (whole / "cells" / row.run / "metrics.jsonl").read_text().splitlines()
        last = json.loads(lines[-1])
        assert (row.loss, row.bits_per_pixel) == (last["validation_nll"], last["validation_bits_per_pixel"])
        assert row.bits_per_pixel == pytest.approx(row.loss / math.log(2) * 32 / (8 * 16**2))


def test_of_data_that_were_seen_once_all_are_different(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path, budgets=(3 * STEP,), unique_tokens=(), warmup=0))
    (row,) = rows(tmp_path)
    assert (row.data, row.unique_data, row.epochs) == (384, 384, 1)


def test_scaling_fit_reads_the_table(whole: Path) -> None:
    read = read_runs(whole / "runs.csv", RunTableOptions())
    assert [row.loss for row in read.rows] == [row.loss for row in rows(whole)]
    assert [row.unique_data for row in read.rows] == [256, 256]
    assert read.notes == []
    assert (read.item, read.rows[0].source, read.rows[0].compute) == ("tokens", TRUNK, 10 * STEP)


def test_the_codebook_knows_every_column(whole: Path) -> None:
    described = {(row["table"], row["column"]) for row in read_table(whole / "codebook.csv")}
    for table in {name for name in TABLES if (whole / name).exists()}:
        assert {(table, column) for column in read_table(whole / table)[0]} <= described


def test_methods_say_how_it_was_trained(whole: Path) -> None:
    said = " ".join((whole / "methods.txt").read_text().split())
    assert "1 layer, 1 head, 16 wide (5,184 parameters); each from 1 seed" in said
    assert "256 tokens (0.00222 hours of film) of 32 codes, in batches of 4 sequences of 32 tokens" in said
    assert "0.03 at width 16" in said
    assert "Losses are the NLL of 4 held-out items" in said
    assert "PyTorch" in said


# Trunks and ends


def test_a_cell_is_bit_for_bit_the_training_of_its_length_made_in_one_go(whole: Path, tmp_path: Path) -> None:
    for name in CELLS:
        cell = whole / "cells" / name
        alone = read_options(cell, TrainOptions).changed(trunk=None, out=tmp_path / name)
        assert alone.training.schedule == "wsd"
        train(alone, lambda gpt, held, path: None)
        assert (tmp_path / name / "final" / "model.safetensors").read_bytes() == (
            cell / "final" / "model.safetensors"
        ).read_bytes()


def test_wider_models_learn_by_the_rule(store: Path, tmp_path: Path) -> None:
    asked = options(store, tmp_path, widths=(16, 32))
    sizes = {cell.trunk.size for cell in make_ladder(asked, TokenStore(store)).cells}
    assert {size.rate_at_width for size in sizes} == {16}


# Killed, resumed, extended

MOMENTS = (
    "run/config.json",
    "tokens/tokens-256/metadata.json",
    f"trunks/{TRUNK}/config.json",
    f"{TRUNK}/checkpoints/000008",
    f"trunks/{TRUNK}/final/model.safetensors",
    f"cells/{CELLS[0]}/config.json",
    f"cells/{CELLS[0]}/final/model.safetensors",
    f"cells/{CELLS[1]}/checkpoints/000020",
    "run/seconds.json",
    "run/runs.csv",
)
"""Files whose appearance is the last thing that a killed process does not live to see."""


def words(store: Path, out: Path, **others: Any) -> list[str]:
    return arguments_of(options(store, out, **others))


def test_killed_at_ten_moments_and_resumed(store: Path, whole: Path, tmp_path: Path, python: tuple[str, ...]) -> None:
    for moment in MOMENTS:
        run_until(python, moment, *words(store, tmp_path / "run"))
    run_scaling(options(store, tmp_path / "run"))
    assert (tmp_path / "run" / "runs.csv").read_bytes() == (whole / "runs.csv").read_bytes()


def test_what_is_finished_is_not_done_again(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path))
    (first,) = (tmp_path / "cells" / CELLS[0]).glob("final/model.safetensors")
    before = (first.stat().st_mtime_ns, (tmp_path / "runs.csv").read_bytes())
    run_scaling(options(store, tmp_path))
    assert (first.stat().st_mtime_ns, (tmp_path / "runs.csv").read_bytes()) == before
    run_scaling(options(store, tmp_path, seeds=2))
    assert first.stat().st_mtime_ns == before[0]
    assert [row.seed for row in rows(tmp_path)] == [0, 0, 1, 1]


def test_another_ladder_in_the_same_folder_is_refused(store: Path, whole: Path) -> None:
    with pytest.raises(RunFolderError, match=r"--learning-rate 0\.03 -> 0\.01"):
        run_scaling(options(store, whole, learning_rate=1e-2))


# Jobs


def test_the_parts_of_jobs_make_the_same_table(store: Path, whole: Path, tmp_path: Path) -> None:
    asked = options(store, tmp_path)
    for step in ladder_steps(asked, make_ladder(asked, TokenStore(store))):
        for command in step.commands:
            assert isinstance(command, ScalingRunOptions)
            run_scaling(command)
    assert (tmp_path / "runs.csv").read_bytes() == (whole / "runs.csv").read_bytes()


def test_jobs_are_trunks_then_cells(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path, slurm=True))
    assert [len((tmp_path / "jobs" / f"{step}.txt").read_text().splitlines()) for step in ("trunks", "cells")] == [1, 2]
    assert not (tmp_path / "runs.csv").exists()


def test_jobs_do_not_need_the_plan(store: Path, tmp_path: Path) -> None:
    plan = plan_scaling(ScalingPlanOptions.of(tokens=store, out=tmp_path / "plan", **SMALL))
    asked = options(store, tmp_path / "run", plan=plan)
    steps = ladder_steps(asked, make_ladder(asked, TokenStore(store)))
    assert all("--plan" not in arguments_of(command) for step in steps for command in step.commands)


def test_a_part_before_its_tokens_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="holds no ladder yet: its part 'tokens' comes first"):
        run_scaling(options(store, tmp_path, part=TRUNK))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"part": "width-17"}, "there is no part 'width-17'; there are tokens, width-16_tokens-256_seed-0"),
        ({"part": "tokens", "slurm": True}, "--slurm writes jobs for all parts: leave out --part tokens"),
    ],
)
def test_refused(store: Path, tmp_path: Path, others: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        run_scaling(options(store, tmp_path, **others))


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        secondsight.main(["scaling", "run", "--plan", str(tmp_path / "nowhere"), "--out", str(tmp_path / "run")])
    assert f"{tmp_path / 'nowhere'} holds no run" in capsys.readouterr().err


# What goes wrong


def test_losses_that_are_not_finite_are_kept_as_diverged(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path, learning_rate=1e30, grad_clip=0))
    assert [(row.diverged, row.why_diverged) for row in rows(tmp_path)] == [(True, "loss not finite")] * 2
    assert all(math.isnan(row.loss) for row in rows(tmp_path))
    assert [row.diverged for row in read_runs(tmp_path / "runs.csv", RunTableOptions()).rows] == [True, True]
    before = (tmp_path / "runs.csv").read_bytes()
    run_scaling(options(store, tmp_path, learning_rate=1e30, grad_clip=0))
    assert (tmp_path / "runs.csv").read_bytes() == before


def test_what_learned_nothing_counts_as_diverged(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_scaling(options(store, tmp_path, learning_rate=10.0, budgets=(4 * STEP,)))
    (row,) = rows(tmp_path)
    assert row.diverged
    assert row.loss > math.log(32)
    assert f"diverged: {row.run}, loss not below that of counting tokens" in capsys.readouterr().out


def test_a_training_that_fails_does_not_keep_others_from_running(store: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "cells" / CELLS[0]
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    with pytest.raises(LadderError, match=f"1 training failed: cell {CELLS[0].replace('+', '.')}"):
        run_scaling(options(store, tmp_path))
    assert [row.run for row in rows(tmp_path)] == [CELLS[1]]


def test_metrics_without_the_last_scores_are_refused(store: Path, tmp_path: Path) -> None:
    run_scaling(options(store, tmp_path, budgets=(4 * STEP,)))
    (metrics,) = (tmp_path / "cells").glob("*/metrics.jsonl")
    metrics.write_text("")
    with pytest.raises(ValueError, match="has no scores of step 3: remove"):
        run_scaling(options(store, tmp_path, budgets=(4 * STEP,)))
