"""Inspecting a data set writes what is readable, what is not and why, and a sheet of images."""

import csv
import os
from pathlib import Path

import pytest
from media import HEIGHT, WIDTH, grey, make_video
from PIL import Image

from data.drawing import CAPTION, MARGIN
from data.errors import MediaError
from data.inspection import inspect_media
from data.options import InspectOptions


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video, an image, and two files that cannot be used."""
    path = tmp_path / "data"
    path.mkdir()
    make_video(path / "a_video.mp4", count=16)
    Image.fromarray(grey(9)).save(path / "image.png")
    (path / "broken.mp4").write_bytes(b"no video " * 50)
    (path / "empty.png").write_bytes(b"")
    return path


def test_files_are_listed_with_what_they_hold(folder: Path, tmp_path: Path) -> None:
    video, image = read_csv(inspect_media(InspectOptions(folder, tmp_path / "out")) / "files.csv")
    assert video == {
        "file": "a_video.mp4",
        "kind": "video",
        "seconds": "2.0",
        "width": str(WIDTH),
        "height": str(HEIGHT),
        "decoder": "decord",
        "why_not_decord": "",
    }
    assert (image["file"], image["kind"], image["width"]) == ("image.png", "image", str(WIDTH))


def test_unusable_files_are_listed_with_the_reason(folder: Path, tmp_path: Path) -> None:
    rows = read_csv(inspect_media(InspectOptions(folder, tmp_path / "out")) / "skipped.csv")
    assert [row["file"] for row in rows] == ["broken.mp4", "empty.png"]
    assert "is not a video" in rows[0]["reason"]
    assert "is empty" in rows[1]["reason"]


def test_the_contact_sheet_shows_every_usable_file(folder: Path, tmp_path: Path) -> None:
    inspect_media(InspectOptions(folder, tmp_path / "out"))
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.size == (2 * (96 + MARGIN) + MARGIN, 96 + CAPTION + 2 * MARGIN)
        video, image = (sheet.getpixel((MARGIN + 48 + place * (96 + MARGIN), MARGIN + 48)) for place in (0, 1))
    assert max(video) < 5  # the first frame is black
    assert image == (45, 45, 45)


def test_a_video_of_a_moment_is_on_the_contact_sheet(tmp_path: Path) -> None:
    video = make_video(tmp_path / "moment.mp4", count=2)
    inspect_media(InspectOptions(video, tmp_path / "out"))
    assert (tmp_path / "out" / "contact_sheet.png").exists()


def test_a_large_set_is_shown_in_part(tmp_path: Path) -> None:
    for number in range(60):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number:02d}.png")
    inspect_media(InspectOptions(tmp_path, tmp_path / "out"))
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.size == (8 * (96 + MARGIN) + MARGIN, 6 * (96 + CAPTION + MARGIN) + MARGIN)


def test_the_counts_are_printed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect_media(InspectOptions(folder, tmp_path / "out"))
    assert capsys.readouterr().out.startswith("1 video (2.0 s), 1 image, 2 files skipped")


def test_names_that_are_not_utf8_can_be_inspected(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / os.fsdecode(b"k\xe4se.png"))
    (row,) = read_csv(inspect_media(InspectOptions(tmp_path, tmp_path / "out")) / "files.csv")
    assert row["file"] == r"k\udce4se.png"


def test_more_than_half_unreadable_stops_after_the_lists_are_written(folder: Path, tmp_path: Path) -> None:
    (folder / "a_video.mp4").unlink()
    with pytest.raises(MediaError, match="2 of 3 files"):
        inspect_media(InspectOptions(folder, tmp_path / "out"))
    assert len(read_csv(tmp_path / "out" / "skipped.csv")) == 2
    assert len(read_csv(tmp_path / "out" / "files.csv")) == 1


def test_nothing_usable_at_all_still_leaves_the_list(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(MediaError, match="1 of 1 files"):
        inspect_media(InspectOptions(tmp_path, tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["files.csv", "skipped.csv"]
