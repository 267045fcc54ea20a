"""The items of a data set, clips and images: found, split into training and validation, the same for every command."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.media import catalogue
from data.options import PrepareOptions
from data.prepared import open_prepared
from data.prepared_paths import holds_prepared
from data.skipping import check_skipped
from data.sources import Skipped, Source, Stretch
from data.split import group_sources, halve_one_video, held_out_groups, side_of
from storage.run_folder import RunFolderError, read_options
from training.progress import count

LISTING = "listing"
"""Folder in the output of a command in which it keeps what it found out about the data."""

LONGEST_REST = 1.0
"""Seconds without a new frame from which no still images are taken: they would all be the same."""


class Item(NamedTuple):
    """A clip: the source it is cut from, and where in it it begins, in seconds."""

    source: Source
    start: float
    seconds: float = 0.0
    """How long it lasts; 0 for an image."""


def find_items(
    path: Path,
    form: ClipFormat,
    hop: float | None = None,
    cache: Path | None = None,
    group_by: str | None = None,
) -> tuple[list[Item], list[Skipped]]:
    """List the clips of a data set in order, `hop` seconds apart in videos, and the files that cannot be used.

    A tokenizer of clips reads the videos of a folder; a folder without videos, or a tokenizer of stills, its images
    as well.

    Args:
        path: see `data.media.catalogue`.
        form: of the clips.
        hop: seconds from the beginning of a clip to that of the next; a clip's length if not given.
        cache: folder in which what is found is kept, so that the data are not searched again.
        group_by: what the split keeps together: see `find_sources`.

    Raises:
        MediaError: the path holds nothing usable, more than half of its files are unusable, or all of its videos are
            shorter than a clip.
    """
    found, skipped = find_sources(path, cache, group_by)
    videos = [source for source in found if source.kind == "video"]
    sources = videos if form.frames > 1 and videos else list(found)
    items, short = list_items(sources, form, hop)
    if videos and form.frames > 1 and len(short) == len(sources):
        raise _all_too_short(sources, form, path)
    skipped = [*skipped, *short]
    check_skipped(skipped, len(sources) + sum(skip.is_media for skip in skipped) - len(short), path)
    if not items:
        raise MediaError(f"{path} holds no clip of {form.seconds:.2f} s")
    return items, skipped


def find_sources(
    path: Path, cache: Path | None = None, group_by: str | None = None
) -> tuple[tuple[Source, ...], list[Skipped]]:
    """List the videos and images of a data set with their groups, and the files that are not used.

    Args:
        path: see `data.media.catalogue`.
        cache: folder in which what is found is kept.
        group_by: what the split keeps together: a column of a CSV of stretches, or a regular expression for names (see
            `data.split.group_sources`). Each file if not given, or what a column `group` or prepared shards say.

    Raises:
        MediaError: the path holds nothing, or `group_by` does not fit.
    """
    found = catalogue(path, cache, group_by)
    grouped = found.grouped or group_by == prepared_options(path).group_by
    sources = found.sources if grouped else group_sources(found.sources, group_by)
    return sources, list(found.skipped)


def prepared_options(path: Path) -> PrepareOptions:
    """Return what prepared shards were made of, and how; of anything else, that it is itself."""
    if holds_prepared(path):
        try:
            return read_options(path, PrepareOptions)
        except RunFolderError:
            pass  # the shards were passed on without the record of how they were made
    return PrepareOptions(path=path, out=path)


def describe_sources(sources: Sequence[Source]) -> str:
    """Return how many sources there are and how long, in words: `3 videos, 1.2 hours`."""
    names = {source.name: source.kind for source in sources}
    kinds = [count(number, kind) for kind, number in sorted(Counter(names.values()).items(), reverse=True)]
    seconds = sum(source.seconds for source in sources)
    length = f"{seconds / 3600:,.1f} hours" if seconds >= 3600 else f"{seconds:,.1f} s"
    return ", ".join([*kinds, length] if seconds else kinds) or "none"


def list_items(
    sources: Sequence[Source], form: ClipFormat, hop: float | None = None
) -> tuple[list[Item], list[Skipped]]:
    """Cut videos into clips, as many as fit into their stretches; an image is one clip of one frame.

    Videos without room for a clip are returned as skipped.

    Args:
        sources: videos and images.
        form: of the clips.
        hop: seconds from the beginning of a clip to that of the next; a clip's length if not given.

    Raises:
        MediaError: prepared shards hold no such clips.
    """
    hop = hop or form.seconds
    for folder in {source.path for source in sources if source.prepared is not None}:
        open_prepared(folder).check_format(form.fps, form.size)
        open_prepared(folder).check_hop(hop)
    items = []
    skipped = []
    for source in sources:
        if source.kind == "image":
            items.append(Item(source, 0.0))
            continue
        starts = [start for stretch in stretches(source, form) for start in _starts(stretch, form, hop)]
        if not starts:
            skipped.append(Skipped(source.name, _too_short(source, form)))
        items += [Item(source, start, form.seconds) for start in starts]
    return items, skipped


def stretches(source: Source, form: ClipFormat) -> list[Stretch]:
    """Return where clips of a video may lie: in its windows, and not across a gap longer than a clip.

    Each begins at a multiple of the time between two frames of a clip, so that a video, the shards prepared from it and
    all commands have the same clips.
    """
    longest = form.seconds if form.frames > 1 else LONGEST_REST
    found = []
    for window in source.windows or (Stretch(0.0, source.seconds),):
        start = window.start
        for gap in source.gaps:
            if gap.end - gap.start > longest and gap.start < window.end and gap.end > start:
                found.append(Stretch(start, gap.start))
                start = gap.end
        found.append(Stretch(start, window.end))
    return [Stretch(math.ceil(round(start * form.fps, 3)) / form.fps, end) for start, end in found if start < end]


def _starts(stretch: Stretch, form: ClipFormat, hop: float) -> Iterator[float]:
    # Half a frame of tolerance: containers round the last frame's duration.
    clips = int((stretch.end - stretch.start - form.seconds + 0.5 / form.fps) / hop + 1)
    yield from (stretch.start + clip * hop for clip in range(clips))


def _too_short(source: Source, form: ClipFormat) -> str:
    if not source.windows and not source.gaps:
        return f"lasts {source.seconds:.2f} s, a clip {form.seconds:.2f} s"
    longest = max((stretch.end - stretch.start for stretch in stretches(source, form)), default=0.0)
    return f"has no stretch of {form.seconds:.2f} s, a clip's length; the longest lasts {max(longest, 0):.2f} s"


def _all_too_short(videos: Sequence[Source], form: ClipFormat, path: Path) -> MediaError:
    parts = [stretch for video in videos for stretch in stretches(video, form)]
    longest = max((part.end - part.start for part in parts), default=0.0)
    return MediaError(
        f"{path} holds no clip of {form.seconds:.2f} s, its longest stretch of video lasts {longest:.2f} s: give "
        "longer ones, or take single frames with a tokenizer of images"
    )


def describe_items(items: Sequence[Item]) -> str:
    """Return how many sources, groups and clips there are, in words: `3 videos, 24 clips`.

    Of a part of one long video it also says where it lies.
    """
    sources = {item.source.name: item.source.kind for item in items}
    groups = {item.source.group for item in items} - {""}
    kinds = [count(number, kind) for kind, number in sorted(Counter(sources.values()).items())]
    grouped = [count(len(groups), "group")] if groups else []
    clips = [count(len(items), "clip")] if len(items) > len(sources) else []
    windows = [window for item in items if item.source.split for window in item.source.windows]
    part = [f"from {min(windows).start:.2f} to {max(windows).end:.2f} s"] if windows and len(sources) == 1 else []
    return ", ".join([*kinds, *grouped, *clips, *part])


def split_items(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Divide items into training and validation so that no group of sources is in both: the one split of a data set.

    Of a data set that is one video, or one recording in parts, the last tenth is validation; clips between the two are
    in neither (`data.split.halve_one_video`).

    Raises:
        MediaError: there is only one image or one group of files, or too little of a video for both.
    """
    sources = list({id(item.source): item.source for item in items}.values())
    halves = halve_one_video(sources)
    if halves != tuple(sources):
        return _split_by_time(items, halves)
    held_out = held_out_groups(sources)
    sides = [side_of(item.source, held_out) for item in items]
    return (
        [item for item, side in zip(items, sides, strict=True) if side == "train"],
        [item for item, side in zip(items, sides, strict=True) if side == "validation"],
    )


