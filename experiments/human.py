"""Human recognition memory, from the one table `human_results.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from storage.tables import read_rows

TWO_ALTERNATIVES = "2AFC"
EXPERIMENTS = {
    "Brady et al. 2008": ("novel", "exemplar", "state"),
    "Konkle et al. 2010": ("novel", "1_exemplar", "2_exemplar", "4_exemplar", "8_exemplar", "16_exemplar"),
}
"""Test conditions of the experiments whose lists are read, by study: the same name may mean different images there."""


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
    """`confirmed` in the publication, `digitised` from its results, or `second-hand`; or `measured` of one's own
    participants."""
    source: str
    low: float | None = None
    """Lower end of the 95 % interval for other images and other people; None where only `sem` is known."""
    high: float | None = None
    """Upper end of it."""
    participants: int | None = None
    """How many took part; None where it is not known."""


Landmarks = Mapping[str, HumanResult]
"""What people reached in a choice between two, by condition."""


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


def experiment_of(conditions: Iterable[str]) -> str | None:
    """Return the study whose experiment has all these test conditions; None where it is none, or not certain."""
    wanted = set(conditions)
    found = [study for study, names in EXPERIMENTS.items() if wanted and wanted <= set(names)]
    return found[0] if len(found) == 1 else None


def landmarks(conditions: Iterable[str], people: Landmarks | None) -> Landmarks:
    """Return the accuracies of people to set beside models: one's own participants', or where there are none published.

    Args:
        conditions: all test conditions of the lists that the models studied.
        people: measured, by condition; None where nobody was. Nothing published stands in for conditions without.
    """
    return human_results(conditions) if people is None else people


def human_results(conditions: Iterable[str]) -> dict[str, HumanResult]:
    """Return the accuracies of people in a choice between two, by condition.

    Args:
        conditions: all test conditions of the lists that a model studied. They tell which experiment people took part
            in; without one, there are no results to set beside.
    """
    study = experiment_of(conditions)
    return {
        result.condition: result
        for result in all_human_results()
        if result.study == study
        and result.condition in EXPERIMENTS[result.study]
        and result.measure == TWO_ALTERNATIVES
    }


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
