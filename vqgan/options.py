"""What the tokenizer commands can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from data.inputs import check_data
from data.options import NO_EXCLUSION, ExclusionOptions
from storage.checked_files import check_file
from storage.foreign.files import check_weights_file
from storage.model_paths import check_model
from storage.options import LARGEST_SEED, MANY, Options, about, leaves, option
from training.init_options import InitOptions, implied_architecture
from training.options import InferencePrecision, TrainingOptions
from vqgan.config import PRESETS, VQGANConfig

Augment = Literal["none", "flip", "ten-crop"]
LEARNED = frozenset({"codes", "code_width", "commitment", "codebook_decay", "normalised"})
"""Options of learned codes."""


@dataclass(frozen=True)
class AdversaryOptions(Options):
    """Discriminators that learn to tell reconstructions from originals, and the tokenizer to please them."""

    adversarial_weight: float = option(0.0, at_least=0, at_most=10**6)
    """Gradient of the adversary at the decoder's last layer, as a share of the reconstruction's; 0 for none."""
    adversarial_start: int = option(1000, at_least=0, at_most=MANY)
    """Optimizer step at which the discriminators begin to learn."""
    adversarial_ramp: int = option(1000, at_least=1, at_most=MANY)
    """Optimizer steps over which the adversary's weight then rises from 0."""
    feature_matching: float = option(4.0, at_least=0, at_most=10**6)
    """Weight of feature matching beside the discriminators' scores."""
    discriminator_width: int = option(64, at_least=1, at_most=65_536)
    """Channels of a discriminator's first layer."""
    discriminator_layers: int = option(3, at_least=1, at_most=16)
    """Layers of a discriminator, each of which halves rows, columns and frames."""


