"""The video VQGAN of Ge et al. (2022), TATS, for imported weights.

Layers have the names they have in TATS, so that weights need no renaming. Axes: B batch, T frames, C channels, H rows,
W columns of pixels; t, h, w of the token grid; D code dimensions. Convolutions reach into the past and into the future:
the latent frames of a 16-frame clip all depend on all of its frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from storage.options import Options, option
from training.products import at_least_fp32, full_precision
from vqgan.config import MOST_CODES, check_clip
from vqgan.group_norm import GroupNorm
from vqgan.quantizers import nearest_code
from vqgan.tokenizer import Tokenizer

Norm = Literal["batch", "group"]
Padding = Literal["replicate", "constant", "reflect", "circular"]

# Latent frames, rows or columns that an axis must have more of: a kernel of four that does not stride adds two.
ENOUGH: dict[Padding, int] = {"replicate": 0, "constant": 0, "reflect": 2, "circular": 1}


@dataclass(frozen=True)
class TATSConfig(Options):
    """The architecture of a video VQGAN."""

    resolution: int = option(128, at_least=1)
    """Pixels a side of the clips it was made for."""
    frames: int = option(16, at_least=1)
    """Frames of the clips it was made for."""
    fps: float = option(8.0, above=0)
    """Frames per second of the clips it was made for."""
    width: int = option(32, at_least=1)
    """Channels of the first layer; every level doubles them."""
    downsample: tuple[int, int, int] = (4, 8, 8)
    """Frames, rows and columns per token, powers of two."""
    code_width: int = option(256, at_least=1)
    """Dimensions of a code."""
    codes: int = option(16384, at_least=1, at_most=MOST_CODES)
    """Number of codes."""
    norm: Norm = "batch"
    """Batch norm, or group norm of 32 groups."""
    padding: Padding = "replicate"
    """What stands beyond the borders of a clip for the strided convolutions of the encoder."""
    causal: bool = False
    """Always false, and written down for readers of config.json: latent frames depend on later frames."""
    leakage: float | None = option(None, at_least=0, at_most=1)
    """Share of a latent frame's tokens that change with later frames, measured at import."""

    def check(self) -> None:
        """Check that the numbers fit together.

        Raises:
            ValueError: they do not.
        """
        for name, choices in (("norm", get_args(Norm)), ("padding", get_args(Padding))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r} must be one of {', '.join(choices)}")
        if self.causal:
            raise ValueError("this VQGAN cannot be causal")
        _check_downsample(self.downsample)
        check_clip(self.frames, self.resolution)
        if self.resolution % self.spatial_factor:
            raise ValueError(f"resolution {self.resolution} must be a multiple of {self.spatial_factor}")
        if self.frames % self.temporal_factor:
            raise ValueError(f"frames {self.frames} must be a multiple of {self.temporal_factor}")

    @property
    def strides(self) -> tuple[tuple[int, int, int], ...]:
        """The strides (t, h, w) of each level of the encoder, and of the decoder in the same order."""
        levels = max(self.downsample).bit_length() - 1
        t, h, w = ([2 if factor >> (level + 1) else 1 for level in range(levels)] for factor in self.downsample)
        return tuple(zip(t, h, w, strict=True))

    @property
    def vocab_size(self) -> int:
        """Number of codes."""
        return self.codes

    @property
    def temporal_factor(self) -> int:
        """Frames per latent frame."""
        return self.downsample[0]

    @property
    def spatial_factor(self) -> int:
        """Pixels a side per token."""
        return self.downsample[1]


class SameConv(nn.Module):
    """A 3D convolution that gives as many positions as it takes, divided by its stride."""

    def __init__(
        self, width_in: int, width_out: int, kernel: int, stride: tuple[int, int, int], padding: Padding
    ) -> None:
        super().__init__()
        self.edges = _edges(kernel, stride)
        self.padding = padding
        self.conv = nn.Conv3d(width_in, width_out, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, T / s, H / s, W / s) of (B, width_in, T, H, W), by the stride s of each axis."""
        return self.conv(F.pad(x, self.edges, mode=self.padding))


class SameTransposedConv(nn.Module):
    """A transposed 3D convolution with a kernel of four that gives `stride` times as many positions as it takes."""

    def __init__(self, width_in: int, width_out: int, stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.edges = _edges(4, stride)
        self.convt = nn.ConvTranspose3d(width_in, width_out, kernel_size=4, stride=stride, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, T s, H s, W s) of (B, width_in, T, H, W), by the stride s of each axis."""
        return self.convt(F.pad(x, self.edges, mode="replicate"))


class ResidualBlock(nn.Module):
    """Two convolutions, each after a norm and SiLU. They replicate borders whatever the encoder's padding is."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.norm1 = _norm(width, norm)
        self.conv1 = SameConv(width, width, 3, (1, 1, 1), "replicate")
        self.norm2 = _norm(width, norm)
        self.conv2 = SameConv(width, width, 3, (1, 1, 1), "replicate")

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, T, H, W) of (B, C, T, H, W)."""
        branch = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(branch)))


