"""`secondsight scaling run --tasks`: what is measured of each cell, and what is refused before any is trained."""

from __future__ import annotations

import math
import re
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pytest
from killed_commands import run_until
from ladders import STEP, make_counting_store
from measured_ladders import World, make_clip_world, make_image_world, options, task_options
from memory_lists import make_list
from physics_films import make_set

from data.tokens import TokenStore
from experiments.diversity.tables import ItemRow
from experiments.physics.tables import ScoreRow
from experiments.scaling.curves import read_curves
from experiments.scaling.ladder import make_ladder
from experiments.scaling.measured import write_measured
from experiments.scaling.measured_tables import MeasuredRow, TaskCurveRow, UnmeasuredRow
from experiments.scaling.measuring_options import CellTaskOptions
from experiments.scaling.options import ScalingExtrapolateOptions, ScalingRunOptions, ScalingTasksOptions
from experiments.scaling.outcomes import READERS
from experiments.scaling.running import LadderError, ladder_steps, run_scaling
from experiments.scaling.task_table import read_tasks
from experiments.statistics.accuracy import Accuracy, pooled
from experiments.statistics.trials import read_trials
from gpt.evaluate import evaluate
from gpt.options import EvaluateOptions
from storage.command import arguments_of
from storage.run_folder import RunFolderError
from storage.tables import read_rows, read_table

CELL = "width-16_tokens-256_seed-0_flop-4.32538e+07"


def rows(out: Path) -> list[MeasuredRow]:
    return read_rows(out / "tasks.csv", MeasuredRow)


