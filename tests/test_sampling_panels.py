"""Panels show what was given in blue, what was imagined in red, and nothing that was not shown."""

import numpy as np
import pytest
import torch
from completions import CONTINUED, ORIGINAL, first_half, make_completion, nothing, upper_half
from hypothesis import given
from hypothesis import strategies as st

from sampling.panels import (
    BORDER,
    COLOURS,
    GIVEN,
    HIDDEN,
    IMAGINED,
    LINE,
    PLAIN,
    Panel,
    completion_panels,
    continuation_panels,
    paint,
    scale_for,
)

LIGHT, DARK = (round((level + 1) * 127.5) for level in (ORIGINAL, CONTINUED))


def plain(size: int = 8, frames: int = 1, marks: np.ndarray | None = None) -> Panel:
    pixels = np.random.default_rng(0).integers(0, 256, (frames, size, size, 3), dtype=np.uint8)
    return Panel("", pixels, np.full(pixels.shape[:3], IMAGINED, np.uint8) if marks is None else marks)


def test_the_panels_of_a_prompt_stand_before_its_continuations() -> None:
    captions = [panel.caption for panel in completion_panels(make_completion(upper_half()))]
    assert captions == ["original", "prompt", "reconstruction", "continuation 1", "continuation 2"]


def test_where_nothing_was_given_there_are_only_continuations() -> None:
    captions = [panel.caption for panel in completion_panels(make_completion(nothing(), n=3))]
    assert captions == ["continuation 1", "continuation 2", "continuation 3"]


@given(mask=st.lists(st.booleans(), min_size=32, max_size=32).filter(any))
def test_the_prompt_shows_what_was_given_and_only_that(mask: list[bool]) -> None:
    given_pixels = torch.tensor(mask).reshape(2, 4, 4)
    prompt = completion_panels(make_completion(given_pixels))[1]
    shown = np.where(given_pixels[..., None], LIGHT, COLOURS[HIDDEN])
    assert (prompt.pixels == shown).all()
    assert (prompt.marks == np.where(given_pixels, GIVEN, HIDDEN)).all()


def test_continuations_are_given_or_imagined() -> None:
    panel = continuation_panels(make_completion(first_half()))[0]
    assert (panel.marks == np.where(first_half(), GIVEN, IMAGINED)).all()
    assert (panel.pixels == DARK).all()


@pytest.mark.parametrize("place", [0, 2])
def test_where_the_original_ends_it_turns_grey(place: int) -> None:
    panel = completion_panels(make_completion(first_half(8), original_frames=5))[place]
    assert (panel.pixels[:5] == LIGHT).all()
    assert (panel.pixels[5:] == COLOURS[HIDDEN]).all()
    assert panel.marks[:, 0, 0].tolist() == [PLAIN] * 5 + [HIDDEN] * 3


def test_an_original_longer_than_its_continuations_is_cut() -> None:
    panels = completion_panels(make_completion(first_half(4), original_frames=6))
    assert {len(panel.pixels) for panel in panels} == {4}


def test_a_border_frames_a_image_without_covering_it() -> None:
    panel = plain()
    painted = paint(panel, 3)
    inside = slice(BORDER, -BORDER)
    assert painted.shape == (1, 24 + 2 * BORDER, 24 + 2 * BORDER, 3)
    assert (painted[:, inside, inside] == panel.pixels.repeat(3, axis=1).repeat(3, axis=2)).all()
    painted[:, inside, inside] = COLOURS[IMAGINED]
    assert (painted == COLOURS[IMAGINED]).all()


def test_the_border_takes_the_colour_of_what_lies_beside_it() -> None:
    marks = np.full((1, 8, 8), GIVEN, np.uint8)
    marks[:, 4:] = IMAGINED
    painted = paint(plain(marks=marks), 4)[0]
    middle = BORDER + 16
    assert (painted[:middle, 0] == COLOURS[GIVEN]).all()
    assert (painted[middle:, 0] == COLOURS[IMAGINED]).all()


def test_a_line_in_both_colours_lies_where_the_prompt_ends_inside_a_image() -> None:
    marks = np.full((1, 8, 8), GIVEN, np.uint8)
    marks[:, :, 3:] = IMAGINED
    panel = plain(marks=marks)
    row = paint(panel, 4)[0, BORDER + 10, BORDER:-BORDER]
    assert (row[12 - LINE : 12] == COLOURS[GIVEN]).all()
    assert (row[12 : 12 + LINE] == COLOURS[IMAGINED]).all()
    untouched = np.r_[0 : 12 - LINE, 12 + LINE : 32]
    assert (row[untouched] == panel.pixels[0, 2].repeat(4, axis=0)[untouched]).all()


@pytest.mark.parametrize(("size", "scale"), [(16, 8), (64, 2), (96, 1), (128, 1), (300, 1)])
def test_images_grow_by_whole_pixels_and_never_shrink(size: int, scale: int) -> None:
    assert scale_for(plain(size), 128) == scale
