"""Clips of a video by time: one, or many in order of time. And writing a video."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
import torch.nn.functional as F
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.decoding import changed_size, damaged_frame, frames_in_order, read_frames
from data.errors import MediaError
from data.frames import Crop, resize_and_crop_levels, to_clip, to_uint8
from data.probe import VideoInfo, probe_video

TIME_SLACK = 1e-3
"""Seconds by which a frame may come after the moment asked for: Matroska rounds times to a millisecond."""


def read_clip(
    source: VideoInfo | Path | str,
    start: float,
    frames: int,
    fps: float,
    size: int,
    crop: Crop = "centre",
    seed: int = 0,
) -> Tensor:
    """Frames of a video at even times: frame i is the one on display `start + i / fps` seconds into it.

    The same request gives the same pixels, whatever was read before.

    Args:
        source: a video, or what `probe_video` said of it.
        start: seconds from the first displayed frame.
        frames: of the clip, T.
        fps: of the clip; frames of the video are repeated where this is more than the video's own.
        size: side of the square clip in pixels; the video's short side is scaled to it.
        crop: 'centre', or 'random' for a position that depends on `seed` alone and is the same in all frames.
        seed: of the random crop.

    Returns:
        (3, T, size, size) float32 in [-1, 1].

    Raises:
        MediaError: `probe_video` refuses the video, it ends before the clip does (by more than half a frame of
            the clip), it shows no new frame for longer than the clip lasts, a frame of the clip cannot be decoded, or
            the file was changed since it was probed. Damage that leaves a frame decodable goes unnoticed in decord
            and is mostly noticed by PyAV.
        ValueError: `start` is negative, `frames`, `fps` or `size` not positive, or `crop` unknown.
    """
    info = source if isinstance(source, VideoInfo) else probe_video(source)
    return to_clip(decode_clip(info, start, frames, fps, size, crop, seed).levels)


class DecodedClip(NamedTuple):
    """A clip as its decoder gave it."""

    levels: Tensor
    """(3, T, size, size) uint8."""
    decoder: str
    """Name and version of what decoded it."""


def decode_clip(
    info: VideoInfo, start: float, frames: int, fps: float, size: int, crop: Crop = "centre", seed: int = 0
) -> DecodedClip:
    """Return a clip, and which decoder really gave it: see `read_clip`."""
    indices, inverse = np.unique(frame_indices(info, start, frames, fps), return_inverse=True)
    images, decoder = read_frames(info, indices)
    levels = resize_and_crop_levels(torch.from_numpy(np.stack(images)), size, crop, seed)
    return DecodedClip(levels[:, torch.from_numpy(inverse)], info.decoder_version(decoder))


def decode_clips(
    info: VideoInfo, starts: Sequence[float], frames: int, fps: float, size: int
) -> Iterator[DecodedClip | MediaError]:
    """Yield centre-cropped clips that begin at ascending times, decoding the video once: see `read_clip`.

    A clip that cannot be read gives the error that says why, and the others follow.

    Raises:
        MediaError: the video cannot be opened, or was changed since it was probed.
    """
    info.check_unchanged()
    requests = [_request(info, start, frames, fps) for start in starts]
    wanted = {int(index) for request in requests if not isinstance(request, MediaError) for index in request}
    pictures = frames_in_order(info, sorted(wanted))
    squares: dict[int, Tensor | None] = {}
    shapes: dict[int, tuple[int, ...]] = {}
    version = info.decoder_version("pyav")
    for request in requests:
        if isinstance(request, MediaError):
            yield request
            continue
        # What came before this clip begins is needed no more: clips begin at ascending times.
        for index in [index for index in squares if index < request[0]]:
            del squares[index], shapes[index]
        while request[-1] not in squares:
            index, image = next(pictures)
            shapes[index] = () if image is None else image.shape
            squares[index] = None if image is None else resize_and_crop_levels(torch.from_numpy(image)[None], size)
        parts = [squares[index] for index in request.tolist()]
        lost = next((index for index in request.tolist() if squares[index] is None), None)
        if lost is not None:
            yield damaged_frame(info, lost)
        elif len({shapes[index] for index in request.tolist()}) > 1:
            yield changed_size(info)
        else:
            yield DecodedClip(torch.cat([part for part in parts if part is not None], dim=1), version)
    info.check_unchanged()


def _request(info: VideoInfo, start: float, frames: int, fps: float) -> NDArray[np.int64] | MediaError:
    try:
        return frame_indices(info, start, frames, fps)
    except MediaError as error:
        return error


def frame_indices(info: VideoInfo, start: float, frames: int, fps: float) -> NDArray[np.int64]:
    """Return (frames,) indices of the frames on display at even times.

    Raises:
        MediaError: the video ends before the clip does, or shows no new frame for longer than the clip lasts.
        ValueError: `start` is negative, or `frames` or `fps` not positive.
    """
    if not (start >= 0 and frames >= 1 and fps > 0):
        raise ValueError(f"start must be >= 0, frames >= 1 and fps > 0, not start={start}, frames={frames}, fps={fps}")
    room = int((info.duration + 0.5 / fps + TIME_SLACK - start) * fps)
    if frames > room:
        raise MediaError(
            f"{info.path} is {info.duration:.2f} s long, but {frames} frames at {fps:g} per second from"
            f" {start:.2f} s need {start + frames / fps:.2f} s: at most {max(room, 0)} frames fit there"
        )
    times = start + np.arange(frames) / fps
    _check_gaps(info, times, frames / fps)
    return np.searchsorted(info.timestamps, times + TIME_SLACK, side="right") - 1


def _check_gaps(info: VideoInfo, times: NDArray[np.float64], seconds: float) -> None:
    """Refuse moments in a gap that is longer than the clip; a clip of one frame asks for what is on display."""
    for gap in info.gaps if len(times) > 1 else ():
        inside = (times + TIME_SLACK >= gap.start) & (times + TIME_SLACK < gap.end)
        if gap.end - gap.start > seconds and inside.any():
            raise MediaError(
                f"{info.path} shows no new frame from {gap.start:.2f} s to {gap.end:.2f} s, which is longer than a"
                f" clip of {seconds:.2f} s: none is cut across that gap"
            )


def write_video(path: Path | str, clip: Tensor, fps: float) -> None:
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
        raise ValueError(f"a video's name must end in .mp4 or .gif, not {path.name!r}")
    if clip.dim() != 4 or clip.shape[0] != 3 or clip.shape[1] == 0 or not fps > 0:
        raise ValueError(f"clip must be (3, T, H, W) and fps > 0, not {tuple(clip.shape)} and fps={fps}")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        writers[path.suffix.lower()](unfinished, to_uint8(clip), fps)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_mp4(path: Path, images: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8."""
    height, width = images.shape[2:]
    even = images
    if height % 2 or width % 2:
        even = F.pad(images.float(), (0, width % 2, 0, height % 2), mode="replicate").to(torch.uint8)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        # Without macroblock-tree rate control, with which x264 wrote other bytes on some repetitions of the same video.
        options = {"crf": "12", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height = even.shape[2]
        stream.width = even.shape[3]
        stream.pix_fmt = "yuv420p"
        for image in even.permute(1, 2, 3, 0).contiguous().numpy():
            frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_gif(path: Path, images: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8; one palette, without dithering, so that what rests in the video rests in the GIF."""
    frames = [Image.fromarray(image) for image in images.permute(1, 2, 3, 0).contiguous().numpy()]
    # Colours are counted on some 32 rows of an image: counting all pixels takes longer than everything else.
    step = max(1, images.shape[2] // 32)
    sparse = images[:, :, ::step, ::step].permute(1, 2, 3, 0).flatten(0, 1)
    palette = Image.fromarray(sparse.contiguous().numpy()).quantize(256)
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
