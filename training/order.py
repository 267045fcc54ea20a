"""Data order and random numbers as pure functions of seed and step: a resumed run sees what an uninterrupted one would.

No cursor and no random state is ever saved: the position is the global step, and every process takes its slice of the
global batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Sampler


@dataclass(frozen=True)
class SampleIndex:
    """One item to read: its index in the data set and the seed of whatever is random about reading it."""

    index: int
    seed: int


@lru_cache(maxsize=2)  # a step may lie in two epochs
def epoch_order(items: int, seed: int, epoch: int) -> torch.Tensor:
    """Return the order in which an epoch visits `items` items: an int64 permutation of shape (items,)."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % (1 << 64))
    return torch.randperm(items, generator=generator)


@dataclass(frozen=True)
class DataOrder(Sampler[list[SampleIndex]]):
    """Batches of samples from `first_step` up to `last_step`, without end-of-epoch remainders.

    The stream is epoch after epoch of shuffled items; step s takes samples [s * batch, (s + 1) * batch) of it, and
    process `rank` of `processes` takes its contiguous part of those. Use as a DataLoader's `batch_sampler`.
    """

    items: int
    batch: int
    seed: int
    first_step: int
    last_step: int
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        """Refuse an empty set and a global batch that the processes cannot share equally."""
        if self.items < 1:
            raise ValueError("there is no item to train on: the data set is empty")
        if self.batch < 1 or self.batch % self.processes:
            raise ValueError(
                f"--batch {self.batch} must be a positive multiple of the {self.processes} processes; "
                f"the nearest is {max(1, round(self.batch / self.processes)) * self.processes}"
            )

    def __len__(self) -> int:
        return self.last_step - self.first_step

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        for step in range(self.first_step, self.last_step):
            yield self.samples(step)

    def samples(self, step: int) -> list[SampleIndex]:
        """Return what this process reads at `step`."""
        share = self.batch // self.processes
        start = step * self.batch + self.rank * share
        return [SampleIndex(self._index(position), self.seed + position) for position in range(start, start + share)]

    def _index(self, position: int) -> int:
        """Return the item at a position of the stream."""
        return int(epoch_order(self.items, self.seed, position // self.items)[position % self.items])


def seed_step(seed: int, step: int, process: int = 0) -> None:
    """Seed torch's generators, those of GPUs included, for one optimizer step.

    Args:
        seed: of the run.
        step: optimizer steps done before.
        process: which of several processes draws numbers of its own, as for dropout; 0 where all must draw alike.
    """
    (word,) = np.random.SeedSequence((seed % (1 << 64), step, process)).generate_state(1, np.uint64)
    torch.manual_seed(int(word))
