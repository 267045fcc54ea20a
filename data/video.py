"""Clips of a video by time: one, or many in order of time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.decoding import changed_size, damaged_frame, frames_in_order, read_frames
from data.errors import MediaError
from data.frames import Crop, resize_and_crop_levels, to_clip
from data.probe import VideoInfo, probe_video
from data.sources import Stretch

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
    check_length(info.path, info.duration, start, frames, fps)
    times = start + np.arange(frames) / fps
    check_gaps(info.path, info.gaps, times, frames / fps)
    return np.searchsorted(info.timestamps, times + TIME_SLACK, side="right") - 1


def check_length(name: Path | str, duration: float, start: float, frames: int, fps: float) -> None:
    """Check that a clip fits into a video of `duration` seconds; its last frame may end after it by half.

    Raises:
        MediaError: it does not.
    """
    room = int((duration + 0.5 / fps + TIME_SLACK - start) * fps)
    if frames > room:
        raise MediaError(
            f"{name} is {duration:.2f} s long, but {frames} frames at {fps:g} per second from"
            f" {start:.2f} s need {start + frames / fps:.2f} s: at most {max(room, 0)} frames fit there"
        )


def check_gaps(name: Path | str, gaps: Sequence[Stretch], times: NDArray[np.float64], seconds: float) -> None:
    """Check that none of the moments of a clip lies in a gap longer than it; of a clip of one frame any moment may.

    Raises:
        MediaError: one does.
    """
    for gap in gaps if len(times) > 1 else ():
        inside = (times + TIME_SLACK >= gap.start) & (times + TIME_SLACK < gap.end)
        if gap.end - gap.start > seconds and inside.any():
            raise MediaError(
                f"{name} shows no new frame from {gap.start:.2f} s to {gap.end:.2f} s, which is longer than a"
                f" clip of {seconds:.2f} s: none is cut across that gap"
            )
