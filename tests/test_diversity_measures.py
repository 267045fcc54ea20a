"""Figures of the continuations of one item."""

from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_clips

from experiments.diversity.measures import embed_truths, measure
from experiments.diversity.spaces import Generated, PixelSpace, Space, TokenSpace, build_spaces
from experiments.diversity.tables import Measures

SPACES: list[Space] = [PixelSpace(), TokenSpace()]


def generated(count: int, seed: int = 0, length: int = 20, codes: int = 4) -> Generated:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(codes, (count, length), generator=generator)
    return Generated(make_clips(count, 1, 6, seed), tokens)


def rows(of: Generated, *numbers: int) -> Generated:
    return Generated(of.pixels[list(numbers)], of.tokens[list(numbers)])


def measured(continuations: Generated, truths: Generated, number: int = 0) -> Measures:
    made = {"model": continuations}
    return measure(SPACES, made, rows(truths, number), embed_truths(SPACES, truths), number)["model"]


def test_each_maker_is_measured_by_its_own_continuations() -> None:
    truths = generated(5)
    made = {"model": rows(truths, 2, 2), "other": rows(truths, 0, 1, 3), "reconstruction": rows(truths, 2)}
    figures = measure(SPACES, made, rows(truths, 2), embed_truths(SPACES, truths), 2)
    assert [figures[name].exact for name in made] == [1, 0, 1]
    assert figures["other"] == measured(made["other"], truths, 2)
    assert figures["reconstruction"].pairwise_pixel is None


def test_a_continuation_equal_to_the_truth_is_found_in_every_way() -> None:
    truths = generated(5)
    figures = measured(rows(truths, 2), truths, 2)
    assert (figures.best_pixel, figures.best_token) == (0, 0)
    assert (figures.identified_pixel, figures.identified_token) == (1, 1)
    assert (figures.retrieved, figures.exact) == (1, 1)


def test_the_truth_of_another_item_is_not_identified() -> None:
    truths = generated(5)
    figures = measured(rows(truths, 0, 1, 3, 4), truths, 2)
    assert (figures.identified_pixel, figures.identified_token, figures.exact) == (0, 0, 0)


def test_equal_truths_of_two_items_are_not_told_apart() -> None:
    truths = rows(generated(2), 0, 1, 1)
    figures = measured(rows(truths, 1), truths, 1)
    assert (figures.identified_pixel, figures.exact) == (0, 1)


def test_equal_continuations_have_no_distance() -> None:
    figures = measured(rows(generated(1, seed=1), 0, 0, 0), generated(3))
    assert (figures.pairwise_pixel, figures.pairwise_token) == (0, 0)


def test_one_continuation_has_no_pairwise_distance() -> None:
    figures = measured(generated(1, seed=1), generated(3))
    assert (figures.pairwise_pixel, figures.pairwise_token) == (None, None)
    assert figures.best_pixel == figures.truth_pixel


def test_figures_are_means_over_pairs_and_continuations() -> None:
    tokens = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]])
    truths = torch.tensor([[0, 0, 1, 1], [2, 2, 2, 2]])
    figures = measured(Generated(make_clips(3, 1, 6), tokens), Generated(make_clips(2, 1, 6, 1), truths))
    assert figures.pairwise_token == pytest.approx((0.25 + 1 + 0.75) / 3)
    assert figures.truth_token == pytest.approx((0.5 + 0.25 + 0.5) / 3)
    assert figures.best_token == 0.25
    assert figures.identified_token == 1


@pytest.mark.parametrize(("wrong", "retrieved"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.0), (20, 0.0)])
def test_nine_tokens_in_ten_are_a_retrieval(wrong: int, retrieved: float) -> None:
    truths = generated(2)
    tokens = truths.tokens[:1].clone()
    tokens[:, :wrong] += 1
    figures = measured(Generated(truths.pixels[:1], tokens), truths)
    assert (figures.retrieved, figures.exact) == (retrieved, float(wrong == 0))


@given(st.permutations(range(4)), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_order_of_continuations_changes_nothing(order: list[int], seed: int) -> None:
    continuations, truths = generated(4, seed), generated(3, seed + 1000)
    one, other = measured(continuations, truths), measured(rows(continuations, *order), truths)
    known = {name: value for name, value in asdict(one).items() if value is not None}
    assert {name: asdict(other)[name] for name in known} == pytest.approx(known, rel=1e-5)


@given(st.integers(1, 4), st.integers(2, 4), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_figures_stay_within_their_bounds(n: int, items: int, codes: int, seed: int) -> None:
    figures = measured(generated(n, seed, codes=codes), generated(items, seed + 1000, codes=codes), items - 1)
    assert all(0 <= value <= 1 for value in asdict(figures).values() if value is not None)
    assert figures.best_pixel <= figures.truth_pixel * (1 + 1e-6)
    assert figures.best_token <= figures.truth_token * (1 + 1e-6)
    assert figures.exact <= figures.retrieved


def test_spaces_that_were_not_asked_for_have_no_figures() -> None:
    figures = asdict(measured(generated(2), generated(3, seed=1)))
    missing = {name for name, value in figures.items() if value is None}
    assert missing == {name for name in figures if name.endswith(("_perceptual", "_feature"))}


def test_networks_measure_as_pixels_do() -> None:
    spaces = build_spaces("efficientnet-lite0", "efficientnet-lite0", torch.device("cpu"))
    truths = generated(3)
    made = {"model": rows(truths, 1, 0)}
    figures = measure(spaces, made, rows(truths, 1), embed_truths(spaces, truths), 1)["model"]
    assert figures.best_perceptual == pytest.approx(0, abs=1e-6)
    assert figures.best_feature == pytest.approx(0, abs=1e-6)
    # One continuation is the truth, so the mean distance to it is half of that between the two.
    assert figures.truth_perceptual == pytest.approx(figures.pairwise_perceptual / 2, rel=1e-3)
    assert figures.truth_feature == pytest.approx(figures.pairwise_feature / 2, rel=1e-3)
    assert figures.identified_feature == 0.5


def test_perceptual_vectors_of_all_truths_are_not_kept() -> None:
    spaces = build_spaces("efficientnet-lite0", "none", torch.device("cpu"))
    assert sorted(embed_truths(spaces, generated(2))) == ["pixel", "token"]


def test_one_item_alone_cannot_be_identified() -> None:
    with pytest.raises(ValueError, match="at least 2 items: raise --items"):
        embed_truths(SPACES, generated(1))
