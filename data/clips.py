"""Clips to train on and to encode: random access into videos and images, reproducibly."""

from __future__ import annotations

import atexit
import itertools
import math
import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.frames import Crop, to_clip
from data.images import image_to_clip, load_image
from data.items import Item, stretches
from data.prepared import open_prepared
from data.probe import probe_video
from data.sources import Skipped
from data.video import TIME_SLACK, decode_clip, decode_clips
from storage.endings import memory_for
from training.order import DataOrder, SampleIndex
from training.stopping import ignore_signals

CLIPS_OF_BATCH = 24
BYTES_OF_BATCH = 64 << 20
"""Clips that a worker reads at a time, and their bytes in memory, at most."""


@dataclass(frozen=True)
class Sample:
    """What was read of an item, its index, and the files that could not be read for it."""

    levels: Tensor
    """(3, T, H, W): uint8 of a video, float32 in [-1, 1] of a still."""
    index: int
    skipped: tuple[Skipped, ...]

    @property
    def clip(self) -> Tensor:
        """The clip (3, T, H, W) float32 in [-1, 1]."""
        return as_clip(self.levels)


class Batch(NamedTuple):
    """Clips with the indices of their items and the files skipped on the way."""

    levels: Tensor
    """(B, 3, T, H, W): uint8 where all are of videos, which is a quarter of the bytes, otherwise float32 in [-1, 1]."""
    indices: tuple[int, ...]
    skipped: tuple[Skipped, ...]

    @property
    def clips(self) -> Tensor:
        """The clips (B, 3, T, H, W) float32 in [-1, 1]."""
        return as_clip(self.levels)


class ClipDataset(Dataset[Sample]):
    """Clips of a list of items.

    Read with an `int`, an item gives its own clip, centre-cropped. Read with a `SampleIndex`, it gives a clip that
    begins anywhere within one clip length of it, randomly cropped: a pure function of the sample index. A file that
    cannot be read is replaced by the next readable item and reported in the sample.
    """

    def __init__(self, items: Sequence[Item], form: ClipFormat) -> None:
        self.items = items
        self.form = form

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: int | SampleIndex) -> Sample:
        index, seed = (key.index, key.seed) if isinstance(key, SampleIndex) else (key, None)
        if index >= len(self.items):
            raise IndexError(f"there is no item {index} among {len(self.items)}")  # ends a `for` over the data set
        skipped: list[Skipped] = []
        for attempt in range(min(len(self.items), 20)):
            item = self.items[(index + attempt) % len(self.items)]
            try:
                with memory_for(item.source.name):
                    levels = self.read_levels(item, seed)
                return Sample(levels, (index + attempt) % len(self.items), tuple(skipped))
            except MediaError as error:
                skipped.append(item.source.skip(error))
        raise MediaError(f"{len(skipped)} files in a row cannot be read; the last: {skipped[-1].reason}")

    def read(self, item: Item, seed: int | None = None) -> Tensor:
        """Return the clip (3, T, H, W) in [-1, 1] of an item; with a seed, one drawn near it.

        Raises:
            MediaError: the file cannot be read.
        """
        return as_clip(self.read_levels(item, seed))

    def read_levels(self, item: Item, seed: int | None = None) -> Tensor:
        """Return the same as it was read: (3, T, H, W) uint8 of a video, float32 in [-1, 1] of a still.

        Raises:
            MediaError: the file cannot be read.
        """
        source = item.source
        form = self.form
        crop: Crop = "centre" if seed is None else "random"
        crop_seed = seed or 0
        source.check_unchanged()
        if source.kind == "image":
            return image_to_clip(load_image(source.image_bytes()), form.size, crop, crop_seed)
        start = item.start if seed is None else _jitter(item, form, seed)
        if source.prepared is not None:
            shards = open_prepared(source.path)
            return shards.read(source.prepared, start, form.frames, form.fps, form.size, crop, crop_seed)
        info = probe_video(source.bytes_of_file, source.table)
        return decode_clip(info, start, form.frames, form.fps, form.size, crop, crop_seed).levels


def as_clip(levels: Tensor) -> Tensor:
    """Return clips (..., T, H, W) float32 in [-1, 1] of bytes, or as they are."""
    return to_clip(levels) if levels.dtype == torch.uint8 else levels


def stack_levels(levels: Sequence[Tensor]) -> Tensor:
    """Stack what was read of items (3, T, H, W): bytes where all are, clips in [-1, 1] otherwise."""
    bytes_alone = all(level.dtype == torch.uint8 for level in levels)
    return torch.stack([level if bytes_alone else as_clip(level) for level in levels])


@dataclass(frozen=True)
class Reading:
    """What was read of an item: plain arrays, because they travel between processes."""

    levels: np.ndarray[Any, Any]
    """(3, T, H, W): uint8 of a video, float32 in [-1, 1] of a still."""
    decoder: str
    """Name and version of what decoded a video; empty for an image."""

    def clip(self) -> Tensor:
        """Return the clip (3, T, H, W) float32 in [-1, 1]."""
        return as_clip(torch.from_numpy(self.levels))


