"""Frames of a video by their index: upright, as RGB, through decord or PyAV.

The truth about a frame is what FFmpeg shows at its time. PyAV is FFmpeg and gives every frame of a video in order; so
does decord of the videos that `data.probe` leaves to it, and both give the same pixels.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from data.containers import DAMAGE, conversion_hint, open_video, video_stream
from data.decoders import import_decord
from data.errors import MediaError
from data.probe import VideoInfo, decode_frames

Image = NDArray[np.uint8]
"""(H, W, 3) RGB."""

WORTH_SEEKING = 32
"""Frames that are rather decoded than jumped over: opening a file and seeking in it costs about as much."""

TIME_TOLERANCE = 4e-3
"""Seconds by which decord's times may differ from PyAV's."""


def read_frames(info: VideoInfo, indices: NDArray[np.int64]) -> tuple[list[Image], str]:
    """Return the frames at ascending indices, and which decoder gave them: 'decord' or 'pyav'.

    Raises:
        MediaError: one cannot be decoded, they differ in size, or the file was changed since it was looked at.
    """
    info.check_unchanged()
    images = read_by_decord(info, indices) if info.decoder == "decord" else None
    if images is not None:
        return images, "decord"
    found = list(frames_in_order(info, indices.tolist()))
    lost = next((index for index, image in found if image is None), None)
    if lost is not None:
        raise damaged_frame(info, lost)
    images = [image for _, image in found if image is not None]
    check_same_size(info, images)
    return images, "pyav"


def check_same_size(info: VideoInfo, images: Sequence[Image]) -> None:
    """Check that the frames of a clip have one size.

    Raises:
        MediaError: they have not.
    """
    if len({image.shape for image in images}) > 1:
        raise changed_size(info)


def changed_size(info: VideoInfo) -> MediaError:
    """Return the error that says that the frames of a clip differ in size."""
    return MediaError(f"{info.path} changes its image size on the way; {conversion_hint(info.file)}")


def damaged_frame(info: VideoInfo, index: int) -> MediaError:
    """Return the error that says which frame cannot be decoded."""
    moment = float(info.timestamps[index])
    return MediaError(f"{info.path} is damaged: the frame at {moment:.2f} s cannot be decoded; copy the video again")


def frames_in_order(info: VideoInfo, indices: Sequence[int]) -> Iterator[tuple[int, Image | None]]:
    """Yield frames at ascending indices by PyAV, decoding each stretch of the video once; None for what is damaged.

    Frames that are not asked for are decoded as others depend on them, but not converted. Where a key frame lies
    ahead and before the next frame asked for, decoding goes on from there.
    """
    for run in _runs(info, indices):
        yield from _decode_run(info, run)


def read_by_decord(info: VideoInfo, indices: NDArray[np.int64]) -> list[Image] | None:
    """Return the frames at ascending indices; None where decord fails or sees another video than PyAV."""
    decord = import_decord()
    assert decord is not None
    # Above 0 and less than one frame: fail at the first frame that is replaced by a copy of its neighbour.
    tolerance = f"{0.5 / len(info.pts):.12f}"
    try:
        reader = decord.VideoReader(str(info.path), num_threads=1, fault_tol=tolerance)
        times = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
        if len(times) != len(info.pts) or not np.allclose(times - times[0], info.timestamps, atol=TIME_TOLERANCE):
            return None
        images = _step_decord(reader, info, indices)
        # Of videos a few pixels wide decord returns rows of another length.
        sound = all(image.shape == (info.height, info.width, 3) for image in images)
        return images if sound else None
    # Only the first of decord's errors is a RuntimeError; StopIteration is its end of video.
    except (RuntimeError, decord.DECORDError, decord.DECORDLimitReachedError, StopIteration):
        return None


def _step_decord(reader: Any, info: VideoInfo, indices: NDArray[np.int64]) -> list[Image]:
    """Read on from key frames one by one: decord's own skipping waits for ever for a frame that is lost."""
    images = []
    position = 0
    for index in indices.tolist():
        key = int(info.key_frames[_key_before(info, index)])
        if key > position:
            reader.seek_accurate(key)
            position = key
        while position <= index:
            frame = reader.next()
            position += 1
        images.append(frame.asnumpy())
    return images


