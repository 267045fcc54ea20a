"""What people do on public sets of films of what can and what cannot happen, from the one table `people.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.physics.tables import Visibility
from storage.tables import read_rows


@dataclass(frozen=True)
class PeopleRow:
    """What people reached: a row of people.csv."""

    kind: str
    """Layout of the set, as `--kind` of `physics run`."""
    concept: str
    """What is violated, as the set names it; `all` for all of it together."""
    visibility: Visibility
    """Whether events are visible, hidden, or both."""
    measure: str
    """What people were asked; as in scores.csv where it is the same."""
    value: float
    """Share correct."""
    low: float | None
    """Lower end of its interval, where one is published."""
    high: float | None
    """Upper end of it."""
    people: int | None
    """Number of people."""
    status: Literal["confirmed", "digitised", "second-hand"]
    """`confirmed` in the publication, `digitised` from its plots, or known at `second-hand`."""
    source: str
    """Publication."""


def people_of(kind: str) -> list[PeopleRow]:
    """Return what people reached on sets of a layout; nothing where that is not known."""
    return [row for row in read_rows(Path(__file__).with_name("people.csv"), PeopleRow) if row.kind == kind]
