"""The items that are completed: found, chosen evenly, and read in small batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import ClipDataset
from data.errors import MediaError
from data.images import load_image
from data.items import Item, find_items
from data.media import Skipped
from data.probe import probe_video


@dataclass(frozen=True)
class Job:
    """One item to complete."""

    number: int
    """Among all items of the run; chance depends on it."""
    item: Item | None
    """None where nothing is given."""

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"item_{self.number:03d}"

    @property
    def name(self) -> str:
        """What people read."""
        if self.item is None:
            return "imagined"
        start = f" from {self.item.start:.6g} s" if self.item.source.kind == "video" else ""
        return self.item.source.name + start

    @property
    def source(self) -> str:
        """The file it comes from; empty where nothing is given."""
        return self.item.source.name if self.item else ""


def choose_jobs(paths: Sequence[Path], form: ClipFormat, count: int) -> tuple[list[Job], list[Skipped]]:
    """Return at most `count` items, evenly spread over the input, and the files that cannot be used.

    Args:
        paths: folders, files or patterns of tar shards; none where nothing is given, which makes one item.
        form: the clips to cut videos into.
        count: items that are wanted.

    Raises:
        MediaError: a path holds nothing usable, more than half of its files are unusable, or videos and images are
            mixed.
    """
    if not paths:
        return [Job(0, None)], []
    items: list[Item] = []
    skipped: list[Skipped] = []
    for path in paths:
        found, unusable = find_items(path, form)
        items += found
        skipped += unusable
    if form.frames > 1 and len({item.source.kind for item in items}) > 1:
        raise MediaError("--input names both videos and images: complete them in two runs")
    count = min(count, len(items))
    return [Job(place, items[place * len(items) // count]) for place in range(count)], skipped


def describe_resizing(jobs: Sequence[Job], size: int) -> str | None:
    """Return a sentence for people if images are not `size` pixels square, otherwise None."""
    others = sum(image_size(job.item) != (size, size) for job in jobs if job.item)
    if not others:
        return None
    verb = "is" if others == 1 else "are"
    return f"{others} of {len(jobs)} items {verb} not {size}x{size} pixels: scaled, and cut to that square."


def image_size(item: Item) -> tuple[int, int]:
    """Return width and height in pixels of an item as it lies on disk, upright.

    Raises:
        MediaError: it cannot be read.
    """
    if item.source.kind == "video":
        info = probe_video(item.source.path)
        return info.width, info.height
    return load_image(item.source.image_bytes()).size


def read_jobs(jobs: Sequence[Job], form: ClipFormat, unread: list[Skipped]) -> tuple[list[Job], Tensor | None]:
    """Return the jobs whose items can be read, and their clips (B, 3, T, H, W); None where nothing is given.

    What cannot be read is appended to `unread`.
    """
    ready: list[Job] = []
    clips: list[Tensor] = []
    for job in jobs:
        if job.item is None:
            return [job], None
        try:
            clips.append(ClipDataset([job.item], form).read(job.item))
            ready.append(job)
        except MediaError as error:
            unread.append(Skipped(job.source, str(error)))
    return ready, torch.stack(clips) if clips else None
