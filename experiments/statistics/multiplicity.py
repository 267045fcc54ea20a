"""p-values of several tests, corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method (1979, Scandinavian Journal of Statistics 6, 65-70).

    A family of tests that rejects where the adjusted value is at most alpha rejects any true null hypothesis with
    probability alpha at most, however the tests depend on one another.

    Args:
        p_values: of the tests of one family, each in [0, 1].
    """
    order = np.argsort(p_values, kind="stable")
    remaining = np.arange(len(order), 0, -1)
    adjusted = np.maximum.accumulate(np.minimum(1.0, remaining * np.asarray(p_values, dtype=float)[order]))
    in_place = np.empty(len(order))
    in_place[order] = adjusted
    return [float(p) for p in in_place]
