"""How much faster is sampling than running the whole model again for every token?

    python benchmarks/sampling_speed.py                                             12 layers, 768 wide, 128 -> 256
    python benchmarks/sampling_speed.py --layers 8 --heads 8 --width 512 --given 512 --length 1024 --every 16

The reference is `RecomputingEngine`: torch's fused attention over everything, nothing kept. Its steps are timed at
every `--every`-th token of the sequences that the fast sampler drew, and multiplied; each of them must draw the same
tokens.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial

import torch
import tyro
from timing import medians
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.decode import sample
from sampling.engine import CachedEngine, RecomputingEngine
from sampling.noise import make_noise
from sampling.options import SamplingOptions
from sampling.sampled import FREE


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
    every: int = 1
    """Steps of the reference of which one is timed."""
    runs: int = 3
    """Timed runs of the fast sampler, before and after the reference; the median counts."""


def timed_samples(gpt: GPT, prompt: Tensor, options: Options) -> tuple[list[float], Tensor]:
    """Return the seconds of every run, packing of the weights included, and the rows (n, length) drawn."""
    given = torch.cat([prompt, prompt.new_full((1, options.length - options.given), FREE)], dim=1)
    seconds = []
    for _ in range(options.runs):
        began = time.perf_counter()
        rows = sample(gpt, given, options.n).tokens[0]
        seconds.append(time.perf_counter() - began)
    return seconds, rows


@torch.no_grad()
def reference_seconds(gpt: GPT, rows: Tensor, options: Options) -> float:
    """Return the seconds that the reference takes for all tokens of the rows (n, length)."""
    sampling = SamplingOptions()
    noise = make_noise(sampling.noise, 0, [0], options.n, options.given, options.length, rows.device)
    seconds = 0.0
    for position in range(options.given, options.length, options.every):
        began = time.perf_counter()
        logits = RecomputingEngine(gpt).prefill(rows[:, :position], 1, 1)
        drawn = noise.draw(position, logits, sampling)
        seconds += time.perf_counter() - began
        assert torch.equal(drawn, rows[:, position]), f"the samplers drew different tokens at {position}"
    return seconds * options.every


@torch.no_grad()
def prefill_ratio(gpt: GPT, prompt: Tensor) -> float:
    """Return how much longer a prompt takes for 64 continuations than for one; weights are packed before."""
    readings = {str(n): partial(CachedEngine(gpt, n).prefill, prompt, n, 2) for n in (1, 64)}
    seconds = medians(readings, runs=9)
    return seconds["64"] / seconds["1"]


def main(options: Options) -> None:
    """Time both samplers and the prompt, and print medians and ratios."""
    torch.manual_seed(0)
    side = round(options.length**0.5)
    grid = (1, side, -(-options.length // side))
    config = GPTConfig(layers=options.layers, heads=options.heads, width=options.width, grid=grid, vocab_size=16384)
    gpt = GPT(config).eval()
    prompt = torch.randint(16384, (1, options.given))
    before, rows = timed_samples(gpt, prompt, options)
    naive = reference_seconds(gpt, rows, options)
    fast = statistics.median(before + timed_samples(gpt, prompt, options)[0])
    print(f"{options}\nsampling {fast:.2f} s, whole model again {naive:.1f} s, ratio {naive / fast:.1f}")
    print(f"a prompt for 64 continuations / for one: {prefill_ratio(gpt, prompt):.2f}")


if __name__ == "__main__":
    main(tyro.cli(Options))
