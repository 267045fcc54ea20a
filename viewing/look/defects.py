"""Which items are black, frozen, blurred or cut, by what was measured of them; worst first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from viewing.look.contents import Flag
from viewing.look.examining import Examined
from viewing.look.measuring import BLACK_LUMA, BLACK_PIXELS

BLACK_FRAMES = 0.5
"""Share of black frames from which an item is black."""

FROZEN = 0.5
"""Share of an item's steps between frames, in one run, from which it is frozen. A video with fewer frames a second than
the clips repeats frames too, but never so many in a row."""

BLURRED = 0.35
"""Sharpness below which an item may be blurred."""

DEVIATIONS = 3.0
"""Robust standard deviations below the median of the set from which it is: a set of soft pictures is not a defect."""

CUT = 0.2
"""Change of layout between two frames, beyond what changes anyway, from which a clip is cut. Of films with cuts it is
0.3 and more, of hand-held ones without, and of walks through rooms, 0.1 and less."""

MAD = 1.4826
"""Standard deviations that the median absolute deviation of a normal distribution stands for."""


def find_defects(examined: Sequence[Examined]) -> tuple[Flag, ...]:
    """Return the items with each defect, by their index."""
    limit = blurred_below([one.measures.sharpness for one in examined])
    return (
        Flag(
            "black",
            "black",
            f"half of the frames or more have luma below {BLACK_LUMA:g} at {100 * BLACK_PIXELS:g} % of their pixels",
            _worst(examined, lambda one: one.measures.black - one.measures.brightness, _is_black),
        ),
        Flag(
            "frozen",
            "frozen",
            "nothing changes, up to faults of compression, from frame to frame for half of the clip or more",
            _worst(examined, lambda one: one.measures.stillness, _is_frozen),
        ),
        Flag(
            "blurred",
            "blurred",
            f"sharpness below {limit:.2f}, that is below {BLURRED:g} and {DEVIATIONS:g} robust standard deviations "
            "below the median of this page",
            _worst(examined, lambda one: -(one.measures.sharpness or 0.0), lambda one: _is_below(one, limit)),
        ),
        Flag(
            "cut",
            "cut inside",
            f"the layout of light and dark changes for good by {CUT:g} or more between two frames, beyond what changes "
            "anyway",
            _worst(examined, lambda one: one.measures.cut, lambda one: one.measures.cut >= CUT),
        ),
    )


def blurred_below(sharpness: Sequence[float | None]) -> float:
    """Return the sharpness below which an item of a set is blurred, absolutely and for this set."""
    known = np.array([value for value in sharpness if value is not None])
    if not len(known):
        return BLURRED
    median = np.median(known)
    spread = MAD * np.median(np.abs(known - median))
    return float(min(BLURRED, median - DEVIATIONS * spread)) if len(known) > 1 else BLURRED


def _worst(
    examined: Sequence[Examined], badness: Callable[[Examined], float], has: Callable[[Examined], bool]
) -> tuple[int, ...]:
    found = [index for index, one in enumerate(examined) if has(one)]
    return tuple(sorted(found, key=lambda index: -badness(examined[index])))


def _is_black(one: Examined) -> bool:
    return one.measures.black >= BLACK_FRAMES


def _is_frozen(one: Examined) -> bool:
    return one.frames > 1 and one.measures.stillness >= FROZEN


def _is_below(one: Examined, limit: float) -> bool:
    return one.measures.sharpness is not None and one.measures.sharpness < limit
