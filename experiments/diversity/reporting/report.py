"""Merge several diversity runs into tables, figures, claims and one page.

runs.csv, items.csv, positions.csv, audit.csv, redundancy.csv, images.csv   the rows of all runs, see `tables`
figures.csv        means over items of every figure, with intervals
claims.csv         what was asked of the models of the largest training set, and whether it holds
sizes.csv          identification and determinism for each size of training set
distances.png, entropy.png, context.png, conjecture.png, training.png, redundancy.png, audit.png
settings.png       where there are several ways of sampling
report.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.answers import headlines, lead, pivot, statement
from experiments.diversity.reporting.bars import draw_audit, draw_distances, draw_redundancy, draw_settings
from experiments.diversity.reporting.claims import ClaimRow, claims, claims_by_size
from experiments.diversity.reporting.context import Context, contexts, growths
from experiments.diversity.reporting.curves import draw_conjecture, draw_context, draw_entropy, draw_training
from experiments.diversity.reporting.drawing import Chosen
from experiments.diversity.reporting.figures import FigureRow, figures
from experiments.diversity.reporting.merge import Merged, merge_runs
from experiments.diversity.reporting.sections import (
    all_figures_sections,
    claim_section,
    context_section,
    copy_section,
    distance_section,
    entropy_section,
    image_sections,
    leakage_section,
    model_section,
    redundancy_section,
    setting_section,
    size_section,
    training_section,
)
from experiments.diversity.reporting.selection import choose
from experiments.pages import Section, write_report
from storage.tables import write_rows


def report_diversity(options: DiversityReportOptions) -> Path:
    """Write the tables, plots and the page of the runs together, and return the folder.

    Raises:
        ValueError: a folder holds no finished run, or two runs have the same name.
    """
    tables, out = merge_runs(options.runs), options.out
    chosen, means, needed = choose(tables.items), figures(tables.items), contexts(tables.items)
    by_size = claims_by_size(tables.items)
    found = claims(tables.items, tables.audit, chosen, needed, growths(needed))

    tables.write(out, run="runs")
    write_rows(out / "figures.csv", means, FigureRow)
    write_rows(out / "claims.csv", found, ClaimRow)
    write_rows(out / "sizes.csv", by_size, ClaimRow)

    sections = [
        claim_section(found),
        size_section(by_size),
        model_section(tables, chosen),
        *_plots(out, tables, means, chosen, needed, found),
        *image_sections(tables, chosen),
        *all_figures_sections(means, chosen),
    ]
    write_report(out / "report.html", "How diverse are continuations?", lead(found, chosen), sections)
    _print(found, out)
    return out


def _plots(
    out: Path, tables: Merged, means: Sequence[FigureRow], chosen: Chosen, needed: Sequence[Context],
    found: Sequence[ClaimRow],
) -> Iterator[Section]:  # fmt: skip
    """Draw each plot, and describe it."""
    draw_distances(out / "distances.png", means, chosen)
    yield distance_section(out)
    draw_entropy(out / "entropy.png", tables.positions, chosen)
    yield entropy_section(out)
    draw_context(out / "context.png", means, chosen)
    yield context_section(out, needed)
    draw_conjecture(out / "conjecture.png", needed)
    draw_training(out / "training.png", means, chosen)
    yield training_section(out)
    yield leakage_section(found)
    draw_redundancy(out / "redundancy.png", tables.redundancy, chosen)
    yield redundancy_section(out, tables.redundancy, chosen)
    draw_audit(out / "audit.png", tables.audit, chosen)
    yield copy_section(out, found)
    if draw_settings(out / "settings.png", means, chosen):
        yield setting_section(out)


def _print(found: Sequence[ClaimRow], out: Path) -> None:
    """Print the claims as a short table."""
    main = [row for rows in headlines(found).values() for row in rows]
    heads, *rows = pivot(main, ("claim",), lambda row: (statement(row),))
    table = Table(*heads)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(f"Open {out / 'report.html'}", soft_wrap=True)
