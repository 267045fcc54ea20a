"""The measures of a handful of completions."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from experiments.diversity.completions import measure_completions
from sampling.completion import Completion


def make_completion(levels: list[float], truth_level: float, given: tuple[int, int] = (2, 4)) -> Completion:
    """A clip of 4x4 pixels in black, a token per pixel; what was not given is of a brightness of its own.

    Args:
        levels: of each continuation.
        truth_level: of the reconstruction.
        given: frames and rows that were given.
    """
    frames = 1 if given[1] < 4 else 4
    mask = torch.zeros(frames, 4, 4, dtype=torch.bool)
    mask[: given[0], : given[1]] = True
    truth = torch.where(mask, -1.0, truth_level).expand(3, -1, -1, -1)
    continuations = torch.stack([torch.where(mask, -1.0, level).expand(3, -1, -1, -1) for level in levels])
    tokens, known = make_tokens(continuations[:, 0]), make_tokens(truth[0])
    scores = torch.zeros(tokens.shape)
    return Completion(truth, truth, continuations, tokens, known, mask, mask, scores, scores, ())


def make_tokens(brightness: Tensor) -> Tensor:
    return (10 * brightness).round().long() + 10


def test_distances_are_means_over_items() -> None:
    figures = measure_completions([make_completion([0.0, 0.0], 0.0), make_completion([0.0, 1.0], 1.0)])
    assert (figures["pairwise"], figures["to_truth"]) == pytest.approx((0.25, 0.125))


def test_token_distances_are_shares_of_made_up_tokens() -> None:
    figures = measure_completions([make_completion([0.0, 0.0], 0.0), make_completion([0.0, 1.0], 1.0)])
    assert (figures["pairwise_tokens"], figures["to_truth_tokens"]) == (0.5, 0.25)


def test_a_continuation_nearest_to_its_own_truth_is_identified() -> None:
    figures = measure_completions([make_completion([0.0, 0.1], 0.0), make_completion([0.9, 0.0], 1.0)])
    assert figures["identified"] == 0.75


def test_of_half_images_the_lower_half_counts() -> None:
    completions = [make_completion([level, level], level, given=(1, 2)) for level in (0.0, 1.0)]
    changed = completions[0].continuations.clone()
    changed[0, :, :, :2] = 1.0
    figures = measure_completions([replace(completions[0], continuations=changed), completions[1]])
    assert figures["pairwise"] == 0


def test_of_half_clips_the_second_half_counts() -> None:
    completions = [make_completion([level, level], level) for level in (0.0, 1.0)]
    changed = completions[0].continuations.clone()
    changed[0, :, :2] = 1.0
    figures = measure_completions([replace(completions[0], continuations=changed), completions[1]])
    assert figures["pairwise"] == 0


def test_a_single_item_cannot_be_mistaken_for_another() -> None:
    figures = measure_completions([make_completion([0.0, 1.0], 1.0)])
    assert figures["to_truth"] == pytest.approx(0.25)
    assert "identified" not in figures


def test_one_continuation_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        measure_completions([make_completion([0.0], 0.0), make_completion([0.0], 1.0)])


def test_continuations_without_a_truth_are_refused() -> None:
    completion = replace(make_completion([0.0, 1.0], 0.0), original=None, reconstruction=None, truth=None)
    with pytest.raises(ValueError, match="there is no truth to compare with"):
        measure_completions([completion, completion])
