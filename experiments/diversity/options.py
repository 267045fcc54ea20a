"""What the diversity experiment can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

from data.inputs import check_data, check_tokens
from gpt.config import PRESETS, GPTConfig
from sampling.options import NoiseKind, PromptEncoding, SamplingOptions, SamplingPrecision, WindowOption
from storage.model_paths import check_gpt, check_model, is_named
from storage.options import LARGEST_RATE, LARGEST_SEED, MANY, Options, about, option, unknown_name
from training.options import Precision
from vqgan.config import PRESETS as TOKENIZER_PRESETS


@dataclass(frozen=True)
class MeasuringOptions(Options):
    """How continuations are drawn and measured."""

    n: int = option(8, at_least=1, at_most=10_000)
    """Continuations of each prompt."""
    items: int = option(36, at_least=1, at_most=10**6)
    """Items of each group, studied and new: the same ones of a token store and of its subsets."""
    encodings: tuple[PromptEncoding, ...] = ("alone", "full")
    """How prompts become tokens: `alone` encodes only what is given, `full` encodes everything and cuts the prompt out,
    as was long customary, so that it may know what follows."""
    temperatures: tuple[float, ...] = option((1.0,), at_least=0, at_most=1000)
    """Temperatures; all combinations of the sampling options are measured."""
    top_ks: tuple[int, ...] = option((0,), at_least=0, at_most=MANY)
    """Numbers of likeliest tokens that are kept; 0 keeps all."""
    top_ps: tuple[float, ...] = option((1.0,), above=0, at_most=1)
    """Sums of probabilities that the likeliest tokens are kept for; 1 keeps all. Small GPTs spread their probability
    over many unlikely tokens."""
    min_ps: tuple[float, ...] = option((0.0,), at_least=0, at_most=1)
    """Shares of the likeliest token's probability below which tokens are left out; 0 keeps all."""
    noise: NoiseKind = option("gumbel", before="inverse")
    """How chance decides which token is drawn, the same under all settings; see `secondsight complete`."""
    perceptual: str = "efficientnet-lite0"
    """Perceptual distance: lpips, where its weights are, efficientnet-lite0, timm:<model>:<weights file>, or none."""
    features: str = "efficientnet-lite0"
    """Features of whole images: efficientnet-lite0, timm:<model>:<weights file>, or none."""
    batch: int = option(16, at_least=1, at_most=10**6)
    """Items continued side by side."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """The same seed gives the same tables."""
    sampling_precision: SamplingPrecision = "fp32"
    """Numbers that the GPT's blocks compute with while continuations are drawn: `auto` is bf16 where that is faster,
    and draws other tokens than other machines do; `bf16!` is bf16 also on processors that are slower in it."""

    def check(self) -> None:
        """Check that every list has values, each once, and that they are in range.

        Raises:
            ValueError: they do not.
        """
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
        combinations = product(self.temperatures, self.top_ks, self.top_ps, self.min_ps)
        return [
            SamplingOptions(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, noise=self.noise)
            for temperature, top_k, top_p, min_p in combinations
        ]


@dataclass(frozen=True)
class DiversityOptions(Options):
    """Continue studied and new items several times each, and measure how varied that is and how near to the truth."""

    command = "diversity run"
    begun_with = ("run.csv", "continuations/*/*/*.npz")
    example = (
        "secondsight diversity run --gpt runs/gpt --tokenizer runs/tokenizer --tokens runs/tokens --data VIDEOS "
        "--out runs/clips"
    )

    gpt: Path = field(metadata=about(must_hold=check_gpt))
    """The GPT: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    tokenizer: Path = field(metadata=about(must_hold=check_model))
    """The tokenizer: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    tokens: Path = field(metadata=about(must_hold=check_tokens))
    """The token store that the GPT was trained on: its training items are the studied ones, its validation items the
    new ones."""
    data: Path = field(metadata=about(must_hold=check_data))
    """The videos or images that the store was encoded from."""
    out: Path = field(metadata=about(identity="none"))
    """Run folder for run.csv, items.csv, positions.csv, audit.csv, redundancy.csv and images; its name is the model's
    in reports."""
    given: tuple[int, ...] = option((), at_least=1, at_most=10**6)
    """Prompt lengths: latent frames of clips, rows of tokens of images, one number or several; half of them if not
    given."""
    measuring: MeasuringOptions = MeasuringOptions()
    window: WindowOption = option("auto", identity="none", at_least=1, at_most=MANY)
    """Tokens of a continuation that one pass of the model reads, which changes no token; see `secondsight complete`."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` keeps what is finished in --out and does the rest."""
    overwrite: bool = option(False, identity="none")
    """Replace the results that --out holds."""

    def check(self) -> None:
        """Check that no prompt length is asked for twice.

        Raises:
            ValueError: one is.
        """
        if len(set(self.given)) < len(self.given):
            raise ValueError(f"--given {' '.join(map(str, self.given))} must be different numbers")


