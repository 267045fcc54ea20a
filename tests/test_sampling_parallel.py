"""Parallel decoding: whatever the window, the tokens are those of one at a time."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_IMAGEGPT, GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_tokens
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling import parallel
from sampling.decode import generate, sample
from sampling.engine import CachedEngine, RecomputingEngine
from sampling.options import SamplingOptions
from sampling.parallel import DecodingCounts, logit_tolerance, widest_worthwhile
from sampling.sampled import FREE

VARIANTS = pytest.mark.parametrize(
    "config",
    [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START, GPT_IMAGEGPT],
    ids=["rotary", "no-bos", "bos", "imagegpt"],
)


def with_room(prompt: int, length: int, batch: int = 2, seed: int = 0) -> Tensor:
    return make_tokens(batch, length, seed=seed).masked_fill(torch.arange(length) >= prompt, FREE)


@pytest.fixture(scope="module")
def gpt() -> GPT:
    return make_gpt()


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding could change about every other token."""
    monkeypatch.setattr(parallel, "logit_tolerance", lambda logits, config, half: torch.full(logits.shape[:-1], 0.2))


@settings(max_examples=12)
@given(
    window=st.integers(2, 12),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 5, 32]),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.1, 0.7]),
    n=st.integers(1, 3),
    prompt=st.integers(0, 11),
    seed=st.integers(0, 1000),
)
@VARIANTS
def test_no_window_changes_a_token(
    config: GPTConfig,
    window: int,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    n: int,
    prompt: int,
    seed: int,
) -> None:
    gpt, rows = make_gpt(config, seed=seed % 5), with_room(prompt, 16, seed=seed)
    options = SamplingOptions(temperature, top_k, top_p, min_p)
    found, alone = (sample(gpt, rows, n, options, seed, window=each) for each in (min(window, 16 - prompt), 1))
    assert torch.equal(found.tokens, alone.tokens)
    torch.testing.assert_close(found.log_probability, alone.log_probability, rtol=1e-4, atol=1e-5, equal_nan=True)
    torch.testing.assert_close(found.entropy, alone.entropy, rtol=1e-4, atol=1e-5, equal_nan=True)


@VARIANTS
def test_the_tokens_are_those_of_the_recomputing_engine(config: GPTConfig) -> None:
    gpt, rows = make_gpt(config), with_room(4, 32)
    assert torch.equal(
        sample(gpt, rows, 2, window=8).tokens, sample(gpt, rows, 2, engine=RecomputingEngine(gpt)).tokens
    )


@settings(max_examples=6)
@given(mask=st.lists(st.booleans(), min_size=14, max_size=14), window=st.integers(2, 8), seed=st.integers(0, 100))
def test_what_is_given_anywhere_stays(mask: list[bool], window: int, seed: int) -> None:
    gpt, given = make_gpt(), torch.tensor([False, True, *mask])
    rows = make_tokens(2, 16, seed=seed).masked_fill(~given, FREE)
    found, alone = (sample(gpt, rows, 2, seed=seed, window=each) for each in (window, 1))
    assert torch.equal(found.tokens, alone.tokens)
    assert torch.equal(found.tokens[:, :, given], rows[:, None, given].expand(-1, 2, -1))


@pytest.mark.parametrize("frames", [3, 4, 5])
def test_a_window_that_slides_changes_no_token(gpt: GPT, frames: int) -> None:
    rows = with_room(20, 16 * frames)
    found, alone = (sample(gpt, rows, 2, overlap=1, window=each) for each in (6, 1))
    assert torch.equal(found.tokens, alone.tokens)


@settings(max_examples=6)
@given(window=st.integers(2, 8), n=st.integers(1, 3), seed=st.integers(0, 100))
@VARIANTS
@pytest.mark.usefixtures("doubtful")
def test_doubtful_tokens_are_drawn_again_and_the_same(config: GPTConfig, window: int, n: int, seed: int) -> None:
    gpt, rows, counts = make_gpt(config), with_room(3, 16, seed=seed), DecodingCounts()
    found = sample(gpt, rows, n, seed=seed, window=window, counts=counts)
    assert torch.equal(found.tokens, sample(gpt, rows, n, seed=seed, window=1).tokens)
    assert counts.recomputed > 0


