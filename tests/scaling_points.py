"""Points of curves, as tables that anybody may have written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from experiments.scaling.curves import Curve
from storage.tables import write_table

AMOUNTS = (1.0, 10.0, 100.0, 1000.0)


def write_points(
    path: Path,
    law: Callable[[float], float],
    amounts: Sequence[float] = AMOUNTS,
    runs: int = 3,
    noise: float = 0.01,
    **columns: str,
) -> Path:
    """Write points of a law with noise; `columns` may name `amount` and `value`, others hold the same in every row."""
    amount = columns.pop("amount", "hours")
    value = columns.pop("value", "accuracy")
    chance = np.random.default_rng(0)
    rows = [
        {amount: x, value: law(x) + noise * float(chance.normal()), **columns} for x in amounts for _ in range(runs)
    ]
    write_table(path, rows, [amount, value, *columns])
    return path


def log_linear(amount: float) -> float:
    """Accuracy .2 at 1, and .1 more for every decade."""
    return 0.2 + 0.1 * float(np.log10(amount))


def make_curve(
    values: Sequence[float], logs: Sequence[float], seeds: Sequence[int] | None = None, loss: bool = False
) -> Curve:
    """A curve of values against logarithms of amounts, no seed named unless seeds are given."""
    named = np.full(len(values), -1) if seeds is None else np.array(seeds)
    return Curve("", np.array(logs, dtype=float), np.array(values, dtype=float), named, loss)
