"""Decoding long grids in pieces changes no pixel."""

import pytest
import torch
from looking_ahead import make_tats
from tiny import IMAGE, SHORT, make_tokenizer

from sampling.rendering import render
from vqgan.tokenizer import Tokenizer


def make_tokens(frames: int) -> torch.Tensor:
    return torch.randint(32, (frames, 4, 4), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("tokenizer", [make_tokenizer(SHORT), make_tats()], ids=["causal", "looking ahead"])
@pytest.mark.parametrize("frames", [1, 16, 17, 50])
def test_pieces_are_those_of_one_decoding(tokenizer: Tokenizer, frames: int) -> None:
    tokens = make_tokens(frames)
    torch.testing.assert_close(render(tokenizer, tokens, 4 * frames), tokenizer.decode(tokens[None])[0])


@pytest.mark.parametrize("tokenizer", [make_tokenizer(SHORT), make_tokenizer(IMAGE)], ids=["clips", "images"])
def test_a_still_is_the_last_frame(tokenizer: Tokenizer) -> None:
    clip = render(tokenizer, make_tokens(1), 1)
    assert torch.equal(clip, tokenizer.decode(make_tokens(1)[None])[0, :, -1:])
