"""Panels show what was given in blue, what was imagined in red, and nothing that was not shown; heat maps put the
entropy of a token at its position, on a scale in bits.
"""

import numpy as np
import pytest
import torch
from completions import CONTINUED, ORIGINAL, first_half, make_completion, nothing, upper_half
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps

from sampling.heat import HEAT
from sampling.panels import (
    BORDER,
    COLOURS,
    GIVEN,
    HEAT_SHARE,
    HIDDEN,
    IMAGINED,
    LINE,
    PLAIN,
    Panel,
    completion_panels,
    continuation_panels,
    draw_scale,
    heat_panels,
    paint,
    scale_for,
    top_of_scale,
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


@pytest.mark.parametrize("index", [0, 2])
def test_where_the_original_ends_it_turns_grey(index: int) -> None:
    panel = completion_panels(make_completion(first_half(8), original_frames=5))[index]
    assert (panel.pixels[:5] == LIGHT).all()
    assert (panel.pixels[5:] == COLOURS[HIDDEN]).all()
    assert panel.marks[:, 0, 0].tolist() == [PLAIN] * 5 + [HIDDEN] * 3


def test_an_original_longer_than_its_continuations_is_cut() -> None:
    panels = completion_panels(make_completion(first_half(4), original_frames=6))
    assert {len(panel.pixels) for panel in panels} == {4}


def test_a_border_frames_an_image_without_covering_it() -> None:
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


def test_a_line_in_both_colours_lies_where_the_prompt_ends_inside_an_image() -> None:
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


def mixed(pixels: np.ndarray, level: int) -> np.ndarray:
    return (HEAT_SHARE * HEAT[level] + (1 - HEAT_SHARE) * pixels.mean(axis=-1, keepdims=True)).round()


def test_each_token_colours_the_pixels_at_its_position() -> None:
    completion = make_completion(nothing(8), grid=(2, 2, 2))
    plain, heated = continuation_panels(completion)[1].pixels, heat_panels(completion)[1].pixels
    for token, (t, y, x) in enumerate(np.ndindex(2, 2, 2)):
        pixels = np.s_[4 * t : 4 * t + 4, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        assert (heated[pixels] == mixed(plain[pixels], round(token / 7 * 255))).all()


def test_what_was_given_stays_grey() -> None:
    completion = make_completion(upper_half())
    completion.continuations[:, 0] = 1
    heated = heat_panels(completion)[0].pixels
    assert np.ptp(heated[:, :4].astype(int), axis=-1).max() == 0
    assert np.ptp(heated[:, 4:].astype(int), axis=-1).min() > 0


def test_a_grid_that_does_not_divide_the_image_covers_it() -> None:
    assert (heat_panels(make_completion(nothing(5, 7), grid=(2, 3, 3)))[0].marks == IMAGINED).all()


@pytest.mark.parametrize(("bits", "top"), [(0.0, 1), (0.3, 1), (3.0, 3), (6.2, 7)])
def test_the_scale_reaches_the_highest_entropy_in_whole_bits(bits: float, top: int) -> None:
    completion = make_completion(upper_half())
    completion.sampled.entropy[..., 1, :] = bits * np.log(2) * (1 - 1e-6)
    assert top_of_scale(completion) == top


def test_a_completion_of_which_all_was_given_has_a_scale_and_no_heat() -> None:
    completion = make_completion(torch.ones(1, 8, 8, dtype=torch.bool))
    assert top_of_scale(completion) == 1
    assert np.ptp(heat_panels(completion)[0].pixels, axis=-1).max() == 0


def test_the_scale_runs_through_the_colours_of_the_images() -> None:
    scale = np.asarray(draw_scale(8))
    ramp = scale[8, 6:262]
    assert (ramp == mixed(np.full((256, 3), 128), np.arange(256))).all()


def test_heat_is_the_colour_map_inferno_of_matplotlib() -> None:
    colours = colormaps["inferno"](np.linspace(0, 1, 256))[:, :3]
    assert np.array_equal(HEAT, (255 * colours).round().astype(np.uint8))
