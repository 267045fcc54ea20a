"""Tables read back as they were written, and say what is wrong with them."""

from __future__ import annotations

import csv
import math
import tempfile
from dataclasses import asdict, dataclass, make_dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.tables import read_rows, read_table, write_rows, write_table

TEXT = st.text(st.characters(codec="utf-8"))
KINDS = ("image", "clip")


@dataclass(frozen=True, kw_only=True)
class Base:
    name: str


@dataclass(frozen=True, kw_only=True)
class Row(Base):
    kind: Literal["image", "clip"]
    count: int
    share: float
    own: bool
    limit: float | None
    group: Literal["studied", "new"] | None
    start: int = 0


ROW = Row(name="a", kind="clip", count=3, share=0.1, own=True, limit=None, group=None)


@given(
    name=TEXT,
    kind=st.sampled_from(KINDS),
    count=st.integers(),
    share=st.floats(allow_nan=False),
    own=st.booleans(),
    limit=st.none() | st.floats(allow_nan=False),
    group=st.sampled_from(["studied", "new", None]),
)
def test_rows_read_back_equal(
    name: str,
    kind: Literal["image", "clip"],
    count: int,
    share: float,
    own: bool,
    limit: float | None,
    group: Literal["studied", "new"] | None,
) -> None:
    row = Row(name=name, kind=kind, count=count, share=share, own=own, limit=limit, group=group)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new" / "rows.csv"
        write_rows(path, [row, row], Row)
        assert read_rows(path, Row) == [row, row]


@given(rows=st.lists(st.tuples(TEXT, TEXT)), columns=st.lists(TEXT, min_size=2, max_size=2, unique=True))
def test_any_text_reads_back_equal(rows: list[tuple[str, str]], columns: list[str]) -> None:
    table = [dict(zip(columns, row, strict=True)) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / "table.csv", table, columns)
        assert read_table(Path(folder) / "table.csv", columns) == table


def test_no_number_reads_back_as_none(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [Row(**{**asdict(ROW), "share": math.nan})], Row)
    assert math.isnan(read_rows(tmp_path / "rows.csv", Row)[0].share)


def test_columns_are_the_fields_in_order(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [], Row)
    assert (tmp_path / "rows.csv").read_text() == "name,kind,count,share,own,limit,group,start\n"
    assert read_rows(tmp_path / "rows.csv", Row) == []


def test_a_file_name_that_is_no_text_can_be_written(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [{"file": "a\udcff.mp4"}], ["file"])
    assert read_table(tmp_path / "table.csv") == [{"file": "a\\udcff.mp4"}]


def test_a_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [ROW], Row)
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_table(tmp_path / "rows.csv", [{"name": "a"}, {"other": 1}], ["name"])
    assert read_rows(tmp_path / "rows.csv", Row) == [ROW]


def test_further_columns_are_read_as_text_and_are_no_fields(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [{"more": 1.5, **asdict(ROW)}], ["more", *asdict(ROW)])
    assert read_table(tmp_path / "table.csv", ["name"])[0]["more"] == "1.5"
    assert read_rows(tmp_path / "table.csv", Row) == [ROW]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [], ["name", "kind", "share", "own", "limit", "start"])
    with pytest.raises(ValueError, match=r"table\.csv has no column count, group$"):
        read_rows(tmp_path / "table.csv", Row)


def test_a_column_that_came_later_and_is_none_by_default_may_be_missing(tmp_path: Path) -> None:
    grown = make_dataclass("Grown", [("name", str), ("share", float | None, None)])
    (tmp_path / "table.csv").write_text("name\na\n")
    assert read_rows(tmp_path / "table.csv", grown) == [grown("a", None)]


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "table.csv").touch()
    assert read_table(tmp_path / "table.csv") == []
    with pytest.raises(ValueError, match=r"table\.csv has no column name$"):
        read_table(tmp_path / "table.csv", ["name"])


@pytest.mark.parametrize("line", ["1", "1,2,3"])
def test_a_row_of_other_length_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "table.csv").write_text(f"a,b\n1,2\n{line}\n")
    with pytest.raises(ValueError, match=r"table\.csv is damaged: row 2 does not have a cell for each column"):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("name", "cell", "expected"),
    [
        ("kind", "video", r"'video' is no Literal\['image', 'clip'\]"),
        ("kind", "", r"'' is no Literal\['image', 'clip'\]"),
        ("count", "3.0", "'3.0' is no int"),
        ("share", "", "'' is no float"),
        ("own", "yes", "'yes' is no bool"),
        ("limit", "much", r"'much' is no float \| None"),
    ],
)
def test_a_cell_that_holds_something_else_is_named(tmp_path: Path, name: str, cell: str, expected: str) -> None:
    write_table(tmp_path / "table.csv", [asdict(ROW), asdict(ROW) | {name: cell}], list(asdict(ROW)))
    with pytest.raises(ValueError, match=rf"table\.csv, row 2: {name} {expected}$"):
        read_rows(tmp_path / "table.csv", Row)


@pytest.mark.parametrize("kind", [str | None, None | str])
def test_an_empty_cell_is_none_whichever_way_round_it_is_said(tmp_path: Path, kind: type) -> None:
    row = make_dataclass("One", [("name", kind)])
    write_rows(tmp_path / "rows.csv", [row("a"), row(None)], row)
    assert read_rows(tmp_path / "rows.csv", row) == [row("a"), row(None)]


# Spreadsheets


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_text_is_a_formula_in_a_spreadsheet(tmp_path: Path, begin: str) -> None:
    name = f"{begin}1+cmd|' /C calc'!A0"
    write_rows(tmp_path / "rows.csv", [Row(**{**asdict(ROW), "name": name})], Row)
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        _, cells = csv.reader(file)
    assert cells[0] == f"'{name}"
    assert read_rows(tmp_path / "rows.csv", Row)[0].name == name


@given(name=st.from_regex(r"'*[=+\-@\t\r\n].{0,4}", fullmatch=True) | st.from_regex(r"'{0,3}.{0,3}", fullmatch=True))
def test_text_reads_back_equal_however_it_begins(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_table(path, [{name: name, "other": "a"}], [name, "other"])
        assert read_table(path, [name]) == [{name: name, "other": "a"}]


def test_a_negative_number_stays_a_number(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [Row(**{**asdict(ROW), "share": -0.5, "count": -3, "limit": -1e-9})], Row)
    assert (tmp_path / "rows.csv").read_text().splitlines()[1] == "a,clip,-3,-0.5,True,-1e-09,,0"


def test_names_of_columns_are_no_formulas(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [{"=a()": 1, "b": 2}], ["=a()", "b"])
    assert (tmp_path / "table.csv").read_text().splitlines()[0] == "'=a(),b"


def test_a_table_of_an_earlier_version_reads_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("name,b\n-a,1\n'tis,2\n=1+1,3\n")
    assert [row["name"] for row in read_table(tmp_path / "table.csv")] == ["-a", "'tis", "=1+1"]


@pytest.mark.parametrize("name", ["a\nb", 'a"b""', "a\0b", "\u202eabc", "a,b;c", "\ufeffa", "\x1b[31m", " a "])
def test_odd_names_survive(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / "rows.csv", [Row(**{**asdict(ROW), "name": name})], Row)
    assert read_rows(tmp_path / "rows.csv", Row)[0].name == name
