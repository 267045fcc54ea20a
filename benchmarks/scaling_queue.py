"""What `scaling run` adds to the time of its trainings, and what a trunk with three decays saves.

    python benchmarks/scaling_queue.py                           # about four minutes on a core that does nothing else
    python benchmarks/scaling_queue.py --steps 100 --runs 1      # to see that it runs

Three sides, in turn: a ladder by `scaling run`, one size with three budgets; the same trunk and cells trained one after
another by hand in this process, with the same options; and the three budgets trained apart, each from its beginning
with a cosine. Budgets are 1, 1.5 and 2.25. All write the same checkpoints and measure the same held-out items. What a
training takes besides its steps, to begin, to check and to draw its curves, weighs in short ones: there are four where
apart there are three, so that the share of time lies above that of arithmetic.

Tokens are those of `rates_over_widths.py`, whose entropy is known: 1.208 nats.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from rates_over_widths import CODES, SIDE, Source
from timing import medians

from data.tokens import StoreMetadata, TokenItem, TokenStore, write_shard, write_store
from experiments.scaling.ladder import Ladder, flops_per_step, make_ladder
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.run_table import LadderRow
from experiments.scaling.running import run_scaling
from experiments.scaling.trainings import cell_training, read_end, trunk_training
from gpt.config import GPTConfig
from sampling.watch import train_and_watch
from storage.tables import read_rows

WIDTH, LAYERS, HEAD = 128, 4, 32
BATCH = 32
HELD_OUT = 64
BUDGETS = (1.0, 1.5, 2.25)
"""As multiples of the smallest."""
MOST_OVERHEAD = 0.02
MOST_TIME = 0.6
MOST_LOSS = 0.01


@dataclass
class Options:
    """Time a ladder against its trainings, and against trainings apart."""

    steps: int = 400
    """Steps of the largest budget."""
    runs: int = 3
    """Rounds, after one that does not count."""
    decay: float = 0.1
    """Share of the steps of each budget in which the rate falls."""
    learning_rate: float = 4e-3
    """Peak learning rate of all."""


def main(options: Options) -> None:
    """Print medians, ratios and losses."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = _write_store(root / "store", options.steps * BATCH)
        asked = _ladder_options(options, store, root / "queue")
        ladder = make_ladder(asked, TokenStore(store))
        sides: dict[str, Callable[[], object]] = {
            "scaling run": _quietly(asked.out, lambda: run_scaling(asked)),
            "by hand": _quietly(root / "hand", lambda: _by_hand(asked.changed(out=root / "hand"), ladder)),
            "apart": _quietly(root / "apart", lambda: _apart(asked.changed(out=root / "apart"), ladder)),
        }
        _print_times(ladder, medians(sides, options.runs))
        _print_losses(asked, root / "apart", ladder)


def _write_store(folder: Path, items: int) -> Path:
    """Write as many training items as the largest budget sees, none twice, and those that are held out."""
    folder.mkdir()
    metadata = StoreMetadata((1, SIDE, SIDE), CODES, "benchmark", 1.0, 1, SIDE)
    splits = ["train"] * items + ["validation"] * HELD_OUT
    listed = [TokenItem(f"image_{number}.png", 0.0, split) for number, split in enumerate(splits)]
    tokens = Source(seed=0).draw(len(listed), seed=1).unflatten(1, metadata.grid)
    write_store(folder, metadata, [write_shard(folder, 0, metadata, tokens)], listed)
    return folder


def _ladder_options(options: Options, store: Path, out: Path) -> ScalingRunOptions:
    config = GPTConfig(layers=LAYERS, heads=WIDTH // HEAD, width=WIDTH).for_tokens((1, SIDE, SIDE), CODES, "benchmark")
    largest = options.steps * flops_per_step(config, BATCH)
    return ScalingRunOptions.of(
        tokens=store,
        out=out,
        widths=(WIDTH,),
        layers=LAYERS,
        head_size=HEAD,
        batch=BATCH,
        budgets=tuple(largest * budget / max(BUDGETS) for budget in BUDGETS),
        decay=options.decay,
        learning_rate=options.learning_rate,
    )


def _quietly(out: Path, side: Callable[[], object]) -> Callable[[], None]:
    """Return what carries out a side in an empty folder, without a word."""

    def act() -> None:
        shutil.rmtree(out, ignore_errors=True)
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            side()

    return act


def _by_hand(options: ScalingRunOptions, ladder: Ladder) -> None:
    for trunk, cells in ladder.by_trunk.items():
        for training in (trunk_training(options, trunk, cells), *(cell_training(options, cell) for cell in cells)):
            train_and_watch(training)


def _apart(options: ScalingRunOptions, ladder: Ladder) -> None:
    for cell in ladder.trained:
        train_and_watch(cell_training(options, cell).changed(schedule="cosine", decay_steps=0, trunk=None))


def _print_times(ladder: Ladder, seconds: dict[str, float]) -> None:
    overhead = seconds["scaling run"] / seconds["by hand"] - 1
    share = seconds["by hand"] / seconds["apart"]
    steps = ", ".join(f"{cell.steps:,}" for cell in ladder.trained)
    print(f"{LAYERS} layers, {WIDTH} wide, budgets of {steps} steps; medians:")
    for name, value in seconds.items():
        print(f"{name:12s} {value:8.2f} s")
    print(f"scaling run takes {100 * overhead:+.2f} % of the time of its trainings more: to reach {MOST_OVERHEAD:.0%}")
    arithmetic = 100 * ladder.compute / ladder.compute_apart
    print(
        f"trunk and three decays take {100 * share:.1f} % of the time of three trainings, with {arithmetic:.1f} % of "
        f"their arithmetic: to reach {MOST_TIME:.0%}"
    )


def _print_losses(options: ScalingRunOptions, apart: Path, ladder: Ladder) -> None:
    rows = {row.run: row.loss for row in read_rows(options.out / "runs.csv", LadderRow)}
    worst = 0.0
    for cell in ladder.trained:
        alone = read_end(apart / "cells" / cell.name, cell.steps).nll
        worst = max(worst, rows[cell.name] / alone - 1, key=abs)
        print(f"{cell.steps:6,} steps: loss {rows[cell.name]:.4f} by decay from the trunk, {alone:.4f} by a cosine")
    print(f"the largest difference is {100 * worst:+.2f} % of the loss: to reach {MOST_LOSS:.0%}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
