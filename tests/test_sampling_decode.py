"""Sampling: the cache changes no token, seeds decide everything, and frequencies are the model's probabilities."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.config import SamplingOptions
from sampling.decode import (
    choose_token,
    filtered_probabilities,
    generate,
    generate_naive,
    opening,
    prefill,
    uniform_numbers,
)


def make_prompt(batch: int = 2, length: int = 4, seed: int = 0) -> Tensor:
    return torch.randint(32, (batch, length), generator=torch.Generator().manual_seed(seed))


def make_logits(batch: int = 4, seed: int = 0) -> Tensor:
    return 3 * torch.randn(batch, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def gpt() -> GPT:
    return make_gpt()


def test_the_distributions_of_the_test_model_are_not_flat(gpt: GPT) -> None:
    """Guards the other tests here: a model that ignores its context would pass most of them."""
    tokens = make_prompt(4, 32)
    assert 0.3 < gpt(gpt.with_start(tokens)).softmax(dim=-1).amax(dim=-1).mean() < 0.99


@settings(max_examples=40)
@given(
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 5, 32, 100]),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    n=st.integers(1, 3),
    length=st.integers(0, 12),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START], ids=["rotary", "no-start", "start"])
def test_the_cache_changes_no_token(
    config: GPTConfig, temperature: float, top_k: int, top_p: float, n: int, length: int, seed: int
) -> None:
    gpt, prompt = make_gpt(config, seed=seed % 5), make_prompt(2, length, seed)
    naive = generate_naive(gpt, prompt, 12, n, SamplingOptions(temperature, top_k, top_p), seed)
    assert torch.equal(generate(gpt, prompt, 12, n, temperature, top_k, top_p, seed), naive)


@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START], ids=["rotary", "no-start", "start"])
def test_the_cache_changes_no_token_of_a_whole_window(config: GPTConfig) -> None:
    gpt, prompt = make_gpt(config), make_prompt(1, 0)
    assert torch.equal(generate(gpt, prompt, 32, 2), generate_naive(gpt, prompt, 32, 2, SamplingOptions(), 0))


def test_the_result_begins_with_the_prompt(gpt: GPT) -> None:
    prompt = make_prompt()
    assert torch.equal(generate(gpt, prompt, 12, n=3)[:, :, :4], prompt[:, None].expand(-1, 3, -1))


def test_the_result_has_a_row_per_prompt_and_continuation(gpt: GPT) -> None:
    assert generate(gpt, make_prompt(), 12, n=3).shape == (2, 3, 12)


def test_a_prompt_of_full_length_comes_back(gpt: GPT) -> None:
    prompt = make_prompt(2, 32)
    assert torch.equal(generate(gpt, prompt, 32, n=2), prompt[:, None].expand(-1, 2, -1))


def test_the_same_seed_gives_the_same_tokens(gpt: GPT) -> None:
    assert torch.equal(generate(gpt, make_prompt(), 32, n=2, seed=5), generate(gpt, make_prompt(), 32, n=2, seed=5))


def test_another_seed_gives_other_tokens(gpt: GPT) -> None:
    assert not torch.equal(generate(gpt, make_prompt(), 32, seed=5), generate(gpt, make_prompt(), 32, seed=6))


def test_tokens_do_not_depend_on_torchs_own_random_state(gpt: GPT) -> None:
    torch.manual_seed(0)
    first = generate(gpt, make_prompt(), 32)
    torch.manual_seed(1)
    assert torch.equal(generate(gpt, make_prompt(), 32), first)


def test_continuations_of_one_prompt_differ(gpt: GPT) -> None:
    assert len(generate(gpt, make_prompt(1), 32, n=4)[0].unique(dim=0)) == 4


def test_equal_prompts_at_two_places_are_continued_differently(gpt: GPT) -> None:
    tokens = generate(gpt, make_prompt(1).expand(2, -1), 32)
    assert not torch.equal(tokens[0], tokens[1])


@settings(max_examples=10)
@given(n=st.integers(1, 4), more=st.integers(1, 4), seed=st.integers(0, 100))
def test_a_continuation_does_not_depend_on_how_many_there_are(n: int, more: int, seed: int) -> None:
    gpt, prompt = make_gpt(), make_prompt()
    few, many = (generate(gpt, prompt, 12, count, seed=seed) for count in (n, n + more))
    assert torch.equal(many[:, :n], few)


@settings(max_examples=10)
@given(batch=st.integers(2, 5), seed=st.integers(0, 100))
def test_a_continuation_does_not_depend_on_the_prompts_after_it(batch: int, seed: int) -> None:
    gpt, prompts = make_gpt(), make_prompt(batch, seed=seed)
    assert torch.equal(generate(gpt, prompts, 12, 2, seed=seed)[:1], generate(gpt, prompts[:1], 12, 2, seed=seed))


def test_a_continuation_does_not_depend_on_what_the_other_prompts_are(gpt: GPT) -> None:
    prompts, others = make_prompt(3), make_prompt(3, seed=1)
    others[1] = prompts[1]
    assert torch.equal(generate(gpt, prompts, 32, 2)[1], generate(gpt, others, 32, 2)[1])


def test_temperature_zero_takes_the_likeliest_token(gpt: GPT) -> None:
    tokens = generate(gpt, make_prompt(), 32, temperature=0)[:, 0]
    best = gpt(gpt.with_start(tokens))[:, :-1].argmax(dim=-1)
    assert torch.equal(tokens[:, 4:], best[:, 4:])


def test_temperature_zero_ignores_the_seed(gpt: GPT) -> None:
    first, second = (generate(gpt, make_prompt(), 32, temperature=0, seed=seed) for seed in (0, 1))
    assert torch.equal(first, second)


@pytest.mark.parametrize("option", [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}])
def test_options_that_leave_one_token_are_greedy(gpt: GPT, option: dict[str, Any]) -> None:
    greedy = generate(gpt, make_prompt(), 32, temperature=0)
    assert torch.equal(generate(gpt, make_prompt(), 32, seed=3, **option), greedy)


@settings(max_examples=50)
@given(temperature=st.floats(0.05, 5), top_k=st.integers(0, 40), top_p=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_filtered_probabilities_sum_to_one(temperature: float, top_k: int, top_p: float, seed: int) -> None:
    found = filtered_probabilities(make_logits(seed=seed), SamplingOptions(temperature, top_k, top_p))
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(4, dtype=torch.float64))


@settings(max_examples=50)
@given(top_k=st.integers(1, 40), seed=st.integers(0, 1000))
def test_top_k_leaves_the_k_likeliest(top_k: int, seed: int) -> None:
    logits = make_logits(seed=seed)
    kept = filtered_probabilities(logits, SamplingOptions(top_k=top_k)) > 0
    best = torch.zeros_like(kept).scatter(1, logits.topk(min(top_k, 32)).indices, True)
    assert torch.equal(kept, best)


@settings(max_examples=50)
@given(top_p=st.floats(0.01, 0.999), seed=st.integers(0, 1000))
def test_top_p_leaves_the_smallest_set_that_reaches_it(top_p: float, seed: int) -> None:
    logits = make_logits(seed=seed)
    for row, kept in zip(
        logits.double().softmax(dim=-1), filtered_probabilities(logits, SamplingOptions(top_p=top_p)) > 0, strict=True
    ):
        ranked = row.sort(descending=True).values
        wanted = next(size for size in range(1, 33) if ranked[:size].sum() >= top_p - 1e-12)
        assert kept.sum() == wanted
        assert row[kept].min() >= ranked[wanted - 1]


def test_what_is_left_keeps_its_proportions() -> None:
    logits, options = make_logits(), SamplingOptions(temperature=0.7, top_k=10, top_p=0.9)
    plain, found = (logits.double() / 0.7).softmax(dim=-1), filtered_probabilities(logits, options)
    kept = found > 0
    ratio = found[0][kept[0]] / plain[0][kept[0]]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


def test_without_options_probabilities_are_the_softmax() -> None:
    torch.testing.assert_close(
        filtered_probabilities(make_logits(), SamplingOptions()), make_logits().double().softmax(dim=-1)
    )


@pytest.mark.parametrize(
    "options", [SamplingOptions(), SamplingOptions(0.7), SamplingOptions(top_k=5), SamplingOptions(top_p=0.8)]
)
def test_tokens_are_as_frequent_as_they_are_probable(options: SamplingOptions) -> None:
    draws = 20_000
    logits = make_logits(1).expand(draws, -1)
    expected = filtered_probabilities(logits[:1], options)[0]
    found = choose_token(logits, uniform_numbers(0, draws, 1, 1)[:, 0], options).bincount(minlength=32)
    assert found[expected == 0].sum() == 0
    likely = expected * draws > 5
    statistic = ((found - expected * draws) ** 2 / (expected * draws))[likely].sum()
    # The mean of the chi-square statistic is its degrees of freedom, its variance twice that: five deviations.
    freedom = int(likely.sum()) - 1
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (0.49, 1), (0.51, 3), (1 - 2**-53, 3)])
def test_tokens_without_probability_are_never_chosen(uniform: float, token: int) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    assert choose_token(logits, torch.tensor([uniform], dtype=torch.float64), SamplingOptions()) == token


def test_uniform_numbers_are_those_of_their_prompt_and_continuation() -> None:
    large, small = uniform_numbers(0, 3, 4, 10).view(3, 4, 10), uniform_numbers(0, 2, 2, 5).view(2, 2, 5)
    assert torch.equal(large[:2, :2, :5], small)


def test_prefill_predicts_the_token_after_the_prompt(gpt: GPT) -> None:
    logits, _ = prefill(gpt, make_prompt(), 12)
    torch.testing.assert_close(logits, gpt(gpt.with_start(make_prompt()))[:, -1])


@pytest.fixture(scope="module")
def no_start() -> GPT:
    return make_gpt(GPT_LEGACY)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.01}])
def test_without_a_start_token_the_first_token_is_uniform_whatever_the_options(
    no_start: GPT, options: dict[str, Any]
) -> None:
    first = generate(no_start, make_prompt(1, 0), 1, n=3200, **options).flatten()
    counts = first.bincount(minlength=32)
    # A chi-square statistic of 31 degrees of freedom: five deviations above its mean.
    assert ((counts - 100.0) ** 2 / 100).sum() < 31 + 5 * 62**0.5


def test_without_a_start_token_the_number_of_the_first_token_chooses_no_other(no_start: GPT) -> None:
    uniform = uniform_numbers(0, 2, 3, 5)
    first, copies, rest = opening(no_start, make_prompt(2, 0), 3, uniform)
    assert torch.equal(first[:, 0], (32 * uniform[:, 0]).floor().long())
    assert (copies, torch.equal(rest, uniform[:, 1:])) == (1, True)


def test_without_a_start_token_the_rest_follows_the_first(no_start: GPT) -> None:
    tokens = generate(no_start, make_prompt(1, 0), 32, n=3, temperature=0)[0]
    assert torch.equal(no_start(tokens[:, :-1]).argmax(dim=-1), tokens[:, 1:])
    assert len(tokens[:, 0].unique()) == 3


def test_without_a_start_token_continuations_do_not_depend_on_how_many_there_are(no_start: GPT) -> None:
    few, many = (generate(no_start, make_prompt(2, 0), 12, n) for n in (2, 5))
    assert torch.equal(many[:, :2], few)


@pytest.mark.parametrize("length", [0, 1])
def test_without_a_start_token_short_results_have_their_length(no_start: GPT, length: int) -> None:
    assert generate(no_start, make_prompt(2, 0), length, n=3).shape == (2, 3, length)


def test_without_a_start_token_a_prompt_of_full_length_comes_back(no_start: GPT) -> None:
    prompt = make_prompt(2, 32)
    assert torch.equal(generate(no_start, prompt, 32, n=2), prompt[:, None].expand(-1, 2, -1))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"length": 3}, "the prompt of 4 tokens is longer than the result of 3"),
     ({"length": 33}, "33 tokens do not fit the window of 32"), ({"n": 0}, "--n 0 must be at least 1"),
     ({"temperature": -1.0}, "--temperature -1.0 must not be negative"),
     ({"top_k": -1}, "--top-k -1 must not be negative"), ({"top_p": 0.0}, r"--top-p 0.0 must lie in \(0, 1\]"),
     ({"top_p": 1.1}, r"--top-p 1.1 must lie in \(0, 1\]")],
)  # fmt: skip
def test_options_out_of_range_are_refused(gpt: GPT, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(gpt, make_prompt(), **{"length": 12, **change})
