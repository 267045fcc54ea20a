"""Tiny real models, videos and images for tests, all made from seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.playroom.make import render_clip
from data.tokens import StoreMetadata, TokenItem, write_shard, write_store
from data.video_writing import write_video
from gpt.config import GPTConfig
from gpt.model import GPT
from storage.model_folder import load_model_folder, save_model_folder
from vqgan.config import VQGANConfig
from vqgan.model import VQGAN
from vqgan.palette import Palette

FPS = 8.0
VIDEO = VQGANConfig(resolution=16, frames=16, fps=FPS, widths=(4, 8, 8), codes=32, code_width=4)
"""4x4x4 tokens of clips of 16 frames."""
SHORT = replace(VIDEO, frames=8)
"""2x4x4 tokens of clips of 8 frames."""
IMAGE = VQGANConfig(resolution=16, frames=1, fps=FPS, widths=(4, 8), strides=((1, 2),), codes=32, code_width=4)
"""1x4x4 tokens of images."""
GPT_SHORT = GPTConfig(layers=2, heads=2, width=16, grid=(2, 4, 4), vocab_size=32)
"""A GPT for the tokens of `SHORT`."""
GPT_LEGACY = replace(GPT_SHORT, variant="legacy", bos=False)
"""The same of imported weights without a BOS token."""
GPT_LEGACY_START = replace(GPT_LEGACY, bos=True)
"""The same of imported weights with one."""
GPT_IMAGEGPT = replace(GPT_SHORT, variant="imagegpt")
"""The same with the parts of OpenAI's Image GPT."""


def make_tokenizer(config: VQGANConfig = VIDEO, seed: int = 0) -> VQGAN:
    """A tokenizer in evaluation mode with random weights in every layer, also in those that begin at zero.

    Its codes are latents of noise, so that other noise gets tokens of many kinds.
    """
    torch.manual_seed(seed)
    model = VQGAN(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.5
            parameter.copy_(torch.randn(parameter.shape) * scale)
        latents = model.encoder(make_clips(8, config.temporal_factor, 16, seed)).flatten(0, -2)
        model.quantizer.codebook.copy_(latents[torch.randperm(len(latents))[: config.codes]])
    return model


def make_palette(colours: int = 16, size: int = 8) -> Palette:
    """A palette of random colours."""
    return Palette(torch.rand(colours, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1, size).eval()


def make_tokens(batch: int = 2, length: int = 32, seed: int = 0) -> Tensor:
    """Random tokens (batch, length) of the tiny models' vocabulary."""
    return torch.randint(32, (batch, length), generator=torch.Generator().manual_seed(seed))


def make_gpt(config: GPTConfig = GPT_SHORT, seed: int = 0, scale: float = 8.0) -> GPT:
    """A GPT in evaluation mode whose weights are large enough that its distributions are not flat."""
    torch.manual_seed(seed)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
        model.head.weight.mul_(4)
    return model


def make_clips(count: int = 2, frames: int = 16, size: int = 16, seed: int = 0) -> torch.Tensor:
    """(count, 3, frames, size, size) noise in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, frames, size, size, generator=generator) * 2 - 1


def make_videos(folder: Path, count: int = 3, frames: int = 16, size: int = 32) -> Path:
    """A folder of playroom videos `film_0.mp4`, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write_video(folder / f"film_{number}.mp4", render_clip(0, number, size, frames, FPS), FPS)
    return folder


def make_images(folder: Path, count: int = 3, size: int = 16) -> Path:
    """A folder of images `image_0.png`, ... of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"image_{number}.png")
    return folder


def make_grey_images(folder: Path, count: int = 2, size: int = 16) -> Path:
    """A folder of JPEGs `grey_0.jpg`, ... of grey noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        levels = np.random.default_rng(number).integers(0, 256, (size, size), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"grey_{number}.jpg")
    return folder


def make_store(
    folder: Path,
    items: int = 12,
    held_out: int = 3,
    grid: tuple[int, int, int] = (2, 4, 4),
    vocab_size: int = 32,
    tokenizer: str = "",
) -> Path:
    """A token store of random grids, the last `held_out` of which are for validation."""
    grids = torch.randint(vocab_size, (items, *grid), generator=torch.Generator().manual_seed(1))
    frames = 4 * grid[0] if grid[0] > 1 else 1
    metadata = StoreMetadata(grid, vocab_size, tokenizer, FPS, frames, 16)
    splits = ["train"] * (items - held_out) + ["validation"] * held_out
    listed = [TokenItem(f"film_{number}.mp4", 0.0, split) for number, split in enumerate(splits)]
    write_store(folder, metadata, [write_shard(folder, 0, metadata, grids)], listed)
    return folder


def rewrite_config(folder: Path, *left_out: str, **changes: object) -> None:
    """Save a model anew with another config, as a version before, or a program that means it, would have."""
    config, tensors = load_model_folder(folder)
    kept = {name: value for name, value in config.items() if name not in left_out}
    save_model_folder(folder, {**kept, **changes}, tensors)
