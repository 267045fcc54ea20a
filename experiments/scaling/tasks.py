"""Tell of every task whether it improves smoothly with compute, in a jump, not at all, or gets worse.

points.csv, classes.csv, fits.csv   see `task_rows`
codebook.csv                        what the columns of these tables are
methods.txt                         how it was done, in words
tasks_<number>.png                  the tasks; as .pdf and .svg too
page.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.codebook import write_codebook
from experiments.pages import Section, write_report
from experiments.scaling.options import ScalingTasksOptions
from experiments.scaling.table_sets import read_set, write_set
from experiments.scaling.task_page import both, class_section, grid_section, lead, task_methods
from experiments.scaling.task_plot import draw_tasks
from experiments.scaling.task_rows import ClassRow, CurveFitRow, classify_tasks, corrected, curve_rows
from experiments.scaling.task_table import TaskRow, read_tasks
from sampling.pages import facts_of
from storage.run_folder import open_run
from storage.terminal import count, visible
from training.progress import Progress, say_done, say_found

TABLES: dict[str, type] = {"points.csv": TaskRow, "classes.csv": ClassRow, "fits.csv": CurveFitRow}
"""The rows of the tables, for the codebook."""


@dataclass(frozen=True)
class TaskTables:
    """All tables, in the order of `TABLES`: whatever is drawn comes from them."""

    points: Sequence[TaskRow]
    classes: list[ClassRow]
    fits: list[CurveFitRow]


def classify_all(options: ScalingTasksOptions) -> Path:
    """Write the tables, the plots and the page of a table of tasks, print what came out, and return the folder.

    Raises:
        ValueError: the table cannot be used, or a task has one amount of compute only.
    """
    table = read_tasks(options)
    groups = table.groups()
    better = "lower" if table.lower else "higher"
    say_found(
        tasks=f"{count(len(groups), 'task')}, items apart; {count(len(table.rows), 'row')} in all",
        compute=f"in {table.rows[0].unit}",
        measures=f"accuracy{f' and {table.likelihood}, the {better} the better' if table.likelihood else ''}",
    )
    fitted = []
    total = sum(1 + any(row.likelihood is not None for row in table.rows) for _ in groups)
    with Progress("Classifying", total) as progress:
        for one in classify_tasks(table, options):
            fitted.append(one)
            progress.show(min(len(fitted), total))
    tables = TaskTables(table.rows, corrected([one.row for one in fitted]), list(curve_rows(fitted, table.lower)))
    out = open_run(options.out, options, resume="auto", begun=False)  # another one replaces the one before
    write_set(out, tables, TABLES)
    write_codebook(out, TABLES)
    sections = [*task_sections(out, tables, options), task_methods(out, options, table)]
    title = "Is there a jump?"
    write_report(out / "page.html", title, lead(tables.classes, options), sections, facts=facts_of(options))
    _print(tables.classes, options)
    say_done(out / "page.html", "open it in a browser")
    return out


def read_task_tables(folder: Path) -> TaskTables:
    """Return the tables that `classify_all` wrote into a folder.

    Raises:
        OSError: one is not there.
        ValueError: one is damaged, or has no rows where it must have some.
    """
    return read_set(folder, TaskTables, TABLES, ("points.csv", "classes.csv"))


def task_sections(out: Path, tables: TaskTables, options: ScalingTasksOptions) -> list[Section]:
    """Draw all tasks into a folder, from their tables alone, and return the sections on them."""
    likelihood = tables.points[0].likelihood_name.replace("_", " ")
    figures = draw_tasks(out, tables.points, tables.classes, tables.fits, likelihood)
    return [class_section(tables.classes, options), grid_section(figures)]


def _print(rows: Sequence[ClassRow], options: ScalingTasksOptions) -> None:
    words = both(rows)
    for row in rows:
        named = ", ".join(filter(None, (row.task, row.items)))
        p = "" if row.p_smooth is None else f" (p of a smooth curve {row.p_smooth:.3f})"
        why = f": {row.reason}" if row.reason else ""
        said = words[row.task, row.items] if row.measure == "accuracy" else ""
        print(visible(f"{named:30s} {row.measure:10s} {row.kind}{why}{p}{f'; {said}' if said else ''}"))
    print(visible(lead(rows, options)))
