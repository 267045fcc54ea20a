"""rates.csv: a row for each learning rate that a size tries; in a plan what it takes, in a ladder how it ended."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from experiments.scaling.ladder import Ladder, Size
from experiments.scaling.options import LadderOptions
from experiments.scaling.rates import Edge, RateTrial, edge_of, trials_of
from experiments.scaling.runs import NATS
from experiments.scaling.trainings import WhyDiverged, best_trial, read_trials
from gpt.flops import parameter_count
from storage.tables import write_rows


@dataclass(frozen=True)
class TrialRow:
    """A learning rate that a size tries in a short training."""

    run: str
    """Name of the training."""
    size: str
    """Name of the size: a preset, or its width."""
    learning_rate: float
    """Peak learning rate of a GPT of the width `rate_at_width`."""
    rate_at_width: int
    """Width for which the rate is given; 0 where all learn at it."""
    layers: int
    """Transformer blocks."""
    heads: int
    """Attention heads per block."""
    width: int
    """Width of the residual stream."""
    parameters: int
    """All parameters."""
    seed: int
    """Seed of the weights and of the order of the data: the first of the ladder."""
    steps: int
    """Optimizer steps."""
    decay_steps: int
    """The last of them, in which the learning rate falls."""
    batch: int
    """Sequences per step."""
    data: int
    """Tokens seen in training; a token that was seen twice counts twice."""
    compute: float
    """FLOP of the training."""


@dataclass(frozen=True)
class PlannedTrialRow(TrialRow):
    """What trying a learning rate would take: a row of a plan's rates.csv."""

    expected_hours: float | None
    """Hours that these steps are expected to take; validation and checkpoints come on top. Empty where no speed is
    known."""


@dataclass(frozen=True)
class TriedRow(TrialRow):
    """A learning rate that was tried: a row of a ladder's rates.csv."""

    loss: float | None
    """Loss on the held-out items of the ladder at the end; empty where it is not finite."""
    loss_unit: str
    """What the loss is in: `nats per token`."""
    bits_per_pixel: float | None
    """The same in bits per pixel of the originals."""
    diverged: bool
    """Whether the training failed, so that its loss says nothing."""
    why_diverged: WhyDiverged
    """How it showed that the training failed; empty if it did not."""
    chosen: bool
    """Whether the size is trained at this rate: that of the lowest loss, once all were tried."""
    edge: Edge
    """Of a rate that was chosen: whether it is the `lowest` or `highest` that was tried, so that a better one may lie
    beyond; empty if it is neither."""


Kind = TypeVar("Kind", bound=TrialRow)


def planned_rows(options: LadderOptions, ladder: Ladder, seconds: Mapping[str, float]) -> list[PlannedTrialRow]:
    """Return a row for each trial.

    Args:
        options: of the ladder.
        ladder: whose sizes try rates.
        seconds: of a step, by the name of a size; a size that is not there gets no hours.
    """
    return [
        _row(PlannedTrialRow, trial, expected_hours=_hours(trial, seconds))
        for size in ladder.sizes
        for trial in trials_of(options, size)
    ]


def write_tried(options: LadderOptions, ladder: Ladder) -> list[TriedRow]:
    """Write rates.csv with the trials that have ended, and return the rows; nothing where no rates are tried.

    Raises:
        ValueError: the metrics of a trial are damaged.
    """
    rows = [row for size in ladder.sizes for row in _tried_rows(options, size)]
    if options.learning_rates:
        write_rows(options.out / "rates.csv", rows, TriedRow)
    return rows


def _tried_rows(options: LadderOptions, size: Size) -> Iterator[TriedRow]:
    ends = read_trials(options, size)
    best = best_trial(ends)
    for trial, end in ends.items():
        if end is None:
            continue
        finite = math.isfinite(end.nll)
        yield _row(
            TriedRow,
            trial,
            loss=end.nll if finite else None,
            loss_unit=NATS,
            bits_per_pixel=end.bits_per_pixel if finite else None,
            diverged=bool(end.why_diverged),
            why_diverged=end.why_diverged,
            chosen=trial == best,
            edge=edge_of(trial.rate, options.learning_rates) if trial == best else "",
        )


def _row(kind: type[Kind], trial: RateTrial, **others: Any) -> Kind:
    """Return a row of a kind, which has `others` besides what every trial has."""
    config = trial.size.config
    return kind(
        run=trial.name,
        size=trial.size.name,
        learning_rate=trial.rate,
        rate_at_width=trial.size.rate_at_width,
        layers=config.layers,
        heads=config.heads,
        width=config.width,
        parameters=parameter_count(config),
        seed=0,
        steps=trial.steps,
        decay_steps=trial.decay_steps,
        batch=trial.batch,
        data=trial.data,
        compute=trial.compute,
        **others,
    )


def _hours(trial: RateTrial, seconds: Mapping[str, float]) -> float | None:
    step = seconds.get(trial.size.name)
    return None if step is None else trial.steps * step / 3600
