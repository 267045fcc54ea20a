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

import numpy as np

from experiments.codebook import write_codebook
from experiments.pages import write_report
from experiments.scaling.analysis import Analysis, analyse
from experiments.scaling.fit_lines import all_lines
from experiments.scaling.fit_page import (
    fit_sections,
    held_out_in_words,
    law_in_words,
    lead,
    limited_in_words,
    notes,
    optimum_in_words,
)
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
from experiments.scaling.fit_tables import TABLES, LawTables
from experiments.scaling.limited import limited_rows
from experiments.scaling.options import ScalingFitOptions
from experiments.scaling.runs import read_runs
from sampling.pages import facts_of
from storage.run_folder import open_run
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
    # Starts may be so far away, and laws of runs drawn anew so steep, that numbers end at infinity, as they should.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        found = analyse(table, options)
        tables = _tables(found)
    out = open_run(options.out, options, resume="auto", begun=False)  # another fit replaces the one before
    tables.write(out)
    write_codebook(out, TABLES)
    draw_law(out, tables)
    sections = fit_sections(found, out, tables)
    write_report(out / "page.html", "The law of scaling", lead(found, tables), sections, facts=facts_of(options))
    _print(found, tables)
    say_done(out / "page.html", "open it in a browser")
    return out


def draw_law(out: Path, tables: LawTables) -> None:
    """Draw all figures of a law into a folder, from its tables alone."""
    note = _note(tables)
    draw_loss(out / "loss.png", tables.residuals, tables.lines, tables.unit, note)
    if tables.budgets:
        draw_isoflop(out / "isoflop.png", tables.residuals, tables.budgets, tables.lines, note)
    draw_bias(out / "grid_bias.png", tables.biases, "Exact losses of the fitted law at eight sizes.")
    draw_optimum(
        out / "optimum.png",
        tables.budgets,
        tables.residuals,
        tables.optima,
        tables.lines,
        tables.factor,
        tables.item,
        note,
    )
    draw_residuals(out / "residuals.png", tables.residuals, tables.item, note)
    largest = tables.optima[0].compute / tables.optima[0].beyond
    draw_newcomer(out / "newcomer.png", tables.lines, largest, note)


def _tables(found: Analysis) -> LawTables:
    return LawTables(
        fits=list(fit_rows(found)),
        searches=list(convergence_rows(found)),
        draws=list(draw_rows(found)),
        budgets=list(budget_rows(found)),
        biases=list(grid_bias_rows(found)),
        optima=list(optimum_rows(found)),
        limited=list(limited_rows(found)),
        residuals=list(residual_rows(found)),
        heldout=list(held_out_rows(found)),
        newcomers=list(newcomer_rows(found)),
        lines=all_lines(found),
    )


def _note(tables: LawTables) -> str:
    left = len(tables.left_out)
    out = f", {left} left out" if left else ""
    band = "; bands: 95 % over trainings" if tables.has_intervals else ""
    return f"{count(len(tables.residuals) - left, 'run')}{out}{band}"


def _print(found: Analysis, tables: LawTables) -> None:
    """Print the law, how it was found, what it foretells, and what a newcomer would have got."""
    for line in _lines(found, tables):
        print(visible(line))
    for row in found.table.rows:
        if row.diverged:
            print(visible(f"left out: {row.run} diverged"))


def _lines(found: Analysis, tables: LawTables) -> list[str]:
    search = tables.searches[0]
    return [
        law_in_words(tables.fits),
        f"objective {search.objective:.6e}; {search.starts:,} starts, {100 * search.converged:.1f} % converged, "
        f"{100 * search.reached:.1f} % in the lowest minimum",
        *(optimum_in_words(row, tables.item) for row in tables.optima),
        *(limited_in_words(row, tables.item) for row in tables.limited),
        *filter(None, [held_out_in_words(tables.heldout)]),
        *(
            f"{row.fitted}: alpha {row.alpha:.4f}, beta {row.beta:.4f}, best size {row.parameters:.3g}"
            for row in tables.newcomers[1:]
        ),
        *notes(found),
    ]
