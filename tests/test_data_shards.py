"""Tar shards as others make them: every member is used or listed, and damage costs only what it hit."""

import gzip
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from media import make_video
from media_kinds import joined_streams
from PIL import Image

from data.images import load_image
from data.media import catalogue
from data.probe import probe_video
from data.sources import Source
from data.video import read_clip


def png(level: int = 0, side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), level, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as shard:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))
    return path


def overwrite_header(shard: Path, name: str, size: int, kind: bytes = tarfile.REGTYPE) -> int:
    """Announces another size or kind of a member, with a valid checksum, and returns where its header is."""
    content = bytearray(shard.read_bytes())
    begin = content.index(name.encode())
    header = tarfile.TarInfo(name)
    header.size = size
    header.type = kind
    content[begin : begin + 512] = header.tobuf(tarfile.GNU_FORMAT)
    shard.write_bytes(content)
    return begin


def level(source: Source) -> int:
    pixel = load_image(source.image_bytes()).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


def used(path: Path) -> dict[str, int]:
    return {source.name.partition("/")[2]: level(source) for source in catalogue(path).sources}


def listed(path: Path) -> dict[str, str]:
    return {skip.file: skip.reason for skip in catalogue(path).skipped}


def test_videos_are_read_in_place(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", count=16)
    shard = make_tar(tmp_path / "shard.tar", {"a.png": png(), "b.mp4": video.read_bytes(), "c.png": png(3)})
    (source,) = catalogue(shard).videos
    assert (source.name, source.seconds) == ("shard.tar/b.mp4", pytest.approx(2))
    inside = read_clip(probe_video(source.bytes_of_file), 0.5, 8, 8, 32)
    assert inside.equal(read_clip(video, 0.5, 8, 8, 32))


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar program")
@pytest.mark.parametrize(
    "format", ["gnu", "pax --sparse-version=0.0", "pax --sparse-version=0.1", "pax --sparse-version=1.0"]
)
def test_sparse_members_have_the_pixels_that_unpacking_gives(tmp_path: Path, format: str) -> None:
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[:32] = np.random.default_rng(0).integers(0, 256, (32, 256, 3))
    pixels[200:, 100:] = (200, 30, 60)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    content = buffer.getvalue()
    with (tmp_path / "holes.bmp").open("wb") as file:
        for start in range(0, len(content), 4096):
            if content[start : start + 4096].strip(b"\0"):
                file.seek(start)
                file.write(content[start : start + 4096])
        file.truncate(len(content))
    options = f"--format={format}".split()
    subprocess.run(["tar", "-S", *options, "-C", tmp_path, "-cf", tmp_path / "shard.tar", "holes.bmp"], check=True)
    (source,) = catalogue(tmp_path / "shard.tar").sources
    assert np.array_equal(np.asarray(load_image(source.image_bytes())), pixels)


def test_links_are_listed(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {"a.png": png(10)})
    with tarfile.open(shard, "a") as tar:
        for name, kind in (
            ("hard.png", tarfile.LNKTYPE),
            ("soft.png", tarfile.SYMTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "a.png"
            tar.addfile(member)
    assert used(shard) == {"a.png": 10}
    assert listed(shard) == {
        "shard.tar/hard.png": "is a hard link to a.png",
        "shard.tar/soft.png": "is a link to a.png: links are not followed in shards",
        "shard.tar/pipe.png": "is a pipe or device",
    }


def test_joined_tars_are_read_to_the_end(tmp_path: Path) -> None:
    parts = [make_tar(tmp_path / f"{n}.part", {f"{n}a.png": png(n), f"{n}b.png": png(n + 1)}) for n in (10, 20)]
    shard = tmp_path / "shard.tar"
    shard.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert used(shard) == {"10a.png": 10, "10b.png": 11, "20a.png": 20, "20b.png": 21}
    assert listed(shard) == {}


def test_a_damaged_header_costs_one_member_and_is_told(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {f"{n}.png": png(n) for n in range(6)})
    content = bytearray(shard.read_bytes())
    begin = content.index(b"2.png")
    content[begin : begin + 148] = bytes(range(148))
    shard.write_bytes(content)
    assert used(shard) == {f"{n}.png": n for n in (0, 1, 3, 4, 5)}
    ((name, reason),) = listed(shard).items()
    assert name == "shard.tar"
    assert f"is damaged: 1,024 bytes from byte {begin:,} on were passed over" in reason


def test_of_a_cut_shard_the_whole_members_are_used(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {f"{n}.png": png(n, 64) for n in range(6)})
    content = shard.read_bytes()
    shard.write_bytes(content[: content.index(b"4.png") + 540])
    assert used(shard) == {f"{n}.png": n for n in range(4)}
    assert "is cut short" in listed(shard)["shard.tar/4.png"]


@pytest.mark.parametrize("size", [1 << 40, -512])
def test_an_odd_size_in_a_header_costs_one_member_and_the_rest_goes_on(tmp_path: Path, size: int) -> None:
    shard = make_tar(tmp_path / "shard.tar", {f"{n}.png": png(n) for n in range(4)})
    begin = overwrite_header(shard, "1.png", size=size)
    assert used(shard) == {f"{n}.png": n for n in (0, 2, 3)}
    ((name, reason),) = listed(shard).items()
    assert name == "shard.tar"
    assert f"is damaged: 1,024 bytes from byte {begin:,} on were passed over" in reason


@pytest.mark.parametrize("size", [1 << 40, -512])
@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_announces_a_giant_one_takes_no_memory(tmp_path: Path, kind: bytes, size: int) -> None:
    shard = make_tar(tmp_path / "shard.tar", {f"{n}.png": png(n) for n in range(4)})
    overwrite_header(shard, "1.png", size=size, kind=kind)
    assert used(shard) == {f"{n}.png": n for n in (0, 2, 3)}
    assert list(listed(shard)) == ["shard.tar"]


def test_all_damage_of_a_shard_is_one_line(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {f"{n}.png": png(n) for n in range(6)})
    for number in (0, 2, 4):
        overwrite_header(shard, f"{number}.png", size=1 << 40)
    assert used(shard) == {f"{n}.png": n for n in (1, 3, 5)}
    ((name, reason),) = listed(shard).items()
    assert name == "shard.tar"
    assert "is damaged: 3,072 bytes in 3 places were passed over" in reason


def test_a_shard_whose_end_is_only_zeros_is_told(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {"a.png": png(1)})
    with shard.open("r+b") as file:
        file.truncate(1 << 25)
    assert used(shard) == {"a.png": 1}
    assert "nothing but zeros" in listed(shard)["shard.tar"]


@pytest.mark.parametrize("missing", [0, 100])
def test_a_shard_that_ends_behind_an_entry_may_be_cut_short(tmp_path: Path, missing: int) -> None:
    shard = make_tar(tmp_path / "shard.tar", {"a.png": png(1), "b.png": png(2)})
    content = shard.read_bytes()
    end = content.index(b"b.png") + 512 + -(-len(png(2)) // 512) * 512
    shard.write_bytes(content[: end - missing])
    assert used(shard) == {"a.png": 1, "b.png": 2}
    assert listed(shard) == {"shard.tar": "ends without the zeros that mark the end of an archive: it may be cut short"}


def test_a_member_that_is_there_twice_is_listed(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {"a.png": png(1), "b.png": png(2)})
    with tarfile.open(shard, "a") as tar:
        member = tarfile.TarInfo("a.png")
        member.size = len(png(3))
        tar.addfile(member, io.BytesIO(png(3)))
    assert used(shard) == {"a.png": 3, "b.png": 2}
    assert listed(shard) == {"shard.tar/a.png": "is there more than once: the last one is used"}


def test_empty_members_count_as_unreadable_only_if_they_pass_for_media(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {"a.png": b"", "a.txt": b"", "b.png": png(), "b.txt": b"text"})
    assert [(skip.file, skip.is_media) for skip in catalogue(shard).skipped] == [
        ("shard.tar/a.png", True),
        ("shard.tar/*.txt", False),
    ]


def test_litter_in_a_shard_is_listed(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {"a.png": png(), "._a.png": b"litter", "__MACOSX/b.png": b"litter"})
    assert [(skip.file, skip.is_media) for skip in catalogue(shard).skipped] == [
        ("shard.tar/._a.png", False),
        ("shard.tar/__MACOSX/b.png", False),
    ]


def test_a_shard_without_a_file_is_listed(tmp_path: Path) -> None:
    make_tar(tmp_path / "a.tar", {"a.png": png()})
    make_tar(tmp_path / "b.tar", {})
    assert listed(tmp_path) == {"b.tar": "holds no file"}


def test_an_empty_shard_is_listed(tmp_path: Path) -> None:
    make_tar(tmp_path / "a.tar", {"a.png": png()})
    (tmp_path / "b.tar").write_bytes(b"")
    assert "is empty (0 bytes)" in listed(tmp_path)["b.tar"]


def test_a_packed_shard_says_what_packed_it(tmp_path: Path) -> None:
    make_tar(tmp_path / "a.tar", {"a.png": png()})
    (tmp_path / "b.tar").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    assert "is packed with gzip" in listed(tmp_path)["b.tar"]


@pytest.mark.parametrize("map_of_holes", ["0,100,50,100", "0,-5", "0,100,9999999,10", "x"])
def test_a_wrong_map_of_holes_costs_one_member(tmp_path: Path, map_of_holes: str) -> None:
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.png", "b.png", "c.png"):
            member = tarfile.TarInfo(name)
            member.size = 512
            if name == "b.png":
                member.pax_headers = {"GNU.sparse.map": map_of_holes, "GNU.sparse.size": "1000"}
            tar.addfile(member, io.BytesIO(png().ljust(512, b"\0")))
    assert list(used(shard)) == ["a.png", "c.png"]
    assert len(listed(shard)) == 1


def test_a_sparse_member_of_absurd_size_takes_no_memory(tmp_path: Path) -> None:
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.png", "b.png"):
            member = tarfile.TarInfo(name)
            member.size = 512
            if name == "b.png":
                member.pax_headers = {"GNU.sparse.map": "0,512", "GNU.sparse.size": str(1 << 50)}
            tar.addfile(member, io.BytesIO(png().ljust(512, b"\0")))
    assert list(used(shard)) == ["a.png"]
    assert "map of its holes" in listed(shard)["shard.tar/b.png"]


def test_of_a_sample_the_plainest_image_is_taken(tmp_path: Path) -> None:
    members = {"x.png": png(1), "x.seg.png": png(2), "y.jpg.png": png(3), "d/z.depth.png": png(4), "d/z.png": png(5)}
    shard = make_tar(tmp_path / "shard.tar", members)
    assert used(shard) == {"x.png": 1, "y.jpg.png": 3, "d/z.png": 5}
    assert listed(shard) == {
        "shard.tar/x.seg.png": "lies beside x.png: of a sample, .png is taken",
        "shard.tar/d/z.depth.png": "lies beside d/z.png: of a sample, .png is taken",
    }


def test_names_with_numbers_behind_a_dot_are_no_companions(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {f"img.{n:04d}.png": png(n) for n in range(3)})
    assert used(shard) == {f"img.{n:04d}.png": n for n in range(3)}


def test_of_several_plain_images_of_a_sample_the_first_kind_is_taken(tmp_path: Path) -> None:
    shard = make_tar(tmp_path / "shard.tar", {"x.png": png(1), "x.bmp": png(2), "x.webp": png(3), "x.seg.jpg": png(4)})
    assert used(shard) == {"x.png": 1}
    assert set(listed(shard).values()) == {"lies beside x.png: of a sample, .png is taken"}


def test_the_video_and_the_image_of_a_sample_are_both_used(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", count=8).read_bytes()
    shard = make_tar(tmp_path / "shard.tar", {"x.mp4": video, "x.png": png(1), "x.depth.mp4": video})
    assert [source.name for source in catalogue(shard).sources] == ["shard.tar/x.mp4", "shard.tar/x.png"]
    assert list(listed(shard)) == ["shard.tar/x.depth.mp4"]


def test_a_joined_recording_in_a_shard_is_read_in_parts(tmp_path: Path) -> None:
    content = joined_streams(tmp_path / "joined.ts").read_bytes()
    shard = make_tar(tmp_path / "shard.tar", {"a.png": png(), "b.ts": content})
    assert [(source.name, source.group) for source in catalogue(shard).videos] == [
        ("shard.tar/b.ts", "shard.tar/b.ts"),
        ("shard.tar/b.ts@2", "shard.tar/b.ts"),
    ]


def test_what_else_a_sample_holds_is_counted(tmp_path: Path) -> None:
    members = {f"{n}{suffix}": content for n in range(3) for suffix, content in ((".png", png()), (".cls", b"3"))}
    shard = make_tar(tmp_path / "shard.tar", members)
    (skip,) = catalogue(shard).skipped
    assert (skip.file, skip.reason, skip.is_media) == (
        "shard.tar/*.cls",
        "is no video or image by its name (3 files)",
        False,
    )
