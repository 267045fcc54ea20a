"""What a video holds, learned from its packets and its first frames, and which decoder is to read it."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from data.errors import MediaError
from data.packets import (
    DAMAGE,
    STREAMS,
    UNKNOWN,
    JoinedVideoError,
    Packets,
    codec_name,
    conversion_hint,
    open_video,
    read_packets,
    video_stream,
    video_streams,
)
from data.sources import ByteRange, Stamp, Stretch
from storage.files import atomic_write

__all__ = ["VIDEO_SUFFIXES", "JoinedVideoError", "VideoInfo", "find_gaps", "import_decord", "probe_video"]

_SUFFIXES = """
    mp4 m4v mov qt avi divx mkv webm ts mts m2ts m2t tod trp mpg mpeg mpe m2v vob mod dv wmv asf flv f4v 3gp 3g2
    ogv ogm mxf lrv insv 360 mjpg mjpeg nut rm rmvb ivf y4m
"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""Lower-case suffixes that name a video; compare with `path.suffix.lower()`."""

DECORD_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})
"""Those in which one packet is one frame, so that decord, which counts frames, cannot lose its place."""

LONG_VIDEO = 600.0
"""Seconds from which a video goes to PyAV: decord reads the whole file anew each time it opens it."""

SHORTEST_GAP = 0.5
"""Seconds without a new frame from which it is called a gap, unless the video's frames are always that far apart."""

MANY_FRAMES = 3000
"""Frames from which the packet table of a video is worth a file of its own."""

LOOK_AT = 24
"""Frames that are decoded of a video whose packets leave in doubt what decoders make of them."""

HDR = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
"""Transfer functions of high dynamic range, by their number in ITU-T H.273."""

TURNS: dict[tuple[int, int, int, int], tuple[Literal[0, 90, 180, 270], bool]] = {
    (1, 0, 0, 1): (0, False),
    (0, 1, -1, 0): (90, False),
    (-1, 0, 0, -1): (180, False),
    (0, -1, 1, 0): (270, False),
    (-1, 0, 0, 1): (0, True),
    (1, 0, 0, -1): (180, True),
    (0, 1, 1, 0): (270, True),
    (0, -1, -1, 0): (90, True),
}
"""Signs of a display matrix (a, b, c, d) to degrees clockwise after, perhaps, an exchange of left and right."""


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """What a video holds; learned from its packets and its first frames."""

    file: ByteRange
    """Where it is; its path is absolute."""
    stamp: Stamp
    """Size and time of the file when it was looked at."""
    width: int
    """Pixels, as displayed: after rotation. Pixels are taken as square."""
    height: int
    """Pixels, as displayed: after rotation."""
    rotation: Literal[0, 90, 180, 270]
    """Degrees clockwise that stored images are turned for display."""
    mirrored: bool
    """Whether left and right of stored images are exchanged before they are turned."""
    codec: str
    """FFmpeg's name of the codec."""
    hdr: str
    """Transfer function of a video of high dynamic range, whose colours would need tone mapping; empty for others."""
    tracks: int
    """Video tracks; the default one is read."""
    tick: float
    """Seconds of a tick of the stream's clock."""
    interval: float
    """Median seconds from a frame to the next."""
    decoder: Literal["decord", "pyav"]
    """What decodes the video on this machine, unless decord then sees another video than PyAV."""
    reason: str
    """Why PyAV and not decord; empty for decord."""
    counted: bool
    """Whether frames are told by their order, because the file's times are those of decoding (packed AVI)."""
    recovering: bool
    """Whether frames are good only some time after some key frames."""
    seek_by_byte: bool
    """Whether decoding begins at a byte of the file and not at a time: in transport and program streams."""
    pts: NDArray[np.int64]
    """Presentation times of the displayed frames as stored, in ticks of the stream, ascending."""
    key_frames: NDArray[np.int64]
    """Indices into `pts` of the frames at which decoding can begin."""
    key_positions: NDArray[np.int64]
    """(keys, 2) bytes at which to enter a stream for each of them: see `data.packets.Packets.positions`."""

    @property
    def path(self) -> Path:
        """The file that holds it."""
        return self.file.path

    @functools.cached_property
    def timestamps(self) -> NDArray[np.float64]:
        """Seconds at which each displayed frame appears, ascending, the first at 0."""
        return (self.pts - self.pts[0]) * self.tick

    @property
    def duration(self) -> float:
        """Seconds: the last time stamp and one median frame interval."""
        return float(self.pts[-1] - self.pts[0]) * self.tick + self.interval

    @property
    def fps(self) -> float:
        """Frames per second by the median interval; 0 for a single frame that does not say how long it is shown."""
        return 1 / self.interval if self.interval else 0.0

    @functools.cached_property
    def gaps(self) -> tuple[Stretch, ...]:
        """Intervals without a new frame: see `find_gaps`."""
        return find_gaps(self.pts, self.tick, self.interval)

    def decoder_version(self, decoder: str = "") -> str:
        """Return name and version of a decoder, by default of the one chosen, for the record: 'decord 0.6.0'."""
        decord = import_decord()
        if (decoder or self.decoder) == "decord" and decord is not None:
            return f"decord {decord.__version__}"
        return f"pyav {av.__version__}"

    def check_unchanged(self) -> None:
        """Check that the file is the one that was looked at.

        Raises:
            MediaError: it has another size or time of change, or is gone.
        """
        if not self.path.exists():
            raise MediaError(f"{self.path} does not exist any more")
        if Stamp.of(self.path) != self.stamp:
            raise MediaError(
                f"{self.path} was replaced or changed since it was listed: start the command again, with its files at"
                " rest"
            )


