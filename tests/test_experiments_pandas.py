"""Tables of reports, as other programs read them and as their codebooks describe them."""

import csv
import keyword
import math
import re
from pathlib import Path

import pandas as pd
import pytest
from diversity_tables import make_study
from memory_runs import make_run, make_trials
from physics_runs import CONTROLS, SimulatedModel, knows
from physics_runs import make_run as make_physics_run

from experiments.codebook import Column
from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.physics.options import PhysicsReportOptions
from experiments.physics.reporting.report import report_physics
from storage.tables import read_rows

CONDITIONS = ("novel", "state")
R_RESERVED = {"if", "else", "repeat", "while", "function", "for", "next", "break", "in", "NULL", "NA", "NaN", "Inf"}
R_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._]*")


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two models, each of two seeds."""
    folder = tmp_path_factory.mktemp("memory")
    readouts = ("weights", "familiarity")
    trials = make_trials(items=3, exposures=2, conditions=CONDITIONS, seeds=(0, 1), readouts=readouts)
    runs = [make_run(folder / f"run{rate}", trials, learning_rate=rate) for rate in (0.001, 0.0003)]
    return report_memory(ReportOptions(tuple(runs), folder / "out"))


@pytest.fixture(scope="module")
def diversity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diversity")
    return report_diversity(DiversityReportOptions(tuple(make_study(folder / "runs", items=3)), folder / "out"))


@pytest.fixture(scope="module")
def physics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two checkpoints."""
    folder = tmp_path_factory.mktemp("physics")
    models = [SimulatedModel(f"{step}", knows, row={"step": step}) for step in (1, 2)]
    gpts = [f"gpt/checkpoints/{model.name}" for model in models]
    run = make_physics_run(folder / "run", *models, *CONTROLS, gpts=gpts)
    return report_physics(PhysicsReportOptions((run,), folder / "out"))


@pytest.fixture(params=["memory", "diversity", "physics"])
def report(request: pytest.FixtureRequest) -> Path:
    """The folder of a report."""
    return request.getfixturevalue(request.param)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_trials_group_by_model_condition_and_exposure(memory: Path) -> None:
    trials = pd.read_csv(memory / "trials.csv").query("readout == 'weights'")
    groups = trials.groupby(["model", "condition", "exposure"])["correct"].agg(["mean", "size"])
    assert len(groups) == 2 * len(CONDITIONS) * 3
    assert set(groups["size"]) == {3 * 2 * 2}
    assert groups["size"].sum() == len(trials)
    accuracy = pd.read_csv(memory / "accuracy.csv").query("version == 'pooled' and readout == 'weights'")
    pooled = accuracy.set_index(["model", "condition", "exposure"])["accuracy"]
    pd.testing.assert_series_equal(groups["mean"], pooled.sort_index(), check_names=False)


def test_items_group_by_model_condition_and_exposure(memory: Path) -> None:
    items = pd.read_csv(memory / "items.csv")
    groups = items.groupby(["model", "condition", "exposure"])["accuracy"].agg(["mean", "size"])
    assert len(groups) == 2 * len(CONDITIONS)
    assert groups["size"].sum() == len(items)


def test_columns_of_trials_have_the_types_that_they_should(memory: Path) -> None:
    trials = pd.read_csv(memory / "trials.csv")
    for name in ("seed", "exposure", "interference"):
        assert pd.api.types.is_integer_dtype(trials[name])
    for name in ("nll_studied", "nll_foil", "correct"):
        assert pd.api.types.is_float_dtype(trials[name])


def test_items_of_continuations_group_by_model_and_group(diversity: Path) -> None:
    items = pd.read_csv(diversity / "items.csv")
    groups = (
        items[items["continuation"] == "model"].groupby(["model", "group", "encoding", "given"])["retrieved"].mean()
    )
    assert len(groups) == 5 * 2 * 2 * 3
    assert groups.between(0, 1).all()


def test_every_table_is_plain_text_with_names_that_r_and_python_take(report: Path) -> None:
    for path in report.glob("*.csv"):
        content = path.read_bytes()
        assert not content.startswith(b"\xef\xbb\xbf")
        names = content.decode("utf-8").splitlines()[0].split(",")
        assert len(set(names)) == len(names)
        assert [name for name in names if not R_NAME.fullmatch(name) or name in R_RESERVED] == []
        assert [name for name in names if keyword.iskeyword(name)] == []


def test_the_codebook_describes_every_column_of_every_table(report: Path) -> None:
    described: dict[str, list[str]] = {}
    for row in read_rows(report / "codebook.csv", Column):
        described.setdefault(row.table, []).append(row.column)
    assert described == {
        path.name: path.read_text(encoding="utf-8").splitlines()[0].split(",") for path in report.glob("*.csv")
    }


def test_values_are_of_the_type_and_in_the_range_that_it_says(report: Path) -> None:
    for row in read_rows(report / "codebook.csv", Column):
        if row.table == "codebook.csv":
            continue
        values = [line[row.column] for line in read(report / row.table)]
        assert "empty" in row.type or row.type.startswith("text") or all(values), row
        for value in filter(None, values):
            _check(value, row)


def _check(value: str, row: Column) -> None:
    if row.type.startswith("whole number"):
        low, high = _ends(row.range)
        assert low <= int(value) <= high, row
    elif row.type.startswith("number") and row.column.endswith("_token"):
        assert float(value) >= 0, row  # the distances that the tests simulate are no shares
    elif row.type.startswith("number"):
        low, high = _ends(row.range)
        assert low - 1e-9 <= float(value) <= high + 1e-9, row
    elif row.type.startswith("True"):
        assert value in ("True", "False"), row
    elif row.range:
        assert value in row.range.split(", "), row


def _ends(text: str) -> tuple[float, float]:
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", text)]
    return (-math.inf, math.inf) if not numbers else (numbers[0], numbers[1] if " to " in text else math.inf)
