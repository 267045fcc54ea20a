"""The plan of a continuous recognition task: a stream of pictures, some of which come again after a known lag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REPEATED = 3
"""One of so many pictures comes again, about."""


@dataclass(frozen=True)
class Showing:
    """A picture at a place in a stream."""

    image: int
    """Index of the picture."""
    lag: int | None
    """Places since it was shown before, 1 for at once; None where it is new."""


def plan_stream(n_images: int, lags: Sequence[int], seed: int) -> list[Showing]:
    """Return a stream in which every picture is shown, and some are shown once more.

    A third of the pictures come again, as many after each lag. Where a repeat falls is random; which pictures come
    again is, too. Lags that are too long for a stream of so many pictures are left out (`usable_lags`).

    Args:
        n_images: different pictures.
        lags: places from a picture to its repeat, 1 for at once; none twice.
        seed: the same seed gives the same stream.

    Raises:
        ValueError: no lag is short enough, or one is below 1.
    """
    if min(lags, default=1) < 1:
        raise ValueError(f"a lag of {min(lags)} is none: 1 is at once")
    usable = usable_lags(n_images, lags)
    if not usable:
        raise ValueError(f"a stream of {n_images} pictures is too short for lags of {', '.join(map(str, lags))}")
    generator = np.random.default_rng(seed)
    each = _repeats_of_each(n_images, len(usable))
    while True:  # crowded streams may need another draw
        first = _place(n_images + each * len(usable), usable, each, generator)
        if first is not None:
            return _fill(first, n_images, generator)


def usable_lags(n_images: int, lags: Sequence[int]) -> list[int]:
    """Return the lags, in ascending order, that a stream of so many pictures has room for.

    A lag has room where twice as many places can begin it as there are repeats of it.
    """
    ascending = sorted(lags)
    for count in range(len(ascending), 0, -1):
        each = _repeats_of_each(n_images, count)
        if each and n_images + each * count - ascending[count - 1] >= 2 * each:
            return ascending[:count]
    return []


def _repeats_of_each(n_images: int, lags: int) -> int:
    return n_images // (REPEATED * lags)


def _place(length: int, lags: Sequence[int], each: int, generator: np.random.Generator) -> NDArray[np.int64] | None:
    """Return for each place of a stream where its picture was before, -1 for new ones; None if repeats do not fit.

    Long lags are placed first, which have the fewest places to go.
    """
    before = np.full(length, -1, dtype=np.int64)
    free = np.ones(length, dtype=bool)
    for lag in sorted(lags, reverse=True):
        for _ in range(each):
            beginnings = np.flatnonzero(free[:-lag] & free[lag:])
            if not len(beginnings):
                return None
            begin = int(generator.choice(beginnings))
            before[begin + lag] = begin
            free[[begin, begin + lag]] = False
    return before


def _fill(before: NDArray[np.int64], n_images: int, generator: np.random.Generator) -> list[Showing]:
    """Return the stream with a picture at each place, in random order."""
    pictures = iter(generator.permutation(n_images).tolist())
    shown: list[Showing] = []
    for place, earlier in enumerate(before.tolist()):
        if earlier < 0:
            shown.append(Showing(next(pictures), None))
        else:
            shown.append(Showing(shown[earlier].image, place - earlier))
    return shown
