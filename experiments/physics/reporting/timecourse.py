"""Surprise over time, averaged at the event: impossible minus possible films of the same quadruple.

Where a beginning is shared by a possible and an impossible film, a causal tokenizer makes the same tokens of it, and
their surprise is the same to the last bit: before the event the difference is 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np

from experiments.physics.readouts import Tokens
from experiments.physics.reporting.outcomes import in_subset
from experiments.physics.reporting.runs import Merged, Model
from experiments.physics.scores import ALL
from experiments.physics.tables import FrameRow, Visibility
from experiments.statistics.grouped import Grouping, mean_of
from experiments.statistics.outcomes import known


@dataclass(frozen=True, kw_only=True)
class TimecourseRow:
    """How much more surprising impossible films are at a time before or after the event: a row of timecourse.csv."""

    model: str
    """Name of the model or control."""
    unit: str
    """What its surprise is in, per token."""
    concept: str
    """What is violated; `all` for all concepts but `control` together."""
    visibility: Visibility
    """Whether events are visible or hidden."""
    tokens: Tokens
    """Which tokens count: all, or those that stand for the object."""
    after_event: int
    """Latent frames after the one in which the event begins; negative before it."""
    mean: float
    """Mean surprise of impossible films minus that of possible ones of the same quadruple or pair, over scenes."""
    low: float | None
    """Lower end of its 95 % interval over scenes; empty where scenes are fewer than two, or all alike."""
    high: float | None
    """Upper end of it."""
    largest: float
    """Largest size of the difference in one quadruple or pair."""
    scenes: int
    """Scenes that it is of."""


class Step(NamedTuple):
    """The difference of one quadruple or pair in one latent frame."""

    scene: str
    after_event: int
    difference: float


def timecourses(merged: Merged) -> list[TimecourseRow]:
    """Return the time courses of all models and controls, over scenes that count and whose event's time is known."""
    return [row for model in merged.distinct for tokens in get_args(Tokens) for row in _of_model(model, tokens)]


def aligned(
    surprise: Mapping[str, Sequence[float | None]], possible: Mapping[str, bool], event: int
) -> Iterator[tuple[int, float]]:
    """Yield latent frames relative to the event, and impossible minus possible in each, of matched films.

    Args:
        surprise: of each film by its name, a number per latent frame; None where no token counts.
        possible: which films can happen.
        event: latent frame in which the event begins.
    """
    sides = [[surprise[name] for name in surprise if possible[name] == side] for side in (False, True)]
    for frame in range(min(map(len, surprise.values()))):
        impossible, others = ([values[frame] for values in side] for side in sides)
        difference = _mean(impossible) - _mean(others)
        if not math.isnan(difference):
            yield frame - event, difference


def before_event(rows: Sequence[TimecourseRow]) -> float | None:
    """Return the largest difference of a quadruple or pair before the event; None where nothing is before it."""
    return max((row.largest for row in rows if row.after_event < 0), default=None)


def _of_model(model: Model, tokens: Tokens) -> Iterator[TimecourseRow]:
    by_subset: dict[tuple[str, Visibility], list[Step]] = defaultdict(list)
    films = model.run.matched
    for quadruple, steps in _steps(model, tokens):
        film = films[quadruple]
        visibility: Visibility = "hidden" if film.hidden else "visible"
        for concept in (film.concept, ALL):
            if in_subset(film, concept, visibility):
                by_subset[concept, visibility] += steps
    for (concept, visibility), steps in sorted(by_subset.items(), key=lambda item: (item[0][0] != ALL, item[0])):
        for after in sorted({step.after_event for step in steps}):
            at = [step for step in steps if step.after_event == after]
            differences = np.array([[step.difference] for step in at])
            found = mean_of(differences, Grouping.of([step.scene for step in at]))
            lows, highs = found.interval()
            yield TimecourseRow(
                model=model.name,
                unit=model.row.unit,
                concept=concept,
                visibility=visibility,
                tokens=tokens,
                after_event=after,
                mean=float(found.value[0]),
                low=known(float(lows[0])),
                high=known(float(highs[0])),
                largest=float(np.abs(differences).max()),
                scenes=found.groups,
            )


def _steps(model: Model, tokens: Tokens) -> Iterator[tuple[str, list[Step]]]:
    """Yield the name of a film of each quadruple or pair, and its differences over time."""
    name = "surprise" if tokens == "all" else "object_surprise"
    events = {row.film: row.event_first for row in model.films}
    frames: dict[str, dict[str, list[FrameRow]]] = defaultdict(lambda: defaultdict(list))
    for row in model.frames:
        if row.quadruple and row.film in model.run.matched:
            frames[row.quadruple][row.film].append(row)
    for group in frames.values():
        first = next(iter(group))
        event = events[first]
        possible = {film: rows[0].possible for film, rows in group.items()}
        if event is None or len(set(possible.values())) < 2:
            continue
        surprise = {film: [getattr(row, name) for row in _in_order(rows)] for film, rows in group.items()}
        scene = model.run.matched[first].scene
        yield first, [Step(scene, after, by) for after, by in aligned(surprise, possible, event)]


def _in_order(rows: Sequence[FrameRow]) -> list[FrameRow]:
    return sorted(rows, key=lambda row: row.latent_frame)


def _mean(values: Sequence[float | None]) -> float:
    """Return a mean; NaN where a value is lacking."""
    return sum(math.nan if value is None else value for value in values) / len(values)
