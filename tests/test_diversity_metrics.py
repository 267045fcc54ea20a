"""Metrics of the continuations of one item."""

from dataclasses import asdict, replace
from itertools import combinations
from statistics import fmean

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_clips
from torch import Tensor

from experiments.diversity.distances import (
    EmbeddingDistance,
    Generated,
    PixelDistance,
    TokenDistance,
    build_distances,
)
from experiments.diversity.metrics import best_of_some, embed_truths, expected_best, measure, measure_completions
from experiments.diversity.tables import ContinuationMetrics
from sampling.completion import Completion
from sampling.sampled import Sampled

DISTANCES: list[EmbeddingDistance] = [PixelDistance(), TokenDistance()]


def generated(count: int, seed: int = 0, length: int = 20, codes: int = 4) -> Generated:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(codes, (count, length), generator=generator)
    return Generated(make_clips(count, 1, 6, seed), tokens)


def rows(of: Generated, *indices: int) -> Generated:
    return Generated(of.pixels[list(indices)], of.tokens[list(indices)])


def measured(continuations: Generated, truths: Generated, item: int = 0) -> ContinuationMetrics:
    made = {"model": continuations}
    return measure(DISTANCES, made, rows(truths, item), embed_truths(DISTANCES, truths), item)["model"].metrics


def test_each_maker_is_measured_by_its_own_continuations() -> None:
    truths = generated(5)
    made = {"model": rows(truths, 2, 2), "other": rows(truths, 0, 1, 3), "reconstruction": rows(truths, 2)}
    metrics = measure(DISTANCES, made, rows(truths, 2), embed_truths(DISTANCES, truths), 2)
    assert [metrics[name].metrics.exact for name in made] == [1, 0, 1]
    assert metrics["other"].metrics == measured(made["other"], truths, 2)
    assert metrics["reconstruction"].metrics.pairwise_pixel is None


def test_a_continuation_equal_to_the_truth_is_found_by_every_metric() -> None:
    truths = generated(5)
    metrics = measured(rows(truths, 2), truths, 2)
    assert (metrics.best_pixel, metrics.best_token) == (0, 0)
    assert (metrics.identified_pixel, metrics.identified_token) == (1, 1)
    assert (metrics.retrieved, metrics.exact) == (1, 1)


def test_the_truth_of_another_item_is_not_identified() -> None:
    truths = generated(5)
    metrics = measured(rows(truths, 0, 1, 3, 4), truths, 2)
    assert (metrics.identified_pixel, metrics.identified_token, metrics.exact) == (0, 0, 0)


def test_equal_truths_of_two_items_are_not_told_apart() -> None:
    truths = rows(generated(2), 0, 1, 1)
    metrics = measured(rows(truths, 1), truths, 1)
    assert (metrics.identified_pixel, metrics.exact) == (0, 1)


def test_equal_continuations_have_no_distance() -> None:
    metrics = measured(rows(generated(1, seed=1), 0, 0, 0), generated(3))
    assert (metrics.pairwise_pixel, metrics.pairwise_token) == (0, 0)


def test_one_continuation_has_no_pairwise_distance() -> None:
    metrics = measured(generated(1, seed=1), generated(3))
    assert (metrics.pairwise_pixel, metrics.pairwise_token) == (None, None)
    assert metrics.best_pixel == metrics.truth_pixel


def test_metrics_are_means_over_pairs_and_continuations() -> None:
    tokens = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]])
    truths = torch.tensor([[0, 0, 1, 1], [2, 2, 2, 2]])
    metrics = measured(Generated(make_clips(3, 1, 6), tokens), Generated(make_clips(2, 1, 6, 1), truths))
    assert metrics.pairwise_token == pytest.approx((0.25 + 1 + 0.75) / 3)
    assert metrics.truth_token == pytest.approx((0.5 + 0.25 + 0.5) / 3)
    assert metrics.best_token == 0.25
    assert metrics.identified_token == 1


@pytest.mark.parametrize(("wrong", "retrieved"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.0), (20, 0.0)])
def test_nine_tokens_in_ten_are_a_retrieval(wrong: int, retrieved: float) -> None:
    truths = generated(2)
    tokens = truths.tokens[:1].clone()
    tokens[:, :wrong] += 1
    metrics = measured(Generated(truths.pixels[:1], tokens), truths)
    assert (metrics.retrieved, metrics.exact) == (retrieved, float(wrong == 0))


