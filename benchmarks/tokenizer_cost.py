"""What do encoding and decoding cost, and how much of the machine's matrix rate do they reach?

    python benchmarks/tokenizer_cost.py [--presets video-128 image-256 ... --runs 5]

The reference is the VQGAN of TATS at its published size on the same clip. Operations are counted by torch (a multiply
and an add are two). The matrix rate is that of a 2048 x 2048 product, timed in the same rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import tyro
from timing import medians
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vqgan.config import PRESETS
from vqgan.foreign.tats import TATSVQGAN, TATSConfig
from vqgan.model import VQGAN

PRODUCT = 2048


@dataclass(frozen=True)
class Options:
    """What to measure."""

    presets: tuple[str, ...] = ("video-128", "video-256", "image-256")
    """Tokenizer presets."""
    runs: int = 5
    """Timed runs of each; the median counts."""
    reference: bool = True
    """Count, and time, the VQGAN of TATS at 16x128x128 as well."""


def operations(module: nn.Module, x: Tensor) -> float:
    """Return the floating-point operations of a forward pass, in billions."""
    with FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops() / 1e9


def report(name: str, encoder: nn.Module, decoder: nn.Module, clip: Tensor, latents: Tensor, runs: int) -> None:
    """Print cost and rate of both halves of a tokenizer."""
    matrix = torch.randn(PRODUCT, PRODUCT, device=clip.device)
    sides = {"product": lambda: matrix @ matrix, "encode": lambda: encoder(clip), "decode": lambda: decoder(latents)}
    seconds = medians(sides, runs)
    rate = 2 * PRODUCT**3 / 1e9 / seconds["product"]
    for side, module, x in (("encode", encoder, clip), ("decode", decoder, latents)):
        billions = operations(module, x)
        share = billions / seconds[side] / rate
        print(f"{name:12s} {side} {billions:6.1f} GFLOP, {seconds[side]:.3f} s, {share:.0%} of {rate:.0f} GFLOP/s")


@torch.no_grad()
def main(options: Options) -> None:
    """Measure every preset, and the reference."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for name in options.presets:
        config = PRESETS[name]
        model = VQGAN(config).eval().to(device)
        clip = torch.rand(1, 3, config.frames, config.resolution, config.resolution, device=device) * 2 - 1
        report(name, model.encoder, model.decoder, clip, model.encoder(clip), options.runs)
    if options.reference:
        tats = TATSVQGAN(TATSConfig()).eval().to(device)
        clip = torch.rand(1, 3, 16, 128, 128, device=device) - 0.5
        report("TATS", tats.encoder, tats.decoder, clip, tats.encoder(clip), options.runs)


if __name__ == "__main__":
    main(tyro.cli(Options))
