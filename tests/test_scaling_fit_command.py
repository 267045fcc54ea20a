"""`secondsight scaling fit`, from a table that the tests make of a known law."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from figure_files import drawn_as

import secondsight
from experiments.scaling.fit_page import held_out_in_words
from experiments.scaling.fit_tables import TABLES, FitRow, HeldOutRow, NewcomerRow, OptimumRow, ResidualRow
from experiments.scaling.laws import Law
from storage.tables import read_rows, write_table

LAW = Law(1.8, 480.0, 2100.0, 0.35, 0.37)
AT = 1e21
FIGURES = ("loss", "isoflop", "grid_bias", "optimum", "residuals", "newcomer")


def _make_table(path: Path) -> Path:
    """Write runs of 4 budgets with 6 sizes, one of which diverged and one of which is far off."""
    chance = np.random.default_rng(0)
    rows = []
    for compute in (1e17, 1e18, 1e19, 1e20):
        for factor in np.geomspace(1 / 5, 5, 6):
            size = round(float(LAW.optimum(compute)[0]) * factor)
            loss = float(LAW.loss(size, compute / 6 / size)) * np.exp(chance.normal(0, 0.001))
            embedding = 64 * round(size**0.5)
            rows.append({"params": size, "non_embedding_params": size - embedding, "flop": compute, "loss": loss})
    rows[2]["loss"] = "nan"
    rows[5]["loss"] = 9.5
    write_table(path, rows, list(rows[0]))
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    table = _make_table(folder / "runs.csv")
    words = ["scaling", "fit", str(table), "--leave-out-highest", "1", "--at", str(AT), "--draws", "200"]
    with drawn_as():
        secondsight.main([*words, "--out", str(folder / "out")])
    return folder / "out"


def test_all_tables_figures_and_the_page_are_there(done: Path) -> None:
    names = {*TABLES, "codebook.csv", "methods.txt", "page.html", "config.json", "environment.json"}
    names |= {f"{name}.{ending}" for name in FIGURES for ending in ("png", "pdf", "svg")}
    assert {path.name for path in done.iterdir()} == names


def test_the_law_is_found_with_its_interval(done: Path) -> None:
    rows = {row.parameter: row for row in read_rows(done / "fit.csv", FitRow) if row.method == "law"}
    for name in ("alpha", "beta", "E"):
        row = rows[name]
        assert row.low is not None
        assert row.high is not None
        truth = LAW.floor if name == "E" else getattr(LAW, name)
        assert row.low <= truth <= row.high
        assert row.low < row.value < row.high


def test_the_best_size_is_given_at_the_budgets_asked_for(done: Path) -> None:
    rows = read_rows(done / "optimum.csv", OptimumRow)
    assert {row.method for row in rows} == {"law", "parabola", "akima", "envelope"}
    (of_law,) = (row for row in rows if row.method == "law")
    assert of_law.beyond == pytest.approx(10)
    assert of_law.parameters == pytest.approx(float(LAW.optimum(AT)[0]), rel=0.1)
    assert 6 * of_law.parameters * of_law.data == pytest.approx(AT)


def test_the_largest_budget_is_predicted_from_the_smaller_ones(done: Path) -> None:
    rows = read_rows(done / "heldout.csv", HeldOutRow)
    assert len(rows) == 6
    assert all(abs(row.error) < 0.02 for row in rows)


def test_the_error_of_a_single_run_is_no_average() -> None:
    one = HeldOutRow("largest", 1e20, 1e9, 1e10, 2.0, 2.02, None, None, 0.01)
    said = held_out_in_words([one])
    assert said == "Held out, the largest budget (1e+20 FLOP) is predicted with an error of +1.00 %, in its one run."
    assert "+1.00 % on average" in held_out_in_words([one, one])


def test_rows_that_were_left_out_are_marked_and_kept(done: Path) -> None:
    rows = read_rows(done / "residuals.csv", ResidualRow)
    assert len(rows) == 24
    assert [(index, row.left_out) for index, row in enumerate(rows) if row.left_out] == [
        (2, "diverged"),
        (5, "highest loss 1 of 1"),
    ]
    assert rows[2].loss is None


def test_what_a_newcomer_would_get_stands_beside_the_fit(done: Path) -> None:
    fits = {row.fitted: row for row in read_rows(done / "newcomer.csv", NewcomerRow)}
    assert fits["one start, mean over runs"].objective > fits["as above"].objective
    assert "parameters without embeddings" in fits
    assert fits["with the rows that were left out"].alpha != fits["as above"].alpha


def test_the_page_says_what_was_left_out_and_how_the_search_went(done: Path) -> None:
    page = (done / "page.html").read_text(encoding="utf-8")
    assert "1 run diverged" in page
    assert "of 4,500 starts" in page
    assert "Fitted without the largest budget" in page
    assert "Held out, the largest budget" in page


def test_the_methods_name_what_was_done(done: Path) -> None:
    said = " ".join((done / "methods.txt").read_text(encoding="utf-8").split())
    assert "22 runs (2 left out)" in said
    assert "expanded percentiles" in said


def test_every_line_of_a_figure_stands_in_a_table(done: Path) -> None:
    with (done / "lines.csv").open(newline="", encoding="utf-8") as file:
        figures = {row["figure"] for row in csv.DictReader(file)}
    assert figures == {"loss", "isoflop", "optimum", "newcomer"}


def _make_ladder(path: Path) -> Path:
    """Write a small ladder: three budgets of four sizes on two trunks each, that saw few items again and again."""
    chance = np.random.default_rng(1)
    rows = []
    for size in (115_000, 180_000, 290_000, 530_000):
        for seed in (0, 1):
            luck = chance.normal(0, 0.02)
            for compute in (2.8e12, 4.2e12, 6.3e12):
                loss = 3.2 + 1100 / size**0.69 + 22_000 / (compute / 6 / size) ** 0.7 + luck
                row = {"params": size, "flop": compute, "loss": loss, "loss_unit": "nats per token", "seed": seed}
                rows.append(row | {"unique_data": 1.6e6, "data": compute / 6 / size, "source": f"{size} {seed}"})
    write_table(path, rows, list(rows[0]))
    return path


@pytest.mark.filterwarnings("error")
def test_few_trainings_give_open_intervals_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = _make_ladder(tmp_path / "runs.csv")
    secondsight.main(
        ["scaling", "fit", str(table), "--data-unit", "tokens", "--draws", "200", "--out", str(tmp_path / "out")]
    )
    ends = [end for row in read_rows(tmp_path / "out" / "fit.csv", FitRow) for end in (row.low, row.high)]
    assert max(abs(end) for end in ends if end is not None) < 1e30
    assert "Intervals rest on 8 trainings of their own, hardly more than the 6 parameters" in capsys.readouterr().out


def test_a_table_without_units_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "runs.csv", [{"parameters": 1, "compute": 1, "loss": 1}], ["parameters", "compute", "loss"])
    with pytest.raises(SystemExit):
        secondsight.main(["scaling", "fit", str(tmp_path / "runs.csv"), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert "does not say what compute is in: add --compute-unit" in said
    assert said.count("\n") == 1


def test_a_budget_asked_for_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        secondsight.main(["scaling", "fit", "runs.csv", "--at", "1e20", "1e20", "--out", str(tmp_path)])
    assert "--at 1e+20 1e+20 names a budget twice" in capsys.readouterr().err
