"""What does reading all clips of a long video cost, against decoding it once; what do prepared shards save?

    python benchmarks/video_reading.py [--seconds 300 --runs 3 --film FILM]

The film is FFmpeg's test picture (testsrc2), 1280 x 720 at 30 frames per second, x264, key frames every 250 frames;
clips have 16 frames of 64 px at 8 per second. CPU time is that of the process and its children. Compared in turn:

one decode     all frames once in order, one thread, and those that clips show converted to RGB: the floor
clip by clip   every clip on its own, from the key frame before it
in order       as `secondsight vqgan encode` reads, in this process
1, 2 workers   the same in worker processes: wall time from the first to the last clip, processes already started
random, raw    clips that begin anywhere and are cropped anywhere, as in training, from the film
random, jpeg   the same clips from prepared shards of 160 px; and from lossless ones (png)
stream         frames decoded for 20 clips of a 3,000-frame transport stream, and of the same packets in an MP4
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import torch
import tyro
from av.video.frame import PictureType

from data import decoding
from data.clip_format import ClipFormat
from data.clips import ClipDataset, Request, batches_to_read, read_items
from data.containers import open_video, video_stream
from data.decoding import upright_rgb
from data.items import Item, find_items
from data.options import PrepareOptions
from data.prepare import prepare
from data.probe import decode_frames, probe_video
from data.sources import ByteRange
from data.video import frame_indices, read_clip
from data.workers import Workers
from training.order import SampleIndex

FORM = ClipFormat(frames=16, fps=8, size=64)


@dataclass(frozen=True)
class Options:
    """How long the film is, and how often everything is repeated."""

    seconds: int = 300
    """Of the film."""
    runs: int = 3
    """Timed rounds; medians count."""
    random_clips: int = 40
    """Random clips a round."""
    film: Path | None = None
    """A film made earlier; it is made where none is given, which takes a minute or two."""


def make_film(path: Path, seconds: int, size: str = "1280x720", codec: str = "libx264", gop: int = 250) -> Path:
    """Write FFmpeg's test picture at 30 frames per second."""
    graph = av.filter.Graph()
    source = graph.add("testsrc2", f"size={size}:rate=30:duration={seconds}")
    pixels = graph.add("format", "pix_fmts=yuv420p")
    sink = graph.add("buffersink")
    source.link_to(pixels)
    pixels.link_to(sink)
    graph.configure()
    width, height = (int(side) for side in size.split("x"))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width = width
        stream.height = height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = gop
        for index in range(seconds * 30):
            frame = graph.pull()
            frame.pts = index
            frame.time_base = Fraction(1, 30)
            frame.pict_type = PictureType.NONE  # the source marks every frame as a key frame
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cpu_seconds() -> float:
    """Return the processor time of this process and of its children that ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def one_decode(film: Path, items: list[Item]) -> None:
    """Decode all frames once, and convert those that clips show."""
    info = probe_video(film)
    wanted = {int(info.pts[i]) for item in items for i in frame_indices(info, item.start, FORM.frames, FORM.fps)}
    with open_video(ByteRange(film)) as container:
        for frame in decode_frames(container, video_stream(container, ByteRange(film))):
            if frame.pts in wanted:
                upright_rgb(frame, info)


def clip_by_clip(film: Path, items: list[Item]) -> None:
    """Read every clip on its own."""
    info = probe_video(film)
    for item in items:
        read_clip(info, item.start, FORM.frames, FORM.fps, FORM.size)


def in_order(items: list[Item]) -> None:
    """Read as `vqgan encode` does, in this process."""
    for batch in batches_to_read((item, FORM) for item in items):
        for reading in read_items(batch):
            assert not isinstance(reading, Exception), reading


def with_workers(items: list[Item], count: int) -> float:
    """Return the wall time of the same in `count` processes that are running."""
    requests: list[Request] = [(item, FORM) for item in items]
    with Workers(read_items, count, 600.0) as workers:
        list(workers.map([requests[:1] for _ in range(4 * count)]))  # all processes are there
        began = time.perf_counter()
        for reading in workers.map(batches_to_read(requests)):
            assert not isinstance(reading, Exception), reading
        return time.perf_counter() - began


def random_clips(data: Path, count: int) -> None:
    """Read clips as training does."""
    items, _ = find_items(data, FORM)
    dataset = ClipDataset(items, FORM)
    for seed in range(count):
        dataset[SampleIndex(seed * 7 % len(items), seed)]


def decoded_frames(film: Path, clips: int) -> int:
    """Return how many frames are decoded for clips evenly spread over a film."""
    decoded = 0
    original = decoding.decode_frames

    def counting(*arguments: object) -> Iterator[av.VideoFrame]:
        nonlocal decoded
        for frame in original(*arguments):  # type: ignore[arg-type]
            decoded += 1
            yield frame

    decoding.decode_frames = counting  # type: ignore[assignment]
    try:
        info = probe_video(film)
        for index in range(clips):
            start = index * (info.duration - 2) / clips
            list(decoding.frames_in_order(info, sorted(set(frame_indices(info, start, 16, 8).tolist()))))
    finally:
        decoding.decode_frames = original
    return decoded


def measure(function: Callable[[], object]) -> float:
    """Return the processor seconds of a call."""
    before = cpu_seconds()
    function()
    return cpu_seconds() - before


def main(options: Options) -> None:
    """Measure and print the comparison."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = options.film or make_film(folder / "film.mp4", options.seconds)
        items, _ = find_items(film, FORM)
        for kind in ("jpeg", "png"):
            prepare(PrepareOptions(film, folder / kind, size=160, fps=8, format=kind))  # type: ignore[arg-type]
        sides: dict[str, Callable[[], object]] = {
            "one decode": lambda: one_decode(film, items),
            "clip by clip": lambda: clip_by_clip(film, items),
            "in order": lambda: in_order(items),
            "random, raw": lambda: random_clips(film, options.random_clips),
            "random, jpeg": lambda: random_clips(folder / "jpeg", options.random_clips),
            "random, png": lambda: random_clips(folder / "png", options.random_clips),
        }
        cpu = {name: [] for name in sides}
        wall: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(options.runs):
            for side, function in sides.items():
                cpu[side].append(measure(function))
            for count in wall:
                wall[count].append(with_workers(items, count))
        medians = {side: statistics.median(values) for side, values in cpu.items()}
        print(f"{len(items)} clips; CPU seconds, medians of {options.runs}")
        for side in ("one decode", "clip by clip", "in order"):
            print(f"{side:14s} {medians[side]:7.2f}  {medians[side] / medians['one decode']:5.2f} of one decode")
        for side in ("random, raw", "random, jpeg", "random, png"):
            one = medians[side] / options.random_clips
            print(f"{side:14s} {1000 * one:7.1f} ms a clip, {medians['random, raw'] / medians[side]:5.1f} times less")
        seconds = {count: statistics.median(values) for count, values in wall.items()}
        print(f"1 worker {seconds[1]:.2f} s, 2 workers {seconds[2]:.2f} s: {seconds[1] / seconds[2]:.2f} times faster")
        stream = make_film(folder / "long.ts", 100, "64x48")
        indexed = remux(stream, folder / "long.mp4")
        counts = [decoded_frames(one, 20) for one in (stream, indexed)]
        print(f"frames decoded for 20 clips: {counts[0]} of the transport stream, {counts[1]} of the MP4")


def remux(source: Path, path: Path) -> Path:
    """Copy packets into another container."""
    with av.open(str(source)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        for packet in reader.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                writer.mux(packet)
    return path


if __name__ == "__main__":
    main(tyro.cli(Options))
