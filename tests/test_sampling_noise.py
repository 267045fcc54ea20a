"""Noise: the same for the same item, continuation, position and code, and the right distribution."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, kstest
from tiny import GPT_SHORT, make_gpt
from torch import Tensor

from sampling.decode import sample
from sampling.filters import filter_logits
from sampling.noise import draw_gumbel, draw_surely, exponential_noise, place_keys, row_keys
from sampling.options import SamplingOptions
from sampling.sampled import FREE

DRAWS = 50_000
SEEDS = pytest.mark.parametrize("seed", [0, 1, 12345])


def make_logits(batch: int = 4, codes: int = 32, seed: int = 0) -> Tensor:
    return 3 * torch.randn(batch, codes, generator=torch.Generator().manual_seed(seed))


def places(rows: int, position: int = 0, seed: int = 0) -> Tensor:
    return place_keys(row_keys(seed, range(rows), 1), torch.tensor(position))


def probabilities(logits: Tensor, options: SamplingOptions) -> Tensor:
    """(V,) of logits (1, V)."""
    shares, codes = filter_logits(logits, options)
    if codes is not None:
        shares = torch.zeros_like(logits, dtype=torch.float64).scatter(1, codes, shares)
    return (shares / shares.sum())[0]


def assert_as_frequent_as_probable(drawn: Tensor, expected: Tensor) -> None:
    """A chi-square test at 1e-4 of draws of all categories that are expected five times; others are one category."""
    found = drawn.bincount(minlength=len(expected)).double()
    assert found[expected == 0].sum() == 0
    wanted = expected * len(drawn)
    likely = wanted >= 5
    wanted, found = (torch.cat([x[likely], x[~likely].sum()[None]]) for x in (wanted, found))
    statistic = float(((found - wanted) ** 2 / wanted.clamp(min=1)).sum())
    assert statistic < chi2.ppf(1 - 1e-4, int(likely.sum()))


@SEEDS
@pytest.mark.parametrize(
    "options",
    [SamplingOptions(), SamplingOptions(0.7), SamplingOptions(top_k=5), SamplingOptions(top_p=0.8, min_p=0.02)],
    ids=["plain", "temperature", "top-k", "top-p"],
)
def test_tokens_are_as_frequent_as_they_are_probable(options: SamplingOptions, seed: int) -> None:
    logits = make_logits(1, seed=seed)
    drawn = draw_gumbel(places(DRAWS, seed=seed), logits.expand(DRAWS, -1), options)
    assert_as_frequent_as_probable(drawn, probabilities(logits, options))


@SEEDS
@torch.no_grad()
def test_pairs_of_tokens_are_as_frequent_as_the_model_makes_them(seed: int) -> None:
    gpt = make_gpt(GPT_SHORT, seed=seed % 7)
    drawn = sample(gpt, torch.full((1, 2), FREE), DRAWS, seed=seed, window=1).tokens[0]
    first = gpt(gpt.with_bos(torch.zeros(1, 0, dtype=torch.int64)))[:, -1].double().softmax(dim=-1)[0]
    second = gpt(gpt.with_bos(torch.arange(32)[:, None]))[:, -1].double().softmax(dim=-1)
    assert_as_frequent_as_probable(drawn[:, 0] * 32 + drawn[:, 1], (first[:, None] * second).flatten())


@SEEDS
def test_noise_is_exponential(seed: int) -> None:
    assert kstest(exponential_noise(places(50, seed=seed), torch.arange(1000)).flatten().numpy(), "expon").pvalue > 1e-4


@pytest.mark.parametrize("axis", ["rows", "positions", "codes"])
def test_neighbours_have_independent_noise(axis: str) -> None:
    if axis == "rows":
        noise = exponential_noise(places(DRAWS), torch.arange(1))[:, 0]
    elif axis == "positions":
        noise = exponential_noise(place_keys(row_keys(0, [0], 1), torch.arange(DRAWS)), torch.arange(1))[:, 0]
    else:
        noise = exponential_noise(places(1), torch.arange(DRAWS))[0]
    # The standard error of a correlation of so many independent numbers is 1 / sqrt(DRAWS); four of these.
    assert abs(float(torch.corrcoef(torch.stack([noise[:-1], noise[1:]]))[0, 1])) < 4 * DRAWS**-0.5


def test_the_generator_is_splitmix64() -> None:
    """The first outputs for the seed 1234567, as all implementations give them."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    found = place_keys(torch.tensor([1234567]), torch.arange(5))
    assert [value % 2**64 for value in found.tolist()] == published


