"""Films: what one holds, a clip of it by time, and writing one.

Every reading of a film goes through `read_clip`, which picks frames by their own presentation times. Decord
decodes ordinary films; PyAV the ones on which decord hangs or returns other frames (`_why_not_decord`). Both
give the same pixels for 8-bit video, so the choice never shows in a clip.
"""

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import av
import numpy as np
import torch
import torch.nn.functional as F
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.errors import MediaError
from data.frames import Crop, resize_and_crop, to_uint8

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"})
"""Lower-case suffixes that name a film; compare with `path.suffix.lower()`."""

TIME_SLACK = 1e-3
"""Seconds by which a frame may come after the moment asked for: Matroska rounds times to a millisecond."""

DECORD_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})
"""Those in which one packet is one frame, so that decord, which counts frames, cannot lose its place."""

DAMAGE = (av.FFmpegError, IndexError)
"""What PyAV raises on a damaged film; IndexError where damage makes a stream appear half-way."""


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """What a film holds; learned from its packets, of which only the first frame is decoded."""

    path: Path
    """Absolute."""
    width: int
    """Pixels, as displayed: after rotation. Pixels are taken as square."""
    height: int
    """Pixels, as displayed: after rotation."""
    rotation: Literal[0, 90, 180, 270]
    """Degrees clockwise that stored pictures are turned for display."""
    timestamps: NDArray[np.float64]
    """Seconds at which each displayed frame appears, ascending, the first at 0."""
    duration: float
    """Seconds: the last time stamp and one median frame interval."""
    decoder: Literal["decord", "pyav"]
    """What decodes the film on this machine."""
    reason: str
    """Why PyAV and not decord; empty for decord."""
    pts: NDArray[np.int64]
    """Presentation times as stored, in ticks of the stream, one for each of `timestamps`."""
    key_frames: NDArray[np.int64]
    """Indices into `timestamps` of the frames at which decoding can begin."""

    @property
    def decoder_version(self) -> str:
        """Name and version of the decoder, for the record: 'decord 0.6.0'."""
        decord = _import_decord()
        if self.decoder == "decord" and decord is not None:
            return f"decord {decord.__version__}"
        return f"pyav {av.__version__}"


def probe_video(path: Path | str) -> VideoInfo:
    """What the film at `path` holds; remembered until the file's size or date changes.

    Raises:
        MediaError: the file is missing, a folder, empty, cut short, not a film, has no decodable frame or no
            usable time stamps.
    """
    path = Path(path).absolute()
    if path.is_dir():
        raise MediaError(f"{path} is a folder, not a film")
    if not path.exists():
        raise MediaError(f"{path} does not exist")
    stat = path.stat()
    if stat.st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes): copy or download it again")
    return _probe(path, stat.st_size, stat.st_mtime_ns)


def read_clip(
    source: VideoInfo | Path | str,
    start: float,
    frames: int,
    fps: float,
    size: int,
    crop: Crop = "centre",
    seed: int = 0,
) -> Tensor:
    """Frames of a film at even times: frame i is the one on display `start + i / fps` seconds into it.

    The same request gives the same pixels, whatever was read before.

    Args:
        source: a film, or what `probe_video` said of it.
        start: seconds from the first displayed frame.
        frames: of the clip, T.
        fps: of the clip; frames of the film are repeated where this is more than the film's own.
        size: side of the square clip in pixels; the film's short side is scaled to it.
        crop: 'centre', or 'random' for a place that depends on `seed` alone and is the same in all frames.
        seed: of the random crop.

    Returns:
        (3, T, size, size) float32 in [-1, 1].

    Raises:
        MediaError: `probe_video` refuses the film, it ends before the clip does (by more than half a frame of
            the clip), or a frame of the clip cannot be decoded. Damage that leaves a frame decodable goes
            unnoticed in decord and is mostly noticed by PyAV.
        ValueError: `start` is negative, `frames`, `fps` or `size` not positive, or `crop` unknown.
    """
    if not (start >= 0 and frames >= 1 and fps > 0):
        raise ValueError(f"start must be >= 0, frames >= 1 and fps > 0, not start={start}, frames={frames}, fps={fps}")
    info = source if isinstance(source, VideoInfo) else probe_video(source)
    indices, places = np.unique(_frame_indices(info, start, frames, fps), return_inverse=True)
    pictures = _read_decord(info, indices) if info.decoder == "decord" else None
    if pictures is None:
        pictures = _read_pyav(info, indices)
    clip = resize_and_crop(torch.from_numpy(np.stack(pictures)), size, crop, seed)
    return clip[:, torch.from_numpy(places)]


