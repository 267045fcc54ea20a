"""What the tokenizer commands can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.nearest import unknown_name
from vqgan.config import PRESETS


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
    """Train a causal VQGAN on videos or images."""

    data: Path
    """Folder of videos or images, one file, or a pattern of tar shards."""
    out: Path
    """Run folder."""
    preset: str = "demo"
    """Architecture: demo, demo-8x8 (a clip has as many tokens as an image in demo-image), demo-image, video-128,
    video-256, image-128, image-256, image-128-32x32 or image-256-32x32."""
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
class PaletteOptions:
    """Make a colour palette: the tokenizer of Image GPT, one token per pixel."""

    data: Path
    """Folder of images or videos, one file, or a pattern of tar shards."""
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
    """Folder of videos or images, one file, or a pattern of tar shards."""
    out: Path
    """Folder for metrics.json, items.csv and reconstructions.png."""
    part: Literal["all", "validation"] = "all"
    """Everything, or only the source files that `vqgan train` and `vqgan encode` keep for validation."""
    perceptual: str = "none"
    """Perceptual distance to report: none, lpips, efficientnet-lite0, or timm:<model>:<weights file>."""
    frechet: str = "none"
    """Frechet distance between images to report: none, inception:<weights file> for the rFID of the literature,
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
    """Folder of videos or images, one file, or a pattern of tar shards."""
    out: Path
    """Folder of the token store."""
    overlap: int = 1
    """Clips begun per clip length of video: 2 encodes every clip and every one shifted by half a clip."""
    every: float | None = None
    """Seconds from the beginning of a clip to that of the next; by default a clip's length, divided by --overlap. With
    a tokenizer of stills, 2 encodes one frame of every two seconds."""
    augment: Augment = "none"
    """Further crops of training items: flip (each clip and its mirror image) or ten-crop (read a tenth larger; the
    corners, the centre and their mirror images). Validation items are never augmented."""
    batch: int = 8
    """Clips per forward pass, in each process."""
    workers: int = 2
    """Processes that read data, beside each process that encodes; 0 reads in that process itself, where nothing can
    stop a video on which the decoder hangs."""
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
        if self.every is not None and not 0 < self.every < math.inf:
            raise ValueError(f"--every {self.every} must be positive and finite")
        if self.every is not None and self.overlap > 1:
            raise ValueError(f"--every and --overlap {self.overlap} both say where clips begin: give one of them")

    def hop(self, seconds: float) -> float:
        """Return the seconds from the beginning of a clip, which lasts `seconds`, to that of the next."""
        return self.every or seconds / self.overlap


@dataclass(frozen=True)
class LeakageOptions:
    """Replace the part of each item that is not given and count the prompt tokens that change."""

    tokenizer: Path
    """Folder of the tokenizer: a model folder or a run."""
    data: Path
    """Folder of videos or images, one file, or a pattern of tar shards."""
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
