"""Videos are read by time: these tests ask for moments and look which numbered frame comes back."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from media import (
    HEIGHT,
    STEP,
    WIDTH,
    make_video,
    noise,
    numbers,
    rotated,
    stream_copy,
    trimmed,
)

from data import decoders, decoding, probe
from data.decoding import frames_in_order, read_by_decord, read_frames
from data.errors import MediaError
from data.probe import VideoInfo, probe_video
from data.video import TIME_SLACK, read_clip
from data.video_writing import write_video

FPS = 8
COUNT = 40
UNEVEN = np.cumsum([0, *[0.04, 0.3, 0.1, 0.7] * 9]).tolist()
FINE = {"qmin": "1", "qmax": "2"}
OPEN_GROUPS = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0"}


@pytest.fixture(scope="module")
def uneven(folder: Path) -> VideoInfo:
    return probe_video(make_video(folder / "uneven.mp4", seconds=UNEVEN, gop=12))


def ten_bit(path: Path) -> Path:
    return make_video(path, pixel_format="yuv420p10le")


# Name of the video, how it is made of the plain one, the number its first displayed frame has, its decoder.
KINDS: dict[str, tuple[str, Callable[[Path, Path], Path], int, str]] = {
    "long group": ("a.mp4", shutil.copy, 0, "decord"),
    "short groups": ("b.mp4", lambda _, path: make_video(path, gop=12), 0, "decord"),
    "matroska": ("c.mkv", stream_copy, 0, "decord"),
    "vp9": ("d.webm", lambda _, path: make_video(path, codec="libvpx-vp9", gop=12, b_frames=0), 0, "decord"),
    "edit list": ("e.mp4", lambda video, path: stream_copy(video, path, skip_seconds=1.5), 12, "pyav"),
    "transport stream": ("f.ts", stream_copy, 0, "pyav"),
    "stream cut anywhere": (
        "g.ts",
        lambda _, path: stream_copy(make_video(path.with_suffix(".mp4"), gop=12), path, skip_packets=5),
        12,
        "pyav",
    ),
    "rotated": ("h.mp4", rotated, 0, "pyav"),
    "open groups": ("i.mp4", lambda _, path: make_video(path, gop=12, options=OPEN_GROUPS), 0, "pyav"),
    "mpeg-2": (
        "j.mpg",
        lambda _, path: make_video(path, codec="mpeg2video", fps=25, gop=12, options=FINE),
        0,
        "pyav",
    ),
    "mpeg-4 avi": ("k.avi", lambda _, path: make_video(path, codec="mpeg4", gop=12, options=FINE), 0, "pyav"),
    "trimmed end": ("m.mp4", lambda video, path: trimmed(video, path, 3), 0, "pyav"),
    "10 bits": ("l.mp4", lambda _, path: ten_bit(path), 0, "pyav"),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, folder: Path, plain: Path) -> tuple[VideoInfo, int, str]:
    name, make, first, decoder = KINDS[request.param]
    return probe_video(make(plain, folder / name)), first, decoder


def test_every_kind_of_video_is_read_by_the_decoder_that_can(kind: tuple[VideoInfo, int, str]) -> None:
    info, _, decoder = kind
    assert info.decoder == decoder
    assert bool(info.reason) == (decoder == "pyav")


def test_every_kind_of_video_counts_its_displayed_frames(kind: tuple[VideoInfo, int, str]) -> None:
    info, first, _ = kind
    rate = 25 if info.path.suffix == ".mpg" else FPS
    count = 24 if info.path.name == "m.mp4" else COUNT - first
    np.testing.assert_allclose(info.timestamps, np.arange(count) / rate, atol=1e-3)
    assert info.duration == pytest.approx(count / rate, abs=1e-3)


def test_every_kind_of_video_gives_the_frame_asked_for_in_any_order(kind: tuple[VideoInfo, int, str]) -> None:
    info, first, _ = kind
    order = np.random.default_rng(0).permutation(len(info.timestamps))
    seen = [numbers(read_clip(info, info.timestamps[i], 1, FPS * 8, 48))[0] for i in order]
    assert seen == [first + i for i in order]


def test_every_kind_of_video_gives_its_frames_in_sequence(kind: tuple[VideoInfo, int, str]) -> None:
    info, first, _ = kind
    rate = 25 if info.path.suffix == ".mpg" else FPS
    clip = read_clip(info, 3 / rate, 20, rate, 48)
    assert numbers(clip) == list(range(first + 3, first + 23))


def test_decord_itself_and_not_its_substitute_reads_an_ordinary_video(plain: Path) -> None:
    images = read_by_decord(probe_video(plain), np.array([5, 6, 30]))
    assert images is not None
    assert [round(image.mean() / STEP) for image in images] == [5, 6, 30]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_uneven_frames_are_found_by_their_own_times(folder: Path, suffix: str) -> None:
    video = make_video(folder / f"uneven-again{suffix}", seconds=UNEVEN, gop=12)
    moments = 0.3 + np.arange(30) / 7
    expected = [max(i for i, time in enumerate(UNEVEN) if time <= moment + 1e-3) for moment in moments]
    assert numbers(read_clip(video, 0.3, 30, 7, 48)) == expected


def test_a_gap_in_an_avi_shows_the_frame_before_it(folder: Path) -> None:
    moments = [i / FPS for i in (0, 1, 2, 3, 10, 11, 12, 13)]
    video = folder / "gap.avi"
    make_video(video, codec="ffv1", b_frames=0, seconds=moments, tick=Fraction(1, FPS))
    assert numbers(read_clip(video, 0, 14, FPS, 48)) == [0, 1, 2, *[3] * 7, 4, 5, 6, 7]


@settings(max_examples=40)
@given(start=st.floats(0, 4), fps=st.floats(0.5, 60), frames=st.integers(1, 12))
def test_any_moment_gives_the_latest_frame_before_it(uneven: VideoInfo, start: float, fps: float, frames: int) -> None:
    moments = start + np.arange(frames) / fps
    assume(start + frames / fps <= uneven.duration)
    longer = [gap for gap in uneven.gaps if gap.end - gap.start > frames / fps]
    assume(frames == 1 or not any(gap.start <= moment + TIME_SLACK < gap.end for gap in longer for moment in moments))
    seen = numbers(read_clip(uneven, start, frames, fps, 48))
    for i, number in enumerate(seen):
        moment = start + i / fps
        assert UNEVEN[number] <= moment + TIME_SLACK + 1e-6
        assert number + 1 == len(UNEVEN) or UNEVEN[number + 1] > moment


def test_both_decoders_give_the_same_pixels(folder: Path) -> None:
    video = make_video(folder / "noise.mp4", image=noise, count=24)
    info = probe_video(video)
    clips = [read_clip(replace(info, decoder=name), 0.5, 16, 7, 32) for name in ("decord", "pyav")]
    assert torch.equal(*clips)


def test_a_video_with_two_video_streams_is_left_to_pyav(plain: Path, folder: Path) -> None:
    video = two_streams(plain, folder / "two.mp4")
    assert probe_video(video).reason == "several video streams"
    assert numbers(read_clip(video, 1, 3, FPS, 48)) == [8, 9, 10]


@pytest.mark.parametrize(("last", "decoder"), [(600, "decord"), (601, "pyav")])
def test_a_long_video_is_left_to_pyav_which_opens_it_faster(folder: Path, last: int, decoder: str) -> None:
    video = make_video(folder / f"long-{last}.mp4", seconds=[0, 300, last])
    assert probe_video(video).decoder == decoder
    assert numbers(read_clip(video, 0, 3, 1 / 300, 48)) == [0, 1, 2 if last == 600 else 1]


def test_a_header_that_announces_more_frames_than_there_are_is_left_to_pyav(plain: Path, folder: Path) -> None:
    """Decord 0.6.0 reserves memory for as many as are announced, and ends the process where that fails."""
    data = bytearray(plain.read_bytes())
    # An stts box holds 8 bytes of version, flags and length, then the number of frames of its first entry.
    offset = data.index(b"stts") + 4 + 8
    data[offset : offset + 4] = (2 * COUNT + 1_001).to_bytes(4, "big")
    video = folder / "more.mp4"
    video.write_bytes(data)
    assert "announces too many frames" in probe_video(video).reason
    assert numbers(read_clip(video, 1, 3, FPS, 48)) == [8, 9, 10]


def test_seeking_finds_a_late_frame_at_once(folder: Path) -> None:
    info = probe_video(make_video(folder / "seek.mp4", gop=12))
    decoded = [index for index, _ in decoding._decode_from(info, key=2)]
    assert decoded == list(range(24, 40))
    ((index, image),) = frames_in_order(info, [30])
    assert image is not None
    assert (index, round(image.mean() / STEP)) == (30, 30)


def test_decord_never_passes_copies_off_as_frames(folder: Path) -> None:
    video = stream_copy(make_video(folder / "whole.mp4", gop=12), folder / "headless.mp4", skip_packets=5)
    with av.open(str(video)) as container:
        pts = np.sort([packet.pts for packet in container.demux(video=0) if packet.size])
    as_decord_sees_it = replace(probe_video(video), pts=pts)
    assert read_by_decord(as_decord_sees_it, np.arange(len(pts))) is None


def test_without_decord_pyav_reads_the_same(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_decord = read_clip(plain, 1, 8, FPS, 32)
    monkeypatch.setattr(decoders, "import_decord", lambda: None)
    probe._probe.cache_clear()
    info = probe_video(plain)
    probe._probe.cache_clear()
    assert (info.decoder, info.reason) == ("pyav", "decord is not installed")
    assert torch.equal(read_clip(info, 1, 8, FPS, 32), with_decord)


def test_a_video_that_decord_sees_otherwise_is_read_by_pyav_and_says_so(plain: Path) -> None:
    info = probe_video(plain)
    fewer = replace(info, pts=info.pts[:-1])
    assert read_by_decord(fewer, np.array([5])) is None
    assert numbers(read_clip(fewer, 5 / FPS, 1, FPS, 48)) == [5]
    assert [read_frames(video, np.array([5]))[1] for video in (info, fewer)] == ["decord", "pyav"]


def test_the_decoders_version_can_be_recorded(plain: Path) -> None:
    info = probe_video(plain)
    assert info.decoder_version().startswith("decord 0.")
    assert info.decoder_version("pyav") == f"pyav {av.__version__}"


def test_a_clip_has_the_promised_shape_and_range(plain: Path) -> None:
    clip = read_clip(plain, 0, 16, FPS, 32)
    assert clip.shape == (3, 16, 32, 32)
    assert clip.dtype == torch.float32
    assert -1 <= clip.min() < clip.max() <= 1


def test_a_video_is_shown_as_a_phone_turns_it(folder: Path) -> None:
    upright = np.full((HEIGHT, WIDTH, 3), 40, dtype=np.uint8)
    upright[: HEIGHT // 2, : WIDTH // 2] = 200  # top left, which a quarter turn clockwise puts top right
    stored = make_video(folder / "corner.mp4", image=lambda _: upright)
    info = probe_video(rotated(stored, folder / "corner-rotated.mp4"))
    clip = read_clip(info, 0, 1, FPS, 48)[0, 0]
    assert (info.width, info.height, info.rotation) == (HEIGHT, WIDTH, 90)
    assert [[clip[6, 6] > 0, clip[6, 42] > 0], [clip[42, 6] > 0, clip[42, 42] > 0]] == [
        [False, True],
        [False, False],
    ]


def test_a_random_crop_depends_on_the_seed_alone_and_holds_for_all_frames(folder: Path) -> None:
    video = make_video(folder / "still.mp4", image=lambda _: noise(0), count=16)
    clip = read_clip(video, 0, 16, FPS, 40, "random", seed=3)
    again = read_clip(video, 0, 16, FPS, 40, "random", seed=3)
    others = [read_clip(video, 0, 16, FPS, 40, "random", seed=seed) for seed in range(6)]
    assert torch.equal(clip, again)
    assert len({other.numpy().tobytes() for other in others}) > 1
    assert (clip - clip[:, :1]).abs().mean() < 0.05


def test_sixteen_frames_at_eight_per_second_fill_a_clip_of_sixteen(folder: Path) -> None:
    video = make_video(folder / "sixteen.mp4", count=16)
    assert numbers(read_clip(video, 0, 16, 8, 48)) == list(range(16))


def test_a_clip_may_end_half_a_frame_after_the_video(folder: Path) -> None:
    video = make_video(folder / "short.mp4", fps=20, count=39)
    assert read_clip(video, 0, 16, 8, 48).shape[1] == 16
    with pytest.raises(MediaError, match="at most 15 frames"):
        read_clip(video, 0.06, 16, 8, 48)


def test_a_video_of_one_frame_gives_one_frame(folder: Path) -> None:
    video = make_video(folder / "one.mp4", count=1)
    assert numbers(read_clip(video, 0, 1, FPS, 48)) == [0]


def test_a_clip_longer_than_the_video_is_refused_with_the_length_that_fits(plain: Path) -> None:
    with pytest.raises(MediaError, match=r"is 5\.00 s long.*16 frames at 8 .* need 6\.00 s: at most 8 frames"):
        read_clip(plain, 4, 16, 8, 48)


@pytest.mark.parametrize(
    "wrong", [{"start": -1}, {"start": math.nan}, {"frames": 0}, {"fps": 0}, {"size": 0}, {"crop": "left"}]
)
def test_an_impossible_request_is_refused(plain: Path, wrong: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        read_clip(plain, **{"start": 0, "frames": 2, "fps": 8, "size": 32, **wrong})  # type: ignore[arg-type]


def test_a_changed_file_is_looked_at_again(folder: Path, plain: Path) -> None:
    video = folder / "changing.mp4"
    shutil.copy(plain, video)
    before = len(probe_video(video).timestamps)
    make_video(video, count=10)
    assert (before, len(probe_video(video).timestamps)) == (40, 10)


def test_an_unchanged_file_is_looked_at_once(plain: Path) -> None:
    assert probe_video(plain) is probe_video(str(plain))


def two_streams(video: Path, path: Path) -> Path:
    with av.open(str(video)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        copies = [writer.add_stream_from_template(stream) for _ in range(2)]
        packets = [packet for packet in reader.demux(stream) if packet.dts is not None]
        for copy in copies:
            for packet in packets:
                twin = av.Packet(bytes(packet))
                twin.pts, twin.dts, twin.time_base = packet.pts, packet.dts, stream.time_base
                twin.is_keyframe, twin.stream = packet.is_keyframe, copy
                writer.mux(twin)
    return path


@pytest.mark.parametrize("side", [8, 16, 24, 48])
def test_a_video_a_few_pixels_wide_is_read_right(tmp_path: Path, side: int) -> None:
    clip = torch.linspace(-1, 1, 16)[None, :, None, None].expand(3, 16, side, side)
    write_video(tmp_path / "narrow.mp4", clip, 8)
    assert (read_clip(tmp_path / "narrow.mp4", 0, 16, 8, side) - clip).abs().max() < 0.1


def test_a_video_of_giant_frames_is_refused_from_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOST_PIXELS", 10)
    with pytest.raises(MediaError, match=r"video\.mp4 has frames of \d+x\d+ pixels, over the limit of 10"):
        probe_video(make_video(tmp_path / "video.mp4", count=8))