def test_noise_is_never_zero_nor_infinite() -> None:
    noise = exponential_noise(places(100), torch.arange(10_000))
    assert bool((noise > 0).all())
    assert bool(noise.isfinite().all())


@settings(max_examples=20)
@given(items=st.lists(st.integers(0, 10**6), min_size=1, max_size=5, unique=True), n=st.integers(1, 4))
def test_a_row_has_the_key_of_its_item_and_continuation(items: list[int], n: int) -> None:
    alone = torch.cat([row_keys(3, [item], n) for item in items])
    assert torch.equal(row_keys(3, items, n), alone)
    assert torch.equal(row_keys(3, items, n + 1).view(-1, n + 1)[:, :n].flatten(), alone)
    assert len(alone.unique()) == len(items) * n


def test_large_seeds_do_not_share_keys_with_items() -> None:
    assert row_keys(2**32, [0, 1, 2], 1).tolist() != row_keys(0, [1], 3).tolist()
    assert len(torch.cat([row_keys(seed, range(8), 4) for seed in (0, 1, 2**32, 2**62)]).unique()) == 4 * 32


@settings(max_examples=20)
@given(codes=st.lists(st.integers(0, 31), min_size=1, max_size=8, unique=True), position=st.integers(0, 10**6))
def test_noise_of_some_codes_is_that_of_all(codes: list[int], position: int) -> None:
    key = places(3, position)
    assert torch.equal(exponential_noise(key, torch.tensor(codes)), exponential_noise(key, torch.arange(32))[:, codes])


@settings(max_examples=60)
@given(
    temperature=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 31, 32]),
    top_p=st.sampled_from([0.3, 0.8, 1.0]),
    min_p=st.sampled_from([0.0, 0.1]),
    tolerance=st.sampled_from([0.001, 0.05, 0.3]),
    seed=st.integers(0, 10_000),
)
def test_what_is_sure_is_drawn_from_all_logits_within_the_tolerance(
    temperature: float, top_k: int, top_p: float, min_p: float, tolerance: float, seed: int
) -> None:
    options = SamplingOptions(temperature, top_k, top_p, min_p)
    logits, keys = make_logits(64, seed=seed), places(64, seed=seed)
    tokens, sure = draw_surely(keys, logits, options, torch.full((64,), tolerance))
    assert torch.equal(tokens, draw_gumbel(keys, logits, options))
    for other in range(5):
        generator = torch.Generator().manual_seed(other)
        off = tolerance * (2 * torch.rand(logits.shape, generator=generator) - 1).sign()
        assert torch.equal(draw_gumbel(keys, logits + off, options)[sure], tokens[sure])


@pytest.mark.parametrize("options", [SamplingOptions(), SamplingOptions(top_k=8), SamplingOptions(top_p=0.9)])
def test_nearly_all_is_sure_within_a_small_tolerance(options: SamplingOptions) -> None:
    _, sure = draw_surely(places(1000), make_logits(1000), options, torch.full((1000,), 1e-6))
    assert sure.float().mean() > 0.99


@pytest.mark.parametrize("options", [SamplingOptions(), SamplingOptions(top_k=8), SamplingOptions(0.0)])
def test_nothing_is_sure_within_any_tolerance(options: SamplingOptions) -> None:
    _, sure = draw_surely(places(100), make_logits(100), options, torch.full((100,), torch.inf))
    assert not bool(sure.any())
