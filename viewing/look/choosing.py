"""Which items of many are on a page: as many of each source as there is room for, evenly spaced, without chance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence


def choose_evenly(sources: Sequence[str], most: int) -> list[int]:
    """Return the indices of at most `most` items, in order.

    Every source has the same number, or all that it has if they are fewer; of more sources than there is room for,
    every so many one item. The items of a source are evenly spaced over it.

    Args:
        sources: of the items.
        most: items, at least 1.
    """
    if len(sources) <= most:
        return list(range(len(sources)))
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, source in enumerate(sources):
        by_source[source].append(index)
    shares = _shares([len(items) for items in by_source.values()], most)
    chosen = [spread(items, share) for items, share in zip(by_source.values(), shares, strict=True)]
    return sorted(index for items in chosen for index in items)


def spread(items: Sequence[int], number: int) -> list[int]:
    """Return so many of some values, evenly spaced."""
    return [items[place * len(items) // number] for place in range(number)]


def _shares(sizes: Sequence[int], most: int) -> list[int]:
    """Return how many items each source gives: equal shares, what small ones leave going to the others."""
    shares = [0] * len(sizes)
    if len(sizes) > most:
        for source in spread(range(len(sizes)), most):
            shares[source] = 1
        return shares
    left = most
    for position, source in enumerate(sorted(range(len(sizes)), key=lambda source: (sizes[source], source))):
        shares[source] = min(sizes[source], left // (len(sizes) - position))
        left -= shares[source]
    return shares
