"""Accuracies as they are drawn: of each model by the readout that it chose on one half of the scenes, on the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.diversity.reporting.runs import in_order
from experiments.physics.manifest import CONTROL
from experiments.physics.people import PeopleRow
from experiments.physics.reporting.runs import Merged, Model
from experiments.physics.scores import ALL, readout_of
from experiments.physics.tables import ScoreRow, Visibility

PEOPLE = "people"
"""Name of people among models."""


@dataclass(frozen=True, kw_only=True)
class AccuracyRow:
    """How often a model, a control or people find impossible films the stranger ones: a row of accuracy.csv."""

    model: str
    """Name of the model or control, or `people`."""
    role: Literal["gpt", "observer", "control", "people"]
    """What it is."""
    concept: str
    """What is violated; `all` for all concepts but `control` together."""
    visibility: Visibility
    """Whether events are visible, hidden, or both."""
    measure: str
    """What is compared, as in scores.csv; of people what they were asked."""
    readout: str
    """The readout that the model chose on the other half of the scenes; empty of people."""
    value: float
    """Share of comparisons in which the impossible films are the more surprising, a tie counting one half; of `auroc`
    the area under the curve."""
    low: float | None
    """Lower end of its 95 % interval over scenes, of people as published; empty where scenes are fewer than two, or all
    alike."""
    high: float | None
    """Upper end of it."""
    p: float | None
    """Two-sided, that the share is one half: exact sign-flip test over scenes; empty of `auroc` and of people."""
    p_holm: float | None
    """`p` corrected for all concepts, visible and hidden (Holm 1979); empty where they are pooled, and of `control`."""
    scenes: int | None
    """Scenes that it rests on; empty of people."""
    source: str = ""
    """Of people: the publication, and how sure the number is."""


def accuracies(merged: Merged) -> list[AccuracyRow]:
    """Return the accuracies of all models and controls, on scenes for reporting.

    Raises:
        ValueError: there are none.
    """
    rows = [_row(model, row) for model in merged.distinct for row in reported(model)]
    if not rows and all(row.concept == CONTROL for row in merged.runs[0].any_films):
        raise ValueError(
            f"all films of {merged.runs[0].folder} are of the concept {CONTROL}, in which nothing is violated, so that "
            "no readout can be chosen: measure films of other concepts with them"
        )
    if not rows:
        raise ValueError(
            f"{merged.runs[0].folder} has no scores on scenes for reporting: readouts are chosen on one half of the "
            "scenes and reported on the other, which takes two scenes at least that are not void"
        )
    return rows


def people_accuracies(people: Iterable[PeopleRow]) -> list[AccuracyRow]:
    """Return what people reached, in the form of accuracies."""
    return [
        AccuracyRow(
            model=PEOPLE,
            role="people",
            concept=row.concept,
            visibility=row.visibility,
            measure=row.measure,
            readout="",
            value=row.value,
            low=row.low,
            high=row.high,
            p=None,
            p_holm=None,
            scenes=None,
            source=f"{row.source} ({row.status})",
        )
        for row in people
    ]


def reported(model: Model) -> Iterator[ScoreRow]:
    """Yield the scores of the readouts that a model chose, on the scenes for reporting."""
    return (row for row in model.scores if row.chosen and row.half == "reporting")


def concepts_of(rows: Iterable[AccuracyRow]) -> list[str]:
    """Return the concepts in order: all together first, `control`, in which nothing is violated, last."""
    found = in_order(row.concept for row in rows)
    return [*([ALL] if ALL in found else []), *(concept for concept in found if concept not in (ALL, CONTROL))] + (
        [CONTROL] if CONTROL in found else []
    )


def measures_of(rows: Sequence[AccuracyRow], among: Iterable[str]) -> list[str]:
    """Return the measures among some that there are accuracies of models for."""
    there = {row.measure for row in rows if row.role != "people"}
    return [measure for measure in among if measure in there]


def _row(model: Model, row: ScoreRow) -> AccuracyRow:
    return AccuracyRow(
        model=model.name,
        role=model.row.role,
        concept=row.concept,
        visibility=row.visibility,
        measure=row.measure,
        readout=readout_of(row).name,
        value=row.value,
        low=row.low,
        high=row.high,
        p=row.p,
        p_holm=row.p_holm,
        scenes=row.scenes,
    )
