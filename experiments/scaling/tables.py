"""What the scaling commands read: trained models with their losses, and a measure against an amount."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunRow:
    """A trained model at one budget: a row of runs.csv."""

    run: str
    """Name of the training."""
    seed: int
    """Seed of the training."""
    parameters: int
    """Parameters of the model, those of embeddings among them."""
    non_embedding_parameters: int | None
    """Parameters without those of embeddings."""
    data: float
    """Items seen in training, such as tokens; an item that was seen twice counts twice."""
    unique_data: float | None
    """Different items among them; empty where none was seen twice."""
    compute: float
    """Floating point operations of the training."""
    loss: float
    """Loss on held-out data, in what `loss_unit` says."""
    loss_unit: str
    """What the loss is in, such as `nats per token`; tokens of different tokenizers do not compare, bits per pixel
    do."""
    source: str
    """Group of points that one training gave, such as the ends of one trunk: the bootstrap draws groups."""
    diverged: bool
    """Whether the training failed, so that its loss says nothing."""


@dataclass(frozen=True)
class CurveRow:
    """A measure after an amount of something: a row of a curve."""

    amount: float
    """How much was given, in `unit`."""
    unit: str
    """What the amount is in, such as `hours of film`."""
    measure: str
    """Name of the measure."""
    value: float
    """The measure."""
    low: float | None
    """Least possible value of the measure, 0 for an accuracy; empty where there is none."""
    high: float | None
    """Greatest possible value of the measure, 1 for an accuracy; empty where there is none."""
    group: str
    """Protocol or condition: groups are never pooled."""
    seed: str
    """Which repetition it is; empty where none is named. Intervals draw a seed that was followed over several amounts
    as a whole."""