def write_film(path: Path | str, clip: Tensor, fps: float) -> None:
    """Writes a clip as MP4 (H.264, yuv420p: plays in browsers) or, to a name in .gif, as an endless GIF.

    The file appears complete or not at all. MP4 needs even sides: odd ones grow by a copy of the last pixels.

    Args:
        path: ends in .mp4 or .gif; its folder exists.
        clip: (3, T, H, W) in [-1, 1]; values outside are clipped.
        fps: frames per second. A GIF rounds the time between frames to hundredths of a second.

    Raises:
        ValueError: another suffix or shape, or `fps` not positive.
    """
    path = Path(path)
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    if path.suffix.lower() not in writers:
        raise ValueError(f"a film's name must end in .mp4 or .gif, not {path.name!r}")
    if clip.dim() != 4 or clip.shape[0] != 3 or clip.shape[1] == 0 or not fps > 0:
        raise ValueError(f"clip must be (3, T, H, W) and fps > 0, not {tuple(clip.shape)} and fps={fps}")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        writers[path.suffix.lower()](unfinished, to_uint8(clip), fps)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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
    """The video packets of a film in the order they are stored, which is the order of decoding."""

    pts: NDArray[np.int64]
    key: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    """Decoded for the sake of later frames and never displayed: an edit list says so."""