def probe_video(file: ByteRange | Path | str, table: Path | None = None) -> VideoInfo:
    """Return what a video holds; remembered until the file's size or date changes.

    Args:
        file: the video.
        table: where what was learned of a long video is kept, so that no other process reads it all again.

    Raises:
        MediaError: the file is missing, a folder, empty, cut short, not a video, has no decodable frame or no
            usable time stamps.
        JoinedVideoError: it is several videos, one after the other.
    """
    wanted = file if isinstance(file, ByteRange) else ByteRange(Path(file))
    path = wanted.path.absolute()
    if path.is_dir():
        raise MediaError(f"{path} is a folder, not a video")
    if not path.exists():
        raise MediaError(f"{path} does not exist")
    stamp = Stamp.of(path)
    if stamp.size == 0:
        raise MediaError(f"{path} is empty (0 bytes): copy or download it again")
    return _probe(ByteRange(path, wanted.offset, wanted.size), stamp, table)


def find_gaps(pts: NDArray[np.int64], tick: float, interval: float) -> tuple[Stretch, ...]:
    """Return where a video shows no new frame for longer than half a second and than 1.5 usual intervals.

    Args:
        pts: presentation times in ticks, ascending.
        tick: seconds of a tick.
        interval: usual seconds from a frame to the next; a gap begins that long after the last frame before it.
    """
    if len(pts) < 2:
        return ()
    longest = round(max(SHORTEST_GAP, 1.5 * interval) / tick)
    before = np.flatnonzero(np.diff(pts) > longest)
    return tuple(
        Stretch(float(pts[index] - pts[0]) * tick + interval, float(pts[index + 1] - pts[0]) * tick) for index in before
    )


def decode_frames(
    container: InputContainer, stream: VideoStream, position: int = -1, strict: bool = False
) -> Iterator[VideoFrame]:
    """Yield frames in order of display, from the first key frame onwards; before it decoders make frames up.

    In a stream it begins at the packet at `position` in the file and not before: whoever enters a stream in the midst
    of a frame takes its rest for a frame with the next one's time, and all times up to the next that is stored are
    wrong. So the stream is to be entered a packet earlier.

    After a packet that is too damaged to be decoded it goes on from the next key frame, without what refers to it.

    Raises:
        av.FFmpegError: a packet cannot be decoded, and `strict` asks for all.
    """
    stream.codec_context.thread_count = 1
    begun = False
    arrived = position < 0
    for packet in container.demux(stream):
        arrived = arrived or packet.pos == position
        begun = begun or (arrived and packet.is_keyframe)
        if not begun:
            continue
        try:
            yield from packet.decode()
        except DAMAGE:
            if strict:
                raise
            stream.codec_context.flush_buffers()
            begun = False


@functools.cache
def import_decord() -> ModuleType | None:
    """Return the decord package; None where there is none, for instance on macOS and ARM, where it has no build."""
    try:
        import decord
    except (ImportError, OSError):
        return None
    decord.logging.set_level(decord.logging.QUIET)
    return decord


@functools.lru_cache(maxsize=256)
def _probe(file: ByteRange, stamp: Stamp, table: Path | None) -> VideoInfo:
    """`stamp` tells the cache whether the file is still the same."""
    if table is not None and (kept := _read_table(table, file, stamp)) is not None:
        return kept
    info = _look(file, stamp)
    if table is not None and len(info.pts) >= MANY_FRAMES:
        _write_table(table, info)
    return info


