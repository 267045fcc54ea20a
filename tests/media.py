"""Small real videos for tests, made with PyAV, whose brightness says which frame is which."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.stream import Disposition

WIDTH, HEIGHT = 64, 48
STEP = 5
"""Grey levels between two frames: frame i has the level STEP * i, so a video holds 50 of them at most."""

TICK = Fraction(1, 90_000)


def grey(number: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 image of one grey level that tells the frame's number."""
    return np.full((HEIGHT, WIDTH, 3), STEP * number, dtype=np.uint8)


def noise(number: int) -> np.ndarray:
    """An image of coarse coloured noise that codecs keep."""
    blocks = np.random.default_rng(number).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def numbers(clip: torch.Tensor) -> list[int]:
    """The frame numbers that a (3, T, H, W) clip in [-1, 1] shows."""
    levels = (clip.mean(dim=(0, 2, 3)) + 1) * 127.5
    return [round(float(level) / STEP) for level in levels]


def make_video(
    path: Path,
    count: int = 40,
    fps: int = 8,
    seconds: Sequence[float] | None = None,
    tick: Fraction = TICK,
    codec: str = "libx264",
    gop: int = 40,
    b_frames: int = 2,
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    image: Callable[[int], np.ndarray] = grey,
) -> Path:
    """Writes `count` numbered frames at `fps`, or at the given `seconds`, rounded to `tick`."""
    times = [i / fps for i in range(count)] if seconds is None else list(seconds)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = image(0).shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.gop_size = gop
        if b_frames:
            stream.codec_context.max_b_frames = b_frames
        stream.codec_context.time_base = tick if seconds is not None else Fraction(1, fps)
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(image(i), format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(time / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def stream_copy(source: Path, path: Path, skip_seconds: float = 0.0, skip_packets: int = 0) -> Path:
    """Copies packets without decoding, as `ffmpeg -ss skip_seconds -c copy` does.

    The new time zero lies `skip_seconds` into the video while packets are kept from the key frame before it:
    in an MP4, an edit list with pre-roll. `skip_packets` drops packets outright, key frame or not.
    """
    with av.open(str(source)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        packets = [packet for packet in reader.demux(stream) if packet.dts is not None]
        shift = round(skip_seconds / stream.time_base)
        key = max(i for i, p in enumerate(packets) if p.is_keyframe and p.pts <= shift)
        for packet in packets[max(key, skip_packets) :]:
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copy
            writer.mux(packet)
    return path


def rotated(source: Path, path: Path) -> Path:
    """Copies an MP4, telling players to turn it a quarter clockwise, as a phone held upright does."""
    data = bytearray(source.read_bytes())
    # The 3x3 matrix in 16.16 (last column 2.30) fixed point stands 40 bytes into the body of a version 0 tkhd
    # box. This one maps (x, y) to (-y, x) with y pointing down, then shifts the image back into view.
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30)
    offset = data.index(b"tkhd") + 4 + 40
    data[offset : offset + len(matrix)] = matrix
    path.write_bytes(data)
    return path


def moov_first(source: Path, path: Path) -> Path:
    """Copies an MP4 with its index in front, so that cutting its end leaves a file that opens."""
    with av.open(str(source)) as reader, av.open(str(path), "w", options={"movflags": "faststart"}) as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        for packet in reader.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                writer.mux(packet)
    return path


def packet_places(path: Path) -> list[tuple[int, int]]:
    """Offset and size in bytes of every video packet of the file, in stored order."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def make_sound(path: Path, cover: bool = False) -> Path:
    """Writes a second of silence, to an MP3 also with a cover image."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame" if path.suffix == ".mp3" else "aac", rate=44_100)
        stream.layout = "mono"
        if cover:
            art = container.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
            art.disposition = Disposition.attached_pic
        silence = np.zeros((1, 44_100), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, 0
        sound = stream.encode(frame) + stream.encode()
        if cover:
            container.mux(art.encode(av.VideoFrame.from_ndarray(grey(3), format="rgb24")) + art.encode())
        container.mux(sound)
    return path


def trimmed(source: Path, path: Path, seconds: float) -> Path:
    """Copies an MP4 with an edit list that ends the video early, as trimming on a phone does."""
    data = bytearray(source.read_bytes())
    # An elst box holds 8 bytes of version, flags and count, then the length of its first segment in ms.
    offset = data.index(b"elst") + 4 + 8
    data[offset : offset + 4] = round(seconds * 1000).to_bytes(4, "big")
    path.write_bytes(data)
    return path
