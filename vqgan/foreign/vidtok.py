"""The video tokenizers of Tang et al. (2024), VidTok, with finite scalar quantization, for imported weights.

Layers have the names they have in VidTok, so that weights need no renaming. Rows and columns are convolved frame by
frame, frames position by position; only the first, the innermost and the last layers do both at once. The causal models
see no later frame and take one frame more than a multiple of their temporal factor: the first latent frame stands for
the first frame alone, which the encoder repeats in front of it. The others look ahead and take multiples.

Axes: B batch, T frames, C channels, H rows, W columns of pixels; t, h, w of the token grid; D code dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from storage.options import Options, option
from training.products import at_least_fp32
from vqgan.config import MOST_CODES, check_clip
from vqgan.quantizers import FiniteScalarQuantizer
from vqgan.tokenizer import Tokenizer

Norm = Literal["layer", "group"]
Before = Literal["zeros", "first"]
Scope = Literal["point", "frame", "position", "clip"]
"""What a group norm takes its mean over: one position of one frame, one frame, all frames of one position, or all."""

GROUPS = 32
"""Groups of a group norm: widths must divide by it."""

MOST_LEVELS = 16
"""Levels of an architecture, at most; each halves the image."""

SCOPES: dict[Scope, str] = {
    "point": "(B T H W) C",
    "frame": "(B T) C H W",
    "position": "(B H W) C T",
    "clip": "B C T H W",
}


@dataclass(frozen=True)
class VidTokConfig(Options):
    """The architecture of a video tokenizer."""

    resolution: int = option(256, at_least=1)
    """Pixels a side of the clips it was made for."""
    frames: int = option(17, at_least=1)
    """Frames of the clips it was made for."""
    fps: float = option(3.0, above=0)
    """Frames per second of the clips it was made for."""
    width: int = option(128, at_least=1)
    """Channels of the finest level."""
    multipliers: tuple[int, ...] = option((1, 2, 4, 4), at_least=1)
    """Channels of each level, from the finest to the coarsest, as multiples of `width`."""
    blocks: int = option(2, at_least=1)
    """Residual blocks per level of the encoder; the decoder has one more."""
    down_levels: tuple[int, ...] = option((1, 2), at_least=0)
    """Levels of the encoder that end with half the frames; 0 is the finest."""
    up_levels: tuple[int, ...] = option((1, 2), at_least=0)
    """Levels of the decoder that end with twice the frames."""
    levels: tuple[int, ...] = option((8, 8, 8, 8, 8), at_least=2)
    """Levels of each code dimension."""
    norm: Norm = "layer"
    """Layer norm over the channels of a position, or group norm of 32 groups."""
    causal: bool = True
    """Whether a latent frame depends on no later frame."""
    before: Before = "zeros"
    """What convolutions of a causal model find in front of the first frame: zeros, or the frame again (version 1.1)."""
    smooth: bool = False
    """Frames between two others are interpolated by the decoder and not repeated (version 1.1): it looks ahead."""
    leakage: float | None = option(None, at_least=0, at_most=1)
    """Share of a latent frame's tokens that change with later frames, measured at import."""

    def check(self) -> None:
        """Check that the numbers fit together.

        Raises:
            ValueError: they do not.
        """
        for name, choices in (("norm", get_args(Norm)), ("before", get_args(Before))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r} must be one of {', '.join(choices)}")
        if not 1 <= len(self.multipliers) <= MOST_LEVELS:
            raise ValueError(f"multipliers of {len(self.multipliers)} levels: 1 to {MOST_LEVELS} can be")
        if self.norm == "group" and any(width % GROUPS for width in self.widths):
            raise ValueError(f"widths of {self.widths} channels must divide into {GROUPS} groups")
        coarsest = len(self.multipliers) - 1
        _check_levels("down_levels", self.down_levels, 0, coarsest - 1)
        _check_levels("up_levels", self.up_levels, 1, coarsest)
        if len(self.down_levels) != len(self.up_levels):
            raise ValueError(f"{len(self.down_levels)} down_levels and {len(self.up_levels)} up_levels must be as many")
        if not self.causal and (self.before == "first" or self.smooth):
            raise ValueError("before and smooth are of version 1.1, which has causal models only")
        if not self.levels or self.vocab_size > MOST_CODES:
            raise ValueError(f"levels {self.levels} must be one or more, of at most {MOST_CODES:,} codes together")
        check_clip(self.frames, self.resolution)
        check_frames(self.frames, self.temporal_factor, self.causal)
        if self.resolution % self.spatial_factor:
            raise ValueError(f"resolution {self.resolution} must be a multiple of {self.spatial_factor}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from the finest to the coarsest."""
        return tuple(self.width * multiplier for multiplier in self.multipliers)

    @property
    def vocab_size(self) -> int:
        """Number of codes."""
        return math.prod(self.levels)

    @property
    def temporal_factor(self) -> int:
        """Frames per latent frame, but for the first latent frame of a causal model, which stands for one."""
        return int(2 ** len(self.down_levels))

    @property
    def spatial_factor(self) -> int:
        """Pixels a side per token."""
        return int(2 ** (len(self.multipliers) - 1))


def check_frames(frames: int, factor: int, causal: bool) -> None:
    """Refuse clips that do not divide into latent frames.

    Raises:
        ValueError: they do not; the nearest that do are named.
    """
    extra = 1 if causal else 0
    if frames == 1 or (frames > extra and frames % factor == extra % factor):
        return
    below = max(0, frames - extra) // factor * factor + extra
    near = [length for length in (below, below + factor) if length > 1] or [factor + extra]
    what = f"one and a multiple of {factor}" if causal else f"a multiple of {factor}"
    raise ValueError(
        f"clips of {frames} frames are not {what}, as it takes: 1 or {' or '.join(map(str, near))} would be"
    )


class LayerNorm(nn.Module):
    """A norm over the channels of one position of one frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, T, H, W) of (B, C, T, H, W)."""
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)


