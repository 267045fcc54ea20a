"""A tokenizer adapted to videos beside the one that it was made of, and beside one trained from scratch for as long."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from data.clips import read_batches
from data.drawing import Tile, draw_grid, image_of, save_image
from data.items import LISTING, Item, find_items, split_items
from experiments.demo_adaptation import (
    Measures,
    Start,
    adaptation_options,
    crop_for,
    measure_tokenizer,
)
from experiments.demo_sizes import FROM_SCRATCH, DemoSizes
from storage.run_folder import RunFolderError, read_options
from training.loop import make_accelerator, settle_precision
from training.processes import best_device
from vqgan.config import PRESETS
from vqgan.metrics.reconstruction import psnr
from vqgan.model import load_tokenizer
from vqgan.options import TrainOptions
from vqgan.tokenizer import Tokenizer
from vqgan.train import train as train_tokenizer
from vqgan.trainer import TokenizerTrainer

ROWS = 6
"""Clips in the picture, at most."""
TIMED = 3
"""Optimizer steps of each tokenizer that are timed, in turn, after one that is not."""


def train_from_scratch(start: Start, videos: Path, out: Path, sizes: DemoSizes, seed: int) -> tuple[Measures, int]:
    """Train the demo's tokenizer from scratch for as long as adapting the one of a model took.

    How many optimizer steps that are is found by timing some of both; a run that goes on keeps its number.

    Args:
        start: the model.
        videos: to learn from.
        out: folder of the demo.
        sizes: of the adaptation.
        seed: of the weights and the data order.

    Returns:
        What was measured of its reconstructions of held-out clips, and its optimizer steps.
    """
    folder = out / "from_scratch"
    try:
        steps = read_options(folder, TrainOptions).training.steps
    except RunFolderError:
        steps = equal_steps(start, videos, folder, sizes, seed)
    train_tokenizer(scratch_options(start, videos, folder, steps, seed))
    return measure_tokenizer(folder, videos, out / "reconstructions_from_scratch"), steps


def scratch_options(start: Start, videos: Path, out: Path, steps: int, seed: int) -> TrainOptions:
    """Return how a tokenizer of the demo, for the clips of a model, is trained from scratch."""
    form = start.config.clip_format
    config = replace(PRESETS["demo"], resolution=form.size, frames=form.frames, fps=form.fps)
    return TrainOptions.of(
        data=videos,
        out=out,
        **config.flat(),
        steps=steps,
        batch=8,
        crop=crop_for(config),
        learning_rate=FROM_SCRATCH.tokenizer_rate,
        warmup=min(50, max(1, steps // 4)),
        continuous_steps=min(100, steps // 4),
        precision="auto",
        save_every=max(50, steps),
        seed=seed,
        resume="auto",
    )


def equal_steps(start: Start, videos: Path, folder: Path, sizes: DemoSizes, seed: int) -> int:
    """Return how many steps from scratch take as long as those of the adaptation, by timing some of both in turn."""
    both = (
        adaptation_options(start, videos, folder, sizes, seed),
        scratch_options(start, videos, folder, 1, seed),
    )
    adapting, scratch = seconds_per_step(both)
    return max(1, round(sizes.tokenizer_steps * adapting / scratch))


def seconds_per_step(trainings: Sequence[TrainOptions]) -> list[float]:
    """Return the median seconds of an optimizer step of trainings, which are taken in turn on noise."""
    settled = [settle_precision(options)[0] for options in trainings]
    trainers = [TokenizerTrainer(make_accelerator(options), options) for options in settled]
    seconds: list[list[float]] = [[] for _ in trainers]
    for turn in range(TIMED + 1):
        for trainer, options, found in zip(trainers, settled, seconds, strict=True):
            clips = _noise(options).to(best_device())
            began = time.perf_counter()
            float(trainer.step(clips, step=turn + options.continuous_steps)["loss"])  # waits for a GPU
            if turn:  # the first step also makes buffers
                found.append(time.perf_counter() - began)
    return [statistics.median(found) for found in seconds]


def _noise(options: TrainOptions) -> Tensor:
    """Return a batch (B, 3, T, H, W) in [-1, 1] of the crops that a training sees."""
    side = options.crop or options.model.resolution
    return torch.rand(options.training.batch, 3, options.model.frames, side, side) * 2 - 1


def draw_comparison(tokenizers: Mapping[str, Path], videos: Path, out: Path) -> Path:
    """Draw held-out clips beside what each of several tokenizers of the same clips makes of them, a row a clip.

    Args:
        tokenizers: by what is written below.
        videos: of the clips.
        out: folder of the demo; the picture is its `adaptation.png`, which is returned.
    """
    models = {name: load_tokenizer(folder).to(best_device()) for name, folder in tokenizers.items()}
    form = next(iter(models.values())).clip_format
    frames = 4 if len(models) < 3 else 3
    items = _spread(split_items(find_items(videos, form, cache=out / LISTING)[0])[1])
    rows = []
    for (item,), clips in read_batches(items, form, 1, []):
        made = [_tile(name, model, clips, frames) for name, model in models.items()]
        shown = f"{Path(item.source.name).name} at {item.start:g} s"
        rows.append([Tile(image_of(clips[0], frames), shown), *made])
    save_image(out / "adaptation.png", draw_grid(rows, side=128))
    return out / "adaptation.png"


def _tile(name: str, tokenizer: Tokenizer, clips: Tensor, frames: int) -> Tile:
    """Return what a tokenizer makes of clips (1, 3, T, H, W), with its PSNR."""
    tokens = tokenizer.encode(clips.to(tokenizer.device))
    decoded = tokenizer.decode_frames(tokens, clips.shape[2]).cpu()
    return Tile(image_of(decoded[0], frames), f"{name}: {float(psnr(decoded, clips)):.1f} dB")


def _spread(items: Sequence[Item]) -> list[Item]:
    """Return `ROWS` items, evenly spaced, or all of fewer."""
    count = min(ROWS, len(items))
    return [items[index * len(items) // count] for index in range(count)]
