"""Human recognition memory, from the one table `human_figures.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

TWO_ALTERNATIVES = "2AFC"


@dataclass(frozen=True)
class HumanFigure:
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
    """`confirmed` in the publication, `digitised` from its figures, or `second-hand`."""
    source: str


def all_human_figures() -> list[HumanFigure]:
    """Return the whole table."""
    with Path(__file__).with_name("human_figures.csv").open(newline="", encoding="utf-8") as file:
        return [
            HumanFigure(
                row["study"], row["condition"], row["measure"], _share(row["accuracy_pct"]),
                _share(row["sem_pct"]) if row["sem_pct"] else None, row["status"], row["source"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def human_figures() -> dict[str, HumanFigure]:
    """Return the accuracies of people in a choice between two, by condition."""
    return {figure.condition: figure for figure in all_human_figures() if figure.measure == TWO_ALTERNATIVES}


def _share(percent: str) -> float:
    return round(float(percent) / 100, 6)
