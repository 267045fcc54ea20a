"""How much of a GPU the training of a tokenizer uses, and how long its steps wait for clips.

    python benchmarks/tokenizer_training.py                                                   on one GPU
    python benchmarks/tokenizer_training.py --preset demo --batch 2 --steps 3 --warmup 1 --videos 2 --workers 0
                                                                                              a trial on a CPU

MFU is the arithmetic of a step, as torch counts it in products and convolutions, forward and backward, over the GPU's
peak in bf16; the search for codes, in fp32, is part of the time and of what is counted. Clips come from prepared
shards, through the loader and onto the device as in `vqgan train`; the share of the loader is the time in which the
program waits for it, while the device still computes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import tyro
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from data.clips import ClipDataset, as_clip, training_loader
from data.items import find_items
from data.options import PrepareOptions
from data.playroom.make import render_clip
from data.prepare import prepare
from data.video_writing import write_video
from storage.options import find_preset
from training.loop import make_accelerator
from training.options import Precision
from training.order import DataOrder
from training.throughput import peak_flops
from training.transfer import to_device
from vqgan.config import PRESETS, VQGANConfig
from vqgan.options import TrainOptions
from vqgan.trainer import TokenizerTrainer


@dataclass(frozen=True)
class Options:
    """Time training steps after some that do not count."""

    preset: str = "video-128"
    """Size of the tokenizer."""
    batch: int = 32
    """Clips per step."""
    steps: int = 30
    """Steps that count; their mean is printed."""
    warmup: int = 10
    """Steps that do not count: libraries set themselves up, and codes are started, in the first ones."""
    precision: Precision = "bf16"
    """Numbers that layers compute with."""
    workers: int = 8
    """Processes that read clips."""
    videos: int = 16
    """Videos of four clips that are rendered and prepared for it."""


class Times(NamedTuple):
    """Seconds of every step that counts, and the arithmetic of one."""

    waiting: list[float]
    """For the loader."""
    steps: list[float]
    """Waiting included."""
    flops: int


def make_shards(folder: Path, config: VQGANConfig, videos: int) -> Path:
    """Render videos of the playroom and prepare them for the tokenizer's clips."""
    (folder / "videos").mkdir()
    for number in range(videos):
        clip = render_clip(0, number, config.resolution, 4 * config.frames, config.fps)
        write_video(folder / "videos" / f"{number}.mp4", clip, config.fps)
    shards = folder / "shards"
    return prepare(PrepareOptions(path=folder / "videos", out=shards, size=config.resolution, fps=config.fps))


def batches(options: Options, config: VQGANConfig, shards: Path, pinned: bool) -> Iterator[Tensor]:
    """Yield what the loader reads, a batch a step."""
    items, _ = find_items(shards, config.clip_format)
    dataset = ClipDataset(items, config.clip_format)
    order = DataOrder(len(dataset), options.batch, seed=0, first_step=0, last_step=options.warmup + options.steps)
    return (batch.levels for batch in training_loader(dataset, order, options.workers, pinned))


def time_steps(options: Options, shards: Path) -> Times:
    """Train, and return how long it took."""
    config = find_preset(options.preset, PRESETS)
    chosen = {"batch": options.batch, "precision": options.precision, "continuous_steps": 1, "warmup": 1}
    training = TrainOptions.of(data=shards, out=shards.parent / "run", **{**config.flat(), **chosen})
    accelerator = make_accelerator(training)
    trainer = TokenizerTrainer(accelerator, training)
    device = accelerator.device
    times = Times([], [], 0)
    loaded = batches(options, config, shards, pinned=device.type == "cuda")
    for step in range(options.warmup + options.steps):
        began = time.perf_counter()
        levels = next(loaded)
        waited = time.perf_counter() - began
        clips = as_clip(to_device(levels, device))
        if step == options.warmup - 1:
            with FlopCounterMode(display=False) as counter:
                trainer.step(clips, step)
            times = times._replace(flops=counter.get_total_flops())
        else:
            trainer.step(clips, step)
        # The program runs ahead of the device, as in training, where nothing waits for the loss; not so at the ends.
        if device.type == "cuda" and step in (options.warmup - 1, options.warmup + options.steps - 1):
            torch.cuda.synchronize()
        if step >= options.warmup:
            times.waiting.append(waited)
            times.steps.append(time.perf_counter() - began)
    return times


def main(options: Options) -> None:
    """Print speed, MFU, the loader's share and the memory that was needed."""
    with tempfile.TemporaryDirectory() as folder:
        shards = make_shards(Path(folder), find_preset(options.preset, PRESETS), options.videos)
        times = time_steps(options, shards)
    # Not the median: a step that waits for the device does so for several that ran ahead.
    step = statistics.mean(times.steps)
    print(f"{options.preset}: {1e3 * step:.1f} ms a step, {options.batch / step:.1f} clips/s")
    print(f"loader: {100 * sum(times.waiting) / sum(times.steps):.2f} % of the time")
    print(f"{times.flops / 1e12:.2f} TFLOP a step, {times.flops / step / 1e12:.2f} TFLOP/s")
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        peak = peak_flops(name)
        mfu = f"MFU {100 * times.flops / step / peak:.1f} %" if peak else "peak not known, so no MFU"
        print(f"{name}: {mfu}, at most {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main(tyro.cli(Options))
