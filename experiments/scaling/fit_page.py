"""The page of `scaling fit`, and how it was made, in words."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy

from experiments.methods import methods_section
from experiments.pages import Section, embed, percent, without_empty_columns
from experiments.scaling.analysis import Analysis
from experiments.scaling.fit_tables import (
    ALL_RUNS,
    BudgetRow,
    ConvergenceRow,
    FitRow,
    HeldOutRow,
    LawTables,
    LimitedRow,
    NewcomerRow,
    OptimumRow,
)
from experiments.scaling.fitting import LOG_REPEATS
from experiments.scaling.selecting import DIVERGED, seed_notes
from training.progress import count

MOST_REPEATS = float(np.exp(LOG_REPEATS[1])) * (1 - 1e-6)
METHODS = {
    "law": "the law",
    "parabola": "parabolas through isoFLOP slices",
    "akima": "Akima's interpolation of isoFLOP slices",
    "envelope": "the runs on the envelope",
}


def notes(found: Analysis) -> list[str]:
    """Return what must be said of the runs, in sentences."""
    diverged = sum(why == DIVERGED for why in found.left_out)
    highest = sum(bool(why) for why in found.left_out) - diverged
    said = [*found.table.notes, *seed_notes(found.runs)]
    if diverged:
        said.append(f"{count(diverged, 'run')} diverged: left out, and marked in residuals.csv.")
    if highest:
        said.append(f"Left out as the highest losses: {count(highest, 'row')}, listed in residuals.csv.")
    if found.repeats and found.law.repeats >= MOST_REPEATS:
        said.append(
            "Repeated items were worth as much as new ones, as far as runs tell: R stands at the largest value tried."
        )
    if not found.has_intervals:
        said.append(
            f"There are no intervals: they need more trainings than the {found.fitted.points.size} parameters, and "
            f"there are {found.groups}."
        )
    elif found.groups < 2 * found.fitted.points.size:
        said.append(
            f"Intervals rest on {found.groups} trainings of their own, hardly more than the {found.fitted.points.size} "
            "parameters: they are wide, and more sizes or seeds make them narrower."
        )
    if found.not_held_out:
        said.append(f"The largest budget was not held out: {found.not_held_out}.")
    return said


def lead(found: Analysis, tables: LawTables) -> str:
    """Return the first paragraphs of the page."""
    return "\n\n".join([*law_paragraphs(tables), " ".join(notes(found))])


def law_paragraphs(tables: LawTables) -> list[str]:
    """Return the law, what is best by it, and how well it foretold the largest budget."""
    best = " ".join(f"{optimum_in_words(row, tables.item)}." for row in tables.optima if row.method == "law")
    return [f"`{law_in_words(tables.fits)}`", best, held_out_in_words(tables.heldout)]


def law_in_words(fits: Sequence[FitRow]) -> str:
    """Return the law with its numbers.

    Raises:
        ValueError: one is missing.
    """
    law = {row.parameter: row.value for row in fits if row.method == "law"}
    missing = {"E", "A", "B", "alpha", "beta"} - law.keys()
    if missing:
        raise ValueError(f"the law has no {', '.join(sorted(missing))}: its fit.csv is damaged")
    repeats = f", R = {law['R']:.3g}" if "R" in law else ""
    data = "D'" if "R" in law else "D"
    return (
        f"L = {law['E']:.5g} + {law['A']:.5g} / N^{law['alpha']:.4f} + {law['B']:.5g} / {data}^{law['beta']:.4f}"
        f"{repeats}"
    )


def optimum_in_words(row: OptimumRow, item: str) -> str:
    """Return the best size and data of a budget."""
    size = with_ends(row.parameters, row.parameters_low, row.parameters_high)
    data = with_ends(row.data, row.data_low, row.data_high)
    far = f", {row.beyond:.3g} times the largest compute of the table" if row.beyond > 1 else ""
    by = METHODS[row.method]
    return f"At {row.compute:.3g} FLOP{far}, the best size by {by} is {size} parameters, with {data} {item}"


def limited_in_words(row: LimitedRow, item: str) -> str:
    """Return the best size and data of a budget with limited items."""
    size = with_ends(row.parameters, row.parameters_low, row.parameters_high)
    data = with_ends(row.data, row.data_low, row.data_high)
    return (
        f"At {row.compute:.3g} FLOP with {row.unique_data:.3g} different {item}, the best size by the law is {size} "
        f"parameters, with {data} {item}, {row.epochs:.3g} epochs"
    )


def held_out_in_words(rows: Sequence[HeldOutRow]) -> str:
    """Return how well the largest budget was predicted; empty where it was not held out."""
    if not rows:
        return ""
    errors = np.array([row.error for row in rows])
    budget = f"Held out, the largest budget ({max(row.compute for row in rows):.3g} FLOP) is predicted with an error of"
    if len(rows) == 1:
        return f"{budget} {_signed(rows[0].error)}, in its one run."
    worst = errors[np.argmax(np.abs(errors))]
    return (
        f"{budget} {_signed(float(errors.mean()))} on average, {percent(float(np.abs(errors).mean()))} without its "
        f"sign; the worst of {len(rows)} runs {_signed(worst)}."
    )


def with_ends(value: float, low: float | None, high: float | None) -> str:
    """Return a number with its interval."""
    if low is None and high is None:
        return f"{value:.4g}"
    ends = ("unbounded" if end is None else f"{end:.3g}" for end in (low, high))
    return f"{value:.4g} [{' to '.join(ends)}]"


def fit_sections(found: Analysis, out: Path, tables: LawTables) -> list[Section]:
    """Return the sections of the page, and write methods.txt."""
    return [*law_sections(out, tables), methods_section(out, _methods(found))]


def law_sections(out: Path, tables: LawTables) -> list[Section]:
    """Return the sections on a law whose figures lie in a folder."""
    return [
        _law_section(out, tables.fits, tables.searches),
        _optimum_section(out, tables.optima),
        *([limited_section(tables.limited, tables.item)] if tables.limited else []),
        *([_slice_section(out, tables.budgets)] if tables.budgets else []),
        _bias_section(out),
        _residual_section(out, tables.heldout),
        *([_newcomer_section(out, tables.newcomers)] if tables.newcomers else []),
    ]


def _law_section(out: Path, fits: Sequence[FitRow], searches: Sequence[ConvergenceRow]) -> Section:
    table = [("found by", "parameter", "value and 95 % interval", "of exact losses of the law")]
    for row in fits:
        exact = "" if row.exact is None else f"{row.exact:.4f}"
        table.append((METHODS[row.method], row.parameter, with_ends(row.value, row.low, row.high), exact))
    went = " ".join(_search_in_words(row) for row in searches)
    text = (
        "The line with the band is the lowest loss that each budget can reach by the law; other lines are single "
        f"sizes. Runs on the envelope are those that none with as little compute does better than.\n\n{went}"
    )
    return Section("The law", text, (embed(out / "loss.png", "Loss against compute"),), without_empty_columns(table))


def _search_in_words(row: ConvergenceRow) -> str:
    other = "" if row.next_objective is None else f", the next minimum is {row.next_objective:.4g}"
    to = "to " if row.fitted == ALL_RUNS else ""
    return (
        f"Fitted {to}{row.fitted} ({row.rows}): of {row.starts:,} starts {percent(row.converged)} converged and "
        f"{percent(row.reached)} reached the lowest objective, {row.objective:.6g}{other}."
    )


def _optimum_section(out: Path, optima: Sequence[OptimumRow]) -> Section:
    table = [("compute (FLOP)", "times the largest", "found by", "parameters", "data", "loss by the law")]
    for row in optima:
        loss = "" if row.loss is None else with_ends(row.loss, row.loss_low, row.loss_high)
        size = with_ends(row.parameters, row.parameters_low, row.parameters_high)
        data = with_ends(row.data, row.data_low, row.data_high)
        table.append((f"{row.compute:.3g}", f"{row.beyond:.3g}", METHODS[row.method], size, data, loss))
    text = (
        "Best where every item is new. Intervals hold for their method alone: far beyond the runs, how far methods lie "
        "apart tells more."
    )
    media = (embed(out / "optimum.png", "Best size and data against compute"),)
    return Section("The best size and data", text, media, without_empty_columns(table))


def limited_section(rows: Sequence[LimitedRow], item: str) -> Section:
    """Return the section on limited items."""
    table = [("compute (FLOP)", f"different {item}", "parameters", f"{item} seen", "epochs", "loss by the law")]
    for row in rows:
        size = with_ends(row.parameters, row.parameters_low, row.parameters_high)
        data = with_ends(row.data, row.data_low, row.data_high)
        loss = with_ends(row.loss, row.loss_low, row.loss_high)
        table.append((f"{row.compute:.3g}", f"{row.unique_data:.3g}", size, data, f"{row.epochs:.3g}", loss))
    text = (
        f"The best size and data of a budget where there are only so many different {item} and more of them are "
        "repeats, which the law counts as worth less."
    )
    return Section(f"When different {item} run out", text, table=tuple(table))


def _slice_section(out: Path, budgets: Sequence[BudgetRow]) -> Section:
    table = [("compute (FLOP)", "read by", "runs", "best size", "by the law", "largest by smallest", "middle", "bias")]
    for row in budgets:
        size = "at an end" if row.parameters is None else f"{row.parameters:.3g}"
        bias = "" if row.bias is None else f"{row.bias:.3f}"
        reached = (f"{row.width:.3g}", f"{row.centre:.3g}", bias)
        table.append((f"{row.compute:.3g}", row.method, str(row.rows), size, f"{row.law_parameters:.3g}", *reached))
    text = (
        "Runs of each budget, the curve through them, and its lowest point (stars). `Bias` is what the same reading "
        "makes of the exact losses of the law at the same sizes, by the best size of the law: 1 is right. `Middle` is "
        "that of the sizes by the best size."
    )
    media = (embed(out / "isoflop.png", "Loss against size, a line for each budget"),)
    return Section("IsoFLOP slices", text, media, without_empty_columns(table))


def _bias_section(out: Path) -> Section:
    text = (
        "Exact losses of the law at eight sizes, evenly in their logs: a parabola lies off where sizes reach far or "
        "their middle is not the best size, since the law is not symmetric; Akima's interpolation where they are far "
        "apart."
    )
    return Section("What the grid of sizes does", text, (embed(out / "grid_bias.png", "Bias of the best size"),))


def _residual_section(out: Path, heldout: Sequence[HeldOutRow]) -> Section:
    table = [("run", "compute (FLOP)", "parameters", "loss", "predicted from smaller budgets", "error")]
    for row in heldout:
        predicted = with_ends(row.predicted, row.predicted_low, row.predicted_high)
        size, loss = f"{row.parameters:.3g}", f"{row.loss:.4g}"
        table.append((row.run, f"{row.compute:.3g}", size, loss, predicted, _signed(row.error)))
    text = f"A law that fits leaves no pattern. {held_out_in_words(heldout)}"
    media = (embed(out / "residuals.png", "Residuals against size, data and compute"),)
    return Section("Residuals, and the largest budget held out", text, media, tuple(table) if heldout else ())


def _newcomer_section(out: Path, newcomers: Sequence[NewcomerRow]) -> Section:
    table = [("fitted", "E", "A", "B", "alpha", "beta", "objective", f"best size at {newcomers[0].compute:.3g} FLOP")]
    for row in newcomers:
        scales = (f"{row.floor:.4g}", f"{row.parameters_scale:.4g}", f"{row.data_scale:.4g}")
        exponents = (f"{row.alpha:.4f}", f"{row.beta:.4f}")
        table.append((row.fitted, *scales, *exponents, f"{row.objective:.6g}", f"{row.parameters:.3g}"))
    text = (
        "The same runs, fitted as one might at first: from one start in the middle of the grid, with SciPy's L-BFGS-B "
        "and its default tolerance, which the mean over runs lets end early; by squares of losses; with the other "
        "count of parameters, where the table has it. Fits to other rows or sizes have objectives that do not compare."
    )
    media = (embed(out / "newcomer.png", "Best size against compute, for each way of fitting"),)
    return Section("What a newcomer would have got", text, media, tuple(table))


def _methods(found: Analysis) -> list[str]:
    options = found.options
    counted = "all parameters" if options.size == "total" else "parameters without those of embeddings"
    data = f"D {found.table.item} seen"
    if found.repeats:
        data = f"D' effective {found.table.item}, U + U R (1 - exp(-r / R)) for U different ones seen r + 1 times"
        data += " (Muennighoff et al. 2023), R being fitted as well"
    left = sum(bool(why) for why in found.left_out)
    fitted = (
        f"The law L = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022) was fitted to {len(found.runs.rows)} runs "
        f"({left} left out), N being {counted} and {data}, by the least sum of Huber losses (delta 1e-3) of log "
        f"residuals, from a grid of {found.fitted.starts:,} starts and from starts by variable projection (Golub and "
        "Pereyra 1973), with analytic derivatives."
    )
    drawn = (
        f"Intervals of 95 % are expanded percentiles (Hesterberg 2015) over {options.draws:,} draws, with replacement, "
        f"of {found.groups} groups of runs that belong together (seed {options.seed})."
    )
    slices = (
        f"Runs within a factor of {options.budget_spread:g} of compute counted as of one budget. The best size of a "
        "budget was read from a parabola of loss against log size and from Akima's interpolation (1970), and each "
        "reading was repeated on the exact losses of the law; lines through these minima are least squares of logs."
    )
    software = (
        f"Software: Secondsight {version('secondsight')}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"Python {platform.python_version()}."
    )
    done = [fitted, *([drawn] if found.has_intervals else []), *([slices] if found.budgets else [])]
    said = notes(found)
    return [*done, *([" ".join(said)] if said else []), software]


def _signed(share: float) -> str:
    return f"{100 * share:+.2f} %"