def of_task(out: Path, task: str) -> list[MeasuredRow]:
    found = [row for row in rows(out) if row.task == task]
    assert found
    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_image_world(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_clip_world(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("list") / "list", items=3)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    make_set(folder, scenes=2)
    return folder


@pytest.fixture(scope="module")
def asked(images: World, stimuli: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All tasks of images, continuations compared without networks."""
    small = {"n": 3, "items": 4, "perceptual": "none", "features": "none"}
    further = task_options(tmp_path_factory.mktemp("options") / "diversity.json", "diversity run", **small)
    return {
        "tasks": ("nll", "memory", "diversity", "reconstruction"),
        "tokenizer": images.tokenizer,
        "data": images.data,
        "stimuli": stimuli,
        "exposures": (1, 2),
        "memory_learning_rate": 1e-2,
        "task_options": (further,),
        "budgets": (6e7, 1.2e8),
        "save_every": 1000,
    }


@pytest.fixture(scope="module")
def measured(images: World, asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder of images, two budgets, measured on all tasks of images."""
    return run_scaling(options(images.tokens, tmp_path_factory.mktemp("measured") / "run", **asked))


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_counting_store(tmp_path_factory.mktemp("counting") / "store")


def counted(store: Path, out: Path, **others: Any) -> ScalingRunOptions:
    """One cell, measured on `nll`."""
    return options(
        store,
        out,
        **{"budgets": (10 * STEP,), "unique_tokens": (256,), "tasks": ("nll",), "save_every": 1000, **others},
    )


class Whole(NamedTuple):
    """A ladder that was trained first and measured afterwards."""

    out: Path
    trained: dict[Path, int]
    """When its weights were written, before anything was measured."""


@pytest.fixture(scope="module")
def whole(counting: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    out = run_scaling(counted(counting, tmp_path_factory.mktemp("whole") / "run", tasks=()))
    trained = written(out)
    run_scaling(counted(counting, out))
    return Whole(out, trained)


def written(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.glob("*/*/final/model.safetensors")}


# What is measured


def test_nll_is_that_of_gpt_eval(measured: Path, images: World) -> None:
    for row in of_task(measured, "nll"):
        found = evaluate(EvaluateOptions(gpt=measured / "cells" / row.run, tokens=images.tokens))
        assert (row.value, row.measure, row.better) == (found["bits_per_pixel"], "bits per pixel", "lower")
        assert row.likelihood == -found["gpt_nll"]


def test_every_cell_has_a_row_for_each_task_and_group(measured: Path) -> None:
    cells = {row.run for row in rows(measured)}
    assert len(cells) == 2
    named = {(row.run, row.task, row.items) for row in rows(measured)}
    assert len(named) == len(rows(measured))
    assert {(task, items) for _, task, items in named} == {
        ("nll", ""),
        *((f"recognition after {exposures}", items) for exposures in (1, 2) for items in ("novel", "state")),
        *(("exposures to people", items) for items in ("novel", "state")),
        *(
            (f"{task} by {distance}", items)
            for task in ("retrieval", "distance to truth", "diversity")
            for distance in ("pixel", "token")
            for items in ("studied", "new")
        ),
    }


def test_recognition_is_that_of_memory_run(measured: Path) -> None:
    for row in of_task(measured, "recognition after 2"):
        folder = measured / "tasks" / "memory" / row.run
        curve = pooled(read_rows(folder / "accuracy.csv", Accuracy))[row.items]
        assert row.accuracy == pytest.approx(curve[-1].accuracy)
        assert row.observations == curve[-1].trials
        trials = [one for one in read_trials(folder / "trials.csv") if (one.exposure, one.condition) == (2, row.items)]
        assert row.likelihood == pytest.approx(fmean(one.nll_foil - one.nll_studied for one in trials))


def test_people_who_were_not_reached_are_censored_at_the_exposures_made(measured: Path) -> None:
    counts = of_task(measured, "exposures to people")
    assert all(row.value == 2 for row in counts if row.censored)
    assert all(1 <= row.value <= 2 for row in counts)
    kept = read_rows(measured / "curves" / "exposures-to-people.csv", TaskCurveRow)
    assert len(kept) == sum(not row.censored for row in counts)


def test_curves_of_tasks_that_are_asked_for_no_more_are_gone(measured: Path, tmp_path: Path) -> None:
    rows = read_rows(measured / "tasks.csv", MeasuredRow)
    write_measured(tmp_path, rows, ())
    write_measured(tmp_path, [row for row in rows if row.task == "nll"], ())
    assert {path.name for path in (tmp_path / "curves").iterdir()} == {"nll.csv", "codebook.csv"}


def test_retrieval_is_that_of_diversity_run(measured: Path) -> None:
    for row in of_task(measured, "retrieval by pixel"):
        table = read_rows(measured / "tasks" / "diversity" / row.run / "items.csv", ItemRow)
        items = [item for item in table if (item.continuation, item.group) == ("model", row.items)]
        assert {item.encoding for item in items} == {"alone"}
        assert row.accuracy == pytest.approx(fmean(item.identified_pixel for item in items))
        bits = fmean((item.truth_bits or 0) / item.generated_tokens for item in items)
        assert row.likelihood == pytest.approx(-bits * math.log(2))
        groups = {(item.group, item.item) for item in table if item.continuation == "model"}
        assert row.chance == pytest.approx(1 / len(groups))


def test_the_tokenizer_is_measured_once(measured: Path) -> None:
    assert (measured / "tasks" / "reconstruction" / "metrics.json").exists()
    assert not list((measured / "tasks" / "reconstruction").glob("width-*"))


def test_physics_is_that_of_physics_run(clips: World, films: Path, tmp_path: Path) -> None:
    further = task_options(tmp_path / "physics.json", "physics run", least_kept=0.0)
    out = run_scaling(
        options(
            clips.tokens,
            tmp_path / "run",
            tasks=("physics",),
            tokenizer=clips.tokenizer,
            films=films,
            task_options=(further,),
            budgets=(2e8,),
        )
    )
    (run,) = {row.run for row in rows(out)}
    scores = {
        row.concept: row.value
        for row in read_rows(out / "tasks" / "physics" / run / "scores.csv", ScoreRow)
        if (row.model, row.tokens, row.frames, row.statistic) == (run, "all", "film", "mean")
        and (row.measure, row.visibility, row.half) == ("quadruple", "both", "all")
    }
    assert {row.items: row.accuracy for row in rows(out)} == pytest.approx(scores)
    assert all(row.likelihood is not None for row in rows(out))
    assert len(list((out / "tasks" / "encoded").iterdir())) == 2
    assert not (out / "tasks" / "physics" / run / "encoded").exists()


# The tables


def test_scaling_tasks_reads_the_table(measured: Path) -> None:
    read = read_tasks(ScalingTasksOptions(table=measured / "tasks.csv", out=measured))
    assert (read.likelihood, read.lower, read.rows[0].unit) == ("likelihood", False, "flop")
    logs, values = read.values("nll", "", likelihood=True)
    nll = of_task(measured, "nll")
    assert list(values) == [row.likelihood for row in nll]
    assert list(logs) == pytest.approx([math.log10(row.compute) for row in nll])


def test_scaling_extrapolate_reads_every_curve(measured: Path) -> None:
    tables = [path for path in (measured / "curves").glob("*.csv") if path.name != "codebook.csv" and read_table(path)]
    assert len(tables) >= 7
    for table in tables:
        kind = "accuracy" if read_table(table)[0]["measure"] == "accuracy" else "loss"
        asked = ScalingExtrapolateOptions.of(table=table, target=(0.5,), measure=kind, out=measured)
        points, loss = read_curves(asked)
        assert [point.value for point in points] == [row.value for row in read_rows(table, TaskCurveRow)]
        assert (points[0].unit, loss) == ("flop", kind == "loss")


def test_the_codebooks_know_every_column(measured: Path) -> None:
    for folder, names in ((measured, ("runs.csv", "tasks.csv")), (measured / "curves", ("nll.csv",))):
        described = {(row["table"], row["column"]) for row in read_table(folder / "codebook.csv")}
        for table in names:
            assert {(table, column) for column in read_table(folder / table)[0]} <= described


def test_the_next_commands_are_said(
    measured: Path, images: World, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_scaling(options(images.tokens, measured, **asked))
    said = capsys.readouterr().err
    assert f"next: secondsight scaling tasks {measured / 'tasks.csv'}" in said
    assert f"next: secondsight scaling extrapolate {measured / 'curves' / 'recognition-after-1.csv'}" in said
    assert "--measure accuracy --target .9 --floor 0.5" in said


# Stopped, resumed, extended


def test_what_is_measured_is_not_measured_again(images: World, measured: Path, asked: dict[str, Any]) -> None:
    files = [*measured.glob("tasks/*/*/*.csv"), *measured.glob("tasks/*/*/metrics.json")]
    before = {path: path.stat().st_mtime_ns for path in files}
    tables = {name: (measured / name).read_bytes() for name in ("tasks.csv", "unmeasured.csv", "codebook.csv")}
    run_scaling(options(images.tokens, measured, **asked))
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert {name: (measured / name).read_bytes() for name in tables} == tables


def test_killed_while_it_measures_and_resumed(
    counting: Path, whole: Whole, tmp_path: Path, python: tuple[str, ...]
) -> None:
    asked = counted(counting, tmp_path / "run")
    run_until(python, f"nll/{CELL}/metrics.json", *arguments_of(asked))
    run_scaling(asked)
    assert (tmp_path / "run" / "tasks.csv").read_bytes() == (whole.out / "tasks.csv").read_bytes()


def test_the_parts_of_jobs_make_the_same_table(counting: Path, whole: Whole, tmp_path: Path) -> None:
    asked = counted(counting, tmp_path)
    steps = ladder_steps(asked, make_ladder(asked, TokenStore(counting)))
    assert [step.name for step in steps] == ["tokens", "trunks", "cells", "tasks", "table"]
    assert [getattr(command, "part", "") for command in steps[3].commands] == [f"nll/{CELL}"]
    for step in steps:
        for command in step.commands:
            assert isinstance(command, ScalingRunOptions)
            run_scaling(command)
            if command.part == "tokens":
                with pytest.raises(RunFolderError, match=f"is not trained yet: the part {re.escape(CELL)} comes first"):
                    run_scaling(asked.changed(part=f"nll/{CELL}"))
    assert (tmp_path / "tasks.csv").read_bytes() == (whole.out / "tasks.csv").read_bytes()


def test_tasks_that_are_asked_for_later_are_measured_of_the_cells_there(whole: Whole) -> None:
    assert len(rows(whole.out)) == 1
    assert written(whole.out) == whole.trained


# What goes wrong


def test_diverged_cells_are_listed_and_not_measured(counting: Path, tmp_path: Path) -> None:
    run_scaling(counted(counting, tmp_path, learning_rate=10.0, budgets=(4 * STEP,)))
    assert rows(tmp_path) == []
    (row,) = read_rows(tmp_path / "unmeasured.csv", UnmeasuredRow)
    assert (row.task, row.why) == ("nll", "the cell diverged: loss not below that of counting tokens")
    assert not (tmp_path / "tasks").exists()


def test_a_measurement_that_fails_is_listed(counting: Path, whole: Whole) -> None:
    folder = whole.out / "tasks" / "nll" / CELL
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("in the way")
    with pytest.raises(LadderError, match="1 measurement failed: task nll"):
        run_scaling(counted(counting, whole.out))
    (row,) = read_rows(whole.out / "unmeasured.csv", UnmeasuredRow)
    assert row.why.startswith("it failed: ")
    assert CELL in row.why
    assert rows(whole.out) == []
    folder.unlink()
    aside.rename(folder)
    run_scaling(counted(counting, whole.out))
    assert len(rows(whole.out)) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"gpt_nll": 1, "items": 2}', '{"gpt_nll": "much"}'])
def test_a_damaged_result_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics.json is damaged .*: remove .*, and measure it again"):
        list(READERS["nll"](tmp_path, CellTaskOptions()))


def test_what_was_measured_with_other_options_is_refused(counting: Path, whole: Whole, tmp_path: Path) -> None:
    further = task_options(tmp_path / "options.json", "gpt eval", batch=3)
    with pytest.raises(RunFolderError, match="--batch 8 -> 3"):
        run_scaling(counted(counting, whole.out, task_options=(further,)))
