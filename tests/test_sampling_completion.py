"""Completions: what they hold of originals, prompts and continuations, and grids of any length decoded in pieces."""

import math

import pytest
import torch
from looking_ahead import make_tats
from tiny import GPT_LEGACY, IMAGE, SHORT, make_clips, make_gpt, make_tokenizer

from sampling.completion import complete_clips, distances_to_truth, imagined_pixels, pixel_distance, render
from sampling.options import Prompt, Request, SamplingOptions
from vqgan.tokenizer import Tokenizer

HALF = Request(Prompt("half-clip"), n=2)


def test_the_given_half_shows_the_prompt_decoded() -> None:
    tokenizer, clips = make_tokenizer(SHORT), make_clips(2, 8)
    decoded = tokenizer.decode(tokenizer.encode(clips[:, :, :4]))
    for completion, prompt in zip(complete_clips(make_gpt(), tokenizer, clips, HALF), decoded, strict=True):
        torch.testing.assert_close(completion.continuations[:, :, :4], prompt.expand(2, -1, -1, -1, -1))


def test_the_truth_is_the_tokens_of_the_original() -> None:
    tokenizer, clips = make_tokenizer(SHORT), make_clips(2, 8)
    completion = complete_clips(make_gpt(), tokenizer, clips, HALF)[1]
    assert torch.equal(completion.truth, tokenizer.encode(clips)[1])
    torch.testing.assert_close(completion.reconstruction, tokenizer.decode(tokenizer.encode(clips[1:]))[0])
    assert torch.equal(completion.original, clips[1])


@pytest.mark.parametrize("prompt", [Prompt("left", 0.5), Prompt("half-clip"), Prompt("first-frame")])
def test_given_tokens_stay_and_have_no_scores(prompt: Prompt) -> None:
    tokenizer, clips = make_tokenizer(SHORT), make_clips(1, 8)
    completion = complete_clips(make_gpt(), tokenizer, clips, Request(prompt, n=2))[0]
    given = tokenizer.encode(clips[:, :, :1] if prompt.kind == "first-frame" else clips)[0]
    if prompt.kind == "left":
        given = tokenizer.encode(clips[..., :8])[0]
    kept = completion.sampled.tokens[:, completion.given].unflatten(
        1, (-1, given.shape[2] if prompt.kind == "left" else 4)
    )
    assert torch.equal(kept[0].flatten(), given.flatten()[: kept[0].numel()])
    assert bool((completion.sampled.entropy.isnan() == completion.given).all())
    assert bool((completion.sampled.log_probability.isnan() == completion.given).all())


def test_log_probabilities_are_those_of_the_model() -> None:
    gpt, clips = make_gpt(), make_clips(1, 8)
    request = Request(Prompt("half-clip"), 2, SamplingOptions(temperature=0.5, top_k=3))
    completion = complete_clips(gpt, make_tokenizer(SHORT), clips, request)[0]
    nll = gpt.nll(completion.sampled.tokens.flatten(1)).unflatten(1, (2, 4, 4))[:, 1:]
    torch.testing.assert_close(-completion.sampled.log_probability[:, 1:], nll, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("config", [None, GPT_LEGACY])
def test_clips_from_nothing_have_no_original(config: object) -> None:
    gpt = make_gpt(config) if config else make_gpt()
    (completion,) = complete_clips(gpt, make_tokenizer(SHORT), None, Request(Prompt("none"), n=3, frames=12))
    assert completion.original is completion.reconstruction is completion.truth is None
    assert completion.continuations.shape == (3, 3, 12, 16, 16)
    assert not completion.given.any()
    assert distances_to_truth(completion) == []


def test_a_continuation_depends_on_the_index_of_its_item_alone() -> None:
    gpt, tokenizer, clips = make_gpt(), make_tokenizer(SHORT), make_clips(3, 8)
    together = complete_clips(gpt, tokenizer, clips, HALF)
    alone = complete_clips(gpt, tokenizer, clips[2:], HALF, items=[2])
    assert torch.equal(alone[0].sampled.tokens, together[2].sampled.tokens)


def test_distance_is_root_mean_square_on_the_scale_of_one() -> None:
    black, grey = torch.full((3, 2, 4, 4), -1.0), torch.zeros(3, 2, 4, 4)
    assert pixel_distance(black, -black) == 1
    assert pixel_distance(black, grey) == 0.5


def test_only_what_was_imagined_of_the_common_part_counts() -> None:
    request = Request(Prompt("half-clip"), n=2, frames=16)
    completion = complete_clips(make_gpt(), make_tokenizer(SHORT), make_clips(1, 8), request)[0]
    assert imagined_pixels(completion.continuations[0], completion.given_pixels).shape == (3, 12 * 256)
    difference = (completion.continuations[:, :, 4:8] - completion.reconstruction[:, 4:]) / 2
    expected = [math.sqrt(float(one.square().mean())) for one in difference]
    assert distances_to_truth(completion) == pytest.approx(expected)


def test_of_a_still_that_becomes_a_clip_there_is_no_truth() -> None:
    request = Request(Prompt("first-frame"))
    completion = complete_clips(make_gpt(), make_tokenizer(SHORT), make_clips(1, 1), request)[0]
    assert completion.continuations.shape == (1, 3, 8, 16, 16)
    assert distances_to_truth(completion) == []


def make_grid(frames: int) -> torch.Tensor:
    return torch.randint(32, (frames, 4, 4), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("tokenizer", [make_tokenizer(SHORT), make_tats()], ids=["causal", "looking ahead"])
@pytest.mark.parametrize("frames", [1, 16, 17, 50])
def test_pieces_are_those_of_one_decoding(tokenizer: Tokenizer, frames: int) -> None:
    tokens = make_grid(frames)
    torch.testing.assert_close(render(tokenizer, tokens, 4 * frames), tokenizer.decode(tokens[None])[0])


@pytest.mark.parametrize("tokenizer", [make_tokenizer(SHORT), make_tokenizer(IMAGE)], ids=["clips", "images"])
def test_a_still_is_the_last_frame(tokenizer: Tokenizer) -> None:
    clip = render(tokenizer, make_grid(1), 1)
    assert torch.equal(clip, tokenizer.decode(make_grid(1)[None])[0, :, -1:])
