"""The tables of what was measured of the cells of a ladder.

tasks.csv            a row for each cell, task and group of items, which `scaling tasks` reads as it is
curves/<task>.csv    the values of one task against compute, which `scaling extrapolate` reads as it is
unmeasured.csv       what is not measured, and why
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from experiments.scaling.tables import CurveRow

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Outcome:
    """What a measurement says of one task and group of items."""

    task: str
    """Name of the task."""
    items: str
    """Group of items of the task, such as a condition or a concept, which is never pooled with others; empty where
    there are none."""
    measure: str
    """What `value` is."""
    value: float
    """The measure, in `value_unit`."""
    value_unit: str
    """What it is in."""
    better: Better
    """Whether a higher or a lower value is better; `neither` of how varied continuations are."""
    accuracy: float | None
    """The measure where it is a share of correct answers; empty otherwise."""
    chance: float | None
    """Accuracy of guessing; empty where there is no accuracy."""
    likelihood: float | None
    """Continuous measure of the same answers, higher is better, in nats per token: of `nll` the mean log likelihood of
    the held-out tokens; of `recognition` that of studied images minus that of their foils; of `retrieval` that of what
    really followed, given the prompt; of `physics` that of possible films minus that of impossible ones. Empty where
    there is none."""
    censored: bool
    """Whether the measure is only known to be larger than `value`: people were not reached within the exposures that
    were made."""
    observations: int
    """Held-out items, trials, continued items or comparisons that these are means over."""


@dataclass(frozen=True)
class MeasuredRow(Outcome):
    """A task of a cell: a row of tasks.csv."""

    run: str
    """Name of the cell, as in runs.csv."""
    seed: int
    """Seed of its training."""
    width: int
    """Width of the residual stream."""
    layers: int
    """Transformer blocks."""
    parameters: int
    """Parameters of the model."""
    data: float
    """Tokens seen in training; a token that was seen twice counts twice."""
    hours_of_film: float | None
    """Hours of film that there were to learn from; empty for images."""
    compute: float
    """FLOP of the training, in `unit`."""
    unit: str
    """What compute is in: `flop`."""


@dataclass(frozen=True)
class TaskCurveRow(CurveRow):
    """A value of a task after an amount of compute: a row of a table in curves/."""

    run: str
    """Name of the cell, as in runs.csv."""
    data: float
    """Tokens seen in training; a token that was seen twice counts twice."""
    hours_of_film: float | None
    """Hours of film that there were to learn from; empty for images."""


@dataclass(frozen=True)
class UnmeasuredRow:
    """A task that is not measured: a row of unmeasured.csv."""

    run: str
    """Name of the cell, as in runs.csv; empty of the tokenizer."""
    task: str
    """What was asked for: `nll`, `memory`, `diversity`, `physics` or `reconstruction`."""
    why: str
    """Why it is not measured."""
