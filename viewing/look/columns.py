"""The columns of a page: what its items can be sorted and filtered by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from viewing.look.contents import Number, Word
from viewing.look.examining import Examined
from viewing.look.material import Shown


class _Kind(NamedTuple):
    """A number that is measured of every item."""

    key: str
    label: str
    unit: str
    help: str
    digits: int
    value: Callable[[Examined], float | None]


MEASURED = (
    _Kind("brightness", "brightness", "", "Mean luma, from 0 (black) to 1.", 3, lambda one: one.measures.brightness),
    _Kind(
        "contrast",
        "contrast",
        "",
        "Standard deviation of luma within a frame, on average over frames.",
        3,
        lambda one: one.measures.contrast,
    ),
    _Kind(
        "motion",
        "motion",
        "",
        "Mean absolute change of luma from frame to frame; 0 for a still.",
        4,
        lambda one: one.measures.motion,
    ),
    _Kind(
        "sharpness",
        "sharpness",
        "",
        "Share of the differences between neighbouring pixels that another blur takes away, of the sharpest frame at "
        "the size of this page: low is blurred.",
        3,
        lambda one: one.measures.sharpness,
    ),
    _Kind(
        "stillness",
        "stillness",
        "",
        "Longest run of steps between frames in which nothing changes, as a share of all steps.",
        2,
        lambda one: one.measures.stillness,
    ),
    _Kind(
        "cut",
        "cut",
        "",
        "Strongest change of the layout of light and dark between two frames beyond what changes anyway: 0.5 is "
        "another picture.",
        3,
        lambda one: one.measures.cut,
    ),
    _Kind("black", "black frames", "", "Share of frames that are black.", 2, lambda one: one.measures.black),
    _Kind("width", "width", "px", "Of the source, as displayed.", 0, lambda one: one.width),
    _Kind("height", "height", "px", "Of the source, as displayed.", 0, lambda one: one.height),
    _Kind("fps", "frames a second", "", "Of the source.", 2, lambda one: one.fps),
)
ROUNDED = 6
"""Digits after the point that are kept of a number."""


def numbers_of(examined: Sequence[Examined], fps: float) -> tuple[Number, ...]:
    """Return the numbers of all items, those that none has left out.

    Args:
        examined: what was seen of each.
        fps: frames a second of clips.
    """
    lengths = tuple(_rounded(one.frames / fps if one.frames > 1 else 0.0) for one in examined)
    length = Number("seconds", "length", "s", "Of the clip; 0 for a still.", 2, lengths)
    measured = [
        Number(
            kind.key, kind.label, kind.unit, kind.help, kind.digits, tuple(_rounded(kind.value(o)) for o in examined)
        )
        for kind in MEASURED
    ]
    return (length, *measured)


def words_of(shown: Sequence[Shown]) -> tuple[Word, ...]:
    """Return the words of all items."""
    return (
        _word("group", "group", [one.group or one.name for one in shown]),
        _word("split", "split", [one.split for one in shown]),
        _word("kind", "kind", ["image" if one.start is None else "video" for one in shown]),
    )


def _word(key: str, label: str, values: Sequence[str]) -> Word:
    choices = tuple(sorted(set(values) - {""}))
    places = {choice: index for index, choice in enumerate(choices)}
    return Word(key, label, tuple(places.get(value) for value in values), choices)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, ROUNDED)
