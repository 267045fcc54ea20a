"""Accuracy against training: over the checkpoints of one training, and over models of more film or more parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.diversity.reporting.runs import in_order
from experiments.physics.printing import MAIN
from experiments.physics.reporting.accuracy import reported
from experiments.physics.reporting.runs import Merged, Model
from experiments.physics.scores import readout_of
from experiments.physics.tables import Visibility

Axis = Literal["seen_hours", "step", "film_hours", "parameters"]


@dataclass(frozen=True, kw_only=True)
class AccuracyCurveRow:
    """A point of a curve of accuracy: a row of curve.csv."""

    curve: str
    """Checkpoints of one training, by its run folder; empty where models are compared, of each training the last."""
    axis: Axis
    """What the accuracy is drawn against: hours of film seen in training, or its steps where these are not known, over
    checkpoints; different hours of film, or parameters, over models."""
    x: float
    """Hours, steps or parameters."""
    model: str
    """Name of the GPT or observer."""
    concept: str
    """What is violated; `all` for all concepts but `control` together."""
    visibility: Visibility
    """Whether events are visible or hidden."""
    measure: str
    """What is compared, as in scores.csv."""
    readout: str
    """The readout that the model chose on the other half of the scenes."""
    value: float
    """Share of comparisons in which the impossible films are the more surprising."""
    low: float | None
    """Lower end of its 95 % interval over scenes; empty where scenes are fewer than two, or all alike."""
    high: float | None
    """Upper end of it."""
    scenes: int
    """Scenes that it rests on."""


def curves(merged: Merged) -> list[AccuracyCurveRow]:
    """Return all curves of two points or more."""
    rows: list[AccuracyCurveRow] = []
    for training in in_order(model.training for model in merged.subjects):
        checkpoints = [model for model in merged.subjects if model.training == training]
        axis: Axis = "seen_hours" if all(model.row.seen_hours is not None for model in checkpoints) else "step"
        rows += _curve(training, axis, checkpoints)
    for axis in ("film_hours", "parameters"):
        rows += _curve("", axis, merged.last)
    return rows


def _curve(name: str, axis: Axis, models: Sequence[Model]) -> Iterator[AccuracyCurveRow]:
    known = {model.name: x for model in models if (x := _place(model, axis)) is not None}
    if len(set(known.values())) < 2:
        return
    for model in sorted((model for model in models if model.name in known), key=lambda model: known[model.name]):
        for row in reported(model):
            if row.measure in MAIN and row.visibility != "both":
                yield AccuracyCurveRow(
                    curve=name,
                    axis=axis,
                    x=known[model.name],
                    model=model.name,
                    concept=row.concept,
                    visibility=row.visibility,
                    measure=row.measure,
                    readout=readout_of(row).name,
                    value=row.value,
                    low=row.low,
                    high=row.high,
                    scenes=row.scenes,
                )


def _place(model: Model, axis: Axis) -> float | None:
    value: float | None = getattr(model.row, axis)
    return value
