"""What is not used is counted, described and listed, and too much of it is refused."""

import csv
from pathlib import Path

import pytest

from data.errors import MediaError
from data.skipping import check_skipped, describe_skipped, write_skipped
from data.sources import Skipped


def test_more_than_half_unreadable_stops_with_the_reasons(tmp_path: Path) -> None:
    bad = [Skipped(f"{number}.png", f"reason {number}") for number in range(5)]
    with pytest.raises(MediaError, match=r"5 of 9 files .*0\.png: reason 0.*2\.png: reason 2\)"):
        check_skipped(bad, 9, tmp_path)


def test_what_is_not_used_is_described_by_reason(tmp_path: Path) -> None:
    skipped = [
        Skipped("a.png", "a.png is empty (0 bytes): copy or download it again"),
        Skipped("b.png", "b.png is empty (0 bytes): copy or download it again"),
        Skipped("c.png", "is the same file as a/b.png", False),
        Skipped("d.png", "is the same file as a/c.png", False),
        Skipped("e.json", "is no video or image by its name (.json)", False),
    ]
    assert describe_skipped(skipped) == (
        "2 files: 2 is empty; 3 other files: 2 is the same file as another, 1 is no video or image by its name"
        " (see skipped.csv)"
    )
    assert describe_skipped([]) == "none"


def test_half_unreadable_is_tolerated(tmp_path: Path) -> None:
    check_skipped([Skipped("a.png", "empty")] * 2, 4, tmp_path)


def test_the_list_of_skipped_files_is_a_csv(tmp_path: Path) -> None:
    write_skipped(tmp_path / "new" / "skipped.csv", [Skipped("a, b.png", 'says "no"')])
    with (tmp_path / "new" / "skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["file", "reason", "is_media"], ["a, b.png", 'says "no"', "True"]]


def test_alike_reasons_are_counted_together() -> None:
    skipped = [Skipped(f"{n}.mkv", f"{n}.mkv is cut short: use ffmpeg -i {n}.mkv -c copy {n}-fixed.mkv") for n in "ab"]
    others = [Skipped("a.json", "is no video or image by its name (.json)", False)]
    assert describe_skipped([*skipped, *others]) == (
        "2 files: 2 is cut short; 1 other file: 1 is no video or image by its name (see skipped.csv)"
    )
