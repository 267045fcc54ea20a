"""A tokenizer whose latent frames depend on later frames."""

import torch
from tiny import FPS, make_clips

from vqgan.foreign.tats import TATSVQGAN, TATSConfig


def make_tats(frames: int = 16) -> TATSVQGAN:
    """4x4 tokens for every four frames of clips of that many; its codes are latents of noise."""
    torch.manual_seed(0)
    model = TATSVQGAN(TATSConfig(16, frames, FPS, 16, (4, 4, 4), 4, 32)).eval()
    with torch.no_grad():
        latents = model.pre_vq_conv(model.encoder(make_clips(2) / 2)).movedim(1, -1).flatten(0, -2)
        model.codebook.embeddings.copy_(latents[torch.randperm(len(latents))[:32]])
    return model
