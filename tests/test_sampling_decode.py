"""Sampling: the cache changes no token, seeds decide everything, frequencies are the model's probabilities, and windows
slide over whole latent frames.
"""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.decode import generate, sample
from sampling.engine import RecomputingEngine
from sampling.filters import filter_logits
from sampling.noise import draw_inverse, uniform_numbers
from sampling.options import SamplingOptions
from sampling.sampled import FREE, Sampled
from sampling.sliding import Stretch, window_starts, windows

VARIANTS = pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START], ids=["rotary", "no-bos", "bos"])


def make_prompt(batch: int = 2, length: int = 4, seed: int = 0) -> Tensor:
    return torch.randint(32, (batch, length), generator=torch.Generator().manual_seed(seed))


def with_room(prompt: Tensor, length: int) -> Tensor:
    return torch.cat([prompt, prompt.new_full((len(prompt), length - prompt.shape[1]), FREE)], dim=1)


def with_frames(prompt: int, frames: int, batch: int = 1) -> Tensor:
    """Prompts of so many tokens, with room for so many latent frames of 16."""
    return with_room(make_prompt(batch, 32)[:, :prompt], 16 * frames)


def recomputed(gpt: GPT, given: Tensor, n: int, options: SamplingOptions | None = None, seed: int = 0) -> Sampled:
    return sample(gpt, given, n, options, seed, engine=RecomputingEngine(gpt))


def filtered_probabilities(logits: Tensor, options: SamplingOptions) -> Tensor:
    probabilities, tokens = filter_logits(logits, options)
    if tokens is not None:
        probabilities = torch.zeros_like(logits, dtype=torch.float64).scatter(1, tokens, probabilities)
    return probabilities / probabilities.sum(dim=-1, keepdim=True)


def make_logits(batch: int = 4, seed: int = 0) -> Tensor:
    return 3 * torch.randn(batch, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def gpt() -> GPT:
    return make_gpt()


def test_the_distributions_of_the_test_model_are_not_flat(gpt: GPT) -> None:
    """Guards the other tests here: a model that ignores its context would pass most of them."""
    tokens = make_prompt(4, 32)
    assert 0.3 < gpt(gpt.with_bos(tokens)).softmax(dim=-1).amax(dim=-1).mean() < 0.99


@settings(max_examples=40)
@given(
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 5, 32]),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.1, 0.7]),
    n=st.integers(1, 3),
    length=st.integers(0, 12),
    seed=st.integers(0, 1000),
)
@VARIANTS
def test_the_cache_changes_no_token(
    config: GPTConfig, temperature: float, top_k: int, top_p: float, min_p: float, n: int, length: int, seed: int
) -> None:
    gpt, prompt = make_gpt(config, seed=seed % 5), make_prompt(2, length, seed)
    expected = recomputed(gpt, with_room(prompt, 12), n, SamplingOptions(temperature, top_k, top_p, min_p), seed)
    assert torch.equal(generate(gpt, prompt, 12, n, temperature, top_k, top_p, seed, min_p), expected.tokens)


@VARIANTS
def test_the_cache_changes_no_token_of_a_whole_window(config: GPTConfig) -> None:
    gpt, prompt = make_gpt(config), make_prompt(1, 0)
    assert torch.equal(generate(gpt, prompt, 32, 2), recomputed(gpt, with_room(prompt, 32), 2).tokens)


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


def test_equal_prompts_of_two_items_are_continued_differently(gpt: GPT) -> None:
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
    best = gpt(gpt.with_bos(tokens))[:, :-1].argmax(dim=-1)
    assert torch.equal(tokens[:, 4:], best[:, 4:])


def test_temperature_zero_ignores_the_seed(gpt: GPT) -> None:
    first, second = (generate(gpt, make_prompt(), 32, temperature=0, seed=seed) for seed in (0, 1))
    assert torch.equal(first, second)


@pytest.mark.parametrize("option", [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}])
def test_options_that_leave_one_token_are_greedy(gpt: GPT, option: dict[str, Any]) -> None:
    greedy = generate(gpt, make_prompt(), 32, temperature=0)
    assert torch.equal(generate(gpt, make_prompt(), 32, seed=3, **option), greedy)


