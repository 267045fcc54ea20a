"""The packets of a video: when each frame is displayed, where decoding can begin, and whether its clock can be trusted.

All of it is learned by reading the file once without decoding. What decoders make of packets is another matter: see
`data.probe`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from data.containers import DAMAGE, Header, conversion_hint, open_video, video_stream
from data.entry_points import EntryPoints
from data.errors import MediaError
from data.sources import ByteRange

PROMISING = frozenset({"matroska,webm", "avi", "flv", "asf"})
"""Formats whose header says how long the video is while nothing else tells that its end is missing."""

MOST_JOINTS = 1000
"""A stream whose clock is set back more often is damaged, not joined."""

TRANSPORT_PACKET = 188
"""Bytes of a packet of a transport stream (ISO/IEC 13818-1)."""

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a presentation time that a packet does not have."""


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
    hidden: NDArray[np.int64]
    """Indices of packets that are decoded for the sake of later frames and never displayed: an edit list says so."""
    keys: NDArray[np.int64]
    """Indices of the packets at which decoding can begin, at once or after a while."""
    positions: NDArray[np.int64]
    """(keys, 2) bytes: where the last packet begins that has a known position, at or before each of these, and the one
    before that; -1 where there is none."""
    set_back: NDArray[np.int64]
    """Indices of the packets whose time of decoding is before that of the packet before."""
    recovering: bool
    """Whether decoding that begins at some of the keys gives good frames only after a while."""

    def earliest_after(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the earliest presentation time of all packets from each of some ascending indices on."""
        if not len(indices):
            return indices
        return np.minimum.accumulate(_earliest(self.pts, indices)[::-1])[::-1]


def read_packets(file: ByteRange, header: Header) -> Packets:
    """Read all packets of the video stream.

    Raises:
        MediaError: the video is damaged or cut short, or its packets have no times.
        JoinedVideoError: its clock is set back on the way, and it can be read in parts.
    """
    path = file.path
    try:
        packets, ends_whole = _collect(file, header)
    except DAMAGE as error:
        raise MediaError(f"{path} is damaged ({error}); copy it again or {conversion_hint(file)}") from error
    # The index of an MP4 is complete from the start; those of other containers never promise too much.
    if not len(packets.pts) or len(packets.pts) < header.indexed_frames:
        frames = f"{len(packets.pts)} of {header.indexed_frames} frames"
        raise MediaError(f"{path} is cut short: {frames} are there; copy it again")
    if not ends_whole:
        raise MediaError(f"{path} is cut short in the middle of its last frame; copy it again")
    _check_clock(packets, header, file)
    _check_promised_length(packets, header, file)
    return packets


class _Times:
    """Presentation times, kept as small differences: a long video has millions, beside FFmpeg's own index of them."""

    def __init__(self) -> None:
        self._steps = array("i")
        self._last = 0
        self._unknown = array("q")

    def __len__(self) -> int:
        return len(self._steps)

    def append(self, time: int | None) -> None:
        if time is None:
            self._unknown.append(len(self._steps))
            time = self._last
        try:
            self._steps.append(time - self._last)
        except OverflowError:
            self._steps = array("q", self._steps)
            self._steps.append(time - self._last)
        self._last = time

    def to_array(self) -> NDArray[np.int64]:
        times = np.cumsum(np.frombuffer(self._steps, self._steps.typecode), dtype=np.int64)
        times[np.frombuffer(self._unknown, np.int64)] = UNKNOWN
        return times


def _collect(file: ByteRange, header: Header) -> tuple[Packets, bool]:
    """Return all packets, and whether the last of them is whole."""
    times = _Times()
    hidden = array("q")
    keys = array("q")
    positions = array("q")
    set_back = array("q")
    position = entry = -1
    decoded_at = UNKNOWN
    recovering = False
    last: Packet[VideoStream] | None = None
    with open_video(file) as container:
        stream = video_stream(container, file)
        entry_points = EntryPoints(header, stream)
        for packet in container.demux(stream):
            if not packet.size:
                continue
            last = packet
            index = len(times)
            if packet.pos is not None and packet.pos != position:
                entry = position
                position = packet.pos
            if packet.is_keyframe and (kind := entry_points.of(packet)) != "none":
                keys.append(index)
                positions.extend((position, entry))
                recovering = recovering or kind == "recovery"
            if packet.is_discard:
                hidden.append(index)
            times.append(packet.pts)
            if packet.dts is not None:
                if packet.dts < decoded_at:
                    set_back.append(index)
                decoded_at = packet.dts
        whole = last is None or not last.is_corrupt
    packets = Packets(
        pts=times.to_array(),
        hidden=np.frombuffer(hidden, np.int64),
        keys=np.frombuffer(keys, np.int64),
        positions=np.frombuffer(positions, np.int64).reshape(-1, 2),
        set_back=np.frombuffer(set_back, np.int64),
        recovering=recovering,
    )
    return packets, whole


def _check_clock(packets: Packets, header: Header, file: ByteRange) -> None:
    """Refuse times that say nothing of the order of display, or that run twice through the same moments."""
    path = file.path
    # FFmpeg numbers the H.264 packets of an AVI in the order of decoding, which B-frames make another order.
    reordered = header.format == "avi" and header.reordered
    if (packets.pts == UNKNOWN).all() or (reordered and header.codec not in ("mpeg4", "mjpeg")):
        raise MediaError(f"{path} does not say at what times its frames are displayed; {conversion_hint(file)}")
    back = _displayed_again(packets)
    if not len(back):
        return
    known = [part[part != UNKNOWN] for part in np.split(packets.pts, back)]
    lengths = [float(np.ptp(part)) * header.tick for part in known]
    named = ", ".join(f"{length:.1f} s" for length in lengths[:3]) + (", ..." if len(lengths) > 3 else "")
    message = f"{path} is {len(lengths)} recordings in one ({named}): its clock is set back on the way"
    if header.is_stream and len(back) <= MOST_JOINTS:
        raise JoinedVideoError(message, _parts(back, header, file))
    raise MediaError(f"{message}; cut it there into files of their own (ffmpeg -i {path.name} -to ... -c copy ...)")


def _displayed_again(packets: Packets) -> NDArray[np.int64]:
    """Return the packets from which on moments are displayed that were displayed already.

    Times of decoding may go back a little where recordings were joined well, since they run ahead of the display.
    """
    back = packets.set_back
    if not len(back):
        return back
    latest = np.maximum.accumulate(packets.pts)
    return back[_earliest(packets.pts, back) <= latest[back - 1]]


def _earliest(pts: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the earliest known time from each of some ascending indices up to the next."""
    unknown = pts == UNKNOWN
    times = np.where(unknown, np.iinfo(np.int64).max, pts) if unknown.any() else pts
    return np.minimum.reduceat(times, indices)


def _parts(back: NDArray[np.int64], header: Header, file: ByteRange) -> tuple[ByteRange, ...]:
    """Return the ranges of bytes between the packets at which the clock is set back."""
    whole = file.size or file.path.stat().st_size
    begins = [0]
    ends = []
    before = 0
    wanted = {int(index) for index in back}
    with open_video(file) as container:
        packets = (packet for packet in container.demux(video_stream(container, file)) if packet.size)
        for index, packet in enumerate(packets):
            position = packet.pos or before
            if index in wanted:
                # The tables that announce what is in a transport stream stand before its first frame: they come along.
                begins.append(before + TRANSPORT_PACKET if header.format == "mpegts" else position)
                ends.append(position)
            before = position
    ends.append(whole)
    return tuple(
        ByteRange(file.path, file.offset + begin, end - begin) for begin, end in zip(begins, ends, strict=True)
    )


def _check_promised_length(packets: Packets, header: Header, file: ByteRange) -> None:
    """Refuse a recording whose header promises more than there is, in its video or in any other stream."""
    if header.format not in PROMISING:
        return
    there = float(packets.pts.max() - header.start) * header.tick
    allowed = 1.0 + 0.01 * header.seconds
    if header.seconds - there <= allowed:
        return
    with open_video(file) as container:
        ends = [float(p.pts * p.time_base) for p in container.demux() if p.pts is not None and p.time_base is not None]
    if header.seconds - max(ends, default=0.0) > allowed:
        fixed = f"ffmpeg -i {file.path.name} -c copy {file.path.stem}-fixed{file.path.suffix}"
        raise MediaError(
            f"{file.path} is cut short: its header promises {header.seconds:.1f} s, {max(there, 0):.1f} s are there;"
            f" copy it again, or use what is there: {fixed}"
        )
