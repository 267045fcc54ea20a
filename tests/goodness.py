"""Pearson's chi-square test of drawn tokens against an exact distribution."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 1e-3
"""Probability below which draws are said not to be from a distribution. Seeds are fixed, so a test that passes once
passes always; of 100 right samplers with new seeds it would accuse one in ten."""
DRAWS = 6000
"""Draws of each test: enough to tell a temperature of 1.2 from 1."""
EXPECTED = 5.0
"""Draws that a cell expects, at least, for the chi-square distribution to hold; rarer ones are put together."""


def p_value(counts: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """The probability of so large a chi-square, or larger, if counts were drawn from probabilities, of the same shape.

    0 where something was drawn that has no probability.
    """
    drawn, expected = counts.ravel(), probabilities.ravel() * counts.sum()
    if drawn[expected == 0].any():
        return 0.0
    often = expected >= EXPECTED
    cells = [(float(drawn[i]), float(expected[i])) for i in np.flatnonzero(often)]
    rare = float(expected[~often].sum())
    if rare >= EXPECTED:
        cells.append((float(drawn[~often].sum()), rare))
    elif rare:  # too few for a cell of their own: they join the last one
        cells[-1] = cells[-1][0] + float(drawn[~often].sum()), cells[-1][1] + rare
    if len(cells) == 1:
        return 1.0
    statistic = sum((count - wanted) ** 2 / wanted for count, wanted in cells)
    return float(stats.chi2.sf(statistic, len(cells) - 1))


def count_pairs(pairs: NDArray[np.int64], vocab_size: int) -> NDArray[np.int64]:
    """How often each pair of tokens occurs among pairs (N, 2): (V, V) by first and second token."""
    return np.bincount(pairs[:, 0] * vocab_size + pairs[:, 1], minlength=vocab_size**2).reshape(vocab_size, vocab_size)
