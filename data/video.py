"""Videos: a clip of one by time, and writing one.

Every reading of a video goes through `read_clip`, which picks frames by their own presentation times. Decord
decodes ordinary videos; PyAV the ones on which decord hangs, returns other frames or is slow (`VideoInfo.reason`).
Both give the same pixels for 8-bit video, so the choice never shows in a clip.
"""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.errors import MediaError
from data.frames import Crop, resize_and_crop, to_uint8
from data.probe import (
    DAMAGE,
    VideoInfo,
    conversion_hint,
    decode_frames,
    import_decord,
    open_video,
    probe_video,
    video_stream,
)

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
            the clip), or a frame of the clip cannot be decoded. Damage that leaves a frame decodable goes
            unnoticed in decord and is mostly noticed by PyAV.
        ValueError: `start` is negative, `frames`, `fps` or `size` not positive, or `crop` unknown.
    """
    if not (start >= 0 and frames >= 1 and fps > 0):
        raise ValueError(f"start must be >= 0, frames >= 1 and fps > 0, not start={start}, frames={frames}, fps={fps}")
    info = source if isinstance(source, VideoInfo) else probe_video(source)
    indices, inverse = np.unique(_frame_indices(info, start, frames, fps), return_inverse=True)
    images = _read_decord(info, indices) if info.decoder == "decord" else None
    if images is None:
        images = _read_pyav(info, indices)
    clip = resize_and_crop(torch.from_numpy(np.stack(images)), size, crop, seed)
    return clip[:, torch.from_numpy(inverse)]


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


def _read_decord(info: VideoInfo, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]] | None:
    """The (H, W, 3) frames at ascending `indices`; None where decord fails or sees another video than PyAV."""
    decord = import_decord()
    assert decord is not None
    # Above 0 and less than one frame: fail at the first frame that is replaced by a copy of its neighbour.
    tolerance = f"{0.5 / len(info.pts):.12f}"
    try:
        reader = decord.VideoReader(str(info.path), num_threads=1, fault_tol=tolerance)
        times = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
        if len(times) != len(info.pts) or not np.allclose(times - times[0], info.timestamps, atol=4 * TIME_SLACK):
            return None
        images = _step_decord(reader, info, indices)
        # Of videos a few pixels wide decord returns rows of another length.
        sound = all(image.shape == (info.height, info.width, 3) for image in images)
        return images if sound else None
    # Only the first of decord's errors is a RuntimeError; StopIteration is its end of video.
    except (RuntimeError, decord.DECORDError, decord.DECORDLimitReachedError, StopIteration):
        return None


def _step_decord(reader: Any, info: VideoInfo, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """Reads on from key frames one by one: decord's own skipping waits for ever for a frame that is lost."""
    images = []
    position = 0
    for index, key in zip(indices, _key_before(info, indices), strict=True):
        if key > position:
            reader.seek_accurate(key)
            position = key
        while position <= index:
            frame = reader.next()
            position += 1
        images.append(frame.asnumpy())
    return images


def _key_before(info: VideoInfo, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest key frame at or before each index; 0 where there is none."""
    positions = np.searchsorted(info.key_frames, indices, side="right") - 1
    return (
        np.where(positions < 0, 0, info.key_frames[np.maximum(positions, 0)]) if len(info.key_frames) else 0 * indices
    )


def _read_pyav(info: VideoInfo, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """The (H, W, 3) frames at ascending `indices`, upright."""
    wanted = info.pts[indices]
    key = int(_key_before(info, indices[:1])[0])
    found = _decode_wanted(info, wanted, seek_to=int(info.pts[key]) if key else None)
    if key and len(found) < len(wanted):
        # Some containers cannot seek exactly; from its beginning every video decodes as far as it can.
        found = _decode_wanted(info, wanted, seek_to=None)
    missing = next((i for i in indices if int(info.pts[i]) not in found), None)
    if missing is not None:
        raise MediaError(
            f"{info.path} is damaged: the frame at {info.timestamps[missing]:.2f} s cannot be decoded;"
            " copy the video again"
        )
    images = [found[int(pts)] for pts in wanted]
    if len({image.shape for image in images}) > 1:
        raise MediaError(f"{info.path} changes its image size on the way; {conversion_hint(info.path)}")
    return images


def _decode_wanted(info: VideoInfo, wanted: NDArray[np.int64], seek_to: int | None) -> dict[int, NDArray[np.uint8]]:
    """Those of the `wanted` presentation times that decode without damage, with their frames."""
    missing = set(wanted.tolist())
    found: dict[int, NDArray[np.uint8]] = {}
    with open_video(info.path) as container:
        stream = video_stream(container, info.path)
        try:
            if seek_to is not None:
                container.seek(seek_to, stream=stream)
            for frame in decode_frames(container, stream):
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
