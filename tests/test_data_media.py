"""Folders, files and tar shards become the same list of sources, and whatever is not in it is listed with a reason."""

import csv
import io
import itertools
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media import make_video, moov_first
from PIL import Image

from data.errors import MediaError
from data.images import load_image
from data.items import split
from data.media import catalogue, check_skipped, expand_braces, write_skipped
from data.sources import Skipped, Source


def png(level: int = 0) -> bytes:
    """A small grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png() if content is None else content)
    return path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as shard:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))
    return path


def level(source: Source) -> int:
    pixel = load_image(source.image_bytes()).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


def names(path: Path) -> list[str]:
    return [source.name for source in catalogue(path).sources]


# Finding


def test_a_folder_is_searched_through_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.jpg", "a/b/c.png"):
        put(tmp_path / name)
    assert names(tmp_path) == ["a/b/c.png", "a/z.jpg", "b.png"]


def test_videos_know_how_long_they_last(tmp_path: Path) -> None:
    make_video(tmp_path / "video.mp4", count=12)
    put(tmp_path / "image.png")
    (video,) = catalogue(tmp_path).videos
    assert (video.name, video.kind) == ("video.mp4", "video")
    assert video.seconds == pytest.approx(1.5)


@pytest.mark.parametrize("suffix", [".PNG", ".Jpg", ".JPE", ".jfif"])
def test_suffixes_count_in_any_case(tmp_path: Path, suffix: str) -> None:
    put(tmp_path / f"image{suffix}")
    assert names(tmp_path) == [f"image{suffix}"]


def test_a_video_suffix_counts_in_any_case(tmp_path: Path) -> None:
    make_video(tmp_path / "video.mp4", count=8).rename(tmp_path / "VIDEO.MP4")
    assert [source.kind for source in catalogue(tmp_path).sources] == ["video"]


def test_a_file_of_its_own_is_a_source(tmp_path: Path) -> None:
    assert names(put(tmp_path / "image.png")) == ["image.png"]


def test_a_named_file_is_tried_whatever_it_is_called(tmp_path: Path) -> None:
    assert names(put(tmp_path / "image.data")) == ["image.data"]


def test_litter_of_operating_systems_is_passed_over(tmp_path: Path) -> None:
    for name in ("._a.png", "__MACOSX/b.png", "Thumbs.db", ".DS_Store", "notes.txt"):
        put(tmp_path / name, b"litter")
    put(tmp_path / "image.png")
    found = catalogue(tmp_path)
    assert ([source.name for source in found.sources], found.skipped) == (["image.png"], ())


@pytest.mark.parametrize("content", [{}, {"notes.txt": b"no image"}])
def test_a_folder_without_media_is_refused(tmp_path: Path, content: dict[str, bytes]) -> None:
    for name, text in content.items():
        put(tmp_path / name, text)
    with pytest.raises(MediaError, match="holds no video"):
        catalogue(tmp_path)


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="nowhere does not exist"):
        catalogue(tmp_path / "nowhere")


# What cannot be used


def test_unreadable_files_are_listed_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path / "good.png")
    put(tmp_path / "empty.png", b"")
    put(tmp_path / "text.mp4", b"no video at all, only text" * 20)
    whole = moov_first(make_video(tmp_path / "whole.mp4"), tmp_path / "cut.mp4")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    reasons = {skip.file: skip.reason for skip in catalogue(tmp_path).skipped}
    assert sorted(reasons) == ["cut.mp4", "empty.png", "text.mp4"]
    assert "is cut short" in reasons["cut.mp4"]
    assert "is empty" in reasons["empty.png"]
    assert "is not a video" in reasons["text.mp4"]


def test_a_link_to_a_file_that_is_gone_is_listed(tmp_path: Path) -> None:
    put(tmp_path / "good.png")
    for name in ("gone.png", "gone.mp4"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    skipped = catalogue(tmp_path).skipped
    assert [skip.file for skip in skipped] == ["gone.mp4", "gone.png"]
    assert all("does not exist" in skip.reason for skip in skipped)


def test_more_than_half_unreadable_stops_with_the_reasons(tmp_path: Path) -> None:
    bad = [Skipped(f"{number}.png", f"reason {number}") for number in range(5)]
    with pytest.raises(MediaError, match=r"5 of 9 files .*0\.png: reason 0.*2\.png: reason 2\)"):
        check_skipped(bad, 9, tmp_path)


def test_half_unreadable_is_tolerated(tmp_path: Path) -> None:
    check_skipped([Skipped("a.png", "empty")] * 2, 4, tmp_path)


def test_the_list_of_skipped_files_is_a_csv(tmp_path: Path) -> None:
    write_skipped(tmp_path / "new" / "skipped.csv", [Skipped("a, b.png", 'says "no"')])
    with (tmp_path / "new" / "skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["file", "reason", "is_media"], ["a, b.png", 'says "no"', "True"]]


def test_a_name_that_is_not_utf8_does_not_stop_anything(tmp_path: Path) -> None:
    name = os.fsdecode(b"k\xe4se.png")
    put(tmp_path / name, b"")
    put(tmp_path / os.fsdecode(b"\xf6l.png"))
    put(tmp_path / "good.png")
    found = catalogue(tmp_path)
    write_skipped(tmp_path / "skipped.csv", found.skipped)
    assert "se.png" in (tmp_path / "skipped.csv").read_text(encoding="utf-8")
    assert [len(part) for part in split(found.sources, 0.5)] == [1, 1]


# Shards


def test_a_pattern_of_shards_keeps_its_leading_zeros(tmp_path: Path) -> None:
    for number in (8, 9, 10):
        make_tar(tmp_path / f"shard-{number:04d}.tar", {f"{number}.png": png(number)})
    assert names(tmp_path / "shard-{0008..0010}.tar") == [
        "shard-0008.tar/8.png",
        "shard-0009.tar/9.png",
        "shard-0010.tar/10.png",
    ]


@given(first=st.integers(0, 120), length=st.integers(1, 30), digits=st.integers(1, 4))
def test_a_brace_range_names_every_shard_once(first: int, length: int, digits: int) -> None:
    last = first + length - 1
    expected = [f"a-{number:0{digits}d}.tar" for number in range(first, last + 1)]
    assert expand_braces(f"a-{{{first:0{digits}d}..{last}}}.tar") == expected


def test_two_brace_ranges_give_every_pair() -> None:
    assert expand_braces("{0..1}/s{0..1}") == ["0/s0", "0/s1", "1/s0", "1/s1"]


def test_a_shard_that_is_missing_from_a_pattern_is_named(tmp_path: Path) -> None:
    make_tar(tmp_path / "shard-0.tar", {"a.png": png()})
    with pytest.raises(MediaError, match=r"shard-1\.tar does not exist"):
        catalogue(tmp_path / "shard-{0..1}.tar")


def test_equal_names_in_several_folders_stay_apart(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path / f"part-{number}" / "a.png")
    assert names(tmp_path / "part-{0..1}") == ["part-0/a.png", "part-1/a.png"]


def test_members_are_read_in_place(tmp_path: Path) -> None:
    make_tar(tmp_path / "shard.tar", {"a.png": png(10), "a.json": b"{}", "b.png": png(20)})
    before = sorted(tmp_path.iterdir())
    assert [level(source) for source in catalogue(tmp_path).sources] == [10, 20]
    assert sorted(tmp_path.iterdir()) == before


def test_of_two_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    make_tar(tmp_path / "shard.tar", {"a.png": png(10)})
    make_tar(tmp_path / "shard.tar", {"a.png": png(20)}, "a")
    assert [level(source) for source in catalogue(tmp_path).sources] == [20]


def test_an_unreadable_member_is_listed(tmp_path: Path) -> None:
    make_tar(tmp_path / "shard.tar", {"a.png": png(), "b.png": b"", "c.png": b"<html>", "d.mp4": b"video"})
    reasons = {skip.file: skip.reason for skip in catalogue(tmp_path).skipped}
    assert list(reasons) == ["shard.tar/b.png", "shard.tar/c.png", "shard.tar/d.mp4"]
    for reason, expected in zip(reasons.values(), ("is empty", "web page or other text", "unpack them"), strict=True):
        assert expected in reason


@pytest.mark.parametrize("mode", ["w:gz", "text"])
def test_a_shard_that_cannot_be_read_in_place_is_listed_and_the_others_are_used(tmp_path: Path, mode: str) -> None:
    make_tar(tmp_path / "shard-0.tar", {"a.png": png()})
    if mode == "text":
        put(tmp_path / "shard-1.tar", b"no tar at all" * 100)
    else:
        make_tar(tmp_path / "shard-1.tar", {"a.png": png()}, mode)
    found = catalogue(tmp_path)
    assert [source.name for source in found.sources] == ["shard-0.tar/a.png"]
    assert [skip.file for skip in found.skipped] == ["shard-1.tar"]
    assert "not a readable, uncompressed tar" in found.skipped[0].reason


def test_a_malicious_shard_is_harmless(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    secret = put(tmp_path / "secret.png", png(99))
    path = make_tar(tmp_path / "inner" / "shard.tar", {"../escaped.png": png(10), "/absolute.png": png(20)})
    with tarfile.open(path, "a") as shard:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        shard.addfile(link)
    found = catalogue(path)
    assert ([level(source) for source in found.sources], found.skipped) == ([10, 20], ())
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["inner", "secret.png", "shard.tar"]


# Splitting


def sources(count: int) -> list[Source]:
    return [Source(f"{number:02d}.mp4", Path(f"{number:02d}.mp4"), "video") for number in range(count)]


@given(count=st.integers(2, 60), fraction=st.floats(0, 1))
def test_a_split_shares_no_source_and_leaves_none_out(count: int, fraction: float) -> None:
    training, validation = split(sources(count), fraction)
    assert training
    assert validation
    assert sorted(training + validation, key=lambda source: source.name) == sorted(
        sources(count), key=lambda source: source.name
    )


@settings(max_examples=30)
@given(order=st.permutations(range(12)))
def test_a_split_does_not_depend_on_the_order_of_the_sources(order: list[int]) -> None:
    every = sources(12)
    assert split([every[place] for place in order], 0.3) == split(every, 0.3)


def test_a_split_holds_out_the_fraction_asked_for() -> None:
    assert [len(part) for part in split(sources(40), 0.1)] == [36, 4]


def test_a_split_picks_other_places_than_the_first_names() -> None:
    held_out = [int(source.path.stem) for source in split(sources(40), 0.5)[1]]
    assert any(after - before > 1 for before, after in itertools.pairwise(held_out))


@pytest.mark.parametrize("count", [0, 1])
def test_one_source_cannot_be_split(count: int) -> None:
    with pytest.raises(MediaError, match="at least two files"):
        split(sources(count), 0.1)
