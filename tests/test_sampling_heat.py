"""Heat maps put the entropy of a token at its place, on a scale in bits."""

import numpy as np
import pytest
import torch
from completions import make_completion, nothing, upper_half

from sampling.heat import HEAT, SHARE, draw_scale, heat_panels, top_of_scale
from sampling.panels import IMAGINED, continuation_panels


def mixed(pixels: np.ndarray, level: int) -> np.ndarray:
    return (SHARE * HEAT[level] + (1 - SHARE) * pixels.mean(axis=-1, keepdims=True)).round()


def test_each_token_colours_the_pixels_at_its_place() -> None:
    completion = make_completion(nothing(8), grid=(2, 2, 2))
    plain, heated = continuation_panels(completion)[1].pixels, heat_panels(completion)[1].pixels
    for token, (t, y, x) in enumerate(np.ndindex(2, 2, 2)):
        place = np.s_[4 * t : 4 * t + 4, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        assert (heated[place] == mixed(plain[place], round(token / 7 * 255))).all()


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
    completion.entropy[..., 1, :] = bits * np.log(2) * (1 - 1e-6)
    assert top_of_scale(completion) == top


def test_a_completion_of_which_all_was_given_has_a_scale_and_no_heat() -> None:
    completion = make_completion(torch.ones(1, 8, 8, dtype=torch.bool))
    assert top_of_scale(completion) == 1
    assert np.ptp(heat_panels(completion)[0].pixels, axis=-1).max() == 0


def test_the_scale_runs_through_the_colours_of_the_images() -> None:
    scale = np.asarray(draw_scale(8))
    ramp = scale[8, 6:262]
    assert (ramp == mixed(np.full((256, 3), 128), np.arange(256))).all()
