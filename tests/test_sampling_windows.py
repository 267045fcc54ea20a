"""Windows slide over whole latent frames, and what they sample is what the naive sampler does in the same windows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_tokens

from gpt.config import GPTConfig
from sampling.decode import FREE, sample
from sampling.readers import NaiveReader
from sampling.windows import Window, seams, windows

FLAVOURS = pytest.mark.parametrize(
    "config", [GPT_SHORT, GPT_LEGACY, GPT_LEGACY_START], ids=["rotary", "no-start", "start"]
)


def room(prompt: int, frames: int, batch: int = 1) -> torch.Tensor:
    given = torch.full((batch, 16 * frames), FREE)
    given[:, :prompt] = make_tokens(batch)[:, :prompt]
    return given


def test_a_sequence_that_fits_takes_one_window() -> None:
    assert windows(GPTConfig(grid=(4, 2, 3)), 6, 24) == [Window(0, 6, 24)]


def test_a_longer_one_keeps_the_overlap_and_samples_the_rest() -> None:
    assert windows(GPTConfig(grid=(4, 2, 3)), 6, 36, overlap=1) == [Window(0, 6, 24), Window(18, 24, 36)]


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
    assert [window.start // 4 for window in found[1:]] == list(seams(frames, length, overlap))


@FLAVOURS
@settings(max_examples=8)
@given(prompt=st.sampled_from([0, 5, 16, 32]), frames=st.integers(3, 6), n=st.integers(1, 3), seed=st.integers(0, 50))
def test_sliding_samples_are_those_of_the_naive_sampler(
    config: GPTConfig, prompt: int, frames: int, n: int, seed: int
) -> None:
    gpt, given = make_gpt(config), room(prompt, frames, batch=2)
    naive = sample(gpt, given, n, seed=seed, overlap=1, reader=NaiveReader(gpt))
    assert torch.equal(sample(gpt, given, n, seed=seed, overlap=1).tokens, naive.tokens)


@FLAVOURS
def test_the_first_window_does_not_depend_on_how_much_follows(config: GPTConfig) -> None:
    gpt = make_gpt(config)
    short, long = (sample(gpt, room(16, frames)).tokens for frames in (2, 5))
    assert torch.equal(long[:, :, :32], short)


@torch.no_grad()
def test_a_later_window_forgets_what_lies_before_its_overlap() -> None:
    gpt = make_gpt()
    sampled = sample(gpt, room(8, 3), overlap=1)
    kept, next_token = sampled.tokens[0, :, 16:32], sampled.tokens[0, 0, 32]
    expected = gpt(gpt.with_start(kept))[0, -1].log_softmax(dim=-1)[next_token]
    torch.testing.assert_close(sampled.log_probability[0, 0, 32], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("grid", "prompt", "length", "overlap", "message"),
    [((1, 4, 4), 0, 32, None, "32 tokens do not fit the window of 16, .* and holds only one"),
     ((2, 2, 2), 0, 18, None, "18 tokens do not fit the window of 8, which slides over whole latent frames of 4"),
     ((2, 2, 2), 9, 16, None, "a prompt of 9 tokens is longer than the window of 8: give less"),
     ((2, 2, 2), 0, 16, 0, "--overlap 0 must lie in 1 to 1"), ((2, 2, 2), 0, 16, 2, "--overlap 2 must lie in 1 to 1"),
     ((2, 2, 2), 9, 8, None, "the prompt of 9 tokens is longer than the result of 8")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    grid: tuple[int, int, int], prompt: int, length: int, overlap: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        windows(GPTConfig(grid=grid), prompt, length, overlap)
