"""Folders, files and tar shards become the same list of sources, and whatever is not in it is listed with a reason."""

import io
import os
import socket
import tarfile
from pathlib import Path

import numpy as np
import pytest
from media import make_video, moov_first
from media_kinds import joined_streams
from PIL import Image

from data.errors import MediaError
from data.images import load_image
from data.media import catalogue
from data.skipping import check_skipped, write_skipped
from data.sources import Skipped, Source
from data.split import split_sources


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


def test_litter_of_operating_systems_is_listed_apart(tmp_path: Path) -> None:
    for name in ("._a.png", "__MACOSX/b.png", "Thumbs.db", ".DS_Store", "notes.txt"):
        put(tmp_path / name, b"litter")
    put(tmp_path / "image.png")
    found = catalogue(tmp_path)
    assert [source.name for source in found.sources] == ["image.png"]
    assert [(skip.file, skip.is_media) for skip in found.skipped] == [
        (name, False) for name in (".DS_Store", "._a.png", "Thumbs.db", "__MACOSX/b.png", "notes.txt")
    ]


@pytest.mark.parametrize("content", [{}, {"notes.txt": b"no image"}])
def test_a_folder_without_media_is_refused(tmp_path: Path, content: dict[str, bytes]) -> None:
    for name, text in content.items():
        put(tmp_path / name, text)
    with pytest.raises(MediaError, match="holds no video"):
        catalogue(tmp_path)


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="nowhere does not exist"):
        catalogue(tmp_path / "nowhere")


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "data") == ["linked/a.png"]


def test_a_link_that_leads_back_is_listed_and_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "inner" / "a.png")
    (tmp_path / "inner" / "back").symlink_to(tmp_path)
    found = catalogue(tmp_path)
    assert [source.name for source in found.sources] == ["inner/a.png"]
    assert [(skip.file, skip.is_media) for skip in found.skipped] == [("inner/back", False)]


def test_a_folder_is_searched_once_and_under_its_own_name(tmp_path: Path) -> None:
    put(tmp_path / "b" / "a.png")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    found = catalogue(tmp_path)
    assert [source.name for source in found.sources] == ["b/a.png"]
    assert found.skipped == (Skipped("a", "is a link to b: not searched twice", False),)


def test_links_between_folders_do_not_multiply(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / "data" / str(number)).mkdir(parents=True)
        for name in ("x", "y"):
            (tmp_path / "data" / str(number) / name).symlink_to(tmp_path / "data" / str(number + 1))
    put(tmp_path / "data" / "40" / "a.png")
    assert names(tmp_path / "data" / "0") == ["x/" * 40 + "a.png"]


def test_a_file_is_known_by_its_own_name_rather_than_a_links(tmp_path: Path) -> None:
    put(tmp_path / "b.png")
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    assert names(tmp_path) == ["b.png"]


def test_a_folder_that_cannot_be_searched_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.png")
    # Deeper than a path may be long.
    monkeypatch.chdir(tmp_path)
    for _ in range(50):
        Path("x" * 100).mkdir()
        os.chdir("x" * 100)
    os.chdir(tmp_path)
    found = catalogue(tmp_path)
    assert [source.name for source in found.sources] == ["a.png"]
    (skip,) = found.skipped
    assert (skip.reason, skip.is_media) == ("cannot be read: File name too long", False)


def test_prepared_shards_in_a_folder_are_no_images_of_it(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "shards" / "prepared.json", b"{}")
    make_tar(tmp_path / "shards" / "shard-00000.tar", {"0.png": png()})
    found = catalogue(tmp_path)
    assert [source.name for source in found.sources] == ["a.png"]
    ((name, reason),) = [(skip.file, skip.reason) for skip in found.skipped]
    assert (name, "prepared shards" in reason) == ("shards", True)


@pytest.mark.parametrize("link", ["hard", "soft"])
def test_a_second_name_of_a_file_is_listed_so_that_it_is_not_on_both_sides_of_a_split(
    tmp_path: Path, link: str
) -> None:
    first = put(tmp_path / "a.png")
    if link == "hard":
        (tmp_path / "b.png").hardlink_to(first)
    else:
        (tmp_path / "b.png").symlink_to(first)
    found = catalogue(tmp_path)
    assert [source.name for source in found.sources] == ["a.png"]
    assert found.skipped == (Skipped("b.png", "is the same file as a.png", False),)


def test_pipes_and_sockets_are_listed_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.mp4")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket.png")
        skipped = catalogue(tmp_path).skipped
    assert [skip.file for skip in skipped] == ["pipe.mp4", "socket.png"]
    assert all("is a pipe, socket or device" in skip.reason for skip in skipped)


