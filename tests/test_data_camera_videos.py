"""Videos as cameras, phones and old programs write them give the right frames, in any order, or are refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import media_kinds as kinds
import numpy as np
import pytest
from field_pictures import field_pictures
from media import HEIGHT, STEP, WIDTH, numbers

from data import decoding, probe
from data.decoding import frames_in_order, read_frames
from data.errors import MediaError
from data.packets import JoinedVideoError
from data.probe import VideoInfo, probe_video
from data.sources import ByteRange
from data.video import decode_clip, decode_clips, read_clip

FPS = kinds.FPS


def shown(images: Sequence[np.ndarray | None]) -> list[int]:
    """The numbers of grey frames."""
    return [-1 if image is None else round(float(image.mean()) / STEP) for image in images]


def in_sequence(info: VideoInfo) -> list[int]:
    return shown([image for _, image in frames_in_order(info, range(len(info.pts)))])


def in_any_order(info: VideoInfo) -> list[tuple[int, int]]:
    order = np.random.default_rng(0).permutation(len(info.pts))[:25]
    return [(int(index), shown(read_frames(info, np.array([index]))[0])[0]) for index in order]


NUMBERED: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "periodic intra refresh": ("a.mp4", kinds.intra_refresh),
    "packed B-frames": ("b.avi", kinds.packed_bitstream),
    "field pictures": ("c.mts", field_pictures),
    "field pictures in pairs": ("d.ts", lambda path: field_pictures(path, together=True)),
    "a clock that jumps ahead": ("e.mp4", kinds.clock_jump),
    "the default of two tracks": ("f.mp4", kinds.two_tracks),
    "levels from 0 to 255": ("g.mp4", kinds.full_range),
    "motion jpeg": ("h.avi", kinds.motion_jpeg),
    "h264 in avi": ("i.avi", kinds.avi_without_b_frames),
    "a screen at rest": ("j.mp4", kinds.screen_recording),
}


@pytest.fixture(scope="module", params=NUMBERED)
def numbered(request: pytest.FixtureRequest, folder: Path) -> VideoInfo:
    name, make = NUMBERED[request.param]
    return probe_video(make(folder / name))


def test_every_frame_comes_in_sequence(numbered: VideoInfo) -> None:
    assert in_sequence(numbered) == list(range(kinds.COUNT))


def test_every_frame_comes_in_any_order(numbered: VideoInfo) -> None:
    seen = in_any_order(numbered)
    assert [number for _, number in seen] == [index for index, _ in seen]


def test_a_recording_whose_clock_is_set_back_is_offered_in_parts(folder: Path) -> None:
    video = kinds.joined_streams(folder / "joined.ts")
    with pytest.raises(JoinedVideoError, match=r"joined\.ts is 2 recordings in one .*clock is set back") as caught:
        probe_video(video)
    first, second = (probe_video(part) for part in caught.value.parts)
    assert in_sequence(first) == list(range(20))
    assert in_sequence(second) == list(range(20, 40))
    assert [number for _, number in in_any_order(second)] == [20 + index for index, _ in in_any_order(second)]


def test_a_gap_is_told_and_never_bridged_by_a_shorter_clip(folder: Path) -> None:
    info = probe_video(kinds.clock_jump(folder / "gap.mp4", jump=100))
    ((start, end),) = info.gaps
    assert (start, end) == pytest.approx((2, 102))
    with pytest.raises(
        MediaError, match=r"shows no new frame from 2\.00 s to 102\.00 s, .* longer than a clip of 1\.60"
    ):
        read_clip(info, 1, 16, FPS, 48)
    assert numbers(read_clip(info, 0, 16, FPS, 48)) == list(range(16))
    assert numbers(read_clip(info, 102, 16, FPS, 48)) == list(range(20, 36))


def test_a_rest_shorter_than_a_clip_is_part_of_it(folder: Path) -> None:
    info = probe_video(kinds.screen_recording(folder / "rest.mp4"))
    moments = 4.5 + np.arange(10) / 10
    expected = [max(i for i, time in enumerate(kinds.SCREEN_TIMES) if time <= moment + 1e-3) for moment in moments]
    assert numbers(read_clip(info, 4.5, 10, 10, 48)) == expected


@pytest.mark.parametrize("name", kinds.ORIENTATIONS)
def test_a_video_is_shown_as_its_display_matrix_says(folder: Path, name: str) -> None:
    info = probe_video(kinds.oriented(folder / f"{name}.mp4", name))
    expected = kinds.ORIENTATIONS[name].apply(kinds.corners(3))
    (image,), _ = read_frames(info, np.array([3]))
    assert image.shape == expected.shape == (info.height, info.width, 3)
    assert np.abs(image.astype(int) - expected).mean() < 12


def test_a_video_turned_by_an_odd_angle_is_refused(folder: Path) -> None:
    with pytest.raises(MediaError, match="asks to be turned by 45 degrees"):
        probe_video(kinds.turned_by_45_degrees(folder / "odd.mp4"))


def test_the_number_of_tracks_is_known(folder: Path) -> None:
    assert probe_video(kinds.two_tracks(folder / "tracks.mp4")).tracks == 2


@pytest.mark.parametrize("codec", ["libx265", "libx264"])
def test_ten_bits_give_the_colours_of_the_formula(folder: Path, codec: str) -> None:
    info = probe_video(kinds.ten_bit(folder / f"ten-{codec}.mp4", codec))
    (image,), _ = read_frames(info, np.array([2]))
    inner = np.s_[4:-4, 4:-4]
    edges = np.abs(image.astype(int) - kinds.corners(2))[inner]
    assert np.median(edges) <= 2
    assert edges.mean() < 4


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("colours", [kinds.BT709, kinds.BT709_FULL, kinds.BT601], ids=["709", "709 full", "601"])
def test_colours_come_back_as_the_tags_say(folder: Path, codec: str, colours: kinds.Colours) -> None:
    info = probe_video(kinds.coloured(folder / f"{codec}-{colours.matrix}-{colours.range}.mp4", colours, codec))
    for decoder in {info.decoder, "pyav"}:
        (image,), used = read_frames(replace(info, decoder=decoder), np.array([2]))  # type: ignore[arg-type]
        assert used == decoder
        quarter = np.median(image[4 : HEIGHT // 2 - 4, 4 : WIDTH // 2 - 4].astype(int), axis=(0, 1))
        assert np.abs(quarter - (200, 30, 40)).max() <= 3


@pytest.mark.parametrize(("colours", "named"), [(kinds.HDR10, "PQ"), (kinds.HLG, "HLG"), (kinds.BT709, "")])
def test_high_dynamic_range_is_told(folder: Path, colours: kinds.Colours, named: str) -> None:
    info = probe_video(kinds.ten_bit(folder / f"hdr-{colours.transfer}.mp4", colours=colours))
    assert info.hdr.startswith(named)
    assert bool(info.hdr) == bool(named)


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_a_recording_that_was_cut_is_said_to_be_cut(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(MediaError, match="is cut short"):
        probe_video(kinds.cut_recording(tmp_path / f"cut{suffix}"))


def test_what_really_decoded_is_recorded(folder: Path) -> None:
    info = replace(probe_video(kinds.avi_without_b_frames(folder / "who.avi")), decoder="decord")
    assert decode_clip(info, 0, 8, FPS, 48).decoder.startswith(("decord", "pyav"))
    assert decode_clip(replace(info, pts=info.pts[:-1]), 0, 8, FPS, 48).decoder.startswith("pyav")


@pytest.fixture(scope="module", params=[".ts", ".mpg"])
def stream(request: pytest.FixtureRequest, folder: Path) -> VideoInfo:
    return probe_video(kinds.long_stream(folder / f"long{request.param}", count=400))


def test_a_stream_is_entered_where_a_frame_is(stream: VideoInfo) -> None:
    for index in (399, 130, 250, 21):
        (image,), _ = read_frames(stream, np.array([index]))
        assert kinds.read_count(image) == index


def test_a_stream_is_decoded_for_one_group_of_pictures_only(stream: VideoInfo) -> None:
    key = int(np.searchsorted(stream.key_frames, 300, side="right")) - 1
    first, _ = next(iter(decoding._decode_from(stream, key)))
    assert 300 - first <= 60


def test_clips_in_order_are_the_clips_one_by_one(folder: Path) -> None:
    for name, make in (("o.mp4", kinds.intra_refresh), ("p.mts", field_pictures), ("q.avi", kinds.motion_jpeg)):
        info = probe_video(make(folder / name))
        starts = [0.0, 0.1, 0.5, 1.0]
        together = list(decode_clips(info, starts, 4, FPS, 32))
        for start, clip in zip(starts, together, strict=True):
            assert not isinstance(clip, MediaError)
            alone = decode_clip(info, start, 4, FPS, 32)
            assert np.array_equal(clip.levels.numpy(), alone.levels.numpy())


def test_a_clip_that_does_not_fit_costs_no_other(folder: Path) -> None:
    info = probe_video(kinds.clock_jump(folder / "r.mp4", jump=100))
    answers = list(decode_clips(info, [0.0, 1.0, 102.0], 16, FPS, 32))
    assert [isinstance(answer, MediaError) for answer in answers] == [False, True, False]


def test_a_video_that_is_replaced_while_it_is_read_is_never_mixed(tmp_path: Path) -> None:
    video = kinds.motion_jpeg(tmp_path / "changing.avi")
    info = probe_video(video)
    kinds.motion_jpeg(video, count=20)
    with pytest.raises(MediaError, match="was replaced or changed since it was listed"):
        read_clip(info, 0, 4, FPS, 32)


def test_a_part_of_a_file_is_a_video(tmp_path: Path) -> None:
    content = kinds.clock_jump(tmp_path / "inner.mp4").read_bytes()
    (tmp_path / "outer.bin").write_bytes(b"x" * 1000 + content + b"y" * 77)
    info = probe_video(ByteRange(tmp_path / "outer.bin", 1000, len(content)))
    assert in_sequence(info) == list(range(kinds.COUNT))


def test_a_table_on_disk_saves_reading_the_packets(tmp_path: Path) -> None:
    video = kinds.long_stream(tmp_path / "long.ts", count=3100)
    table = tmp_path / "tables" / "long.npz"
    info = probe_video(video, table)
    assert table.exists()
    probe._probe.cache_clear()
    kept = probe_video(video, table)
    assert kept is not info
    assert np.array_equal(kept.pts, info.pts)
    assert (kept.key_frames.tolist(), kept.reason, kept.fps) == (info.key_frames.tolist(), info.reason, info.fps)


@pytest.mark.parametrize("damage", ["other file", "half"])
def test_a_table_of_something_else_is_not_believed(tmp_path: Path, damage: str) -> None:
    video = kinds.long_stream(tmp_path / "long.ts", count=3100)
    table = tmp_path / "long.npz"
    probe_video(video, table)
    probe._probe.cache_clear()
    if damage == "half":
        table.write_bytes(table.read_bytes()[: table.stat().st_size // 2])
    else:
        kinds.long_stream(video, count=3050)
    assert len(probe_video(video, table).pts) == (3100 if damage == "half" else 3050)
