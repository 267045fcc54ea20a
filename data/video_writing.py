"""Clips written as videos: MP4 that says how its colours are coded, or GIF."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import torch
import torch.nn.functional as F
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from PIL import Image
from torch import Tensor

from data.frames import to_uint8
from storage.files import temporary_path

GIF_DELAY = 2
"""Hundredths of a second for which a frame of a GIF is shown at least: of less, browsers make 10."""


def write_video(path: Path | str, clip: Tensor, fps: float, full_colour: bool = False, lossless: bool = False) -> None:
    """Writes a clip as MP4 (H.264, yuv420p: plays in browsers) or, to a name in .gif, as an endless GIF.

    The file appears complete or not at all. MP4 needs even sides: odd ones grow by a copy of the last pixels. Its
    colours are coded as BT.709 of limited range, and the file says so.

    Args:
        path: ends in .mp4 or .gif; its folder exists.
        clip: (3, T, H, W) in [-1, 1]; values outside are clipped.
        fps: frames per second. A GIF rounds the times at which frames appear to hundredths of a second, and holds 50
            frames per second at most (players show faster ones slowly): of a faster clip it leaves frames out.
        full_colour: every pixel of an MP4 keeps its own colour (yuv444p) nearly without loss, for training on small
            videos, instead of four sharing one. Not every player shows such files.
        lossless: the pixels of an MP4 are kept as they are, in RGB: equal frames are decoded to equal pixels, whatever
            comes before them. Such files are large, and few players show them.

    Raises:
        ValueError: another suffix or shape, or `fps` not positive.
    """
    path = Path(path)
    write_mp4 = _write_lossless_mp4 if lossless else _write_full_mp4 if full_colour else _write_mp4
    writers = {".mp4": write_mp4, ".gif": _write_gif}
    if path.suffix.lower() not in writers:
        raise ValueError(f"a video's name must end in .mp4 or .gif, not {path.name!r}")
    if clip.dim() != 4 or clip.shape[0] != 3 or clip.shape[1] == 0 or not fps > 0:
        raise ValueError(f"clip must be (3, T, H, W) and fps > 0, not {tuple(clip.shape)} and fps={fps}")
    unfinished = temporary_path(path)
    try:
        writers[path.suffix.lower()](unfinished, to_uint8(clip), fps)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_mp4(path: Path, images: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8."""
    _write_h264(path, images, fps, "yuv420p", 12)


def _write_full_mp4(path: Path, images: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8."""
    _write_h264(path, images, fps, "yuv444p", 6)


def _write_lossless_mp4(path: Path, images: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8."""
    _write_h264(path, images, fps, "rgb24", 0)


def _write_h264(path: Path, images: Tensor, fps: float, pixels: str, loss: int) -> None:
    """(3, T, H, W) uint8 in a YUV format or RGB, with a constant loss of x264's scale, from 0 (none in RGB) to 51."""
    height, width = images.shape[2:]
    even = images
    if height % 2 or width % 2:
        even = F.pad(images.float(), (0, width % 2, 0, height % 2), mode="replicate").to(torch.uint8)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        # Without macroblock-tree rate control, with which x264 wrote other bytes on some repetitions of the same video.
        options = {"crf": str(loss), "x264-params": "mbtree=0"}
        codec = "libx264rgb" if pixels == "rgb24" else "libx264"
        rate = Fraction(fps).limit_denominator(1001)
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
        stream.height = even.shape[2]
        stream.width = even.shape[3]
        stream.pix_fmt = pixels
        if pixels != "rgb24":
            _say_colours(stream.codec_context)
        for image in even.permute(1, 2, 3, 0).contiguous().numpy():
            frame = VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame if pixels == "rgb24" else _bt709(frame, pixels)))
        container.mux(stream.encode())


def _say_colours(encoder: VideoCodecContext) -> None:
    """Tags a video as what `_bt709` makes: players guess untagged colours by the number of lines, each in its way."""
    encoder.colorspace = Colorspace.ITU709
    encoder.color_range = ColorRange.MPEG
    encoder.color_primaries = ColorPrimaries.BT709
    encoder.color_trc = ColorTrc.BT709


def _bt709(frame: VideoFrame, pixels: str) -> VideoFrame:
    """Return a frame in RGB as pixels of a YUV format; PyAV would convert by BT.601."""
    return frame.reformat(format=pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def _write_gif(path: Path, images: Tensor, fps: float) -> None:
    """(3, T, H, W) uint8; one palette, without dithering, so that what rests in the video rests in the GIF."""
    shown, delays = _gif_times(images.shape[1], fps)
    images = images[:, shown]
    frames = [Image.fromarray(image) for image in images.permute(1, 2, 3, 0).contiguous().numpy()]
    # Colours are counted on some 32 rows of an image: counting all pixels takes longer than everything else.
    step = max(1, images.shape[2] // 32)
    sparse = images[:, :, ::step, ::step].permute(1, 2, 3, 0).flatten(0, 1)
    palette = Image.fromarray(sparse.contiguous().numpy()).quantize(256)
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    # Pillow takes milliseconds and cuts them to hundredths of a second; equal frames become one of their time together.
    milliseconds = [10 * delay for delay in delays]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)


def _gif_times(count: int, fps: float) -> tuple[list[int], list[int]]:
    """Returns which of `count` frames a GIF shows, and for how many hundredths of a second each.

    Times are rounded, not the time between two frames, so that a long GIF lasts as long as its video.
    """
    times = [round(100 * index / fps) for index in range(count + 1)]
    shown = [0]
    for index in range(1, count):
        if times[index] - times[shown[-1]] >= GIF_DELAY:
            shown.append(index)
    ends = [*(times[index] for index in shown[1:]), times[count]]
    return shown, [max(end - times[index], GIF_DELAY) for index, end in zip(shown, ends, strict=True)]
