"""The one split of a data set into training and validation: by groups of sources, or of one long video by time."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from data.errors import MediaError
from data.sources import Source, Stretch

# One constant and no option, so that the GPT's held-out files are always the tokenizer's too.
VALIDATION_FRACTION = 0.1

LONGEST_MARGIN = 10.0
"""Seconds between training and validation in one long video, at most."""


def group_sources(sources: Iterable[Source], group_by: str | None) -> tuple[Source, ...]:
    """Put sources into groups by a pattern of their names.

    Args:
        sources: of a data set.
        group_by: a regular expression that is searched for in the names; its first group, or all that it matches, is
            the name of the source's group. None or empty leaves the groups that there are.

    Raises:
        MediaError: it is no regular expression, or does not match all names.
    """
    sources = tuple(sources)
    if not group_by:
        return sources
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise MediaError(f"--group-by {group_by!r} is no regular expression ({error})") from error
    matches = [pattern.search(source.name) for source in sources]
    groups = [(match.group(1 if pattern.groups else 0) or "") if match else "" for match in matches]
    missing = [source.name for source, group in zip(sources, groups, strict=True) if not group]
    if missing:
        raise MediaError(
            f"--group-by {group_by!r} does not match {len(missing)} of {len(sources)} names, such as"
            f" {', '.join(missing[:3])}: give one that matches all"
        )
    return tuple(replace(source, group=group) for source, group in zip(sources, groups, strict=True))


def group_of(source: Source) -> str:
    """Return what the split keeps together: the group of a source, or the source alone."""
    return source.group or source.name


def halve_one_video(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Return the sources of a data set; if they are one video, or one recording in parts, cut by time into two.

    Validation is the last tenth of the time in which it shows something. Before it a margin is left out, ten seconds or
    a twentieth of that time if it is less, because what comes shortly after is much the same. Neither depends on how
    long clips are, so that all commands agree.
    """
    if not _is_one_video(sources):
        return tuple(sources)
    total = sum(stretch.end - stretch.start for source in sources for stretch in _covered(source))
    margin = min(LONGEST_MARGIN, total / 20)
    cut = (1 - VALIDATION_FRACTION) * total
    return (*_take(sources, 0.0, cut - margin, "train"), *_take(sources, cut, total, "validation"))


def split_sources(sources: Iterable[Source], fraction: float) -> tuple[list[Source], list[Source]]:
    """Divide sources into training and validation, at least one group each; the same names always fall the same way.

    Raises:
        MediaError: there is only one source, or one group, which cannot be in both.
    """
    ordered = sorted(sources, key=lambda source: source.name)
    held_out = held_out_groups(ordered, fraction)
    return (
        [source for source in ordered if side_of(source, held_out) == "train"],
        [source for source in ordered if side_of(source, held_out) == "validation"],
    )


def held_out_groups(sources: Iterable[Source], fraction: float = VALIDATION_FRACTION) -> frozenset[str]:
    """Return the groups that are kept for validation.

    Raises:
        MediaError: there is only one source, or one group, which cannot be in both.
    """
    listed = list(sources)
    groups = sorted({group_of(source) for source in listed if not source.split})
    forced = {source.split for source in listed if source.split}
    if len(groups) < 2 and not {"train", "validation"} <= forced:
        raise _nothing_to_hold_out(listed)
    if len(groups) < 2:
        return frozenset()
    ranked = sorted(groups, key=lambda group: hashlib.sha256(os.fsencode(group)).digest())
    return frozenset(ranked[: min(len(groups) - 1, max(1, round(fraction * len(groups))))])


def side_of(source: Source, held_out: frozenset[str]) -> Literal["train", "validation"]:
    """Return the split that a source belongs to."""
    if source.split:
        return source.split
    return "validation" if group_of(source) in held_out else "train"


def _is_one_video(sources: Sequence[Source]) -> bool:
    """Whether they are one video, or one recording in parts, for which nobody named a group."""
    groups = {group_of(source) for source in sources}
    if len(groups) != 1 or any(source.kind == "image" or source.split for source in sources):
        return False
    (group,) = groups
    return all(source.name == group or source.name.startswith(f"{group}@") for source in sources)


def _nothing_to_hold_out(sources: Sequence[Source]) -> MediaError:
    if not any(source.group for source in sources):
        return MediaError(
            "training and validation must not share a source, and there is only one: give at least two files"
        )
    groups = ", ".join(repr(group) for group in sorted({group_of(source) for source in sources})[:3])
    who = f"all {len(sources)} sources are" if len(sources) > 1 else "the only source is"
    return MediaError(
        f"{who} in the group {groups}, which training and validation must not share: give data"
        " of at least two groups, or another --group-by"
    )


def _covered(source: Source) -> list[Stretch]:
    """Return the stretches of its windows in which a video shows something new."""
    stretches = []
    for window in source.windows or (Stretch(0.0, source.seconds),):
        start = window.start
        for gap in source.gaps:
            if gap.start < window.end and gap.end > start:
                stretches.append(Stretch(start, max(start, gap.start)))
                start = gap.end
        stretches.append(Stretch(start, max(start, window.end)))
    return stretches


def _take(sources: Sequence[Source], begin: float, end: float, split: Literal["train", "validation"]) -> list[Source]:
    """Return what of the sources lies between two moments of the time that they cover together."""
    taken = []
    passed = 0.0
    for source in sources:
        windows = []
        for window in source.windows or (Stretch(0.0, source.seconds),):
            first, last = None, None
            for stretch in _covered(replace(source, windows=(window,))):
                length = stretch.end - stretch.start
                start = stretch.start + max(0.0, begin - passed)
                stop = stretch.end - max(0.0, passed + length - end)
                passed += length
                if start < stop:
                    first = start if first is None else first
                    last = stop
            if first is not None and last is not None:
                windows.append(Stretch(first, last))
        if windows:
            taken.append(replace(source, windows=tuple(windows), split=split))
    return taken
