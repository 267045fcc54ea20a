"""What people reach on published sets of films, from the one table `people.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.physics.tables import Visibility
from storage.tables import read_rows


@dataclass(frozen=True)
class PeopleRow:
    """What people reached on films of one concept."""

    kind: str
    """Set of films, as `--kind` names it."""
    concept: str
    """As the reader of the set names it; `all` for all together."""
    visibility: Visibility
    """Whether the events were visible, hidden, or both."""
    measure: str
    """As in scores.csv; or `film`: share of films that were judged rightly, each by itself."""
    value: float
    """Share that was judged rightly; of `auroc` the area."""
    low: float | None
    """Lower end of its 95 % interval; empty where it is not known."""
    high: float | None
    """Upper end of it."""
    people: int | None
    """How many took part; empty where it is not known."""
    status: str
    """`confirmed` in the publication, `digitised` from its results, or `second-hand`."""
    source: str
    """Publication, and where the figure was read."""


def all_people() -> list[PeopleRow]:
    """Return the whole table."""
    return read_rows(Path(__file__).with_name("people.csv"), PeopleRow)


def people_of(kind: str) -> list[PeopleRow]:
    """Return what people reached on a kind of set, such as `intphys`; nothing where it is not known."""
    return [row for row in all_people() if row.kind == kind]
