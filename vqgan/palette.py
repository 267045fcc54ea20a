"""The colour palette: one token per pixel of a small image, the tokenizer of Image GPT (Chen et al. 2020)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn

from training.checkpoint import load_model_folder, load_weights, save_model_folder
from vqgan.fingerprint import fingerprint
from vqgan.quantize import nearest_code

# More pixels than this do not change the centres visibly.
FIT_PIXELS = 100_000


class Palette(nn.Module):
    """K colours; a pixel's token is the nearest of them.

    Args:
        colours: (K, 3) RGB in [-1, 1].
        size: pixels a side of the images it tokenizes.
    """

    causal = True
    frames = 1
    fps = 1.0
    temporal_factor = 1
    colours: Tensor

    def __init__(self, colours: Tensor, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("colours", colours)

    @classmethod
    def fit(cls, pixels: Tensor, colours: int, size: int, seed: int = 0) -> Palette:
        """Make a palette by k-means over (P, 3) pixels in [-1, 1].

        Raises:
            ValueError: there are fewer distinct pixels than colours.
        """
        generator = np.random.default_rng(seed)
        values = pixels.numpy().astype(np.float64)
        if len(values) > FIT_PIXELS:
            values = values[generator.choice(len(values), FIT_PIXELS, replace=False)]
        distinct = len(np.unique(values, axis=0))
        if distinct < colours:
            raise ValueError(f"--colours {colours} is more than the {distinct} colours of the images")
        with warnings.catch_warnings():
            # A colour that loses its last pixel on the way stays where it was, which is as good a place as any.
            warnings.filterwarnings("ignore", "One of the clusters is empty")
            centres, _ = kmeans2(values, colours, iter=20, minit="++", rng=generator, missing="warn")
        return cls(torch.from_numpy(centres).float(), size)

    @property
    def vocab_size(self) -> int:
        """Number of colours."""
        return len(self.colours)

    def grid(self, frames: int, rows: int, columns: int) -> tuple[int, int, int]:
        """Return the token grid of clips of that many frames and pixels: one token per pixel."""
        return (frames, rows, columns)

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        """Return the tokens (B, T, H, W) int64 of clips (B, 3, T, H, W) in [-1, 1]."""
        pixels = rearrange(clip, "B C T H W -> (B T H W) C")
        return nearest_code(pixels, self.colours).view(len(clip), *clip.shape[2:])

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) in [-1, 1] of tokens (B, T, H, W) int64."""
        return rearrange(self.colours[tokens], "B T H W C -> B C T H W").clamp(-1, 1)

    @property
    def fingerprint(self) -> str:
        """A short digest of size and colours."""
        return fingerprint({"size": self.size}, self.state_dict())

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        config = {"kind": "palette", "size": self.size, "colours": self.vocab_size}
        save_model_folder(folder, config, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Palette:
        """Load a palette, in evaluation mode.

        Raises:
            CheckpointError: the folder holds no palette, or weights and config disagree.
        """
        config, tensors = load_model_folder(Path(folder), "palette")
        palette = cls(torch.zeros(config["colours"], 3), config["size"])
        load_weights(palette, tensors, folder)
        return palette.eval()
