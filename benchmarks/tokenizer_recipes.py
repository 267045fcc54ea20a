"""Our tokenizers against the recipes they replace: same clips, same steps, at least the same operations for the others.

    python benchmarks/tokenizer_recipes.py video [--steps 400 --perceptual efficientnet-lite0]
    python benchmarks/tokenizer_recipes.py image [--data PATH]

video: the `demo` preset against a VQGAN of TATS (non-causal, batch norm, 4 L1 + 4 perceptual, Adam betas 0.5 and 0.9).
image: the `demo-image` preset against a taming VQGAN (L1 + perceptual, group norm, attention, Adam likewise).
Both others get codes that are moving averages, with k-means start and restarts, which is kinder than the originals.
They are made as wide as it takes to cost no fewer operations per clip than ours, and are trained at several learning
rates; the best counts. Ours is trained as `secondsight vqgan train` does.
Discriminators take no part: in all recipes they start later. Without --data, clips of the playroom are used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from accelerate import Accelerator
from einops import rearrange
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from data.clip_format import ClipFormat
from data.clips import ClipDataset, collate
from data.items import find_items, split_items
from data.playroom.make import render_clip
from training.order import DataOrder
from vqgan.config import PRESETS, VQGANConfig
from vqgan.foreign.taming import Decoder as TamingDecoder
from vqgan.foreign.taming import Encoder as TamingEncoder
from vqgan.foreign.taming import TamingConfig
from vqgan.foreign.tats import Decoder as TATSDecoder
from vqgan.foreign.tats import Encoder as TATSEncoder
from vqgan.foreign.tats import TATSConfig
from vqgan.metrics.perceptual import build_perceptual, frame_distance
from vqgan.metrics.reconstruction import codebook_usage, psnr
from vqgan.options import TrainOptions
from vqgan.quantizers import VectorQuantizer
from vqgan.train import random_crop
from vqgan.trainer import TokenizerTrainer


@dataclass(frozen=True)
class Options:
    """What to compare, and for how long."""

    kind: tyro.conf.Positional[Literal["video", "image"]]
    """Which preset, and which recipe against it."""
    data: Path | None = None
    """Folder of videos or images, or a pattern of tar shards; clips of the playroom if not given."""
    steps: int = 400
    """Optimizer steps of every training."""
    batch: int = 8
    """Clips per step."""
    crop: int = 32
    """Pixels a side of the random crops."""
    perceptual: str = "none"
    """Perceptual network, for all losses and as a second metric."""
    learning_rate: float = 2e-3
    """Learning rate of ours."""
    other_learning_rates: tuple[float, ...] = (9e-5, 5e-4, 2e-3)
    """Learning rates of the other recipe; 9e-5 is that of TATS."""
    seed: int = 0
    """Seed of weights, clips and crops."""


class Recipe(nn.Module):
    """Encoder, 1x1 convolutions around a quantizer, decoder: how both other systems are put together."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, features: int, quantizer: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.quantizer = encoder, decoder, quantizer
        self.before, self.after = nn.Linear(features, width), nn.Linear(width, features)

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction of (B, 3, ...) images or clips, their tokens and the quantizer's loss."""
        z = self.before(self.encoder(clip).movedim(1, -1))
        quantized = self.quantizer(z)
        return self.decoder(self.after(quantized.codes).movedim(-1, 1)), quantized.indices, quantized.loss


def tats_recipe(config: VQGANConfig, width: int) -> Recipe:
    """Return a VQGAN after TATS with the grid and the number of codes of `config`."""
    factors = (config.temporal_factor, config.spatial_factor, config.spatial_factor)
    shape = TATSConfig(config.resolution, config.frames, width=width, downsample=factors)
    features = width * 2 ** len(shape.strides)
    return Recipe(TATSEncoder(shape), TATSDecoder(shape), features, kind_quantizer(config.codes), 256)


def taming_recipe(config: VQGANConfig, width: int) -> Recipe:
    """Return a VQGAN after taming-transformers with the grid and the number of codes of `config`."""
    multipliers = (1, 1, 2, 2, 4)[: config.spatial_factor.bit_length()]
    shape = TamingConfig(
        config.resolution, width, multipliers, attention_levels=(len(multipliers) - 1,), codes=config.codes
    )
    encoder, decoder = TamingEncoder(shape), TamingDecoder(shape)
    return Recipe(encoder, decoder, shape.latent_width, kind_quantizer(config.codes), 256)


def kind_quantizer(codes: int) -> VectorQuantizer:
    """Return codes with k-means start and restart, which neither original has.

    Without them, and with codes learned by gradient, 1 % of the codes are in use after so few steps.
    """
    return VectorQuantizer(codes, 256, commitment=0.25, decay=0.99)


