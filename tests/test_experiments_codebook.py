"""The codebook: every column has a unit; `test_experiments_pandas.py` compares it with tables."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from experiments.codebook import EXCEPTIONS, SCALES, Column, Scale, columns, scale_of, write_codebook
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
