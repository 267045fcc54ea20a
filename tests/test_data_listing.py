"""What was found out about files is kept, believed only of the same files, and survives a kill."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from media import grey, make_video
from media_kinds import joined_streams
from PIL import Image

from data.media import catalogue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image, a video, a file that is neither, and a shard of an image."""
    path = tmp_path / "data"
    path.mkdir()
    Image.new("RGB", (8, 8)).save(path / "a.png")
    make_video(path / "b.mp4", count=8)
    (path / "c.png").write_bytes(b"no image")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    with tarfile.open(path / "d.tar", "w") as shard:
        member = tarfile.TarInfo("e.png")
        member.size = len(buffer.getvalue())
        shard.addfile(member, io.BytesIO(buffer.getvalue()))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def damage(path: Path) -> None:
    """Makes a file unreadable without a change of size or time, so that only who looks at it notices."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def usable(folder: Path, cache: Path) -> list[str]:
    return [source.name for source in catalogue(folder, cache).sources]


def test_what_is_known_is_not_looked_at_again(folder: Path, cache: Path) -> None:
    first = catalogue(folder, cache)
    assert [source.name for source in first.sources] == ["a.png", "b.mp4", "d.tar/e.png"]
    for path in folder.iterdir():
        damage(path)
    assert catalogue(folder, cache) == first


def test_a_changed_file_is_looked_at_again(folder: Path, cache: Path) -> None:
    catalogue(folder, cache)
    make_video(folder / "b.mp4", count=16)
    damage(folder / "a.png")
    os.utime(folder / "a.png", ns=(1, 1))
    found = catalogue(folder, cache)
    assert [source.name for source in found.sources] == ["b.mp4", "d.tar/e.png"]
    assert found.videos[0].seconds == pytest.approx(2)


def test_a_changed_shard_is_looked_at_again(folder: Path, cache: Path) -> None:
    catalogue(folder, cache)
    damage(folder / "d.tar")
    os.utime(folder / "d.tar", ns=(1, 1))
    assert usable(folder, cache) == ["a.png", "b.mp4"]


def test_half_a_line_of_a_killed_process_costs_one_file(folder: Path, cache: Path) -> None:
    first = catalogue(folder, cache)
    path = cache / "files.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert catalogue(folder, cache) == first
    for file in folder.iterdir():
        damage(file)
    assert catalogue(folder, cache) == first


def test_lines_that_are_no_json_are_passed_over(folder: Path, cache: Path) -> None:
    first = catalogue(folder, cache)
    path = cache / "files.jsonl"
    path.write_bytes(b'\xff\0{"key": 3\n[]\n{"key": "a", "facts": 3}\n' + path.read_bytes())
    for file in folder.iterdir():
        damage(file)
    assert catalogue(folder, cache) == first


def test_facts_of_other_versions_are_forgotten(folder: Path, cache: Path) -> None:
    catalogue(folder, cache)
    path = cache / "files.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({"version": "0"}), *lines[1:]]) + "\n")
    damage(folder / "a.png")
    assert usable(folder, cache) == ["b.mp4", "d.tar/e.png"]


def test_a_reason_is_told_with_the_name_that_the_file_has_this_time(folder: Path, cache: Path) -> None:
    catalogue(folder, cache)
    (skip,) = catalogue(folder.parent, cache).skipped[-1:]
    assert (skip.file, "data/c.png" in skip.reason) == ("data/c.png", True)
    assert str(folder) not in skip.reason


def test_a_file_that_could_not_be_reached_is_tried_again(folder: Path, cache: Path) -> None:
    (folder / "a.png").chmod(0)
    if os.access(folder / "a.png", os.R_OK):
        pytest.skip("this user may read everything")
    assert usable(folder, cache) == ["b.mp4", "d.tar/e.png"]
    (folder / "a.png").chmod(0o600)
    assert usable(folder, cache) == ["a.png", "b.mp4", "d.tar/e.png"]


def test_a_video_has_its_packet_table_in_the_cache(tmp_path: Path, cache: Path) -> None:
    make_video(tmp_path / "long.mp4", count=3000, fps=100, image=lambda number: grey(number % 50))
    (source,) = catalogue(tmp_path / "long.mp4", cache).videos
    assert source.table is not None
    assert source.table.parent == cache
    assert catalogue(tmp_path / "long.mp4", cache).videos == (source,)


def test_joined_recordings_are_remembered(tmp_path: Path, cache: Path) -> None:
    joined = joined_streams(tmp_path / "joined.ts")
    first = catalogue(joined, cache)
    damage(joined)
    assert catalogue(joined, cache) == first
    assert len(first.sources) == 2


def test_without_a_folder_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    catalogue(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
