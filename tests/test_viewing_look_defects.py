"""Which items are called black, frozen, blurred or cut, and in which order."""

from dataclasses import replace

import numpy as np
import pytest

from viewing.look.defects import BLURRED, blurred_below, find_defects
from viewing.look.examining import Examined
from viewing.look.measuring import Measures

SOUND = Measures(brightness=0.5, contrast=0.2, motion=0.02, sharpness=0.6, stillness=0.0, cut=0.0, black=0.0)


def examined(frames: int = 16, **measures: float | None) -> Examined:
    return Examined(np.zeros((4, 4, 3), np.uint8), b"", frames, replace(SOUND, **measures), ())  # type: ignore[arg-type]


def found(*items: Examined) -> dict[str, tuple[int, ...]]:
    return {flag.key: flag.items for flag in find_defects(items)}


def test_sound_items_have_no_defects() -> None:
    assert found(examined(), examined(1)) == {"black": (), "frozen": (), "blurred": (), "cut": ()}


def test_worst_come_first() -> None:
    items = [examined(black=0.6), examined(black=1.0, brightness=0.05), examined(black=1.0, brightness=0.0), examined()]
    assert found(*items)["black"] == (2, 1, 0)
    items = [examined(cut=0.4), examined(cut=0.9), examined(cut=0.1)]
    assert found(*items)["cut"] == (1, 0)


def test_a_still_is_not_frozen() -> None:
    assert found(examined(1, stillness=1.0), examined(stillness=1.0))["frozen"] == (1,)


def test_blurred_is_what_is_soft_and_softer_than_the_rest() -> None:
    sharp = [examined(sharpness=0.6 + 0.01 * number) for number in range(9)]
    assert found(*sharp, examined(sharpness=0.3))["blurred"] == (9,)


def test_of_a_set_that_is_soft_throughout_none_is_blurred() -> None:
    soft = [examined(sharpness=0.30 + 0.002 * number) for number in range(9)]
    assert found(*soft)["blurred"] == ()


def test_what_differs_from_a_sharp_set_and_is_still_sharp_is_not_blurred() -> None:
    assert found(*[examined(sharpness=0.7) for _ in range(9)], examined(sharpness=BLURRED))["blurred"] == ()


def test_items_without_edges_are_not_blurred() -> None:
    assert found(examined(sharpness=None), examined())["blurred"] == ()
    assert blurred_below([None, None]) == BLURRED


def test_the_limit_follows_median_and_spread() -> None:
    assert blurred_below([0.38, 0.4, 0.42]) == pytest.approx(0.4 - 3 * 1.4826 * 0.02)
