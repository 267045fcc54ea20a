"""Inspecting a data set writes what training will use, what it will not and why, and a sheet of images."""

import csv
import os
import subprocess
from pathlib import Path

import media_kinds as kinds
import pytest
from media import HEIGHT, WIDTH, grey, make_video, noise
from PIL import Image

from data.clip_format import ClipFormat
from data.drawing import CAPTION, MARGIN
from data.errors import MediaError
from data.inspection import inspect_media
from data.items import find_items, split_items
from data.options import InspectOptions, PrepareOptions
from data.prepare import prepare


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
        "group": "a_video.mp4",
        "split": video["split"],
        "clips": "16",
        "seconds": "2.0",
        "usable_seconds": "2.0",
        "gaps": "0",
        "longest_gap": "0.0",
        "width": str(WIDTH),
        "height": str(HEIGHT),
        "fps": "8.0",
        "codec": "h264",
        "tracks": "1",
        "hdr": "",
        "rotation": "0",
        "mirrored": "False",
        "decoder": "decord",
        "why_not_decord": "",
    }
    assert (image["file"], image["kind"], image["width"]) == ("image.png", "image", str(WIDTH))
    assert {video["split"], image["split"]} == {"train", "validation"}


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
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["files.csv", "listing", "near_duplicates.csv", "skipped.csv"]


# What training will use


