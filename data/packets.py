"""The packets of a video: when each frame is displayed, where decoding can begin, and whether its clock can be trusted.

All of it is learned by reading the file once without decoding. What decoders make of packets is another matter: see
`data.probe`.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from data.errors import MediaError
from data.sources import ByteRange

DAMAGE = (av.FFmpegError, IndexError)
"""What PyAV raises on a damaged video; IndexError where damage makes a stream appear half-way."""

STREAMS = frozenset({"mpegts", "mpeg"})
"""FFmpeg's names of transport and program streams: no index, so that decoding begins at a byte and not at a time."""

PROMISING = frozenset({"matroska,webm", "avi", "flv", "asf"})
"""Formats whose header says how long the video is while nothing else tells that its end is missing."""

MOST_JOINTS = 1000
"""A stream whose clock is set back more often is damaged, not joined."""

TRANSPORT_PACKET = 188
"""Bytes of a packet of a transport stream (ISO/IEC 13818-1)."""

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a presentation time that a packet does not have."""

EntryPoint = Literal["exact", "recovery", "none"]
"""What decoding that begins at a packet gives: its frame at once, good frames some time later, or wrong ones."""


class JoinedVideoError(MediaError):
    """A recording whose clock is set back on the way, but that can be read as several videos one after the other."""

    def __init__(self, message: str, parts: tuple[ByteRange, ...]) -> None:
        super().__init__(message)
        self.parts = parts


@dataclass(frozen=True, eq=False)
class Packets:
    """The video packets of a video in the order they are stored, which is the order of decoding."""

    pts: NDArray[np.int64]
    """Presentation times in ticks of the stream; `UNKNOWN` where a packet has none."""
    dts: NDArray[np.int64]
    """Decoding times in ticks; `UNKNOWN` where a packet has none."""
    hidden: NDArray[np.bool_]
    """Decoded for the sake of later frames and never displayed: an edit list says so."""
    keys: NDArray[np.int64]
    """Indices of the packets at which decoding can begin, at once or after a while."""
    positions: NDArray[np.int64]
    """(keys, 2) bytes: where the last packet begins that has a known position, at or before each of these, and the one
    before that; -1 where there is none."""
    recovering: bool
    """Whether decoding that begins at some of them gives good frames only after a while."""


def file_url(file: ByteRange) -> str:
    """Return what FFmpeg opens: the file, or the range of bytes in it."""
    path = file.path.absolute()
    if not file.size:
        return str(path)
    return f"subfile,,start,{file.offset},end,{file.offset + file.size},,:file:{path}"


def open_video(file: ByteRange) -> InputContainer:
    """Open a video for reading.

    Raises:
        MediaError: it cannot be read, is cut short or is not a video.
    """
    path = file.path
    try:
        return av.open(file_url(file), "r", metadata_errors="ignore")
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise MediaError(f"{path} cannot be read: {error.strerror}") from error
        with path.open("rb") as opened:
            opened.seek(file.offset)
            head = opened.read(12)
        if head[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"):
            raise MediaError(f"{path} is cut short: its index (moov) is missing; copy it or record it again") from error
        raise MediaError(f"{path} is not a video, whatever its name says: {error.strerror}") from error


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams that are no cover images."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def video_stream(container: InputContainer, file: ByteRange) -> VideoStream:
    """Return the video stream that players show: the one marked as default, or FFmpeg's choice.

    Raises:
        MediaError: there is none, or its codec is unknown.
    """
    path = file.path
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise MediaError(f"{path} is a still image, not a video: name it as one (.png, .jpg)")
    streams = video_streams(container)
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    if streams:
        best = container.streams.best("video")
        chosen = marked[0] if marked else next((one for one in streams if one is best), streams[0])
        if chosen.codec_context is None:
            raise MediaError(f"{path} has a video codec that is not known here; {conversion_hint(file)}")
        return chosen
    if container.streams.video:
        raise MediaError(f"{path} is a sound file with a cover image, not a video")
    if container.streams.audio:
        raise MediaError(f"{path} holds sound but no images")
    raise MediaError(f"{path} has no video stream")


def conversion_hint(file: ByteRange) -> str:
    """Return what to tell someone whose video is of a kind that cannot be used."""
    path = file.path
    return f"convert it: ffmpeg -i {path.name} -c:v libx264 -crf 12 -pix_fmt yuv420p {path.stem}-fixed.mp4"


def read_packets(container: InputContainer, file: ByteRange) -> Packets:
    """Read all packets of the video stream.

    Raises:
        MediaError: the video is damaged or cut short, or its packets have no times.
        JoinedVideoError: its clock is set back on the way, and it can be read in parts.
    """
    path = file.path
    stream = video_stream(container, file)
    promised = len(stream.index_entries)
    try:
        packets, last = _collect(container, stream)
    except DAMAGE as error:
        raise MediaError(f"{path} is damaged ({error}); copy it again or {conversion_hint(file)}") from error
    # The index of an MP4 is complete from the start; those of other containers never promise too much.
    if last is None or len(packets.pts) < promised:
        raise MediaError(f"{path} is cut short: {len(packets.pts)} of {promised} frames are there; copy it again")
    if last.is_corrupt:
        raise MediaError(f"{path} is cut short in the middle of its last frame; copy it again")
    _check_clock(packets, container, stream, file)
    _check_promised_length(packets, container, stream, file)
    return packets


def codec_name(stream: VideoStream) -> str:
    """Return FFmpeg's name of the codec, of whatever decoder."""
    return str(stream.codec_context.codec.canonical_name)


