"""The tables beside a look page: a row for each item with all that the page sorts by, and the groups of duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from data.near_duplicates import InSplit
from viewing.look.contents import Contents, Word


@dataclass(frozen=True)
class LookRow:
    """An item of the page."""

    source: str
    """Path relative to the folder that was searched; for a member of a tar shard `shard.tar/member`."""
    start: float | None
    """Seconds into a video at which the clip begins; empty for an image."""
    frames: int
    """Frames of the clip; 1 for a still."""
    kind: Literal["video", "image"]
    """What it was cut out of."""
    group: str
    """What the split keeps together; the source itself if nothing else says."""
    split: InSplit
    """Whether it is trained on or kept for validation; empty if it is in neither."""
    seconds: float
    """Length of the clip; 0 for a still."""
    brightness: float
    """Mean luma, from 0 (black) to 1."""
    contrast: float
    """Standard deviation of luma within a frame, on average over frames."""
    motion: float
    """Mean absolute change of luma from frame to frame; 0 for a still."""
    sharpness: float | None
    """Share of the differences between neighbouring pixels that another blur takes away, at the size of the page; empty
    where there are no edges."""
    stillness: float
    """Longest run of steps between frames in which nothing changes, as a share of the steps; 0 for a still."""
    cut: float
    """Strongest change of the layout of light and dark between two frames beyond what changes anyway: 0.5 is another
    picture."""
    black: float
    """Share of frames that are black."""
    width: int | None
    """Pixels of the source, as displayed; empty where that is not known, as of prepared shards."""
    height: int | None
    """Pixels of the source, as displayed."""
    fps: float | None
    """Frames per second of the source; empty for a still, and where that is not known."""
    is_black: bool
    """Whether it is among the black items."""
    is_frozen: bool
    """Whether it is among the frozen items."""
    is_blurred: bool
    """Whether it is among the blurred items."""
    is_cut: bool
    """Whether it is among those with a cut inside."""
    duplicate_group: int | None
    """Number of its group in duplicates.csv, the first of several; empty if it has no near duplicates."""
    bits: float | None = None
    """Surprise of the GPT, of the last checkpoint if there are several; empty without a GPT."""
    bits_above_split: float | None = None
    """How much more that is than the median of the items of its split; empty without a GPT, and without a split."""
    fall: float | None = None
    """How much less that is than at the first checkpoint; empty without several."""


@dataclass(frozen=True)
class DuplicateRow:
    """An item of a group of near duplicates."""

    duplicate_group: int
    """Number of the group, from 1: leaks first, then the nearest."""
    leak: bool
    """Whether the group has items for training and for validation."""
    distance: float
    """Bits, of 64, in which the difference hashes of the two nearest items of the group differ, on average over their
    frames."""
    source: str
    """Path of the item's source."""
    start: float | None
    """Seconds into a video at which the clip begins; empty for an image."""
    split: InSplit
    """The split that the item is in."""


def item_rows(contents: Contents) -> Iterator[LookRow]:
    """Yield the rows of items.csv."""
    numbers = {number.key: number.values for number in contents.numbers}
    flags = {f"is_{flag.key}": set(flag.items) for flag in contents.flags}
    groups = _first_groups(contents)
    known = LookRow.__dataclass_fields__.keys()
    for index, source in enumerate(contents.names):
        values: dict[str, Any] = {key: column[index] for key, column in numbers.items() if key in known}
        values |= {word.key: _word(word, index) for word in contents.words}
        values |= {name: index in items for name, items in flags.items()}
        yield LookRow(
            source=source,
            start=contents.starts[index],
            frames=contents.frames[index],
            duplicate_group=groups.get(index),
            **values,
        )


def _word(word: Word, index: int) -> str:
    value = word.values[index]
    return "" if value is None else word.choices[value]


def duplicate_rows(contents: Contents) -> Iterator[DuplicateRow]:
    """Yield the rows of duplicates.csv."""
    splits = next(word for word in contents.words if word.key == "split")
    for number, group in enumerate(contents.duplicates, start=1):
        for index in group.items:
            yield DuplicateRow(
                duplicate_group=number,
                leak=group.leak,
                distance=group.distance,
                source=contents.names[index],
                start=contents.starts[index],
                split=cast(InSplit, _word(splits, index)),
            )


def _first_groups(contents: Contents) -> dict[int, int]:
    groups: dict[int, int] = {}
    for number, group in enumerate(contents.duplicates, start=1):
        for index in group.items:
            groups.setdefault(index, number)
    return groups
