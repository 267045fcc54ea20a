"""What a video holds, learned from its packets, and which decoder is to read it."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from data.errors import MediaError

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"})
"""Lower-case suffixes that name a video; compare with `path.suffix.lower()`."""

DECORD_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})
"""Those in which one packet is one frame, so that decord, which counts frames, cannot lose its place."""

LONG_VIDEO = 600.0
"""Seconds from which a video goes to PyAV: decord reads the whole file anew each time it opens it."""

DAMAGE = (av.FFmpegError, IndexError)
"""What PyAV raises on a damaged video; IndexError where damage makes a stream appear half-way."""


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """What a video holds; learned from its packets, of which only the first frame is decoded."""

    path: Path
    """Absolute."""
    width: int
    """Pixels, as displayed: after rotation. Pixels are taken as square."""
    height: int
    """Pixels, as displayed: after rotation."""
    rotation: Literal[0, 90, 180, 270]
    """Degrees clockwise that stored images are turned for display."""
    timestamps: NDArray[np.float64]
    """Seconds at which each displayed frame appears, ascending, the first at 0."""
    duration: float
    """Seconds: the last time stamp and one median frame interval."""
    decoder: Literal["decord", "pyav"]
    """What decodes the video on this machine."""
    reason: str
    """Why PyAV and not decord; empty for decord."""
    pts: NDArray[np.int64]
    """Presentation times as stored, in ticks of the stream, one for each of `timestamps`."""
    key_frames: NDArray[np.int64]
    """Indices into `timestamps` of the frames at which decoding can begin."""

    @property
    def decoder_version(self) -> str:
        """Name and version of the decoder, for the record: 'decord 0.6.0'."""
        decord = import_decord()
        if self.decoder == "decord" and decord is not None:
            return f"decord {decord.__version__}"
        return f"pyav {av.__version__}"


def probe_video(path: Path | str) -> VideoInfo:
    """What the video at `path` holds; remembered until the file's size or date changes.

    Raises:
        MediaError: the file is missing, a folder, empty, cut short, not a video, has no decodable frame or no
            usable time stamps.
    """
    path = Path(path).absolute()
    if path.is_dir():
        raise MediaError(f"{path} is a folder, not a video")
    if not path.exists():
        raise MediaError(f"{path} does not exist")
    stat = path.stat()
    if stat.st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes): copy or download it again")
    return _probe(path, stat.st_size, stat.st_mtime_ns)


def open_video(path: Path) -> InputContainer:
    """Opens a video for reading.

    Raises:
        MediaError: it cannot be read, is cut short or is not a video.
    """
    try:
        return av.open(str(path), "r", metadata_errors="ignore")
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise MediaError(f"{path} cannot be read: {error.strerror}") from error
        with path.open("rb") as file:
            head = file.read(12)
        if head[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"):
            raise MediaError(f"{path} is cut short: its index (moov) is missing; copy it or record it again") from error
        raise MediaError(f"{path} is not a video, whatever its name says: {error.strerror}") from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover image.

    Raises:
        MediaError: there is none, or its codec is unknown.
    """
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise MediaError(f"{path} is a still image, not a video: name it as one (.png, .jpg)")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise MediaError(f"{path} has a video codec that is not known here; {conversion_hint(path)}")
            return stream
    if container.streams.video:
        raise MediaError(f"{path} is a sound file with a cover image, not a video")
    if container.streams.audio:
        raise MediaError(f"{path} holds sound but no images")
    raise MediaError(f"{path} has no video stream")


