"""The trainings of a ladder as options of `gpt train`, what became of each, and the learning rate that follows.

Whether a training is done is read from its folder. One that diverged has a `diverged.json` there, and is not tried
again: it is a result like others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from experiments.scaling.ladder import Cell, DataPart, Size, Trunk
from experiments.scaling.options import LadderOptions
from experiments.scaling.rates import RateTrial, trials_of
from gpt.options import TrainOptions
from storage.files import to_json, write_text
from storage.run_folder import check_run

DIVERGED = "diverged.json"
WhyDiverged = Literal["", "loss not finite", "loss not below that of counting tokens", "diverged at every rate tried"]


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


def trial_training(options: LadderOptions, trial: RateTrial) -> TrainOptions:
    """Return the training that tries a learning rate."""
    return _training(
        options,
        trial.size,
        tokens=options.tokens,
        seed=0,
        out=options.out / "rates" / trial.name,
        learning_rate=trial.rate,
        steps=trial.steps,
        schedule="wsd",
        decay_steps=trial.decay_steps,
    )


def trunk_training(options: LadderOptions, trunk: Trunk, cells: Sequence[Cell]) -> TrainOptions:
    """Return the training of a trunk, which keeps the checkpoints where its cells leave it."""
    branches = sorted({cell.branch for cell in cells})
    return _training(
        options,
        trunk.size,
        tokens=store_of(options, trunk.data),
        seed=trunk.seed,
        out=options.out / "trunks" / trunk.name,
        learning_rate=learning_rate_of(options, trunk.size),
        steps=branches[-1],
        schedule="constant",
        keep_at=tuple(branches),
    )


def cell_training(options: LadderOptions, cell: Cell) -> TrainOptions:
    """Return the training of a cell: a decay from its trunk."""
    trunk = cell.trunk
    return _training(
        options,
        trunk.size,
        tokens=store_of(options, trunk.data),
        seed=trunk.seed,
        out=options.out / "cells" / cell.name,
        learning_rate=learning_rate_of(options, trunk.size),
        steps=cell.steps,
        schedule="wsd",
        decay_steps=cell.decay_steps,
        trunk=options.out / "trunks" / trunk.name,
    )


def learning_rate_of(options: LadderOptions, size: Size) -> float:
    """Return the peak learning rate of a size: the one that was given, or that of its best trial.

    Before its trials are done, and where all diverged, it is the lowest of them: then nothing is trained at it.

    Raises:
        ValueError: the metrics of a trial lack the scores of its last step.
    """
    trials = trials_of(options, size)
    if not trials:
        return options.learning_rate
    best = best_trial(read_trials(options, size))
    return trials[0].rate if best is None else best.rate


def read_trials(options: LadderOptions, size: Size) -> dict[RateTrial, End | None]:
    """Return how the trials of a size ended, the lowest rate first; None for those that have not yet.

    Raises:
        ValueError: the metrics of one lack the scores of its last step.
    """
    runs = {trial: options.out / "rates" / trial.name for trial in trials_of(options, size)}
    return {trial: read_end(run, trial.steps) if _has_ended(run) else None for trial, run in runs.items()}


def best_trial(ends: Mapping[RateTrial, End | None]) -> RateTrial | None:
    """Return the trial of lowest loss, of equal ones the first; None before all have ended, and where all diverged."""
    if None in ends.values():
        return None
    losses = {trial: end.nll for trial, end in ends.items() if end and not end.why_diverged}
    return min(losses, key=losses.__getitem__, default=None)


def is_finished(training: TrainOptions) -> bool:
    """Whether a training came to its end, or diverged.

    Raises:
        RunFolderError: it was made with other options.
    """
    if not (training.out / "config.json").exists():
        return has_diverged(training.out)
    check = check_run(training.out, training, "auto", by_content=["tokens"])
    ended = _has_ended(training.out) and "steps" not in check.changes
    return has_diverged(training.out) or (check.continues and ended)


def has_diverged(run: Path) -> bool:
    """Whether it was written down that a training diverged."""
    return (run / DIVERGED).exists()


def note_divergence(run: Path, why: str, kind: WhyDiverged = "loss not finite") -> None:
    """Write down that a training diverged, how that showed, and as which kind it is listed."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / DIVERGED, to_json({"why": why, "kind": kind}))


def kind_of_divergence(run: Path) -> WhyDiverged:
    """Return as which kind the divergence of a training is listed that was written down."""
    noted = json.loads((run / DIVERGED).read_text(encoding="utf-8")).get("kind")
    return next((kind for kind in get_args(WhyDiverged) if kind == noted), "loss not finite")


def read_end(run: Path, steps: int) -> End:
    """Return how a finished training ended.

    Args:
        run: its folder.
        steps: it took.

    Raises:
        ValueError: its metrics lack the scores of its last step.
    """
    if has_diverged(run):
        return End(math.nan, math.nan, kind_of_divergence(run))
    scores = next((line for line in reversed(_metrics(run)) if "validation_nll" in line), None)
    if scores is None or scores["step"] != steps - 1:
        raise ValueError(f"{run / 'metrics.jsonl'} has no scores of step {steps - 1}: remove {run} and train it again")
    nll = scores["validation_nll"]
    why: WhyDiverged = "" if nll < scores["unigram_entropy"] else "loss not below that of counting tokens"
    return End(nll, scores["validation_bits_per_pixel"], why)


def _has_ended(run: Path) -> bool:
    return has_diverged(run) or (run / "final" / "model.safetensors").exists()


def _training(options: LadderOptions, size: Size, /, **own: Any) -> TrainOptions:
    return TrainOptions.of(
        **size.config.flat(),
        batch=options.batch,
        rate_at_width=size.rate_at_width,
        warmup=options.warmup,
        grad_clip=options.grad_clip,
        weight_decay=options.weight_decay,
        precision=options.precision,
        validation_items=options.validation_items,
        save_every=options.save_every,
        keep=1,
        resume="auto",
        **own,
    )


def _metrics(run: Path) -> list[dict[str, float]]:
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
