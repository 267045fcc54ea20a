"""The causal VQGAN: clips to token grids and back.

Axes: B batch, T frames, H rows, W columns of pixels; t, h, w of the token grid; C channels; D code dimensions.
Latent frame j depends on frames up to the last one it stands for, and on no later one: see `vqgan.layers`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from training.checkpoint import config_from_dict, load_model_folder, load_weights, save_model_folder
from vqgan.config import VQGANConfig
from vqgan.fingerprint import fingerprint
from vqgan.layers import ChannelNorm, Downsample, ResidualBlock, Upsample
from vqgan.palette import Palette
from vqgan.quantize import VectorQuantizer


class Reconstruction(NamedTuple):
    """What training needs: the clip (B, 3, T, H, W), the token grid (B, t, h, w) and the quantizer's loss."""

    clip: Tensor
    tokens: Tensor
    quantizer_loss: Tensor


class Encoder(nn.Module):
    """Clips to latent vectors: residual blocks at every level, strides between levels."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.patch = config.patch
        temporal = config.temporal_factor > 1
        widths = config.widths
        self.first = nn.Conv2d(3 * config.patch**2, widths[0], kernel_size=3, padding=1)
        self.levels = nn.ModuleList(
            nn.ModuleList(ResidualBlock(width, temporal) for _ in range(config.blocks)) for width in widths
        )
        self.downsamples = nn.ModuleList(
            Downsample(widths[level], widths[level + 1], *stride) for level, stride in enumerate(config.strides)
        )
        self.norm = ChannelNorm(widths[-1])
        self.last = nn.Conv2d(widths[-1], config.code_width, kernel_size=1)

    def forward(self, clip: Tensor) -> Tensor:
        """Map (B, 3, T, H, W) to (B, t, h, w, D)."""
        B = len(clip)
        x = rearrange(clip, "B C T (H p) (W q) -> (B T) (C p q) H W", p=self.patch, q=self.patch)
        x = self.first(x.contiguous(memory_format=torch.channels_last))
        for level, blocks in enumerate(self.levels):
            if level:
                x = self.downsamples[level - 1](x)
            for block in blocks.children():
                x = block(x, frames=len(x) // B)
        return rearrange(self.last(self.norm(x)), "(B t) D h w -> B t h w D", B=B)


class Decoder(nn.Module):
    """Latent vectors to clips: the encoder's mirror image."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.patch = config.patch
        temporal = config.temporal_factor > 1
        widths, strides = config.widths[::-1], config.strides[::-1]
        self.first = nn.Conv2d(config.code_width, widths[0], kernel_size=3, padding=1)
        self.levels = nn.ModuleList(
            nn.ModuleList(ResidualBlock(width, temporal) for _ in range(config.blocks)) for width in widths
        )
        self.upsamples = nn.ModuleList(
            Upsample(widths[level], widths[level + 1], *stride) for level, stride in enumerate(strides)
        )
        self.norm = ChannelNorm(widths[-1])
        self.last = nn.Conv2d(widths[-1], 3 * config.patch**2, kernel_size=3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Map (B, t, h, w, D) to (B, 3, T, H, W), not clamped."""
        B = len(latents)
        x = rearrange(latents, "B t h w D -> (B t) D h w").contiguous(memory_format=torch.channels_last)
        x = self.first(x)
        for level, blocks in enumerate(self.levels):
            if level:
                x = self.upsamples[level - 1](x)
            for block in blocks.children():
                x = block(x, frames=len(x) // B)
        x = self.last(self.norm(x))
        return rearrange(x, "(B T) (C p q) H W -> B C T (H p) (W q)", B=B, p=self.patch, q=self.patch)


class VQGAN(nn.Module):
    """A tokenizer of clips whose latent frames never see the future."""

    causal = True

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = VectorQuantizer(config.codes, config.code_width, config.commitment, config.decay)
        self.decoder = Decoder(config)
        self.to(memory_format=torch.channels_last)

    @property
    def vocab_size(self) -> int:
        """Number of codes."""
        return self.config.codes

    @property
    def size(self) -> int:
        """Pixels a side of the clips it was made for."""
        return self.config.resolution

    @property
    def frames(self) -> int:
        """Frames of the clips it was made for."""
        return self.config.frames

    @property
    def fps(self) -> float:
        """Frames per second of the clips it was made for."""
        return self.config.fps

    @property
    def temporal_factor(self) -> int:
        """Frames per latent frame."""
        return self.config.temporal_factor

    def grid(self, frames: int, rows: int, columns: int) -> tuple[int, int, int]:
        """Return the token grid (t, h, w) of clips of that many frames and pixels; a still takes one latent frame.

        Raises:
            ValueError: the size does not divide; the nearest that does is named.
        """
        temporal, spatial = self.config.temporal_factor, self.config.spatial_factor
        if frames != 1 and (frames % temporal or not frames):
            near = max(1, round(frames / temporal)) * temporal
            raise ValueError(f"clips of {frames} frames do not divide into {temporal}s; {near} or 1 would")
        for pixels in (rows, columns):
            if pixels % spatial or not pixels:
                near = max(1, round(pixels / spatial)) * spatial
                raise ValueError(f"clips of {rows}x{columns} pixels do not divide into {spatial}s; {near} would")
        return (max(1, frames // temporal), rows // spatial, columns // spatial)

    def forward(self, clip: Tensor, quantize: bool = True) -> Reconstruction:
        """Reconstruct (B, 3, T, H, W); with `quantize` False, through the continuous latents."""
        latents = self.encoder(self._fill_latent_frame(clip))
        if not quantize:
            tokens = latents.new_zeros(latents.shape[:-1], dtype=torch.int64)
            return Reconstruction(self.decoder(latents), tokens, latents.new_zeros(()))
        quantized = self.quantizer(latents)
        return Reconstruction(self.decoder(quantized.codes), quantized.indices, quantized.loss)

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        """Return the tokens (B, t, h, w) int64 of clips (B, 3, T, H, W) in [-1, 1].

        A still (T = 1) is encoded as a clip in which nothing moves, one latent frame long.
        """
        self.grid(*clip.shape[2:])
        return self.quantizer(self.encoder(self._fill_latent_frame(clip))).indices

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) in [-1, 1] of tokens (B, t, h, w) int64."""
        return self.decoder(self.quantizer.indices_to_codes(tokens)).clamp(-1, 1)

    def _fill_latent_frame(self, clip: Tensor) -> Tensor:
        """Make of a still (B, 3, 1, H, W) the shortest clip that fills a latent frame; clips stay as they are."""
        if clip.shape[2] > 1:
            return clip
        return repeat(clip, "B C 1 H W -> B C T H W", T=self.config.temporal_factor)

    @property
    def fingerprint(self) -> str:
        """A short digest of config and weights."""
        return fingerprint(asdict(self.config), self.state_dict())

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model_folder(folder, {"kind": "vqgan", **asdict(self.config)}, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> VQGAN:
        """Load a VQGAN, in evaluation mode, from a model folder or from a run's final or newest model.

        Raises:
            CheckpointError: the folder holds no VQGAN, or weights and config disagree.
        """
        config, tensors = load_model_folder(Path(folder), "vqgan")
        model = cls(config_from_dict(VQGANConfig, config))
        load_weights(model, tensors, folder)
        return model.eval()


def load_tokenizer(folder: Path | str) -> VQGAN | Palette:
    """Load whichever tokenizer a folder holds, in evaluation mode.

    Raises:
        CheckpointError: the folder holds no tokenizer, or weights and config disagree.
    """
    config, _ = load_model_folder(Path(folder), "vqgan", "palette")
    return Palette.from_pretrained(folder) if config["kind"] == "palette" else VQGAN.from_pretrained(folder)
