"""The image VQGAN of Esser et al. (2021), taming-transformers, for imported weights.

Four tokenizers share its encoder and decoder and differ in how a latent vector finds its code: the VQGAN itself takes
the nearest code, its Gumbel variant the code of the largest logit, LlamaGen (Sun et al. 2024) the code of the nearest
direction, IBQ (Shi et al. 2024) the code of the largest inner product. The original of the Gumbel variant adds noise to
the logits whenever it encodes, so that its tokens are draws and two encodings of an image differ; here they are the
likeliest ones. Layers have the names they have in taming-transformers, so that weights need hardly any renaming.

Axes: B batch, T frames, C channels, H rows, W columns of pixels; h, w of the token grid; D code dimensions.
Group norm and attention reach over the whole image: every token depends on every pixel.
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

Quantizer = Literal["nearest", "gumbel", "normalised", "product"]
"""How a latent finds its code: nearest code, largest logit, nearest direction, largest inner product."""

# Groups of every group norm: widths must divide by it.
GROUPS = 32

MOST_LEVELS = 16
"""Levels of an architecture, at most; each halves the image."""


@dataclass(frozen=True)
class TamingConfig(Options):
    """The architecture of an image VQGAN."""

    resolution: int = option(256, at_least=1)
    """Pixels a side of the images it was made for."""
    width: int = option(128, at_least=1)
    """Channels of the finest level."""
    multipliers: tuple[int, ...] = option((1, 1, 2, 2, 4), at_least=1)
    """Channels of each level, from the finest to the coarsest, as multiples of `width`."""
    blocks: int = option(2, at_least=1)
    """Residual blocks per level of the encoder; the decoder has one more."""
    attention_levels: tuple[int, ...] = option((4,), at_least=0)
    """Levels with attention after every residual block; 0 is the finest."""
    latent_width: int = option(256, at_least=1)
    """Channels that the encoder gives and the decoder takes."""
    code_width: int = option(256, at_least=1)
    """Dimensions of a code."""
    codes: int = option(16384, at_least=1, at_most=MOST_CODES)
    """Number of codes."""
    quantizer: Quantizer = "nearest"
    """How a latent finds its code."""
    fps: float = option(1.0, above=0)
    """Frames per second at which videos are cut into frames."""
    causal: bool = False
    """Always false, and written down for readers of config.json: a token depends on all pixels of its image."""
    frames = 1
    temporal_factor = 1

    def check(self) -> None:
        """Check that the numbers fit together.

        Raises:
            ValueError: they do not.
        """
        if self.quantizer not in get_args(Quantizer):
            raise ValueError(f"quantizer {self.quantizer!r} must be one of {', '.join(get_args(Quantizer))}")
        if self.causal:
            raise ValueError("this VQGAN cannot be causal")
        if not 1 <= len(self.multipliers) <= MOST_LEVELS:
            raise ValueError(f"multipliers of {len(self.multipliers)} levels: 1 to {MOST_LEVELS} can be")
        check_clip(self.frames, self.resolution)
        if self.resolution % self.spatial_factor:
            raise ValueError(f"resolution {self.resolution} must be a multiple of {self.spatial_factor}")
        for width in self.widths:
            if width % GROUPS:
                raise ValueError(f"a width of {width} channels must divide into {GROUPS} groups")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from the finest to the coarsest."""
        return tuple(self.width * multiplier for multiplier in self.multipliers)

    @property
    def vocab_size(self) -> int:
        """Number of codes."""
        return self.codes

    @property
    def spatial_factor(self) -> int:
        """Pixels a side per token."""
        return int(2 ** (len(self.multipliers) - 1))


class ResidualBlock(nn.Module):
    """Two convolutions, each after group norm and swish; a 1x1 convolution carries the input over to a new width."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.norm1 = _norm(width_in)
        self.conv1 = nn.Conv2d(width_in, width_out, kernel_size=3, padding=1)
        self.norm2 = _norm(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, kernel_size=3, padding=1)
        self.nin_shortcut = nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, H, W) of (B, width_in, H, W)."""
        branch = self.conv1(F.silu(self.norm1(x)))
        branch = self.conv2(F.silu(self.norm2(branch)))
        return self.nin_shortcut(x) + branch


