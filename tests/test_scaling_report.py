"""`secondsight scaling report`: everything of a ladder on one page, every figure from its table."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from figure_files import drawn_as
from hypothesis import given
from hypothesis import strategies as st
from scaling_ladders import diverged, law_rows, make_ladder
from scaling_points import log_linear, write_points

import secondsight
from experiments.scaling import extrapolate, fit_tables, tasks
from experiments.scaling.extrapolate import draw_extrapolation, read_extrapolation
from experiments.scaling.measured_tables import UnmeasuredRow
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.rate_table import TriedRow
from experiments.scaling.report import report_scaling
from experiments.scaling.report_left_out import MOST_LISTED, LeftOutRow, left_out_section
from experiments.scaling.report_options import ScalingReportOptions
from experiments.scaling.report_page import as_sentence, law_of
from experiments.scaling.report_parts import not_in_law, read_parts
from storage.run_folder import read_options
from storage.tables import read_rows, read_table, write_rows, write_table

GROUP = "<script>top.executed = 1</script>\u202e $x"
FIGURES = (
    "ladder/losses",
    "law/loss",
    "law/isoflop",
    "law/grid_bias",
    "law/optimum",
    "law/residuals",
    "law/newcomer",
    "extrapolation/extrapolation",
    "tasks/tasks_1",
)
LOST = "width-256_all_seed-0_flop-1e+17"


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder with a cell that diverged, and tasks that were measured of its cells."""
    rows = [diverged(row) if row.run == LOST else row for row in law_rows()]
    folder = make_ladder(tmp_path_factory.mktemp("ladder") / "run", rows)
    measured = [
        {"task": GROUP, "flop": budget, "seed": seed, "accuracy": 0.5 + 0.1 * step}
        for step, budget in enumerate((1e17, 1e18, 1e19))
        for seed in (0, 1)
    ]
    write_table(folder / "tasks.csv", measured, list(measured[0]))
    return folder


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curve that was carried on, of a group with a hostile name."""
    folder = tmp_path_factory.mktemp("carried")
    table = write_points(folder / "curve.csv", log_linear, group=GROUP)
    words = ["scaling", "extrapolate", str(table), "--target", ".9", "--draws", "200"]
    secondsight.main([*words, "--out", str(folder / "out")])
    return folder / "out"


@pytest.fixture(scope="module")
def report(ladder: Path, carried: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "out"
    with drawn_as():
        secondsight.main(["scaling", "report", str(ladder), str(carried), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "index.html").read_text(encoding="utf-8")


# What there is


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_there_for_the_screen_and_for_papers(report: Path, figure: str) -> None:
    for ending in ("png", "pdf", "svg"):
        assert (report / f"{figure}.{ending}").stat().st_size > 1000


def test_the_page_shows_all_figures_and_loads_nothing(page: str) -> None:
    assert len(re.findall('<img src="data:image/png;base64,', page)) == len(FIGURES)
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []


def test_the_figure_of_a_curve_is_that_of_its_own_folder(report: Path, carried: Path, tmp_path: Path) -> None:
    drawn = (report / "extrapolation" / "extrapolation.png").read_bytes()
    assert drawn == (carried / "extrapolation.png").read_bytes()
    for name in extrapolate.TABLES:
        shutil.copy(report / "extrapolation" / name, tmp_path / name)
    options = read_options(carried, ScalingExtrapolateOptions)
    draw_extrapolation(tmp_path, read_extrapolation(tmp_path), options)
    assert (tmp_path / "extrapolation.png").read_bytes() == drawn


def test_one_codebook_knows_every_column(report: Path) -> None:
    described = {(row["table"], row["column"]) for row in read_table(report / "codebook.csv")}
    tables = [report / "left_out.csv", report / "ladder" / "runs.csv"]
    tables += [report / "law" / name for name in fit_tables.TABLES]
    tables += [report / "extrapolation" / name for name in extrapolate.TABLES]
    tables += [report / "tasks" / name for name in tasks.TABLES]
    for table in tables:
        with table.open(encoding="utf-8") as file:
            names = file.readline().strip().split(",")
        assert {(str(table.relative_to(report)), name) for name in names} <= described


def test_methods_of_all_parts_are_joined(report: Path) -> None:
    said = " ".join((report / "methods.txt").read_text(encoding="utf-8").split())
    assert "GPTs of four sizes were trained. Budgets were three." in said
    assert "The law L = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022) was fitted to 11 runs" in said
    assert "Families of functions" in said
    assert "classified by its curve over log compute" in said


def test_what_was_made_for_the_report_is_said(page: str) -> None:
    assert "was fitted for this report, with default options." in page
    assert "were classified for this report, with default options." in page


def test_what_diverged_is_listed_once(report: Path, page: str) -> None:
    rows = [row for row in read_rows(report / "left_out.csv", LeftOutRow) if row.name == LOST]
    assert [row.reason for row in rows] == ["diverged: loss not finite"]
    assert f"<td>{LOST}</td><td>diverged: loss not finite</td>" in page
    assert "12 cells have ended, 1 of which diverged." in page


def test_names_are_text(page: str) -> None:
    assert "<script>" not in page
    assert "&lt;script&gt;top.executed = 1&lt;/script&gt;\\u202e $x" in page


# Which law


def test_a_law_in_the_ladder_is_taken_while_it_knows_all_trainings(
    ladder: Path, report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = make_ladder(tmp_path / "ladder", read_parts([ladder]).ladders[0].rows)
    shutil.copytree(report / "law", copied / "law")
    out = report_scaling(ScalingReportOptions((copied,), tmp_path / "out"))
    assert "fitted for this report" not in capsys.readouterr().out
    for figure in (report / "law").glob("*.png"):  # drawn from the tables alone
        assert (out / "law" / figure.name).read_bytes() == figure.read_bytes()
    assert read_parts([out / "law"]).laws[0].tables == read_parts([report / "law"]).laws[0].tables


def test_trainings_that_ended_after_the_law_are_known(ladder: Path, report: Path) -> None:
    parts = read_parts([ladder, report / "law"])
    assert not_in_law(parts.ladders[0], parts.laws[0]) == []
    later = replace(parts.ladders[0].rows[0], run="later")
    grown = replace(parts.ladders[0], rows=[*parts.ladders[0].rows, later])
    assert not_in_law(grown, parts.laws[0]) == ["later"]
    assert law_of(grown, parts.laws) is parts.laws[0]
    assert law_of(replace(grown, folder=Path("elsewhere")), parts.laws) is None


def test_a_law_is_not_that_of_another_ladder_whose_cells_have_the_same_names(ladder: Path, report: Path) -> None:
    parts = read_parts([ladder, report / "law"])
    moved = replace(parts.ladders[0], folder=Path("elsewhere"))
    assert law_of(moved, parts.laws) is parts.laws[0]
    other = replace(moved, rows=[replace(row, loss=row.loss + 0.1) for row in moved.rows])
    assert [row.run for row in other.rows] == [row.run for row in moved.rows]
    assert law_of(other, parts.laws) is None


def test_of_one_training_the_page_shows_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ladder = make_ladder(tmp_path / "ladder", law_rows()[:1])
    (ladder / "cells" / "begun").mkdir(parents=True)
    (ladder / "cells" / "begun" / "config.json").write_text("{}")
    (ladder / "methods.txt").unlink()
    out = report_scaling(ScalingReportOptions((ladder,), tmp_path / "out"))
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "all 1 runs have one budget, 1e+17 FLOP: a law needs runs of several." in page
    assert "begun</td><td>has not ended yet" in page
    assert "as it has no methods.txt; that of a ladder is written at its end" in page
    assert (out / "ladder" / "losses.png").exists()
    assert not (out / "law").exists()
    assert "No law could be fitted to" in capsys.readouterr().out


# What is refused


def test_laws_of_other_units_are_refused(report: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(report / "law", other)
    rows = fit_tables.read_law(other).residuals
    per_pixel = [replace(row, loss_unit="bits per pixel") for row in rows]
    write_rows(other / "residuals.csv", per_pixel, fit_tables.ResidualRow)
    with pytest.raises(ValueError, match=r"a law of nats per token and tokens, .* one of bits per pixel and tokens"):
        report_scaling(ScalingReportOptions((report / "law", other), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_ladder_without_an_end_is_refused(tmp_path: Path) -> None:
    ladder = make_ladder(tmp_path / "ladder", [])
    with pytest.raises(ValueError, match=r"no training of .* has ended yet: its index\.html tells how far it is"):
        report_scaling(ScalingReportOptions((ladder,), tmp_path / "out"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "nothing holds nothing that can be reported: give folders that `secondsight scaling run`,"),
        (("plan",), "plan holds a run of `scaling plan`: give folders"),
        (("ladder", "ladder/../ladder"), "ladder is named twice"),
        (("out/law",), "out/law lies in --out out, which is written over: choose another --out"),
        (("law",), "law holds no fit.csv: `scaling fit` has no results there yet"),
        ((), "name at least one folder of `secondsight scaling run`, `fit`"),
    ],
)
def test_a_folder_that_cannot_be_reported_is_refused(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, command in (("plan", "plan"), ("ladder", "run"), ("out/law", "fit"), ("law", "fit")):
        Path(name).mkdir(parents=True)
        Path(name, "config.json").write_text(f'{{"command": "scaling {command}"}}')
    Path("ladder/runs.csv").touch()
    Path("nothing").mkdir()
    with pytest.raises(SystemExit):
        secondsight.main(["scaling", "report", *words, "--out", "out"])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fit.csv", "residuals.csv", "optimum.csv", "lines.csv"])
def test_a_damaged_law_is_refused_with_the_name_of_its_table(report: Path, tmp_path: Path, name: str) -> None:
    law = tmp_path / "law"
    shutil.copytree(report / "law", law)
    lines = (law / name).read_text(encoding="utf-8").splitlines()
    (law / name).write_text("\n".join([lines[0], lines[1].replace(",", ",?", 3)]), encoding="utf-8")
    with pytest.raises(ValueError, match=name):
        read_parts([law])


def test_tables_without_rows_are_damaged(report: Path, tmp_path: Path) -> None:
    law = tmp_path / "law"
    shutil.copytree(report / "law", law)
    write_rows(law / "residuals.csv", [], fit_tables.ResidualRow)
    with pytest.raises(ValueError, match=r"residuals\.csv is damaged: it has no rows"):
        read_parts([law])


# Words


@given(st.text())
def test_a_sentence_has_one_end(reason: str) -> None:
    assert as_sentence(reason)[-1:] in (".", "?", "!")
    assert as_sentence(as_sentence(reason)) == as_sentence(reason)


def test_a_page_lists_so_many_rows_and_counts_the_others() -> None:
    section = left_out_section([LeftOutRow("a", str(number), "why") for number in range(MOST_LISTED + 3)])
    assert len(section.table) == 1 + MOST_LISTED
    assert "3 further rows are in left_out.csv" in section.text


# Of ladders with rates and tasks


def test_rates_that_were_tried_and_tasks_that_were_not_measured_are_reported(tmp_path: Path) -> None:
    trial = TriedRow(
        run="width-64_rate-0.1", size="width-64", learning_rate=0.1, rate_at_width=64, layers=4, heads=2, width=64,
        parameters=9, seed=0, steps=100, decay_steps=20, batch=8, data=800, compute=1e15, loss=None,
        loss_unit="nats per token", bits_per_pixel=None, diverged=True, why_diverged="loss not finite", chosen=False,
        edge="",
    )  # fmt: skip
    chosen = replace(trial, run="b", learning_rate=0.01, loss=2.5, diverged=False, why_diverged="", chosen=True)
    folder = make_ladder(tmp_path / "run", law_rows()[:1])
    write_rows(folder / "rates.csv", [replace(chosen, edge="lowest"), trial], TriedRow)
    write_rows(folder / "unmeasured.csv", [UnmeasuredRow(LOST, "memory", "it failed: no room")], UnmeasuredRow)
    out = report_scaling(ScalingReportOptions((folder,), tmp_path / "out"))
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<td>width-64</td><td>0.01</td><td>100</td><td>2.5</td><td>trained at this one</td><td>lowest</td>" in page
    assert [row.learning_rate for row in read_rows(out / "ladder" / "rates.csv", TriedRow)] == [0.01, 0.1]
    assert {row["table"] for row in read_table(out / "codebook.csv", ("table",))} >= {"ladder/rates.csv"}
    assert {(row.name, row.reason) for row in read_rows(out / "left_out.csv", LeftOutRow)} == {
        (trial.run, "trial of a learning rate, diverged: loss not finite"),
        (f"{LOST}, memory", "not measured: it failed: no room"),
    }