@dataclass(frozen=True)
class StudyOptions(Options):
    """Make and measure the whole study: images and clips, matched in everything that can be matched, to report.html.

    Tokenizers and GPTs of both are trained, continued and measured. Images are the first frames of the clips, unless
    --images names others.
    """

    command = "diversity study"
    example = "secondsight diversity study --videos VIDEOS --preset tiny --out runs/study"
    takes_config = True

    out: Path = field(metadata=about(identity="none"))
    """Folder for everything the study makes; a stopped study continues from what it holds."""
    videos: Path | None = option(None, must_hold=check_data)
    """Your own videos; clips of the playroom if not given."""
    images: Path | None = option(None, must_hold=check_data)
    """Your own images, in place of the first frames of the clips."""
    group_by: str | None = None
    """What the split keeps together, if not each file: a column of a CSV, or a regular expression that finds the group
    in a path."""
    clips: int = option(480, at_least=1, at_most=10**6)
    """Clips of the playroom that are rendered, without --videos."""
    clip_tokenizer: str = "demo-8x8"
    """Preset of a tokenizer of clips to train, or the folder of one."""
    image_tokenizer: str = "demo-image"
    """Preset of a tokenizer of images to train, or the folder of one."""
    tokenizer_steps: int = option(700, at_least=1, at_most=MANY)
    """Optimizer steps of tokenizers that are trained."""
    model: GPTConfig = option(PRESETS["demo"], presets=PRESETS)
    training_items: tuple[int, ...] = option((16, 64, 256), at_least=2, at_most=MANY)
    """Sizes of the training sets, each a subset of the next; the same items are tested in all of them."""
    steps: int = option(1000, at_least=1, at_most=MANY)
    """Optimizer steps of each GPT."""
    checkpoints: tuple[float, ...] = option((0.5, 1.0), above=0, at_most=1)
    """Shares of the steps after which the GPTs are measured; the last step always is."""
    gpt_batch: int = option(4, at_least=1, at_most=10**6)
    """Sequences per optimizer step of the GPTs."""
    learning_rate: float = option(2e-3, above=0, at_most=LARGEST_RATE)
    """Peak learning rate of the GPTs."""
    grad_clip: float = option(1.0, at_least=0, at_most=MANY)
    """Largest norm of the gradient, of tokenizers and GPTs; 0 does not clip it."""
    precision: Precision = "fp32"
    """Numbers that GPTs compute with while they are trained; see `secondsight gpt train`."""
    measuring: MeasuringOptions = MeasuringOptions(top_ps=(1.0, 0.6))
    slurm: bool = option(False, identity="none")
    """Run nothing, but write jobs of Slurm into --out, each of which does a part of the study."""
    part: str | None = option(None, identity="none")
    """Do only this part, as a job that --slurm wrote: videos, clip-tokens, clip-gpt_64, run-clip_64, report and so
    on."""

    def check(self) -> None:
        """Check what can be checked before anything is made.

        Raises:
            ValueError: a tokenizer is neither a preset nor there, a list is empty, or jobs are asked for of one part.
        """
        if self.slurm and self.part is not None:
            raise ValueError(f"--slurm writes jobs for all parts: leave out --part {self.part}")
        for name in ("clip_tokenizer", "image_tokenizer"):
            value = getattr(self, name)
            if value not in TOKENIZER_PRESETS and not is_named(value) and not Path(value).exists():
                raise ValueError(unknown_name("tokenizer preset", value, TOKENIZER_PRESETS))
        for name in ("training_items", "checkpoints"):
            if not getattr(self, name):
                raise ValueError(f"--{name.replace('_', '-')} needs at least one value")


def check_finished_run(folder: Path) -> None:
    """Refuse a folder that holds no run that was finished.

    Raises:
        ValueError: it lacks the tables.
    """
    if not (folder / "run.csv").exists():
        raise unfinished(folder, "run.csv")


def unfinished(folder: Path, name: str) -> ValueError:
    """Return what is said of a folder that lacks a table of a run."""
    return ValueError(f"{folder} holds no {name}: it is no finished run of `secondsight diversity run`")


@dataclass(frozen=True)
class DiversityReportOptions(Options):
    """Merge several runs: metrics with intervals over items, claims and whether they hold, curves, and a page."""

    command = "diversity report"
    example = "secondsight diversity report runs/clips runs/images --out runs/report"

    runs: tuple[Path, ...] = field(metadata=about(positional=True, must_hold=check_finished_run))
    """Run folders of `secondsight diversity run`."""
    out: Path
    """Folder for the merged tables, metrics.csv, claims.csv, plots and report.html."""