@dataclass(frozen=True)
class TrainOptions(Options):
    """Train a causal VQGAN on videos or images."""

    command = "vqgan train"
    example = "secondsight vqgan train --preset demo --data VIDEOS --out runs/tokenizer"
    takes_config = True
    keeps_checkpoints = True

    data: Path = field(metadata=about(must_hold=check_data))
    """Folder of videos or images, one file, prepared shards, a CSV of path,start,end[,group], or a shard pattern."""
    out: Path = field(metadata=about(identity="none"))
    """Run folder."""
    model: VQGANConfig = option(PRESETS["demo"], presets=PRESETS)
    training: TrainingOptions = TrainingOptions(validation_items=64)
    adversary: AdversaryOptions = AdversaryOptions()
    group_by: str | None = None
    """What the split keeps together, if not each file: a column of a CSV, or a regular expression that finds the group
    in a path: '^(.+?)/' is the first folder."""
    exclusion: ExclusionOptions = NO_EXCLUSION
    crop: int | None = option(None, at_least=1, at_most=8192)
    """Pixels a side of the random crops it is trained on; the whole clip if not given."""
    continuous_steps: int = option(100, at_least=0, at_most=MANY)
    """First optimizer steps without quantization; the codes then start from k-means over what was learned."""
    perceptual: str = "none"
    """Perceptual loss: none, lpips, efficientnet-lite0 (or 1, 2), or timm:<model>:<weights file>."""
    perceptual_weight: float = option(1.0, at_least=0, at_most=10**6)
    """Weight of the perceptual loss against the pixel error."""
    chroma_weight: float = option(0.0, at_least=0, at_most=10**6)
    """Weight, against the pixel error, of the error of chroma: the pixel error of what luma leaves. Keeps colours."""
    gradient_weight: float = option(0.0, at_least=0, at_most=10**6)
    """Weight, against the pixel error, of the absolute error of differences between neighbouring pixels. Keeps
    edges."""
    ema_decay: float = option(0.999, at_least=0, below=1)
    """Decay of the EMA of the weights, which is what is evaluated and saved; 0 keeps the last weights."""
    workers: int = option(0, at_least=0, at_most=512, identity="none")
    """Processes that read data; 0 reads in the training process."""
    beginning: InitOptions = InitOptions()
    new_quantizer: bool = False
    """With --init, begin the quantizer anew, which may then be another; by default it is the model's."""
    old_data: Path | None = option(None, identity="none", must_hold=check_data)
    """Videos or images that the model of --init learned from: how well their held-out clips are reconstructed is
    measured beside the new ones, before the first step and at every checkpoint."""

    def check(self) -> None:
        """Check that crops divide into tokens, and that what is said of a model to begin from is said of one.

        Raises:
            ValueError: they do not, or there is none.
        """
        if self.new_quantizer and self.beginning.init is None:
            raise ValueError("--new-quantizer needs --init, the model whose quantizer is not taken over")
        if self.old_data is not None and self.beginning.init is None:
            raise ValueError(f"--old-data {self.old_data} needs --init, the model that learned from it")
        factor = self.model.spatial_factor
        if self.crop is not None and self.crop % factor:
            raise ValueError(f"--crop {self.crop} must be a multiple of {factor}, the pixels of a token")

    @classmethod
    def check_given(cls, given: frozenset[str]) -> None:
        """See `VQGANConfig.check_given`."""
        VQGANConfig.check_given(given)

    @classmethod
    def implied(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the architecture of the model that `--init` names; its codes need no start, as they are learned."""
        implied = implied_architecture(cls, "vqgan", tuple(leaves(VQGANConfig)), given)
        if implied and "levels" not in given and given.keys() & LEARNED:
            implied["levels"] = ()
        if given.get("init") is not None and given.get("new_quantizer", False) is False:
            implied["continuous_steps"] = 0
        return implied

    @classmethod
    def overruled(cls, typed: Collection[str]) -> frozenset[str]:
        """Return `continuous_steps` where a model was typed: a config file tells those of a training without one."""
        return frozenset({"continuous_steps"}) if "init" in typed else frozenset()


@dataclass(frozen=True)
class PaletteOptions(Options):
    """Make a colour palette: the tokenizer of Image GPT, one token per pixel."""

    command = "vqgan palette"
    example = "secondsight vqgan palette --colours 512 --size 64 --data IMAGES --out runs/palette"

    data: Path = field(metadata=about(must_hold=check_data))
    """Folder of images or videos, one file, or a pattern of tar shards."""
    out: Path
    """Folder of the tokenizer."""
    colours: int = option(512, at_least=2, at_most=65_536)
    """Number of colours."""
    size: int = option(64, at_least=1, at_most=1024)
    """Pixels a side of the images it tokenizes."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of the k-means start."""


@dataclass(frozen=True)
class EvaluateOptions(Options):
    """Reconstruct a data set and measure how well."""

    command = "vqgan eval"
    example = "secondsight vqgan eval --tokenizer runs/tokenizer --data VIDEOS --out runs/evaluation"

    tokenizer: Path = field(metadata=about(must_hold=check_model))
    """The tokenizer: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    data: Path = field(metadata=about(must_hold=check_data))
    """Folder of videos or images, one file, prepared shards, a CSV of path,start,end[,group], or a shard pattern."""
    out: Path
    """Folder for metrics.json, items.csv and reconstructions.png."""
    split: Literal["all", "validation"] = "all"
    """Everything, or only the source files that `vqgan train` and `vqgan encode` keep for validation."""
    group_by: str | None = None
    """What the split keeps together, if not each file: a column of a CSV, or a regular expression that finds the group
    in a path: '^(.+?)/' is the first folder. As in the tokenizer's training if not given."""
    perceptual: str = "none"
    """Perceptual distance to report: none, lpips, efficientnet-lite0 (or 1, 2), or timm:<model>:<weights file>."""
    frechet: str = "none"
    """Frechet distance between images to report: none, inception:<weights file> for the rFID of the literature,
    efficientnet-lite0 (or 1, 2), or timm:<model>:<weights file>."""
    fvd: Path | None = None
    """Weights of I3D for Kinetics-400 (i3d_pretrained_400.pt), to report rFVD; only for clips of 9 frames or more."""
    precision: InferencePrecision = "fp32"
    """Numbers that the tokenizer's layers compute with; codes are always found in fp32. `auto` is bf16 where that is
    measured to be faster; `bf16!` is bf16 also on processors that are slower in it."""
    batch: int = option(8, at_least=1, at_most=10**6)
    """Clips per forward pass."""

    def check(self) -> None:
        """Check that groups are named only for a split.

        Raises:
            ValueError: they are not.
        """
        _check_groups(self.group_by, self.split)


@dataclass(frozen=True)
class EncodeOptions(Options):
    """Turn a data set into a token store."""

    command = "vqgan encode"
    example = "secondsight vqgan encode --tokenizer runs/tokenizer --data VIDEOS --out runs/tokens"

    tokenizer: Path = field(metadata=about(identity="none", must_hold=check_model))
    """The tokenizer: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    data: Path = field(metadata=about(must_hold=check_data))
    """Folder of videos or images, one file, prepared shards, a CSV of path,start,end[,group], or a shard pattern."""
    out: Path = field(metadata=about(identity="none"))
    """Folder of the token store."""
    overlap: int = option(1, at_least=1, at_most=1000)
    """Clips begun per clip length of video: 2 encodes every clip and every one shifted by half a clip."""
    every: float | None = option(None, at_least=0.001, at_most=10**6)
    """Seconds from the beginning of a clip to that of the next; by default a clip's length, divided by --overlap. With
    a tokenizer of stills, 2 encodes one frame of every two seconds."""
    group_by: str | None = None
    """What the split keeps together, if not each file: a column of a CSV, or a regular expression that finds the group
    in a path: '^(.+?)/' is the first folder. As in the tokenizer's training if not given."""
    exclusion: ExclusionOptions = NO_EXCLUSION
    augment: Augment = "none"
    """Further crops of training items: flip (each clip and its mirror image) or ten-crop (read a tenth larger; the
    corners, the centre and their mirror images). Validation items are never augmented."""
    precision: InferencePrecision = "fp32"
    """Numbers that the tokenizer's layers compute with; codes are always found in fp32. `auto` is bf16 where that is
    measured to be faster; `bf16!` is bf16 also on processors that are slower in it."""
    batch: int = option(8, at_least=1, at_most=10**6, identity="none")
    """Clips per forward pass, in each process."""
    workers: int = option(2, at_least=0, at_most=512, identity="none")
    """Processes that read data, beside each process that encodes; 0 reads in that process itself, where nothing can
    stop a video on which the decoder hangs."""
    timeout: float = option(120.0, above=0, at_most=10**6, identity="none")
    """Seconds after which a worker's reading of a clip is given up; after a second attempt the clip is skipped."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` continues the encoding in --out and makes damaged shards again, or starts it."""
    overwrite: bool = option(False, identity="none")
    """Replace the token store that --out holds."""

    def check(self) -> None:
        """Check that one option says where clips begin.

        Raises:
            ValueError: two do.
        """
        if self.every is not None and self.overlap > 1:
            raise ValueError(f"--every and --overlap {self.overlap} both say where clips begin: give one of them")

    def hop(self, seconds: float) -> float:
        """Return the seconds from the beginning of a clip, which lasts `seconds`, to that of the next."""
        return self.every or seconds / self.overlap


@dataclass(frozen=True)
class LeakageOptions(Options):
    """Replace the part of each item that is not given and count the prompt tokens that change."""

    command = "vqgan leakage"
    example = "secondsight vqgan leakage --tokenizer runs/tokenizer --data VIDEOS --out runs/leakage"

    tokenizer: Path = field(metadata=about(must_hold=check_model))
    """The tokenizer: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    data: Path = field(metadata=about(must_hold=check_data))
    """Folder of videos or images, one file, prepared shards, a CSV of path,start,end[,group], or a shard pattern."""
    out: Path
    """Folder for leakage.json."""
    split: Literal["all", "validation"] = "all"
    """Everything, or only the source files that `vqgan train` and `vqgan encode` keep for validation."""
    group_by: str | None = None
    """What the split keeps together, if not each file: a column of a CSV, or a regular expression that finds the group
    in a path: '^(.+?)/' is the first folder. As in the tokenizer's training if not given."""
    batch: int = option(8, at_least=1, at_most=10**6)
    """Clips per forward pass."""

    def check(self) -> None:
        """Check that groups are named only for a split.

        Raises:
            ValueError: they are not.
        """
        _check_groups(self.group_by, self.split)


@dataclass(frozen=True)
class ImportOptions(Options):
    """Import a tokenizer that another program trained."""

    command = "vqgan import"
    example = "secondsight vqgan import --kind taming --weights last.ckpt --config custom_vqgan.yaml --out runs/vqgan"

    weights: Path = field(metadata=about(must_hold=check_weights_file))
    """Checkpoint of that program."""
    out: Path
    """Folder of the tokenizer."""
    kind: Literal["taming", "tats", "llamagen", "ibq", "vidtok"]
    """Program: taming-transformers (VQGAN and Gumbel VQGAN), TATS (video VQGAN), LlamaGen (VQ-16 and VQ-8), IBQ of
    Open-MAGVIT2's repository, or VidTok (its FSQ models)."""
    config: Path | None = option(None, must_hold=partial(check_file, what="configuration file"))
    """Configuration (.yaml) that came with weights of taming-transformers, IBQ or VidTok; the last two need it, and 256
    pixels are assumed of the first without it."""

    def check(self) -> None:
        """Check that a configuration is given where one is needed, and only where one is read.

        Raises:
            ValueError: it is not.
        """
        if self.config is not None and self.kind not in ("taming", "ibq", "vidtok"):
            raise ValueError(
                f"--config belongs to --kind taming, ibq or vidtok; --kind {self.kind} needs the weights alone"
            )
        if self.config is None and self.kind in ("ibq", "vidtok"):
            untold = {
                "ibq": "how latents and codes are compared",
                "vidtok": "the levels of its codes and which of VidTok's models it is",
            }[self.kind]
            raise ValueError(
                f"--kind {self.kind} needs --config, the .yaml that came with the weights: they do not tell {untold}"
            )


def _check_groups(group_by: str | None, split: str) -> None:
    if group_by is not None and split == "all":
        raise ValueError(f"--group-by {group_by!r} says what the split keeps together: give --split validation too")
