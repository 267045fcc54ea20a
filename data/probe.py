"""What a video holds, learned from its packets and its first frames, and which decoder is to read it."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from data.containers import DAMAGE, Header, conversion_hint, open_video, video_stream
from data.decoders import import_decord, why_not_decord
from data.errors import MediaError
from data.orientation import find_orientation
from data.packets import UNKNOWN, Packets, read_packets
from data.sources import ByteRange, Stamp, Stretch
from storage.files import atomic_write

_SUFFIXES = """
    mp4 m4v mov qt avi divx mkv webm ts mts m2ts m2t tod trp mpg mpeg mpe m2v vob mod dv wmv asf flv f4v 3gp 3g2
    ogv ogm mxf lrv insv 360 mjpg mjpeg nut rm rmvb ivf y4m
"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""Lower-case suffixes that name a video; compare with `path.suffix.lower()`."""

SHORTEST_GAP = 0.5
"""Seconds without a new frame from which it is called a gap, unless the video's frames are always that far apart."""

MOST_PIXELS = 64_000_000
"""Pixels of a frame, at most, as of an image: larger videos are refused before memory is taken for their frames."""

MANY_FRAMES = 3000
"""Frames from which the packet table of a video is worth a file of its own."""

LOOK_AT = 24
"""Frames that are decoded of a video whose packets leave in doubt what decoders make of them."""

HDR = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
"""Transfer functions of high dynamic range, by their number in ITU-T H.273."""


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
    header, first = _first_look(file)
    packets = read_packets(file, header)
    if isinstance(first, MediaError):
        raise first
    orientation = find_orientation(first, file)
    counted, halves = _how_frames_are_told(file, header, packets)
    reason = why_not_decord(file, header, packets, first, orientation, counted)
    displayed = np.ones(len(packets.pts), np.bool_)
    displayed[packets.hidden] = False
    displayed[halves] = False
    if not counted:
        # A video cut between key frames begins with packets that nothing can decode: they are never displayed.
        displayed &= packets.pts >= (first.pts or 0)
    at_keys = displayed[packets.keys]
    key_times = packets.pts[packets.keys[at_keys]]
    pts = _ascending(packets.pts, displayed)
    interval = _median_step(pts) * header.tick if len(pts) > 1 else 1 / header.rate if header.rate else 0.0
    keys = np.searchsorted(pts, key_times)
    order = np.argsort(keys, kind="stable")
    turned = orientation.rotation in (90, 270)
    return VideoInfo(
        file=file,
        stamp=stamp,
        width=first.height if turned else first.width,
        height=first.width if turned else first.height,
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        codec=header.codec,
        hdr=HDR.get(int(first.color_trc), ""),
        tracks=header.tracks,
        tick=header.tick,
        interval=interval,
        decoder="pyav" if reason else "decord",
        reason=reason,
        counted=counted,
        recovering=packets.recovering,
        seek_by_byte=header.is_stream,
        pts=_frozen(pts),
        key_frames=_frozen(np.zeros(1, np.int64) if counted else keys[order]),
        key_positions=_frozen(np.full((1, 2), -1) if counted else packets.positions[at_keys][order]),
    )


def _ascending(pts: NDArray[np.int64], displayed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the times that are displayed, each once, ascending; `pts` is sorted in place to save memory."""
    times = pts if displayed.all() else pts[displayed]
    times.sort()
    return np.unique(times) if (times[1:] == times[:-1]).any() else times


def _median_step(times: NDArray[np.int64]) -> float:
    return float(np.median(np.diff(times), overwrite_input=True))


def _first_look(file: ByteRange) -> tuple[Header, VideoFrame | MediaError]:
    """Return what the header says and the first frame that is displayed, or why it cannot be decoded."""
    with open_video(file) as container:
        stream = video_stream(container, file)
        header = Header.of(container, stream)
        if stream.width * stream.height > MOST_PIXELS:
            size = f"{stream.width}x{stream.height}"
            return header, MediaError(f"{file.path} has frames of {size} pixels, over the limit of {MOST_PIXELS:,}")
        try:
            for frame in decode_frames(container, stream, strict=True):
                assert frame.pts is not None  # PyAV numbers frames that have no time of their own
                return header, frame
        except DAMAGE as error:
            return header, MediaError(f"{file.path} is damaged: its first frame cannot be decoded ({error})")
    return header, MediaError(f"{file.path} holds no frame that can be decoded")


def _frozen(array: NDArray[np.int64]) -> NDArray[np.int64]:
    array = array.astype(np.int64, copy=False)
    array.setflags(write=False)
    return array


def _how_frames_are_told(file: ByteRange, header: Header, packets: Packets) -> tuple[bool, NDArray[np.int64]]:
    """Return whether frames must be counted, and the indices of packets that are second halves of a frame.

    DivX packed its B-frames into the packet before, so that the times of an AVI are those of decoding. Interlaced
    H.264 may store the two fields of a frame as packets of their own, of which the second has no frame of its own.
    """
    may_be_packed = header.format == "avi" and header.codec == "mpeg4"
    may_be_fields = header.codec == "h264" and _twice_as_many(packets, header)
    halves = np.zeros(0, np.int64)
    counted = False
    if may_be_packed or may_be_fields:
        times = _first_times(file)
        counted = may_be_packed and bool((np.diff(times) <= 0).any())
        seen = packets.pts[(packets.pts >= times.min()) & (packets.pts <= times.max())]
        # Frames at uneven times, each in a packet of its own, are no fields.
        if may_be_fields and ((packets.pts == UNKNOWN).any() or not np.isin(seen, times).all()):
            halves = _second_fields(packets.pts, float(np.median(np.diff(times))) if len(times) > 1 else 0.0)
    unknown = packets.pts == UNKNOWN
    unknown[halves] = False
    if unknown.any():
        raise MediaError(f"{file.path} does not say at what times its frames are displayed; {conversion_hint(file)}")
    return counted, halves


def _first_times(file: ByteRange) -> NDArray[np.int64]:
    """Return the presentation times of the first frames, in the order in which they are decoded for display."""
    with open_video(file) as container:
        frames = itertools.islice(decode_frames(container, video_stream(container, file)), LOOK_AT)
        return np.array([frame.pts or 0 for frame in frames])


def _twice_as_many(packets: Packets, header: Header) -> bool:
    """Whether there are more packets than frames by the stream's frame rate, or some that have no time."""
    if (packets.pts == UNKNOWN).any():
        return True
    times = np.unique(packets.pts[:MANY_FRAMES])
    if len(times) < 2 or not header.rate or not header.tick:
        return False
    return bool(np.percentile(np.diff(times), 25) < 0.75 / (header.rate * header.tick))


def _second_fields(pts: NDArray[np.int64], interval: float) -> NDArray[np.int64]:
    """Return the packets that come half a frame after the one stored before them, or have no time."""
    halves = pts == UNKNOWN
    close = np.abs(np.diff(pts) - interval / 2) <= interval / 8
    for index in np.flatnonzero(close) + 1:
        halves[index] = not halves[index - 1]
    return np.flatnonzero(halves)


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
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            facts = json.loads(str(kept["facts"]))
            arrays = {name: _frozen(kept[name]) for name in ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    if facts.pop("av") != av.__version__ or Stamp(*facts.pop("stamp")) != stamp:
        return None
    reason = facts.pop("reason")
    if import_decord() is None:
        reason = reason or "decord is not installed"
    values: dict[str, Any] = {**facts, **arrays}
    return VideoInfo(file=file, stamp=stamp, decoder="pyav" if reason else "decord", reason=reason, **values)
