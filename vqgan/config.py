"""What a tokenizer is and how it is trained and used. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from training.nearest import unknown_name


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
    "demo-image": VQGANConfig(frames=1, widths=(48, 96), strides=((1, 2),), blocks=2, decoder_blocks=2),
    # 4x16x16 tokens at 128 px (factor 4x8x8) and at 256 px (4x16x16).
    "video-128": _VIDEO_128,
    "video-256": replace(_VIDEO_128, resolution=256, patch=4),
    # 16x16 tokens for images of 128 px (factor 8) and 256 px (factor 16), and 32x32 for 256 px (factor 8).
    "image-128": _IMAGE_128,
    "image-256": replace(_IMAGE_128, resolution=256, widths=(64, 128, 256, 512), strides=((1, 2),) * 3),
    "image-256-32x32": replace(_IMAGE_128, resolution=256, codes=8192),
}  # fmt: skip


@dataclass(frozen=True)
class AdversaryOptions:
    """Discriminators that learn to tell reconstructions from originals, and the tokenizer to please them."""

    adversarial_weight: float = 0.0
    """Gradient of the adversary at the decoder's last layer, as a share of the reconstruction's; 0 for none."""
    adversarial_start: int = 1000
    """Optimizer step at which the discriminators begin to learn."""
    adversarial_ramp: int = 1000
    """Optimizer steps over which the adversary's weight then rises from 0."""
    feature_matching: float = 4.0
    """Weight of feature matching beside the discriminators' scores."""
    discriminator_width: int = 64
    """Channels of a discriminator's first layer."""
    discriminator_layers: int = 3
    """Layers of a discriminator, each of which halves rows, columns and frames."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("adversarial_weight", "adversarial_start", "feature_matching"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)} must not be negative")
        for name in ("adversarial_ramp", "discriminator_width", "discriminator_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)} must be at least 1")


@dataclass(frozen=True)
class TrainOptions:
    """Train a causal VQGAN on films or images."""

    data: Path
    """Folder of films or images, one file, or a pattern of tar shards."""
    out: Path
    """Run folder."""
    preset: str = "demo"
    """Architecture: demo, demo-image, video-128, video-256, image-128, image-256 or image-256-32x32."""
    steps: int = 2000
    """Optimizer steps."""
    batch: int = 8
    """Clips per optimizer step, over all processes."""
    crop: int | None = None
    """Pixels a side of the random crops it is trained on; the whole clip if not given."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam."""
    warmup: int = 50
    """Optimizer steps of linear warm-up."""
    continuous_steps: int = 100
    """First optimizer steps without quantization; the codes then start from k-means over what was learned."""
    perceptual: str = "none"
    """Perceptual loss: none, lpips, efficientnet-lite0, or timm:<model>:<weights file>."""
    perceptual_weight: float = 1.0
    """Weight of the perceptual loss against the absolute error."""
    adversary: AdversaryOptions = AdversaryOptions()
    average_decay: float = 0.999
    """Decay of the moving average of the weights, which is what is evaluated and saved; 0 keeps the last weights."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that layers compute with; codes are always chosen in fp32."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    validation_items: int = 64
    """Held-out clips reconstructed at every checkpoint."""
    workers: int = 0
    """Processes that read data; 0 reads in the training process."""
    log_every: int = 20
    """Optimizer steps between two lines of metrics."""
    save_every: int = 500
    """Optimizer steps between two checkpoints."""
    keep: int = 2
    """Newest checkpoints that are kept; the one with the best validation score is kept too."""
    seed: int = 0
    """Seed of the weights and of the data order."""
    resume: Literal["no", "auto"] = "no"
    """`auto` continues the run in --out from its newest checkpoint, or starts it."""
    overwrite: bool = False
    """Replace the run that --out holds."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        for name in ("steps", "batch", "log_every", "save_every", "keep", "validation_items"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)} must be at least 1")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning-rate {self.learning_rate} must be positive")
        if not 0 <= self.average_decay < 1:
            raise ValueError(f"--average-decay {self.average_decay} must lie in [0, 1)")
        if self.preset not in PRESETS:
            raise ValueError(unknown_name("tokenizer preset", self.preset, PRESETS))
        factor = PRESETS[self.preset].spatial_factor
        if self.crop is not None and (self.crop < factor or self.crop % factor):
            raise ValueError(f"--crop {self.crop} must be a multiple of {factor}, the pixels of a token")


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