class Down(nn.Module):
    """One level of the encoder."""

    def __init__(self, width: int, stride: tuple[int, int, int], config: TATSConfig) -> None:
        super().__init__()
        self.down = SameConv(width, 2 * width, 4, stride, config.padding)
        self.res = ResidualBlock(2 * width, config.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return twice the channels of (B, C, T, H, W), divided along T, H and W by the strides."""
        return self.res(self.down(x))


class Up(nn.Module):
    """One level of the decoder."""

    def __init__(self, width_in: int, width_out: int, stride: tuple[int, int, int], config: TATSConfig) -> None:
        super().__init__()
        self.up = SameTransposedConv(width_in, width_out, stride)
        self.res1 = ResidualBlock(width_out, config.norm)
        self.res2 = ResidualBlock(width_out, config.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, ...) of (B, width_in, T, H, W), multiplied along T, H and W by the strides."""
        return self.res2(self.res1(self.up(x)))


class Encoder(nn.Module):
    """Clips (B, 3, T, H, W) in [-0.5, 0.5] to features (B, C, t, h, w)."""

    def __init__(self, config: TATSConfig) -> None:
        super().__init__()
        width = config.width
        levels = len(config.strides)
        self.conv_first = SameConv(3, width, 3, (1, 1, 1), config.padding)
        self.conv_blocks = nn.Sequential(
            *(Down(width * 2**level, stride, config) for level, stride in enumerate(config.strides))
        )
        self.final_block = nn.Sequential(_norm(width * 2**levels, config.norm), nn.SiLU())

    def forward(self, clip: Tensor) -> Tensor:
        """Return the features (B, C, t, h, w) of clips (B, 3, T, H, W) in [-0.5, 0.5]."""
        return self.final_block(self.conv_blocks(self.conv_first(clip)))


class Decoder(nn.Module):
    """Features (B, C, t, h, w) to clips (B, 3, T, H, W) in [-0.5, 0.5], not clamped."""

    def __init__(self, config: TATSConfig) -> None:
        super().__init__()
        levels = len(config.strides)
        # The first level keeps its width and each further one halves it.
        widths = [config.width * 2**level for level in (levels, *range(levels, 0, -1))]
        self.final_block = nn.Sequential(_norm(widths[0], config.norm), nn.SiLU())
        self.conv_blocks = nn.Sequential(
            *(Up(widths[level], widths[level + 1], stride, config) for level, stride in enumerate(config.strides))
        )
        self.conv_last = SameConv(widths[-1], 3, 3, (1, 1, 1), "replicate")

    def forward(self, features: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) of features (B, C, t, h, w)."""
        return self.conv_last(self.conv_blocks(self.final_block(features)))


class Codebook(nn.Module):
    """The codes."""

    embeddings: Tensor

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.randn(codes, width))

    def forward(self, latents: Tensor) -> Tensor:
        """Return the tokens (B, t, h, w) of latents (B, D, t, h, w): their nearest codes, found in fp32."""
        rows = rearrange(at_least_fp32(latents), "B D t h w -> (B t h w) D")
        with full_precision(latents.device):
            return nearest_code(rows, self.embeddings).view(len(latents), *latents.shape[2:])


class TATSVQGAN(Tokenizer):
    """A tokenizer of clips in which every latent frame depends on later frames."""

    kind = "tats"
    summary = "A VQGAN in the architecture of TATS (Ge et al. 2022): it turns clips into grids of tokens and back."
    tags = ("tokenizer", "vqgan")
    config_class = TATSConfig
    config: TATSConfig
    causal = False

    def __init__(self, config: TATSConfig) -> None:
        super().__init__()
        self.config = config
        features = config.width * 2 ** len(config.strides)
        self.encoder = Encoder(config)
        self.pre_vq_conv = SameConv(features, config.code_width, 1, (1, 1, 1), "replicate")
        self.codebook = Codebook(config.codes, config.code_width)
        self.post_vq_conv = SameConv(config.code_width, features, 1, (1, 1, 1), "replicate")
        self.decoder = Decoder(config)

    def grid(self, frames: int, rows: int, columns: int) -> tuple[int, int, int]:
        grid = super().grid(frames, rows, columns)
        for positions, factor in zip(grid, self.config.downsample, strict=True):
            if factor < max(self.config.downsample) and positions <= ENOUGH[self.config.padding]:
                raise ValueError(
                    f"a grid of {grid} is too small for {self.config.padding} padding: "
                    f"more than {ENOUGH[self.config.padding]} tokens along each axis are needed"
                )
        return grid

    @property
    def not_of_tokens(self) -> frozenset[str]:
        return frozenset(("leakage",))

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        self.grid(*clip.shape[2:])
        return self.codebook(self.pre_vq_conv(self.encoder(self.fill_latent_frame(clip) / 2)))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        return self.reconstruct(tokens).clamp(-1, 1)

    def reconstruct(self, tokens: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) of tokens (B, t, h, w) in [-1, 1] as the decoder gives them, not clamped."""
        latents = rearrange(self.codebook.embeddings[tokens], "B t h w D -> B D t h w")
        return 2 * self.decoder(self.post_vq_conv(latents))


def _check_downsample(downsample: tuple[int, ...]) -> None:
    if len(downsample) != 3 or min(downsample) < 1 or max(downsample) < 2:
        raise ValueError(f"downsample {downsample} must be frames, rows and columns per token")
    if any(factor & (factor - 1) for factor in downsample):
        true = tuple(1 << (factor.bit_length() - 1) for factor in downsample)
        raise ValueError(
            f"downsample {downsample} must be powers of two: TATS silently rounds others down, so that this model's "
            f"grids are those of {true}, not the ones it was meant to have"
        )
    if downsample[1] != downsample[2]:
        raise ValueError(f"downsample {downsample} must be the same for rows and columns")


def _edges(kernel: int, stride: tuple[int, int, int]) -> tuple[int, ...]:
    """Return what to pad before and after, last axis first; of an odd number the larger half comes before."""
    added = [kernel - step for step in reversed(stride)]
    return tuple(edge for count in added for edge in (count - count // 2, count // 2))


def _norm(width: int, norm: Norm) -> nn.Module:
    return nn.BatchNorm3d(width) if norm == "batch" else GroupNorm(32, width, eps=1e-6)
