"""Several runs merged into tables, plots and one page."""

import csv
import io
import re
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_files import beyond_axes, drawn_as, fonts_of, pdf_objects
from memory_runs import make_maps, make_run, make_stimuli, make_trials
from PIL import Image

from experiments.memory.images import read_maps, show_items, show_maps
from experiments.memory.merge import RunFolder, merge_trials, model_names, read_run_folders
from experiments.memory.options import MemoryOptions, ReportOptions
from experiments.memory.report import report_memory
from experiments.pages import without_empty_columns
from experiments.statistics.items import items
from experiments.statistics.trials import TrialRow, read_trials, write_trials
from gpt.config import PRESETS

EVERYTHING: dict[str, Any] = {
    "conditions": ("novel", "state"),
    "exposures": 3,
    "readouts": ("weights", "familiarity"),
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
    run = make_run(root / "run", trials, stimuli=stimuli)
    make_maps(run / "runs" / "as_given_0", [trial for trial in trials if trial.version == "as_given"])
    (run / "defects.csv").write_text("defect,file,reason\n0,test/novel_unseen/cat.png,the foil is also studied\n")
    columns = "item,condition,image,studied,completions,distance,best_of_2_distance,best_of_all_distance,identified"
    (run / "recall.csv").write_text(f"{columns}\nnovel/0,novel,a.png,yes,4,0.125,0.12,0.1,1.0\n")
    with drawn_as():
        return report_memory(ReportOptions((run,), root / "out"))


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    """What the report of two models says beside."""
    return io.StringIO()


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory, said: io.StringIO) -> Path:
    """The report of two runs that differ in their learning rates."""
    root = tmp_path_factory.mktemp("two")
    runs = [make_run(root / f"run{rate}", make_trials(exposures=1), learning_rate=rate) for rate in (0.001, 0.0003)]
    with redirect_stderr(said):
        return report_memory(ReportOptions(tuple(runs), root / "out"))


def test_report_writes_its_tables_and_plots(report: Path) -> None:
    tables = {"trials", "accuracy", "comparisons", "thresholds", "sensitivity", "items", "defects", "codebook"}
    plots = {"curve", "roc", "readouts", "changes", "forgetting", "remembered", "maps_1"}
    drawn = {f"{name}.{ending}" for name in plots for ending in ("png", "pdf", "svg")}
    expected = {f"{name}.csv" for name in tables} | drawn | {"report.html", "methods.txt"}
    assert {path.name for path in report.iterdir()} == expected


@pytest.mark.parametrize(
    "title",
    [
        "What it remembers",
        "Exposures to the level of people",
        "Readouts compared",
        "Changed images",
        "Forgetting",
        "Sensitivity",
        "Remembered best and least",
        "Where the memory lies",
        "Recall",
        "What people remember",
        "Left out as defective",
    ],
)
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
    run = make_run(tmp_path / "run", make_trials(exposures=1))
    (run / "defects.csv").write_text("defect,file,reason\n0,a.png,broken\n0,b.png,broken\n")
    report_memory(ReportOptions((run,), tmp_path / "out"))
    assert "Left out as defective: 2 files of list" in capsys.readouterr().out


def test_no_font_of_a_plot_is_missing_elsewhere(report: Path) -> None:
    for pdf in report.glob("*.pdf"):
        fonts = fonts_of(pdf)
        assert set(fonts) == {"Type0", "CIDFontType2"}
        assert pdf_objects(pdf).count("/FontFile2 ") == fonts.count("Type0")


def test_axes_contain_what_is_drawn(report: Path) -> None:
    assert {path.name: beyond_axes(path) for path in report.glob("*.svg") if beyond_axes(path)} == {}


def test_no_back_tick_is_on_the_page(report: Path) -> None:
    assert "`" not in (report / "report.html").read_text()


def test_images_are_in_no_folder_of_their_own(report: Path) -> None:
    assert not [path for path in report.rglob("*") if path.is_dir()]


def test_merged_trials_are_all_trials(report: Path) -> None:
    assert len(read_trials(report / "trials.csv")) == len(make_trials(**EVERYTHING))


def test_runs_of_one_model_are_pooled(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"run{seed}", make_trials(exposures=1, seeds=(seed,)), seed=seed) for seed in (0, 1)]
    report_memory(ReportOptions(tuple(runs), tmp_path / "out"))
    rows = [row for row in read_table(tmp_path / "out" / "accuracy.csv") if row["list"] == "pooled"]
    assert {(row["model"], row["trials"]) for row in rows} == {("tiny", "24")}


def test_models_are_kept_apart_and_compared(two_models: Path) -> None:
    models = {"learning rate 0.001", "learning rate 0.0003"}
    assert {row["model"] for row in read_table(two_models / "accuracy.csv")} == models
    compared = read_table(two_models / "comparisons.csv")
    assert {(row["respect"], row["difference"], row["p_images"], row["p_images_holm"]) for row in compared} == {
        ("model", "0.0", "1.0", "1.0")
    }
    assert "Models compared" in (two_models / "report.html").read_text()


