"""Prompts: they hold what is given and know nothing of what is not."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from looking_ahead import make_tats
from tiny import GPT_SHORT, IMAGE, SHORT, VIDEO, make_clips, make_gpt, make_palette, make_tokenizer

from sampling.options import Prompt
from sampling.prompts import (
    MismatchError,
    check_match,
    count_changed,
    describe_rounding,
    encode_prompt,
    given_part,
)

CLIP, STILL = (16, 16, 16), (1, 16, 16)
PROMPTS = [
    (Prompt("half-image"), 1), (Prompt("rows", 0.3), 1), (Prompt("left", 0.5), 1), (Prompt("left", 0.5), 16),
    (Prompt("half-clip"), 16), (Prompt("frames", 3), 16), (Prompt("first-frame"), 16),
]  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "size", "tokens", "pixels"),
    [(Prompt("none"), CLIP, (0, 0, 0), (0, 0, 0)),
     (Prompt("half-image"), STILL, (1, 2, 4), (1, 8, 16)),
     (Prompt("half-image"), (1, 12, 16), (1, 1, 4), (1, 4, 16)),
     (Prompt("rows", 0.25), STILL, (1, 1, 4), (1, 4, 16)),
     (Prompt("rows", 0.7), STILL, (1, 3, 4), (1, 12, 16)),
     (Prompt("left", 0.5), STILL, (1, 4, 2), (1, 16, 8)),
     (Prompt("left", 0.75), CLIP, (4, 4, 3), (16, 16, 12)),
     (Prompt("half-clip"), CLIP, (2, 4, 4), (8, 16, 16)),
     (Prompt("half-clip"), (12, 16, 16), (1, 4, 4), (4, 16, 16)),
     (Prompt("half-clip"), (4, 16, 16), (1, 4, 4), (4, 16, 16)),
     (Prompt("frames", 3), CLIP, (3, 4, 4), (12, 16, 16)),
     (Prompt("frames", 1), STILL, (1, 4, 4), (1, 16, 16)),
     (Prompt("first-frame"), CLIP, (1, 4, 4), (1, 16, 16))],
)  # fmt: skip
def test_what_is_given(
    prompt: Prompt, size: tuple[int, int, int], tokens: tuple[int, ...], pixels: tuple[int, ...]
) -> None:
    assert given_part(make_tokenizer(VIDEO), prompt, size) == (tokens, pixels)


@pytest.mark.parametrize("share", [0.001, 0.999])
@pytest.mark.parametrize("kind", ["rows", "left"])
def test_at_least_one_row_is_given_and_one_free(kind: str, share: float) -> None:
    tokens = given_part(make_tokenizer(VIDEO), Prompt(kind, share), STILL).tokens
    assert min(tokens[1:]) == (1 if share < 0.5 else 3)


@pytest.mark.parametrize("prompt", [Prompt("half-image"), Prompt("rows", 0.5)])
def test_the_upper_part_of_a_clip_is_no_prompt(prompt: Prompt) -> None:
    with pytest.raises(ValueError, match=f"--prompt {prompt.kind} gives a part of a still image"):
        given_part(make_tokenizer(VIDEO), prompt, CLIP)


def test_half_of_a_still_image_is_no_half_clip() -> None:
    with pytest.raises(ValueError, match="use --prompt half-image"):
        given_part(make_tokenizer(VIDEO), Prompt("half-clip"), STILL)


def test_more_frames_than_the_clip_has_are_refused() -> None:
    with pytest.raises(ValueError, match="--given 5 latent frames are more than the 4"):
        given_part(make_tokenizer(VIDEO), Prompt("frames", 5), CLIP)


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [("rows", None, "--prompt rows needs --given, a share between 0 and 1, not None"),
     ("rows", 0.0, "not 0.0"), ("left", 1.0, "not 1.0"),
     ("frames", None, "a whole number of latent frames, not None"), ("frames", 0.5, "not 0.5"), ("frames", 0, "not 0"),
     ("half-clip", 0.5, "--given 0.5 belongs to --prompt rows, left or frames, not to half-clip")],
)  # fmt: skip
def test_amounts_that_do_not_fit_are_refused(kind: str, amount: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Prompt(kind, amount)


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [(Prompt("rows", 0.25), None), (Prompt("half-clip"), None),
     (Prompt("rows", 0.3), "--given 0.3 of 4 token rows is 1.2: 1 are given."),
     (Prompt("left", 0.99), "--given 0.99 of 4 token columns is 3.96: 3 are given.")],
)  # fmt: skip
def test_rounding_is_said(prompt: Prompt, sentence: str | None) -> None:
    size = CLIP if prompt.kind == "half-clip" else STILL
    assert describe_rounding(make_tokenizer(VIDEO), prompt, size) == sentence


@pytest.mark.parametrize("frames", [1, 16])
def test_nothing_given_is_an_empty_prompt(frames: int) -> None:
    prompt = encode_prompt(make_tokenizer(VIDEO), make_clips(frames=frames), Prompt("none"))
    assert (prompt.shape, prompt.dtype) == ((2, 0, 0, 0), torch.int64)


@pytest.mark.parametrize(("prompt", "frames"), PROMPTS)
def test_a_prompt_has_the_size_of_its_part(prompt: Prompt, frames: int) -> None:
    tokenizer, clips = make_tokenizer(VIDEO), make_clips(frames=frames)
    part = given_part(tokenizer, prompt, (frames, 16, 16))
    assert encode_prompt(tokenizer, clips, prompt).shape[1:] == part.tokens


@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize(("prompt", "frames"), PROMPTS)
def test_a_prompt_encoded_alone_does_not_know_what_is_not_given(prompt: Prompt, frames: int, seed: int) -> None:
    tokenizer, clips = make_tokenizer(VIDEO, seed), make_clips(2, frames, seed=seed)
    T, H, W = given_part(tokenizer, prompt, (frames, 16, 16)).pixels
    changed = make_clips(2, frames, seed=seed + 1)
    changed[:, :, :T, :H, :W] = clips[:, :, :T, :H, :W]
    assert torch.equal(encode_prompt(tokenizer, clips, prompt), encode_prompt(tokenizer, changed, prompt))


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize("prompt", [Prompt("half-clip"), Prompt("frames", 3)])
def test_of_a_causal_tokenizer_both_encodings_of_a_clip_agree(prompt: Prompt, seed: int) -> None:
    tokenizer, clips = make_tokenizer(VIDEO, seed), make_clips(3, seed=seed)
    assert count_changed(tokenizer, clips, prompt).tolist() == [0, 0, 0]


@pytest.mark.parametrize("prompt", [Prompt("half-image"), Prompt("left", 0.5)])
def test_a_part_of_an_image_encoded_whole_knows_the_rest(prompt: Prompt) -> None:
    changed = count_changed(make_tokenizer(IMAGE), make_clips(4, 1), prompt)
    assert 0 < int(changed.sum()) <= 4 * 8


def test_half_a_clip_encoded_whole_by_a_tokenizer_that_looks_ahead_knows_the_rest() -> None:
    assert int(count_changed(make_tats(), make_clips(2), Prompt("half-clip")).sum()) > 0


def test_full_encoding_cuts_the_prompt_out_of_all_tokens() -> None:
    tokenizer, clips = make_tokenizer(IMAGE), make_clips(2, 1)
    prompt = encode_prompt(tokenizer, clips, Prompt("half-image", encoding="full"))
    assert torch.equal(prompt, tokenizer.encode(clips)[:, :, :2])


def test_a_palette_prompt_has_a_token_per_given_pixel() -> None:
    assert encode_prompt(make_palette(), make_clips(2, 1, 8), Prompt("half-image")).shape == (2, 1, 4, 8)


@pytest.mark.parametrize("grid", [(1, 4, 4), (2, 4, 4), (7, 4, 4)])
def test_grids_of_any_length_are_accepted_by_a_model_of_clips(grid: tuple[int, int, int]) -> None:
    tokenizer = make_tokenizer(SHORT)
    check_match(make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint)), tokenizer, grid)


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(MismatchError, match="the GPT knows 40 tokens, the tokenizer makes 32"):
        check_match(make_gpt(replace(GPT_SHORT, vocab_size=40)), make_tokenizer(SHORT), (2, 4, 4))


def test_another_tokenizer_is_refused() -> None:
    gpt = make_gpt(replace(GPT_SHORT, tokenizer=make_tokenizer(SHORT, seed=1).fingerprint))
    with pytest.raises(MismatchError, match="give the tokenizer whose tokens the GPT was trained on"):
        check_match(gpt, make_tokenizer(SHORT), (2, 4, 4))


@pytest.mark.parametrize("grid", [(2, 8, 4), (2, 4, 2), (2, 2, 4)])
def test_another_grid_is_refused(grid: tuple[int, int, int]) -> None:
    with pytest.raises(MismatchError, match=r"do not fit a GPT that learned grids of \(2, 4, 4\)"):
        check_match(make_gpt(), make_tokenizer(SHORT), grid)


def test_a_clip_is_refused_by_a_model_of_images() -> None:
    with pytest.raises(MismatchError, match=r"grids of \(2, 4, 4\) do not fit a GPT that learned grids of \(1, 4, 4\)"):
        check_match(make_gpt(replace(GPT_SHORT, grid=(1, 4, 4))), make_tokenizer(SHORT), (2, 4, 4))
