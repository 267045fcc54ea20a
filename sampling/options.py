"""How to sample and what to complete. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from data.inputs import check_data
from gpt.sampling_settings import SamplingSettings
from sampling.recommended import implied_settings
from storage.model_paths import check_gpt, check_model
from storage.options import LARGEST_SEED, MANY, Options, Range, about, check_number, option
from training.options import InferencePrecision

PromptKind = Literal["none", "half-image", "half-clip", "rows", "left", "frames", "first-frame"]
PromptEncoding = Literal["alone", "full"]
Split = Literal["all", "train", "validation"]
SamplingPrecision = InferencePrecision
"""Numbers that the blocks of a GPT compute with while it is sampled from; everything from the head on is fp32."""
NoiseKind = Literal["gumbel", "inverse"]
"""How chance decides which token is drawn: see `sampling.noise`."""
WindowOption = int | Literal["auto"]
"""Tokens of a continuation that are read in one pass of the model."""

CONTINUATIONS = Range(at_least=1, at_most=10_000)
"""How many continuations a prompt may have."""
SEEDS = Range(at_least=0, at_most=LARGEST_SEED)
STILL_KINDS = frozenset({"half-image", "rows"})
"""Prompts of still images; of a video they take single frames."""


@dataclass(frozen=True)
class SamplingOptions(SamplingSettings):
    """How tokens are drawn from the model's distribution; what is not given is as the GPT recommends, if it does."""

    noise: NoiseKind = option("gumbel", before="inverse")
    """How chance decides: `gumbel` gives every code of every position a number of its own, so that several tokens can
    be drawn in one pass of the model; `inverse` gives every position one, as versions before 0.2 did."""


@dataclass(frozen=True)
class Prompt:
    """Which part of an image or clip is given, and how it becomes tokens: see `sampling.prompts`."""

    kind: PromptKind
    """Which part."""
    given: float | None = None
    """How much of it: a share of the token rows or columns (rows, left), or a number of latent frames (frames)."""
    encoding: PromptEncoding = "alone"
    """`alone` encodes what is given; `full` encodes everything and cuts the prompt out of its tokens."""

    def __post_init__(self) -> None:
        """Check that kind and amount fit together."""
        if self.kind in ("rows", "left"):
            if self.given is None or not 0 < self.given < 1:
                raise ValueError(f"--prompt {self.kind} needs --given, a share between 0 and 1, not {self.given}")
        elif self.kind == "frames":
            if self.given is None or self.given < 1 or not float(self.given).is_integer():
                raise ValueError(f"--prompt frames needs --given, a whole number of latent frames, not {self.given}")
        elif self.given is not None:
            raise ValueError(f"--given {self.given:g} belongs to --prompt rows, left or frames, not to {self.kind}")


@dataclass(frozen=True)
class Request:
    """What is asked of a model for each prompt."""

    prompt: Prompt
    """What is given."""
    n: int = 1
    """Continuations of each prompt."""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    """How tokens are drawn."""
    seed: int = 0
    """The same seed gives the same continuations."""
    frames: int | None = None
    """Frames of the result; by default those of the clip that the prompt is part of, or of the tokenizer's clips where
    that is a still image to be continued in time."""
    overlap: int | None = None
    """Latent frames that are kept when the window slides; by default half of the window's."""

    def __post_init__(self) -> None:
        """Check the number of continuations and the seed.

        Raises:
            OptionError: one is out of its range.
        """
        check_number("n", self.n, CONTINUATIONS)
        check_number("seed", self.seed, SEEDS)


@dataclass(frozen=True)
class CompleteOptions(Options):
    """Complete parts of images and clips, or imagine them from nothing, several times each."""

    command = "complete"
    begun_with = ("sample.json", "items/*.npz")
    example = "secondsight complete --gpt runs/gpt --tokenizer runs/tokenizer --input VIDEOS --out runs/completions"

    gpt: Path = field(metadata=about(must_hold=check_gpt))
    """The GPT: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    tokenizer: Path = field(metadata=about(must_hold=check_model))
    """The tokenizer: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    out: Path = field(metadata=about(identity="none"))
    """Folder for images, videos, index.html, tokens.npy and sample.json."""
    input: tuple[Path, ...] = option((), must_hold=check_data)
    """Folders of videos or images, files, or patterns of tar shards; none with --prompt none."""
    split: Split = "all"
    """Everything in --input, or only what `vqgan train` and `vqgan encode` keep for training or for validation."""
    prompt: PromptKind = "half-clip"
    """What is given: nothing; the upper half or the upper rows of an image; the left of an image or clip; the first
    half, the first latent frames, or the first frame alone of a clip."""
    given: float | None = option(None, at_least=0, at_most=10**6)
    """How much is given: for rows and left a share of the token rows or columns, for frames a number of latent
    frames."""
    prompt_encoding: PromptEncoding = "alone"
    """`alone` encodes only what is given, so that no prompt knows what follows; `full` encodes everything and cuts the
    prompt out, as was long customary."""
    seconds: float | None = option(None, above=0, at_most=3600)
    """Length of the resulting clips; by default that of the tokenizer's clips. Longer ones are made by sliding the
    GPT's window."""
    overlap: int | None = option(None, at_least=1, at_most=10**6)
    """Latent frames that the sliding window keeps; by default half of the window's."""
    n: int = option(4, at_least=CONTINUATIONS.at_least, at_most=CONTINUATIONS.at_most)
    """Continuations of each prompt."""
    items: int = option(4, at_least=1, at_most=10**6)
    """Prompts, spread evenly over the input."""
    batch: int = option(4, at_least=1, at_most=10**6)
    """Prompts continued side by side."""
    sampling: SamplingOptions = SamplingOptions()
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """The same seed gives the same continuations."""
    sampling_precision: SamplingPrecision = "auto"
    """Numbers that the GPT's blocks compute with; logits and what follows are always fp32. `auto` is bf16 on GPUs that
    know it, where it is twice as fast, and on processors where it is measured to be faster; `fp32` draws the same
    tokens everywhere, up to rounding; `bf16!` is bf16 also on processors that are slower in it."""
    window: WindowOption = option("auto", identity="none", at_least=1, at_most=MANY)
    """Tokens of a continuation that one pass of the model reads, with --noise gumbel: drafts, of which those are kept
    that would be drawn one by one as well. In fp32 it changes no token, and scores by their rounding; `auto` takes as
    many as pay."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` keeps the finished items in --out and does the rest."""
    overwrite: bool = option(False, identity="none")
    """Replace the completions that --out holds."""

    def check(self) -> None:
        """Check that prompt, input and length go together.

        Raises:
            ValueError: they do not.
        """
        if not self.input and self.prompt != "none":
            raise ValueError(f"--prompt {self.prompt} needs --input: videos or images to complete")
        if self.input and self.prompt == "none":
            raise ValueError("--prompt none gives nothing of --input: leave one of them out")
        if self.seconds is not None and self.prompt in STILL_KINDS:
            raise ValueError(f"--seconds {self.seconds:g} is for clips, and --prompt {self.prompt} makes still images")
        self.request()

    @classmethod
    def implied(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sampling settings that the GPT recommends, or those that a run which goes on was begun with."""
        return implied_settings(cls, given)

    def request(self, frames: int | None = None) -> Request:
        """Return what is asked of the model, with --seconds in frames.

        Raises:
            ValueError: --prompt and --given do not fit together.
        """
        prompt = Prompt(self.prompt, self.given, self.prompt_encoding)
        return Request(prompt, self.n, self.sampling, self.seed, frames, self.overlap)
