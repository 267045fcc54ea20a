"""The page of `scaling tasks`, and how it was made, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from experiments.methods import listed, methods_section
from experiments.pages import Section, embed, without_empty_columns
from experiments.scaling.emergence import FEWEST_RUNGS, Kind
from experiments.scaling.options import ScalingTasksOptions
from experiments.scaling.task_rows import ClassRow
from experiments.scaling.task_table import TaskTable


def lead(rows: Sequence[ClassRow], options: ScalingTasksOptions) -> str:
    """Return the first paragraph: how many tasks are of each kind, and how many would be by chance."""
    parts = []
    for measure in dict.fromkeys(row.measure for row in rows):
        kinds = [row.kind for row in rows if row.measure == measure]
        counts = [f"{kinds.count(kind)} {kind}" for kind in get_args(Kind) if kind in kinds]
        parts.append(f"{measure}: {listed(counts)}")
    tested = sum(row.p_smooth is not None for row in rows)
    surviving = sum(row.kind == "emergent" and (row.p_smooth_holm or 0) <= options.level for row in rows)
    emergent = sum(row.kind == "emergent" for row in rows)
    chance = (
        f" {emergent} of {tested} curves are called emergent; of as many smooth ones at most about "
        f"{options.level * tested:.1f} would be, by chance. Corrected for their number, {surviving} remain."
        if tested
        else ""
    )
    return f"{'; '.join(parts)}.{chance}"


def both(rows: Sequence[ClassRow]) -> dict[tuple[str, str], str]:
    """Return in words how accuracy and likelihood of each task go together."""
    kinds: dict[tuple[str, str], dict[str, Kind]] = {(row.task, row.items): {} for row in rows}
    for row in rows:
        kinds[row.task, row.items][row.measure] = row.kind
    return {group: _together(of_group.get("accuracy"), of_group.get("likelihood")) for group, of_group in kinds.items()}


def grid_section(figures: Sequence[Path]) -> Section:
    """Return the section with the plots of all tasks."""
    return Section(
        "Tasks",
        "Points are models. `smooth` is a polynomial of degree 2 in log compute, `logistic` no sharper than was said, "
        "`piecewise` a line with a jump that makes at least half of the rise.",
        tuple(
            embed(path, "Measures of each task against compute, with the curves that were compared") for path in figures
        ),
    )


def class_section(rows: Sequence[ClassRow], options: ScalingTasksOptions) -> Section:
    """Return the section on what every task was called, and why."""
    heads = ("task", "items", "measure", "called", "change", "p no change", "p smooth", "corrected", "p jump")
    table: list[tuple[str, ...]] = [
        (*heads, "smooth ones called emergent", "such jumps found", "why undecided", "both measures")
    ]
    words = both(rows)
    for row in rows:
        change = (
            ""
            if row.change is None or row.change_low is None or row.change_high is None
            else f"{row.change:.3f} [{row.change_low:.3f} to {row.change_high:.3f}]"
        )
        cells = (change, *(_p(p) for p in (row.p_flat, row.p_smooth, row.p_smooth_holm, row.p_jump)))
        rates = (_share(row.smooth_called_emergent), _share(row.jumps_found))
        last = words[row.task, row.items] if row.measure == "accuracy" else ""
        table.append((row.task, row.items, row.measure, row.kind, *cells, *rates, row.reason, last))
    return Section(
        "Is there a jump?",
        "`emergent`: no smooth curve explains the rise. `smooth`: no jump explains it. `flat`: the 95 % interval of "
        f"the change lies within {options.least_change:g} of accuracy, or {options.least_likelihood_change:g} of the "
        "likelihood. `inverse`: it gets worse. `undecided`: the data do not tell. The two rates are simulated with the "
        "compute and the noise of the task: how often smooth curves through its points would be called emergent, and "
        "how often a jump like the one that fits best would be found; where few would be, a smooth rise has little "
        "chance to be anything else.",
        table=without_empty_columns(table),
    )


def task_methods(out: Path, options: ScalingTasksOptions, table: TaskTable) -> Section:
    """Write `out/methods.txt`, and return the section of the page."""
    continuous = f" and as {table.likelihood.replace('_', ' ')}" if table.likelihood else ""
    paragraph = (
        f"Each task was measured as accuracy{continuous} and classified by its curve over log compute. Two models were "
        "compared by the ratio of their likelihoods: the better of a polynomial of degree 2 and of a logistic function "
        f"that takes at least a factor of {options.sharpest:g} of compute for the middle 80 % of its rise; and a line "
        "with a jump between two neighbouring amounts of compute, which makes at least half of the rise. A curve that "
        f"rises was called emergent where at most {options.level:g} of {options.draws:,} tables drawn from the best "
        "smooth curve, with normal noise of the variance of its residuals, had as large a ratio (Cox 1962; Williams "
        "1970), smooth where at most as many tables drawn from the best curve with a jump had as small a one, and "
        "undecided otherwise. It was called flat where the 95 % interval of the rise of a straight line lay within "
        f"{options.least_change:g} of accuracy"
        f"{f' or {options.least_likelihood_change:g} of the likelihood' if table.likelihood else ''}, and inverse "
        f"where that interval lay below 0. Tasks with fewer than {FEWEST_RUNGS} different amounts of compute were left "
        "undecided."
    )
    rates = (
        f"Error rates of each task were simulated with {options.simulations:,} smooth curves and as many jumps of its "
        f"own compute and noise (seed {options.seed})."
        if options.simulations
        else ""
    )
    return methods_section(out, [paragraph, *filter(None, [rates])], "the options and the table")


def _together(accuracy: Kind | None, likelihood: Kind | None) -> str:
    if likelihood is None or accuracy is None:
        return "a jump of one measure alone may be one of its axis" if "emergent" in (accuracy, likelihood) else ""
    if accuracy == "emergent":
        return {
            "emergent": "a jump in both",
            "smooth": "a jump in accuracy only: the likelihood rises smoothly",
        }.get(likelihood, f"a jump in accuracy; the likelihood is {likelihood}")
    return "a jump in the likelihood only" if likelihood == "emergent" else ""


def _p(p: float | None) -> str:
    return "" if p is None else f"{p:.3f}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