Request = tuple[Item, ClipFormat]
"""An item, and how it is to be read."""


def read_items(requests: Sequence[Request]) -> Iterator[Reading | MediaError]:
    """Yield the clips of items, in this process or in a worker; those of a video decode it once, in order.

    Args:
        requests: of each video in order of time.

    Raises:
        MediaError: the file of the next request cannot be read; the requests behind it were not tried.
    """
    for (source, form), group in itertools.groupby(requests, key=lambda request: (request[0].source, request[1])):
        items = [item for item, _ in group]
        if source.kind == "image" or source.prepared is not None:
            decoder = open_prepared(source.path).metadata.decoder if source.prepared is not None else ""
            yield from (Reading(ClipDataset([item], form).read_levels(item).numpy(), decoder) for item in items)
            continue
        source.check_unchanged()
        info = probe_video(source.bytes_of_file, source.table)
        for decoded in decode_clips(info, [item.start for item in items], form.frames, form.fps, form.size):
            yield decoded if isinstance(decoded, MediaError) else Reading(decoded.levels.numpy(), decoded.decoder)


def batches_to_read(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """Yield requests in batches for `read_items`: few enough to be shared among workers and to fit into memory.

    Of a video they are many enough that decoding up to the first frame, from the key frame before it, counts little.
    """
    batch: list[Request] = []
    size = 0
    for request in requests:
        _, form = request
        if batch and (len(batch) == CLIPS_OF_BATCH or size > BYTES_OF_BATCH):
            yield batch
            batch = []
            size = 0
        batch.append(request)
        size += 3 * form.frames * form.size**2
    if batch:
        yield batch


def read_batches(
    items: Sequence[Item], form: ClipFormat, batch: int, skipped: list[Skipped]
) -> Iterator[tuple[list[Item], Tensor]]:
    """Yield items with their clips (B, 3, T, H, W); what cannot be read is appended to `skipped` and left out.

    Raises:
        MediaError: more than half of the items cannot be read.
    """
    dataset = ClipDataset(items, form)
    before = len(skipped)
    ready: list[tuple[Item, Tensor]] = []
    for item in items:
        try:
            ready.append((item, dataset.read(item)))
        except MediaError as error:
            skipped.append(item.source.skip(error))
        if len(ready) == batch:
            yield [item for item, _ in ready], torch.stack([clip for _, clip in ready])
            ready = []
    if ready:
        yield [item for item, _ in ready], torch.stack([clip for _, clip in ready])
    failed = skipped[before:]
    if 2 * len(failed) > len(items):
        raise MediaError(f"{len(failed)} of {len(items)} clips cannot be read; the first: {failed[0].reason}")


def _jitter(item: Item, form: ClipFormat, seed: int) -> float:
    """Draw where a clip begins: within a clip's length of the item, in its stretch, between two frames of a clip."""
    generator = torch.Generator().manual_seed(seed)
    shift = (2 * torch.rand((), generator=generator).item() - 1) * form.seconds
    here = [stretch for stretch in stretches(item.source, form) if stretch.start <= item.start < stretch.end]
    first, end = here[0] if here else (0.0, item.source.seconds)
    last = max(first, math.floor((end - form.seconds) * form.fps + 0.5) / form.fps)
    # The frame that is on display at the moment drawn, which of a video with as many frames a second is the one before.
    drawn = math.floor((item.start + shift + TIME_SLACK) * form.fps) / form.fps
    return min(max(first, drawn), last)


def collate(samples: list[Sample]) -> Batch:
    """Stack samples into a batch."""
    return Batch(
        stack_levels([sample.levels for sample in samples]),
        tuple(sample.index for sample in samples),
        tuple(skip for sample in samples for skip in sample.skipped),
    )


def training_loader(dataset: ClipDataset, order: DataOrder, workers: int, pinned: bool = False) -> DataLoader[Sample]:
    """Return a loader of batches in the given order; those in pinned memory a GPU can fetch by itself.

    With workers, a reader that hangs stops the run with an error after two minutes instead of stopping it for ever.
    Workers outlive the signals that end a run, which may need their batches until all processes stop together.
    """
    if workers:
        atexit.register(_end_workers)
    return DataLoader(
        dataset,
        batch_sampler=order,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=ignore_signals,
        timeout=120 if workers else 0,
        pin_memory=pinned,
        # Without a generator of its own a loader draws from the global one, and a resumed run would draw once more.
        generator=torch.Generator(),
    )


def _end_workers() -> None:
    """End what still runs when this process ends: Python asks with a signal that workers ignore, and then waits."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the loader would report their end as an error
    for worker in multiprocessing.active_children():
        worker.kill()