def _look(file: ByteRange, stamp: Stamp) -> VideoInfo:
    with open_video(file) as container:
        packets = read_packets(container, file)
    with open_video(file) as container:
        stream = video_stream(container, file)
        counted, halves = _how_frames_are_told(container, stream, packets, file)
    with open_video(file) as container:
        stream = video_stream(container, file)
        first, begin = _first_frame(container, stream, file)
        rotation, mirrored = _orientation(first, file)
        reason = _why_not_decord(container, stream, packets, first, file, counted)
        tick = float(stream.time_base or Fraction(0))
        rate = stream.guessed_rate
        tracks = len(video_streams(container))
        codec = codec_name(stream)
        seek_by_byte = container.format.name in STREAMS
    # A video cut between key frames begins with packets that nothing can decode: they are never displayed.
    displayed = ~packets.hidden & ~halves & (packets.pts >= (packets.pts.min() if counted else begin))
    pts = np.unique(packets.pts[displayed])
    interval = float(np.median(np.diff(pts))) * tick if len(pts) > 1 else float(1 / rate) if rate else 0.0
    at_keys = displayed[packets.keys]
    keys = np.searchsorted(pts, packets.pts[packets.keys[at_keys]])
    order = np.argsort(keys, kind="stable")
    turned = rotation in (90, 270)
    return VideoInfo(
        file=file,
        stamp=stamp,
        width=first.height if turned else first.width,
        height=first.width if turned else first.height,
        rotation=rotation,
        mirrored=mirrored,
        codec=codec,
        hdr=HDR.get(int(first.color_trc), ""),
        tracks=tracks,
        tick=tick,
        interval=interval,
        decoder="pyav" if reason else "decord",
        reason=reason,
        counted=counted,
        recovering=packets.recovering,
        seek_by_byte=seek_by_byte,
        pts=_frozen(pts),
        key_frames=_frozen(np.zeros(1, np.int64) if counted else keys[order]),
        key_positions=_frozen(np.full((1, 2), -1) if counted else packets.positions[at_keys][order]),
    )


def _frozen(array: NDArray[np.int64]) -> NDArray[np.int64]:
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


def _first_frame(container: InputContainer, stream: VideoStream, file: ByteRange) -> tuple[VideoFrame, int]:
    """Return the first frame that is displayed, and its presentation time in ticks."""
    try:
        for frame in decode_frames(container, stream, strict=True):
            assert frame.pts is not None  # PyAV numbers frames that have no time of their own
            return frame, frame.pts
    except DAMAGE as error:
        raise MediaError(f"{file.path} is damaged: its first frame cannot be decoded ({error})") from error
    raise MediaError(f"{file.path} holds no frame that can be decoded")


def _how_frames_are_told(
    container: InputContainer, stream: VideoStream, packets: Packets, file: ByteRange
) -> tuple[bool, NDArray[np.bool_]]:
    """Return whether frames must be counted, and (packets,) which packets are second halves of a frame.

    DivX packed its B-frames into the packet before, so that the times of an AVI are those of decoding. Interlaced
    H.264 may store the two fields of a frame as packets of their own, of which the second has no frame of its own.
    """
    halves = np.zeros(len(packets.pts), np.bool_)
    may_be_packed = container.format.name == "avi" and codec_name(stream) == "mpeg4"
    may_be_fields = codec_name(stream) == "h264" and _twice_as_many(packets, stream)
    if not may_be_packed and not may_be_fields:
        return False, _check_known(packets, halves, file)
    times = []
    for frame in decode_frames(container, stream):
        times.append(frame.pts or 0)
        if len(times) == LOOK_AT:
            break
    steps = np.diff(times)
    if may_be_packed:
        return bool((steps <= 0).any()), _check_known(packets, halves, file)
    seen = packets.pts[(packets.pts >= min(times, default=0)) & (packets.pts <= max(times, default=0))]
    if (packets.pts != UNKNOWN).all() and np.isin(seen, times).all():
        return False, halves  # frames at uneven times, each in a packet of its own
    interval = float(np.median(steps)) if len(steps) else 0.0
    return False, _check_known(packets, _second_fields(packets.pts, interval), file)


def _check_known(packets: Packets, halves: NDArray[np.bool_], file: ByteRange) -> NDArray[np.bool_]:
    if (packets.pts[~halves] == UNKNOWN).any():
        raise MediaError(f"{file.path} does not say at what times its frames are displayed; {conversion_hint(file)}")
    return halves


def _twice_as_many(packets: Packets, stream: VideoStream) -> bool:
    """Whether there are more packets than frames by the stream's frame rate, or some that have no time."""
    if (packets.pts == UNKNOWN).any():
        return True
    times = np.unique(packets.pts)
    rate = stream.guessed_rate or stream.average_rate
    if len(times) < 2 or not rate or not stream.time_base:
        return False
    return bool(np.percentile(np.diff(times), 25) < 0.75 / float(rate * stream.time_base))