class Attention(nn.Module):
    """Attention of one head between all positions of an image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.q = nn.Conv2d(width, width, kernel_size=1)
        self.k = nn.Conv2d(width, width, kernel_size=1)
        self.v = nn.Conv2d(width, width, kernel_size=1)
        self.proj_out = nn.Conv2d(width, width, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, h, w) of (B, C, h, w)."""
        normed = self.norm(x)
        rows = x.shape[2]
        q, k, v = (rearrange(layer(normed), "B C h w -> B 1 (h w) C") for layer in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(rearrange(seen, "B 1 (h w) C -> B C h w", h=rows))


class Downsample(nn.Module):
    """Halve rows and columns; a row and a column of zeros are added at the bottom and on the right only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / 2, W / 2) of (B, C, H, W)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double rows and columns by repeating them, then smooth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2 H, 2 W) of (B, C, H, W)."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The blocks of one resolution, each followed by attention where the level has it."""

    def __init__(self, width_in: int, width_out: int, blocks: int, attention: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock(width_out if index else width_in, width_out) for index in range(blocks)
        )
        self.attn = nn.ModuleList(Attention(width_out) for _ in range(blocks if attention else 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, H, W) of (B, width_in, H, W)."""
        for index, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[index](x)
        return x


class Down(Level):
    """One level of the encoder; all but the coarsest end with half the rows and columns."""

    def __init__(self, width_in: int, width_out: int, blocks: int, attention: bool, coarsest: bool) -> None:
        super().__init__(width_in, width_out, blocks, attention)
        self.downsample = nn.Identity() if coarsest else Downsample(width_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, H / 2, W / 2) of (B, width_in, H, W); the coarsest level keeps H and W."""
        return self.downsample(super().forward(x))


class Up(Level):
    """One level of the decoder; all but the finest end with twice the rows and columns."""

    def __init__(self, width_in: int, width_out: int, blocks: int, attention: bool, finest: bool) -> None:
        super().__init__(width_in, width_out, blocks, attention)
        self.upsample = nn.Identity() if finest else Upsample(width_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, 2 H, 2 W) of (B, width_in, H, W); the finest level keeps H and W."""
        return self.upsample(super().forward(x))


class Middle(nn.Module):
    """The innermost blocks of encoder and decoder."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(width, width)
        self.attn_1 = Attention(width)
        self.block_2 = ResidualBlock(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, h, w) of (B, C, h, w)."""
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    """Images (B, 3, H, W) to latents (B, C, h, w)."""

    def __init__(self, config: TamingConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(3, config.width, kernel_size=3, padding=1)
        entering = (config.width, *widths)
        coarsest = len(widths) - 1
        self.down = nn.Sequential(
            *(
                Down(entering[level], width, config.blocks, level in config.attention_levels, level == coarsest)
                for level, width in enumerate(widths)
            )
        )
        self.mid = Middle(widths[-1])
        self.norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], config.latent_width, kernel_size=3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the latents (B, C, h, w) of images (B, 3, H, W) in [-1, 1]."""
        x = self.mid(self.down(self.conv_in(images)))
        return self.conv_out(F.silu(self.norm_out(x)))


class Decoder(nn.Module):
    """Latents (B, C, h, w) to images (B, 3, H, W), not clamped. `up` is numbered like `down`: 0 is the finest."""

    def __init__(self, config: TamingConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(config.latent_width, widths[-1], kernel_size=3, padding=1)
        self.mid = Middle(widths[-1])
        entering = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(
            Up(entering[level], width, config.blocks + 1, level in config.attention_levels, finest=level == 0)
            for level, width in enumerate(widths)
        )
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, kernel_size=3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images (B, 3, H, W) of latents (B, C, h, w)."""
        x = self.mid(self.conv_in(latents))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Codes(nn.Module):
    """The codes, and how a latent finds one of them."""

    def __init__(self, config: TamingConfig) -> None:
        super().__init__()
        self.quantizer = config.quantizer
        self.embedding = nn.Embedding(config.codes, config.code_width)
        if config.quantizer == "gumbel":
            self.proj = nn.Conv2d(config.code_width, config.codes, kernel_size=1)

    def codebook(self) -> Tensor:
        """Return the codes (K, D) that latents are compared with and that are decoded."""
        return F.normalize(self.embedding.weight) if self.quantizer == "normalised" else self.embedding.weight

    def forward(self, latents: Tensor) -> Tensor:
        """Return the tokens (B, h, w) of latents (B, D, h, w), found in fp32 whatever the encoder computed in."""
        with full_precision(latents.device):
            return self._find(at_least_fp32(latents))

    def _find(self, latents: Tensor) -> Tensor:
        if self.quantizer == "gumbel":
            return self.proj(latents).argmax(dim=1)
        rows = rearrange(latents, "B D h w -> (B h w) D")
        if self.quantizer == "normalised":
            rows = F.normalize(rows)
        if self.quantizer == "product":
            return _largest_product(rows, self.codebook()).view(len(latents), *latents.shape[2:])
        return nearest_code(rows, self.codebook()).view(len(latents), *latents.shape[2:])


class TamingVQGAN(Tokenizer):
    """An image tokenizer in which every token depends on the whole image; frames of a clip are images of their own."""

    kind = "taming"
    summary = (
        "A VQGAN in the architecture of Taming Transformers (Esser et al. 2021): it turns images into grids of tokens "
        "and back."
    )
    tags = ("tokenizer", "vqgan")
    config_class = TamingConfig
    config: TamingConfig
    causal = False

    def __init__(self, config: TamingConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv2d(config.latent_width, config.code_width, kernel_size=1)
        self.quantize = Codes(config)
        self.post_quant_conv = nn.Conv2d(config.code_width, config.latent_width, kernel_size=1)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        self.grid(*clip.shape[2:])
        images = rearrange(clip, "B C T H W -> (B T) C H W")
        tokens = self.quantize(self.quant_conv(self.encoder(images)))
        return rearrange(tokens, "(B T) h w -> B T h w", B=len(clip))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        return self.reconstruct(tokens).clamp(-1, 1)

    def reconstruct(self, tokens: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) of tokens (B, t, h, w) as the decoder gives them, not clamped."""
        latents = rearrange(self.quantize.codebook()[tokens], "B t h w D -> (B t) D h w")
        return rearrange(self.decoder(self.post_quant_conv(latents)), "(B T) C H W -> B C T H W", B=len(tokens))


def _norm(width: int) -> GroupNorm:
    return GroupNorm(GROUPS, width, eps=1e-6)


def _largest_product(rows: Tensor, codebook: Tensor, chunk: int = 256) -> Tensor:
    """Return the index of the code (K, D) with the largest inner product with each of (R, D) rows: (R,) int64."""
    transposed = codebook.T.contiguous()
    return torch.cat([(part @ transposed).argmax(dim=1) for part in rows.split(chunk)])
