"""Layers of the causal VQGAN.

Axes: B batch, T frames, C channels, H rows, W columns. Features are (B T) C H W with all frames of a clip in a
row, so that spatial layers are plain 2D convolutions that cannot mix frames; only the layers that take `frames`
look at other frames, and only at earlier ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """RMS norm over the channels of each position of each frame (Zhang and Sennrich 2019), which mixes none of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normed (B*T, C, H, W) features, of the same shape."""
        # Channels are the fastest axis in memory (channels-last), so both permutations are views.
        rows = x.permute(0, 2, 3, 1)  # the fused kernel wants one dtype
        weight = self.weight.type_as(x)
        return F.rms_norm(rows, weight.shape, weight, eps=1e-6).permute(0, 3, 1, 2)


class CausalTemporalConv(nn.Module):
    """Convolution over time with a kernel of three: each frame sees itself and the two before it.

    Before the first frame stands the first frame again.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(width, width, kernel_size=(3, 1, 1))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Mix (B*T, C, H, W) features of clips of `frames` frames over time; same shape."""
        # Channels are the fastest axis in memory before and after, so that only the two frames in front are copied.
        clips = rearrange(x.permute(0, 2, 3, 1), "(B T) H W C -> B T H W C", T=frames)
        first = clips[:, :1]
        padded = torch.cat([first, first, clips], dim=1)
        mixed = self.conv(padded.permute(0, 4, 1, 2, 3))
        return rearrange(mixed.permute(0, 2, 3, 4, 1), "B T H W C -> (B T) H W C").permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two convolutions on a normalised residual branch: over space, then over time (over space again for stills)."""

    def __init__(self, width: int, temporal: bool) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(width)
        self.space = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.norm2 = ChannelNorm(width)
        self.time = CausalTemporalConv(width) if temporal else None
        self.space2 = None if temporal else nn.Conv2d(width, width, kernel_size=3, padding=1)
        last = self.time.conv if self.time else self.space2
        assert last is not None
        nn.init.zeros_(last.weight)  # a new block is the identity, which steadies the first steps

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Return (B*T, C, H, W) features of clips of `frames` frames, of the same shape."""
        branch = F.silu(self.norm2(self.space(F.silu(self.norm1(x)))))
        if self.time is not None:
            return x + self.time(branch, frames)
        assert self.space2 is not None
        return x + self.space2(branch)


class Downsample(nn.Module):
    """Merge `temporal` frames and stride `spatial` pixels; a merged frame sees only the frames it merges."""

    def __init__(self, width_in: int, width_out: int, temporal: int, spatial: int) -> None:
        super().__init__()
        self.temporal = temporal
        self.conv = nn.Conv2d(temporal * width_in, width_out, kernel_size=3, stride=spatial, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B*T / temporal, width_out, H / spatial, W / spatial) of (B*T, width_in, H, W) features."""
        merged = rearrange(x, "(B s) C H W -> B (s C) H W", s=self.temporal)
        return self.conv(merged.contiguous(memory_format=torch.channels_last))


class Upsample(nn.Module):
    """The reverse of `Downsample`: sub-pixel convolution (Shi et al. 2016) over space and time."""

    def __init__(self, width_in: int, width_out: int, temporal: int, spatial: int) -> None:
        super().__init__()
        self.temporal = temporal
        self.spatial = spatial
        self.conv = nn.Conv2d(width_in, temporal * spatial**2 * width_out, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B*T * temporal, width_out, H * spatial, W * spatial) of (B*T, width_in, H, W) features."""
        spread = rearrange(
            self.conv(x),
            "B (s p q C) H W -> (B s) C (H p) (W q)",
            s=self.temporal,
            p=self.spatial,
            q=self.spatial,
        )
        return spread.contiguous(memory_format=torch.channels_last)
