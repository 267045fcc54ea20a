"""Tables of results that something happened to are refused, with the file and the row."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from memory_runs import make_trials

from experiments.statistics.trials import read_trials, write_trials


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_trials(tmp_path / "trials.csv", make_trials(items=2, exposures=1))
    return tmp_path / "trials.csv"


def lines_of(path: Path) -> list[str]:
    return path.read_bytes().decode().splitlines(keepends=True)


def double_a_row(path: Path) -> None:
    lines = lines_of(path)
    path.write_bytes("".join([*lines[:4], lines[2], *lines[4:]]).encode())


def cut_the_last_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def leave_out_a_column(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"nll_foil", b"nll_other", 1))


def put(cell: bytes) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        lines = lines_of(path)
        cells = lines[3].split(",")
        cells[lines[0].split(",").index("nll_foil")] = cell.decode("latin-1")
        path.write_bytes("".join([*lines[:3], ",".join(cells), *lines[4:]]).encode("latin-1"))

    return edit


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (double_a_row, r"row 4: it is there already, as row 2"),
        (cut_the_last_line, r"damaged \(its last line is cut\)"),
        (leave_out_a_column, r"has no column nll_foil"),
        (put(b"NaN"), r"row 3: nll_foil is nan, no finite number"),
        (put(b"inf"), r"row 3: nll_foil is inf, no finite number"),
        (put(b"much"), r"row 3: nll_foil 'much' is no float"),
        (put(b"\xff"), r"is damaged \(.*decode"),
        (put(b"1" * 200_000), r"is damaged \(field larger than field limit|no finite number"),
        (become_a_pipe, r"damaged \(it is a named pipe"),
        (become_a_folder, r"damaged \(it is a folder"),
    ],
)
def test_a_table_that_was_edited_is_refused(edit: Callable[[Path], None], message: str, table: Path) -> None:
    edit(table)
    with pytest.raises(ValueError, match=rf"trials\.csv.*{message}") as caught:
        read_trials(table)
    assert "\n" not in str(caught.value)


def test_a_table_as_it_was_written_is_read(table: Path) -> None:
    assert read_trials(table) == make_trials(items=2, exposures=1)