def decode_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames in order of display, from the first key frame onwards; before it decoders make frames up."""
    stream.codec_context.thread_count = 1
    begun = False
    for packet in container.demux(stream):
        begun = begun or packet.is_keyframe
        if begun:
            yield from packet.decode()


@functools.cache
def import_decord() -> ModuleType | None:
    """The decord package; None where it is not installed, for instance on macOS and ARM, where it has no build."""
    try:
        import decord
    except (ImportError, OSError):
        return None
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def conversion_hint(path: Path) -> str:
    """What to tell someone whose video is of a kind that cannot be used."""
    return f"convert it: ffmpeg -i {path.name} -c:v libx264 -crf 12 -pix_fmt yuv420p {path.stem}-fixed.mp4"


class _Packet(NamedTuple):
    """What a packet says of itself, kept without its data."""

    pts: int | None
    key: bool
    hidden: bool
    corrupt: bool

    @classmethod
    def of(cls, packet: "Packet[VideoStream]") -> "_Packet":
        return cls(packet.pts, packet.is_keyframe, packet.is_discard, packet.is_corrupt)


@dataclass(frozen=True, eq=False)
class _Packets:
    """The video packets of a video in the order they are stored, which is the order of decoding."""

    pts: NDArray[np.int64]
    key: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    """Decoded for the sake of later frames and never displayed: an edit list says so."""


@functools.lru_cache(maxsize=4096)
def _probe(path: Path, size: int, modified: int) -> VideoInfo:
    """`size` and `modified` only tell the cache whether the file is still the same."""
    with open_video(path) as container:
        packets = _read_packets(container, path)
    with open_video(path) as container:
        stream = video_stream(container, path)
        first, begin = _first_frame(container, stream, path)
        rotation = _clockwise(first)
        reason = _why_not_decord(container, stream, packets, first)
        tick = stream.time_base or Fraction(0)
        rate = stream.guessed_rate
    # A video cut between key frames begins with packets that nothing can decode: they are never displayed.
    pts = np.unique(packets.pts[~packets.hidden & (packets.pts >= begin)])
    timestamps = (pts - pts[0]) * float(tick)
    interval = float(np.median(np.diff(timestamps))) if len(pts) > 1 else float(1 / rate) if rate else 0.0
    for array in (pts, timestamps):
        array.setflags(write=False)
    turned = rotation in (90, 270)
    return VideoInfo(
        path=path,
        width=first.height if turned else first.width,
        height=first.width if turned else first.height,
        rotation=rotation,
        timestamps=timestamps,
        duration=float(timestamps[-1]) + interval,
        decoder="pyav" if reason else "decord",
        reason=reason,
        pts=pts,
        key_frames=np.flatnonzero(np.isin(pts, packets.pts[packets.key & ~packets.hidden])),
    )


def _read_packets(container: InputContainer, path: Path) -> _Packets:
    stream = video_stream(container, path)
    promised = len(stream.index_entries)
    try:
        packets = [_Packet.of(packet) for packet in container.demux(stream) if packet.size]
    except DAMAGE as error:
        raise MediaError(f"{path} is damaged ({error}); copy it again or {conversion_hint(path)}") from error
    # The index of an MP4 is complete from the start; those of other containers never promise too much.
    if not packets or len(packets) < promised:
        raise MediaError(f"{path} is cut short: {len(packets)} of {promised} frames are there; copy it again")
    if packets[-1].corrupt:
        raise MediaError(f"{path} is cut short in the middle of its last frame; copy it again")
    # FFmpeg numbers the H.264 packets of an AVI in the order of decoding, which B-frames make another order.
    reordered = container.format.name == "avi" and stream.codec_context.has_b_frames
    if any(packet.pts is None for packet in packets) or (reordered and _codec(stream) != "mpeg4"):
        raise MediaError(f"{path} does not say at what times its frames are displayed; {conversion_hint(path)}")
    return _Packets(
        pts=np.array([packet.pts for packet in packets], dtype=np.int64),
        key=np.array([packet.key for packet in packets]),
        hidden=np.array([packet.hidden for packet in packets]),
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> tuple[VideoFrame, int]:
    """The first frame that is displayed, and its presentation time in ticks."""
    try:
        for frame in decode_frames(container, stream):
            assert frame.pts is not None  # PyAV numbers frames that have no time of their own
            return frame, frame.pts
    except DAMAGE as error:
        raise MediaError(f"{path} is damaged: its first frame cannot be decoded ({error})") from error
    raise MediaError(f"{path} holds no frame that can be decoded")


def _why_not_decord(container: InputContainer, stream: VideoStream, packets: _Packets, first: VideoFrame) -> str:
    """Why decord cannot be trusted with this video or would be slow, or an empty string.

    Decord counts frames from the key frame it seeks to and takes a key frame in the k-th packet for the k-th
    frame. Where the two orders differ it returns other frames after a seek than in sequence, or waits for
    ever (dmlc/decord#373).
    """
    later = np.append(np.minimum.accumulate(packets.pts[::-1])[::-1][1:], np.iinfo(np.int64).max)
    codec = _codec(stream)
    seconds = float(np.ptp(packets.pts)) * float(stream.time_base or 0)
    reasons = {
        "decord is not installed": import_decord() is None,
        "MPEG transport stream": container.format.name == "mpegts",
        "the video is rotated": _clockwise(first) != 0,
        "frames before time zero (edit list)": bool(packets.hidden.any() or (packets.pts < 0).any()),
        "no key frame at the start": not packets.key[0],
        "open groups of pictures": bool((packets.key & (later < packets.pts)).any()),
        f"longer than {LONG_VIDEO:.0f} s": seconds > LONG_VIDEO,
        f"the codec {codec}": codec not in DECORD_CODECS,
        "more than 8 bits per channel": any(component.bits > 8 for component in first.format.components),
        "several video streams": len(container.streams.video) > 1,
        "a header that announces too many frames": _announced(container, stream) > 2 * len(packets.pts) + 1000,
    }
    return "; ".join(reason for reason, applies in reasons.items() if applies)


def _announced(container: InputContainer, stream: VideoStream) -> float:
    """Frames that the header announces, for which decord takes memory unseen: a damaged one ends the process."""
    return stream.frames or float(stream.average_rate or 0) * (container.duration or 0) / av.time_base


def _codec(stream: VideoStream) -> str:
    return stream.codec_context.codec.canonical_name


def _clockwise(frame: VideoFrame) -> Literal[0, 90, 180, 270]:
    turns: tuple[Literal[0, 90, 180, 270], ...] = (0, 90, 180, 270)
    return turns[round(-frame.rotation / 90) % 4]
