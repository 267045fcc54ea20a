"""Where decoding can begin: what the packets that a file flags as key frames really are."""

from __future__ import annotations

import re
from typing import Literal

from av.packet import Packet
from av.video.stream import VideoStream

from data.containers import Header

EntryPoint = Literal["exact", "recovery", "none"]
"""What decoding gives that begins at a packet: its frame at once, good frames some time later, or wrong ones."""


class EntryPoints:
    """Says what decoding gives that begins at a packet flagged as a key frame.

    Files flag more than the standards do: H.264 with periodic intra refresh flags packets from which images become
    good only little by little, and some programs flag every packet with an intra image, though later frames may
    refer past it. Both show in the packet's NAL units.
    """

    def __init__(self, header: Header, stream: VideoStream) -> None:
        self._codec = header.codec
        # In streams it is FFmpeg's parser that flags, and it does so with more care than files do.
        self._unmarked: EntryPoint = "exact" if header.is_stream else "none"
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
