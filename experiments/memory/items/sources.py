"""What models are compared with: people, published scores, or the predictions of a network, for each picture.

Of people's responses three measures are made:

    hits           share of those who had studied the picture and knew it again: chose it before its foil, or called its
                   second showing a repeat
    false_alarms   share of those who had not seen the picture and took it for one they had: chose it before the one
                   that they had studied, or called its first showing a repeat
    corrected      hits minus false alarms, where both are known

Hits and false alarms are kept for every participant, so that the shares can be computed over others: over half of them,
or with random weights.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiments.memory.items.pictures import Pictures
from experiments.people.table import TWO_ALTERNATIVES, Response
from experiments.statistics.correlation import Measure
from experiments.statistics.outcomes import Floats

Kind = Literal["people", "scores", "predictor", "complexity"]
"""Responses of people to the lists, a published table of scores, a network that predicts them, or no memory at all."""

HITS = "hits"
FALSE_ALARMS = "false_alarms"
CORRECTED = "corrected"
SCORE = "score"
OTHER_VERSION = {"as_given": "swapped", "swapped": "as_given"}


@dataclass(frozen=True)
class Source:
    """Measures of the memorability of N pictures, from one source."""

    name: str
    kind: Kind
    measures: Mapping[str, Measure]
    groups: tuple[object, ...] = ()
    """What participants have in common, (U,): the versions of lists that each has seen."""

    @property
    def participants(self) -> int:
        """Their number; 0 where single participants are not known."""
        return len(self.groups)

    @property
    def main_measure(self) -> str:
        """Hits without false alarms where both are known, else hits, else the only measure."""
        return next((name for name in (CORRECTED, HITS) if name in self.measures), next(iter(self.measures)))


@dataclass(frozen=True)
class Unused:
    """Something that was read and is not used: a row of skipped.csv."""

    source: str
    """The file it stands in, or the name of the list."""
    item: str
    """Its name there."""
    answers: int
    """How many answers or scores it has."""
    reason: str
    """Why it is not used."""


def people_sources(rows: Sequence[Response], pictures: Pictures) -> tuple[list[Source], list[Unused]]:
    """Return people as sources, one for each task, and the answers that are not used.

    Raises:
        ValueError: no answer is to a picture that the runs studied.
    """
    used = [row for row in rows if not _reason(row, pictures)]
    if not used:
        raise ValueError(_no_answers(rows, pictures))
    sources = [_source(task, [row for row in used if row.task == task], pictures) for task in _tasks(used)]
    return sources, list(_unused(rows, pictures))


def score_source(name: str, kind: Kind, values: Floats) -> Source:
    """Return a source of one score for each of N pictures, NaN where it has none."""
    return Source(name, kind, {SCORE: Measure(((1.0, values[None, :]),))})


def _tasks(rows: Iterable[Response]) -> list[str]:
    return sorted({row.task for row in rows})


def _shown(row: Response, pictures: Pictures) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the places of the pictures that were studied, and that were new, when an answer was given."""
    if row.task == TWO_ALTERNATIVES:
        studied = pictures.place(row.list, row.item, row.version)
        new = pictures.place(row.list, row.item, OTHER_VERSION[row.version])
        return _known(studied), _known(new)
    places = pictures.places.get((row.list, row.item), ())
    return (places, ()) if row.condition == "repeat" else ((), places)


def _known(place: int | None) -> tuple[int, ...]:
    return () if place is None else (place,)


def _reason(row: Response, pictures: Pictures) -> str:
    """Return why an answer is not used; empty if it is."""
    if row.list not in pictures.lists:
        return f"no run studied the list {row.list}"
    if not any(_shown(row, pictures)):
        return "no run studied and tested it"
    return "" if row.response else "no answer in time"


def _unused(rows: Iterable[Response], pictures: Pictures) -> Iterator[Unused]:
    found = Counter((row.list, row.item, reason) for row in rows if (reason := _reason(row, pictures)))
    for (of_list, item, reason), answers in sorted(found.items()):
        yield Unused(of_list, item, answers, reason)


def _no_answers(rows: Sequence[Response], pictures: Pictures) -> str:
    lists = sorted({row.list for row in rows})
    if not set(lists) & set(pictures.lists):
        return (
            f"people answered the list {', '.join(lists)}, and the runs studied {', '.join(pictures.lists)}: give runs "
            "and people of the same list, under the same name"
        )
    return (
        "no answer of people is to a picture that the runs studied and tested: items must be the names of trials "
        "(2afc), or the paths of images in the list"
    )


def _source(task: str, rows: Sequence[Response], pictures: Pictures) -> Source:
    versions: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        versions[row.participant].add((row.list, row.version))
    participants = sorted(versions)
    hits, false_alarms = _shares(task, rows, participants, pictures)
    parts = {
        HITS: ((1.0, hits),),
        FALSE_ALARMS: ((1.0, false_alarms),),
        CORRECTED: ((1.0, hits), (-1.0, false_alarms)),
    }
    measures = {name: Measure(of) for name, of in parts.items()}
    known = {name: measure for name, measure in measures.items() if np.isfinite(measure.values).any()}
    groups = tuple(tuple(sorted(versions[participant])) for participant in participants)
    return Source(f"people, {task}", "people", known, groups)


def _shares(
    task: str, rows: Sequence[Response], participants: Sequence[str], pictures: Pictures
) -> tuple[Floats, Floats]:
    """Return hits and false alarms (U, N) of each participant and picture, NaN where there was neither."""
    number = {participant: index for index, participant in enumerate(participants)}
    sums = np.zeros((2, 2, len(participants), len(pictures)))
    for row in rows:
        yes = float(row.response in ("studied", "repeat"))
        studied, new = _shown(row, pictures)
        # Who chooses the studied picture knows it again; who chooses the foil takes that for the studied one.
        of_new = 1 - yes if task == TWO_ALTERNATIVES else yes
        for kind, places, answer in ((0, studied, yes), (1, new, of_new)):
            for place in places:
                sums[kind, :, number[row.participant], place] += (answer, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        hits, false_alarms = sums[:, 0] / sums[:, 1]
    return hits, false_alarms