def _key_before(info: VideoInfo, index: int) -> int:
    """Return which key frame is the last at or before a frame; -1 if there is none."""
    return int(np.searchsorted(info.key_frames, index, side="right")) - 1


def _runs(info: VideoInfo, indices: Sequence[int]) -> Iterator[list[int]]:
    """Yield the indices in runs, each of which is decoded from its first key frame to its last frame."""
    run: list[int] = []
    for index in indices:
        key = _key_before(info, index)
        if run and key >= 0 and info.key_frames[key] > run[-1] + WORTH_SEEKING:
            yield run
            run = []
        run.append(index)
    if run:
        yield run


def _decode_run(info: VideoInfo, run: Sequence[int]) -> Iterator[tuple[int, Image | None]]:
    """Yield the frames of a run, beginning further back where the first of them does not come.

    A frame passed over may be one that is good only when decoding began a key frame earlier, or be damaged; where
    decoding began behind it, the file was not entered where its key frame is.
    """
    wanted = deque(run)
    key = max(_key_before(info, run[0]), 0) - (1 if info.recovering else 0)
    back = 1
    entered_before = False
    while wanted:
        beginning = key <= 0
        for index, frame in _decode_from(info, key):
            entered_before = entered_before or index <= wanted[0]
            if index > wanted[0] and len(wanted) == len(run) and not beginning:
                break
            while wanted and wanted[0] < index:
                yield wanted.popleft(), None
            if wanted and wanted[0] == index:
                yield wanted.popleft(), upright_rgb(frame, info)
            if not wanted:
                return
        if len(wanted) < len(run) or beginning or (entered_before and back > 2):
            break
        key -= back
        back *= 2
    for index in wanted:
        yield index, None


def _decode_from(info: VideoInfo, key: int) -> Iterator[tuple[int, VideoFrame]]:
    """Yield whole frames with their indices, in order of display, from a key frame or, below 1, from the beginning."""
    with open_video(info.file) as container:
        stream = video_stream(container, info.file)
        position, entry = (int(one) for one in info.key_positions[key]) if key > 0 and info.seek_by_byte else (-1, -1)
        if entry >= 0:
            container.seek(entry, any_frame=True, unsupported_byte_offset=True)
        elif key > 0 and not info.seek_by_byte:
            container.seek(int(info.pts[info.key_frames[key]]), stream=stream)
        number = -1
        try:
            for frame in decode_frames(container, stream, position):
                number += 1
                index = number if info.counted else _index_of(info, frame)
                if index is not None and not frame.is_corrupt:
                    yield index, frame
        except DAMAGE:
            return


def _index_of(info: VideoInfo, frame: VideoFrame) -> int | None:
    """Return which frame it is; None for one that is never displayed."""
    if frame.pts is None:
        return None
    index = int(np.searchsorted(info.pts, frame.pts))
    return index if index < len(info.pts) and info.pts[index] == frame.pts else None


def upright_rgb(frame: VideoFrame, info: VideoInfo) -> Image:
    """Return the pixels of a frame as they are displayed.

    Of more than 8 bits the brightness and colour are rounded to 8 first, in the layout they are stored in: FFmpeg's
    own conversion of 10-bit 4:2:0 to RGB smears colours (4.8 levels from the formula on average, 0.9 this way).
    """
    narrow = re.fullmatch(r"(yuva?4\d\dp|gray)\d+[lb]e", frame.format.name)
    if narrow:
        frame = frame.reformat(format=narrow.group(1))
    pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    if info.mirrored:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(np.rot90(pixels, k=-info.rotation // 90))
