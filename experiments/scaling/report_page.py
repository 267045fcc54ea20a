"""What `scaling report` says besides what the pages of its parts say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from experiments.methods import listed
from experiments.pages import Section, embed, without_empty_columns
from experiments.scaling.report_parts import LadderPart, LawPart, Parts, not_in_law
from experiments.scaling.run_table import LadderRow
from training.progress import count


def parts_in_words(parts: Parts) -> str:
    """Return where everything on the page is from."""
    said = [
        f"{kind.capitalize()}: {listed([f'`{folder}`' for folder in folders])}."
        for kind, folders in parts.folders().items()
        if folders
    ]
    return " ".join(said)


def ladder_notes(ladder: LadderPart) -> list[str]:
    """Return how far a ladder has come, in sentences."""
    diverged = sum(row.diverged for row in ladder.rows)
    ended = f"Of `{ladder.folder}` {count(len(ladder.rows), 'cell')} have ended"
    said = [f"{ended}, {diverged} of which diverged." if diverged else f"{ended}."]
    if ladder.unfinished:
        said.append(f"{count(len(ladder.unfinished), 'cell')} have begun and not ended: see Left out.")
    return said


def as_sentence(reason: str) -> str:
    """Return what an error says, with a full stop where it has no end."""
    return reason if reason.endswith((".", "?", "!")) else f"{reason}."


def law_of(ladder: LadderPart, laws: Sequence[LawPart]) -> LawPart | None:
    """Return the law of a ladder: that of its table, or one that knows all its trainings."""
    for law in laws:
        if law.options.table.resolve() == ladder.table.resolve() or not not_in_law(ladder, law):
            return law
    return None


def ladder_section(out: Path, ladder: LadderPart) -> Section:
    """Return the section on the trainings of a ladder, whose figure lies in a folder."""
    heads = ("parameters", "width", "layers", "hours of film", "cells", "diverged", "compute (FLOP)")
    table: list[tuple[str, ...]] = [(*heads, "lowest loss", "bits per pixel")]
    sizes: dict[tuple[int, int, int, float | None], list[LadderRow]] = {}
    for row in sorted(ladder.rows, key=lambda row: (row.parameters, row.hours_of_film or 0)):
        sizes.setdefault((row.parameters, row.width, row.layers, row.hours_of_film), []).append(row)
    for (parameters, width, layers, hours), rows in sizes.items():
        film = "" if hours is None else f"{hours:.3g}"
        table.append((f"{parameters:,}", f"{width:,}", str(layers), film, *_of_size(rows)))
    text = (
        "Losses on held-out items of every training that has ended, a line for each trunk; the dashed line is the "
        f"lowest that so much compute has reached. {' '.join(ladder_notes(ladder))}"
    )
    media = (embed(out / "losses.png", "Loss against compute, a colour for each size"),)
    return Section("Trainings", text, media, without_empty_columns(table))


def rate_section(ladder: LadderPart) -> Section:
    """Return the section on the learning rates that the sizes of a ladder tried."""
    table: list[tuple[str, ...]] = [("size", "learning rate", "steps", "loss", "chosen", "of those tried")]
    for row in ladder.trials:
        loss = "diverged" if row.diverged else f"{row.loss:.4g}"
        chosen = "trained at this one" if row.chosen else ""
        table.append((row.size, f"{row.learning_rate:g}", f"{row.steps:,}", loss, chosen, row.edge))
    text = (
        "Each size was trained at the rate of the lowest loss on held-out items after a short training. Where that is "
        "the lowest or the highest of those tried, a better one may lie beyond."
    )
    return Section("Learning rates", text, table=without_empty_columns(table))


def no_law_section(ladder: LadderPart, reason: str) -> Section:
    """Return the section that stands where a ladder has no law."""
    return Section("The law", f"No law could be fitted to `{ladder.table}`: {as_sentence(reason)}")


def no_tasks_section(ladder: LadderPart, reason: str) -> Section:
    """Return the section that stands where the tasks of a ladder could not be classified."""
    return Section("Tasks", f"The tasks in `{ladder.tasks}` could not be classified: {as_sentence(reason)}")


def _of_size(rows: Sequence[LadderRow]) -> tuple[str, ...]:
    kept = [row for row in rows if not row.diverged and math.isfinite(row.loss)]
    budgets = sorted({row.budget for row in rows})
    spent = f"{budgets[0]:.3g}" if len(budgets) == 1 else f"{budgets[0]:.3g} to {budgets[-1]:.3g}"
    diverged = sum(row.diverged for row in rows)
    best = min(kept, key=lambda row: row.loss, default=None)
    lowest = ("", "") if best is None else (f"{best.loss:.4g}", f"{best.bits_per_pixel:.4g}")
    return (str(len(rows)), str(diverged) if diverged else "", spent, *lowest)
