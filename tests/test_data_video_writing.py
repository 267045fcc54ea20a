"""Writing videos: what comes back, who can play it, and what a failure leaves."""

from pathlib import Path

import av
import pytest
import torch
from media import (
    STEP,
    numbers,
)
from PIL import Image

from data import video
from data.probe import probe_video
from data.video import read_clip, write_video

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


def test_a_gif_holds_every_frame_and_plays_for_ever(tmp_path: Path) -> None:
    colours = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]]).T[:, :, None, None].expand(3, 3, 8, 8)
    write_video(tmp_path / "video.gif", colours, 10)
    with Image.open(tmp_path / "video.gif") as gif:
        assert (gif.n_frames, gif.info["loop"], gif.info["duration"]) == (3, 0, 100)
        for i in range(3):
            gif.seek(i)
            assert gif.convert("RGB").getpixel((4, 4)) == tuple(255 * (i == j) for j in range(3))


def test_a_failed_write_leaves_the_old_video_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, *_: object) -> None:
        path.write_bytes(b"half a video")
        raise OSError("disk full")

    (tmp_path / "video.mp4").write_bytes(b"old")
    monkeypatch.setattr(video, "_write_mp4", fail)
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
