"""Videos that cannot be used are refused by name and defect, and damage never passes as frames."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media import (
    HEIGHT,
    WIDTH,
    grey,
    make_sound,
    make_video,
    moov_first,
    noise,
    numbers,
    packet_places,
    stream_copy,
)
from PIL import Image

from data.decoding import read_frames
from data.errors import MediaError
from data.probe import probe_video
from data.video import read_clip

FPS = 8
COUNT = 40


def cut(video: Path, path: Path) -> Path:
    path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    return path


def cut_with_index(video: Path, path: Path) -> Path:
    return cut(moov_first(video, path), path)


def cut_in_last_frame(video: Path, path: Path) -> Path:
    path.write_bytes(moov_first(video, path).read_bytes()[:-3])
    return path


def stray_stream(video: Path, path: Path) -> Path:
    """Gives one frame of a transport stream to a stream that does not exist."""
    data = bytearray(stream_copy(video, path).read_bytes())
    # A packet has 188 bytes; the second and third hold the mark of a new frame and the stream's number, 256.
    late = [at for at in range(0, len(data), 188) if data[at + 1 : at + 3] == b"\x41\x00"][-5]
    data[late + 2] = 0x31
    path.write_bytes(data)
    return path


def written(content: bytes) -> Callable[[Path, Path], Path]:
    def make(_: Path, path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def image_named_video(_: Path, path: Path) -> Path:
    Image.fromarray(grey(9)).save(path, format="PNG")
    return path


def list_named_video(video: Path, path: Path) -> Path:
    (path.parent / "other.mp4").write_bytes(video.read_bytes())
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    return path


def unknown_codec(video: Path, path: Path) -> Path:
    head, tail = video.read_bytes().rsplit(b"avc1", 1)
    path.write_bytes(head + b"zzzz" + tail)
    return path


def without_key_frame(video: Path, path: Path) -> Path:
    return lose_packet(video, path, 0)


def lose_packet(video: Path, path: Path, index: int) -> Path:
    """Turns one H.264 packet into filler, which decoders skip without complaint."""
    data = bytearray(video.read_bytes())
    offset, size = packet_places(video)[index]
    data[offset : offset + size] = (size - 4).to_bytes(4, "big") + b"\x0c" + b"\xff" * (size - 6) + b"\x80"
    path.write_bytes(data)
    return path


def blank_packet(video: Path, path: Path, index: int | None = None) -> Path:
    """Overwrites the image in one H.264 packet, or in all, with zeros, which decoders report."""
    data = bytearray(video.read_bytes())
    places = packet_places(video)
    for offset, size in places if index is None else [places[index]]:
        data[offset : offset + size] = (size - 4).to_bytes(4, "big") + b"\x65" + bytes(size - 5)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("missing.mp4", lambda _, path: path, "does not exist"),
        ("folder.mp4", lambda _, path: path.mkdir() or path, "is a folder"),
        ("empty.mp4", written(b""), "is empty"),
        ("page.mp4", written(b"<html><body>404 not found</body></html>" * 20), "is not a video"),
        ("cut.mp4", cut, r"cut short: its index \(moov\) is missing"),
        ("cut-late.mp4", cut_with_index, r"cut short: \d+ of 40 frames"),
        ("cut-in-frame.mp4", cut_in_last_frame, "middle of its last frame"),
        ("stray.ts", stray_stream, "is damaged.*copy it again"),
        ("sound.mp4", lambda _, path: make_sound(path), "sound but no images"),
        ("cover.mp3", lambda _, path: make_sound(path, cover=True), "cover image"),
        ("image.mp4", image_named_video, "is a still image"),
        ("list.avi", list_named_video, "is not a video"),
        ("unknown.mp4", unknown_codec, "codec that is not known here; convert it"),
        ("headless.mp4", without_key_frame, "no frame that can be decoded"),
        ("blank.mp4", blank_packet, "first frame cannot be decoded"),
        (
            "reordered.avi",
            lambda _, path: make_video(path),
            "does not say at what times.*ffmpeg -i reordered.avi",
        ),
    ],
)
def test_an_unusable_file_is_named_with_its_defect(
    plain: Path, tmp_path: Path, name: str, make: Callable[[Path, Path], Path], message: str
) -> None:
    video = make(plain, tmp_path / name)
    with pytest.raises(MediaError, match=message) as caught:
        probe_video(video)
    assert str(video) in str(caught.value)


def test_an_image_size_that_changes_on_the_way_is_refused(tmp_path: Path) -> None:
    larger = np.full((2 * HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    parts = [
        make_video(tmp_path / "one.ts", seconds=[i / FPS for i in range(20)]),
        make_video(tmp_path / "two.ts", seconds=[2.75 + i / FPS for i in range(20)], image=lambda _: larger),
    ]
    video = tmp_path / "both.ts"
    video.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert numbers(read_clip(video, 0, 16, FPS, 48)) == list(range(16))
    with pytest.raises(MediaError, match="changes its image size"):
        read_clip(video, 1, 20, FPS, 48)


def test_pyav_refuses_a_frame_whose_damage_the_decoder_patched_up(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", image=lambda i: np.roll(noise(0), 3 * i, axis=1))
    data = bytearray(video.read_bytes())
    offset, size = packet_places(video)[1]
    for place in range(offset + 12, offset + size - 2, 3):
        data[place] ^= 0x55
    video.write_bytes(data)
    with pytest.raises(MediaError, match="damaged: the frame at"):
        read_frames(replace(probe_video(video), decoder="pyav"), np.arange(COUNT))


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize("damage", [lose_packet, blank_packet])
def test_a_lost_frame_is_never_replaced_by_its_neighbour(
    plain: Path, tmp_path: Path, damage: Callable[[Path, Path, int], Path], decoder: str
) -> None:
    info = replace(probe_video(damage(plain, tmp_path / "lost.mp4", COUNT - 1)), decoder=decoder)
    with pytest.raises(MediaError, match="damaged: the frame at 4"):
        read_clip(info, 3, 16, FPS, 48)
