"""Prompts hold what is given and know nothing of the rest; where they lie in the result, and what does not fit."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from looking_ahead import make_peeking, make_tats
from tiny import GPT_SHORT, IMAGE, SHORT, VIDEO, make_clips, make_gpt, make_palette, make_tokenizer

from gpt.config import MismatchError
from sampling.options import Prompt, Request, SamplingOptions
from sampling.prompts import (
    count_changed,
    count_frames,
    describe_rounding,
    encode_prompt,
    lay_out,
    prompt_extent,
)
from sampling.sampled import FREE

CLIP, SHORT_CLIP, STILL = (16, 16, 16), (8, 16, 16), (1, 16, 16)
HALF_CLIP = Request(Prompt("half-clip"))
PROMPTS = [
    (Prompt("half-image"), 1),
    (Prompt("rows", 0.3), 1),
    (Prompt("left", 0.5), 1),
    (Prompt("left", 0.5), 16),
    (Prompt("half-clip"), 16),
    (Prompt("frames", 3), 16),
    (Prompt("first-frame"), 16),
]


@pytest.mark.parametrize(
    ("prompt", "size", "tokens", "pixels"),
    [
        (Prompt("none"), CLIP, (0, 0, 0), (0, 0, 0)),
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
        (Prompt("first-frame"), CLIP, (1, 4, 4), (1, 16, 16)),
    ],
)
def test_what_is_given(
    prompt: Prompt, size: tuple[int, int, int], tokens: tuple[int, ...], pixels: tuple[int, ...]
) -> None:
    assert prompt_extent(make_tokenizer(VIDEO), prompt, size) == (tokens, pixels)


@pytest.mark.parametrize("share", [0.001, 0.999])
@pytest.mark.parametrize("kind", ["rows", "left"])
def test_at_least_one_row_is_given_and_one_free(kind: str, share: float) -> None:
    tokens = prompt_extent(make_tokenizer(VIDEO), Prompt(kind, share), STILL).tokens
    assert min(tokens[1:]) == (1 if share < 0.5 else 3)


@pytest.mark.parametrize("prompt", [Prompt("half-image"), Prompt("rows", 0.5)])
def test_the_upper_part_of_a_clip_is_no_prompt(prompt: Prompt) -> None:
    with pytest.raises(ValueError, match=f"--prompt {prompt.kind} gives a part of a still image"):
        prompt_extent(make_tokenizer(VIDEO), prompt, CLIP)


def test_half_of_a_still_image_is_no_half_clip() -> None:
    with pytest.raises(ValueError, match="use --prompt half-image"):
        prompt_extent(make_tokenizer(VIDEO), Prompt("half-clip"), STILL)


def test_more_frames_than_the_clip_has_are_refused() -> None:
    with pytest.raises(ValueError, match="--given 5 latent frames are more than the 4"):
        prompt_extent(make_tokenizer(VIDEO), Prompt("frames", 5), CLIP)


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [
        ("rows", None, "--prompt rows needs --given, a share between 0 and 1, not None"),
        ("rows", 0.0, "not 0.0"),
        ("left", 1.0, "not 1.0"),
        ("frames", None, "a whole number of latent frames, not None"),
        ("frames", 0.5, "not 0.5"),
        ("frames", 0, "not 0"),
        ("half-clip", 0.5, "--given 0.5 belongs to --prompt rows, left or frames, not to half-clip"),
    ],
)
def test_amounts_that_do_not_fit_are_refused(kind: str, amount: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Prompt(kind, amount)


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        (Prompt("rows", 0.25), None),
        (Prompt("half-clip"), None),
        (Prompt("rows", 0.3), "--given 0.3 of 4 token rows is 1.2: 1 are given."),
        (Prompt("left", 0.99), "--given 0.99 of 4 token columns is 3.96: 3 are given."),
    ],
)
def test_rounding_is_said(prompt: Prompt, sentence: str | None) -> None:
    size = CLIP if prompt.kind == "half-clip" else STILL
    assert describe_rounding(make_tokenizer(VIDEO), prompt, size) == sentence


@pytest.mark.parametrize("frames", [1, 16])
def test_nothing_given_is_an_empty_prompt(frames: int) -> None:
    prompt = encode_prompt(make_tokenizer(VIDEO), make_clips(frames=frames), Prompt("none"))
    assert (prompt.shape, prompt.dtype) == ((2, 0, 0, 0), torch.int64)


@pytest.mark.parametrize(("prompt", "frames"), PROMPTS)
def test_a_prompt_has_the_size_of_its_extent(prompt: Prompt, frames: int) -> None:
    tokenizer, clips = make_tokenizer(VIDEO), make_clips(frames=frames)
    extent = prompt_extent(tokenizer, prompt, (frames, 16, 16))
    assert encode_prompt(tokenizer, clips, prompt).shape[1:] == extent.tokens


@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize(("prompt", "frames"), PROMPTS)
def test_a_prompt_encoded_alone_does_not_know_what_is_not_given(prompt: Prompt, frames: int, seed: int) -> None:
    tokenizer, clips = make_tokenizer(VIDEO, seed), make_clips(2, frames, seed=seed)
    T, H, W = prompt_extent(tokenizer, prompt, (frames, 16, 16)).pixels
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


@pytest.mark.parametrize("count", [0, 1, 7, 16])
@pytest.mark.parametrize(("prompt", "shown"), [(Prompt("half-clip"), 8), (Prompt("frames", 3), 12)])
def test_exactly_the_prompt_tokens_that_look_at_what_is_not_given_change(
    prompt: Prompt, shown: int, count: int
) -> None:
    """`count` tokens of each latent frame look at a pixel of the last frame, which is bright up to `shown`, then dark;
    of one clip it stays bright.
    """
    places = {(t, n // 4, n % 4): (15, n, n) for t in range(4) for n in range(count)}
    clips = make_clips(3).abs()
    clips[:2, :, shown:] *= -1
    changed = count_changed(make_peeking(VIDEO, places), clips, prompt)
    assert changed.tolist() == [count * shown // 4, count * shown // 4, 0]


def test_full_encoding_cuts_the_prompt_out_of_all_tokens() -> None:
    tokenizer, clips = make_tokenizer(IMAGE), make_clips(2, 1)
    prompt = encode_prompt(tokenizer, clips, Prompt("half-image", encoding="full"))
    assert torch.equal(prompt, tokenizer.encode(clips)[:, :, :2])


def test_a_palette_prompt_has_a_token_per_given_pixel() -> None:
    assert encode_prompt(make_palette(), make_clips(2, 1, 8), Prompt("half-image")).shape == (2, 1, 4, 8)


@pytest.mark.parametrize("latent_frames", [1, 2, 7])
def test_grids_of_any_length_are_accepted_by_a_model_of_clips(latent_frames: int) -> None:
    tokenizer = make_tokenizer(SHORT)
    gpt = make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint))
    layout = lay_out(gpt, tokenizer, None, Request(Prompt("none"), frames=4 * latent_frames))
    assert layout.grid == (latent_frames, 4, 4)


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(MismatchError, match="the GPT knows 40 tokens, these are of 32"):
        lay_out(make_gpt(replace(GPT_SHORT, vocab_size=40)), make_tokenizer(SHORT), SHORT_CLIP, HALF_CLIP)


def test_another_tokenizer_is_refused() -> None:
    gpt = make_gpt(replace(GPT_SHORT, tokenizer=make_tokenizer(SHORT, seed=1).fingerprint))
    with pytest.raises(MismatchError, match=r"give the tokenizer, .* that the GPT was trained on"):
        lay_out(gpt, make_tokenizer(SHORT), SHORT_CLIP, HALF_CLIP)


@pytest.mark.parametrize("size", [(8, 32, 16), (8, 16, 8), (8, 8, 16)])
def test_another_grid_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(MismatchError, match=r"the GPT learned grids of \(2, 4, 4\), these are of \(2, "):
        lay_out(make_gpt(), make_tokenizer(SHORT), size, HALF_CLIP)


def test_a_clip_is_refused_by_a_model_of_images() -> None:
    gpt = make_gpt(replace(GPT_SHORT, grid=(1, 4, 4)))
    with pytest.raises(MismatchError, match=r"the GPT learned grids of \(1, 4, 4\), these are of \(2, 4, 4\)"):
        lay_out(gpt, make_tokenizer(SHORT), SHORT_CLIP, HALF_CLIP)


def test_what_is_given_lies_at_the_front_top_and_left() -> None:
    layout = lay_out(make_gpt(), make_tokenizer(SHORT), SHORT_CLIP, Request(Prompt("left", 0.5)))
    placed = layout.place(torch.full((3, 2, 4, 2), 7)).unflatten(1, (2, 4, 4))
    assert bool((placed[..., :2] == 7).all())
    assert bool((placed[..., 2:] == FREE).all())
    assert torch.equal(layout.given, placed[0] == 7)


def test_of_the_first_frame_only_its_pixels_are_given() -> None:
    layout = lay_out(make_gpt(), make_tokenizer(SHORT), SHORT_CLIP, Request(Prompt("first-frame")))
    assert layout.given.sum(dim=(1, 2)).tolist() == [16, 0]
    assert layout.given_pixels.sum(dim=(1, 2)).tolist() == [256, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("prompt", "size", "frames", "length"),
    [
        (Prompt("half-clip"), SHORT_CLIP, None, 8),
        (Prompt("half-clip"), SHORT_CLIP, 20, 20),
        (Prompt("half-image"), STILL, None, 1),
        (Prompt("left", 0.5), STILL, None, 1),
        (Prompt("left", 0.5), SHORT_CLIP, 12, 12),
        (Prompt("first-frame"), STILL, None, 8),
        (Prompt("first-frame"), SHORT_CLIP, 12, 12),
        (Prompt("none"), None, None, 8),
        (Prompt("none"), None, 12, 12),
    ],
)
def test_length_of_the_result(
    prompt: Prompt, size: tuple[int, int, int] | None, frames: int | None, length: int
) -> None:
    layout = lay_out(make_gpt(), make_tokenizer(SHORT), size, Request(prompt, frames=frames))
    assert (layout.size, layout.grid) == ((length, 16, 16), (max(1, length // 4), 4, 4))


def test_window_starts_are_the_frames_at_which_windows_begin_to_sample() -> None:
    gpt, request = make_gpt(replace(GPT_SHORT, grid=(4, 4, 4))), Request(Prompt("half-clip"), frames=32, overlap=3)
    assert lay_out(gpt, make_tokenizer(VIDEO), (16, 16, 16), request).window_starts == (16, 20, 24, 28)
    assert lay_out(gpt, make_tokenizer(VIDEO), (16, 16, 16), replace(request, overlap=None)).window_starts == (16, 24)


@pytest.mark.parametrize(
    ("prompt", "size", "change", "message"),
    [
        (Prompt("frames", 2), SHORT_CLIP, {}, r"the prompt is the whole result of \(2, 4, 4\) tokens"),
        (Prompt("half-clip"), (4, 16, 16), {}, "nothing is left to imagine: give less"),
        (
            Prompt("frames", 2),
            SHORT_CLIP,
            {"frames": 4},
            r"a prompt of \(2, 4, 4\) tokens does not fit into a result of \(1, 4",
        ),
        (Prompt("frames", 3), (12, 16, 16), {"frames": 16}, "48 tokens is longer than the window of 32: give less"),
        (Prompt("half-clip"), SHORT_CLIP, {"frames": 16, "overlap": 2}, "--overlap 2 must lie in 1 to 1"),
        (
            Prompt("half-clip"),
            SHORT_CLIP,
            {"sampling": SamplingOptions(top_k=33)},
            "--top-k 33 is above the 32 tokens of the",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    prompt: Prompt, size: tuple[int, int, int], change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lay_out(make_gpt(), make_tokenizer(SHORT), size, Request(prompt, **change))


def test_a_half_image_of_one_row_of_tokens_leaves_nothing() -> None:
    gpt = make_gpt(replace(GPT_SHORT, grid=(1, 1, 4)))
    with pytest.raises(ValueError, match="nothing is left to imagine"):
        lay_out(gpt, make_tokenizer(IMAGE), (1, 4, 16), Request(Prompt("half-image")))


@pytest.mark.parametrize(
    ("fps", "seconds", "frames"), [(8.0, 1.0, 8), (8.0, 10.0, 80), (29.97, 0.534, 16), (30.0, 0.133, 4)]
)
def test_seconds_are_whole_latent_frames(fps: float, seconds: float, frames: int) -> None:
    assert count_frames(make_tokenizer(replace(SHORT, fps=fps)), seconds) == frames


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (1.2, "--seconds 1.2 is no whole number of latent frames of 0.5 s: 1 or 1.5 would be"),
        (0.1, "0.5 is the shortest"),
    ],
)
def test_other_lengths_are_refused_with_the_nearest(seconds: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count_frames(make_tokenizer(SHORT), seconds)
