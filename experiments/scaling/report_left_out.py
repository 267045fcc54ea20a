"""What a report leaves out of its laws and curves, and why: trainings that diverged before all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.pages import Section
from experiments.scaling.report_parts import Parts
from experiments.scaling.selecting import DIVERGED
from training.progress import count

MOST_LISTED = 100
"""Rows on the page; left_out.csv has all."""


@dataclass(frozen=True)
class LeftOutRow:
    """Something that was left out: a row of left_out.csv."""

    folder: str
    """The ladder, law or extrapolation that it was left out of."""
    name: str
    """The training, or the group and family of curves."""
    reason: str
    """Why it was left out."""


def left_out_rows(parts: Parts) -> Iterator[LeftOutRow]:
    """Yield what was left out of all parts; what diverged, once."""
    diverged = {row.run for ladder in parts.ladders for row in ladder.rows if row.diverged}
    for ladder in parts.ladders:
        for row in ladder.rows:
            if row.diverged:
                yield LeftOutRow(str(ladder.folder), row.run, f"diverged: {row.why_diverged}")
        for name in ladder.unfinished:
            yield LeftOutRow(str(ladder.folder), name, "has not ended yet")
        for trial in ladder.trials:
            if trial.diverged:
                yield LeftOutRow(
                    str(ladder.folder), trial.run, f"trial of a learning rate, diverged: {trial.why_diverged}"
                )
        for one in ladder.unmeasured:
            name = ", ".join(filter(None, (one.run, one.task)))
            yield LeftOutRow(str(ladder.folder), name, f"not measured: {one.why}")
    for law in parts.laws:
        for run in law.tables.left_out:
            if run.left_out != DIVERGED or run.run not in diverged:
                yield LeftOutRow(str(law.folder), run.run, run.left_out)
    for curves in parts.extrapolations:
        for family in curves.tables.families:
            if family.left_out:
                yield LeftOutRow(
                    str(curves.folder), ", ".join(filter(None, (family.group, family.family))), family.left_out
                )


def left_out_section(rows: Sequence[LeftOutRow]) -> Section:
    """Return the section on what was left out."""
    if not rows:
        return Section("Left out", "Nothing was left out: no training diverged, and every row of the tables was used.")
    table = [("of", "what", "why"), *((row.folder, row.name, row.reason) for row in rows[:MOST_LISTED])]
    more = len(rows) - MOST_LISTED
    rest = f" {count(more, 'further row')} are in left_out.csv." if more > 0 else ""
    text = f"{count(len(rows), 'row')}, none of which counts in any law, curve or mean of this page.{rest}"
    return Section("Left out", text, table=tuple(table))
