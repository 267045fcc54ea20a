"""The best learning rate of GPTs of four widths, with and without `--rate-at-width`.

    python benchmarks/rates_over_widths.py [--steps 200] [--out rates_over_widths.csv]

Tiny GPTs, two blocks deep, with heads of 16 dimensions, learn grids of 1x4x4 tokens in which every token depends on the
ones to its left and above: after each pair of those come four of 32 codes, with chances that differ (the entropy of
what follows is the floor). They are trained with the product's own optimizer, step and warm-up over a grid of rates a
factor of 2 apart, each on the same fresh samples; what is compared is the NLL of 256 held-out grids at the end. On one
core it takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from gpt.config import GPTConfig
from gpt.evaluate import item_nll
from gpt.model import GPT
from gpt.train import build_optimizer, train_step
from gpt.widths import scale_initial_weights
from training.schedule import learning_rate

CODES = 32
KINDS = 2
SIDE = 4
FOLLOWING = 4
"""Codes that may come after a pair of neighbours."""
WIDTHS = (32, 64, 128, 256)
BASE = 64
"""Width for which rates are given where the rule is used."""
RATES = tuple(2.0**power for power in range(-10, -3))
BATCH = 16
WARMUP = 20


def main() -> None:
    """Train everything, print the table and write it down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    source = Source(seed=0)
    batches = [source.draw(BATCH, seed) for seed in range(1, arguments.steps + 1)]
    held = source.draw(256, 0)
    rows: list[list[str]] = []
    for rule in (False, True):
        for width in WIDTHS:
            scores = [score(width, rate, BASE if rule else 0, batches, held) for rate in RATES]
            of = str(BASE if rule else 0)
            rows.append([of, str(width), *(f"{value:.3f}" for value in scores), best(scores)])
            print(f"{time.process_time():.0f} s: {rows[-1]}", file=sys.stderr)
    header = ["rate_at_width", "width", *(f"{rate:.3g}" for rate in RATES), "best_rate"]
    print(f"floor {source.entropy:.3f} nats per token")
    for row in [header, *rows]:
        print("| " + " | ".join(row) + " |")
    if arguments.out:
        with arguments.out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


class Source:
    """Draws grids of tokens with structure: each depends on its left and its upper neighbour."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        chances = torch.tensor([0.5, 0.25, 0.15, 0.1])
        self.following = torch.randint(CODES, (CODES, KINDS, FOLLOWING), generator=generator)
        """What may follow a left neighbour and the kind of an upper one."""
        self.chances = chances.cumsum(0)
        self.entropy = float(-(chances * chances.log()).sum())

    def draw(self, count: int, seed: int) -> Tensor:
        """Return (count, SIDE * SIDE) int64 tokens in raster order."""
        generator = torch.Generator().manual_seed(seed)
        grid = torch.zeros(count, SIDE + 1, SIDE + 1, dtype=torch.int64)
        chosen = torch.bucketize(torch.rand(count, SIDE, SIDE, generator=generator), self.chances)
        chosen = chosen.clamp(max=FOLLOWING - 1)
        grid[:, 0] = torch.randint(CODES, (count, SIDE + 1), generator=generator)
        grid[:, :, 0] = torch.randint(CODES, (count, SIDE + 1), generator=generator)
        for row in range(1, SIDE + 1):
            for column in range(1, SIDE + 1):
                left = grid[:, row, column - 1]
                above = grid[:, row - 1, column] % KINDS
                grid[:, row, column] = self.following[left, above, chosen[:, row - 1, column - 1]]
        return grid[:, 1:, 1:].flatten(1)


def score(width: int, rate: float, rate_at_width: int, batches: list[Tensor], held: Tensor) -> float:
    """Train a GPT and return its mean NLL of held-out grids, in nats per token; infinite where training diverged."""
    torch.manual_seed(0)
    config = GPTConfig(layers=2, heads=width // 16, width=width, grid=(1, SIDE, SIDE), vocab_size=CODES)
    plain = scale_initial_weights(GPT(config), rate_at_width)
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    model, optimizer = accelerator.prepare(plain, build_optimizer(plain, rate, 0.05, rate_at_width))
    for step, tokens in enumerate(batches):
        train_step(accelerator, model, optimizer, tokens, learning_rate(step, len(batches), rate, WARMUP), 1.0)
    nll = float(item_nll(plain, held, 64).mean())
    return nll if math.isfinite(nll) else math.inf


def best(scores: list[float]) -> str:
    """Return the rate of the lowest score."""
    return f"{RATES[min(range(len(scores)), key=scores.__getitem__)]:.3g}"


if __name__ == "__main__":
    main()
