"""What a tokenizer is: architectures and their presets. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class VQGANConfig:
    """The architecture of a causal VQGAN. One temporal stride of 1 everywhere makes it an image tokenizer."""

    resolution: int = 64
    """Pixels a side of the clips it was made for."""
    frames: int = 16
    """Frames of the clips it was made for; 1 for an image tokenizer."""
    fps: float = 8.0
    """Frames per second of the clips it was made for."""
    patch: int = 2
    """Pixels a side that the first layer folds into channels."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Channels of each level, from the finest to the coarsest."""
    strides: tuple[tuple[int, int], ...] = ((2, 2), (2, 1))
    """Temporal and spatial stride between one level and the next."""
    blocks: int = 1
    """Residual blocks per level of the encoder."""
    decoder_blocks: int = 1
    """Residual blocks per level of the decoder."""
    codes: int = 1024
    """Number of codes."""
    code_width: int = 16
    """Dimensions of a code."""
    commitment: float = 0.25
    """Weight of the commitment loss."""
    decay: float = 0.97
    """Decay of the moving averages that the codes are."""
    normalised: bool = False
    """Bring latent vectors and codes to unit length."""
    levels: tuple[int, ...] = ()
    """Levels per code dimension, for finite scalar quantization instead of learned codes; their product is `codes`."""

    def __post_init__(self) -> None:
        """Check that the numbers fit together."""
        if len(self.strides) != len(self.widths) - 1:
            raise ValueError(f"{len(self.widths)} widths need {len(self.widths) - 1} strides, not {self.strides}")
        if self.resolution % self.spatial_factor:
            raise ValueError(f"resolution {self.resolution} must divide by {self.spatial_factor}")
        if self.frames % self.temporal_factor:
            raise ValueError(f"frames {self.frames} must divide by {self.temporal_factor}")
        if self.codes < 2:
            raise ValueError(f"codes {self.codes} must be at least 2")
        shape = len(self.levels), math.prod(self.levels)
        if self.levels and (min(self.levels) < 2 or shape != (self.code_width, self.codes)):
            raise ValueError(
                f"levels {self.levels} of 2 and more make {math.prod(self.levels)} codes of {len(self.levels)} "
                f"dimensions, not {self.codes} of {self.code_width}"
            )

    @property
    def vocab_size(self) -> int:
        """Number of codes."""
        return self.codes

    @property
    def temporal_factor(self) -> int:
        """Frames per latent frame."""
        return math.prod(temporal for temporal, _ in self.strides)

    @property
    def spatial_factor(self) -> int:
        """Pixels a side per token."""
        return self.patch * math.prod(spatial for _, spatial in self.strides)


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
}  # fmt: skip


@dataclass(frozen=True)
class PaletteConfig:
    """A colour palette: one token per pixel of a still."""

    colours: int
    """Number of colours."""
    size: int
    """Pixels a side of the images it tokenizes."""
    frames = 1
    fps = 1.0
    temporal_factor = 1
    spatial_factor = 1

    @property
    def vocab_size(self) -> int:
        """Number of colours."""
        return self.colours

    @property
    def resolution(self) -> int:
        """Pixels a side of the images it tokenizes."""
        return self.size
