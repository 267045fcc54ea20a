"""What was left out of scores, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from experiments.pages import Section, percent
from experiments.physics.reporting.runs import Merged, Run
from experiments.physics.tables import FilmRow
from storage.terminal import count


@dataclass(frozen=True)
class KeptRow:
    """What the tokenizer keeps of what matched films differ in: a row of kept.csv."""

    run: str
    """Run folder."""
    quadruple: str
    """Name that the films share."""
    scene: str
    """Scene that they are of."""
    concept: str
    """What is violated."""
    hidden: bool
    """Whether the event happens behind an occluder."""
    kept: float | None
    """Share of the difference between the films that is left between their reconstructions; empty where they do not
    differ."""
    void: bool
    """Whether they are left out of scores, as less of that is kept than was asked for."""
    event_known: bool
    """Whether the set says when the event is."""


def kept_rows(merged: Merged) -> list[KeptRow]:
    """Return a row for every quadruple or pair of every run."""
    return [row for run in merged.runs for row in _of_run(run)]


def left_out_section(merged: Merged, rows: Sequence[KeptRow]) -> Section:
    """Return the section on films that count in no score."""
    sentences = [_of_void(run, [row for row in rows if row.run == str(run.folder)]) for run in merged.runs]
    for run in merged.runs:
        films = sum(row.event_first is None for row in run.any_films)
        if films:
            sentences.append(
                f"Of {count(films, 'film')} in `{run.folder}` the time of the event is not known: they have no event "
                "window, and no part in surprise over time."
            )
        if run.defects:
            defects = count(len({defect.defect for defect in run.defects}), "defect")
            sentences.append(f"`{run.folder}` left out films with {defects}; its defects.csv names them.")
    text = (
        "A tokenizer may erase the object of an event, or show two shapes alike; then no model of its tokens can pass "
        "for the right reason. Of the difference between matched films it is measured how much is left between their "
        "reconstructions; quadruples and pairs of which less than `--least-kept` is left are void, and in none of the "
        "scores. kept.csv has all of them."
    )
    return Section("What was left out", "\n\n".join([text, *sentences]), table=_table(rows))


def _of_run(run: Run) -> Iterator[KeptRow]:
    groups: dict[str, list[FilmRow]] = defaultdict(list)
    for row in run.any_films:
        if row.quadruple:
            groups[row.quadruple].append(row)
    for name, (first, *_) in groups.items():
        known = first.event_first is not None
        yield KeptRow(str(run.folder), name, first.scene, first.concept, first.hidden, first.kept, first.void, known)


def _of_void(run: Run, rows: Sequence[KeptRow]) -> str:
    void = sum(row.void for row in rows)
    least = run.options.least_kept
    asked = f"of which less than {percent(least)} is kept" if least else "as `--least-kept 0` left none out"
    return f"`{run.folder}`: {void:,} of {len(rows):,} quadruples or pairs are void, {asked}."


def _table(rows: Sequence[KeptRow]) -> tuple[tuple[str, ...], ...]:
    groups: dict[tuple[str, str, bool], list[KeptRow]] = defaultdict(list)
    for row in rows:
        groups[row.run, row.concept, row.hidden].append(row)
    table = [("concept", "events", "run", "matched", "void", "kept, median", "kept, least")]
    for (run, concept, hidden), group in sorted(groups.items(), key=lambda item: (item[0][1], item[0][2], item[0][0])):
        kept = [row.kept for row in group if row.kept is not None]
        shares = (percent(median(kept)), percent(min(kept))) if kept else ("", "")
        numbers = (f"{len(group):,}", f"{sum(row.void for row in group):,}")
        table.append((concept, "hidden" if hidden else "visible", run, *numbers, *shares))
    return tuple(table)
