"""Writing videos: what comes back, who can play it, and what a failure leaves."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media import STEP, numbers
from PIL import Image

from data import video_writing
from data.probe import probe_video
from data.video import read_clip
from data.video_writing import write_video

FPS = 8


@pytest.mark.parametrize("size", [(48, 64), (17, 13)])
def test_an_mp4_reads_back_as_it_was_written(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = torch.stack([torch.full((3, *size), i * STEP / 127.5 - 1) for i in range(20)], dim=1)
    write_video(tmp_path / "video.mp4", clip, FPS)
    info = probe_video(tmp_path / "video.mp4")
    assert (info.height, info.width) == tuple(side + side % 2 for side in size)
    assert numbers(read_clip(info, 0, 20, FPS, 12)) == list(range(20))


def test_an_mp4_is_of_the_kind_that_browsers_play(tmp_path: Path) -> None:
    write_video(tmp_path / "video.mp4", torch.zeros(3, 4, 16, 16), 12.5)
    with av.open(str(tmp_path / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 12.5


def colour(rgb: tuple[int, int, int], side: int, frames: int = 2) -> torch.Tensor:
    """(3, frames, side, side) in [-1, 1] of one colour."""
    return (torch.tensor(rgb) / 127.5 - 1)[:, None, None, None].expand(3, frames, side, side)


@pytest.mark.parametrize("side", [64, 720])
def test_an_mp4_says_how_its_colours_are_coded_in_the_stream_and_in_the_container(tmp_path: Path, side: int) -> None:
    write_video(tmp_path / "video.mp4", colour((200, 30, 40), side), FPS)
    with av.open(str(tmp_path / "video.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
    # Primaries, transfer and matrix in two bytes each, 1 for BT.709, then a bit that is set for full range.
    assert b"colrnclx" + bytes([0, 1, 0, 1, 0, 1, 0]) in (tmp_path / "video.mp4").read_bytes()


@pytest.mark.parametrize(
    "rgb", [(200, 30, 40), (30, 200, 40), (40, 30, 200), (255, 255, 0), (224, 172, 140), (0, 0, 0)]
)
@pytest.mark.parametrize("side", [64, 720])
def test_colours_are_coded_by_the_formulas_of_bt709(tmp_path: Path, rgb: tuple[int, int, int], side: int) -> None:
    write_video(tmp_path / "video.mp4", colour(rgb, side), FPS)
    red, green, blue = (level / 255 for level in rgb)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    samples = [16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748]
    with av.open(str(tmp_path / "video.mp4")) as container:
        frame = next(container.decode(video=0))
    for plane, sample in zip(frame.planes, samples, strict=True):
        assert abs(memoryview(plane)[0] - sample) <= 1
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - rgb).max() <= 3
    assert (read_clip(tmp_path / "video.mp4", 0, 1, FPS, 64) - colour(rgb, 64, 1)).abs().max() <= 3 / 127.5


def test_a_gif_holds_every_frame_and_plays_for_ever(tmp_path: Path) -> None:
    colours = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]]).T[:, :, None, None].expand(3, 3, 8, 8)
    write_video(tmp_path / "video.gif", colours, 10)
    with Image.open(tmp_path / "video.gif") as gif:
        assert (gif.n_frames, gif.info["loop"], gif.info["duration"]) == (3, 0, 100)
        for i in range(3):
            gif.seek(i)
            assert gif.convert("RGB").getpixel((4, 4)) == tuple(255 * (i == j) for j in range(3))


@pytest.mark.parametrize(("fps", "delays"), [(8, [120, 130, 130, 120]), (15, [70, 60, 70, 70]), (24, [40, 40, 40, 50])])
def test_the_times_of_a_gif_are_rounded_to_hundredths(tmp_path: Path, fps: float, delays: list[int]) -> None:
    clip = torch.linspace(-1, 1, 4)[None, :, None, None].expand(3, 4, 8, 8)
    write_video(tmp_path / "video.gif", clip, fps)
    assert [delay for delay, _ in gif_frames(tmp_path / "video.gif")] == delays


@pytest.mark.parametrize("levels", [[0, 0, 50, 50, 50, 0], [0, 0, 0, 0, 0, 0], [0, 50, 50, 50, 50, 50]])
def test_equal_frames_of_a_gif_are_shown_for_their_time(tmp_path: Path, levels: list[int]) -> None:
    clip = (torch.tensor(levels) / 127.5 - 1)[None, :, None, None].expand(3, 6, 8, 8)
    write_video(tmp_path / "video.gif", clip, 10)
    shown = [level for delay, level in gif_frames(tmp_path / "video.gif") for _ in range(delay // 100)]
    assert shown == levels


@pytest.mark.parametrize("fps", [60, 120, 1000])
def test_a_gif_of_more_frames_than_players_show_lasts_as_long_as_its_video(tmp_path: Path, fps: float) -> None:
    clip = torch.linspace(-1, 1, 200)[None, :, None, None].expand(3, 200, 8, 8)
    write_video(tmp_path / "video.gif", clip, fps)
    delays = [delay for delay, _ in gif_frames(tmp_path / "video.gif")]
    assert min(delays) >= 20
    assert abs(sum(delays) - 200_000 / fps) <= 20


def test_a_single_frame_gif_is_written(tmp_path: Path) -> None:
    write_video(tmp_path / "video.gif", colour((255, 0, 0), 8, frames=1), 1000)
    assert gif_frames(tmp_path / "video.gif") == [(20, 76)]


def gif_frames(path: Path) -> list[tuple[int, int]]:
    """Milliseconds and grey level of every frame."""
    with Image.open(path) as gif:
        frames = []
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append((gif.info["duration"], gif.convert("L").getpixel((4, 4))))
        return frames


def test_a_failed_write_leaves_the_old_video_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, *_: object) -> None:
        path.write_bytes(b"half a video")
        raise OSError("disk full")

    (tmp_path / "video.mp4").write_bytes(b"old")
    monkeypatch.setattr(video_writing, "_write_mp4", fail)
    with pytest.raises(OSError, match="disk full"):
        write_video(tmp_path / "video.mp4", torch.zeros(3, 2, 8, 8), FPS)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("video.mp4", b"old")]


@pytest.mark.parametrize(
    ("name", "shape", "fps", "message"),
    [
        ("video.avi", (3, 2, 8, 8), 8, "mp4 or .gif"),
        ("video.mp4", (2, 8, 8), 8, "clip"),
        ("video.mp4", (3, 2, 8, 8), 0, "fps"),
    ],
)
def test_a_video_that_cannot_be_written_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], fps: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / name, torch.zeros(shape), fps)


def test_the_same_clip_gives_the_same_bytes(tmp_path: Path) -> None:
    clip = torch.rand(3, 16, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    videos = set()
    for _ in range(20):
        write_video(tmp_path / "video.mp4", clip, 8)
        videos.add((tmp_path / "video.mp4").read_bytes())
    assert len(videos) == 1