@given(st.permutations(range(4)), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_order_of_continuations_changes_nothing(order: list[int], seed: int) -> None:
    continuations = generated(4, seed)
    truths = generated(3, seed + 1000)
    one = measured(continuations, truths)
    other = measured(rows(continuations, *order), truths)
    known = {name: value for name, value in asdict(one).items() if value is not None}
    assert {name: asdict(other)[name] for name in known} == pytest.approx(known, rel=1e-5)


@given(st.integers(1, 4), st.integers(2, 4), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_metrics_stay_within_their_bounds(n: int, items: int, codes: int, seed: int) -> None:
    metrics = measured(generated(n, seed, codes=codes), generated(items, seed + 1000, codes=codes), items - 1)
    assert all(0 <= value <= 1 for value in asdict(metrics).values() if value is not None)
    assert metrics.best_pixel <= metrics.truth_pixel * (1 + 1e-6)
    assert metrics.best_token <= metrics.truth_token * (1 + 1e-6)
    assert metrics.exact <= metrics.retrieved


def test_distances_that_were_not_asked_for_have_no_metrics() -> None:
    metrics = asdict(measured(generated(2), generated(3, seed=1)))
    missing = {name for name, value in metrics.items() if value is None}
    assert missing == {name for name in metrics if name.endswith(("_perceptual", "_feature"))}


def test_networks_measure_as_pixels_do() -> None:
    distances = build_distances("efficientnet-lite0", "efficientnet-lite0", torch.device("cpu"))
    truths = generated(3)
    made = {"model": rows(truths, 1, 0)}
    metrics = measure(distances, made, rows(truths, 1), embed_truths(distances, truths), 1)["model"].metrics
    assert metrics.best_perceptual == pytest.approx(0, abs=1e-6)
    assert metrics.best_feature == pytest.approx(0, abs=1e-6)
    # One continuation is the truth, so the mean distance to it is half of that between the two.
    assert metrics.truth_perceptual == pytest.approx(metrics.pairwise_perceptual / 2, rel=1e-3)
    assert metrics.truth_feature == pytest.approx(metrics.pairwise_feature / 2, rel=1e-3)
    assert metrics.identified_feature == 0.5


def test_perceptual_vectors_of_all_truths_are_not_kept() -> None:
    distances = build_distances("efficientnet-lite0", "none", torch.device("cpu"))
    assert sorted(embed_truths(distances, generated(2))) == ["pixel", "token"]


def test_one_item_alone_cannot_be_identified() -> None:
    with pytest.raises(ValueError, match="at least 2 items: raise --items"):
        embed_truths(DISTANCES, generated(1))


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
    return Completion(
        original=truth,
        reconstruction=truth,
        continuations=continuations,
        sampled=Sampled.without_scores(make_tokens(continuations[:, 0])),
        truth=make_tokens(truth[0]),
        given=mask,
        given_pixels=mask,
        window_starts=(),
    )


def make_tokens(brightness: Tensor) -> Tensor:
    return (10 * brightness).round().long() + 10


def test_distances_are_means_over_items() -> None:
    metrics = measure_completions([make_completion([0.0, 0.0], 0.0), make_completion([0.0, 1.0], 1.0)])
    assert (metrics["pairwise"], metrics["to_truth"]) == pytest.approx((0.25, 0.125))


def test_token_distances_are_shares_of_made_up_tokens() -> None:
    metrics = measure_completions([make_completion([0.0, 0.0], 0.0), make_completion([0.0, 1.0], 1.0)])
    assert (metrics["pairwise_tokens"], metrics["to_truth_tokens"]) == (0.5, 0.25)


def test_a_continuation_nearest_to_its_own_truth_is_identified() -> None:
    metrics = measure_completions([make_completion([0.0, 0.1], 0.0), make_completion([0.9, 0.0], 1.0)])
    assert metrics["identified"] == 0.75


def test_of_half_images_the_lower_half_counts() -> None:
    completions = [make_completion([level, level], level, given=(1, 2)) for level in (0.0, 1.0)]
    changed = completions[0].continuations.clone()
    changed[0, :, :, :2] = 1.0
    metrics = measure_completions([replace(completions[0], continuations=changed), completions[1]])
    assert metrics["pairwise"] == 0


def test_of_half_clips_the_second_half_counts() -> None:
    completions = [make_completion([level, level], level) for level in (0.0, 1.0)]
    changed = completions[0].continuations.clone()
    changed[0, :, :2] = 1.0
    metrics = measure_completions([replace(completions[0], continuations=changed), completions[1]])
    assert metrics["pairwise"] == 0


def test_a_single_item_cannot_be_mistaken_for_another() -> None:
    metrics = measure_completions([make_completion([0.0, 1.0], 1.0)])
    assert metrics["to_truth"] == pytest.approx(0.25)
    assert "identified" not in metrics


def test_one_continuation_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        measure_completions([make_completion([0.0], 0.0), make_completion([0.0], 1.0)])


def test_continuations_without_a_truth_are_refused() -> None:
    completion = replace(make_completion([0.0, 1.0], 0.0), original=None, reconstruction=None, truth=None)
    with pytest.raises(ValueError, match="there is no truth to compare with"):
        measure_completions([completion, completion])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.data())
def test_the_best_of_some_is_expected_over_all_choices(distances: list[float], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(distances)))
    every = fmean(min(chosen) for chosen in combinations(distances, size))
    assert expected_best(torch.tensor(distances, dtype=torch.float64), size) == pytest.approx(every)


@pytest.mark.parametrize(("drawn", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_the_best_is_told_of_one_two_four_and_all(drawn: int, sizes: list[int]) -> None:
    found = best_of_some({"pixel": torch.rand(drawn), "token": torch.rand(drawn)})
    assert [best.best_of for best in found] == sizes
    assert {(best.best_perceptual, best.best_feature) for best in found} == {(None, None)}


def test_the_best_of_one_is_the_mean_and_that_of_all_the_smallest() -> None:
    truths = generated(5)
    made = measure(DISTANCES, {"model": generated(4, seed=3)}, rows(truths, 0), embed_truths(DISTANCES, truths), 0)
    metrics, best = made["model"].metrics, made["model"].best
    assert best[0].best_pixel == pytest.approx(metrics.truth_pixel)
    assert best[-1].best_pixel == pytest.approx(metrics.best_pixel)
    assert best[-1].best_token == pytest.approx(metrics.best_token)
