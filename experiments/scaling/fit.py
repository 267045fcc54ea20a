"""Fit the law of loss in parameters and data to a table of runs: `secondsight scaling fit`.

Question: which size and how much data are best for a budget, and what loss is to be expected there?
Method: a Huber fit of log losses from a full grid of starts (`fitting`, `starts`), intervals over trainings
(`bootstrap`), the same question put to slices of equal compute (`isoflop`), the largest budget held out (`analysis`),
and fits as a newcomer might have made them (`newcomer`).
Output: the tables of `fit_tables`; codebook.csv, methods.txt; loss.png, isoflop.png, grid_bias.png, optimum.png,
residuals.png and newcomer.png, as .pdf and .svg too; page.html.
"""

from __future__ import annotations

from pathlib import Path

from experiments.codebook import write_codebook
from experiments.pages import write_report
from experiments.scaling.analysis import Analysis, analyse
from experiments.scaling.fit_lines import all_lines
from experiments.scaling.fit_page import fit_sections, held_out_in_words, law_in_words, lead, notes, optimum_in_words
from experiments.scaling.fit_plots import (
    draw_bias,
    draw_isoflop,
    draw_loss,
    draw_newcomer,
    draw_optimum,
    draw_residuals,
)
from experiments.scaling.fit_rows import (
    budget_rows,
    convergence_rows,
    draw_rows,
    fit_rows,
    grid_bias_rows,
    held_out_rows,
    newcomer_rows,
    optimum_rows,
    residual_rows,
)
from experiments.scaling.fit_tables import (
    TABLES,
    BudgetRow,
    ConvergenceRow,
    DrawRow,
    FitRow,
    GridBiasRow,
    HeldOutRow,
    LimitedRow,
    LineRow,
    NewcomerRow,
    OptimumRow,
    ResidualRow,
)
from experiments.scaling.limited import limited_in_words, limited_rows, limited_section
from experiments.scaling.options import ScalingFitOptions
from experiments.scaling.runs import read_runs
from storage.tables import write_rows
from storage.terminal import visible
from training.progress import count, say_done, say_found


def fit_scaling(options: ScalingFitOptions) -> Path:
    """Write the tables, the plots and the page of a table of runs, print the law, and return the folder.

    Raises:
        ValueError: the table cannot be used, its runs cannot tell the parameters of the law, or losses do not fall.
    """
    table = read_runs(options.table, options.columns)
    left = sum(row.diverged for row in table.rows)
    unit = table.rows[0].loss_unit
    say_found(runs=f"{count(len(table.rows), 'row')}, {left} diverged", losses=f"in {unit}", data=table.item)
    found = analyse(table, options)
    out = options.out
    tables = _write_tables(out, found)
    _draw(out, found, tables, unit)
    sections = fit_sections(
        found,
        out,
        tables.fits,
        tables.searches,
        tables.budgets,
        tables.optima,
        tables.heldout,
        tables.newcomers,
    )
    if tables.limited:
        sections.insert(2, limited_section(tables.limited, table.item))  # behind the best size and data
    write_report(out / "page.html", "The law of scaling", lead(found, tables.heldout, tables.optima), sections)
    _print(found, tables)
    say_done(out / "page.html", "open it in a browser")
    return out


class _Tables:
    """The rows of all tables."""

    def __init__(self, found: Analysis) -> None:
        self.fits = list(fit_rows(found))
        self.searches = list(convergence_rows(found))
        self.draws = list(draw_rows(found))
        self.budgets = list(budget_rows(found))
        self.biases = list(grid_bias_rows(found))
        self.optima = list(optimum_rows(found))
        self.limited = list(limited_rows(found))
        self.residuals = list(residual_rows(found))
        self.heldout = list(held_out_rows(found))
        self.newcomers = list(newcomer_rows(found))
        self.lines = all_lines(found)


def _write_tables(out: Path, found: Analysis) -> _Tables:
    tables = _Tables(found)
    write_rows(out / "fit.csv", tables.fits, FitRow)
    write_rows(out / "convergence.csv", tables.searches, ConvergenceRow)
    write_rows(out / "bootstrap.csv", tables.draws, DrawRow)
    write_rows(out / "isoflop.csv", tables.budgets, BudgetRow)
    write_rows(out / "grid_bias.csv", tables.biases, GridBiasRow)
    write_rows(out / "optimum.csv", tables.optima, OptimumRow)
    write_rows(out / "limited.csv", tables.limited, LimitedRow)
    write_rows(out / "residuals.csv", tables.residuals, ResidualRow)
    write_rows(out / "heldout.csv", tables.heldout, HeldOutRow)
    write_rows(out / "newcomer.csv", tables.newcomers, NewcomerRow)
    write_rows(out / "lines.csv", tables.lines, LineRow)
    write_codebook(out, TABLES)
    return tables


def _draw(out: Path, found: Analysis, tables: _Tables, unit: str) -> None:
    note = _note(found)
    item = found.table.item
    draw_loss(out / "loss.png", tables.residuals, tables.lines, unit, note)
    if tables.budgets:
        draw_isoflop(out / "isoflop.png", tables.residuals, tables.budgets, tables.lines, note)
    draw_bias(out / "grid_bias.png", tables.biases, "Exact losses of the fitted law at eight sizes.")
    draw_optimum(
        out / "optimum.png", tables.budgets, tables.residuals, tables.optima, tables.lines, found.factor, item, note
    )
    draw_residuals(out / "residuals.png", tables.residuals, item, note)
    draw_newcomer(out / "newcomer.png", tables.lines, found.largest, note)


def _note(found: Analysis) -> str:
    left = sum(bool(why) for why in found.left_out)
    out = f", {left} left out" if left else ""
    band = "; bands: 95 % over trainings" if found.has_intervals else ""
    return f"{count(len(found.runs.rows), 'run')}{out}{band}"


def _print(found: Analysis, tables: _Tables) -> None:
    """Print the law, how it was found, what it foretells, and what a newcomer would have got."""
    for line in _lines(found, tables):
        print(visible(line))
    for row in found.table.rows:
        if row.diverged:
            print(visible(f"left out: {row.run} diverged"))


def _lines(found: Analysis, tables: _Tables) -> list[str]:
    search = tables.searches[0]
    return [
        law_in_words(found),
        f"objective {search.objective:.6e}; {search.starts:,} starts, {100 * search.converged:.1f} % converged, "
        f"{100 * search.reached:.1f} % in the lowest minimum",
        *(optimum_in_words(row, found.table.item) for row in tables.optima),
        *(limited_in_words(row, found.table.item) for row in tables.limited),
        *filter(None, [held_out_in_words(tables.heldout)]),
        *(
            f"{row.fitted}: alpha {row.alpha:.4f}, beta {row.beta:.4f}, best size {row.parameters:.3g}"
            for row in tables.newcomers[1:]
        ),
        *notes(found),
    ]
