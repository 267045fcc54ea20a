"""The causal VQGAN: clips to token grids and back.

Axes: B batch, T frames, H rows, W columns of pixels; t, h, w of the token grid; C channels; D code dimensions.
Latent frame j depends on frames up to the last one it stands for, and on no later one: see `vqgan.layers`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from storage.model_folder import load_model_folder
from storage.model_paths import CheckpointError, brought_tokenizer
from storage.pretrained import model_class
from training.products import at_least_fp32, full_precision
from vqgan.config import VQGANConfig
from vqgan.layers import ChannelNorm, Downsample, ResidualBlock, Upsample
from vqgan.quantizers import FiniteScalarQuantizer, VectorQuantizer
from vqgan.tokenizer import Tokenizer


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
        self.last = nn.Conv2d(widths[-1], config.latent_width, kernel_size=1)

    def forward(self, clip: Tensor) -> Tensor:
        """Map (B, 3, T, H, W) to (B, t, h, w, D)."""
        x = self.first(self._patches(clip))
        for level, blocks in enumerate(self.levels):
            if level:
                x = self.downsamples[level - 1](x)
            for block in blocks.children():
                x = block(x, frames=len(x) // len(clip))
        return rearrange(self.last(self.norm(x)), "(B t) D h w -> B t h w D", B=len(clip))

    def exact_at_ends(self, clip: Tensor) -> Tensor:
        """Map (B, 3, T, H, W) to (B, t, h, w, D) in fp32; under autocast only blocks and strides are lowered.

        Pixels and latents have more digits than bf16 keeps: with the first layer, a fourteenth of the work, in bf16
        too, three times as many tokens are others (`benchmarks/bf16_quality.py`). The residual stream is fp32.
        """
        with full_precision(clip.device):
            x = self.first(self._patches(clip))
        for level, blocks in enumerate(self.levels):
            if level:
                x = at_least_fp32(self.downsamples[level - 1](x))
            for block in blocks.children():
                x = block(x, frames=len(x) // len(clip))
        with full_precision(clip.device):
            return rearrange(self.last(self.norm(x)), "(B t) D h w -> B t h w D", B=len(clip))

    def _patches(self, clip: Tensor) -> Tensor:
        x = rearrange(clip, "B C T (H p) (W q) -> (B T) (C p q) H W", p=self.patch, q=self.patch)
        return x.contiguous(memory_format=torch.channels_last)


class Decoder(nn.Module):
    """Latent vectors to clips: the encoder's mirror image."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.patch = config.patch
        temporal = config.temporal_factor > 1
        widths = config.widths[::-1]
        strides = config.strides[::-1]
        self.first = nn.Conv2d(config.latent_width, widths[0], kernel_size=3, padding=1)
        self.levels = nn.ModuleList(
            nn.ModuleList(ResidualBlock(width, temporal) for _ in range(config.decoder_blocks)) for width in widths
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


def build_quantizer(config: VQGANConfig) -> VectorQuantizer | FiniteScalarQuantizer:
    """Return the quantizer that `config` describes."""
    if config.levels:
        return FiniteScalarQuantizer(config.levels)
    return VectorQuantizer(config.codes, config.code_width, config.commitment, config.codebook_decay, config.normalised)


class VQGAN(Tokenizer):
    """A tokenizer of clips whose latent frames never see the future."""

    kind = "vqgan"
    renamed: ClassVar[dict[str, str]] = {"decay": "codebook_decay"}
    summary = (
        "A causal VQGAN: it turns clips into grids of tokens and back, and no token depends on frames that come after "
        "those it stands for."
    )
    tags = ("tokenizer", "vqgan")
    config_class = VQGANConfig
    config: VQGANConfig
    causal = True

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = build_quantizer(config)
        self.decoder = Decoder(config)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)

    def forward(self, clip: Tensor, quantize: bool = True) -> Reconstruction:
        """Reconstruct (B, 3, T, H, W); with `quantize` False, through the continuous latents."""
        latents = self.encoder(self.fill_latent_frame(clip))
        if not quantize:
            tokens = latents.new_zeros(latents.shape[:-1], dtype=torch.int64)
            return Reconstruction(self.decoder(latents), tokens, latents.new_zeros(()))
        with full_precision(latents.device):
            quantized = self.quantizer(latents.float())
        return Reconstruction(self.decoder(quantized.codes), quantized.indices, quantized.loss)

    @property
    def not_of_tokens(self) -> frozenset[str]:
        training = frozenset(("commitment", "codebook_decay"))
        return training | {"codes", "code_width", "normalised"} if self.config.levels else training

    def rounded(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return its tensors rounded to a type, but for what learned codes are averages of, in which nothing is lost.

        The sums are those of the rounded codes, so that these stay where they are when a training goes on.
        """
        tensors = super().rounded(dtype)
        if isinstance(self.quantizer, VectorQuantizer):
            counts = self.quantizer.counts
            codes = tensors["quantizer.codebook"].to(counts.dtype)
            tensors |= {"quantizer.counts": counts, "quantizer.sums": codes * counts[:, None]}
        return tensors

    @property
    def encoder_reach(self) -> int:
        if self.temporal_factor == 1:
            return 0
        blocks = 2 * self.config.blocks  # frames before, of a level: each block sees two
        frames = blocks
        for temporal, _ in reversed(self.config.strides):
            frames = frames * temporal + blocks
        return math.ceil(frames / self.temporal_factor)

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        self.grid(*clip.shape[2:])
        latents = self.encoder.exact_at_ends(self.fill_latent_frame(clip))
        with full_precision(latents.device):
            return self.quantizer(latents).indices

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        return self.decoder(self.quantizer.indices_to_codes(tokens)).clamp(-1, 1)


def load_tokenizer(folder: Path | str) -> Tokenizer:
    """Load whichever tokenizer a folder holds, in evaluation mode: see `storage.pretrained` for how its class is found.

    Of the folder of a GPT it is the tokenizer that the GPT brings along.

    Args:
        folder: a folder, `hf:owner/name` or `hf:owner/name@revision` on the Hugging Face hub, or `starter-clips` or
            `starter-stills`, which come with the package.

    Raises:
        CheckpointError: the folder holds no tokenizer, nobody knows its kind, or weights and config disagree.
    """
    path = Path(folder)
    config, tensors = load_model_folder(path)
    brought = None if issubclass(model_class(config["kind"]), Tokenizer) else brought_tokenizer(path)
    if brought is not None:
        path = brought
        config, tensors = load_model_folder(path)
    found = model_class(config["kind"])
    if not issubclass(found, Tokenizer):
        raise CheckpointError(f"{folder} holds a {config['kind']!r}, which is no tokenizer")
    return found.from_content(config, tensors, path)
