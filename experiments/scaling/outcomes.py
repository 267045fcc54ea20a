"""What finished measurements say, read from the tables of the commands that made them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from experiments.codebook import scale_of
from experiments.diversity.reporting.runs import choose, in_order, merge_runs, select
from experiments.diversity.tables import DISTANCES, MODEL, ItemRow
from experiments.physics.contrasts import Judgement, Measure, judge
from experiments.physics.manifest import CONTROL, Film
from experiments.physics.reporting.runs import read_run
from experiments.physics.scores import ALL
from experiments.scaling.measured_tables import Better, Outcome
from experiments.scaling.measurements import Measurement
from experiments.scaling.measuring_options import CellTaskOptions, Task
from experiments.statistics.outcomes import CHANCE, collect
from experiments.statistics.thresholds import thresholds
from experiments.statistics.trials import TrialRow, read_trials
from storage.checked_files import FaultError
from storage.records import read_record

NATS = math.log(2)
"""Of a bit."""
TO_PEOPLE = "exposures to people"
"""The task that is the better the fewer of them it takes."""
COMPARED: tuple[Measure, ...] = ("quadruple", "pair")
"""Comparisons of matched films, the first that a set of films allows counts."""


def outcomes_of(one: Measurement, asked: CellTaskOptions) -> list[Outcome]:
    """Return what a finished measurement of a cell says.

    Raises:
        ValueError: a table is damaged; it is named.
    """
    return list(READERS[one.task](one.folder, asked))


def _accuracy(
    task: str, items: str, share: float, chance: float, likelihood: float | None, observations: int
) -> Outcome:
    return Outcome(task, items, "accuracy", share, "share", "higher", share, chance, likelihood, False, observations)


def _value(
    task: str, items: str, measure: str, value: float, unit: str, better: Better, observations: int, **others: Any
) -> Outcome:
    said: dict[str, Any] = {"likelihood": None, "censored": False, **others}
    return Outcome(
        task, items, measure, value, unit, better, accuracy=None, chance=None, observations=observations, **said
    )


def _nll(folder: Path, _: CellTaskOptions) -> Iterator[Outcome]:
    path = folder / "metrics.json"
    try:
        found = read_record(path)
        nll, pixels, items = float(found["gpt_nll"]), float(found["bits_per_pixel"]), int(found["items"])
    except (OSError, FaultError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove {folder}, and measure it again") from error
    yield _value("nll", "", "bits per pixel", pixels, "bits per pixel", "lower", items, likelihood=-nll)


def _memory(folder: Path, asked: CellTaskOptions) -> Iterator[Outcome]:
    trials = [
        trial
        for trial in read_trials(folder / "trials.csv")
        if (trial.readout, trial.change, trial.interference) == ("weights", "none", 0)
    ]
    tested: dict[tuple[int, str], list[TrialRow]] = defaultdict(list)
    for trial in trials:
        tested[trial.exposure, trial.condition].append(trial)
    for (exposures, condition), of_both in sorted(tested.items()):
        if exposures in asked.exposures:
            task = f"recognition after {exposures}"
            share = fmean(trial.correct for trial in of_both)
            margin = fmean(trial.nll_foil - trial.nll_studied for trial in of_both)
            yield _accuracy(task, condition, share, CHANCE, margin, len(of_both))
    for one in thresholds(collect(trials)):
        reached = one.exposures if one.fitted is None else one.fitted
        counted = len(tested[one.exposures, one.condition])
        censored = one.fitted is None
        yield _value(TO_PEOPLE, one.condition, "exposures", reached, "passes", "lower", counted, censored=censored)


def _diversity(folder: Path, _: CellTaskOptions) -> Iterator[Outcome]:
    merged = merge_runs([folder])
    (run,) = merged.run
    (choice,) = choose(merged.items).values()
    rows = select(merged.items, **choice.continuations(MODEL))
    rows = select(rows, encoding=rows[0].encoding)
    chance = 1 / (run.studied_items + run.new_items)
    for group in in_order(row.group for row in rows):
        of_group = select(rows, group=group)
        truth = -NATS * fmean((row.truth_bits or 0.0) / row.generated_tokens for row in of_group)
        for distance in DISTANCES:
            yield from _of_distance(distance, group, of_group, chance, truth)


def _of_distance(distance: str, group: str, rows: Sequence[ItemRow], chance: float, truth: float) -> Iterator[Outcome]:
    """Yield what is said by one distance; nothing where it was not measured."""
    identified = _mean(rows, f"identified_{distance}")
    if identified is not None:
        yield _accuracy(f"retrieval by {distance}", group, identified, chance, truth, len(rows))
    for column, task, better in (
        (f"truth_{distance}", f"distance to truth by {distance}", "lower"),
        (f"pairwise_{distance}", f"diversity by {distance}", "neither"),
    ):
        mean = _mean(rows, column)
        if mean is not None:
            unit = scale_of(ItemRow, column).unit
            yield _value(task, group, column, mean, unit, cast(Better, better), len(rows))


def _mean(rows: Sequence[ItemRow], column: str) -> float | None:
    values = [value for row in rows if (value := getattr(row, column, None)) is not None]
    return fmean(values) if values else None


def _physics(folder: Path, asked: CellTaskOptions) -> Iterator[Outcome]:
    run = read_run(folder)
    model = next(row.model for row in run.models if row.role == "gpt")
    surprise = {row.film: value for row in run.films[model] if (value := getattr(row, asked.readout)) is not None}
    films = list(run.matched.values())
    compared = next(filter(None, (judge(measure, surprise, films) for measure in COMPARED)), [])
    by_concept: dict[str, list[Judgement]] = defaultdict(list)
    for one in compared:
        by_concept[one.film.concept].append(one)
        if one.film.concept != CONTROL:
            by_concept[ALL].append(one)
    for concept, of_concept in sorted(by_concept.items()):
        share = fmean(one.correct for one in of_concept)
        margin = NATS * fmean(_difference(one.films, surprise) for one in of_concept)
        yield _accuracy("physics", concept, share, CHANCE, margin, len(of_concept))


def _difference(films: Iterable[Film], surprise: Mapping[str, float]) -> float:
    """Return by how much the impossible films of a comparison surprise more, a mean over films, in bits per token."""
    sides: dict[bool, list[float]] = {True: [], False: []}
    for film in films:
        sides[film.possible].append(surprise[film.film])
    return fmean(sides[False]) - fmean(sides[True])


READERS: dict[Task, Callable[[Path, CellTaskOptions], Iterator[Outcome]]] = {
    "nll": _nll,
    "memory": _memory,
    "diversity": _diversity,
    "physics": _physics,
}
"""What reads the results of each task of a cell."""