def _split_by_time(items: Sequence[Item], halves: Sequence[Source]) -> tuple[list[Item], list[Item]]:
    """Give the items that lie in a half of their source to it."""
    sides: dict[str, list[Item]] = {"train": [], "validation": []}
    for item in items:
        for half in halves:
            if (half.name, half.offset) == (item.source.name, item.source.offset) and _lies_in(item, half):
                sides[half.split].append(item._replace(source=half))
    if not sides["train"] or not sides["validation"]:
        windows = [window for half in halves if half.split == "validation" for window in half.windows]
        held_out = sum(window.end - window.start for window in windows)
        seconds = f"{items[0].seconds:.2f} s"
        lacks = f"has no room for a clip of {seconds}"
        misses = f"holds no whole clip of {seconds}, for they begin too far apart"
        raise MediaError(
            f"{items[0].source.name} is the only video, and its last tenth, {held_out:.2f} s for validation,"
            f" {lacks if held_out < items[0].seconds else misses}: give a longer video or at least two files"
        )
    return sides["train"], sides["validation"]


def _lies_in(item: Item, half: Source) -> bool:
    """Whether a clip of a source lies in a half of it; the last one may end a little after the video does."""
    last = half.windows[-1].end if half.split == "validation" else math.inf
    return any(
        window.start <= item.start < window.end
        and (item.start + item.seconds <= window.end + 1e-6 or window.end == last)
        for window in half.windows
    )