def operations(forward: Callable[[Tensor], object], clip: Tensor) -> float:
    """Return the floating-point operations of one forward pass, in billions."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        forward(clip)
    return counter.get_total_flops() / 1e9


def clips_of(options: Options, config: VQGANConfig) -> tuple[Tensor, Tensor]:
    """Return clips (N, 3, T, H, W) to train on, and others to evaluate on."""
    if options.data is None:
        clips = torch.stack([render_clip(options.seed, n, config.resolution, 16, 8.0) for n in range(160)])
        clips = clips if config.frames > 1 else rearrange(clips[:, :, ::4], "B C T H W -> (B T) C 1 H W")
        return clips[: -len(clips) // 8], clips[-len(clips) // 8 :]
    form = ClipFormat(config.frames, config.fps, config.resolution)
    parts = split_items(find_items(options.data, form)[0])
    chosen = [part[:: max(1, len(part) // limit)] for part, limit in zip(parts, (4000, 200), strict=True)]
    first, second = (ClipDataset(part, form) for part in chosen)
    return _all_clips(first), _all_clips(second)


def _all_clips(dataset: ClipDataset) -> Tensor:
    return collate([dataset[index] for index in range(len(dataset))]).clips


def batches(options: Options, clips: Tensor) -> Iterator[Tensor]:
    """Yield the same cropped batches to every recipe."""
    for step, samples in enumerate(DataOrder(len(clips), options.batch, options.seed, 0, options.steps, 0, 1)):
        yield random_crop(clips[[sample.index for sample in samples]], options.crop, options.seed + step)


def train_ours(options: Options, clips: Tensor) -> nn.Module:
    """Train our preset and return it."""
    preset = PRESETS["demo" if options.kind == "video" else "demo-image"]
    chosen = TrainOptions.of(
        data=Path("data"),
        out=Path("run"),
        **preset.flat(),
        steps=options.steps,
        batch=options.batch,
        crop=options.crop,
        learning_rate=options.learning_rate,
        perceptual=options.perceptual,
        seed=options.seed,
    )
    trainer = TokenizerTrainer(Accelerator(), chosen)
    for step, batch in enumerate(batches(options, clips)):
        trainer.step(batch, step)
    return trainer.averaged


def train_other(options: Options, clips: Tensor, width: int, rate: float, perceptual: nn.Module | None) -> Recipe:
    """Train the other recipe at one learning rate and return it."""
    torch.manual_seed(options.seed)
    recipe, weight = build_other(options.kind, width), 4.0 if options.kind == "video" else 1.0
    optimizer = torch.optim.Adam(recipe.parameters(), rate, betas=(0.5, 0.9))
    for batch in batches(options, clips):
        decoded, _, quantizer_loss = reconstruct(recipe, batch)
        loss = weight * (decoded - batch).abs().mean() + quantizer_loss
        if perceptual is not None:
            frame = int(torch.randint(batch.shape[2], ()))  # both look at one random frame of a clip
            pair = (clips[:, :, frame : frame + 1] for clips in (decoded, batch))
            loss = loss + weight * frame_distance(perceptual, *pair).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(recipe.parameters(), 1.0)
        optimizer.step()
    return recipe.eval()


def build_other(kind: str, width: int) -> Recipe:
    """Return the other recipe, untrained."""
    return tats_recipe(PRESETS["demo"], width) if kind == "video" else taming_recipe(PRESETS["demo-image"], width)


def reconstruct(recipe: Recipe, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run a recipe on (B, 3, T, H, W) clips; images have one frame and go without it."""
    if clips.shape[2] > 1:
        return recipe(clips)
    decoded, tokens, loss = recipe(clips[:, :, 0])
    return decoded[:, :, None], tokens, loss


def equal_cost(options: Options, ours: float, clip: Tensor) -> tuple[int, float]:
    """Return the least width at which the other recipe costs at least as many operations as ours, and how many."""
    step = 1 if options.kind == "video" else 32  # taming's group norm takes multiples of 32
    for width in itertools.count(step, step):
        recipe = build_other(options.kind, width).eval()
        theirs = operations(partial(reconstruct, recipe), clip)
        if theirs >= ours:
            return width, theirs
    raise AssertionError("a wider recipe always costs more")


@torch.no_grad()
def score(
    clips: Tensor, forward: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]], perceptual: nn.Module | None
) -> str:
    """Return PSNR, perceptual distance and codebook usage on (N, 3, T, H, W) clips, in words."""
    parts = [forward(part) for part in clips.split(8)]
    decoded = torch.cat([part[0] for part in parts]).clamp(-1, 1)
    tokens = torch.cat([part[1].flatten() for part in parts])
    words = f"{float(psnr(decoded, clips).mean()):.2f} dB, codes in use {codebook_usage(tokens, 1024):.0%}"
    if perceptual is not None:
        pairs = zip(decoded.split(8), clips.split(8), strict=True)
        distance = torch.cat([frame_distance(perceptual, a, b) for a, b in pairs]).mean()
        words += f", perceptual distance {float(distance):.4f}"
    return words


def main(options: Options) -> None:
    """Train all and print their scores on clips that none was trained on."""
    config = PRESETS["demo" if options.kind == "video" else "demo-image"]
    perceptual = build_perceptual(options.perceptual)
    training, held_out = clips_of(options, config)
    model = train_ours(options, training)
    ours = operations(model, held_out[:1])
    print(f"ours: {ours:.2f} GFLOP a clip, {score(held_out, model, perceptual)}", flush=True)
    width, theirs = equal_cost(options, ours, held_out[:1])
    for rate in options.other_learning_rates:
        recipe = train_other(options, training, width, rate, perceptual)
        words = score(held_out, partial(reconstruct, recipe), perceptual)
        print(f"other, width {width}, rate {rate:g}: {theirs:.2f} GFLOP a clip, {words}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