@pytest.mark.parametrize("suffix", [".WMV", ".3gp", ".flv", ".vob", ".mod", ".dv", ".LRV", ".insv", ".ogv"])
def test_what_cameras_call_their_videos_is_read_as_one(tmp_path: Path, suffix: str) -> None:
    make_video(tmp_path / "video.mp4", count=8).rename(tmp_path / f"video{suffix}")
    assert [source.kind for source in catalogue(tmp_path).sources] == ["video"]


@pytest.mark.parametrize("suffix", [".ppm", ".avif", ".tga", ".jp2"])
def test_less_common_images_are_read(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / f"image{suffix}")
    assert names(tmp_path) == [f"image{suffix}"]


@pytest.mark.parametrize(
    ("name", "program"),
    [("a.tar.gz", "gunzip"), ("a.zip", "unzip"), ("a.tar.zst", "unzstd"), ("a.tgz", "gunzip"), ("a.mp4.xz", "unxz")],
)
def test_packed_files_are_listed_with_what_unpacks_them(tmp_path: Path, name: str, program: str) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / name, b"packed")
    (skip,) = catalogue(tmp_path).skipped
    assert (skip.file, skip.is_media) == (name, True)
    assert f"{program} {name}" in skip.reason


def test_packed_notes_are_no_media(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "a.json.gz", b"packed")
    assert catalogue(tmp_path).skipped == (Skipped("a.json.gz", "is no video or image by its name (.gz)", False),)


def test_files_that_are_no_media_do_not_count_as_unreadable(tmp_path: Path) -> None:
    check_skipped([Skipped(f"{number}.json", "is no video", False) for number in range(9)], 1, tmp_path)


def test_reasons_name_no_place_outside_the_data(tmp_path: Path) -> None:
    put(tmp_path / "good.png")
    put(tmp_path / "a" / "text.mp4", b"no video at all, only text" * 20)
    put(tmp_path / "a" / "cut.png", png()[:40])
    for skip in catalogue(tmp_path).skipped:
        assert str(tmp_path) not in skip.reason
        assert skip.file in skip.reason


def test_a_joined_recording_is_several_sources_of_one_group(tmp_path: Path) -> None:
    joined_streams(tmp_path / "joined.ts")
    found = catalogue(tmp_path)
    assert [(source.name, source.group) for source in found.sources] == [
        ("joined.ts", "joined.ts"),
        ("joined.ts@2", "joined.ts"),
    ]
    assert [source.seconds for source in found.sources] == pytest.approx([2, 2], abs=0.01)


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


def test_a_name_that_is_not_utf8_does_not_stop_anything(tmp_path: Path) -> None:
    name = os.fsdecode(b"k\xe4se.png")
    put(tmp_path / name, b"")
    put(tmp_path / os.fsdecode(b"\xf6l.png"))
    put(tmp_path / "good.png")
    found = catalogue(tmp_path)
    write_skipped(tmp_path / "skipped.csv", found.skipped)
    assert "se.png" in (tmp_path / "skipped.csv").read_text(encoding="utf-8")
    assert [len(part) for part in split_sources(found.sources, 0.5)] == [1, 1]


# Shards


def test_a_pattern_of_shards_keeps_its_leading_zeros(tmp_path: Path) -> None:
    for number in (8, 9, 10):
        make_tar(tmp_path / f"shard-{number:04d}.tar", {f"{number}.png": png(number)})
    assert names(tmp_path / "shard-{0008..0010}.tar") == [
        "shard-0008.tar/8.png",
        "shard-0009.tar/9.png",
        "shard-0010.tar/10.png",
    ]


def test_a_path_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    put(tmp_path / "{1..3}" / "a.png")
    assert names(tmp_path / "{1..3}") == ["a.png"]


def test_what_a_pattern_names_twice_is_used_once(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "a.tar", {"a.png": png()})
    assert names(Path(f"{shard}::{shard}")) == ["a.tar/a.png"]


def test_a_pattern_may_be_longer_than_a_path(tmp_path: Path) -> None:
    shards = [make_tar(tmp_path / f"{number:030d}.tar", {"a.png": png()}) for number in range(60)]
    assert len(names(Path("::".join(map(str, shards))))) == 60


def test_a_pattern_may_name_relative_and_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_tar(tmp_path / "a.tar", {"a.png": png()})
    make_tar(tmp_path / "b.tar", {"b.png": png()})
    assert names(Path(f"a.tar::{tmp_path}/b.tar")) == ["a.tar/a.png", "b.tar/b.png"]


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
    for reason, expected in zip(
        reasons.values(), ("is empty", "web page or other text", "is not a video"), strict=True
    ):
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
    assert [level(source) for source in found.sources] == [10, 20]
    assert [skip.file for skip in found.skipped] == ["shard.tar/link.png"]
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["inner", "secret.png", "shard.tar"]
