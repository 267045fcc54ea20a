"""Stills say with lines where the prompt ends and where windows begin, and what their colours mean."""

import numpy as np
import pytest
import torch
from completions import first_half, make_completion, nothing, upper_half
from PIL import Image, ImageColor

from data.drawing import CAPTION, MARGIN, text_width
from sampling.completion import Completion
from sampling.panels import BORDER, completion_panels
from sampling.stills import (
    COLUMNS,
    LINE,
    MIN_WIDTH,
    STRIP,
    WINDOW_START,
    Sign,
    arrange_panels,
    colour_signs,
    draw_legend,
    draw_still,
    draw_title,
    line_signs,
    prompt_ends,
)

CELL = 16 + 2 * BORDER + MARGIN
"""Width of a frame of a strip with what lies before the next."""
LEFT = 2 * MARGIN + text_width("reconstruction")


def still(completion: Completion, name: str = "video", fps: float | None = 8.0) -> np.ndarray:
    return np.asarray(draw_still(completion, completion_panels(completion), name, fps, 16))


def columns_in(image: np.ndarray, colour: str) -> list[int]:
    """The columns that hold `colour` in more than a third of their pixels, right of the captions."""
    share = (image == ImageColor.getrgb(colour)).all(axis=-1)[CAPTION + MARGIN :].mean(axis=0)
    return [column for column in np.flatnonzero(share > 1 / 3).tolist() if column > LEFT]


def test_a_black_line_stands_between_the_last_given_and_the_first_imagined_frame() -> None:
    border = LEFT + 4 * CELL
    assert columns_in(still(make_completion(first_half(8))), "black") == [border - MARGIN + i for i in range(3)]


def test_no_line_stands_where_nothing_was_given_or_all_frames_are_alike() -> None:
    alike = upper_half().repeat(8, 1, 1)
    assert not columns_in(still(make_completion(alike)), "black")
    assert not columns_in(still(make_completion(nothing(8))), "black")


def test_dashes_stand_where_a_window_begins() -> None:
    border = LEFT + 6 * CELL
    image = still(make_completion(first_half(8), window_starts=(6,)))
    assert columns_in(image, WINDOW_START) == [border - MARGIN + i for i in range(3, 6)]


def test_a_border_between_frames_that_are_not_shown_lies_before_the_next_that_is() -> None:
    given = nothing(24)
    given[:5] = True
    # Every second frame is shown, so the prompt ends before frame 6, the fourth.
    border = LEFT + 3 * CELL
    assert columns_in(still(make_completion(given)), "black") == [border - MARGIN + i for i in range(3)]


@pytest.mark.parametrize(("frames", "shown"), [(8, 8), (12, 12), (13, 7), (40, 10)])
def test_strips_hold_evenly_spaced_frames_up_to_a_limit(frames: int, shown: int) -> None:
    assert still(make_completion(first_half(frames))).shape[1] == max(MIN_WIDTH, LEFT + shown * CELL)
    assert shown <= STRIP


def test_times_stand_above_the_frames_where_the_rate_is_known() -> None:
    completion = make_completion(first_half(8))
    row = slice(CAPTION + MARGIN, 2 * CAPTION + MARGIN)
    timed, bare = still(completion)[row, LEFT:], still(completion, fps=None)[row, LEFT:]
    # The line where the prompt ends is in both.
    assert (timed < 128).sum() > (bare < 128).sum() > 0


@pytest.mark.parametrize("name", ["short", "a name much too long for any image " * 9, "one\nline", "\udcff"])
def test_a_title_has_one_line_as_wide_as_its_image(name: str) -> None:
    assert draw_title(name, 120).size == (120, CAPTION + MARGIN)


def test_a_small_image_leaves_room_for_its_title() -> None:
    assert still(make_completion(nothing(), n=1)).shape[1] == MIN_WIDTH


def test_more_panels_than_columns_go_into_further_rows() -> None:
    corners, (width, height) = arrange_panels(10, 20, COLUMNS + 1)
    assert corners[COLUMNS] == (corners[0][0], corners[0][1] + height // 2)
    assert corners[COLUMNS - 1][0] + 20 + MARGIN == width


def test_a_prompt_ends_wherever_other_pixels_are_given_than_before() -> None:
    given = torch.zeros(6, 2, 2, dtype=torch.bool)
    given[:2], given[2:4, 0] = True, True
    assert prompt_ends(given.numpy()) == [2, 4]


@pytest.mark.parametrize(
    ("given", "words"),
    [(nothing(8), ["imagined"]), (first_half(), ["given", "imagined", "not shown", "prompt ends", "new window"])],
)
def test_the_legend_explains_what_occurs(given: torch.Tensor, words: list[str]) -> None:
    completion = make_completion(given, window_starts=(6,) if given.any() else ())
    signs = colour_signs(completion_panels(completion)) + line_signs(completion)
    assert [sign.meaning for sign in signs] == words


def test_a_legend_goes_on_in_another_line_where_the_width_ends() -> None:
    signs = [Sign(LINE, "black", "meaning")] * 12
    wide, narrow = draw_legend(signs, 2000), draw_legend(signs, MIN_WIDTH)
    assert (wide.height, narrow.width) == (CAPTION + MARGIN, MIN_WIDTH)
    assert narrow.height % CAPTION == MARGIN
    assert dark_pixels(narrow) == dark_pixels(wide)


def dark_pixels(image: Image.Image) -> int:
    return int((np.asarray(image) < 100).all(axis=-1).sum())
