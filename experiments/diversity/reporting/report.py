"""Merge several diversity runs into tables, metrics, claims, plots and one page.

runs.csv, items.csv, best.csv, positions.csv, audit.csv, redundancy.csv, images.csv
                   the rows of all runs, see `tables`
metrics.csv        means over items of every metric, with intervals
claims.csv         what was asked of the models of the largest training set, and whether it holds
sizes.csv          identification and determinism for each size of training set
distances.png, entropy.png, context.png, conjecture.png, training.png, redundancy.png, audit.png
settings.png       where there are several sampling settings; all plots as .pdf and .svg too
codebook.csv       what the columns of these tables are
methods.txt        how the runs were made, in words
report.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from experiments.codebook import write_codebook
from experiments.diversity.conditions import Group
from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.answers import headlines, lead, pivot, statement
from experiments.diversity.reporting.claims import claims, claims_by_size
from experiments.diversity.reporting.context import Context, contexts, growths
from experiments.diversity.reporting.estimates import MetricRow, metric_means
from experiments.diversity.reporting.methods import diversity_methods
from experiments.diversity.reporting.plots import (
    draw_audit,
    draw_conjecture,
    draw_context,
    draw_distances,
    draw_entropy,
    draw_redundancy,
    draw_settings,
    draw_training,
)
from experiments.diversity.reporting.runs import Chosen, Merged, choose, merge_runs, select
from experiments.diversity.reporting.sections import (
    all_metrics_sections,
    best_section,
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
from experiments.diversity.reporting.verdicts import ClaimRow
from experiments.diversity.tables import MODEL, ROW_TYPES
from experiments.pages import Section, percent, write_report
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from sampling.pages import Fact, facts_of, named
from storage.tables import write_rows
from storage.terminal import visible
from training.progress import count, say_done, say_found

TABLES: dict[str, type] = {
    **{f"{'runs' if name == 'run' else name}.csv": kind for name, kind in ROW_TYPES.items()},
    "metrics.csv": MetricRow,
    "claims.csv": ClaimRow,
    "sizes.csv": ClaimRow,
}
"""The rows of the tables, for the codebook."""


def report_diversity(options: DiversityReportOptions) -> Path:
    """Write the tables, plots and the page of the runs together, and return the folder.

    Raises:
        ValueError: a folder holds no finished run, two runs have the same name, or differ in what must be the same.
    """
    tables = merge_runs(options.runs)
    chosen = choose(tables.items)
    _say_found(tables, chosen)
    means = metric_means(tables.items, tables.best)
    needed = contexts(tables.items)
    by_size = claims_by_size(tables.items)
    found = claims(tables.items, tables.audit, chosen, needed, growths(needed))

    out = options.out
    tables.write(out, run="runs")
    write_rows(out / "metrics.csv", means, MetricRow)
    write_rows(out / "claims.csv", found, ClaimRow)
    write_rows(out / "sizes.csv", by_size, ClaimRow)
    write_codebook(out, TABLES)

    sections = [
        claim_section(found),
        size_section(by_size),
        model_section(tables, chosen),
        *_plots(out, tables, means, chosen, needed, found),
        best_section(means, chosen),
        *image_sections(tables, chosen),
        *all_metrics_sections(means, chosen),
        diversity_methods(out, tables),
    ]
    title = "How diverse are continuations?"
    write_report(out / "report.html", title, lead(found, chosen), sections, facts=_facts(options, tables))
    _print(found)
    say_done(out / "report.html", "open it in a browser")
    return out


def _facts(options: DiversityReportOptions, tables: Merged) -> tuple[Fact, ...]:
    """Return the header of the page."""
    return facts_of(
        options,
        models=named([run.model for run in tables.run]),
        seeds=named([str(run.seed) for run in tables.run]),
    )


def _say_found(tables: Merged, chosen: Chosen) -> None:
    """Say what there is to report."""
    say_found(
        runs=", ".join(run.model for run in tables.run),
        items=f"{count(len(tables.items), 'row')} of {len({(row.kind, row.source) for row in tables.items}):,} sources",
        **{f"{kind}s": f"{choice.model}, {percent(choice.given_share)} given" for kind, choice in chosen.items()},
        observations=_describe_groups(tables, chosen),
    )


def _describe_groups(tables: Merged, chosen: Chosen) -> str:
    """Return how many groups of sources the main models' intervals are over, and whether they are enough."""
    counts: list[str] = []
    fewest = GROUPS_FOR_VERDICT
    for choice, group in product(chosen.values(), get_args(Group)):
        rows = select(tables.items, **choice.continuations(MODEL), group=group)
        groups = len({row.group_name for row in rows})
        if rows:
            counts.append(f"{groups:,} of {group} {choice.kind}s")
            fewest = min(fewest, groups)
    few = "" if fewest >= GROUPS_FOR_VERDICT else f"; a verdict takes {GROUPS_FOR_VERDICT}"
    return f"groups of sources: {', '.join(counts)}{few}"


def _plots(
    out: Path,
    tables: Merged,
    means: Sequence[MetricRow],
    chosen: Chosen,
    needed: Sequence[Context],
    found: Sequence[ClaimRow],
) -> Iterator[Section]:
    """Draw each plot, and describe it."""
    draw_distances(out / "distances.png", means, chosen)
    yield distance_section(out)
    draw_entropy(out / "entropy.png", tables.positions, chosen)
    yield entropy_section(out, means, chosen)
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


def _print(found: Sequence[ClaimRow]) -> None:
    """Print the claims as a short table."""
    main = [row for rows in headlines(found).values() for row in rows]
    heads, *rows = pivot(main, ("claim",), lambda row: (statement(row),))
    table = Table(*(Column(Text(visible(head))) for head in heads))
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console().print(table)
