"""Where event and object of a film are among its tokens."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from physics_films import FPS
from tiny import IMAGE, VIDEO, make_tokenizer
from torch import Tensor

from experiments.physics.manifest import Box, Film
from experiments.physics.places import Scale, cell_means, event_window, object_cells, object_pixels

SCALE = Scale.of(make_tokenizer(VIDEO), 4)
"""4 latent frames of 4 frames at 8 a second; 4x4 tokens of 4x4 pixels."""
FILM = Film("a.mp4", "s", "q", "shape", hidden=False, possible=True)


def pixels_of(*boxes: Box, sides: tuple[int, int] = (16, 16), indices: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
    return object_pixels(SCALE, boxes, np.array(indices), sides)


def test_the_scale_is_that_of_the_tokenizer() -> None:
    assert Scale((0, 4, 8, 12, 16), FPS, 16, (4, 4, 4)) == SCALE
    assert Scale.of(make_tokenizer(IMAGE), 3) == Scale((0, 1, 2, 3), FPS, 16, (3, 4, 4))


@pytest.mark.parametrize(
    ("seconds", "latent_frame"), [(0.0, 0), (0.375, 0), (0.38, 1), (0.5, 1), (1.0, 2), (1.5, 3), (5.0, 3)]
)
def test_a_time_lies_in_the_latent_frame_of_the_first_frame_at_or_after_it(seconds: float, latent_frame: int) -> None:
    assert SCALE.latent_frame(seconds) == latent_frame


@pytest.mark.parametrize(("seconds", "frame"), [(0.0, 0), (0.375, 3), (0.38, 4), (0.5, 4)])
def test_an_ending_begins_with_the_first_frame_at_or_after_its_time(seconds: float, frame: int) -> None:
    assert SCALE.frame(seconds) == frame


def test_a_visible_event_is_seen_where_it_happens_and_in_the_next_latent_frame() -> None:
    assert event_window(SCALE, [replace(FILM, event_s=1.0)]) == (2, 4)
    assert event_window(SCALE, [replace(FILM, event_s=0.5)]) == (1, 3)


def test_a_hidden_event_is_seen_when_the_object_is_to_come_back() -> None:
    film = replace(FILM, event_s=0.5, occluded_from_s=0.25, occluded_to_s=1.0)
    assert event_window(SCALE, [film]) == (1, 4)


def test_the_window_of_matched_films_holds_all_of_theirs() -> None:
    films = [replace(FILM, event_s=0.5), replace(FILM, event_s=1.0)]
    assert event_window(SCALE, films) == (1, 4)


def test_there_is_no_window_where_a_film_does_not_say() -> None:
    assert event_window(SCALE, [replace(FILM, event_s=1.0), FILM]) is None


def test_a_box_marks_its_pixels_in_its_frame() -> None:
    pixels = pixels_of(Box("a", 1, "object", 0.25, 0.5, 0.5, 1.0))
    assert torch.nonzero(pixels.any(dim=(1, 2))).flatten().tolist() == [1]
    assert pixels[1].sum() == 4 * 8
    assert bool(pixels[1, 8:, 4:8].all())


def test_a_box_counts_in_the_frames_of_the_film_that_are_shown() -> None:
    pixels = pixels_of(Box("a", 9, "object", 0, 0, 1, 1), indices=(0, 4, 9, 9))
    assert pixels.any(dim=(1, 2)).tolist() == [False, False, True, True]


def test_of_a_wide_film_the_sides_are_cut_off() -> None:
    left, middle = Box("a", 0, "object", 0.0, 0.0, 0.25, 1.0), Box("a", 1, "object", 0.25, 0.0, 0.5, 1.0)
    pixels = pixels_of(left, middle, sides=(32, 64))
    assert not pixels[0].any()
    assert pixels[1].any(dim=0).tolist() == 8 * [True] + 8 * [False]


def test_tokens_of_the_object_are_those_that_stand_for_one_of_its_pixels() -> None:
    pixels = torch.zeros(16, 16, 16, dtype=torch.bool)
    pixels[5, 3:5, 15] = True
    assert torch.nonzero(object_cells(SCALE, pixels)).tolist() == [[1, 0, 3], [1, 1, 3]]


def test_the_mean_over_the_pixels_of_a_token_is_that_of_its_frames_rows_and_columns() -> None:
    values = torch.zeros(16, 16, 16)
    values[4:8, 12:, :4] = torch.arange(64.0).view(4, 4, 4)
    means = cell_means(SCALE, values)
    assert means.shape == (4, 4, 4)
    assert torch.nonzero(means).tolist() == [[1, 3, 0]]
    assert means[1, 3, 0] == 31.5
