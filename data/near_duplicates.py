"""Files that show almost the same: found by difference hashes of their frames, without comparing every file with every.

A difference hash has a bit for each of 8x8 places of a small grey image: whether it is brighter there than on the left.
It stays almost the same when an image is scaled, compressed or made brighter. Hashes that differ in at most
`NEAR` of 64 bits agree in at least one of four parts of 16 bits, so only those that share a part are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEAR = 3
"""Bits, of 64, in which the hashes of near duplicates differ at most."""

FLATTEST = 8
"""Levels between the darkest and the brightest place from which an image is more than one colour with noise."""

SMALLEST_STEP = 2
"""Levels between two places from which one is the brighter: smaller steps come and go with compression."""

FrameName = Literal["image", "first", "middle"]
InSplit = Literal["", "train", "validation", "both"]

_NONE = np.iinfo(np.uint64).max
_LOW = np.uint64(0xFFFFFFFF)


class HashedFrame(NamedTuple):
    """The hash of a frame, and whose it is."""

    file: str
    """Name of the source."""
    frame: FrameName
    """Which of its frames."""
    split: InSplit
    """The split of the source; empty where it is in none."""
    digest: int
    """64 bits."""


@dataclass(frozen=True)
class NearDuplicate:
    """Two files that show almost the same."""

    file: str
    """A file, as files.csv names it."""
    frame: FrameName
    """Which of its frames: the image itself, or the first or middle frame of a video."""
    other: str
    """The file that is most like it, one of the other split if there is any."""
    other_frame: FrameName
    """Which of its frames."""
    distance: int
    """Bits, of 64, in which their difference hashes differ."""
    split: InSplit
    """The split that the file is in."""
    other_split: InSplit
    """The split that the other one is in."""
    leak: bool
    """Whether one is trained on and the other one is in validation."""


def difference_hash(image: Image.Image) -> int | None:
    """Return the 64 bits of an image; None if it is all one colour, which many frames are without being the same."""
    levels = np.asarray(image.resize((9, 8), Image.Resampling.BOX).convert("L"), dtype=np.int16)
    if int(levels.max()) - int(levels.min()) < FLATTEST:
        return None
    brighter = np.diff(levels, axis=1) >= SMALLEST_STEP
    return int.from_bytes(np.packbits(brighter).tobytes(), "big")


def find_near_duplicates(frames: Sequence[HashedFrame]) -> list[NearDuplicate]:
    """Return each file that has near duplicates with the one most like it, leaks first; no pair comes twice.

    Of many files that are all alike each comes once, and not with all the others.
    """
    if not frames:
        return []
    pool = _Pool(frames)
    pairs: dict[frozenset[str], NearDuplicate] = {}
    for first, second, distance in pool.nearest():
        pair = _describe(frames[first], frames[second], distance)
        key = frozenset((pair.file, pair.other))
        if key not in pairs or pair.distance < pairs[key].distance:
            pairs[key] = pair
    return sorted(pairs.values(), key=lambda pair: (not pair.leak, pair.distance, pair.file, pair.other))


def is_leak(first: InSplit, second: InSplit) -> bool:
    """Whether files of these splits would be trained on and validated with."""
    return bool(first and second) and (first != second or first == "both")


def _describe(first: HashedFrame, second: HashedFrame, distance: int) -> NearDuplicate:
    one, other = sorted((first, second), key=lambda frame: frame.file)
    return NearDuplicate(
        file=one.file,
        frame=one.frame,
        other=other.file,
        other_frame=other.frame,
        distance=distance,
        split=one.split,
        other_split=other.split,
        leak=is_leak(one.split, other.split),
    )


class _Pool:
    """All hashes, those that are equal and of one split put together: one of each, its first, is compared with others.

    Args:
        frames: whose hashes they are.
    """

    def __init__(self, frames: Sequence[HashedFrame]) -> None:
        splits: tuple[InSplit, ...] = ("", "train", "validation", "both")
        names = {name: number for number, name in enumerate(dict.fromkeys(frame.file for frame in frames))}
        digests = np.array([frame.digest for frame in frames], np.uint64)
        in_split = np.array([splits.index(frame.split) for frame in frames])
        self._files = np.array([names[frame.file] for frame in frames])
        self._crossing = np.array([[is_leak(one, other) for other in splits] for one in splits])
        keys = np.stack([digests, in_split.astype(np.uint64)], axis=1)
        _, first, self._kind = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self._first = first
        """(kinds,) index of the frame that stands for all with its hash and split."""
        self._digests = digests[first]
        self._splits = in_split[first]

    def nearest(self) -> Iterator[tuple[int, int, int]]:
        """Yield the indices of two frames of different files, and their distance: the nearest one to each frame."""
        across, within = self._nearest_kinds()
        for index, kind in enumerate(self._kind.ravel().tolist()):
            stands_for_it = int(self._first[kind])
            if across[kind] != _NONE:
                yield index, *self._unpack(across[kind])
            elif self._files[stands_for_it] != self._files[index]:
                yield index, stands_for_it, 0
            elif within[kind] != _NONE:
                yield index, *self._unpack(within[kind])

    def _unpack(self, packed: np.uint64) -> tuple[int, int]:
        return int(self._first[int(packed & _LOW)]), int(packed >> np.uint64(32))

    def _nearest_kinds(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return for each kind of frame the nearest one across the split, and the nearest one within it.

        Both are (kinds,), the distance in the upper half and the other kind in the lower half of each number, so that
        the smallest number is the nearest.
        """
        across = np.full(len(self._first), _NONE)
        within = np.full(len(self._first), _NONE)
        files = self._files[self._first]
        for one, other in candidates(self._digests):
            distance = np.bitwise_count(self._digests[one] ^ self._digests[other]).astype(np.uint64)
            near = (distance <= NEAR) & (files[one] != files[other])
            one, other, distance = one[near], other[near], distance[near] << np.uint64(32)
            crossing = self._crossing[self._splits[one], self._splits[other]]
            for chosen, nearest in ((crossing, across), (~crossing, within)):
                np.minimum.at(nearest, one[chosen], distance[chosen] | other[chosen].astype(np.uint64))
                np.minimum.at(nearest, other[chosen], distance[chosen] | one[chosen].astype(np.uint64))
        return across, within


def candidates(digests: NDArray[np.uint64]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield the indices of pairs of hashes (n,) that share a part, many at a time; a pair may come more than once.

    All pairs that differ in at most NEAR bits are among them.
    """
    for part in _parts(digests):
        order = np.argsort(part, kind="stable")
        part = part[order]
        here = np.arange(len(part))
        step = 1
        while len(here := here[here + step < len(part)]):
            here = here[part[here] == part[here + step]]
            yield order[here], order[here + step]
            step += 1


def _parts(digests: NDArray[np.uint64]) -> Iterable[NDArray[np.uint16]]:
    """Return four parts of 16 bits of hashes (n,), each from all over the image: skies and floors are alike in many."""
    bits = np.unpackbits(digests.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    return [np.packbits(bits[:, start::4], axis=1).view(np.uint16).ravel() for start in range(4)]
