"""Human recognition memory, from the one table `human_results.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.tables import read_rows

TWO_ALTERNATIVES = "2AFC"


@dataclass(frozen=True)
class HumanResult:
    """What people reached in one condition of one study, after seeing each image once."""

    study: str
    condition: str
    """As in `trials.csv` where lists have such a condition."""
    measure: str
    """`2AFC`: correct choices between two images; or `hit rate` or `false alarm rate` of judging single ones."""
    accuracy: float
    """The share."""
    sem: float | None
    """Standard error of the mean over people; None where it is not known."""
    status: str
    """`confirmed` in the publication, `digitised` from its results, or `second-hand`."""
    source: str


def all_human_results() -> list[HumanResult]:
    """Return the whole table."""
    return [
        HumanResult(
            study=row.study,
            condition=row.condition,
            measure=row.measure,
            accuracy=_share(row.accuracy_pct),
            sem=None if row.sem_pct is None else _share(row.sem_pct),
            status=row.status,
            source=row.source,
        )
        for row in read_rows(Path(__file__).with_name("human_results.csv"), _Row)
    ]


def human_results() -> dict[str, HumanResult]:
    """Return the accuracies of people in a choice between two, by condition."""
    return {result.condition: result for result in all_human_results() if result.measure == TWO_ALTERNATIVES}


@dataclass(frozen=True)
class _Row:
    """A row of the table, in per cent."""

    study: str
    condition: str
    measure: str
    accuracy_pct: float
    sem_pct: float | None
    status: str
    source: str


def _share(percent: float) -> float:
    return round(percent / 100, 6)
