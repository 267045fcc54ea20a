"""Is the memory that `secondsight gpt plan` predicts that of a real training step, and does validation need less?

    python benchmarks/plan_memory.py [--batch 4 --layers 6 --heads 4 --width 256 --vocab-size 4096]

Each way trains two steps and scores twice the batch, as a validation does, on one process without a GPU, in a process
of its own; from the peak of resident memory (Linux) of the second step, and of the validation, that before the model
was made is taken away.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from accelerate import Accelerator

from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.plan import Memory, memory_ddp
from gpt.train import build_optimizer, train_step, validate


@dataclass(frozen=True)
class Options:
    """Size of the model."""

    batch: int = 4
    """Sequences of 1024 tokens."""
    layers: int = 6
    heads: int = 4
    width: int = 256
    vocab_size: int = 4096
    measure: Literal["", "rotary", "rotary checkpointing", "legacy", "legacy checkpointing"] = ""
    """Measure one way in this process and print bytes; by default all, each in its own."""

    def config(self, variant: Literal["rotary", "legacy"]) -> GPTConfig:
        """Return the model of a variant."""
        return GPTConfig(self.layers, self.heads, self.width, vocab_size=self.vocab_size, variant=variant)


def measure(options: Options) -> tuple[int, int]:
    """Return the bytes of the second of two steps, and of the validation after it, at their peaks."""
    variant: Literal["rotary", "legacy"] = "rotary" if options.measure.startswith("rotary") else "legacy"
    config = options.config(variant)
    train_once(GPTConfig(1, 1, 64, grid=(1, 2, 2), vocab_size=8), batch=1, checkpointing=True, steps=1)  # libraries
    before = resident("VmRSS")
    training, validation = train_once(config, options.batch, "checkpointing" in options.measure, steps=2)
    return training - before, validation - before


def train_once(config: GPTConfig, batch: int, checkpointing: bool, steps: int) -> tuple[int, int]:
    """Train a new model and validate it; return the peaks that the system reports, of the last step and of that."""
    torch.manual_seed(0)
    model = GPT(config)
    model.activation_checkpointing = checkpointing
    optimizer = build_optimizer(model, 1e-3, 0.05)
    tokens = torch.randint(config.vocab_size, (batch, config.window))
    for _ in range(steps):
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        train_step(Accelerator(), model, optimizer, tokens, rate=1e-3, grad_clip=1.0)
    training = resident("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")
    validate(model, tokens.repeat(2, 1), batch)
    return training, resident("VmHWM")


def resident(name: str) -> int:
    """Return an entry of this process's status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def main(options: Options) -> None:
    """Measure every way and print it beside the prediction."""
    if options.measure:
        print(*measure(options))
        return
    # With a fixed threshold every tensor is given back to the system as soon as it is freed.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    for variant in ("rotary", "legacy"):
        for checkpointing in (False, True):
            way = variant + checkpointing * " checkpointing"
            command = [sys.executable, *sys.argv, "--measure", way]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            config = options.config(variant)
            memory = memory_ddp(config, options.batch * config.window, 1, "fp32", checkpointing)
            training, validation = map(int, done.stdout.split())
            less = f"validation {validation / 2**20:.0f} MiB, {validation / training:.3f} of training"
            print(f"{way:22s} {compare(memory, training)}; {less}")


def compare(memory: Memory, measured: int) -> str:
    """Return both figures in MiB and their ratio."""
    model = memory.total - memory.activations - memory.work
    parts = {"model": model, "activations": memory.activations, "work": memory.work}
    predicted = ", ".join(f"{name} {value / 2**20:.0f}" for name, value in parts.items())
    return (
        f"measured {measured / 2**20:6.0f} MiB, predicted {memory.total / 2**20:6.0f} MiB ({predicted}), "
        f"ratio {memory.total / measured:.3f}"
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
