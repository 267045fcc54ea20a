"""How often each code of a tokenizer occurs among the items of a page, and where.

Axes: N items, L tokens of an item in raster order, V codes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viewing.look.contents import MOST_PLACES, Codes

MOST_LISTED = 200_000
"""Occurrences that a page lists, of all codes together: about 2 MB. Of large vocabularies fewer of each are listed."""

FEWEST_PLACES = 4
"""Occurrences of each code that are listed in any case, where there are as many."""

GOLDEN = (math.sqrt(5) - 1) / 2


def count_codes(grids: NDArray[Any], vocabulary: int) -> Codes:
    """Count codes, and list some occurrences of each: from different items first, which are spread over all items.

    Args:
        grids: (N, t, h, w) or (N, L) integers below `vocabulary`.
        vocabulary: number of codes.

    Raises:
        ValueError: a token lies outside the vocabulary.
    """
    tokens = grids.reshape(len(grids), math.prod(grids.shape[1:]))
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary:
        raise ValueError(f"tokens from {tokens.min()} to {tokens.max()} do not fit a vocabulary of {vocabulary}")
    counts = np.bincount(tokens.ravel(), minlength=vocabulary)
    used = max(1, int(np.count_nonzero(counts)))
    most = min(MOST_PLACES, max(FEWEST_PLACES, MOST_LISTED // used))
    places: list[list[tuple[int, int]]] = [[] for _ in range(vocabulary)]
    room = np.minimum(counts, most)
    for positions_in in (_firsts, _others):
        for item in _spread(len(tokens)):
            positions = positions_in(tokens[item])
            wanted = positions[room[tokens[item][positions]] > 0]
            for code, position in zip(tokens[item][wanted].tolist(), wanted.tolist(), strict=True):
                if room[code]:
                    places[code].append((item, position))
                    room[code] -= 1
    return Codes(tuple(counts.tolist()), tuple(map(tuple, places)))


def _firsts(tokens: NDArray[Any]) -> NDArray[np.int64]:
    """Return the positions at which codes are for the first time in an item."""
    return np.unique(tokens, return_index=True)[1]


def _others(tokens: NDArray[Any]) -> NDArray[np.int64]:
    """Return all other positions."""
    others = np.ones(len(tokens), dtype=bool)
    others[_firsts(tokens)] = False
    return np.flatnonzero(others)


def _spread(items: int) -> list[int]:
    """Return the indices of items in an order whose beginnings are spread evenly over all of them.

    The n-th is where n steps of the golden ratio lead around a circle: neighbours are far apart, and the order is
    always the same.
    """
    order: list[int] = np.argsort(np.arange(items) * GOLDEN % 1, kind="stable").tolist()
    return order
