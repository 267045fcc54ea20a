"""Whether a tokenizer keeps what a test is about.

Matched films differ in the object of the event: it is there or not, of this shape or that. Of the difference between
two of them, pixel by pixel, it is measured how much is left between their reconstructions. A tokenizer that erases the
object, or shows both shapes alike, leaves nothing, and no model of its tokens can pass the test for the right reason:
scenes in which less than a stated share is left are void.

Axes: T frames, H rows, W columns of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from experiments.physics.manifest import Film

LEAST_DIFFERENCE = (1 / 255) ** 2
"""Mean squared difference of pixels in [0, 1] from which on two films differ at all: that of one level."""

STRETCH = 64
"""Frames of films that are compared at a time."""


class Shown(NamedTuple):
    """A film and what the tokenizer makes of it, both (3, T, H, W) in [0, 1]."""

    film: Film
    pixels: Tensor
    reconstruction: Tensor


def share_kept(first: Shown, second: Shown, where: Tensor) -> float | None:
    """Return the share of the difference between two films that is left between their reconstructions.

    It is the regression of the difference that is left on the one that was there: 1 where nothing is lost, 0 where both
    are shown alike, below 0 where they are exchanged.

    Args:
        first: a film.
        second: another.
        where: (T, H, W) bool: the pixels that count.

    Returns:
        The share; None where the films do not differ there.
    """
    numbers = 3 * int(where.sum())
    size = left_of_it = 0.0
    # A stretch at a time: differences in double precision would take more memory than the films.
    for begin in range(0, len(where), STRETCH):
        frames = slice(begin, begin + STRETCH)
        there = (first.pixels[:, frames] - second.pixels[:, frames])[:, where[frames]].double()
        left = (first.reconstruction[:, frames] - second.reconstruction[:, frames])[:, where[frames]].double()
        size += float(there.square().sum())
        left_of_it += float((there * left).sum())
    return left_of_it / size if numbers and size >= LEAST_DIFFERENCE * numbers else None


def least_kept(films: Sequence[Shown], where: Tensor, event_frame: int | None) -> float | None:
    """Return the share kept of matched films: the least of those before and from the event on, of all pairs.

    Pairs are of the two possible films of a quadruple, whose frames are those of all four, or of a possible and an
    impossible film.

    Args:
        films: that are matched.
        where: (T, H, W) bool: pixels in which the object is in one of them; if there is none, all count.
        event_frame: first frame of the ending; None where it is not known.
    """
    counted = where if where.any() else torch.ones_like(where)
    shares = [
        share
        for part in _parts(counted, event_frame)
        for first, second in _pairs(films)
        if (share := share_kept(first, second, part)) is not None
    ]
    return min(shares, default=None)


def _parts(where: Tensor, event_frame: int | None) -> Iterator[Tensor]:
    if event_frame is None:
        yield where
        return
    before = torch.zeros_like(where)
    before[:event_frame] = True
    yield where & before
    yield where & ~before


def _pairs(films: Sequence[Shown]) -> list[tuple[Shown, Shown]]:
    possible = [shown for shown in films if shown.film.possible]
    impossible = [shown for shown in films if not shown.film.possible]
    quadruple = len(possible) == 2 and len(impossible) != 1  # one with two others is matched with each
    return [(possible[0], possible[1])] if quadruple else list(product(possible, impossible))