def run_folder(options: MemoryOptions) -> RunFolder:
    return RunFolder(options.out, options, [])


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ({"seed": 0}, {"seed": 1}, ["tiny", "tiny"]),
        (PRESETS["tiny"].flat(), PRESETS["bet"].flat(), ["preset tiny", "preset bet"]),
        (
            PRESETS["tiny"].flat(),
            {"layers": 2, "heads": 2, "width": 64},
            ["preset tiny", "preset 2 layers, 2 heads, 64 wide"],
        ),
        (
            {"dropout": 0.1},
            {"dropout": 0.2},
            ["preset 6 layers, 4 heads, 256 wide, dropout 0.1", "preset 6 layers, 4 heads, 256 wide, dropout 0.2"],
        ),
        ({"gpt": None}, {"gpt": Path("runs/gpt")}, ["from scratch, preset tiny", "from runs/gpt"]),
        ({"batch": 1, "replay": 0}, {"batch": 4, "replay": 2}, ["batch 1, replay 0", "batch 4, replay 2"]),
        ({"fillers": None}, {"fillers": 5}, ["fillers none", "fillers 5"]),
        (
            PRESETS["tiny"].flat(),
            {"protocol": "igpt2022", "tokenizer": Path("palette"), "replay": 0},
            [
                "preset tiny, protocol none, tokenizer none",
                "preset 24 layers, 8 heads, 512 wide, variant legacy, bos False, protocol igpt2022, tokenizer palette",
            ],
        ),
        (
            {"protocol": "igpt2022", "tokenizer": Path("palette")},
            {"protocol": "igpt2022", "tokenizer": Path("palette"), "grad_clip": 1.0},
            ["grad clip 0.0", "grad clip 1.0"],
        ),
    ],
)
def test_models_are_named_by_what_differs(
    first: dict[str, object], second: dict[str, object], names: list[str]
) -> None:
    folders = [run_folder(MemoryOptions.of(stimuli=Path("list"), out=Path("run"), **own)) for own in (first, second)]
    assert model_names(folders) == names


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


def trials_alone(folder: Path, **options: Any) -> Path:
    """A folder that holds a trials.csv and nothing else."""
    write_trials(folder / "trials.csv", make_trials(exposures=1, **options))
    return folder


def test_trials_alone_can_be_reported(tmp_path: Path) -> None:
    report_memory(ReportOptions((trials_alone(tmp_path / "trials"),), tmp_path / "out"))
    assert {row["model"] for row in read_table(tmp_path / "out" / "accuracy.csv")} == {"trials"}
    assert "<h2>What it remembers</h2>" in (tmp_path / "out" / "report.html").read_text()


def test_trials_alone_have_the_name_of_their_folder_beside_others(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", make_trials(exposures=1))
    folders = read_run_folders([trials_alone(tmp_path / "other"), run])
    assert {trial.model for trial in merge_trials(folders)} == {"other", "run"}


def test_a_report_can_be_reported_again(two_models: Path, tmp_path: Path) -> None:
    again = report_memory(ReportOptions((two_models,), tmp_path / "again"))
    for name in ("trials.csv", "accuracy.csv", "comparisons.csv"):
        assert (again / name).read_bytes() == (two_models / name).read_bytes()


def test_the_page_is_announced_and_results_stand_alone_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report_memory(ReportOptions((trials_alone(tmp_path / "trials", conditions=("novel",)),), tmp_path / "out"))
    printed = capsys.readouterr()
    assert printed.err.startswith(f"runs         {tmp_path / 'trials'}\ntrials       ")
    assert printed.err.endswith(f"{tmp_path / 'out' / 'report.html'} is ready; next: open it in a browser\n")
    assert len(printed.out.splitlines()) == 1
    assert printed.out.startswith("novel: ")


def test_model_that_began_from_a_gpt_is_named_by_its_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", make_trials(exposures=1), gpt=Path("runs/pretrained"))
    assert {trial.model for trial in merge_trials(read_run_folders([run]))} == {"pretrained"}


def test_seed_is_a_number_or_nothing(report: Path) -> None:
    rows = read_table(report / "accuracy.csv")
    assert {(row["version"], row["seed"]) for row in rows} == {("pooled", ""), ("as_given", "0"), ("swapped", "0")}


def test_runs_that_are_not_pooled_are_named_by_their_options(two_models: Path, said: io.StringIO) -> None:
    assert "2, which differ in learning rate and are not pooled" in said.getvalue()


def told(tmp_path: Path, capsys: pytest.CaptureFixture[str], *trials: list[TrialRow]) -> str:
    """What a report on folders of trials says on stderr; the page has to say it, too."""
    for number, of_folder in enumerate(trials):
        write_trials(tmp_path / f"model{number}" / "trials.csv", of_folder)
    folders = tuple(tmp_path / f"model{number}" for number in range(len(trials)))
    report_memory(ReportOptions(folders, tmp_path / "out"))
    return capsys.readouterr().err


def test_models_tested_on_different_trials_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(tmp_path, capsys, make_trials(exposures=1), make_trials(exposures=1, seeds=(1,)))
    sentence = "model1 and model0 share no trial of the same list, version and seed, and are not compared"
    assert said.count(sentence) == 1
    assert sentence in (tmp_path / "out" / "report.html").read_text()


def test_one_trial_is_not_taken_for_a_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(tmp_path, capsys, make_trials(items=1, exposures=1))
    assert "model0: there is one trial in the condition state, from which nothing follows for other images." in said


def test_scores_that_tell_no_images_apart_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trials = [replace(trial, nll_studied=1.0, nll_foil=1.0, correct=0.5) for trial in make_trials(exposures=1)]
    said = told(tmp_path, capsys, trials)
    assert "model0: all 12 trials in the condition novel after 1 exposure are ties by weights" in said


def test_runs_of_different_length_are_pooled_as_far_as_both_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = [*make_trials(exposures=1), *make_trials(exposures=2, seeds=(1,))]
    said = told(tmp_path, capsys, trials)
    assert "model0: some runs were tested after 2 exposures, others not; they are pooled up to 1." in said


def test_single_run_is_said_to_tell_nothing_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path, capsys, make_trials(exposures=1, versions=("as_given",)))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "There is one run (the versions of a list under one seed" in page
    assert "the light one" not in page
    assert "images and runs</th>" not in page


