"""A measure against an amount, from anybody's table, ready for families of curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.scaling.columns import (
    ACCURACY,
    LOSS,
    PERCENT,
    UNITS,
    AnyTable,
    as_share,
    check_percent,
    text_of,
    words_of,
)
from experiments.scaling.options import MeasureKind, ScalingExtrapolateOptions
from experiments.scaling.tables import CurveRow
from experiments.statistics.outcomes import Floats


@dataclass(frozen=True)
class Curve:
    """The points of one group: a measure that is better the greater it is, with losses turned upside down.

    Axes: n points.
    """

    group: str
    logs: Floats
    """(n,) logarithms to base 10 of the amounts."""
    values: Floats
    """(n,) the measure, of a loss minus it."""
    seeds: NDArray[np.int64]
    """(n,) which seed each is of; -1 where none is named."""
    loss: bool
    """Whether the measure is a loss."""

    @property
    def rungs(self) -> Floats:
        """Return the different amounts, as logarithms in ascending order."""
        return np.unique(self.logs)

    def turned(self, value: float) -> float:
        """Return a value of the measure as the curve has it, and back."""
        return -value if self.loss else value

    def before(self, log: float) -> Curve:
        """Return the points below an amount."""
        kept = self.logs < log
        return Curve(self.group, self.logs[kept], self.values[kept], self.seeds[kept], self.loss)


def read_curves(options: ScalingExtrapolateOptions) -> tuple[list[CurveRow], bool]:
    """Return the rows of a table of points, and whether the measure is a loss.

    Raises:
        ValueError: the table lacks a column, a unit or what the measure is, or a number is not what it should be.
    """
    table = AnyTable(options.table)
    amount = table.needed("amounts", "--amount-column", options.amount_column, ("amount",), UNITS)
    value = table.needed("the measure", "--value-column", options.value_column, ("value",), ACCURACY | LOSS)
    group = table.column("groups", "--group-column", options.group_column, ("group", "protocol"))
    seed = table.column("seeds", "--seed-column", options.seed_column, ("seed",))
    unit = table.unit(amount, options.unit)
    named = text_of(table.rows[0], "measure") if value == "value" and "measure" in table.names else value
    kind = options.measure or _kind_of(table, value, named)
    if kind == "percent" and options.measure is None:
        check_percent(table, value)
    rows = []
    for index, row in enumerate(table.rows):
        if value == "value" and text_of(row, "measure" if "measure" in table.names else None) not in ("", named):
            raise ValueError(f"{table.path}, row {index + 1}: another measure than {named}: give one table for each")
        is_loss = kind == "loss"
        measured = table.number(index, value) if is_loss else as_share(table, index, value, kind == "percent")
        rows.append(
            CurveRow(
                amount=table.number(index, amount, positive=True),
                unit=unit,
                measure=_without_percent(named),
                value=measured,
                low=None if is_loss else 0.0,
                high=None if is_loss else 1.0,
                group=text_of(row, group),
                seed=text_of(row, seed),
            )
        )
    return rows, kind == "loss"


def curves_of(rows: Sequence[CurveRow], loss: bool) -> list[Curve]:
    """Return the curve of each group, in the order of the table.

    Raises:
        ValueError: a group has a single amount.
    """
    curves = [_curve(group, [row for row in rows if row.group == group], loss) for group in _in_order(rows)]
    for curve in curves:
        if len(curve.rungs) < 2:
            named = f" of {curve.group}" if curve.group else ""
            raise ValueError(f"the points{named} have one amount only: a curve needs at least two")
    return curves


def _curve(group: str, rows: Sequence[CurveRow], loss: bool) -> Curve:
    names = {seed: index for index, seed in enumerate(dict.fromkeys(row.seed for row in rows if row.seed))}
    return Curve(
        group=group,
        logs=np.log10([row.amount for row in rows]),
        values=np.array([-row.value if loss else row.value for row in rows]),
        seeds=np.array([names.get(row.seed, -1) for row in rows], dtype=np.int64),
        loss=loss,
    )


def _in_order(rows: Iterable[CurveRow]) -> list[str]:
    return list(dict.fromkeys(row.group for row in rows))


def _without_percent(named: str) -> str:
    """Return the name of a measure, which is told as a share."""
    words = [word for word in named.replace("_", " ").split(" ") if word.lower() not in PERCENT]
    return " ".join(words) or named


def _kind_of(table: AnyTable, column: str, named: str) -> MeasureKind:
    """Return what a measure is by its name.

    Raises:
        ValueError: its name does not say it.
    """
    words = words_of(named) | words_of(column)
    if words & PERCENT:
        return "percent"
    if words & LOSS:
        return "loss"
    if words & ACCURACY:
        return "accuracy"
    raise ValueError(
        f"{table.path} does not say what {named} is in: add --measure accuracy (0 to 1), percent (0 to 100) or loss"
    )
