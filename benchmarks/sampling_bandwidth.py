"""How near does sampling come to the time it takes to read weights and cache once a token?

    python benchmarks/sampling_bandwidth.py                          gimel on the GPU, 1 and 64 continuations
    python benchmarks/sampling_bandwidth.py --preset tiny --length 128

The floor is what a step must read, the linear layers' weights and the cache, at the rate at which the device copies a
large tensor; both are measured in one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import tyro
from timing import medians
from torch import nn

from gpt.config import PRESETS
from gpt.model import GPT
from sampling.decode import sample
from sampling.engine import CachedEngine
from sampling.options import SamplingPrecision
from sampling.sampled import FREE
from storage.options import find_preset
from training.precision import is_bf16
from training.processes import best_device


@dataclass(frozen=True)
class Options:
    """Size of the model and of the task."""

    preset: str = "gimel"
    """Size of the model."""
    grid: tuple[int, int, int] = (4, 16, 16)
    """Latent frames, rows and columns."""
    length: int = 1024
    """Tokens that are sampled."""
    runs: int = 3
    """Timed runs; the median counts."""
    precision: SamplingPrecision = "auto"
    """Numbers that the blocks compute with."""


def copy_bandwidth(device: torch.device) -> float:
    """Return bytes a second, read and written, of copying 1 GiB (256 MiB on a CPU)."""
    source = torch.empty((1024 if device.type == "cuda" else 256) << 20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / medians({"copy": lambda: target.copy_(source)}, runs=9)["copy"]


def step_bytes(gpt: GPT, length: int, n: int, precision: SamplingPrecision) -> float:
    """Return the bytes that the mean step reads: weights of linear layers, and keys and values of `n` rows."""
    half = is_bf16(precision, gpt.device)
    size = 2 if half else 4
    blocks = sum(module.weight.numel() for module in gpt.blocks.modules() if isinstance(module, nn.Linear))
    # On a GPU every step looks at the whole cache; on a CPU at the filled part, which is half on average.
    positions = length if gpt.head.weight.is_cuda else length / 2
    cache = 2 * gpt.config.layers * gpt.config.width * positions * n
    return size * (blocks + cache) + 4 * gpt.head.weight.numel()  # the head is fp32 in any case


def main(options: Options) -> None:
    """Print the share of the floor for one continuation, and tokens a second for 1 and 64."""
    device = best_device()
    torch.manual_seed(0)
    config = find_preset(options.preset, PRESETS).for_tokens(options.grid, 16384)
    gpt = GPT(config).to(device).eval()
    bandwidth = copy_bandwidth(device)
    print(f"{options} on {device}: copies {bandwidth / 1e9:.0f} GB/s")
    given = torch.full((1, options.length), FREE, device=device)
    for n in (1, 64):
        run = partial(sample, gpt, given, n, engine=CachedEngine(gpt, n, options.precision))
        step = medians({"sample": run}, options.runs)["sample"] / options.length
        floor = step_bytes(gpt, options.length, n, options.precision) / bandwidth
        print(f"{n} rows: {1e3 * step:.2f} ms a step, {100 * floor / step:.0f} % of the floor, {n / step:.0f} tokens/s")


if __name__ == "__main__":
    main(tyro.cli(Options))
