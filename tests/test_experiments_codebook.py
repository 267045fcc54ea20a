"""The codebook: what it says of a column is what the tables hold."""

from __future__ import annotations

import csv
import math
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from diversity_tables import make_study
from memory_runs import make_run, make_trials
from physics_runs import CONTROLS, SimulatedModel, knows
from physics_runs import make_run as make_physics_run

from experiments.codebook import EXCEPTIONS, SCALES, Column, Scale, columns, scale_of, write_codebook
from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.physics.options import PhysicsReportOptions
from experiments.physics.reporting.report import report_physics
from storage.tables import read_rows

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "_extensions"))
from written_files import WRITTEN

KINDS = sorted(
    {file.fields for files in WRITTEN.values() for file in files if file.fields is not None},
    key=lambda kind: kind.__name__,
)


@dataclass(frozen=True)
class Row:
    """Of a table of the tests."""

    accuracy: float
    """Share of something."""
    mystery: int | None = None
    """Nobody knows."""


def memory_report(folder: Path) -> Path:
    trials = make_trials(exposures=1, readouts=("weights", "familiarity"))
    runs = [make_run(folder / f"run{rate}", trials, learning_rate=rate) for rate in (0.001, 0.0003)]
    return report_memory(ReportOptions(tuple(runs), folder / "out"))


def diversity_report(folder: Path) -> Path:
    return report_diversity(DiversityReportOptions(tuple(make_study(folder / "runs", items=2)), folder / "out"))


def physics_report(folder: Path) -> Path:
    models = [SimulatedModel(f"{step}", knows, row={"step": step}) for step in (1, 2)]
    gpts = [f"gpt/checkpoints/{model.name}" for model in models]
    run = make_physics_run(folder / "run", *models, *CONTROLS, gpts=gpts)
    return report_physics(PhysicsReportOptions((run,), folder / "out"))


REPORTS = {"memory": memory_report, "diversity": diversity_report, "physics": physics_report}


@pytest.fixture(scope="module", params=REPORTS.values(), ids=REPORTS)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report."""
    return request.param(tmp_path_factory.mktemp("report"))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_column_of_numbers_has_a_unit(kind: type) -> None:
    described = list(columns("table.csv", kind))
    assert [column.column for column in described] == [field.name for field in fields(kind)]
    numbers = [column for column in described if "number" in column.type]
    assert [column.column for column in numbers if not column.unit] == []
    assert [column.column for column in described if not column.meaning] == []


def test_a_unit_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"column mystery of Row has no unit: add its name to SCALES"):
        list(columns("table.csv", Row))


def test_every_exception_is_of_a_column_that_there_is() -> None:
    names = {kind.__name__: [field.name for field in fields(kind)] for kind in KINDS}
    unused = [
        (owner, pattern)
        for owner, pattern, _ in EXCEPTIONS
        if not any(re.fullmatch(pattern, name) for name in names.get(owner, []))
    ]
    assert unused == []


def test_units_agree_with_what_the_sentences_say() -> None:
    words = {"nats": "nats", "bits": "bits", "decibel": "dB", "seconds": "seconds", "degrees": "degrees"}
    wrong = [
        f"{kind.__name__}.{column.column}"
        for kind in KINDS
        for column in columns("table.csv", kind)
        for word, unit in words.items()
        if column.unit and re.search(rf"\b{word}\b", column.meaning, re.IGNORECASE) and unit not in column.unit
    ]
    assert wrong == []


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


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (Scale("share", 0, 1), "0 to 1"),
        (Scale("passes", 0), "at least 0"),
        (Scale("of debts", high=0), "at most 0"),
        (Scale("nats"), ""),
    ],
)
def test_ranges_are_said_in_words(scale: Scale, words: str) -> None:
    assert scale.range == words


def test_the_first_rule_that_fits_a_name_holds() -> None:
    assert scale_of(Row, "accuracy") == SCALES[0][1]


def test_the_codebook_describes_itself(tmp_path: Path) -> None:
    write_codebook(tmp_path, {})
    assert {row.table for row in read_rows(tmp_path / "codebook.csv", Column)} == {"codebook.csv"}
