"""The table of people's responses, as spreadsheets save it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_responses import make_choices, make_repeats

from experiments.people.table import Response, read_responses, write_responses

ROWS = make_choices(participants=2, items=2) + make_repeats(participants=1, per_lag=1)


def written(folder: Path, rows: list[Response] = ROWS) -> Path:
    path = folder / "people.csv"
    write_responses(path, rows)
    return path


def changed(path: Path, old: str, new: str) -> Path:
    """The same table with a text in the place of another."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = read_responses(written(tmp_path))
    assert list(table.rows) == ROWS
    assert table.notes == ()


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(str.strip)
TIMES = st.none() | st.floats(0, 1e4, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(participant=TEXTS, item=TEXTS, time=TIMES, answer=st.sampled_from(("", "studied", "foil")))
def test_any_response_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, participant: str, item: str, time: float | None, answer: str
) -> None:
    correct = float(answer == "studied") if answer else None
    row = replace(
        ROWS[0], participant=participant, item=item, reaction_time=time, response=answer, correct=correct, list=item
    )
    assert read_responses(written(tmp_path_factory.mktemp("table"), [row])).rows == (row,)


@settings(max_examples=30, deadline=None)
@given(
    separator=st.sampled_from((";", "\t")),
    commas=st.booleans(),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    ends=st.sampled_from(("\r\n", "\n")),
)
def test_spreadsheets_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, separator: str, commas: bool, encoding: str, ends: str
) -> None:
    rows = make_choices(participants=2, items=2)
    path = written(tmp_path_factory.mktemp("table"), rows)
    text = path.read_bytes().decode().replace(",", separator).replace("\r\n", ends)
    path.write_bytes((text.replace(".", ",") if commas else text).encode(encoding))
    table = read_responses(path)
    assert list(table.rows) == rows
    assert any("separated by" in note for note in table.notes)
    assert ("decimal commas read as points" in table.notes) == commas


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8-sig", "a byte order mark was skipped"), ("utf-16", "read as UTF-16")],
)
def test_encoding_is_said(tmp_path: Path, encoding: str, said: str) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_text().encode(encoding))
    assert read_responses(path).notes == (said,)


def test_two_decimal_marks_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_text().replace(",", ";").split("\n")
    lines[1] = lines[1].replace(".", ",")
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"decimal commas and points \('.*,.*' in row 1, '.*\..*' in row 2\)"):
        read_responses(path)


def test_words_of_other_programs_are_numbers(tmp_path: Path) -> None:
    path = changed(written(tmp_path), ",studied,1.0,", ",studied,TRUE,")
    changed(path, ",foil,0.0,", ",foil,FALSE,")
    table = read_responses(path)
    assert list(table.rows) == ROWS
    assert any("of correct with TRUE read as 1" in note for note in table.notes)


def test_whole_numbers_may_have_decimals(tmp_path: Path) -> None:
    rows = [replace(row, reaction_time=None) for row in ROWS]
    path = written(tmp_path, rows)
    changed(path, ",,64,", ",,64.0,")
    assert list(read_responses(path).rows) == rows


def test_missing_values_of_other_programs_are_said(tmp_path: Path) -> None:
    row = replace(ROWS[0], reaction_time=None)
    path = changed(written(tmp_path, [row]), ",1.0,,,", ",1.0,NA,NaN,")
    table = read_responses(path)
    assert table.rows == (row,)
    assert table.notes == ("1 cell of lag with NaN read as empty", "1 cell of reaction_time with NA read as empty")


def test_other_columns_are_left_out_and_said(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS[:1])
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]},age,sex\n{lines[1]},33,f\n")
    table = read_responses(path)
    assert table.rows == (ROWS[0],)
    assert table.notes == ("columns left out: age, sex",)


def test_side_need_not_be_there(tmp_path: Path) -> None:
    path = written(tmp_path, [replace(ROWS[0], side="")])
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()) + "\n")
    assert read_responses(path).rows == (replace(ROWS[0], side=""),)


def test_rows_there_twice_count_once(tmp_path: Path) -> None:
    table = read_responses(written(tmp_path, [*ROWS, ROWS[3]]))
    assert list(table.rows) == ROWS
    assert table.doubled == (ROWS[3],)
    assert table.notes == ("1 row there twice, word for word, counted once",)


def test_two_answers_to_one_trial_are_refused(tmp_path: Path) -> None:
    other = replace(ROWS[0], item="another")
    with pytest.raises(ValueError, match=f"row {len(ROWS) + 1}: p0 has answered trial 0 of the task 2afc in row 1"):
        read_responses(written(tmp_path, [*ROWS, other]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"participant": " "}, "participant is empty"),
        ({"item": ""}, "item is empty"),
        ({"version": "normal"}, "version 'normal' must be as_given or swapped"),
        ({"side": "top"}, "side 'top' must be left, right or empty"),
        ({"trial": -1}, "trial -1 must be at least 0"),
        ({"trial": 10**400}, "trial 10+ must be at least 0 and at most 1000000000"),
        ({"reaction_time": -0.2}, "reaction_time -0.2 must be seconds"),
        ({"reaction_time": math.inf}, "reaction_time inf must be seconds"),
        ({"response": "left"}, "response 'left' must be studied or foil"),
        ({"correct": 0.0, "response": "studied"}, "correct is 0, where response 'studied' to 'studied' makes it 1"),
        ({"correct": 0.5, "response": "studied"}, "correct is 0.5"),
        ({"correct": None, "response": "studied"}, "correct is empty"),
        ({"correct": 0.0, "response": ""}, "correct is 0, where an empty response"),
        ({"task": "vigilance", "response": "new", "lag": 0, "condition": "repeat"}, "lag 0 must be at least 1"),
        ({"task": "vigilance", "response": "new"}, "condition 'novel' must be repeat or new"),
    ],
)
def test_rows_that_cannot_be_are_named(tmp_path: Path, fields: dict[str, object], said: str) -> None:
    path = written(tmp_path, [replace(ROWS[0], **fields)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"people\.csv, row 1: {said}"):
        read_responses(path)


def test_scores_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = changed(written(tmp_path, ROWS[:1]), ",studied,1.0,", ",studied,NaN,")
    with pytest.raises(ValueError, match="row 1: correct is empty, where response 'studied'"):
        read_responses(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no rows"),
        (b"participant,list\n", "has no rows"),
        (b"a,b\n1,2\n", r"has no column participant, list, .* \(its columns: a, b\)"),
        (b"a,b\n1,2,3\n", "row 1 does not have a cell for each column"),
        (b"a\xff,b\n1,2\n", "is no text in UTF-8: save it as CSV in UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_responses(path)


def test_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: it is a folder"):
        read_responses(tmp_path)
