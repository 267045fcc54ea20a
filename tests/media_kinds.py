"""Videos as cameras, camcorders and recorders write them, made with PyAV: see `media` for the numbered grey images."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.packet import Packet
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from media import HEIGHT, WIDTH, grey, make_video

FPS = 10
COUNT = 40

PLAIN = {"bf": "0", "preset": "ultrafast"}
"""libx264 without B-frames."""


def intra_refresh(path: Path, count: int = COUNT) -> Path:
    """H.264 that renews the image column by column: every 12th packet is flagged key, but shows nothing whole."""
    options = {"bf": "0", "x264-params": "intra-refresh=1:keyint=12"}
    return make_video(path, count, FPS, codec="libx264", gop=12, b_frames=0, options=options)


def packed_bitstream(path: Path, count: int = COUNT) -> Path:
    """MPEG-4 AVI as DivX 5 wrote it: a B-frame in one packet with the frame before, then an empty one in its place."""
    packets = _mpeg4_packets(count)
    first = packets[0]
    name = first.index(b"Lavc")
    packets[0] = first[:name] + b"DivX503b1393p" + first[name + len(b"DivX503b1393p") :]
    chunks = []
    index = 0
    while index < len(packets):
        if index + 1 < len(packets) and _is_b_frame(packets[index + 1]):
            chunks += [packets[index] + packets[index + 1], _EMPTY_VOP]
            index += 2
        else:
            chunks.append(packets[index])
            index += 1
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width = WIDTH
        stream.height = HEIGHT
        stream.pix_fmt = "yuv420p"
        stream.codec_context.codec_tag = "XVID"
        for i, chunk in enumerate(chunks):
            container.mux(packet(chunk, stream, i, i, Fraction(1, FPS), key=_coding(chunk) == 0))
    return path


def joined_streams(path: Path, count: int = 20) -> Path:
    """Two transport streams of `count` frames joined as by `cat`: the second one's clock begins where the first's did.

    The second shows the numbers from `count` on.
    """
    halves = []
    for first in (0, count):
        half = path.with_name(f"{path.stem}_{first}.ts")
        make_video(half, count, FPS, gop=10, image=lambda index, first=first: grey(first + index))
        halves.append(half.read_bytes())
        half.unlink()
    path.write_bytes(b"".join(halves))
    return path


def clock_jump(path: Path, count: int = COUNT, jump: float = 7200.0) -> Path:
    """An MP4 whose clock jumps ahead by `jump` seconds in its middle."""
    seconds = [index / FPS + (jump if index >= count // 2 else 0.0) for index in range(count)]
    return make_video(path, count, FPS, seconds=seconds, gop=10)


class Orientation(NamedTuple):
    """How a display matrix turns or mirrors an image."""

    matrix: tuple[int, int, int, int]
    """(a, b, c, d): x' = a x + c y and y' = b x + d y, with y pointing down, before the shift back into view."""
    apply: Callable[[np.ndarray], np.ndarray]
    """What is to be seen: (H, W, 3) to the turned image."""


ORIENTATIONS = {
    "upright": Orientation((1, 0, 0, 1), lambda image: image),
    "turned_right": Orientation((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "upside_down": Orientation((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "turned_left": Orientation((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "mirrored": Orientation((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "flipped": Orientation((1, 0, 0, -1), lambda image: image[::-1]),
    "transposed": Orientation((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    "anti_transposed": Orientation((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
}
"""The eight ways to lay an image on a screen."""


def corners(number: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: four quarters (red, green / blue, grey of the frame's number) tell how it lies."""
    image = grey(number)
    image[: HEIGHT // 2, : WIDTH // 2] = (200, 30, 40)
    image[: HEIGHT // 2, WIDTH // 2 :] = (30, 180, 60)
    image[HEIGHT // 2 :, : WIDTH // 2] = (30, 60, 200)
    return image


def oriented(path: Path, name: str, count: int = 8) -> Path:
    """An MP4 of `corners` with one of the `ORIENTATIONS` as display matrix."""
    a, b, c, d = ORIENTATIONS[name].matrix
    shift_x = WIDTH * (a < 0) + HEIGHT * (c < 0)
    shift_y = WIDTH * (b < 0) + HEIGHT * (d < 0)
    make_video(path, count, FPS, image=corners, options=PLAIN)
    return _set_matrix(path, (a, b, c, d), shift_x, shift_y)


def turned_by_45_degrees(path: Path, count: int = 8) -> Path:
    """An MP4 of `corners` whose display matrix is none of the eight orientations."""
    half = 0.5**0.5
    make_video(path, count, FPS, image=corners, options=PLAIN)
    return _set_matrix(path, (half, half, -half, half), 0, 0)


def two_tracks(path: Path, count: int = COUNT) -> Path:
    """An MP4 of two video tracks: the first small and white, the second, which is the default, of numbered frames."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=FPS, options=PLAIN) for _ in range(2)]
        for stream, width, height in zip(streams, (WIDTH // 2, WIDTH), (HEIGHT // 2, HEIGHT), strict=True):
            stream.width = width
            stream.height = height
            stream.pix_fmt = "yuv420p"
            stream.codec_context.gop_size = 10
        streams[0].disposition = Disposition(0)
        streams[1].disposition = Disposition.default
        white = np.full((HEIGHT // 2, WIDTH // 2, 3), 255, dtype=np.uint8)
        for index in range(count):
            for stream, image in zip(streams, (white, grey(index)), strict=True):
                container.mux(stream.encode(_frame(image, index)))
        for stream in streams:
            container.mux(stream.encode())
    return path


class Colours(NamedTuple):
    """How a video says its colours are coded; each 2 where it does not say."""

    matrix: int = Colorspace.ITU709
    primaries: int = ColorPrimaries.BT709
    transfer: int = ColorTrc.BT709
    range: int = ColorRange.MPEG


BT709 = Colours()
BT709_FULL = Colours(range=ColorRange.JPEG)
BT601 = Colours(Colorspace.SMPTE170M, ColorPrimaries.SMPTE170M, ColorTrc.SMPTE170M)
HDR10 = Colours(9, ColorPrimaries.BT2020, ColorTrc.SMPTE2084)
HLG = Colours(9, ColorPrimaries.BT2020, ColorTrc.ARIB_STD_B67)
"""9: BT.2020, not constant luminance."""


def coloured(
    path: Path,
    colours: Colours = BT709,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    count: int = 8,
    image: Callable[[int], np.ndarray] = corners,
) -> Path:
    """A video of small quantisation steps whose samples are converted as its tags say."""
    height, width = image(0).shape[:2]
    quiet = {"x265-params": "log-level=none:bframes=0:crf=4"} if codec == "libx265" else {"crf": "4", "bf": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=quiet)
        stream.width = width
        stream.height = height
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.gop_size = 10
        context.colorspace = colours.matrix
        context.color_primaries = colours.primaries
        context.color_trc = colours.transfer
        context.color_range = colours.range
        for index in range(count):
            frame = _frame(image(index), index).reformat(
                format=pixel_format, dst_colorspace=_swscale(colours.matrix), dst_color_range=colours.range
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def ten_bit(path: Path, codec: str = "libx265", colours: Colours = BT709, count: int = 8) -> Path:
    """H.264 or H.265 of 10 bits a sample, 4:2:0; `HDR10` or `HLG` as `colours` for what phones record."""
    return coloured(path, colours, codec, "yuv420p10le", count)


def full_range(path: Path, count: int = COUNT) -> Path:
    """H.264 of numbered frames with levels from 0 to 255 (yuvj420p), as phones and cameras record."""
    return coloured(path, BT709_FULL, "libx264", "yuvj420p", count, grey)


def motion_jpeg(path: Path, count: int = COUNT) -> Path:
    """MJPEG of 4:2:2 samples in an AVI, as old cameras write."""
    options = {"qmin": "1", "qmax": "2"}
    return make_video(path, count, FPS, codec="mjpeg", b_frames=0, pixel_format="yuvj422p", options=options)


def cut(source: Path, path: Path, share: float = 0.5) -> Path:
    """The first `share` of a file's bytes, as after a full card or a broken transfer: the header promises more."""
    data = source.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    return path


def cut_recording(path: Path, count: int = COUNT) -> Path:
    """Half of a recording of numbered frames, in the container that the suffix of `path` names (.mkv, .avi)."""
    options = {**PLAIN, "crf": "10"}
    whole = path.with_name(f"{path.stem}_whole{path.suffix}")
    make_video(whole, count, FPS, gop=10, b_frames=0, options=options, image=_noise_beside)
    cut(whole, path)
    whole.unlink()
    return path


BITS = (3, 4)
"""Rows and columns of the black and white blocks that `counted` draws."""


def counted(number: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 whose middle square holds 12 black or white blocks: the bits of a number."""
    rows, columns = BITS
    bits = [(number >> bit) & 1 for bit in range(rows * columns)]
    blocks = np.array(bits, dtype=np.uint8).reshape(rows, columns) * 255
    square = blocks.repeat(HEIGHT // rows, axis=0).repeat(HEIGHT // columns, axis=1)
    image = np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)
    left = (WIDTH - HEIGHT) // 2
    image[:, left : left + HEIGHT] = square[..., None]
    return image


def read_count(image: np.ndarray) -> int:
    """The number that an (H, W, 3) image of `counted`, or the square in its middle of any size, shows."""
    rows, columns = BITS
    height, width = image.shape[:2]
    side = min(height, width)
    top = (height - side) // 2
    left = (width - side) // 2
    number = 0
    for bit in range(rows * columns):
        row, column = divmod(bit, columns)
        y = top + round((row + 0.5) * side / rows)
        x = left + round((column + 0.5) * side / columns)
        number |= int(image[y, x].mean() > 128) << bit
    return number


def long_stream(path: Path, count: int = 3000) -> Path:
    """`counted` frames in a stream without an index: program (.mpg, MPEG-2) or transport stream (.ts, H.264).

    A key frame comes every 20 frames, in .mpg every 18.
    """
    if path.suffix == ".mpg":
        return make_video(path, count, 25, codec="mpeg2video", gop=20, b_frames=2, image=counted)
    options = {"preset": "ultrafast", "x264-params": "scenecut=0:threads=1"}
    return make_video(path, count, 25, gop=20, b_frames=2, image=counted, options=options)


def screen_recording(path: Path) -> Path:
    """30 frames per second while something moves, nothing while the screen rests: for 4, 0.4 and 2.5 s.

    40 frames: 0 to 0.5 s, 4.5 to 4.8 s, 5.2 to 5.5 s, 8 to 8.23 s.
    """
    return make_video(path, len(SCREEN_TIMES), 30, seconds=SCREEN_TIMES, gop=250, options=PLAIN)


def _moving(*stretches: tuple[float, int]) -> Sequence[float]:
    return [start + index / 30 for start, count in stretches for index in range(count)]


SCREEN_TIMES = _moving((0.0, 15), (4.5, 9), (5.2, 9), (8.0, 7))
"""Seconds at which `screen_recording` shows a new frame."""


def avi_without_b_frames(path: Path, count: int = COUNT) -> Path:
    """H.264 in an AVI, in the order in which it is shown."""
    return make_video(path, count, FPS, gop=12, b_frames=0, options=PLAIN)


def _frame(image: np.ndarray, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    frame.time_base = Fraction(1, FPS)
    frame.pts = index
    return frame


def packet(data: bytes, stream: av.VideoStream, pts: int, dts: int, time_base: Fraction, key: bool) -> Packet:
    packet = Packet(data)
    packet.pts = pts
    packet.dts = dts
    packet.time_base = time_base
    packet.stream = stream
    packet.is_keyframe = key
    return packet


def _noise_beside(number: int) -> np.ndarray:
    """A numbered grey image with noise left and right of its middle square, so that all packets are of one size."""
    image = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    margin = (WIDTH - HEIGHT) // 2
    image[:, margin:-margin] = grey(number)[:, margin:-margin]
    return image


def _swscale(matrix: int) -> int:
    """PyAV names matrices by swscale's numbers, which are those of the tags but for this one."""
    return int(Colorspace.ITU601) if matrix == Colorspace.SMPTE170M else matrix


def _set_matrix(path: Path, linear: Sequence[float], shift_x: int, shift_y: int) -> Path:
    """Writes a display matrix into the one track header of an MP4: see `media.rotated` for its layout."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (round(value * (1 << 16)) for value in linear)
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, shift_x << 16, shift_y << 16, 1 << 30)
    offset = data.index(b"tkhd") + 4 + 40
    data[offset : offset + len(matrix)] = matrix
    path.write_bytes(data)
    return path


def _mpeg4_packets(count: int) -> list[bytes]:
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width = WIDTH
    encoder.height = HEIGHT
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    encoder.framerate = Fraction(FPS)
    encoder.max_b_frames = 1
    encoder.gop_size = 12
    encoder.options = {"qmin": "1", "qmax": "2", "b_strategy": "0"}
    packets = [packet for index in range(count) for packet in encoder.encode(_frame(grey(index), index))]
    return [bytes(packet) for packet in packets + encoder.encode(None)]


VOP = b"\0\0\1\xb6"
"""Start of a video object plane: a frame of MPEG-4 part 2, whose first two bits say how it is coded."""


def _coding(packet: bytes) -> int:
    """0 for an I-frame, 1 for P, 2 for B."""
    return packet[packet.index(VOP) + len(VOP)] >> 6


def _is_b_frame(packet: bytes) -> bool:
    return _coding(packet) == 2


# Coding P, no full second passed, marker, time 0 of 4 bits, marker, "not coded", padding.
_EMPTY_VOP = VOP + int("01_0_1_0000_1_0_011111".replace("_", ""), 2).to_bytes(2, "big")