def _collect(container: InputContainer, stream: VideoStream) -> tuple[Packets, Packet[VideoStream] | None]:
    """Return all packets, and the last of them; in flat arrays, because a long video has millions."""
    pts = array("q")
    dts = array("q")
    hidden = bytearray()
    keys = array("q")
    positions = array("q")
    position = entry = -1
    recovering = False
    last = None
    entry_points = _EntryPoints(container, stream)
    for packet in container.demux(stream):
        if not packet.size:
            continue
        last = packet
        if packet.pos is not None and packet.pos != position:
            entry = position
            position = packet.pos
        if packet.is_keyframe and (kind := entry_points.of(packet)) != "none":
            keys.append(len(pts))
            positions.extend((position, entry))
            recovering = recovering or kind == "recovery"
        time = packet.pts
        pts.append(UNKNOWN if time is None else time)
        time = packet.dts
        dts.append(UNKNOWN if time is None else time)
        hidden.append(packet.is_discard)
    packets = Packets(
        pts=np.frombuffer(pts, np.int64),
        dts=np.frombuffer(dts, np.int64),
        hidden=np.frombuffer(hidden, np.bool_),
        keys=np.frombuffer(keys, np.int64),
        positions=np.frombuffer(positions, np.int64).reshape(-1, 2),
        recovering=recovering,
    )
    return packets, last


