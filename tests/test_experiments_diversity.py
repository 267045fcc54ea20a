"""Distances among continuations and to the truth."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from experiments.diversity import mean_diversity, measure_diversity
from sampling.completion import Completion


def make_completion(levels: list[float], truth_level: float = 0.0, given: tuple[int, int] = (2, 4)) -> Completion:
    """A 4-frame clip of 4x4 pixels in black, a token per pixel; what was not given is of a brightness of its own.

    Args:
        levels: of each continuation.
        truth_level: of the reconstruction.
        given: frames and rows that were given.
    """
    mask = torch.zeros(4, 4, 4, dtype=torch.bool)
    mask[: given[0], : given[1]] = True
    truth = torch.where(mask, -1.0, truth_level).expand(3, -1, -1, -1)
    continuations = torch.stack([torch.where(mask, -1.0, level).expand(3, -1, -1, -1) for level in levels])
    tokens, known = make_tokens(continuations[:, 0]), make_tokens(truth[0])
    scores = torch.zeros(tokens.shape)
    return Completion(truth, truth, continuations, tokens, known, mask, mask, scores, scores, ())


def make_tokens(brightness: Tensor) -> Tensor:
    return (10 * brightness).round().long() + 10


def test_equal_continuations_have_no_distance() -> None:
    assert measure_diversity(make_completion([0.5, 0.5, 0.5])).pairwise == 0


def test_pairwise_is_the_root_mean_square_on_the_scale_of_one() -> None:
    assert measure_diversity(make_completion([-1.0, 1.0])).pairwise == pytest.approx(1.0)


def test_pairwise_averages_over_pairs() -> None:
    assert measure_diversity(make_completion([0.0, 0.0, 1.0])).pairwise == pytest.approx(1 / 3)


def test_distance_to_the_truth() -> None:
    assert measure_diversity(make_completion([0.0, 1.0], truth_level=0.0)).to_truth == pytest.approx(0.25)


def test_what_was_given_is_left_out() -> None:
    completion = make_completion([0.0, 0.0])
    reconstruction = completion.reconstruction.clone()
    reconstruction[:, :2] = 1.0
    assert measure_diversity(replace(completion, reconstruction=reconstruction)).to_truth == 0


def test_of_half_images_the_lower_half_counts() -> None:
    completion = make_completion([0.0, 0.0], given=(4, 2))
    continuations = completion.continuations.clone()
    continuations[0, :, :, :2] = 1.0
    assert measure_diversity(replace(completion, continuations=continuations)).pairwise == 0


def test_token_distances_are_shares_of_made_up_tokens() -> None:
    measure = measure_diversity(make_completion([0.0, 1.0]))
    assert (measure.pairwise_tokens, measure.to_truth_tokens) == (1.0, 0.5)


def test_beyond_the_end_of_the_original_only_continuations_are_compared() -> None:
    completion = make_completion([0.0, 1.0])
    short = replace(
        completion,
        original=completion.original[:, :3],
        reconstruction=completion.reconstruction[:, :3],
        truth=completion.truth[:3],
    )
    continuations, tokens = completion.continuations.clone(), completion.tokens.clone()
    continuations[:, :, 3], tokens[:, 3] = 0.0, 10
    measure = measure_diversity(replace(short, continuations=continuations, tokens=tokens))
    assert measure.to_truth == pytest.approx(0.25)
    assert (measure.pairwise_tokens, measure.to_truth_tokens) == (0.5, 0.5)


def test_one_continuation_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        measure_diversity(make_completion([0.0]))


def test_continuations_without_a_truth_are_refused() -> None:
    completion = replace(make_completion([0.0, 1.0]), original=None, reconstruction=None, truth=None)
    with pytest.raises(ValueError, match="there is no truth to compare with"):
        measure_diversity(completion)


def test_means_are_over_items() -> None:
    measures = [measure_diversity(make_completion(levels)) for levels in ([0.0, 0.0], [0.0, 1.0])]
    assert mean_diversity(measures)["pairwise"] == pytest.approx(0.25)
