"""The extremes of a run are chosen from its tables, and drawn small, with what makes them extreme."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from completions import first_half, make_completion, upper_half
from PIL import Image, ImageColor

from data.drawing import CAPTION, MARGIN
from data.playroom.make import render_clip
from experiments.diversity.images import (
    FARTHEST,
    FRAME_SIDE,
    FRAMES,
    IMAGE_SIDE,
    LEAST_VARIED,
    MOST_COPIED,
    MOST_VARIED,
    NEAREST,
    SHOWN,
    Extreme,
    choose_extremes,
    draw_extreme,
)
from experiments.diversity.tables import AuditRow, ItemRow
from sampling.completion import Completion
from sampling.panels import BORDER

CONDITION: dict[str, Any] = {
    "model": "gpt",
    "kind": "clip",
    "training_items": 4,
    "exposures": None,
    "group": "new",
    "encoding": "alone",
    "given": 1,
    "given_share": 0.5,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "start": 0.0,
}
OTHER_METRICS: dict[str, Any] = {
    "continuation": "model",
    "n": 2,
    "generated_tokens": 4,
    "prompt_tokens_changed": 0,
    "pairwise_token": 0.0,
    "pairwise_feature": None,
    "truth_token": 0.0,
    "truth_feature": None,
    "best_token": 0.0,
    "best_feature": None,
    "identified_pixel": 0.0,
    "identified_token": 0.0,
    "identified_feature": None,
    "retrieved": 0.0,
    "exact": 0.0,
    "entropy_bits": 0.0,
    "truth_bits": 0.0,
}


def item_row(item: int, pixel: tuple[float | None, float, float], perceptual: tuple[float | None, ...]) -> ItemRow:
    """A row with its distances between continuations, to the truth, and of the nearest to the truth."""
    metrics = ("pairwise", "truth", "best")
    distances = {f"{name}_pixel": value for name, value in zip(metrics, pixel, strict=True)}
    distances |= {f"{name}_perceptual": value for name, value in zip(metrics, perceptual, strict=True)}
    return ItemRow(**CONDITION, **OTHER_METRICS, **distances, item=item, source=f"{item}.mp4")  # type: ignore[arg-type]


def audit_row(item: int, continuation: int, matching: float, own: bool = False) -> AuditRow:
    nearest = {"nearest_source": f"near-{item}.mp4", "nearest_start": 2.5}
    found = {"continuation_index": continuation, "matching": matching, "own": own, "truth_matching": 0.0}
    return AuditRow(**CONDITION, **nearest, **found, item=item, source=f"{item}.mp4")  # type: ignore[arg-type]


PERCEPTUAL = [
    item_row(3, (0.1, 0.2, 0.1), (0.5, 0.6, 0.3)),
    item_row(5, (0.2, 0.3, 0.2), (0.4, 0.5, 0.1)),
    item_row(7, (0.3, 0.1, 0.3), (0.6, 0.4, 0.2)),
]


def test_each_reason_names_the_item_whose_perceptual_distance_is_extreme() -> None:
    assert choose_extremes(PERCEPTUAL, []) == [
        Extreme(7, MOST_VARIED, 0.6),
        Extreme(5, LEAST_VARIED, 0.4),
        Extreme(5, NEAREST, 0.1),
        Extreme(3, FARTHEST, 0.6),
    ]


def test_distances_of_pixels_decide_where_there_are_no_perceptual_ones() -> None:
    rows = [replace(row, pairwise_perceptual=None, truth_perceptual=None, best_perceptual=None) for row in PERCEPTUAL]
    assert choose_extremes(rows, []) == [
        Extreme(7, MOST_VARIED, 0.3),
        Extreme(3, LEAST_VARIED, 0.1),
        Extreme(3, NEAREST, 0.1),
        Extreme(5, FARTHEST, 0.3),
    ]


def test_single_continuations_are_neither_most_nor_least_varied() -> None:
    rows = [replace(row, pairwise_perceptual=None, pairwise_pixel=None) for row in PERCEPTUAL]
    assert choose_extremes(rows, []) == [Extreme(5, NEAREST, 0.1), Extreme(3, FARTHEST, 0.6)]


def test_of_equal_items_the_first_is_extreme() -> None:
    rows = [replace(PERCEPTUAL[0], item=item) for item in (4, 2)]
    assert {extreme.item for extreme in choose_extremes(rows, [audit_row(4, 0, 0.5), audit_row(2, 0, 0.5)])} == {4}


def test_the_continuation_most_like_another_training_item_is_named_with_it() -> None:
    audit = [audit_row(3, 0, 0.2), audit_row(3, 1, 0.7), audit_row(5, 0, 1.0, own=True), audit_row(7, 0, 0.7)]
    assert choose_extremes([], audit) == [Extreme(3, MOST_COPIED, 0.7, 1, ("near-3.mp4", 2.5))]


def test_continuations_that_are_all_most_like_their_own_item_are_no_copies_of_another() -> None:
    assert choose_extremes([], [audit_row(3, 0, 1.0, own=True)]) == []


LEVELS = torch.linspace(-0.8, 0.8, 8)
"""What the pixels of eight continuations are, in [-1, 1]; those of their original are `TRUTH`, of a match `MATCH`."""
TRUTH = torch.tensor([0.9, -0.9, -0.9])
MATCH = torch.tensor([-0.9, 0.9, -0.9])


def completion_of_colours(given: torch.Tensor) -> Completion:
    """Eight continuations, each of one grey that no other has, of an original in red."""
    original = TRUTH[:, None, None, None].expand(3, *given.shape)
    continuations = LEVELS[:, None, None, None, None].expand(-1, 3, *given.shape)
    made = make_completion(given, n=8)
    return replace(made, original=original, reconstruction=original, continuations=continuations)


def draw(
    folder: Path, completion: Completion, extreme: Extreme, match: torch.Tensor | None = None, fps: float = 8.0
) -> np.ndarray:
    draw_extreme(folder / "images" / "a.png", completion, extreme, "a title", fps, match)
    with Image.open(folder / "images" / "a.png") as image:
        return np.asarray(image.convert("RGB")).astype(int)


def holds(image: np.ndarray, colour: torch.Tensor) -> bool:
    """Whether a tile of a colour (3,) in [-1, 1] is in an image; text has few pixels of any shade of grey."""
    return int((np.abs(image - (colour.numpy() + 1) * 127.5) < 2).all(axis=-1).sum()) > 1000


def shown_continuations(image: np.ndarray) -> list[int]:
    return [index for index, level in enumerate(LEVELS) if holds(image, level.expand(3))]


@pytest.mark.parametrize("given", [upper_half(), first_half()])
def test_the_first_continuations_are_shown_beside_the_original(tmp_path: Path, given: torch.Tensor) -> None:
    image = draw(tmp_path, completion_of_colours(given), Extreme(0, MOST_VARIED, 0.5))
    assert shown_continuations(image) == list(range(SHOWN))
    assert holds(image, TRUTH)


def test_the_nearest_to_the_truth_is_shown_however_many_there_are(tmp_path: Path) -> None:
    completion = completion_of_colours(upper_half())
    near_white = replace(completion, reconstruction=torch.ones_like(completion.continuations[0]))
    assert shown_continuations(draw(tmp_path, near_white, Extreme(0, NEAREST, 0.5))) == list(range(2, 8))


@pytest.mark.parametrize("given", [upper_half(), first_half()])
def test_a_continuation_is_shown_with_the_training_item_that_it_is_most_like(
    tmp_path: Path, given: torch.Tensor
) -> None:
    extreme = Extreme(0, MOST_COPIED, 0.5, 6, ("video.mp4", 2.5))
    image = draw(tmp_path, completion_of_colours(given), extreme, MATCH[:, None, None, None].expand(3, *given.shape))
    assert shown_continuations(image) == [6]
    assert holds(image, TRUTH)
    assert holds(image, MATCH)


def test_a_training_item_is_named_in_a_line_of_its_own(tmp_path: Path) -> None:
    completion = completion_of_colours(upper_half())
    clip = torch.zeros(3, 1, 8, 8)
    plain = draw(tmp_path, completion, Extreme(0, FARTHEST, 0.5))
    named = draw(tmp_path, completion, Extreme(0, MOST_COPIED, 0.5, 0, ("video.mp4", 2.5)), clip)
    assert named.shape[0] == plain.shape[0] + CAPTION + MARGIN


def test_what_is_given_imagined_and_not_shown_has_the_usual_colours(tmp_path: Path) -> None:
    image = draw(tmp_path, completion_of_colours(first_half()), Extreme(0, LEAST_VARIED, 0.5))
    for name in ("mediumblue", "crimson", "grey"):
        assert (np.abs(image - ImageColor.getrgb(name)) < 2).all(axis=-1).sum() > 1000


@pytest.mark.parametrize(("frames", "shown"), [(4, 4), (8, 8), (9, 5), (16, 8), (40, 8)])
def test_strips_hold_few_frames(tmp_path: Path, frames: int, shown: int) -> None:
    images = [
        draw(tmp_path, completion_of_colours(first_half(length)), Extreme(0, MOST_VARIED, 0.5))
        for length in (frames, FRAMES)
    ]
    cell = FRAME_SIDE + 2 * BORDER + MARGIN
    assert images[1].shape[1] - images[0].shape[1] == (FRAMES - shown) * cell


@pytest.mark.parametrize(("given", "side"), [(upper_half(200), IMAGE_SIDE), (first_half(4, 200), FRAME_SIDE)])
def test_large_images_are_made_smaller(tmp_path: Path, given: torch.Tensor, side: int) -> None:
    extreme = Extreme(0, MOST_COPIED, 0.5, 0, ("video.mp4", 2.5))
    large = draw(tmp_path, completion_of_colours(given), extreme, torch.zeros(3, *given.shape))
    small = completion_of_colours(given[:, :: 200 // 8, :: 200 // 8])
    match = torch.zeros(3, *small.given_pixels.shape)
    assert np.abs(large - draw(tmp_path, small, extreme, match)).max() < 2
    assert large.shape[1] >= 4 * side


def test_frames_that_are_shown_keep_their_times(tmp_path: Path) -> None:
    images = [
        draw(tmp_path, completion_of_colours(first_half(frames)), Extreme(0, MOST_VARIED, 0.5), fps=fps)
        for frames, fps in ((16, 16.0), (8, 8.0), (8, 16.0))
    ]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[1], images[2])


def test_the_value_and_the_number_of_continuations_stand_in_the_second_line(tmp_path: Path) -> None:
    completion = completion_of_colours(upper_half())
    fewer = replace(completion, continuations=completion.continuations[:7])
    shown = [(completion, 0.5), (completion, 0.6), (fewer, 0.5)]
    images = [draw(tmp_path, made, Extreme(0, FARTHEST, value)) for made, value in shown]
    line = slice(CAPTION + MARGIN, 2 * (CAPTION + MARGIN))
    for other in images[1:]:
        assert not np.array_equal(other[line], images[0][line])
        assert np.array_equal(np.delete(other, line, axis=0), np.delete(images[0], line, axis=0))


def test_a_window_that_begins_between_the_frames_shown_is_marked_before_the_next(tmp_path: Path) -> None:
    completion = replace(completion_of_colours(first_half(16)), window_starts=(11,))
    image = draw(tmp_path, completion, Extreme(0, MOST_VARIED, 0.5))
    orange = (np.abs(image - ImageColor.getrgb("darkorange")) < 2).all(axis=-1).sum(axis=0)
    cell = FRAME_SIDE + 2 * BORDER + MARGIN
    # Frames 12 and 14, the last two of eight, stand right of the mark.
    assert np.flatnonzero(orange > 50).tolist() == [image.shape[1] - 2 * cell - MARGIN + i for i in (3, 4, 5)]


def test_an_image_of_a_video_is_a_small_file(tmp_path: Path) -> None:
    clips = torch.stack([render_clip(0, number, 64, 16) for number in range(3)])
    made = make_completion(first_half(16, 64), n=6)
    completion = replace(made, original=clips[0], continuations=clips.repeat(2, 1, 1, 1, 1))
    draw(tmp_path, completion, Extreme(0, MOST_VARIED, 0.5))
    assert (tmp_path / "images" / "a.png").stat().st_size < 200_000
