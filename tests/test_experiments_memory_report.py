"""Several runs merged into tables, figures and one page."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_runs import make_maps, make_run, make_stimuli, make_trials
from PIL import Image

from experiments.memory.images import read_maps, show_items, show_maps
from experiments.memory.merge import merge_trials, model_names, read_run_folders
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.pages import without_empty_columns
from experiments.statistics.accuracy import read_trials
from experiments.statistics.items import items

EVERYTHING: dict[str, Any] = {
    "conditions": ("novel",),
    "exposures": 3,
    "learners": ("weights", "familiarity"),
    "changes": ("none", "mirror"),
    "interference": 1,
}


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one run with everything that a run can hold."""
    root = tmp_path_factory.mktemp("report")
    trials = make_trials(**EVERYTHING)
    stimuli = make_stimuli(root / "list", trials)
    run = make_run(root / "run", trials, stimuli=str(stimuli))
    make_maps(run / "runs" / "as_given_0", [row for row in trials if row["version"] == "as_given"])
    (run / "defects.csv").write_text("defect,file,reason\n0,test/novel_unseen/cat.png,the foil is also studied\n")
    columns = "item,condition,image,studied,distance,best_distance,identified"
    (run / "recall.csv").write_text(f"{columns}\nnovel/0,novel,a.png,yes,0.125,0.1,1.0\n")
    return report_memory(ReportOptions((run,), root / "out"))


def test_report_writes_its_tables_and_figures(report: Path) -> None:
    assert {path.name for path in report.iterdir()} == {
        "trials.csv", "accuracy.csv", "comparisons.csv", "thresholds.csv", "sensitivity.csv", "items.csv",
        "defects.csv", "curve.png", "roc.png", "learners.png", "changes.png", "forgetting.png", "report.html",
    }  # fmt: skip


@pytest.mark.parametrize(
    "title",
    [
        "What it remembers", "Exposures to the level of people", "Learners compared", "Changed images", "Forgetting",
        "Sensitivity", "Remembered best and least", "Where the memory lies", "Recall", "What people remember",
        "Left out as defective",
    ],
)  # fmt: skip
def test_page_has_a_section(report: Path, title: str) -> None:
    assert f"<h2>{title}</h2>" in (report / "report.html").read_text()


def test_what_was_left_out_is_said(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert "Left out as defective: 1 file of list" in page
    assert "the foil is also studied" in page
    assert [row["file"] for row in read_table(report / "defects.csv")] == ["test/novel_unseen/cat.png"]


def test_exposures_that_were_not_enough_are_said(report: Path) -> None:
    assert "not within 3" in (report / "report.html").read_text()


def test_what_is_defective_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", make_trials(exposures=1), stimuli="list")
    (run / "defects.csv").write_text("defect,file,reason\n0,a.png,broken\n0,b.png,broken\n")
    report_memory(ReportOptions((run,), tmp_path / "out"))
    assert "Left out as defective: 2 files of list" in capsys.readouterr().out


def test_images_are_in_the_page_only(report: Path) -> None:
    assert not [path for path in report.rglob("*") if path.is_dir()]


def test_merged_trials_are_all_trials(report: Path) -> None:
    assert len(read_trials(report / "trials.csv")) == len(make_trials(**EVERYTHING))


def test_runs_of_one_model_are_pooled(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"run{seed}", make_trials(exposures=1, seeds=(seed,)), seed=seed) for seed in (0, 1)]
    report_memory(ReportOptions(tuple(runs), tmp_path / "out"))
    rows = [row for row in read_table(tmp_path / "out" / "accuracy.csv") if row["list"] == "pooled"]
    assert {(row["model"], row["trials"]) for row in rows} == {("", "24")}


def test_models_are_kept_apart_and_compared(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"run{rate}", make_trials(exposures=1), learning_rate=rate) for rate in (0.001, 0.0003)]
    report_memory(ReportOptions(tuple(runs), tmp_path / "out"))
    models = {"learning rate 0.001", "learning rate 0.0003"}
    assert {row["model"] for row in read_table(tmp_path / "out" / "accuracy.csv")} == models
    compared = read_table(tmp_path / "out" / "comparisons.csv")
    assert {(row["respect"], row["difference"], row["p"]) for row in compared} == {("model", "0.0", "1.0")}
    assert "Models compared" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ({"preset": "tiny", "seed": 0}, {"preset": "tiny", "seed": 1}, ["", ""]),
        ({"preset": "tiny"}, {"preset": "bet"}, ["preset tiny", "preset bet"]),
        ({"gpt": None}, {"gpt": "runs/gpt"}, ["from scratch", "from runs/gpt"]),
        ({"batch": 1, "replay": 0}, {"batch": 4, "replay": 2}, ["batch 1, replay 0", "batch 4, replay 2"]),
        ({"fillers": None}, {"fillers": 5}, ["fillers none", "fillers 5"]),
    ],
)
def test_models_are_named_by_what_differs(
    first: dict[str, object], second: dict[str, object], names: list[str]
) -> None:
    assert model_names([first, second]) == names


def test_same_run_twice_is_refused(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, make_trials(exposures=1)) for name in ("one", "two")]
    with pytest.raises(ValueError, match=r"one and .*two hold the same run \(list list, version \w+, seed 0\)"):
        merge_trials(read_run_folders(runs))


def test_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing holds no trials\.csv"):
        read_run_folders([tmp_path / "nothing"])


def test_sweep_stands_for_its_cells(tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        make_run(tmp_path / "sweep" / "cells" / str(rate), make_trials(exposures=1), learning_rate=rate)
    assert [folder.path.name for folder in read_run_folders([tmp_path / "sweep"])] == ["0.1", "0.2"]


def test_maps_are_gains_at_places(tmp_path: Path) -> None:
    trials = make_trials(items=2, versions=("as_given",), exposures=1)
    make_maps(tmp_path / "as_given_0", trials)
    maps = read_maps(tmp_path / "as_given_0")
    assert maps is not None
    assert maps.studied == {row["studied"] for row in trials}
    for path, gain in zip(maps.paths, maps.gains, strict=True):
        assert np.array_equal(gain, np.repeat([3.0 if path in maps.studied else 0.0, 0.0], 8).reshape(4, 4))


def test_images_that_are_gone_are_not_shown(tmp_path: Path) -> None:
    trials = make_trials(items=2, versions=("as_given",), exposures=1)
    make_maps(tmp_path / "as_given_0", trials)
    maps = read_maps(tmp_path / "as_given_0")
    assert maps is not None
    assert show_maps(maps, tmp_path) is None
    assert show_items(items(trials), {"list": tmp_path}) is None


def test_run_without_maps_has_none(tmp_path: Path) -> None:
    assert read_maps(tmp_path) is None


def test_best_remembered_images_come_first(tmp_path: Path) -> None:
    trials = make_trials(items=2, versions=("as_given",), conditions=("novel",), exposures=1)
    for row in trials:
        row["correct"] = str(float(row["item"] == "novel/1"))
    folder = make_stimuli(tmp_path / "list", trials)
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (8, 8), colour).save(folder / "study" / f"novel_{number}.png")
    figure = show_items(items(trials), {"list": folder})
    assert figure is not None
    first_of_rows = [figure.axes[place].images[0].get_array()[0, 0].tolist() for place in (0, 8)]
    assert first_of_rows == [[0, 0, 255], [255, 0, 0]]


def test_columns_without_values_are_left_out() -> None:
    assert without_empty_columns([("model", "accuracy"), ("", "0.5")]) == (("accuracy",), ("0.5",))