def _second_fields(pts: NDArray[np.int64], interval: float) -> NDArray[np.bool_]:
    """Return (packets,) which packets come half a frame after the one stored before them, or have no time."""
    halves = pts == UNKNOWN
    close = np.abs(np.diff(pts) - interval / 2) <= interval / 8
    for index in np.flatnonzero(close) + 1:
        halves[index] = not halves[index - 1]
    return halves


def _orientation(frame: VideoFrame, file: ByteRange) -> tuple[Literal[0, 90, 180, 270], bool]:
    """Return how stored images are turned for display, and whether they are mirrored before.

    Raises:
        MediaError: by another angle than a quarter turn, or scaled unevenly.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0, False
    matrix = np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]].astype(np.float64)
    scale = np.abs(matrix).max()
    signs = tuple(int(value) for value in np.round(matrix / scale)) if scale else ()
    if signs not in TURNS or np.abs(np.abs(matrix / scale) - np.abs(signs)).max() > 0.02:
        angle = math.degrees(math.atan2(matrix[1], matrix[0]))
        raise MediaError(
            f"{file.path} asks to be turned by {angle:.0f} degrees for display, not by a quarter;"
            f" {conversion_hint(file)}"
        )
    return TURNS[signs]


def _why_not_decord(
    container: InputContainer,
    stream: VideoStream,
    packets: Packets,
    first: VideoFrame,
    file: ByteRange,
    counted: bool,
) -> str:
    """Return why decord cannot be trusted with this video or would be slow, or an empty string.

    Decord counts frames from the key frame it seeks to and takes a key frame in the k-th packet for the k-th
    frame. Where the two orders differ it returns other frames after a seek than in sequence, or waits for
    ever (dmlc/decord#373). Of H.264 with periodic intra refresh it counts frames from the first one that is whole.
    """
    later = np.append(np.minimum.accumulate(packets.pts[::-1])[::-1][1:], np.iinfo(np.int64).max)
    codec = codec_name(stream)
    seconds = float(np.ptp(packets.pts)) * float(stream.time_base or 0)
    rotation, mirrored = _orientation(first, file)
    keys = packets.keys
    reasons = {
        "decord is not installed": import_decord() is None,
        "a part of a file": file.size > 0,
        "MPEG transport stream": container.format.name == "mpegts",
        "AVI": container.format.name == "avi",
        "the video is rotated": rotation != 0,
        "the video is mirrored": mirrored,
        "frames before time zero (edit list)": bool(packets.hidden.any() or (packets.pts < 0).any()),
        "no key frame at the start": not len(keys) or keys[0] != 0,
        "open groups of pictures": bool((later[keys] < packets.pts[keys]).any()),
        "periodic intra refresh or other recovery points": packets.recovering,
        "times of decoding (packed B-frames)": counted,
        f"longer than {LONG_VIDEO:.0f} s": seconds > LONG_VIDEO,
        f"the codec {codec}": codec not in DECORD_CODECS,
        "more than 8 bits per channel": any(component.bits > 8 for component in first.format.components),
        "several video streams": len(container.streams.video) > 1,
        "a header that announces too many frames": _announced(container, stream) > 2 * len(packets.pts) + 1000,
    }
    return "; ".join(reason for reason, applies in reasons.items() if applies)


def _announced(container: InputContainer, stream: VideoStream) -> float:
    """Return the frames that the header announces, for which decord takes memory unseen and may end the process."""
    return stream.frames or float(stream.average_rate or 0) * (container.duration or 0) / av.time_base


ARRAYS = ("pts", "key_frames", "key_positions")


def _write_table(path: Path, info: VideoInfo) -> None:
    facts = {
        name: getattr(info, name)
        for name in VideoInfo.__dataclass_fields__
        if name not in (*ARRAYS, "file", "stamp", "decoder", "reason")
    }
    text = json.dumps({**facts, "stamp": list(info.stamp), "reason": info.reason, "av": av.__version__})
    arrays: dict[str, Any] = {name: getattr(info, name) for name in ARRAYS}
    atomic_write(path, lambda file: np.savez(file, facts=np.array(text), **arrays))


def _read_table(path: Path, file: ByteRange, stamp: Stamp) -> VideoInfo | None:
    """Return what was kept of a video, unless it is of another file, another version of FFmpeg, or damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            facts = json.loads(str(kept["facts"]))
            arrays = {name: _frozen(kept[name]) for name in ARRAYS}
    except (OSError, ValueError, KeyError, EOFError):
        return None
    if facts.pop("av") != av.__version__ or Stamp(*facts.pop("stamp")) != stamp:
        return None
    reason = facts.pop("reason")
    if import_decord() is None:
        reason = reason or "decord is not installed"
    values: dict[str, Any] = {**facts, **arrays}
    return VideoInfo(file=file, stamp=stamp, decoder="pyav" if reason else "decord", reason=reason, **values)
