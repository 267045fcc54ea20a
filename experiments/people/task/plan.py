"""What one participant sees, and in which order: repeats at lags, then choices with random sides.

A plan knows pictures by their index in the study list and choices by their index among the trials, so that one plan
serves both versions of a list. It is a pure function of its arguments and the seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

USUAL_SHARE = 0.16
"""Share of the pictures that are repeated while people study, unless another is asked for."""
USUAL_REPEATS = {1: 56, 2: 52, 4: 48, 8: 44, 16: 40, 32: 36, 64: 32, 128: 28, 256: 24, 512: 20, 1024: 16}
"""How many pictures are repeated at each of the usual lags, of 396. The lags are spaced as those of Brady et al. (2008,
PNAS 105:14325), who had people detect repeats at 1 to 1,024 pictures back; that there are fewer at each longer lag, and
how many fewer, is a choice of this project."""


@dataclass(frozen=True)
class Plan:
    """What a participant sees."""

    stream: tuple[int, ...]
    """Index in the study list of each picture shown, one after the other."""
    lags: tuple[int, ...]
    """Pictures since it was last shown, 1 being immediately after; 0 for a first showing. As long as `stream`."""
    trials: tuple[int, ...]
    """Order of the choices: indices of the list's trials; empty without a test."""
    studied_left: tuple[bool, ...]
    """Whether the studied picture stands on the left, for each choice."""


def make_plan(
    studied: int, repeatable: Sequence[int], repeats: Mapping[int, int], tested: int, seed: tuple[int, ...]
) -> Plan:
    """Draw what a participant sees.

    Args:
        studied: pictures of the study list; each is shown.
        repeatable: indices of those that may be shown twice.
        repeats: how many are to be shown twice, by lag; as many as fit are.
        tested: trials of the test that follows.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    pairs, length = _place(repeats, studied, draw)
    twice = draw.permutation(np.asarray(repeatable, dtype=np.int64))[: len(pairs)]
    once = draw.permutation(np.setdiff1d(np.arange(studied), twice))
    stream = np.full(length, -1)
    lags = np.zeros(length, dtype=np.int64)
    for picture, (first, lag) in zip(twice, pairs, strict=True):
        stream[[first, first + lag]] = picture
        lags[first + lag] = lag
    stream[stream < 0] = once
    left = np.arange(tested) % 2 == 0
    return Plan(
        tuple(stream.tolist()),
        tuple(lags.tolist()),
        tuple(draw.permutation(tested).tolist()),
        tuple(draw.permutation(left).tolist()),
    )


def wanted_repeats(studied: int, repeatable: int, share: float, lags: Sequence[int]) -> dict[int, int]:
    """Return how many pictures are to be repeated at each lag.

    Of the usual lags shorter ones are more frequent (`USUAL_REPEATS`); others are equally frequent. Lags beyond half of
    the stream are left out, as few pictures could have them.

    Args:
        studied: pictures of the study list.
        repeatable: those that may be repeated; there are no more repeats than these.
        share: of the pictures that are to be repeated, in [0, 1].
        lags: to choose from.
    """
    total = min(repeatable, round(share * studied))
    possible = [lag for lag in lags if 2 * lag <= studied + total]
    known = all(lag in USUAL_REPEATS for lag in possible)
    shares = _shared_out(total, {lag: USUAL_REPEATS[lag] if known else 1 for lag in possible})
    return {lag: number for lag, number in shares.items() if number}


def _shared_out(total: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Share a number out by weights; what rounding leaves goes where it was rounded down most."""
    if not weights:
        return {}
    exact = {key: total * weight / sum(weights.values()) for key, weight in weights.items()}
    shares = {key: int(value) for key, value in exact.items()}
    by_rest = sorted(exact, key=lambda key: shares[key] - exact[key])
    for key in by_rest[: total - sum(shares.values())]:
        shares[key] += 1
    return shares


def _place(repeats: Mapping[int, int], studied: int, draw: np.random.Generator) -> tuple[list[tuple[int, int]], int]:
    """Return the first showings of repeated pictures with their lags, and how long the stream is.

    Every repeat makes the stream longer by one. Where fewer fit than are wanted, it is drawn again for so many.
    """
    wanted = dict(repeats)
    while True:
        length = studied + sum(wanted.values())
        pairs = _fill(wanted, length, draw)
        if len(pairs) == sum(wanted.values()):
            return pairs, length
        wanted = {lag: sum(each == lag for _, each in pairs) for lag in wanted}


def _fill(wanted: Mapping[int, int], length: int, draw: np.random.Generator) -> list[tuple[int, int]]:
    """Place as many of the wanted repeats as there is room for, those with long lags, for which it is scarce, first."""
    free = np.ones(length, dtype=bool)
    pairs: list[tuple[int, int]] = []
    for lag in sorted(wanted, reverse=True):
        for _ in range(wanted[lag]):
            starts = np.flatnonzero(free[:-lag] & free[lag:])
            if not starts.size:
                break
            first = int(starts[draw.integers(starts.size)])
            free[[first, first + lag]] = False
            pairs.append((first, lag))
    return pairs
