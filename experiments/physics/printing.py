"""Scores as people read them: all readouts of every model, and per concept the chosen one on the reporting scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from experiments.physics.contrasts import Measure
from experiments.physics.scores import ALL, readout_of
from experiments.physics.tables import ScoreRow

MAIN: tuple[Measure, ...] = ("quadruple", "pair")
"""Measures that are told per concept."""


def print_scores(rows: Sequence[ScoreRow]) -> None:
    """Print all pooled scores of all readouts, a star at what was chosen, and the chosen ones per concept."""
    for line in [*pooled_lines(rows), "", *concept_lines(rows)]:
        print(line)


def pooled_lines(rows: Sequence[ScoreRow]) -> list[str]:
    """Return a line for every model and readout: its scores on choosing and reporting scenes, all concepts together."""
    pooled = [row for row in rows if (row.concept, row.visibility) == (ALL, "both")]
    measures = [measure for measure in get_args(Measure) if any(row.measure == measure for row in pooled)]
    lines = [
        "Share of comparisons in which what cannot happen is the more surprising, in %, on scenes for choosing / "
        "reporting;",
        "a star marks the readout that is the model's best on the scenes for choosing; of quadruples, the best mean.",
        f"{'model':20s} {'readout':24s}" + "".join(f"{measure:>18s}" for measure in measures),
    ]
    for model, readout in dict.fromkeys((row.model, readout_of(row)) for row in pooled):
        own = [row for row in pooled if (row.model, readout_of(row)) == (model, readout)]
        cells = [_halves([row for row in own if row.measure == measure]) for measure in measures]
        lines.append(f"{model:20s} {readout.name:24s}" + "".join(f"{cell:>18s}" for cell in cells))
    return lines


def concept_lines(rows: Sequence[ScoreRow]) -> list[str]:
    """Return a line for every model, concept and visibility: the chosen readout on the reporting scenes."""
    lines = [
        "The chosen readout on the scenes for reporting, with 95 % intervals over scenes, p corrected for the concepts:"
    ]
    for row in rows:
        if row.chosen and row.half == "reporting" and row.measure in MAIN and row.visibility != "both":
            interval = "" if row.low is None or row.high is None else f" [{100 * row.low:.0f}, {100 * row.high:.0f}]"
            p = "" if row.p_holm is None else f", p {row.p_holm:.2g}"
            what = f"{row.model:20s} {row.measure:10s} {row.concept:14s} {row.visibility:8s}"
            lines.append(f"{what} {100 * row.value:5.1f} %{interval}{p}, {row.scenes} scenes, {readout_of(row).name}")
    return lines


def _halves(rows: Sequence[ScoreRow]) -> str:
    values = {row.half: f"{100 * row.value:.1f}" for row in rows}
    star = "*" if any(row.chosen for row in rows) else " "
    return f"{values.get('choosing', '-')} / {values.get('reporting', '-')}{star}" if values else "-"
