"""Reading a data set in the form a tokenizer was made for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.clips import ClipDataset, ClipFormat, Item, list_items
from data.errors import MediaError
from data.media import Skipped, Source, catalogue, check_skipped, split
from data.probe import probe_video
from vqgan.tokenizer import Tokenizer

# One constant and no option, so that the GPT's held-out files are always the tokenizer's too.
VALIDATION_FRACTION = 0.1


@dataclass(frozen=True)
class Reading:
    """What was read of an item: plain arrays, because they travel between processes."""

    clip: np.ndarray[Any, Any]
    """(3, T, H, W) float32 in [-1, 1]."""
    decoder: str
    """Name and version of the decoder of a film; empty for an image."""


def read_item(request: tuple[Item, ClipFormat]) -> Reading:
    """Read the clip of an item, in this process or in a worker.

    Raises:
        MediaError: the file cannot be read.
    """
    item, form = request
    clip = ClipDataset([item], form).read(item).numpy()
    return Reading(clip, probe_video(item.source.path).decoder_version if item.source.kind == "film" else "")


def clip_format(tokenizer: Tokenizer) -> ClipFormat:
    """Return the clips a tokenizer was made for."""
    return ClipFormat(tokenizer.frames, tokenizer.fps, tokenizer.size)


def find_items(path: Path, form: ClipFormat, hop: float | None = None) -> tuple[list[Item], list[Skipped]]:
    """List the clips of a data set in order, `hop` seconds apart in films, and the files that cannot be used.

    A tokenizer of clips reads the films of a folder; a folder without films, or a tokenizer of stills, its images
    as well.

    Raises:
        MediaError: the path holds nothing usable, or more than half of its files are unusable.
    """
    found = catalogue(path)
    sources: Sequence[Source] = found.films if form.frames > 1 and found.films else found.sources
    items, short = list_items(sources, form, hop)
    skipped = [*found.skipped, *short]
    check_skipped(skipped, len(sources) + len(found.skipped), path)
    if not items:
        raise MediaError(f"{path} holds no clip of {form.seconds:.2f} s")
    return items, skipped


def split_items(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Divide items into training and validation so that no source is in both: the one split of a data set.

    Raises:
        MediaError: there is only one source.
    """
    sources = {item.source.name: item.source for item in items}
    held_out = {source.name for source in split(sources.values(), VALIDATION_FRACTION)[1]}
    return (
        [item for item in items if item.source.name not in held_out],
        [item for item in items if item.source.name in held_out],
    )


def read_batches(
    items: Sequence[Item], form: ClipFormat, batch: int, skipped: list[Skipped]
) -> Iterator[tuple[list[Item], Tensor]]:
    """Yield items with their clips (B, 3, T, H, W); what cannot be read is appended to `skipped` and left out.

    Raises:
        MediaError: more than half of the items cannot be read.
    """
    dataset, before = ClipDataset(items, form), len(skipped)
    ready: list[tuple[Item, Tensor]] = []
    for item in items:
        try:
            ready.append((item, dataset.read(item)))
        except MediaError as error:
            skipped.append(Skipped(item.source.name, str(error)))
        if len(ready) == batch:
            yield [item for item, _ in ready], torch.stack([clip for _, clip in ready])
            ready = []
    if ready:
        yield [item for item, _ in ready], torch.stack([clip for _, clip in ready])
    failed = skipped[before:]
    if 2 * len(failed) > len(items):
        raise MediaError(f"{len(failed)} of {len(items)} clips cannot be read; the first: {failed[0].reason}")
