"""The rows of plan.csv: what each training of a ladder is, and what it would take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.scaling.ladder import Cell, Ladder, non_embedding_parameters
from gpt.flops import parameter_count


@dataclass(frozen=True)
class PlanRow:
    """A training of a ladder: a row of plan.csv."""

    cell: str
    """Name of the training."""
    trunk: str
    """Name of the training at a constant rate that it leaves where its decay begins."""
    seed: int
    """Seed of the weights and of the order of the data."""
    layers: int
    """Transformer blocks."""
    heads: int
    """Attention heads per block."""
    width: int
    """Width of the residual stream."""
    parameters: int
    """All parameters."""
    non_embedding_parameters: int
    """Parameters without those that are looked up, embeddings and learned positions; the head counts."""
    hours_of_film: float | None
    """Hours of film that there are to learn from; empty for images."""
    data_available: int
    """Tokens that there are to learn from."""
    budget: float
    """FLOP that were asked for."""
    steps: int
    """Optimizer steps."""
    decay_steps: int
    """The last of them, in which the learning rate falls."""
    batch: int
    """Sequences per step."""
    data: int
    """Tokens seen in training; a token that was seen twice counts twice."""
    epochs: float
    """How often each training item is seen."""
    compute: float
    """FLOP of the whole training."""
    added_compute: float
    """FLOP of the steps that are taken for it alone, when those of smaller budgets are done."""
    expected_hours: float | None
    """Hours that these steps are expected to take; validation and checkpoints come on top. Empty where no speed is
    known."""
    left_out: str
    """Why it is not trained; empty if it is."""


def plan_rows(ladder: Ladder, seconds: Mapping[str, float]) -> list[PlanRow]:
    """Return a row for each cell.

    Args:
        ladder: the cells.
        seconds: of a step, by the name of a size; a size that is not there gets no hours.
    """
    return [_row(cell, seconds.get(cell.trunk.size.name)) for cell in ladder.cells]


def _row(cell: Cell, seconds: float | None) -> PlanRow:
    trunk = cell.trunk
    config = trunk.size.config
    return PlanRow(
        cell=cell.name,
        trunk=trunk.name,
        seed=trunk.seed,
        layers=config.layers,
        heads=config.heads,
        width=config.width,
        parameters=parameter_count(config),
        non_embedding_parameters=non_embedding_parameters(config),
        hours_of_film=trunk.data.hours,
        data_available=trunk.data.tokens,
        budget=cell.budget,
        steps=cell.steps,
        decay_steps=cell.decay_steps,
        batch=cell.batch,
        data=cell.data,
        epochs=cell.steps * cell.batch / trunk.data.items,
        compute=cell.compute,
        added_compute=cell.added_compute,
        expected_hours=None if seconds is None else cell.added_steps * seconds / 3600,
        left_out=cell.left_out,
    )
