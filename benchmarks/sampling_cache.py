"""How much faster is sampling with a key-value cache than running the whole model again for every token?

    python benchmarks/sampling_cache.py [--layers 12 --heads 12 --width 768 --given 128 --length 256 --n 6 --runs 3]

Both sides draw the same tokens, which is checked.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.config import SamplingOptions
from sampling.decode import generate, generate_naive


@dataclass(frozen=True)
class Options:
    """Size of the model and of the task."""

    layers: int = 12
    """Transformer blocks."""
    heads: int = 12
    """Attention heads."""
    width: int = 768
    """Width of the residual stream."""
    given: int = 128
    """Tokens of the prompt."""
    length: int = 256
    """Tokens of the result, prompt included."""
    n: int = 6
    """Continuations of the prompt."""
    runs: int = 3
    """Timed runs of each side; the median counts."""


def timed(function: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return the seconds a call took, and its result."""
    began = time.perf_counter()
    result = function()
    return time.perf_counter() - began, result


def main(options: Options) -> None:
    """Time both samplers in turn and print the medians and their ratio."""
    torch.manual_seed(0)
    side = round(options.length**0.5)
    grid = (1, side, -(-options.length // side))
    gpt = GPT(GPTConfig(options.layers, options.heads, options.width, grid, 16384)).eval()
    prompt = torch.randint(16384, (1, options.given))
    seconds: dict[str, list[float]] = {"cache": [], "whole model again": []}
    for _ in range(options.runs):
        fast, cached = timed(lambda: generate(gpt, prompt, options.length, options.n))
        slow, naive = timed(lambda: generate_naive(gpt, prompt, options.length, options.n, SamplingOptions(), 0))
        assert torch.equal(cached, naive), "the two samplers drew different tokens"
        seconds["cache"].append(fast)
        seconds["whole model again"].append(slow)
    fast, slow = (statistics.median(values) for values in seconds.values())
    print(f"{options}\ncache {fast:.2f} s, whole model again {slow:.2f} s, ratio {slow / fast:.1f}")


if __name__ == "__main__":
    main(tyro.cli(Options))