@settings(max_examples=50)
@given(temperature=st.floats(0.05, 5), min_p=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_min_p_leaves_what_is_likely_enough_beside_the_likeliest(temperature: float, min_p: float, seed: int) -> None:
    logits = make_logits(seed=seed)
    kept = filtered_probabilities(logits, SamplingOptions(temperature, min_p=min_p)) > 0
    plain = (logits.double() / temperature).softmax(dim=-1)
    assert torch.equal(kept, plain >= min_p * plain.amax(dim=-1, keepdim=True))


@settings(max_examples=50)
@given(top_k=st.integers(1, 32), seed=st.integers(0, 1000))
def test_top_k_leaves_the_k_likeliest(top_k: int, seed: int) -> None:
    logits = make_logits(seed=seed)
    kept = filtered_probabilities(logits, SamplingOptions(top_k=top_k)) > 0
    best = torch.zeros_like(kept).scatter(1, logits.topk(top_k).indices, True)
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
    found = draw_inverse(uniform_numbers(0, range(draws), 1, 1)[:, 0], logits, options).bincount(minlength=32)
    assert found[expected == 0].sum() == 0
    likely = expected * draws > 5
    statistic = ((found - expected * draws) ** 2 / (expected * draws))[likely].sum()
    # The mean of the chi-square statistic is its degrees of freedom, its variance twice that: five deviations.
    freedom = int(likely.sum()) - 1
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (0.49, 1), (0.51, 3), (1 - 2**-53, 3)])
def test_tokens_without_probability_are_never_chosen(uniform: float, token: int) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    assert draw_inverse(torch.tensor([uniform], dtype=torch.float64), logits, SamplingOptions()) == token


def test_uniform_numbers_are_those_of_their_item_and_continuation() -> None:
    large, small = uniform_numbers(0, range(3), 4, 10).view(3, 4, 10), uniform_numbers(0, [2, 0], 2, 5).view(2, 2, 5)
    assert torch.equal(large[[2, 0], :2, :5], small)


@pytest.fixture(scope="module")
def no_bos() -> GPT:
    return make_gpt(GPT_LEGACY)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.01}])
def test_without_a_bos_token_the_first_token_is_uniform_whatever_the_options(
    no_bos: GPT, options: dict[str, Any]
) -> None:
    first = generate(no_bos, make_prompt(1, 0), 1, n=3200, **options).flatten()
    counts = first.bincount(minlength=32)
    # A chi-square statistic of 31 degrees of freedom: five deviations above its mean.
    assert ((counts - 100.0) ** 2 / 100).sum() < 31 + 5 * 62**0.5


def test_without_a_bos_token_the_uniform_number_of_the_first_token_chooses_no_other(no_bos: GPT) -> None:
    tokens, uniform = generate(no_bos, make_prompt(2, 0), 5, 3, noise="inverse"), uniform_numbers(0, range(2), 3, 5)
    assert torch.equal(tokens[:, :, 0].flatten(), (32 * uniform[:, 0]).floor().long())
    second = no_bos(tokens[:, :, :1].flatten(0, 1))[:, -1]
    assert torch.equal(tokens[:, :, 1].flatten(), draw_inverse(uniform[:, 1], second, SamplingOptions()))


def test_without_a_bos_token_the_rest_follows_the_first(no_bos: GPT) -> None:
    tokens = generate(no_bos, make_prompt(1, 0), 32, n=3, temperature=0)[0]
    assert torch.equal(no_bos(tokens[:, :-1]).argmax(dim=-1), tokens[:, 1:])
    assert len(tokens[:, 0].unique()) == 3


def test_without_a_bos_token_continuations_do_not_depend_on_how_many_there_are(no_bos: GPT) -> None:
    few, many = (generate(no_bos, make_prompt(2, 0), 12, n) for n in (2, 5))
    assert torch.equal(many[:, :2], few)


@pytest.mark.parametrize("length", [0, 1])
def test_without_a_bos_token_short_results_have_their_length(no_bos: GPT, length: int) -> None:
    assert generate(no_bos, make_prompt(2, 0), length, n=3).shape == (2, 3, length)


