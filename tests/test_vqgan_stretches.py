"""Clips that are encoded a stretch at a time have the tokens of one pass, and never know what follows."""

from dataclasses import replace

import pytest
import torch
from looking_ahead import make_tats
from tiny import IMAGE, VIDEO, make_clips, make_palette, make_tokenizer
from torch import Tensor

from data.clips import as_clip
from vqgan.config import VQGANConfig
from vqgan.stretches import encode_in_stretches
from vqgan.tokenizer import Tokenizer

SHALLOW = replace(VIDEO, blocks=1)
DEEP = replace(VIDEO, blocks=3)


def make_levels(frames: int, size: int = 16, seed: int = 0) -> Tensor:
    """(3, frames, size, size) uint8 of noise."""
    return ((make_clips(1, frames, size, seed)[0] + 1) * 127.5).round().byte()


@torch.no_grad()
def whole(tokenizer: Tokenizer, levels: Tensor) -> Tensor:
    return tokenizer.encode(as_clip(levels)[None])[0]


@pytest.mark.parametrize("config", [VIDEO, SHALLOW, DEEP])
@pytest.mark.parametrize(("latent_frames", "stretch"), [(24, 8), (13, 5), (9, 1), (8, 8)])
def test_tokens_are_those_of_one_pass(config: VQGANConfig, latent_frames: int, stretch: int) -> None:
    tokenizer = make_tokenizer(config)
    levels = make_levels(4 * latent_frames)
    assert torch.equal(encode_in_stretches(tokenizer, levels, stretch), whole(tokenizer, levels))


@pytest.mark.parametrize("config", [VIDEO, SHALLOW, DEEP])
def test_a_latent_depends_on_as_many_latent_frames_before_as_is_said_and_no_more(config: VQGANConfig) -> None:
    tokenizer = make_tokenizer(config)
    reach = tokenizer.encoder_reach
    assert reach is not None
    clip = make_clips(1, 4 * (reach + 2)).requires_grad_()
    latents = tokenizer.encoder(clip)
    latents[:, -1].sum().backward()
    assert clip.grad is not None
    seen = clip.grad[0].abs().sum(dim=(0, 2, 3)) > 0
    assert not seen[:4].any()
    assert seen[4:8].any()


def test_a_stretch_with_less_before_it_has_other_latents() -> None:
    tokenizer = make_tokenizer(VIDEO)
    reach = tokenizer.encoder_reach
    clip = make_clips(1, 4 * (reach + 3))
    with torch.no_grad():
        expected = tokenizer.encoder(clip)[:, -1]
        torch.testing.assert_close(tokenizer.encoder(clip[:, :, 8:])[:, -1], expected, rtol=1e-4, atol=1e-5)
        short = tokenizer.encoder(clip[:, :, -4:])[:, -1]
    assert (short - expected).abs().max() > 1e-2


@pytest.mark.parametrize("tokenizer", [make_tokenizer(IMAGE), make_palette()])
def test_tokenizers_of_stills_see_each_frame_alone(tokenizer: Tokenizer) -> None:
    levels = make_levels(7, tokenizer.size)
    assert tokenizer.encoder_reach == 0
    assert torch.equal(encode_in_stretches(tokenizer, levels, 2), whole(tokenizer, levels))


def test_a_tokenizer_that_may_see_all_frames_encodes_in_one_pass() -> None:
    tokenizer = make_tats(frames=32)
    levels = make_levels(32)
    assert tokenizer.encoder_reach is None
    assert torch.equal(encode_in_stretches(tokenizer, levels, 2), whole(tokenizer, levels))


def test_clips_of_the_same_beginning_have_the_same_tokens_up_to_the_event() -> None:
    tokenizer = make_tokenizer(VIDEO)
    one, other = make_levels(4 * 20), make_levels(4 * 20, seed=1)
    other[:, : 4 * 11] = one[:, : 4 * 11]
    first, second = (encode_in_stretches(tokenizer, levels, 8) for levels in (one, other))
    assert torch.equal(first[:11], second[:11])
    assert not torch.equal(first[11:], second[11:])
