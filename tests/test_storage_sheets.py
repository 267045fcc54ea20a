"""Tables that people have saved: what is read in another way than it was meant is refused, or said."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sheets import read_sheet


@dataclass(frozen=True)
class Row:
    """A row."""

    name: str
    lag: int | None
    seconds: float | None = None


def rows_of(path: Path, text: str) -> list[dict[str, str]]:
    path.write_bytes(text.encode())
    return read_sheet(path).for_kind(Row)[0]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_told_from_the_first_line_alone(tmp_path: Path, separator: str, end: str) -> None:
    others = "".join(each for each in ",;\t" if each != separator) * 9
    text = f"name{separator}lag{end}{others}{separator}3{end}"
    assert rows_of(tmp_path / "table.csv", text) == [{"name": others, "lag": "3"}]


@pytest.mark.parametrize("cell", ["1,000", "-12,000", "1,234,567"])
def test_whole_numbers_with_thousands_apart_are_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(ValueError, match=f"row 2: lag '{cell}' has a comma between its thousands: save whole numbers"):
        rows_of(tmp_path / "table.csv", f"name;lag\na;3\nb;{cell}\n")


def test_decimal_commas_are_read_as_points(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "table.csv", "name;lag;seconds\na;3,0;1,234\n")
    assert rows == [{"name": "a", "lag": "3", "seconds": "1.234"}]


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the column lag more than once: rename or remove all but one"):
        rows_of(tmp_path / "table.csv", "name,lag,lag\na,3,4\n")


def test_columns_without_a_name_may_be_many(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "table.csv", "name,lag,,\na,3,,\n") == [{"name": "a", "lag": "3"}]


@given(lag=st.integers(-(10**9), 10**9), seconds=st.floats(-1e6, 1e6, allow_nan=False))
def test_numbers_stay_what_they_are(tmp_path_factory: pytest.TempPathFactory, lag: int, seconds: float) -> None:
    path = tmp_path_factory.mktemp("sheet") / "table.csv"
    (row,) = rows_of(path, f"name,lag,seconds\na,{lag},{seconds!r}\n")
    assert int(row["lag"]) == lag
    assert float(row["seconds"]) == seconds