def test_without_a_bos_token_a_prompt_of_full_length_comes_back(no_bos: GPT) -> None:
    prompt = make_prompt(2, 32)
    assert torch.equal(generate(no_bos, prompt, 32, n=2), prompt[:, None].expand(-1, 2, -1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 3}, "the prompt of 4 tokens is longer than the result of 3"),
        ({"length": 33}, "33 tokens do not fit the window of 32"),
        ({"n": 0}, "--n 0 must be at least 1"),
        ({"temperature": -1.0}, "--temperature -1 must not be negative"),
        ({"temperature": math.nan}, "--temperature nan must be a finite number"),
        ({"top_k": 33}, "--top-k 33 is above the 32 tokens of the vocabulary"),
        ({"min_p": -0.1}, r"--min-p -0.1 must lie in \[0, 1\]"),
        ({"min_p": 1.5}, r"--min-p 1.5 must lie in \[0, 1\]"),
        ({"top_k": -1}, "--top-k -1 must not be negative"),
        ({"top_p": 0.0}, r"--top-p 0 must lie in \(0, 1\]"),
        ({"top_p": 1.1}, r"--top-p 1.1 must lie in \(0, 1\]"),
    ],
)
def test_options_out_of_range_are_refused(gpt: GPT, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(gpt, make_prompt(), **{"length": 12, **change})


@settings(max_examples=15)
@given(mask=st.lists(st.booleans(), min_size=12, max_size=12), n=st.integers(1, 3), seed=st.integers(0, 100))
@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY], ids=["rotary", "no-bos"])
def test_what_is_given_anywhere_stays_and_the_rest_is_that_of_the_recomputing_engine(
    config: GPTConfig, mask: list[bool], n: int, seed: int
) -> None:
    gpt = make_gpt(config)
    given = make_prompt(2, 12, seed).masked_fill(~torch.tensor(mask), FREE)
    sampled = sample(gpt, given, n, seed=seed)
    assert torch.equal(sampled.tokens[:, :, torch.tensor(mask)], given[:, None, torch.tensor(mask)].expand(-1, n, -1))
    assert bool((sampled.tokens >= 0).all())
    assert torch.equal(sampled.tokens, recomputed(gpt, given, n, seed=seed).tokens)


def test_prompts_given_at_different_positions_are_refused(gpt: GPT) -> None:
    given = with_room(make_prompt(), 12)
    given[1, 8] = 3
    with pytest.raises(ValueError, match="prompts sampled together must be given at the same positions"):
        sample(gpt, given)


@pytest.mark.parametrize("options", [SamplingOptions(), SamplingOptions(0.5, top_k=3), SamplingOptions(0.0)])
def test_log_probabilities_are_those_of_the_model_itself(gpt: GPT, options: SamplingOptions) -> None:
    sampled = sample(gpt, with_room(make_prompt(), 32), 2, options)
    assert bool(sampled.log_probability[:, :, :4].isnan().all())
    nll = gpt.nll(sampled.tokens.flatten(0, 1)).view(2, 2, 32)[:, :, 4:]
    torch.testing.assert_close(sampled.log_probability[:, :, 4:], -nll, rtol=1e-4, atol=1e-5)


def test_entropies_are_those_of_the_models_distributions(gpt: GPT) -> None:
    sampled = sample(gpt, with_room(make_prompt(), 32), 2)
    assert bool(sampled.entropy[:, :, :4].isnan().all())
    tokens = sampled.tokens.flatten(0, 1)
    expected = torch.distributions.Categorical(logits=gpt(gpt.with_bos(tokens[:, :-1]))).entropy().view(2, 2, 32)
    torch.testing.assert_close(sampled.entropy[:, :, 4:], expected[:, :, 4:], rtol=1e-4, atol=1e-5)


def test_without_a_bos_token_the_first_token_has_no_score(no_bos: GPT) -> None:
    sampled = sample(no_bos, with_room(make_prompt(2, 0), 8))
    assert torch.equal(sampled.entropy.isnan().any(dim=0)[0], torch.arange(8) == 0)
    assert torch.equal(sampled.log_probability.isnan().any(dim=0)[0], torch.arange(8) == 0)


def test_a_continuation_is_that_of_its_items_index(gpt: GPT) -> None:
    given = with_room(make_prompt(3), 32)
    together = sample(gpt, given, 2).tokens
    apart = [sample(gpt, given[item : item + 1], 2, items=[item]).tokens for item in range(3)]
    assert torch.equal(torch.cat(apart), together)


def test_a_sequence_that_fits_takes_one_window() -> None:
    assert windows(GPTConfig(grid=(4, 2, 3)), 6, 24) == [Stretch(0, 6, 24)]


def test_a_longer_one_keeps_the_overlap_and_samples_the_rest() -> None:
    assert windows(GPTConfig(grid=(4, 2, 3)), 6, 36, overlap=1) == [Stretch(0, 6, 24), Stretch(18, 24, 36)]


def test_half_a_window_is_kept_by_default() -> None:
    config = GPTConfig(grid=(4, 2, 3))
    assert windows(config, 6, 60) == windows(config, 6, 60, overlap=2)