@dataclass(frozen=True)
class PaletteOptions:
    """Make a colour palette: the tokenizer of Image GPT, one token per pixel."""

    data: Path
    """Folder of images or films, one file, or a pattern of tar shards."""
    out: Path
    """Folder of the tokenizer."""
    colours: int = 512
    """Number of colours."""
    size: int = 64
    """Pixels a side of the images it tokenizes."""
    seed: int = 0
    """Seed of the k-means start."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.colours < 2:
            raise ValueError(f"--colours {self.colours} must be at least 2")
        if self.size < 1:
            raise ValueError(f"--size {self.size} must be at least 1")


@dataclass(frozen=True)
class EvaluateOptions:
    """Reconstruct a data set and measure how well."""

    tokenizer: Path
    """Folder of the tokenizer: a model folder or a run."""
    data: Path
    """Folder of films or images, one file, or a pattern of tar shards."""
    out: Path
    """Folder for metrics.json, items.csv and reconstructions.png."""
    part: Literal["all", "validation"] = "all"
    """Everything, or only the source files that `vqgan train` and `vqgan encode` keep for validation."""
    perceptual: str = "none"
    """Perceptual distance to report: none, lpips, efficientnet-lite0, or timm:<model>:<weights file>."""
    frechet: str = "none"
    """Frechet distance between pictures to report: none, inception:<weights file> for the rFID of the literature,
    efficientnet-lite0, or timm:<model>:<weights file>."""
    fvd: Path | None = None
    """Weights of I3D for Kinetics-400 (i3d_pretrained_400.pt), to report rFVD; only for clips of 9 frames or more."""
    batch: int = 8
    """Clips per forward pass."""


Augment = Literal["none", "flip", "ten-crop"]


@dataclass(frozen=True)
class EncodeOptions:
    """Turn a data set into a token store."""

    tokenizer: Path
    """Folder of the tokenizer: a model folder or a run."""
    data: Path
    """Folder of films or images, one file, or a pattern of tar shards."""
    out: Path
    """Folder of the token store."""
    overlap: int = 1
    """Clips begun per clip length of film: 2 encodes every clip and every one shifted by half a clip."""
    augment: Augment = "none"
    """Further crops of training items: flip (each clip and its mirror image) or ten-crop (read a tenth larger; the
    corners, the centre and their mirror images). Validation items are never augmented."""
    batch: int = 8
    """Clips per forward pass, in each process."""
    workers: int = 2
    """Processes that read data, beside each process that encodes; 0 reads in that process itself, where nothing can
    stop a film on which the decoder hangs."""
    timeout: float = 120.0
    """Seconds after which a worker's reading of a clip is given up; after a second attempt the clip is skipped."""
    resume: Literal["no", "auto"] = "no"
    """`auto` continues the encoding in --out and makes damaged shards again, or starts it."""
    overwrite: bool = False
    """Replace the token store that --out holds."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("overlap", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} {getattr(self, name)} must be at least 1")
        if self.workers < 0:
            raise ValueError(f"--workers {self.workers} must not be negative")
        if self.timeout <= 0:
            raise ValueError(f"--timeout {self.timeout} must be positive")


@dataclass(frozen=True)
class LeakageOptions:
    """Replace the part of each item that is not given and count the prompt tokens that change."""

    tokenizer: Path
    """Folder of the tokenizer: a model folder or a run."""
    data: Path
    """Folder of films or images, one file, or a pattern of tar shards."""
    out: Path
    """Folder for leakage.json."""
    part: Literal["all", "validation"] = "all"
    """Everything, or only the source files that `vqgan train` and `vqgan encode` keep for validation."""
    batch: int = 8
    """Clips per forward pass."""


@dataclass(frozen=True)
class ImportOptions:
    """Import a tokenizer that another program trained."""

    weights: Path
    """Checkpoint of that program."""
    out: Path
    """Folder of the tokenizer."""
    kind: Literal["taming", "tats", "llamagen"]
    """Program: taming-transformers (VQGAN and Gumbel VQGAN), TATS (video VQGAN), or LlamaGen (VQ-16 and VQ-8)."""
    config: Path | None = None
    """Configuration (.yaml) that came with weights of taming-transformers; 256 pixels are assumed without it."""

    def __post_init__(self) -> None:
        """Check that the options fit together."""
        if self.config is not None and self.kind != "taming":
            raise ValueError(f"--config belongs to --kind taming; --kind {self.kind} needs the weights alone")
