"""What `--precision auto` gains on a processor that computes in bf16: a training step, and sampling.

    python benchmarks/bf16_speed.py

Both sides take turns in one run; medians. On a processor without fast bf16 there is nothing to measure, and it says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import tyro
from accelerate import Accelerator
from timing import medians

from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.train import build_optimizer, train_step
from sampling.decode import FREE, sample
from training.precision import choose_precision, forget_earlier_trainings

CPU = torch.device("cpu")
RATE = 3e-4


@dataclass
class Options:
    """Time bf16 against fp32."""

    vocab_size: int = 16384
    """Number of codes."""
    batch: int = 4
    """Sequences of 1,024 tokens per training step."""
    n: int = 6
    """Continuations that are sampled side by side, from 128 tokens to 256."""
    threads: int = len(os.sched_getaffinity(0))
    """CPU threads."""
    runs: int = 5
    """Rounds; medians are printed."""


def training_step(options: Options, precision: str) -> Callable[[], object]:
    """Return a step of a GPT of 8 layers, 512 wide."""
    forget_earlier_trainings()
    accelerator = Accelerator(cpu=True, mixed_precision="bf16" if precision == "bf16" else "no")
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(layers=8, heads=8, width=512, grid=(4, 16, 16), vocab_size=options.vocab_size))
    model, optimizer = accelerator.prepare(gpt, build_optimizer(gpt, RATE, 0.05))
    tokens = torch.randint(options.vocab_size, (options.batch, gpt.config.window))
    return partial(train_step, accelerator, model.train(), optimizer, tokens, RATE, 1.0)


def sampling(options: Options, gpt: GPT, precision: str) -> Callable[[], object]:
    """Return the sampling of a GPT of 12 layers, 768 wide."""
    given = torch.randint(options.vocab_size, (1, 256))
    given[:, 128:] = FREE
    return partial(sample, gpt, given, options.n, precision=precision)


def main(options: Options) -> None:
    """Print both ratios, or why there are none."""
    torch.set_num_threads(options.threads)
    chosen = choose_precision("auto", CPU)
    print(f"auto: {chosen.precision}, {chosen.why}")
    if chosen.precision == "fp32":
        print("nothing to compare: this can only be measured on a processor that is faster in bf16")
        return
    gpt = GPT(GPTConfig(layers=12, heads=12, width=768, grid=(1, 16, 16), vocab_size=options.vocab_size)).eval()
    rows = {
        f"training step, 8 layers, 512 wide, 1,024 tokens, batch {options.batch}": {
            name: training_step(options, name) for name in ("fp32", "bf16")
        },
        f"sampling, 12 layers, 768 wide, 128 to 256 tokens, n = {options.n}": {
            name: sampling(options, gpt, name) for name in ("fp32", "bf16")
        },
    }
    for row, sides in rows.items():
        seconds = medians(sides, options.runs)
        print(f"{row}: fp32 {seconds['fp32']:.2f} s, bf16 {seconds['bf16']:.2f} s, {_ratio(seconds):.2f}x as fast")


def _ratio(seconds: dict[str, float]) -> float:
    return seconds["fp32"] / seconds["bf16"]


if __name__ == "__main__":
    main(tyro.cli(Options))
