"""H.264 of field pictures, written bit by bit: the encoders of PyAV make none."""

import io
import re
from fractions import Fraction
from pathlib import Path

import av
from media import HEIGHT, STEP, WIDTH
from media_kinds import COUNT, packet

MACROBLOCKS = WIDTH // 16 * -(-HEIGHT // 32)
"""Of a field."""


def field_pictures(path: Path, count: int = COUNT, together: bool = False) -> Path:
    """H.264 of field pictures at 25 frames per second (PAFF, as AVCHD camcorders write) in a transport stream.

    Every frame is two fields; only the first field of every 12th frame is a key frame.

    Args:
        path: ends in .ts or .mts.
        count: of frames, each of its own grey level.
        together: both fields lie in one PES packet with one time stamp; otherwise each has its own.
    """
    frames = [_field_pair(index, gop=12) for index in range(count)]
    elementary = b"".join(field for pair in frames for field in pair)
    with (
        av.open(io.BytesIO(elementary), format="h264") as reader,
        av.open(str(path), "w", format="mpegts") as writer,
    ):
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for index, pair in enumerate(frames):
            units = [b"".join(pair)] if together else list(pair)
            for half, unit in enumerate(units):
                time = 2 * index + half
                key = half == 0 and index % 12 == 0
                writer.mux(packet(unit, stream, time, time, Fraction(1, 50), key))
    return path


class _Bits:
    """A bit string as H.264 writes its headers."""

    def __init__(self) -> None:
        self.bits = ""

    def fixed(self, width: int, value: int) -> "_Bits":
        self.bits += f"{value:0{width}b}"
        return self

    def golomb(self, *values: int) -> "_Bits":
        """Unsigned Exp-Golomb codes."""
        for value in values:
            code = f"{value + 1:b}"
            self.bits += "0" * (len(code) - 1) + code
        return self

    def aligned(self) -> bytes:
        """The bytes, filled with zeros; what follows begins a new byte."""
        width = -(-len(self.bits) // 8)
        return int(self.bits.ljust(8 * width, "0"), 2).to_bytes(width, "big")

    def closed(self) -> bytes:
        self.bits += "1"
        return self.aligned()


def _nal(kind: int, importance: int, payload: bytes) -> bytes:
    """A unit of H.264: three zeros and small numbers never follow each other inside."""
    return b"\0\0\0\1" + bytes([importance << 5 | kind]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def _sequence_header() -> bytes:
    bits = _Bits().fixed(8, 77).fixed(8, 0).fixed(8, 30)  # main profile, level 3
    bits.golomb(0, 4, 0, 6, 1).fixed(1, 0)  # 8 bits of frame number, 10 of order count, one reference frame
    bits.golomb(WIDTH // 16 - 1, -(-HEIGHT // 32) - 1)
    bits.fixed(1, 0).fixed(1, 0).fixed(1, 1)  # fields allowed, none mixed within a frame
    bits.fixed(1, 1).golomb(0, 0, 0, (-HEIGHT % 32) // 4)  # rows below the image, in units of four
    bits.fixed(1, 1).fixed(4, 0).fixed(1, 1).fixed(32, 1).fixed(32, 50).fixed(1, 1)  # 50 fields per second
    bits.fixed(3, 0)
    bits.fixed(1, 1).fixed(1, 1).golomb(0, 0, 10, 10, 0, 1)  # frames are shown in the order they are coded in
    return _nal(7, 3, bits.closed())


def _picture_header() -> bytes:
    bits = _Bits().golomb(0, 0).fixed(2, 0).golomb(0, 0, 0).fixed(3, 0).golomb(0, 0, 0).fixed(3, 0)
    return _nal(8, 3, bits.closed())


def _field_pair(index: int, gop: int) -> tuple[bytes, bytes]:
    """A frame's two fields of one grey level, each with its delimiter."""
    headers = _sequence_header() + _picture_header() if index % gop == 0 else b""
    delimiter = _nal(9, 0, b"\xf0")
    return delimiter + headers + _field(index, gop, bottom=0), delimiter + _field(index, gop, bottom=1)


def _field(index: int, gop: int, bottom: int) -> bytes:
    position = index % gop
    key = position == 0 and not bottom
    bits = _Bits().golomb(0, 7 if key else 5, 0).fixed(8, position)
    bits.fixed(1, 1).fixed(1, bottom)
    if key:
        bits.golomb(index // gop % 2)
    bits.fixed(10, 2 * position + bottom)
    # A key field names what happens to earlier frames; another one keeps the default references.
    bits.fixed(2, 0) if key else bits.fixed(3, 0)
    bits.golomb(0)
    luma = round(16 + STEP * index * 219 / 255)
    samples = bytes([luma]) * 256 + bytes([128]) * 128
    payload = b""
    for _ in range(MACROBLOCKS):
        # A macroblock of plain samples: kind 25, in predicted fields behind 5 others and a count of skipped ones.
        payload += (bits.golomb(25) if key else bits.golomb(0, 30)).aligned() + samples
        bits = _Bits()
    return _nal(5 if key else 1, 3, payload + bits.closed())