@given(frames=st.integers(2, 6), length=st.integers(1, 30), overlap=st.integers(1, 5), prompt=st.integers(0, 3))
def test_windows_sample_every_token_once_and_never_see_more_than_the_model_can(
    frames: int, length: int, overlap: int, prompt: int
) -> None:
    overlap = min(overlap, frames - 1)
    config = GPTConfig(grid=(frames, 2, 2))
    found = windows(config, prompt, 4 * length, overlap)
    assert [window.start for window in found[1:]] == [window.stop for window in found[:-1]]
    assert (found[0].start, found[-1].stop) == (prompt, 4 * length)
    assert all(window.stop - window.first <= config.window for window in found)
    assert [window.start // 4 for window in found[1:]] == list(window_starts(frames, length, overlap))


@VARIANTS
@settings(max_examples=8)
@given(prompt=st.sampled_from([0, 5, 16, 32]), frames=st.integers(3, 6), n=st.integers(1, 3), seed=st.integers(0, 50))
def test_sliding_samples_are_those_of_the_recomputing_engine(
    config: GPTConfig, prompt: int, frames: int, n: int, seed: int
) -> None:
    gpt, given = make_gpt(config), with_frames(prompt, frames, batch=2)
    expected = sample(gpt, given, n, seed=seed, overlap=1, engine=RecomputingEngine(gpt))
    assert torch.equal(sample(gpt, given, n, seed=seed, overlap=1).tokens, expected.tokens)


@VARIANTS
def test_the_first_window_does_not_depend_on_how_much_follows(config: GPTConfig) -> None:
    gpt = make_gpt(config)
    short, long = (sample(gpt, with_frames(16, frames)).tokens for frames in (2, 5))
    assert torch.equal(long[:, :, :32], short)


@torch.no_grad()
def test_a_later_window_forgets_what_lies_before_its_overlap() -> None:
    gpt = make_gpt()
    sampled = sample(gpt, with_frames(8, 3), overlap=1)
    kept, next_token = sampled.tokens[0, :, 16:32], sampled.tokens[0, 0, 32]
    expected = gpt(gpt.with_bos(kept))[0, -1].log_softmax(dim=-1)[next_token]
    torch.testing.assert_close(sampled.log_probability[0, 0, 32], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("grid", "prompt", "length", "overlap", "message"),
    [
        ((1, 4, 4), 0, 32, None, "32 tokens do not fit the window of 16, .* and holds only one"),
        ((2, 2, 2), 0, 18, None, "18 tokens do not fit the window of 8, which slides over whole latent frames of 4"),
        ((2, 2, 2), 9, 16, None, "a prompt of 9 tokens is longer than the window of 8: give less"),
        ((2, 2, 2), 0, 16, 0, "--overlap 0 must lie in 1 to 1"),
        ((2, 2, 2), 0, 16, 2, "--overlap 2 must lie in 1 to 1"),
        ((2, 2, 2), 9, 8, None, "the prompt of 9 tokens is longer than the result of 8"),
    ],
)
def test_what_does_not_fit_the_window_is_refused(
    grid: tuple[int, int, int], prompt: int, length: int, overlap: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        windows(GPTConfig(grid=grid), prompt, length, overlap)


def test_what_was_sampled_is_taken_apart_prompt_by_prompt(gpt: GPT) -> None:
    sampled = sample(gpt, with_room(make_prompt(3), 32), 2)
    assert torch.equal(torch.stack([of_prompt.entropy[:, 4:] for of_prompt in sampled]), sampled.entropy[:, :, 4:])
    assert torch.equal(sampled[2].tokens, sampled.tokens[2])
    assert (len(sampled), len(sampled[0])) == (3, 2)


def test_sequences_become_grids_with_their_scores(gpt: GPT) -> None:
    sampled = sample(gpt, with_room(make_prompt(), 32), 3)
    grids = sampled.cpu().unflatten((2, 4, 4))
    assert grids.tokens.shape == grids.log_probability.shape == grids.entropy.shape == (2, 3, 2, 4, 4)
    assert torch.equal(grids.tokens.flatten(2), sampled.tokens)


def test_scores_are_hidden_where_tokens_were_given(gpt: GPT) -> None:
    sampled = sample(gpt, with_room(make_prompt(), 32), 3)
    given = torch.arange(32) % 3 == 0
    hidden = sampled.hide_scores(given)
    assert torch.equal(hidden.tokens, sampled.tokens)
    assert bool(hidden.log_probability[..., given].isnan().all())
    assert torch.equal(hidden.entropy[..., 4:].isnan()[0, 0], given[4:])


def test_tokens_without_scores_have_none() -> None:
    sampled = Sampled.without_scores(make_prompt())
    assert bool(sampled.entropy.isnan().all())
    assert bool(sampled.log_probability.isnan().all())
    assert sampled.entropy.shape == sampled.tokens.shape