class _EntryPoints:
    """Says what decoding gives that begins at a packet flagged as a key frame.

    Files flag more than the standards do: H.264 with periodic intra refresh flags packets from which images become
    good only little by little, and some programs flag every packet with an intra image, though later frames may
    refer past it. Both show in the packet's NAL units.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._codec = codec_name(stream)
        # In streams it is FFmpeg's parser that flags, and it does so with more care than files do.
        self._unmarked: EntryPoint = "exact" if container.format.name in STREAMS else "none"
        extradata = bytes(stream.codec_context.extradata or b"")
        place = 21 if self._codec == "hevc" else 4
        # In MP4 and Matroska a unit follows its length; the size of that number stands in the header (avcC, hvcC).
        framed = extradata[:1] == b"\x01" and len(extradata) > place
        self._length = (extradata[place] & 3) + 1 if framed else 0

    def of(self, packet: Packet[VideoStream]) -> EntryPoint:
        """Return what decoding gives that begins at this packet."""
        if self._codec not in ("h264", "hevc"):
            return "exact"
        units = nal_units(bytes(packet), self._length)
        if self._codec == "hevc":
            return "exact" if any(16 <= (unit[0] >> 1 & 63) <= 21 for unit in units) else self._unmarked
        kinds = [unit[0] & 31 for unit in units]
        if 5 in kinds:
            return "exact"
        recovers = any(kind == 6 and 6 in sei_payloads(unit) for kind, unit in zip(kinds, units, strict=True))
        return "recovery" if recovers else self._unmarked


def nal_units(data: bytes, length: int) -> list[bytes]:
    """Return the beginnings (up to 512 bytes) of the NAL units of an H.264 or HEVC packet (ISO/IEC 14496-10 and -15).

    Args:
        data: the packet.
        length: bytes of the number before each unit; 0 where start codes separate them.
    """
    if not length:
        return [
            data[found.end() : found.end() + 512] for found in re.finditer(b"\0\0\1", data) if found.end() < len(data)
        ]
    units = []
    place = 0
    while place + length < len(data):
        size = int.from_bytes(data[place : place + length], "big")
        units.append(data[place + length : place + length + min(size, 512)])
        place += length + size
    return [unit for unit in units if unit]


def sei_payloads(unit: bytes) -> list[int]:
    """Return the types of the messages in the beginning of an H.264 SEI unit; 6 is a recovery point."""
    kinds = []
    place = 1
    while place + 1 < len(unit):
        kind = size = 0
        while place < len(unit) and unit[place] == 0xFF:
            kind += 255
            place += 1
        kind += unit[place] if place < len(unit) else 0
        place += 1
        while place < len(unit) and unit[place] == 0xFF:
            size += 255
            place += 1
        size += unit[place] if place < len(unit) else 0
        place += 1 + size
        kinds.append(kind)
    return kinds


def _check_clock(packets: Packets, container: InputContainer, stream: VideoStream, file: ByteRange) -> None:
    """Refuse times that say nothing of the order of display, or that run twice through the same moments."""
    path = file.path
    known = packets.pts != UNKNOWN
    # FFmpeg numbers the H.264 packets of an AVI in the order of decoding, which B-frames make another order.
    reordered = container.format.name == "avi" and stream.codec_context.has_b_frames
    if not known.any() or (reordered and codec_name(stream) not in ("mpeg4", "mjpeg")):
        raise MediaError(f"{path} does not say at what times its frames are displayed; {conversion_hint(file)}")
    back = _set_back(packets)
    if not len(back):
        return
    begins = [0, *back.tolist()]
    lengths = [float(np.ptp(part)) * float(stream.time_base or 0) for part in np.split(packets.pts, begins[1:])]
    named = ", ".join(f"{length:.1f} s" for length in lengths[:3]) + (", ..." if len(lengths) > 3 else "")
    message = f"{path} is {len(begins)} recordings in one ({named}): its clock is set back on the way"
    if container.format.name in STREAMS and len(back) <= MOST_JOINTS:
        raise JoinedVideoError(message, _parts(container, stream, back, file))
    raise MediaError(f"{message}; cut it there into files of their own (ffmpeg -i {path.name} -to ... -c copy ...)")


def _set_back(packets: Packets) -> NDArray[np.int64]:
    """Return the packets from which on moments are displayed that were displayed already.

    Times of decoding may go back a little where recordings were joined well, since they run ahead of the display.
    """
    timed = np.flatnonzero(packets.dts != UNKNOWN)
    back = timed[1:][np.diff(packets.dts[timed]) < 0]
    if not len(back):
        return back
    known = packets.pts != UNKNOWN
    latest = np.maximum.accumulate(packets.pts)
    earliest = np.minimum.reduceat(np.where(known, packets.pts, np.iinfo(np.int64).max), back)
    return back[earliest <= latest[back - 1]]


def _parts(
    container: InputContainer, stream: VideoStream, back: NDArray[np.int64], file: ByteRange
) -> tuple[ByteRange, ...]:
    """Return the ranges of bytes between the packets at which the clock is set back."""
    whole = file.size or file.path.stat().st_size
    begins = [0]
    ends = []
    before = 0
    wanted = {int(index) for index in back}
    with open_video(file) as again:
        for index, packet in enumerate(p for p in again.demux(video_stream(again, file)) if p.size):
            position = packet.pos or before
            if index in wanted:
                # The tables that announce what is in a transport stream stand before its first frame: they come along.
                begins.append(before + TRANSPORT_PACKET if container.format.name == "mpegts" else position)
                ends.append(position)
            before = position
    ends.append(whole)
    return tuple(
        ByteRange(file.path, file.offset + begin, end - begin) for begin, end in zip(begins, ends, strict=True)
    )


def _check_promised_length(packets: Packets, container: InputContainer, stream: VideoStream, file: ByteRange) -> None:
    """Refuse a recording whose header promises more than there is, in its video or in any other stream."""
    if container.format.name not in PROMISING:
        return
    tick = float(stream.time_base or 0)
    promised = _promised_seconds(container, stream)
    there = float(packets.pts.max() - (stream.start_time or 0)) * tick
    allowed = 1.0 + 0.01 * promised
    if promised - there <= allowed:
        return
    with open_video(file) as again:
        ends = [float(p.pts * p.time_base) for p in again.demux() if p.pts is not None and p.time_base is not None]
    if promised - max(ends, default=0.0) > allowed:
        raise MediaError(
            f"{file.path} is cut short: its header promises {promised:.1f} s, {max(there, 0):.1f} s are there; copy it"
            f" again, or use what is there: ffmpeg -i {file.path.name} -c copy {file.path.stem}-fixed{file.path.suffix}"
        )


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float:
    """Return the duration that the header names for the video stream, else for the whole file; 0 if it names none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "").strip())
    if tag:
        hours, minutes, seconds = tag.groups()
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return (container.duration or 0) / av.time_base
