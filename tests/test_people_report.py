"""People beside models, and people alone, in the report on recognition memory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from figure_files import beyond_axes, drawn_as
from memory_runs import make_trials
from people_responses import CONDITIONS, make_choices, make_repeats

from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.people.accuracy import measured, people_accuracies
from experiments.people.data_options import PeopleOptions
from experiments.people.table import Response, read_responses, write_responses
from experiments.statistics.outcomes import collect
from experiments.statistics.signal_detection import equal_variance_hits, sensitivities
from experiments.statistics.thresholds import thresholds
from experiments.statistics.trials import write_trials
from storage.tables import read_table

TRIALS = make_trials(items=10, exposures=6, conditions=CONDITIONS)
TABLES = ("responses", "people", "participants", "excluded", "people_lags")


def report(folder: Path, rows: Sequence[Response], runs: bool = True) -> Path:
    """The report of one model, or none, beside these responses."""
    write_responses(folder / "people.csv", rows)
    write_trials(folder / "model" / "trials.csv", TRIALS)
    data = PeopleOptions(people=(folder / "people.csv",))
    with drawn_as():
        return report_memory(ReportOptions((folder / "model",) if runs else (), folder / "out", data))


@pytest.fixture(scope="module")
def rows() -> list[Response]:
    """Five participants, the last of whom is too fast."""
    made = make_choices(0.8, participants=5) + make_repeats(participants=5)
    return [replace(row, reaction_time=0.1) if (row.participant, row.task) == ("p4", "2afc") else row for row in made]


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, rows: list[Response]) -> Path:
    """The report of a model beside people."""
    return report(tmp_path_factory.mktemp("beside"), rows)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, rows: list[Response]) -> Path:
    """The report of people alone."""
    return report(tmp_path_factory.mktemp("alone"), rows, runs=False)


def test_people_alone_have_a_report(alone: Path) -> None:
    drawn = {f"{name}.{ending}" for name in ("people", "people_lags") for ending in ("png", "pdf", "svg")}
    written = {f"{name}.csv" for name in (*TABLES, "codebook")} | drawn | {"report.html", "methods.txt"}
    assert {path.name for path in alone.iterdir()} == written


def test_people_beside_models_have_their_tables_too(beside: Path) -> None:
    assert {f"{name}.csv" for name in (*TABLES, "accuracy", "thresholds")} <= {path.name for path in beside.iterdir()}


@pytest.mark.parametrize("title", ["Your participants", "Repeats detected", "Who counts", "Methods"])
def test_pages_have_a_section(alone: Path, beside: Path, title: str) -> None:
    for folder in (alone, beside):
        assert f"<h2>{title}</h2>" in (folder / "report.html").read_text()


def test_who_is_left_out_is_listed_with_the_reason(beside: Path) -> None:
    reason = "100 % of the choices took less than 0.2 s, more than 10 %"
    assert [(row["participant"], row["reason"]) for row in read_table(beside / "excluded.csv")] == [("p4", reason)]
    assert {row["participant"]: row["excluded"] for row in read_table(beside / "participants.csv")}["p4"] == reason
    assert reason in (beside / "report.html").read_text()


def test_responses_that_count_can_be_reported_again(beside: Path, rows: list[Response]) -> None:
    counted = {row for row in rows if row.participant != "p4"}
    assert set(read_responses(beside / "responses.csv").rows) == counted


def test_measured_people_stand_in_the_place_of_published_ones(beside: Path) -> None:
    people = {row["condition"]: row for row in read_table(beside / "people.csv") if row["list"] == "pooled"}
    for name in ("thresholds", "sensitivity"):
        for row in read_table(beside / f"{name}.csv"):
            assert row["people"] == people[row["condition"]]["accuracy"]
    for row in read_table(beside / "thresholds.csv"):
        of_people = people[row["condition"]]
        assert (row["people_low"], row["people_high"]) == (of_people["low"], of_people["high"])
    page = (beside / "report.html").read_text()
    assert "The grey band is what your participants (4 of them) reach after one exposure" in page
    assert "± s.e.m., Brady" not in page


def test_people_have_rows_in_the_table_of_sensitivity(beside: Path) -> None:
    section = (beside / "report.html").read_text().partition("<h2>Sensitivity</h2>")[2].partition("<h2>")[0]
    assert section.count("<td>people</td>") == 3


def test_axes_contain_people(beside: Path, alone: Path) -> None:
    for folder in (beside, alone):
        assert {path.name: beyond_axes(path) for path in folder.glob("*.svg") if beyond_axes(path)} == {}


def test_methods_name_the_rules(beside: Path) -> None:
    text = " ".join((beside / "methods.txt").read_text().split())
    assert "4 participants took the test on list." in text
    assert "1 participant did not meet them." in text


def test_accuracies_are_printed(tmp_path: Path, rows: list[Response], capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path, [row for row in rows if row.condition == "novel"], runs=False)
    printed = capsys.readouterr()
    assert printed.out.startswith("people, novel: ")
    assert printed.out.endswith("over images and people], 4 participants\n")
    assert "people       4 participants, 40 responses; left out: 1 participant and 0 single responses" in printed.err


def test_repeats_alone_can_be_reported(tmp_path: Path) -> None:
    out = report(tmp_path, make_repeats(task="continuous"), runs=False)
    assert not (out / "people.png").exists()
    assert len(read_table(out / "people_lags.csv")) == 4


def test_how_a_table_was_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_responses(tmp_path / "people.csv", make_choices(participants=2))
    text = (tmp_path / "people.csv").read_text().replace(",", ";").replace(".", ",")
    (tmp_path / "people.csv").write_text(f"\ufeff{text}")
    out = report_memory(ReportOptions((), tmp_path / "out", PeopleOptions(people=(tmp_path / "people.csv",))))
    for told in (capsys.readouterr().err, (out / "report.html").read_text()):
        for said in ("a byte order mark was skipped", "cells separated by semicolons", "decimal commas read as points"):
            assert said in told


def test_names_of_others_are_inert(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    rows = [
        replace(row, participant=f"{hostile}{row.participant}", condition=f"{row.condition}$x_1$", list=hostile)
        for row in make_choices(participants=2)
    ]
    page = (report(tmp_path, rows, runs=False) / "report.html").read_text()
    assert hostile not in page
    assert "&lt;script&gt;alert(1)" in page


def test_nothing_to_report_is_refused() -> None:
    with pytest.raises(ValueError, match="there is nothing to report: give run folders, responses with --people"):
        ReportOptions((), Path("out"))


def test_interval_of_people_widens_that_of_exposures() -> None:
    outcomes = collect(TRIALS)
    people = measured(people_accuracies(make_choices(0.5, participants=6, items=40)), "people.csv")
    exact = {name: replace(result, low=None, high=None) for name, result in people.items()}
    for wide, narrow in zip(thresholds(outcomes, people), thresholds(outcomes, exact), strict=True):
        assert (wide.people, wide.fitted) == (narrow.people, narrow.fitted)
        assert wide.low_images is not None
        assert narrow.low_images is not None
        assert wide.low_images <= narrow.low_images
        assert (wide.high_images or np.inf) >= (narrow.high_images or np.inf)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_people_who_guess_or_know_all_are_no_error(share: float) -> None:
    people = measured(people_accuracies(make_choices(share, participants=3)), "people.csv")
    lines = thresholds(collect(TRIALS), people)
    assert len(lines) == 3
    assert all(line.fitted is None or line.fitted >= 1 for line in lines)
    assert all(
        line.people == people[line.condition].accuracy for line in sensitivities(TRIALS, collect(TRIALS), people)
    )


def test_area_under_the_roc_of_people_is_their_accuracy() -> None:
    rates = np.linspace(0, 1, 20_001)
    assert np.trapezoid(equal_variance_hits(rates, 0.88), rates) == pytest.approx(0.88, abs=1e-3)
