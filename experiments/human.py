"""Human recognition accuracies, from the one table `human_figures.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HumanFigure:
    """What people reached in one condition of one study."""

    study: str
    condition: str
    accuracy: float
    """Share of correct trials."""
    sem: float
    """Standard error of the mean over people."""
    source: str


def human_figures() -> dict[str, HumanFigure]:
    """Return the human figures by condition."""
    with Path(__file__).with_name("human_figures.csv").open(newline="", encoding="utf-8") as file:
        figures = [
            HumanFigure(
                row["study"], row["condition"], float(row["accuracy_pct"]) / 100, float(row["sem_pct"]) / 100,
                row["source"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip
    return {figure.condition: figure for figure in figures}