@functools.lru_cache(maxsize=4096)
def _probe(path: Path, size: int, modified: int) -> VideoInfo:
    """`size` and `modified` only tell the cache whether the file is still the same."""
    with _open(path) as container:
        packets = _read_packets(container, path)
    with _open(path) as container:
        stream = _film_stream(container, path)
        first, begin = _first_frame(container, stream, path)
        rotation = _clockwise(first)
        reason = _why_not_decord(container, stream, packets, first)
        tick, rate = stream.time_base or Fraction(0), stream.guessed_rate
    # A film cut between key frames begins with packets that nothing can decode: they are never displayed.
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


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), "r", metadata_errors="ignore")
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise MediaError(f"{path} cannot be read: {error.strerror}") from error
        with path.open("rb") as file:
            head = file.read(12)
        if head[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"):
            raise MediaError(f"{path} is cut short: its index (moov) is missing; copy it or record it again") from error
        raise MediaError(f"{path} is not a film, whatever its name says: {error.strerror}") from error


def _film_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover picture."""
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise MediaError(f"{path} is a still picture, not a film: name it as one (.png, .jpg)")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise MediaError(f"{path} has a video codec that is not known here; {_convert(path)}")
            return stream
    if container.streams.video:
        raise MediaError(f"{path} is a sound file with a cover picture, not a film")
    if container.streams.audio:
        raise MediaError(f"{path} holds sound but no pictures")
    raise MediaError(f"{path} has no video stream")


def _read_packets(container: InputContainer, path: Path) -> _Packets:
    stream = _film_stream(container, path)
    promised = len(stream.index_entries)
    try:
        packets = [_Packet.of(packet) for packet in container.demux(stream) if packet.size]
    except DAMAGE as error:
        raise MediaError(f"{path} is damaged ({error}); copy it again or {_convert(path)}") from error
    # The index of an MP4 is complete from the start; those of other containers never promise too much.
    if not packets or len(packets) < promised:
        raise MediaError(f"{path} is cut short: {len(packets)} of {promised} frames are there; copy it again")
    if packets[-1].corrupt:
        raise MediaError(f"{path} is cut short in the middle of its last frame; copy it again")
    # FFmpeg numbers the H.264 packets of an AVI in the order of decoding, which B-frames make another order.
    reordered = container.format.name == "avi" and stream.codec_context.has_b_frames
    if any(packet.pts is None for packet in packets) or (reordered and _codec(stream) != "mpeg4"):
        raise MediaError(f"{path} does not say at what times its frames are displayed; {_convert(path)}")
    return _Packets(
        pts=np.array([packet.pts for packet in packets], dtype=np.int64),
        key=np.array([packet.key for packet in packets]),
        hidden=np.array([packet.hidden for packet in packets]),
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> tuple[VideoFrame, int]:
    """The first frame that is displayed, and its presentation time in ticks."""
    try:
        for frame in _decode(container, stream):
            assert frame.pts is not None  # PyAV numbers frames that have no time of their own
            return frame, frame.pts
    except DAMAGE as error:
        raise MediaError(f"{path} is damaged: its first frame cannot be decoded ({error})") from error
    raise MediaError(f"{path} holds no frame that can be decoded")


def _why_not_decord(container: InputContainer, stream: VideoStream, packets: _Packets, first: VideoFrame) -> str:
    """Why decord cannot be trusted with this film, or an empty string.

    Decord counts frames from the key frame it seeks to and takes a key frame in the k-th packet for the k-th
    frame. Where the two orders differ it returns other frames after a seek than in sequence, or waits for
    ever (dmlc/decord#373).
    """
    later = np.append(np.minimum.accumulate(packets.pts[::-1])[::-1][1:], np.iinfo(np.int64).max)
    codec = _codec(stream)
    reasons = {
        "decord is not installed": _import_decord() is None,
        "MPEG transport stream": container.format.name == "mpegts",
        "the film is rotated": _clockwise(first) != 0,
        "frames before time zero (edit list)": bool(packets.hidden.any() or (packets.pts < 0).any()),
        "no key frame at the start": not packets.key[0],
        "open groups of pictures": bool((packets.key & (later < packets.pts)).any()),
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


def _convert(path: Path) -> str:
    return f"convert it: ffmpeg -i {path.name} -c:v libx264 -crf 12 -pix_fmt yuv420p {path.stem}-fixed.mp4"


def _frame_indices(info: VideoInfo, start: float, frames: int, fps: float) -> NDArray[np.int64]:
    """(frames,) indices into `info.timestamps` of the frames on display."""
    room = int((info.duration + 0.5 / fps + TIME_SLACK - start) * fps)
    if frames > room:
        raise MediaError(
            f"{info.path} is {info.duration:.2f} s long, but {frames} frames at {fps:g} per second from"
            f" {start:.2f} s need {start + frames / fps:.2f} s: at most {max(room, 0)} frames fit there"
        )
    times = start + np.arange(frames) / fps
    return np.searchsorted(info.timestamps, times + TIME_SLACK, side="right") - 1


@functools.cache
def _import_decord() -> ModuleType | None:
    """Decord has no build for macOS and ARM."""
    try:
        import decord
    except (ImportError, OSError):
        return None
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _read_decord(info: VideoInfo, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]] | None:
    """The (H, W, 3) frames at ascending `indices`; None where decord fails or sees another film than PyAV."""
    decord = _import_decord()
    assert decord is not None
    # Above 0 and less than one frame: fail at the first frame that is replaced by a copy of its neighbour.
    tolerance = f"{0.5 / len(info.pts):.12f}"
    try:
        reader = decord.VideoReader(str(info.path), num_threads=1, fault_tol=tolerance)
        times = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
        if len(times) != len(info.pts) or not np.allclose(times - times[0], info.timestamps, atol=4 * TIME_SLACK):
            return None
        return _step_decord(reader, info, indices)
    # Only the first of decord's errors is a RuntimeError; StopIteration is its end of film.
    except (RuntimeError, decord.DECORDError, decord.DECORDLimitReachedError, StopIteration):
        return None


def _step_decord(reader: Any, info: VideoInfo, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """Reads on from key frames one by one: decord's own skipping waits for ever for a frame that is lost."""
    pictures, position = [], 0
    for index, key in zip(indices, _key_before(info, indices), strict=True):
        if key > position:
            reader.seek_accurate(key)
            position = key
        while position <= index:
            frame = reader.next()
            position += 1
        pictures.append(frame.asnumpy())
    return pictures


def _key_before(info: VideoInfo, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest key frame at or before each index; 0 where there is none."""
    places = np.searchsorted(info.key_frames, indices, side="right") - 1
    return np.where(places < 0, 0, info.key_frames[np.maximum(places, 0)]) if len(info.key_frames) else 0 * indices


def _read_pyav(info: VideoInfo, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """The (H, W, 3) frames at ascending `indices`, upright."""
    wanted = info.pts[indices]
    key = int(_key_before(info, indices[:1])[0])
    found = _decode_wanted(info, wanted, seek_to=int(info.pts[key]) if key else None)
    if key and len(found) < len(wanted):
        # Some containers cannot seek exactly; from its beginning every film decodes as far as it can.
        found = _decode_wanted(info, wanted, seek_to=None)
    missing = next((i for i in indices if int(info.pts[i]) not in found), None)
    if missing is not None:
        raise MediaError(
            f"{info.path} is damaged: the frame at {info.timestamps[missing]:.2f} s cannot be decoded;"
            " copy the film again"
        )
    pictures = [found[int(pts)] for pts in wanted]
    if len({picture.shape for picture in pictures}) > 1:
        raise MediaError(f"{info.path} changes its picture size on the way; {_convert(info.path)}")
    return pictures


def _decode_wanted(info: VideoInfo, wanted: NDArray[np.int64], seek_to: int | None) -> dict[int, NDArray[np.uint8]]:
    """Those of the `wanted` presentation times that decode without damage, with their frames."""
    missing = set(wanted.tolist())
    found: dict[int, NDArray[np.uint8]] = {}
    with _open(info.path) as container:
        stream = _film_stream(container, info.path)
        try:
            if seek_to is not None:
                container.seek(seek_to, stream=stream)
            for frame in _decode(container, stream):
                if frame.pts is not None and frame.pts in missing and not frame.is_corrupt:
                    missing.discard(frame.pts)
                    found[frame.pts] = _upright(frame, info.rotation)
                if not missing:
                    break
        except DAMAGE:
            return found
    return found


def _upright(frame: VideoFrame, clockwise: int) -> NDArray[np.uint8]:
    pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return np.ascontiguousarray(np.rot90(pixels, k=-clockwise // 90))


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames in order of display, from the first key frame onwards; before it decoders make frames up."""
    stream.codec_context.thread_count = 1
    begun = False
    for packet in container.demux(stream):
        begun = begun or packet.is_keyframe
        if begun:
            yield from packet.decode()


def _write_mp4(path: Path, pictures: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8."""
    height, width = pictures.shape[2:]
    even = F.pad(pictures.float(), (0, width % 2, 0, height % 2), mode="replicate").to(torch.uint8)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = even.shape[2], even.shape[3], "yuv420p"
        for picture in even.permute(1, 2, 3, 0).contiguous().numpy():
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _write_gif(path: Path, pictures: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8; one palette, without dithering, so that what rests in the film rests in the GIF."""
    frames = [Image.fromarray(picture) for picture in pictures.permute(1, 2, 3, 0).contiguous().numpy()]
    strip = Image.fromarray(pictures.permute(1, 2, 3, 0).flatten(0, 1).contiguous().numpy())
    palette = strip.quantize(256)
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
