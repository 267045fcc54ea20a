"""What holds of every tokenizer: clips and stills that it decodes have the frames that were asked for."""

import pytest
import torch
from looking_ahead import make_tats
from tiny import IMAGE, SHORT, make_clips, make_palette, make_tokenizer

from vqgan.tokenizer import Tokenizer


def test_a_still_is_the_last_frame_of_its_latent_frame() -> None:
    model = make_tokenizer(SHORT)
    tokens = model.encode(make_clips(2, 1))
    assert torch.equal(model.decode_frames(tokens, 1), model.decode(tokens)[:, :, 3:])


@pytest.mark.parametrize("tokenizer", [make_tokenizer(SHORT), make_tats()], ids=["causal", "looking ahead"])
def test_of_a_clip_all_frames_are_decoded(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(make_clips(2, 8))
    assert torch.equal(tokenizer.decode_frames(tokens, 8), tokenizer.decode(tokens))


@pytest.mark.parametrize("tokenizer", [make_tokenizer(IMAGE), make_palette(size=16)], ids=["images", "palette"])
def test_an_image_is_decoded_as_it_is_by_a_tokenizer_of_images(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode(make_clips(2, 1))
    assert torch.equal(tokenizer.decode_frames(tokens, 1), tokenizer.decode(tokens))
