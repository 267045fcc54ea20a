"""What a tokenizer is: architectures and their presets. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from data.clip_format import ClipFormat
from storage.options import Options, about, option

MOST_PIXELS = 2**28
"""Pixels of all frames of a clip that a tokenizer is made for, at most: 3 GiB of numbers."""

MOST_CODES = 2**31 - 1
"""Codes of a tokenizer, at most: tokens are whole numbers of 32 bits."""


def check_clip(frames: int, resolution: int) -> None:
    """Refuse clips that no memory holds, which no weights contradict.

    Raises:
        ValueError: they have more than `MOST_PIXELS` pixels.
    """
    if frames * resolution**2 > MOST_PIXELS:
        raise ValueError(
            f"{frames} frames of --resolution {resolution} are {frames * resolution**2:,} pixels, more than the "
            f"{MOST_PIXELS:,} that a clip can have"
        )


@dataclass(frozen=True)
class VQGANConfig(Options):
    """The architecture of a causal VQGAN. One temporal stride of 1 everywhere makes it an image tokenizer."""

    resolution: int = option(64, at_least=1, at_most=8192)
    """Pixels a side of the clips it is made for."""
    frames: int = option(16, at_least=1, at_most=4096)
    """Frames of the clips it is made for; 1 for an image tokenizer."""
    fps: float = option(8.0, at_least=0.001, at_most=1000)
    """Frames per second of the clips it is made for."""
    patch: int = option(2, at_least=1, at_most=1024)
    """Pixels a side that the first layer folds into channels."""
    widths: tuple[int, ...] = option((32, 64, 128), at_least=1, at_most=65_536)
    """Channels of each level, from the finest to the coarsest."""
    strides: tuple[tuple[int, int], ...] = option(((2, 2), (2, 1)), at_least=1, at_most=64)
    """Temporal and spatial stride between one level and the next."""
    blocks: int = option(1, at_least=0, at_most=1000)
    """Residual blocks per level of the encoder."""
    decoder_blocks: int = option(1, at_least=0, at_most=1000)
    """Residual blocks per level of the decoder."""
    codes: int = option(1024, at_least=2, at_most=2**24)
    """Number of learned codes."""
    code_width: int = option(16, at_least=1, at_most=65_536)
    """Dimensions of a learned code."""
    commitment: float = option(0.25, at_least=0, at_most=10**6)
    """Weight of the commitment loss of learned codes."""
    codebook_decay: float = option(0.97, at_least=0, below=1)
    """Decay of the moving averages that learned codes are."""
    normalised: bool = False
    """Bring latent vectors and learned codes to unit length."""
    levels: tuple[int, ...] = option((), at_least=2, at_most=65_536)
    """Levels of each code dimension, such as 8 5 5 5, for finite scalar quantization in place of learned codes."""

    def check(self) -> None:
        """Check that the numbers fit together.

        Raises:
            ValueError: they do not; the options are named.
        """
        if not self.widths or len(self.strides) != len(self.widths) - 1:
            raise ValueError(
                f"--widths {' '.join(map(str, self.widths))}: {len(self.widths)} levels need {len(self.widths) - 1} "
                f"pairs of --strides, not {len(self.strides)}"
            )
        if any(stride < 1 for pair in self.strides for stride in pair):
            raise ValueError(f"--strides {self.strides} must be at least 1")
        if self.resolution % self.spatial_factor:
            raise ValueError(f"--resolution {self.resolution} must divide by {self.spatial_factor}")
        if self.frames % self.temporal_factor:
            raise ValueError(f"--frames {self.frames} must divide by {self.temporal_factor}")
        check_clip(self.frames, self.resolution)
        if self.vocab_size > MOST_CODES:
            raise ValueError(f"{self.vocab_size:,} codes are more than the {MOST_CODES:,} that tokens can tell apart")

    @classmethod
    def check_given(cls, given: frozenset[str]) -> None:
        """Refuse options of learned codes beside those of finite scalar quantization.

        Raises:
            ValueError: both were given.
        """
        learned = sorted(given & {"codes", "code_width", "commitment", "codebook_decay", "normalised"})
        if "levels" in given and learned:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in learned)
            raise ValueError(f"--levels and {flags} exclude each other: finite scalar quantization learns no codes")

    @property
    def vocab_size(self) -> int:
        """Number of codes."""
        return math.prod(self.levels) if self.levels else self.codes

    @property
    def latent_width(self) -> int:
        """Dimensions of what is quantized."""
        return len(self.levels) or self.code_width

    @property
    def temporal_factor(self) -> int:
        """Frames per latent frame."""
        return math.prod(temporal for temporal, _ in self.strides)

    @property
    def spatial_factor(self) -> int:
        """Pixels a side per token."""
        return self.patch * math.prod(spatial for _, spatial in self.strides)

    @property
    def clip_format(self) -> ClipFormat:
        """The clips it is made for."""
        return ClipFormat(self.frames, self.fps, self.resolution)

    def describe(self) -> str:
        """Return what it makes of which clips, in words."""
        t = self.frames // self.temporal_factor
        side = self.resolution // self.spatial_factor
        return f"{self.clip_format.describe()} to {t}x{side}x{side} tokens of {self.vocab_size} codes"


_VIDEO_128 = VQGANConfig(
    resolution=128,
    patch=2,
    widths=(64, 128, 256),
    strides=((2, 2), (2, 2)),
    blocks=2,
    decoder_blocks=4,
    codes=16384,
    code_width=32,
)

_IMAGE_128 = VQGANConfig(
    resolution=128,
    frames=1,
    widths=(96, 192, 384),
    strides=((1, 2), (1, 2)),
    blocks=2,
    decoder_blocks=2,
    codes=16384,
    code_width=32,
)

PRESETS: dict[str, VQGANConfig] = {
    # 4x16x16 tokens for a 2-second clip of 64 px: small enough to train in minutes on two CPU cores.
    "demo": VQGANConfig(),
    # 4x8x8 tokens of the same clip: as many as the 16x16 of an image in "demo-image", to compare clips with images.
    "demo-8x8": VQGANConfig(strides=((2, 2), (2, 2))),
    "demo-image": VQGANConfig(frames=1, widths=(48, 96), strides=((1, 2),), blocks=2, decoder_blocks=2),
    # 4x16x16 tokens at 128 px (factor 4x8x8) and at 256 px (4x16x16).
    "video-128": _VIDEO_128,
    "video-256": replace(_VIDEO_128, resolution=256, patch=4),
    # 16x16 tokens for images of 128 px (factor 8) and 256 px (factor 16), and 32x32 for 256 px (factor 8).
    "image-128": _IMAGE_128,
    "image-256": replace(_IMAGE_128, resolution=256, widths=(64, 128, 256, 512), strides=((1, 2),) * 3),
    "image-256-32x32": replace(_IMAGE_128, resolution=256, codes=8192),
    # 32x32 tokens for 128 px, as many as of a clip, and of as many codes: to compare images with clips of video-128.
    "image-128-32x32": replace(_IMAGE_128, widths=(96, 192), strides=((1, 2),)),
}


@dataclass(frozen=True)
class PaletteConfig(Options):
    """A colour palette: one token per pixel of a still."""

    colours: int = field(metadata=about(at_least=1))
    """Number of colours."""
    size: int = field(metadata=about(at_least=1))
    """Pixels a side of the images it tokenizes."""
    frames = 1
    fps = 1.0
    temporal_factor = 1
    spatial_factor = 1

    def check(self) -> None:
        """Check the size.

        Raises:
            ValueError: no memory holds such images.
        """
        check_clip(self.frames, self.size)

    @property
    def vocab_size(self) -> int:
        """Number of colours."""
        return self.colours

    @property
    def resolution(self) -> int:
        """Pixels a side of the images it tokenizes."""
        return self.size
