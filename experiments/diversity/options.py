"""What the diversity experiment can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import tyro

from gpt.config import PRESETS as GPT_PRESETS
from sampling.options import PromptEncoding, SamplingOptions
from storage.nearest import unknown_name
from vqgan.config import PRESETS as TOKENIZER_PRESETS


@dataclass(frozen=True, kw_only=True)
class MeasuringOptions:
    """How continuations are drawn and measured: what a run, and all runs of a study, can be asked."""

    n: int = 8
    """Continuations of each prompt."""
    items: int = 36
    """Items of each group, studied and new: the same ones of a token store and of its subsets."""
    encodings: tuple[PromptEncoding, ...] = ("alone", "full")
    """How prompts become tokens: `alone` encodes only what is given, `full` encodes everything and cuts the prompt out,
    as was long customary, so that it may know what follows."""
    temperatures: tuple[float, ...] = (1.0,)
    """Temperatures; all combinations of the sampling options are measured."""
    top_ks: tuple[int, ...] = (0,)
    """Numbers of likeliest tokens that are kept; 0 keeps all."""
    top_ps: tuple[float, ...] = (1.0,)
    """Sums of probabilities that the likeliest tokens are kept for; 1 keeps all."""
    min_ps: tuple[float, ...] = (0.0,)
    """Shares of the likeliest token's probability below which tokens are left out; 0 keeps all."""
    perceptual: str = "efficientnet-lite0"
    """Perceptual distance: lpips, where its weights are, efficientnet-lite0, timm:<model>:<weights file>, or none."""
    features: str = "efficientnet-lite0"
    """Feature space of whole images: efficientnet-lite0, timm:<model>:<weights file>, or none."""
    batch: int = 16
    """Items continued side by side."""
    seed: int = 0
    """The same seed gives the same tables."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        for name in ("n", "items", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} {getattr(self, name)} must be at least 1")
        for name in ("encodings", "temperatures", "top_ks", "top_ps", "min_ps"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"--{name.replace('_', '-')} needs at least one value")
            if len(set(values)) < len(values):
                raise ValueError(f"--{name.replace('_', '-')} names a value twice: {', '.join(map(str, values))}")
        self.settings()

    def settings(self) -> list[SamplingOptions]:
        """Return all combinations of the sampling options.

        Raises:
            ValueError: an option is out of range.
        """
        return [SamplingOptions(*way) for way in product(self.temperatures, self.top_ks, self.top_ps, self.min_ps)]


@dataclass(frozen=True)
class DiversityOptions(MeasuringOptions):
    """Continue studied and new items several times each, and measure how varied that is and how near to the truth."""

    gpt: Path
    """The GPT: a model folder, a run, or owner/name on the Hugging Face hub."""
    tokenizer: Path
    """The tokenizer: a model folder, a run, or owner/name on the Hugging Face hub."""
    tokens: Path
    """The token store that the GPT was trained on: its training items are the studied ones, its validation items the
    new ones."""
    data: Path
    """The videos or images that the store was encoded from."""
    out: Path
    """Run folder for run.csv, items.csv, positions.csv, audit.csv, redundancy.csv and images; its name is the model's
    in reports."""
    given: tuple[int, ...] = ()
    """How much is given: latent frames of clips, rows of tokens of images, one number or several; half of them if not
    given."""
    resume: Literal["no", "auto"] = "no"
    """`auto` keeps what is finished in --out and does the rest."""
    overwrite: bool = False
    """Replace the results that --out holds."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        super().__post_init__()
        if any(amount < 1 for amount in self.given) or len(set(self.given)) < len(self.given):
            raise ValueError(f"--given {' '.join(map(str, self.given))} must be different numbers of at least 1")


@dataclass(frozen=True, kw_only=True)
class StudyOptions(MeasuringOptions):
    """The whole study, small and real: tokenizers and GPTs of images and of clips, matched in everything that can be
    matched, continued and measured, ending with report.html.

    Images are the first frames of the clips, unless --images names others.
    """

    out: Path
    """Folder for everything the study makes; a stopped study continues from what it holds."""
    videos: Path | None = None
    """Your own videos; videos of the playroom if not given."""
    images: Path | None = None
    """Your own images, in place of the first frames of the clips."""
    clips: int = 480
    """Clips of the playroom that are rendered, without --videos."""
    clip_tokenizer: str = "demo-8x8"
    """Preset of a tokenizer of clips to train, or the folder of one."""
    image_tokenizer: str = "demo-image"
    """Preset of a tokenizer of images to train, or the folder of one."""
    tokenizer_steps: int = 700
    """Optimizer steps of tokenizers that are trained."""
    preset: str = "demo"
    """Size of the GPTs."""
    training_items: tuple[int, ...] = (16, 64, 256)
    """Sizes of the training sets, each part of the next; the same items are tested in all of them."""
    steps: int = 1000
    """Optimizer steps of each GPT."""
    checkpoints: tuple[float, ...] = (0.5, 1.0)
    """Shares of the steps after which the GPTs are measured; the last step always is."""
    gpt_batch: int = 4
    """Sequences per optimizer step of the GPTs."""
    learning_rate: float = 2e-3
    """Peak learning rate of the GPTs."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that GPTs compute with while they are trained."""
    top_ps: tuple[float, ...] = (1.0, 0.6)
    """Sums of probabilities that the likeliest tokens are kept for; 1 keeps all. Small GPTs spread their probability
    over many unlikely tokens."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is made."""
        super().__post_init__()
        for name in ("clips", "tokenizer_steps", "steps", "gpt_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)} must be at least 1")
        if self.preset not in GPT_PRESETS:
            raise ValueError(unknown_name("GPT preset", self.preset, GPT_PRESETS))
        for name in ("clip_tokenizer", "image_tokenizer"):
            value = getattr(self, name)
            if value not in TOKENIZER_PRESETS and not Path(value).exists():
                raise ValueError(unknown_name("tokenizer preset", value, TOKENIZER_PRESETS))
        if not self.training_items or min(self.training_items) < 2:
            raise ValueError("--training-items needs sizes of at least 2")
        if not self.checkpoints or not all(0 < share <= 1 for share in self.checkpoints):
            raise ValueError("--checkpoints needs shares of the steps, above 0 and at most 1")


@dataclass(frozen=True)
class DiversityReportOptions:
    """Merge several runs: figures with intervals over items, claims and whether they hold, curves, and a page."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders of `secondsight diversity run`."""
    out: Path
    """Folder for the merged tables, figures.csv, claims.csv, plots and report.html."""