def test_a_token_that_is_drawn_again_has_the_very_scores_of_one_at_a_time(
    gpt: GPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        parallel, "logit_tolerance", lambda logits, config, half: torch.full(logits.shape[:-1], math.inf)
    )
    counts = DecodingCounts()
    found = sample(gpt, with_room(3, 16), 2, window=4, counts=counts)
    alone = sample(gpt, with_room(3, 16), 2, window=1)
    assert torch.equal(found.log_probability[..., 3:], alone.log_probability[..., 3:])
    assert counts.recomputed == counts.tokens - 4


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("window", [5, 12])
def test_everything_drawn_again_has_the_very_scores_of_one_at_a_time_to_the_end(
    n: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With layers so wide that windows do round otherwise, also in the last window, which begins before its tokens."""
    endless = partial(torch.full, fill_value=math.inf)
    monkeypatch.setattr(parallel, "logit_tolerance", lambda logits, config, half: endless(logits.shape[:-1]))
    gpt = make_gpt(GPTConfig(layers=2, heads=2, width=128, grid=(2, 4, 4), vocab_size=64))
    found, alone = (sample(gpt, with_room(8, 32), n, window=each) for each in (window, 1))
    assert torch.equal(found.log_probability[..., 8:], alone.log_probability[..., 8:])


def test_without_doubt_nothing_is_drawn_again(gpt: GPT) -> None:
    counts = DecodingCounts()
    sample(gpt, with_room(3, 16), 2, window=4, counts=counts)
    assert counts.recomputed == 0


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), window=st.integers(1, 10), n=st.integers(1, 3))
def test_every_token_is_counted_once(seed: int, window: int, n: int) -> None:
    counts = DecodingCounts()
    sample(make_gpt(), with_room(6, 16), n, seed=seed, window=window, counts=counts)
    assert counts.tokens == 2 * n * 10


@pytest.mark.parametrize("window", [1, 4])
def test_tokens_that_are_given_behind_free_ones_are_not_counted(gpt: GPT, window: int) -> None:
    rows, counts = with_room(4, 16), DecodingCounts()
    rows[:, 8:12] = 3
    sample(gpt, rows, window=window, counts=counts)
    assert counts.tokens == 2 * 8


def test_one_at_a_time_takes_a_pass_for_every_token(gpt: GPT) -> None:
    counts = DecodingCounts()
    sample(gpt, with_room(4, 16), window=1, counts=counts)
    assert (counts.passes, counts.offered) == (12, [])


def test_drafts_that_are_right_save_passes(gpt: GPT) -> None:
    counts = DecodingCounts()
    sample(gpt, with_room(4, 32), window=8, counts=counts)
    assert counts.passes < 28
    assert 0 < sum(counts.accepted) < sum(counts.offered)


def make_certain_gpt() -> GPT:
    """A GPT whose tokens are all 0."""
    gpt = make_gpt(GPT_LEGACY_START)
    with torch.no_grad():
        gpt.norm.weight.zero_()
        gpt.norm.bias.fill_(1.0)
        gpt.head.weight.zero_()
        gpt.head.weight[0] = 10.0
    return gpt


def test_drafts_that_are_always_right_leave_a_pass_for_every_window() -> None:
    counts = DecodingCounts()
    sample(make_certain_gpt(), torch.full((1, 32), FREE), window=8, counts=counts)
    assert counts.passes == 1 + math.ceil(31 / 8)


def test_the_first_token_of_a_model_without_bos_is_counted() -> None:
    counts = DecodingCounts()
    sample(make_gpt(GPT_LEGACY), torch.full((1, 32), FREE), window=4, counts=counts)
    assert counts.tokens == 32


def test_drafts_that_are_given_are_not_counted(gpt: GPT) -> None:
    counts = DecodingCounts()
    rows = make_tokens(1, 32)
    rows[:, [4, 20]] = FREE
    sample(gpt, rows, window=2, counts=counts)
    assert (counts.tokens, sum(counts.offered)) == (2, 1)


def test_a_window_is_narrower_than_what_is_left(gpt: GPT) -> None:
    with pytest.raises(ValueError, match="--window 13 must lie in 1 to the 12 tokens that are sampled, or be auto"):
        generate(gpt, make_tokens(1, 4), 16, window=13)


def test_a_window_has_a_token(gpt: GPT) -> None:
    with pytest.raises(ValueError, match="--window 0 must lie in 1 to the 12 tokens that are sampled, or be auto"):
        generate(gpt, make_tokens(1, 4), 16, window=0)


def test_a_window_needs_noise_of_every_code(gpt: GPT) -> None:
    with pytest.raises(ValueError, match="--window 4 needs --noise gumbel, not inverse"):
        generate(gpt, make_tokens(1, 4), 16, window=4, noise="inverse")


def test_by_itself_inverse_noise_goes_one_token_at_a_time(gpt: GPT) -> None:
    counts = DecodingCounts()
    sample(gpt, with_room(4, 16), options=SamplingOptions(noise="inverse"), counts=counts)
    assert counts.passes == 12


def test_by_itself_a_window_becomes_narrow_where_drafts_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "pass_cost", lambda gpt, rows, width: 6.0 if width == 16 else 99.0)
    monkeypatch.setattr(parallel, "WORTHWHILE", 0.0)
    monkeypatch.setattr(parallel, "TRIAL", 2)
    gpt = make_gpt(GPTConfig(layers=1, heads=2, width=16, grid=(2, 8, 8), vocab_size=256))
    counts = DecodingCounts()
    found = sample(gpt, torch.full((1, 128), FREE), counts=counts)
    assert torch.equal(found.tokens, sample(gpt, torch.full((1, 128), FREE), window=1).tokens)
    assert len(counts.offered) == 15
    assert counts.offered[14] < counts.offered[6] < counts.offered[2]


@pytest.mark.parametrize(("rows", "window"), [(1, 16), (2, 8), (6, 1)])
def test_more_rows_have_narrower_windows(rows: int, window: int) -> None:
    gpt = GPT(GPTConfig(layers=1, heads=12, width=768, grid=(4, 16, 16), vocab_size=16))
    assert widest_worthwhile(gpt, rows, 512) == window


@pytest.mark.parametrize(("rows", "window"), [(1, 64), (6, 8), (40, 1)])
def test_a_small_model_has_wide_windows(rows: int, window: int) -> None:
    assert widest_worthwhile(make_gpt(), rows, 512) == window


def test_no_window_is_wider_than_what_is_sampled() -> None:
    assert [widest_worthwhile(make_gpt(), 1, tokens) for tokens in (3, 4, 20)] == [1, 4, 16]


@torch.no_grad()
@settings(max_examples=10)
@given(
    layers=st.sampled_from([1, 4, 8]),
    width=st.sampled_from([16, 64, 128]),
    scale=st.sampled_from([1.0, 3.0]),
    variant=st.sampled_from(["rotary", "legacy"]),
    seed=st.integers(0, 100),
)
def test_windows_round_within_the_tolerance(layers: int, width: int, scale: float, variant: Any, seed: int) -> None:
    torch.manual_seed(seed)
    gpt = GPT(GPTConfig(layers=layers, heads=2, width=width, grid=(2, 4, 4), vocab_size=64, variant=variant)).eval()
    for parameter in gpt.parameters():
        if parameter.dim() > 1:
            parameter.mul_(scale)
    tokens = torch.randint(64, (1, 24))
    engine = CachedEngine(gpt, 1)
    engine.prefill(tokens[:, :8], 1, 17)
    together = engine.step_window(tokens[:, 8:], torch.arange(16)[None], 0)[0]
    engine.rewind(0)
    alone = torch.cat([engine.step(tokens[:, position]) for position in range(8, 24)])
    assert bool(((together - alone).abs().amax(dim=-1) < logit_tolerance(together, gpt.config, False)).all())