def inspected(folder: Path, **options: object) -> dict[str, dict[str, str]]:
    """The rows of files.csv by file."""
    out = inspect_media(InspectOptions(folder, folder.parent / "inspected", **options))  # type: ignore[arg-type]
    return {row["file"]: row for row in read_csv(out / "files.csv")}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two videos of each of three children, of 3 s each."""
    path = tmp_path / "data"
    for child in range(3):
        (path / f"child_{child}").mkdir(parents=True)
        for number in range(2):
            seed = 100 * child + 10 * number
            make_video(
                path / f"child_{child}" / f"{number}.mp4", 24, image=lambda index, seed=seed: noise(seed + index // 8)
            )
    return path


@pytest.mark.parametrize("group_by", [None, "([^/]+)/"])
@pytest.mark.parametrize("frames", [1, 16])
def test_the_split_is_that_of_training(videos: Path, group_by: str | None, frames: int) -> None:
    rows = inspected(videos, group_by=group_by, frames=frames)
    training, validation = split_items(find_items(videos, ClipFormat(frames, 8, 16), group_by=group_by)[0])
    for split, items in (("train", training), ("validation", validation)):
        assert {name for name, row in rows.items() if row["split"] == split} == {item.source.name for item in items}


def test_groups_are_named(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = inspected(videos, group_by="([^/]+)/")
    assert {row["group"] for row in rows.values()} == {"child_0", "child_1", "child_2"}
    assert "groups           3 groups: child_0, child_1, child_2" in capsys.readouterr().out


def test_a_pattern_that_does_not_fit_stops(videos: Path) -> None:
    with pytest.raises(MediaError, match="does not match 6 of 6 names"):
        inspected(videos, group_by="camera")


def test_clips_are_counted_as_training_cuts_them(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = inspected(videos, frames=8)
    assert sum(int(row["clips"]) for row in rows.values()) == len(find_items(videos, ClipFormat(8, 8, 16))[0]) == 18
    assert "clips            18 of 1 s, end to end" in capsys.readouterr().out


def test_a_video_without_room_for_a_clip_is_unused_and_listed(videos: Path) -> None:
    make_video(videos / "short.mp4", 8)
    rows = inspected(videos, frames=16)
    assert (rows["short.mp4"]["split"], rows["short.mp4"]["clips"]) == ("", "0")
    (skipped,) = read_csv(videos.parent / "inspected" / "skipped.csv")
    assert (skipped["file"], skipped["reason"]) == ("short.mp4", "lasts 1.00 s, a clip 2.00 s")


def test_one_long_video_is_cut_in_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = make_video(tmp_path / "film.mp4", 320, image=lambda index: noise(index // 8))
    (row,) = inspected(video, frames=8).values()
    assert row["split"] == "both"
    assert "split            train up to 34.00 s, validation from 36.00 s on" in capsys.readouterr().out


def test_the_sheet_of_one_video_shows_all_of_it(tmp_path: Path) -> None:
    video = make_video(tmp_path / "film.mp4", 80, image=lambda index: noise(index // 8))
    inspected(video, frames=8)
    with Image.open(tmp_path / "inspected" / "contact_sheet.png") as sheet:
        assert sheet.size == (8 * (96 + MARGIN) + MARGIN, 2 * (96 + CAPTION + MARGIN) + MARGIN)


def test_what_cannot_be_split_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(grey(9)).save(tmp_path / "image.png")
    (row,) = inspected(tmp_path / "image.png").values()
    assert (row["split"], row["clips"]) == ("", "1")
    assert "split            none: training and validation must not share a source" in capsys.readouterr().out


def test_gaps_are_counted_and_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    kinds.clock_jump(tmp_path / "data" / "jump.mp4", jump=100)
    row = inspected(tmp_path / "data", frames=8)["jump.mp4"]
    assert (row["gaps"], row["longest_gap"]) == ("1", "100.0")
    assert float(row["seconds"]) == pytest.approx(104)
    assert float(row["usable_seconds"]) == pytest.approx(4, abs=0.2)
    assert "gaps             1 gap in 1 video, the longest of 100.00 s" in capsys.readouterr().out


def test_hdr_tracks_and_orientation_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    kinds.ten_bit(folder / "hdr.mp4", colours=kinds.HLG)
    kinds.two_tracks(folder / "tracks.mp4")
    kinds.oriented(folder / "turned.mp4", "turned_right")
    rows = inspected(folder)
    assert rows["hdr.mp4"]["hdr"].startswith("HLG")
    assert (rows["tracks.mp4"]["tracks"], rows["tracks.mp4"]["width"]) == ("2", str(WIDTH))
    assert (rows["turned.mp4"]["rotation"], rows["turned.mp4"]["width"]) == ("90", str(HEIGHT))
    said = capsys.readouterr().out
    assert "1 of HLG" in said
    assert "1 video with several video tracks" in said
    assert "1 video shown upright" in said


def test_sizes_and_frame_rates_are_counted(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspected(videos)
    said = capsys.readouterr().out
    assert f"sizes            6 of {WIDTH}x{HEIGHT}\n" in said
    assert "frames a second  6 of 8\n" in said


# Near duplicates


def test_copies_on_both_sides_of_the_split_are_leaks(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = inspected(videos, group_by="([^/]+)/")
    held_out = next(name for name, row in rows.items() if row["split"] == "validation")
    number = int(held_out[6])
    copy = videos / f"child_{(number + 1) % 3}" / "copy.mkv"
    seed = 100 * number + 10 * int(held_out[8])
    make_video(copy, 24, options={"crf": "35"}, image=lambda index: noise(seed + index // 8))
    inspected(videos, group_by="([^/]+)/")
    (pair,) = read_csv(videos.parent / "inspected" / "near_duplicates.csv")
    assert {pair["file"], pair["other"]} == {held_out, str(copy.relative_to(videos))}
    assert (pair["leak"], {pair["split"], pair["other_split"]}) == ("True", {"train", "validation"})
    assert int(pair["distance"]) <= 3
    assert "1 pair, 1 of them across the split: --group-by can keep them together" in capsys.readouterr().out


def test_other_videos_are_no_duplicates(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspected(videos)
    assert read_csv(videos.parent / "inspected" / "near_duplicates.csv") == []
    assert "near duplicates  none" in capsys.readouterr().out


# Other kinds of data


def test_prepared_shards_are_inspected_as_their_videos(videos: Path, tmp_path: Path) -> None:
    shards = prepare(PrepareOptions(videos, tmp_path / "shards", size=40, workers=0))
    raw, prepared = inspected(videos, frames=8), inspected(shards, frames=8)
    columns = ("group", "split", "clips", "seconds", "usable_seconds", "gaps")
    assert {name: [row[c] for c in columns] for name, row in prepared.items()} == {
        name: [row[c] for c in columns] for name, row in raw.items()
    }
    assert (tmp_path / "inspected" / "contact_sheet.png").exists()


INSPECT = """
import sys
from pathlib import Path
from data.inspection import inspect_media
from data.options import InspectOptions

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

libraries = peak()
inspect_media(InspectOptions(Path(sys.argv[1]), Path(sys.argv[2])))
print(peak() - libraries)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("size", [(8000, 8000), (200_000, 320), (1, 200_000)])
def test_a_large_image_takes_half_a_gigabyte_beside_the_libraries(
    size: tuple[int, int], tmp_path: Path, python: tuple[str, ...]
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", size, "red").save(tmp_path / "data" / f"{name}.png")
    command = [*python, "-c", INSPECT, str(tmp_path / "data"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < 512 << 10  # KiB
    assert [row["width"] for row in read_csv(tmp_path / "out" / "files.csv")] == [str(size[0])] * 2
