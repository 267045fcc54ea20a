"""Tables of tags are read as pages write them and spreadsheets save them, and refused where they cannot be meant."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tags import Tag, TagError, read_tags
from storage.tables import write_rows

CLIP = Tag("a.mp4", "exclude", 4.0, 2.0)
IMAGE = Tag("b.png", "keep")


def write(folder: Path, content: str, encoding: str = "utf-8") -> Path:
    path = folder / "tags.csv"
    path.write_bytes(content.encode(encoding))
    return path


def test_a_table_has_a_tag_for_each_row(tmp_path: Path) -> None:
    table = read_tags(write(tmp_path, "source,start,seconds,tag\r\na.mp4,4.0,2.0,exclude\r\nb.png,,,keep\r\n"))
    assert (table.tags, table.notes, table.names) == ((CLIP, IMAGE), (), ["exclude", "keep"])


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1).filter(
    lambda name: name == name.strip()
)


@settings(max_examples=40)
@given(st.lists(st.builds(Tag, names, names.map(str.casefold), st.none() | st.floats(0, 1e6)), min_size=1))
def test_what_is_written_is_read_whatever_names_hold(tmp_path_factory: pytest.TempPathFactory, tags: list[Tag]) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    write_rows(path, tags, Tag)
    assert read_tags(path).tags == tuple(tags)


@pytest.mark.parametrize(
    ("content", "encoding", "note"),
    [
        ("source;start;seconds;tag\na.mp4;4,0;2;exclude\n", "utf-8", "decimal commas read as points"),
        ("source;start;seconds;tag\na.mp4;4;2;exclude\n", "utf-8", "cells separated by semicolons"),
        ("source\tstart\tseconds\ttag\na.mp4\t4\t2\texclude\n", "utf-16", "read as UTF-16"),
        ("source,start,seconds,tag\na.mp4,4,2,exclude\n", "utf-8-sig", "a byte order mark was skipped"),
        ("tag,source,seconds,start,who\nexclude,a.mp4,2,4,me\n", "utf-8", "columns left out: who"),
        ("source,start,seconds,tag\n,,,\na.mp4,4,2,exclude\n, ,,\n", "utf-8", "2 empty rows left out"),
    ],
)
def test_how_a_spreadsheet_saved_it_is_said(tmp_path: Path, content: str, encoding: str, note: str) -> None:
    table = read_tags(write(tmp_path, content, encoding))
    assert table.tags == (CLIP,)
    assert note in table.notes


def test_capitals_and_spaces_around_names_are_nothing(tmp_path: Path) -> None:
    assert read_tags(write(tmp_path, "source,start,seconds,tag\n a.mp4 ,4,2, Exclude \n")).tags == (CLIP,)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", r"tags\.csv has no rows"),
        ("source,start\na.mp4,4\n", r"has no column tag .*; a table of tags has the columns source, start, seconds"),
        ("source,start,tag\na.mp4,soon,exclude\n", r"row 1: start 'soon' is no float"),
        ("source,start,tag\na.mp4,4,exclude\n,4,exclude\n", r"row 2: source is empty"),
        ("source,start,tag\na.mp4,4, \n", r"row 1: tag is empty"),
        ("source,start,tag\na.mp4,-1,exclude\n", r"row 1: start -1 is no number of seconds"),
        ("source,start,tag\na.mp4,inf,exclude\n", r"row 1: start inf is no number of seconds"),
        ("source,start,seconds,tag\na.mp4,4,0,exclude\n", r"row 1: seconds 0 is no length"),
        ("source,start,seconds,tag\na.mp4,,2,exclude\n", r"row 1: seconds 2 without a start"),
        ("source,start,tag\na.mp4,4\n", r"row 1 does not have a cell for each column"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_row(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(TagError, match=reason):
        read_tags(write(tmp_path, content))


def test_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_bytes(b"source,tag\n\xff\xfe\x00\n")
    with pytest.raises(TagError, match="no text in UTF-8"):
        read_tags(path)
