"""Tokenizers whose latent frames depend on later frames."""

import torch
from tiny import FPS, make_clips, make_tokenizer
from torch import Tensor

from vqgan.config import VQGANConfig
from vqgan.foreign.tats import TATSVQGAN, TATSConfig
from vqgan.model import VQGAN


def make_tats(frames: int = 16) -> TATSVQGAN:
    """4x4 tokens for every four frames of clips of that many; its codes are latents of noise."""
    torch.manual_seed(0)
    model = TATSVQGAN(TATSConfig(16, frames, FPS, 16, (4, 4, 4), 4, 32)).eval()
    with torch.no_grad():
        latents = model.pre_vq_conv(model.encoder(make_clips(2) / 2)).movedim(1, -1).flatten(0, -2)
        model.codebook.embeddings.copy_(latents[torch.randperm(len(latents))[:32]])
    return model


Place = tuple[int, int, int]


class Peeking(VQGAN):
    """A causal tokenizer, but for some places of the grid, whose token only says whether one pixel is bright.

    Where that pixel lies behind the clip's end, it is that of the last frame. How many tokens of a prompt change with
    what is not given is known: as many as look there.
    """

    places: dict[Place, Place]
    """(frame, row, column) of the pixel by (latent frame, row, column) of the token."""

    def encode(self, clip: Tensor) -> Tensor:
        tokens = super().encode(clip)
        for (t, h, w), (frame, row, column) in self.places.items():
            if t < tokens.shape[1]:
                tokens[:, t, h, w] = (clip[:, 0, min(frame, clip.shape[2] - 1), row, column] > 0).long()
        return tokens


def make_peeking(config: VQGANConfig, places: dict[Place, Place]) -> Peeking:
    """A tokenizer of random weights that peeks at these pixels."""
    model = Peeking(config).eval()
    model.load_state_dict(make_tokenizer(config).state_dict())
    model.places = places
    return model
