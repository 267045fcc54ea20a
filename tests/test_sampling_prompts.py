"""Prompts: they hold what is given and know nothing of what is not."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_SHORT, IMAGE, SHORT, VIDEO, make_clips, make_gpt, make_palette, make_tokenizer

from sampling.config import PromptKind
from sampling.prompts import MismatchError, check_match, encode_prompt, given_part


def test_half_of_a_clip_is_its_first_half() -> None:
    assert torch.equal(given_part(make_clips(), "half-clip"), make_clips()[:, :, :8])


def test_half_of_an_image_is_its_upper_half() -> None:
    assert torch.equal(given_part(make_clips(frames=1), "half-image"), make_clips(frames=1)[:, :, :, :8])


@pytest.mark.parametrize("frames", [1, 16])
def test_nothing_given_is_an_empty_prompt(frames: int) -> None:
    prompt = encode_prompt(make_tokenizer(VIDEO), make_clips(frames=frames), "none")
    assert (prompt.shape, prompt.dtype) == ((2, 0), torch.int64)


def test_half_of_a_still_image_is_no_half_clip() -> None:
    with pytest.raises(ValueError, match="use --prompt half-image"):
        given_part(make_clips(frames=1), "half-clip")


def test_the_upper_half_of_a_clip_is_no_prompt() -> None:
    with pytest.raises(ValueError, match="use --prompt half-clip"):
        given_part(make_clips(), "half-image")


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_clip_prompt_is_the_first_half_of_the_tokens(seed: int) -> None:
    tokenizer, clips = make_tokenizer(VIDEO, seed), make_clips(seed=seed)
    assert torch.equal(encode_prompt(tokenizer, clips, "half-clip"), tokenizer.encode(clips).flatten(1)[:, :32])


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_clip_prompt_does_not_know_the_second_half(seed: int) -> None:
    tokenizer, changed = make_tokenizer(VIDEO, seed), make_clips(seed=seed)
    changed[:, :, 8:] = make_clips(seed=seed + 1)[:, :, 8:]
    before = encode_prompt(tokenizer, make_clips(seed=seed), "half-clip")
    assert torch.equal(before, encode_prompt(tokenizer, changed, "half-clip"))


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_an_image_prompt_does_not_know_the_lower_half(seed: int) -> None:
    tokenizer, changed = make_tokenizer(IMAGE, seed), make_clips(4, 1, seed=seed)
    changed[:, :, :, 8:] = make_clips(4, 1, seed=seed + 1)[:, :, :, 8:]
    before = encode_prompt(tokenizer, make_clips(4, 1, seed=seed), "half-image")
    assert torch.equal(before, encode_prompt(tokenizer, changed, "half-image"))


@pytest.mark.parametrize(("kind", "frames", "length"), [("half-clip", 16, 32), ("half-image", 1, 8)])
def test_a_prompt_is_half_as_long_as_the_whole(kind: PromptKind, frames: int, length: int) -> None:
    assert encode_prompt(make_tokenizer(VIDEO), make_clips(frames=frames), kind).shape == (2, length)


def test_a_palette_prompt_has_a_token_per_given_pixel() -> None:
    assert encode_prompt(make_palette(), make_clips(2, 1, 8), "half-image").shape == (2, 32)


def test_a_matching_pair_is_accepted() -> None:
    tokenizer = make_tokenizer(SHORT)
    check_match(make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint)), tokenizer, (2, 4, 4))


def test_a_still_is_accepted_by_a_model_of_clips() -> None:
    check_match(make_gpt(), make_tokenizer(SHORT), (1, 4, 4))


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(MismatchError, match="the GPT knows 40 tokens, the tokenizer makes 32"):
        check_match(make_gpt(replace(GPT_SHORT, vocab_size=40)), make_tokenizer(SHORT), (2, 4, 4))


def test_another_tokenizer_is_refused() -> None:
    gpt = make_gpt(replace(GPT_SHORT, tokenizer=make_tokenizer(SHORT, seed=1).fingerprint))
    with pytest.raises(MismatchError, match="give the tokenizer whose tokens the GPT was trained on"):
        check_match(gpt, make_tokenizer(SHORT), (2, 4, 4))


@pytest.mark.parametrize("grid", [(4, 4, 4), (2, 8, 4), (2, 4, 2), (2, 2, 4)])
def test_another_grid_is_refused(grid: tuple[int, int, int]) -> None:
    with pytest.raises(MismatchError, match=r"do not fit a GPT that learned grids of \(2, 4, 4\)"):
        check_match(make_gpt(), make_tokenizer(SHORT), grid)
