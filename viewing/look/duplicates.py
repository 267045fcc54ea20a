"""Groups of items that show almost the same, those that are in training and in validation first, since they leak.

Items are compared by the difference hashes of their first, middle and last frames (`data.near_duplicates`), which
hardly change when a film is encoded again, scaled or made brighter. Stills are near if theirs differ in at most NEAR
bits, clips if those of their frames do in at most NEAR_CLIPS bits on average. Frames of one colour say nothing; at
least half of an item's must say something. Only items that share a quarter of a hash are compared, which all that
differ in at most NEAR bits in any frame do.

Clips of one source are alike wherever the camera rests: a group that is of one source and one split is no finding.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.near_duplicates import NEAR, candidates
from viewing.look.contents import Duplicates
from viewing.look.examining import HASHES

NEAR_CLIPS = 2.0 * NEAR
"""Bits, of 64, in which hashes of clips that show the same differ at most, on average over their frames.

Of 480 clips of rooms, those that were scaled to two thirds, made 1.3 times as bright and compressed much (JPEG of
quality 50) differ from the originals in 2.7 bits on average, 99 % of them in at most 6, and no two others in fewer than
17."""


class Hashed(NamedTuple):
    """The hashes of an item, and whose they are."""

    hashes: tuple[int | None, ...]
    """Of its frames: HASHES of a clip, one of a still; None of a frame that is all one colour."""
    source: str
    """Name of the source."""
    split: str
    """`train`, `validation`, or empty for neither."""


def group_duplicates(items: Sequence[Hashed]) -> tuple[Duplicates, ...]:
    """Return the groups of near duplicates, leaks first, then the nearest.

    Every group has a hub that all of its items are near to, but for items whose own neighbours are all in other groups,
    which are with the nearest of these. So a chain of items, each a little different, does not become one group. A leak
    that this would tear apart is a group of its own.
    """
    groups: list[Duplicates] = []
    for length in (1, HASHES):
        indices = [index for index, item in enumerate(items) if len(item.hashes) == length]
        if len(indices) > 1:
            found = _Pool([items[index] for index in indices]).groups()
            groups += [one._replace(items=tuple(indices[index] for index in one.items)).describe() for one in found]
    return tuple(sorted(groups, key=lambda group: (not group.leak, group.distance, group.items)))


class _Group(NamedTuple):
    """A group of items."""

    items: tuple[int, ...]
    leak: bool
    distance: float

    def describe(self) -> Duplicates:
        return Duplicates(self.items, self.leak, self.distance)


class _Pool:
    """Items with as many hashes each; those with equal ones are one kind, which is compared once.

    Args:
        items: two or more.
    """

    def __init__(self, items: Sequence[Hashed]) -> None:
        self._items = items
        digests = np.array([[digest or 0 for digest in item.hashes] for item in items], np.uint64)
        known = np.array([[digest is not None for digest in item.hashes] for item in items])
        rows = np.concatenate([digests, known.astype(np.uint64)], axis=1)
        _, first, kinds = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        self._limit = NEAR if digests.shape[1] == 1 else NEAR_CLIPS
        self._digests = digests[first]
        self._known = known[first]
        self._members: list[list[int]] = [[] for _ in first]
        for index, kind in enumerate(kinds.ravel().tolist()):
            self._members[kind].append(index)
        self._told = 2 * self._known.sum(axis=1) >= self._known.shape[1]
        self._origin = self._origins()

    def groups(self) -> list[_Group]:
        """Return the groups, in any order."""
        near = self._near()
        clusters = _cluster(near)
        where = {kind: number for number, cluster in enumerate(clusters) for kind in cluster}
        alone = [[kind] for kind in np.flatnonzero(self._told).tolist() if kind not in where]
        torn = [
            [one, other]
            for one, others in near.items()
            for other in others
            if one < other and where[one] != where[other] and self._leaks([one, other])
        ]
        found = (self._group(kinds, near) for kinds in (*clusters, *alone, *torn))
        return [group for group in found if group is not None]

    def _origins(self) -> NDArray[np.int64]:
        """Return by kind a number of the source and split that all its items share; -1 - kind where they do not."""
        numbers: dict[tuple[str, str], int] = {}
        origins = []
        for kind, members in enumerate(self._members):
            places = {(self._items[index].source, self._items[index].split) for index in members}
            shared = numbers.setdefault(next(iter(places)), len(numbers)) if len(places) == 1 else -1 - kind
            origins.append(shared)
        return np.array(origins)

    def _near(self) -> dict[int, dict[int, float]]:
        """Return by kind those near to it, of another source or split, with their distance in bits."""
        near: dict[int, dict[int, float]] = defaultdict(dict)
        for one, other, distance in self._pairs():
            near[one][other] = near[other][one] = distance
        return near

    def _pairs(self) -> Iterator[tuple[int, int, float]]:
        for frame in range(self._digests.shape[1]):
            kinds = np.flatnonzero(self._known[:, frame] & self._told)
            for first, second in candidates(self._digests[kinds, frame]):
                one, other = kinds[first], kinds[second]
                apart = self._origin[one] != self._origin[other]
                one, other = one[apart], other[apart]
                distance, enough = self._distances(one, other)
                chosen = enough & (distance <= self._limit)
                yield from zip(one[chosen].tolist(), other[chosen].tolist(), distance[chosen].tolist(), strict=True)

    def _distances(self, one: NDArray[Any], other: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the mean distance between frames of pairs of kinds, and whether enough frames say something."""
        both = self._known[one] & self._known[other]
        bits = np.where(both, np.bitwise_count(self._digests[one] ^ self._digests[other]), 0)
        told = both.sum(axis=1)
        return bits.sum(axis=1) / np.maximum(told, 1), 2 * told >= both.shape[1]

    def _group(self, kinds: Sequence[int], near: dict[int, dict[int, float]]) -> _Group | None:
        items = sorted(index for kind in kinds for index in self._members[kind])
        leak = self._leaks(kinds)
        if len(items) < 2 or (not leak and len({self._items[index].source for index in items}) == 1):
            return None
        equal = any(len(self._members[kind]) > 1 for kind in kinds)
        distances = (near[one][other] for one in kinds for other in kinds if one != other and other in near[one])
        return _Group(tuple(items), leak, 0.0 if equal else round(min(distances), 2))

    def _leaks(self, kinds: Sequence[int]) -> bool:
        splits = {self._items[index].split for kind in kinds for index in self._members[kind]}
        return {"train", "validation"} <= splits


def _cluster(near: dict[int, dict[int, float]]) -> list[list[int]]:
    """Put kinds into groups around hubs: again and again the one with most neighbours left, and these."""
    clusters: list[list[int]] = []
    where: dict[int, int] = {}
    ranked = [(-len(others), kind) for kind, others in near.items()]
    heapq.heapify(ranked)
    while ranked:
        rank, hub = heapq.heappop(ranked)
        if hub in where:
            continue
        left = [kind for kind in near[hub] if kind not in where]
        if -rank > len(left):
            heapq.heappush(ranked, (-len(left), hub))
        elif left:
            where |= dict.fromkeys((hub, *left), len(clusters))
            clusters.append([hub, *left])
        else:
            nearest = min(near[hub], key=lambda kind: (near[hub][kind], kind))
            where[hub] = where[nearest]
            clusters[where[hub]].append(hub)
    return clusters
