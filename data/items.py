"""The items of a data set, clips and images: found, split into training and validation, the same for every command."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.media import catalogue, check_skipped
from data.sources import Skipped, Source
from training.progress import count

# One constant and no option, so that the GPT's held-out files are always the tokenizer's too.
VALIDATION_FRACTION = 0.1


class Item(NamedTuple):
    """A clip: the source it is cut from, and where in it it begins, in seconds."""

    source: Source
    start: float


def find_items(path: Path, form: ClipFormat, hop: float | None = None) -> tuple[list[Item], list[Skipped]]:
    """List the clips of a data set in order, `hop` seconds apart in videos, and the files that cannot be used.

    A tokenizer of clips reads the videos of a folder; a folder without videos, or a tokenizer of stills, its images
    as well.

    Raises:
        MediaError: the path holds nothing usable, or more than half of its files are unusable.
    """
    found = catalogue(path)
    sources: Sequence[Source] = found.videos if form.frames > 1 and found.videos else found.sources
    items, short = list_items(sources, form, hop)
    skipped = [*found.skipped, *short]
    check_skipped(skipped, len(sources) + len(found.skipped), path)
    if not items:
        raise MediaError(f"{path} holds no clip of {form.seconds:.2f} s")
    return items, skipped


def list_items(
    sources: Sequence[Source], form: ClipFormat, hop: float | None = None
) -> tuple[list[Item], list[Skipped]]:
    """Cut videos into clips, as many as fit; an image is one clip of one frame.

    Videos shorter than a clip are returned as skipped.

    Args:
        sources: videos and images.
        form: of the clips.
        hop: seconds from the beginning of a clip to that of the next; a clip's length if not given.
    """
    hop = hop or form.seconds
    items = []
    skipped = []
    for source in sources:
        if source.kind == "image":
            items.append(Item(source, 0.0))
            continue
        # Half a frame of tolerance: containers round the last frame's duration.
        clips = int((source.seconds - form.seconds + 0.5 / form.fps) / hop + 1)
        if clips < 1:
            reason = f"lasts {source.seconds:.2f} s, a clip {form.seconds:.2f} s"
            skipped.append(Skipped(source.name, reason))
        items += [Item(source, clip * hop) for clip in range(clips)]
    return items, skipped


def describe_items(items: Sequence[Item]) -> str:
    """Return how many sources and clips there are, in words: `3 videos, 24 clips`."""
    sources = {item.source.name: item.source.kind for item in items}
    kinds = [count(number, kind) for kind, number in sorted(Counter(sources.values()).items())]
    return ", ".join([*kinds, count(len(items), "clip")] if len(items) > len(sources) else kinds)


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


def split(sources: Iterable[Source], fraction: float) -> tuple[list[Source], list[Source]]:
    """Divide sources into training and validation, at least one each; the same names always fall the same way.

    Raises:
        MediaError: there is only one source, which cannot be in both.
    """
    ordered = sorted(sources, key=lambda source: source.name)
    if len(ordered) < 2:
        raise MediaError(
            "training and validation must not share a source, and there is only one: give at least two files"
        )
    ranked = sorted(ordered, key=lambda source: hashlib.sha256(os.fsencode(source.name)).digest())
    held_out = min(len(ordered) - 1, max(1, round(fraction * len(ordered))))
    validation = {source.name for source in ranked[:held_out]}
    return (
        [source for source in ordered if source.name not in validation],
        [source for source in ordered if source.name in validation],
    )
