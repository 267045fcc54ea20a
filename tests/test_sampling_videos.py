"""Videos show all panels at once, above a bar that says when the model imagines."""

import numpy as np
import torch
from completions import first_half, make_completion, nothing, upper_half
from PIL import ImageColor

from data.drawing import CAPTION, MARGIN
from data.frames import to_uint8
from sampling.completion import Completion
from sampling.panels import BORDER, COLOURS, GIVEN, IMAGINED, completion_panels
from sampling.stills import WINDOW_START
from sampling.videos import draw_video


def video(completion: Completion) -> np.ndarray:
    """(T, H, W, 3) uint8."""
    clip = draw_video(completion, completion_panels(completion), "name", 8.0, 16)
    return to_uint8(clip).permute(1, 2, 3, 0).numpy()


def length_of(image: np.ndarray, colour: np.ndarray) -> int:
    """The most pixels of one row that have a colour: those of the bar, which is wider than any panel."""
    return int((image == colour).all(axis=-1).sum(axis=1).max())


def test_a_video_has_as_many_frames_as_the_continuations() -> None:
    assert len(video(make_completion(first_half(8), original_frames=6))) == 8


def test_the_bar_is_blue_and_red_like_the_frames() -> None:
    given = nothing(8)
    given[:2] = True
    images = video(make_completion(given))
    blue, red = (length_of(images[-1], COLOURS[mark]) for mark in (GIVEN, IMAGINED))
    assert abs(red / (blue + red) - 3 / 4) < 0.05


def test_the_bar_is_half_blue_in_height_where_half_of_each_frame_was_given() -> None:
    images = video(make_completion(upper_half().repeat(4, 1, 1)))
    runs = [(images[0] == COLOURS[mark]).all(axis=-1).sum(axis=1) for mark in (GIVEN, IMAGINED)]
    blue, red = (int((run > run.max() / 2).sum()) for run in runs)
    assert abs(blue - red) <= 1


def test_a_hand_moves_along_the_bar() -> None:
    images = video(make_completion(nothing(4)))
    black = [np.flatnonzero((image[-40:] == 0).all(axis=-1).sum(axis=0) > 10) for image in images]
    middles = [int(columns.mean()) for columns in black]
    assert middles == sorted(set(middles))


def test_a_window_that_begins_is_marked_on_the_bar() -> None:
    orange = np.array(ImageColor.getrgb(WINDOW_START))
    marked, bare = (video(make_completion(first_half(8), window_starts=starts))[0] for starts in ((6,), ()))
    assert (marked == orange).all(axis=-1).any()
    assert not (bare == orange).all(axis=-1).any()


def last_panels(images: np.ndarray) -> np.ndarray:
    """The fourth panel of each frame."""
    top, step = CAPTION + MARGIN, 16 + 2 * BORDER + MARGIN
    return images[:, top : top + step - MARGIN, MARGIN + 3 * step :]


def test_frames_of_continuations_turn_from_blue_to_red() -> None:
    images = video(make_completion(first_half(4), n=1))
    blue = [bool((panel == COLOURS[GIVEN]).all(axis=-1).any()) for panel in last_panels(images)]
    assert blue == [True, True, False, False]


def test_panels_beyond_a_row_are_shown_too() -> None:
    few, many = (video(make_completion(nothing(2), n=n)) for n in (8, 9))
    assert many.shape[1] > few.shape[1]
    assert many.shape[2] == few.shape[2]


def test_values_are_those_of_a_clip() -> None:
    completion = make_completion(nothing(2))
    clip = draw_video(completion, completion_panels(completion), "name", 8.0, 16)
    assert (clip.dtype, clip.min() >= -1, clip.max() <= 1) == (torch.float32, True, True)
