"""Distances among continuations and to the truth."""

import pytest
import torch

from experiments.diversity import mean_diversity, measure_diversity
from sampling.completion import Completion


def make_completion(levels: list[float], truth_level: float = 0.0, given: int = 2) -> Completion:
    """One prompt of a 4-frame clip in black; continuation i is of brightness levels[i] from frame 2 on."""
    continuations = torch.full((1, len(levels), 3, 4, 4, 4), -1.0)
    for number, level in enumerate(levels):
        continuations[0, number, :, 2:] = level
    originals = torch.full((1, 3, 4, 4, 4), -1.0)
    originals[:, :, 2:] = truth_level
    tokens = torch.tensor([[[7, 7, round(10 * level), round(10 * level)] for level in levels]])
    truth = torch.tensor([[7, 7, round(10 * truth_level), round(10 * truth_level)]])
    return Completion(originals, continuations, tokens, truth, given)


def test_equal_continuations_have_no_distance() -> None:
    completion = make_completion([0.5, 0.5, 0.5])
    assert measure_diversity(completion, completion.originals, "half-clip")[0].pairwise == 0


def test_pairwise_is_the_root_mean_square_on_the_scale_of_one() -> None:
    completion = make_completion([-1.0, 1.0])
    assert measure_diversity(completion, completion.originals, "half-clip")[0].pairwise == pytest.approx(1.0)


def test_pairwise_averages_over_pairs() -> None:
    completion = make_completion([0.0, 0.0, 1.0])
    assert measure_diversity(completion, completion.originals, "half-clip")[0].pairwise == pytest.approx(1 / 3)


def test_distance_to_the_truth() -> None:
    completion = make_completion([0.0, 1.0], truth_level=0.0)
    assert measure_diversity(completion, completion.originals, "half-clip")[0].to_truth == pytest.approx(0.25)


def test_what_was_given_is_left_out() -> None:
    completion = make_completion([0.0, 0.0])
    reconstructions = completion.originals.clone()
    reconstructions[:, :, :2] = 1.0
    assert measure_diversity(completion, reconstructions, "half-clip")[0].to_truth == 0


def test_of_half_images_the_lower_half_counts() -> None:
    continuations = torch.zeros(1, 2, 3, 1, 4, 4)
    continuations[0, 0, :, :, :2] = 1.0
    tokens = torch.zeros(1, 2, 4, dtype=torch.int64)
    completion = Completion(torch.zeros(1, 3, 1, 4, 4), continuations, tokens, tokens[:, 0], given=2)
    assert measure_diversity(completion, completion.originals, "half-image")[0].pairwise == 0


def test_token_distances_are_shares_of_made_up_tokens() -> None:
    measure = measure_diversity(make_completion([0.0, 1.0]), torch.zeros(1, 3, 4, 4, 4), "half-clip")[0]
    assert (measure.pairwise_tokens, measure.to_truth_tokens) == (1.0, 0.5)


def test_one_continuation_is_refused() -> None:
    completion = make_completion([0.0])
    with pytest.raises(ValueError, match="at least two"):
        measure_diversity(completion, completion.originals, "half-clip")


def test_means_are_over_items() -> None:
    first = measure_diversity(make_completion([0.0, 0.0]), torch.zeros(1, 3, 4, 4, 4), "half-clip")
    second = measure_diversity(make_completion([0.0, 1.0]), torch.zeros(1, 3, 4, 4, 4), "half-clip")
    assert mean_diversity(first + second)["pairwise"] == pytest.approx(0.25)