class GroupNorm(nn.GroupNorm):
    """A norm over groups of channels of a part of the clip."""

    def __init__(self, width: int, scope: Scope) -> None:
        super().__init__(GROUPS, width, eps=1e-6)
        self.layout = SCOPES[scope]

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, T, H, W) of (B, C, T, H, W)."""
        B, _, T, H, W = x.shape
        parts = rearrange(x, f"B C T H W -> {self.layout}").contiguous()
        return rearrange(super().forward(parts), f"{self.layout} -> B C T H W", B=B, T=T, H=H, W=W)


class FrameConv(nn.Conv2d):
    """A convolution over the rows and columns of each frame."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', T, H', W') of (B, C, T, H, W)."""
        return rearrange(
            super().forward(rearrange(x, "B C T H W -> (B T) C H W")), "(B T) C H W -> B C T H W", B=len(x)
        )


class TimeConv(nn.Conv1d):
    """A convolution over the frames of each position."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', T', H, W) of (B, C, T, H, W)."""
        B, _, _, H, W = x.shape
        columns = super().forward(rearrange(x, "B C T H W -> (B H W) C T"))
        return rearrange(columns, "(B H W) C T -> B C T H W", B=B, H=H, W=W)


class CausalConv(nn.Module):
    """A convolution, over time or over everything, that finds nothing behind a frame; it may halve the frames."""

    def __init__(self, conv: TimeConv | nn.Conv3d, before: Before) -> None:
        super().__init__()
        self.added = conv.kernel_size[0] - conv.stride[0]
        self.before = before
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', T / s, H, W) of (B, C, T, H, W), by the stride s of time."""
        return self.conv(_lengthen(x, self.added, self.before))


