"""The trainings of a ladder as options of `gpt train`, and what became of each.

Whether a training is done is read from its folder. One that diverged has a `diverged.json` there, and is not tried
again: it is a result like others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments.scaling.ladder import Cell, DataPart, Trunk
from experiments.scaling.options import LadderOptions
from gpt.options import TrainOptions
from storage.files import to_json, write_text
from storage.run_folder import check_run

DIVERGED = "diverged.json"
WhyDiverged = Literal["", "loss not finite", "loss not below that of counting tokens"]


@dataclass(frozen=True)
class End:
    """How a training ended."""

    nll: float
    """Held-out NLL in nats per token; NaN where there is none."""
    bits_per_pixel: float
    """The same in bits per pixel."""
    why_diverged: WhyDiverged
    """Why it counts as diverged; empty if it does not."""


def store_of(options: LadderOptions, part: DataPart) -> Path:
    """Return where the token store of an amount of data lies: the one that was given, or a part of it."""
    return options.tokens if part.clips is None else options.out / "tokens" / part.name


def trunk_training(options: LadderOptions, trunk: Trunk, cells: Sequence[Cell]) -> TrainOptions:
    """Return the training of a trunk, which keeps the checkpoints where its cells leave it."""
    branches = sorted({cell.branch for cell in cells})
    return _training(
        options,
        trunk,
        out=options.out / "trunks" / trunk.name,
        steps=branches[-1],
        schedule="constant",
        keep_at=tuple(branches),
    )


def cell_training(options: LadderOptions, cell: Cell) -> TrainOptions:
    """Return the training of a cell: a decay from its trunk."""
    return _training(
        options,
        cell.trunk,
        out=options.out / "cells" / cell.name,
        steps=cell.steps,
        schedule="wsd",
        decay_steps=cell.decay_steps,
        trunk=options.out / "trunks" / cell.trunk.name,
    )


def is_finished(training: TrainOptions) -> bool:
    """Whether a training came to its end, or diverged.

    Raises:
        RunFolderError: it was made with other options.
    """
    if not (training.out / "config.json").exists():
        return has_diverged(training.out)
    check = check_run(training.out, training, "auto", by_content=["tokens"])
    ended = (training.out / "final" / "model.safetensors").exists() and "steps" not in check.changes
    return has_diverged(training.out) or (check.continues and ended)


def has_diverged(run: Path) -> bool:
    """Whether it was written down that a training diverged."""
    return (run / DIVERGED).exists()


def note_divergence(run: Path, why: str) -> None:
    """Write down that a training diverged, and how that showed."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / DIVERGED, to_json({"why": why}))


def read_end(run: Path, steps: int) -> End:
    """Return how a finished training ended.

    Args:
        run: its folder.
        steps: it took.

    Raises:
        ValueError: its metrics lack the scores of its last step.
    """
    if has_diverged(run):
        return End(math.nan, math.nan, "loss not finite")
    scores = next((line for line in reversed(_metrics(run)) if "validation_nll" in line), None)
    if scores is None or scores["step"] != steps - 1:
        raise ValueError(f"{run / 'metrics.jsonl'} has no scores of step {steps - 1}: remove {run} and train it again")
    nll = scores["validation_nll"]
    why: WhyDiverged = "" if nll < scores["unigram_entropy"] else "loss not below that of counting tokens"
    return End(nll, scores["validation_bits_per_pixel"], why)


def _training(options: LadderOptions, of: Trunk, /, **own: Any) -> TrainOptions:
    size = of.size
    return TrainOptions.of(
        tokens=store_of(options, of.data),
        **size.config.flat(),
        batch=options.batch,
        learning_rate=options.learning_rate,
        rate_at_width=size.rate_at_width,
        warmup=options.warmup,
        grad_clip=options.grad_clip,
        weight_decay=options.weight_decay,
        precision=options.precision,
        validation_items=options.validation_items,
        save_every=options.save_every,
        keep=1,
        seed=of.seed,
        resume="auto",
        **own,
    )


def _metrics(run: Path) -> list[dict[str, float]]:
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
