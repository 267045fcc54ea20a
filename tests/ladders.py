"""Tiny ladders on tokens that can be learned."""

from pathlib import Path
from typing import Any

import torch

from data.tokens import StoreMetadata, TokenItem, write_shard, write_store

FPS = 8.0
SECONDS = 1.0
"""Of a clip of 8 frames."""
STEP = 4.0 * 32 * 33_792
"""FLOP of a step of a GPT of width 16 on four items; a test says why."""
SMALL: dict[str, Any] = {
    "widths": (16,),
    "layers": 1,
    "head_size": 16,
    "batch": 4,
    "warmup": 2,
    "learning_rate": 3e-2,
    "budgets": (10 * STEP, 20 * STEP),
    "save_every": 7,
    "flops_per_second": 1e9,
}
"""Two budgets of one size."""


def make_counting_store(folder: Path, items: int = 16, held_out: int = 4, frames: int = 8) -> Path:
    """A token store of grids that count upwards from anywhere, the last `held_out` of which are for validation.

    Clips of films of four clips each, a second apart.
    """
    starts = torch.randint(32, (items, 1), generator=torch.Generator().manual_seed(1))
    tokens = (starts + torch.arange(32)) % 32
    metadata = StoreMetadata((2, 4, 4), 32, "counting", FPS, frames, 16)
    splits = ["train"] * (items - held_out) + ["validation"] * held_out
    listed = [TokenItem(f"film_{number // 4}.mp4", number % 4 * SECONDS, split) for number, split in enumerate(splits)]
    write_store(folder, metadata, [write_shard(folder, 0, metadata, tokens.unflatten(1, metadata.grid))], listed)
    return folder