def test_models_with_one_run_are_named_beside_those_with_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(tmp_path, capsys, make_trials(exposures=1), make_trials(exposures=1, seeds=(0, 1, 2)))
    assert "Of model0 there is one run" in (tmp_path / "out" / "report.html").read_text()


def test_runs_that_count_ties_otherwise_are_not_pooled(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"run{seed}", make_trials(exposures=1, seeds=(seed,)), seed=seed, ties=ties)
        for seed, ties in ((0, "half"), (1, "wrong"))
    ]
    assert {trial.model for trial in merge_trials(read_run_folders(runs))} == {"ties half", "ties wrong"}


def test_learner_at_chance_is_said_to_have_learned_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trials = [replace(trial, correct=float(trial.version == "swapped")) for trial in make_trials(exposures=1)]
    told(tmp_path, capsys, trials)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Not above guessing after study, by their intervals over images: novel, state." in page


def test_single_condition_at_chance_is_told_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trials = make_trials(exposures=1, conditions=("novel",))
    told(tmp_path, capsys, [replace(trial, correct=float(trial.version == "swapped")) for trial in trials])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "novel: 50.0 % correct after 1 exposure is no better than guessing (50 %): the test shows no memory." in page


def test_maps_are_gains_at_grid_positions(tmp_path: Path) -> None:
    trials = make_trials(items=2, versions=("as_given",), exposures=1)
    make_maps(tmp_path / "as_given_0", trials)
    maps = read_maps(tmp_path / "as_given_0")
    assert maps is not None
    assert maps.studied == {trial.studied for trial in trials}
    for path, gain in zip(maps.paths, maps.gains, strict=True):
        assert np.array_equal(gain, np.repeat([3.0 if path in maps.studied else 0.0, 0.0], 8).reshape(4, 4))


def test_those_who_cannot_see_images_and_maps_hear_what_was_remembered(report: Path) -> None:
    page = (report / "report.html").read_text()
    words = re.findall('<img src="[^"]*" alt="([^"]*)">', page)
    assert any("studied: +1.50 on average, from +0.00 to +3.00; " in each for each in words)
    assert any("; not studied: +0.00 on average, from +0.00 to +0.00." in each for each in words)
    assert any(re.search(r"novel, best: (study|test)/\S+\.png \([0-9]+ %, [+-]", each) for each in words)


def test_images_that_are_gone_are_not_shown(tmp_path: Path) -> None:
    trials = make_trials(items=2, versions=("as_given",), exposures=1)
    make_maps(tmp_path / "as_given_0", trials)
    maps = read_maps(tmp_path / "as_given_0")
    assert maps is not None
    assert show_maps(maps, tmp_path) is None
    assert show_items(items(trials), {"list": tmp_path}) is None


def test_run_without_maps_has_none(tmp_path: Path) -> None:
    assert read_maps(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"PK no archive", None])
def test_damaged_maps_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "maps.npz"
    if content is None:
        np.savez_compressed(path, paths=np.array(["a.png"]), before=np.zeros(4), after=np.zeros(4), grid=[1, 3, 3])
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"maps\.npz is damaged .*--overwrite"):
        read_maps(tmp_path)


def test_best_remembered_images_come_first(tmp_path: Path) -> None:
    trials = make_trials(items=2, versions=("as_given",), conditions=("novel",), exposures=1)
    trials = [replace(trial, correct=float(trial.item == "novel/1")) for trial in trials]
    folder = make_stimuli(tmp_path / "list", trials)
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (8, 8), colour).save(folder / "study" / f"novel_{number}.png")
    drawing = show_items(items(trials), {"list": folder})
    assert drawing is not None
    first_of_rows = [drawing.figure.axes[index].images[0].get_array()[0, 0].tolist() for index in (0, 8)]
    assert first_of_rows == [[0, 0, 255], [255, 0, 0]]


def test_columns_without_values_are_left_out() -> None:
    assert without_empty_columns([("model", "accuracy"), ("", "0.5")]) == (("accuracy",), ("0.5",))