class Layers:
    """The layers of one configuration."""

    def __init__(self, config: VidTokConfig) -> None:
        self.config = config

    def norm(self, width: int, scope: Scope) -> nn.Module:
        """Return a norm; the group norms of causal models are over no more than a frame."""
        if self.config.norm == "layer":
            return LayerNorm(width)
        if self.config.causal:
            scope = "point" if scope == "position" else "frame"
        return GroupNorm(width, scope)

    def frames(self, width_in: int, width_out: int, kernel: int) -> nn.Module:
        """Return a convolution over rows and columns."""
        return FrameConv(width_in, width_out, kernel, padding=kernel // 2)

    def time(self, width_in: int, width_out: int, kernel: int) -> nn.Module:
        """Return a convolution over time."""
        if self.config.causal:
            return CausalConv(TimeConv(width_in, width_out, kernel), self.config.before)
        return TimeConv(width_in, width_out, kernel, padding=kernel // 2)

    def clip(self, width_in: int, width_out: int, kernel: int) -> nn.Module:
        """Return a convolution over time, rows and columns."""
        edge = kernel // 2
        if self.config.causal:
            return CausalConv(nn.Conv3d(width_in, width_out, kernel, padding=(0, edge, edge)), self.config.before)
        return nn.Conv3d(width_in, width_out, kernel, padding=edge)

    def halve_frames(self, width: int) -> nn.Module:
        """Return the convolution that halves the frames; models that look ahead are given a frame more behind."""
        conv = nn.Conv3d(width, width, 3, stride=(2, 1, 1), padding=(0, 1, 1))
        return CausalConv(conv, self.config.before) if self.config.causal else conv


class ResidualBlock(nn.Module):
    """Two convolutions, each after a norm and SiLU, over frames, over time, or over the whole clip."""

    def __init__(self, width_in: int, width_out: int, kind: Literal["frames", "time", "clip"], layers: Layers) -> None:
        super().__init__()
        scopes: dict[str, Scope] = {"frames": "frame", "time": "position", "clip": "clip"}
        conv = getattr(layers, kind)
        self.norm1 = layers.norm(width_in, scopes[kind])
        self.conv1 = conv(width_in, width_out, 3)
        self.norm2 = layers.norm(width_out, scopes[kind])
        self.conv2 = conv(width_out, width_out, 3)
        self.nin_shortcut = nn.Identity() if width_in == width_out else conv(width_in, width_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width_out, T, H, W) of (B, width_in, T, H, W)."""
        branch = self.conv1(F.silu(self.norm1(x)))
        branch = self.conv2(F.silu(self.norm2(branch)))
        return self.nin_shortcut(x) + branch


class Attention(nn.Module):
    """Attention of one head between the positions of each frame."""

    def __init__(self, width: int, layers: Layers) -> None:
        super().__init__()
        self.norm = layers.norm(width, "clip")
        self.q = layers.clip(width, width, 1)
        self.k = layers.clip(width, width, 1)
        self.v = layers.clip(width, width, 1)
        self.proj_out = layers.clip(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, t, h, w) of (B, C, t, h, w)."""
        normed = self.norm(x)
        q, k, v = (rearrange(layer(normed), "B C t h w -> B t (h w) C") for layer in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(q.contiguous(), k.contiguous(), v.contiguous())
        return x + self.proj_out(rearrange(seen, "B t (h w) C -> B C t h w", h=x.shape[3]))


class Downsample(nn.Module):
    """Halve rows and columns; a row and a column of zeros are added at the bottom and on the right only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = FrameConv(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, T, H / 2, W / 2) of (B, C, T, H, W)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double rows and columns by repeating them, then smooth."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = FrameConv(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, T, 2 H, 2 W) of (B, C, T, H, W)."""
        return self.conv(repeat(x, "B C T H W -> B C T (H p) (W q)", p=2, q=2))


class TimeDownsample(nn.Module):
    """Halve the frames: a learned mixture of the mean of three neighbours and a convolution."""

    def __init__(self, width: int, layers: Layers) -> None:
        super().__init__()
        self.before: Before | None = layers.config.before if layers.config.causal else None
        self.conv = layers.halve_frames(width)
        self.mix_factor = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, T / 2, H, W) of (B, C, T, H, W)."""
        share = torch.sigmoid(self.mix_factor)
        longer = _lengthen(x, 1, self.before) if self.before else F.pad(x, (0, 0, 0, 0, 0, 1))
        mean = F.avg_pool3d(longer, (3, 1, 1), stride=(2, 1, 1))
        return share * mean + (1 - share) * self.conv(x if self.before else longer)


class TimeUpsample(nn.Module):
    """Double the frames: a learned mixture of them as they are, repeated or interpolated, and a convolution of those.

    Args:
        width: channels.
        layers: of the configuration.
        first: frames that come from the first latent frame; they are interpolated among themselves.
    """

    def __init__(self, width: int, layers: Layers, first: int) -> None:
        super().__init__()
        self.smooth = layers.config.smooth
        self.first = first
        self.conv = layers.clip(width, width, 3)
        self.mix_factor = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2 T, H, W) of (B, C, T, H, W)."""
        share = torch.sigmoid(self.mix_factor)
        doubled = self._double(x)
        return share * doubled + (1 - share) * self.conv(doubled)

    def _double(self, x: Tensor) -> Tensor:
        if not self.smooth:
            return repeat(x, "B C T H W -> B C (T s) H W", s=2)
        parts = [part for part in x.tensor_split([self.first], dim=2) if part.shape[2]]
        return torch.cat([F.interpolate(part, scale_factor=(2, 1, 1), mode="trilinear") for part in parts], dim=2)


class Blocks(nn.Module):
    """The blocks of one level, over frames or over time, and what changes the size behind them, by its name."""

    def __init__(self, block: list[ResidualBlock], name: str, resample: nn.Module | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(block)
        self.name = name
        self.add_module(name, resample or nn.Identity())

    def resample(self, x: Tensor) -> Tensor:
        """Return (B, C, T', H', W') of (B, C, T, H, W): halved, doubled or as they are."""
        return self.get_submodule(self.name)(x)


class Middle(nn.Module):
    """The innermost blocks of encoder and decoder."""

    def __init__(self, width: int, layers: Layers) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(width, width, "clip", layers)
        self.attn_1 = Attention(width, layers)
        self.block_2 = ResidualBlock(width, width, "clip", layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, t, h, w) of (B, C, t, h, w)."""
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    """Clips (B, 3, T, H, W) of whole latent frames to latents (B, D, t, h, w)."""

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        layers = Layers(config)
        widths = config.widths
        coarsest = len(widths) - 1
        self.conv_in = layers.clip(3, config.width, 3)
        self.down = nn.ModuleList()
        self.down_temporal = nn.ModuleList()
        for level, width in enumerate(widths):
            entering = (config.width, *widths)[level]
            frames, time = _blocks(entering, width, config.blocks, layers)
            halved = level in config.down_levels
            self.down.append(Blocks(frames, "downsample", Downsample(width) if level < coarsest else None))
            self.down_temporal.append(Blocks(time, "downsample", TimeDownsample(width, layers) if halved else None))
        self.mid = Middle(widths[-1], layers)
        self.norm_out = layers.norm(widths[-1], "clip")
        self.conv_out = layers.clip(widths[-1], len(config.levels), 3)

    def forward(self, clip: Tensor) -> Tensor:
        """Return the latents (B, D, t, h, w) of clips (B, 3, T, H, W) in [-1, 1]."""
        x = self.conv_in(clip)
        for frames, time in zip(self.down, self.down_temporal, strict=True):
            x = _run(x, frames, time)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """Codes (B, D, t, h, w) to clips (B, 3, T, H, W), not clamped. `up` is numbered like `down`: 0 is the finest."""

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        layers = Layers(config)
        widths = config.widths
        entering = (*widths[1:], widths[-1])
        self.conv_in = layers.clip(len(config.levels), widths[-1], 3)
        self.mid = Middle(widths[-1], layers)
        self.up = nn.ModuleList()
        self.up_temporal = nn.ModuleList()
        for level, width in enumerate(widths):
            frames, time = _blocks(entering[level], width, config.blocks + 1, layers)
            first = int(2 ** sum(level < other for other in config.up_levels))
            doubled = level in config.up_levels
            self.up.append(Blocks(frames, "upsample", Upsample(width) if level else None))
            self.up_temporal.append(Blocks(time, "upsample", TimeUpsample(width, layers, first) if doubled else None))
        self.norm_out = layers.norm(widths[0], "clip")
        self.conv_out = layers.clip(widths[0], 3, 3)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) of codes (B, D, t, h, w)."""
        x = self.mid(self.conv_in(codes))
        for frames, time in zip(reversed(self.up), reversed(self.up_temporal), strict=True):
            x = _run(x, frames, time)
        return self.conv_out(F.silu(self.norm_out(x)))


class VidTok(Tokenizer):
    """A tokenizer of clips with finite scalar quantization, causal or not."""

    kind = "vidtok"
    summary = (
        "A tokenizer in the architecture of VidTok (Tang et al. 2024): it turns clips into grids of tokens and back."
    )
    tags = ("tokenizer",)
    config_class = VidTokConfig
    config: VidTokConfig

    def __init__(self, config: VidTokConfig) -> None:
        super().__init__()
        self.config = config
        self.causal = config.causal
        self.encoder = Encoder(config)
        self.quantizer = FiniteScalarQuantizer(config.levels)
        self.decoder = Decoder(config)

    def grid(self, frames: int, rows: int, columns: int) -> tuple[int, int, int]:
        check_frames(frames, self.temporal_factor, self.causal)
        _, h, w = super().grid(1, rows, columns)
        return (math.ceil(frames / self.temporal_factor), h, w)

    def frames_of(self, latent_frames: int) -> int:
        whole = latent_frames * self.temporal_factor
        return max(0, whole - self.temporal_factor + 1) if self.causal else whole

    @property
    def decoder_reach(self) -> tuple[int, int]:
        config = self.config
        # Each convolution over time looks at two more frames, which are the fewer latent frames the finer the level.
        convolutions = 5.0
        rate = 1
        for level in reversed(range(len(config.multipliers))):
            convolutions += 2 * (config.blocks + 1) / rate
            if level in config.up_levels:
                rate *= 2
                convolutions += 2 / rate
        frames = math.ceil(convolutions + 1 / rate)
        if not self.causal:
            return frames, frames
        return 2 * frames, len(config.up_levels) if config.smooth else 0

    @property
    def not_of_tokens(self) -> frozenset[str]:
        return frozenset(("leakage",))

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        self.grid(*clip.shape[2:])
        whole = _lengthen(clip, self.temporal_factor - 1, "first") if self.causal else self.fill_latent_frame(clip)
        return self.quantizer(at_least_fp32(self.encoder(whole)).movedim(1, -1)).indices

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        return self.reconstruct(tokens).clamp(-1, 1)

    def reconstruct(self, tokens: Tensor) -> Tensor:
        """Return the clips (B, 3, T, H, W) of tokens (B, t, h, w) as the decoder gives them, not clamped."""
        clip = self.decoder(self.quantizer.indices_to_codes(tokens).movedim(-1, 1).contiguous())
        return clip[:, :, self.temporal_factor - 1 :] if self.causal else clip


def _blocks(entering: int, width: int, count: int, layers: Layers) -> tuple[list[ResidualBlock], list[ResidualBlock]]:
    """Return the blocks of a level over frames and over time, which take turns."""
    frames = [ResidualBlock(width if index else entering, width, "frames", layers) for index in range(count)]
    return frames, [ResidualBlock(width, width, "time", layers) for _ in range(count)]


def _run(x: Tensor, frames: nn.Module, time: nn.Module) -> Tensor:
    """Pass (B, C, T, H, W) through one level."""
    assert isinstance(frames, Blocks)
    assert isinstance(time, Blocks)
    for over_frames, over_time in zip(frames.block, time.block, strict=True):
        x = over_time(over_frames(x))
    return time.resample(frames.resample(x))


def _lengthen(x: Tensor, added: int, before: Before) -> Tensor:
    """Put so many frames in front of (B, C, T, H, W): zeros, or the first frame again."""
    if not added:
        return x
    if before == "zeros":
        return F.pad(x, (0, 0, 0, 0, added, 0))
    return torch.cat([x[:, :, :1].expand(-1, -1, added, -1, -1), x], dim=2)


def _check_levels(name: str, levels: tuple[int, ...], first: int, last: int) -> None:
    if levels != tuple(sorted(set(levels))) or (levels and not first <= levels[0] <= levels[-1] <= last):
        raise ValueError(f"{name} {levels} must be levels from {first} to {last}, each once, in order")
