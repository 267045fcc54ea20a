"""How long a training waits for its checkpoints: saved at once, as it is by default, and in the background.

    python benchmarks/saving.py
    python benchmarks/saving.py --width 1024 --layers 12 --out /scratch

A GPT with its Adam moments is saved in turn in both ways, with training steps between, so that what else the machine
and the disk do falls on both. Printed are medians of the seconds that the training stands still for a save, and of the
seconds of a step while nothing is written and while a checkpoint is: on a CPU the two share the processors. The first
save of each way, when memory is taken, is told apart. It ends with code 1 if waiting takes more than a tenth.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from accelerate import Accelerator

from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.train import build_optimizer, train_step
from training.options import TrainingOptions
from training.saving import CheckpointSaver

MOST = 0.1
"""Of the time that the training waits for a checkpoint that is saved at once."""


@dataclass(frozen=True)
class Options:
    """Time the saving of checkpoints."""

    layers: int = 12
    """Number of transformer blocks."""
    heads: int = 8
    """Attention heads per block."""
    width: int = 576
    """Width of the residual stream."""
    grid: tuple[int, int, int] = (1, 4, 4)
    """Grid of the tokens; what is saved does not depend on it."""
    vocab_size: int = 16384
    """Number of codes."""
    batch: int = 1
    """Sequences per step."""
    saves: int = 7
    """Saves in each way; the first of each is printed apart."""
    threads: int = 1
    """CPU threads of the training."""
    out: Path | None = None
    """Folder on the disk that is written to; by default the one for temporary files."""


def main(options: Options) -> None:
    """Print medians and their ratio."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    accelerator = Accelerator()
    model = GPT(GPTConfig(options.layers, options.heads, options.width, options.grid, options.vocab_size))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model, optimizer = accelerator.prepare(model, build_optimizer(model, 1e-4, 0.1))
    plain = accelerator.unwrap_model(model)
    tokens = torch.randint(options.vocab_size, (options.batch, plain.config.window), device=accelerator.device)

    def step() -> None:
        train_step(accelerator, model, optimizer, tokens, 1e-4, 1.0)

    step()
    quiet = [_seconds(step) for _ in range(5)]
    waits: dict[str, list[float]] = {"at once": [], "in the background": []}
    busy: list[float] = []
    with tempfile.TemporaryDirectory(prefix="saving_", dir=options.out) as name:
        savers = {
            way: CheckpointSaver(Path(name) / way, TrainingOptions(keep=1, save_in_background=way != "at once"))
            for way in waits
        }
        for number in range(1, options.saves + 1):
            for way, saver in savers.items():
                before = saver.waited
                saver.save(number, plain, {"gpt": optimizer})
                step()  # the optimizer may have to wait for copies
                waits[way].append(saver.waited - before)
                while saver.busy:
                    busy.append(_seconds(step))
                saver.wait()
                step()
                os.sync()
        size = sum(file.stat().st_size for file in Path(name).rglob("*") if file.is_file()) / len(waits)
    print(f"{parameters / 1e6:.0f} M parameters, {size / 1e6:.0f} MB a checkpoint, {accelerator.device}")
    for way, seconds in waits.items():
        print(f"{way}: the training waits {statistics.median(seconds[1:]):.3f} s (the first time {seconds[0]:.3f} s)")
    ratio = statistics.median(waits["in the background"][1:]) / statistics.median(waits["at once"][1:])
    print(f"in the background {ratio:.1%} of at once (at most {MOST:.0%})")
    if busy:
        print(
            f"a step takes {statistics.median(quiet):.3f} s, and {statistics.median(busy):.3f} s while one is written"
        )
    sys.exit(1 if ratio > MOST else 0)


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(tyro.cli(Options))
