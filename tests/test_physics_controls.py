"""Controls, and whether a tokenizer keeps what a test is about."""

import numpy as np
import pytest
import torch
from physics_films import EVENT, FRAMES, VERSIONS, make_pictures
from tiny import VIDEO, make_tokenizer
from torch import Tensor

from experiments.physics.controls import (
    CONTROLS,
    Material,
    compressor,
    copy_of_last_frame,
    pixel_difference,
    reconstruction_error,
    zero_prediction,
)
from experiments.physics.erasure import Shown, least_kept, share_kept
from experiments.physics.manifest import Film
from experiments.physics.places import Scale

SCALE = Scale.of(make_tokenizer(VIDEO), 4)
EVERYWHERE = torch.ones(FRAMES, 16, 16, dtype=torch.bool)


def levels_of(versions: str) -> Tensor:
    """(3, T, H, W) uint8."""
    return torch.from_numpy(make_pictures(0, versions)).permute(3, 0, 1, 2)


def material_of(levels: Tensor, tokens: Tensor | None = None, shown: Tensor | None = None) -> Material:
    tokens = torch.zeros(SCALE.grid, dtype=torch.int64) if tokens is None else tokens
    return Material(SCALE, levels, tokens, levels / 127.5 - 1 if shown is None else shown)


def shown_of(versions: str, left: float = 1.0, reconstruction: Tensor | None = None) -> Shown:
    """A film of which a share is left between reconstructions: these are drawn towards grey."""
    film = Film(versions, "s", "q", "shape", hidden=False, possible=versions in ("AA", "BB"))
    pixels = levels_of(versions) / 255
    return Shown(film, pixels, left * pixels if reconstruction is None else reconstruction)


def test_a_copy_is_wrong_where_a_token_is_another_than_before() -> None:
    tokens = torch.zeros(SCALE.grid, dtype=torch.int64)
    tokens[2, 1, 3] = 5
    wrong = copy_of_last_frame(material_of(levels_of("AA"), tokens))
    assert wrong[0].isnan().all()
    assert torch.nonzero(wrong[1:]).tolist() == [[1, 1, 3], [2, 1, 3]]


def test_the_difference_of_pixels_is_that_to_the_frame_before() -> None:
    levels = torch.zeros(3, FRAMES, 16, 16, dtype=torch.uint8)
    levels[:, 6:, :4, :4] = 51
    difference = pixel_difference(material_of(levels))
    assert torch.nonzero(difference).tolist() == [[1, 0, 0]]
    assert float(difference[1, 0, 0]) == pytest.approx(0.2 / 4)


def test_the_first_frame_has_none_before_it() -> None:
    levels = torch.zeros(3, FRAMES, 16, 16, dtype=torch.uint8)
    levels[:, 1:] = 255
    assert pixel_difference(material_of(levels))[0].tolist() == torch.full((4, 4), 1 / 3).tolist()


def test_zero_prediction_measures_how_far_pixels_are_from_grey() -> None:
    levels = torch.zeros(3, FRAMES, 16, 16, dtype=torch.uint8)
    levels[:, :4] = 255
    assert set(zero_prediction(material_of(levels)).flatten().tolist()) == {1.0}
    levels[:] = 127
    assert float(zero_prediction(material_of(levels)).max()) < 1e-4


def test_a_compressor_is_surprised_by_noise_and_not_by_rest() -> None:
    still = compressor(material_of(levels_of("AA")))
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16), dtype=np.uint8))
    levels = levels_of("AA").clone()
    levels[:, 8:12] = noise
    noisy = compressor(material_of(levels))
    assert still.shape == SCALE.grid
    assert torch.equal(still[:2], noisy[:2])
    assert float(noisy[2].sum()) > 0.9 * 8 * noise.numel()
    assert float(still[1:].sum()) < 0.1 * float(still[0].sum())


def test_the_error_of_the_reconstruction_is_that_of_pixels_in_0_to_1() -> None:
    levels = torch.zeros(3, FRAMES, 16, 16, dtype=torch.uint8)
    shown = torch.full((3, FRAMES, 16, 16), -1.0)
    shown[:, :4, 4:8, :4] = 0.0
    error = reconstruction_error(material_of(levels, shown=shown))
    assert torch.nonzero(error).tolist() == [[0, 1, 0]]
    assert float(error[0, 1, 0]) == 0.25


def test_all_controls_give_every_token_a_number() -> None:
    for control in CONTROLS.values():
        measured = control.measure(material_of(levels_of("AB")))
        assert (measured.shape, measured.dtype) == (SCALE.grid, torch.float32)


@pytest.mark.parametrize("left", [1.0, 0.3, 0.0, -0.5])
def test_what_is_kept_is_the_share_of_the_difference_that_is_left(left: float) -> None:
    assert share_kept(shown_of("AA", left), shown_of("BB", left), EVERYWHERE) == pytest.approx(left, abs=1e-6)


def test_of_films_that_do_not_differ_nothing_can_be_kept() -> None:
    assert share_kept(shown_of("AA"), shown_of("AA"), EVERYWHERE) is None
    assert share_kept(shown_of("AA"), shown_of("BB"), torch.zeros_like(EVERYWHERE)) is None


def test_the_least_of_before_and_after_the_event_counts() -> None:
    films = [shown_of(versions) for versions in VERSIONS]
    erased = levels_of("AA").float() / 255
    erased[:, EVENT:] = 0.5 * erased[:, EVENT:] + 0.5 * levels_of("BB")[:, EVENT:] / 255
    films[0] = shown_of("AA", reconstruction=erased)
    assert least_kept(films, ~EVERYWHERE, EVENT) == pytest.approx(0.5, abs=1e-5)
    assert least_kept(films, ~EVERYWHERE, None) == pytest.approx(0.75, abs=0.01)


def test_only_pixels_of_the_object_count() -> None:
    films = [shown_of("AA"), shown_of("BB")]
    grain = torch.zeros(3, FRAMES, 16, 16)
    there = (films[0].pixels != films[1].pixels).any(dim=0)
    grain[:, ~there] = 0.5
    films[0] = Shown(films[0].film, films[0].pixels + grain, films[0].reconstruction)
    assert least_kept(films, there, None) == pytest.approx(1.0)
    assert least_kept(films, EVERYWHERE, None) != pytest.approx(1.0, abs=0.1)


def test_a_pair_is_of_a_possible_and_an_impossible_film() -> None:
    assert least_kept([shown_of("AA", 0.4), shown_of("AB", 0.4)], ~EVERYWHERE, EVENT) == pytest.approx(0.4)
