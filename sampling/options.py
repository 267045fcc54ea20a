"""How to sample and what to complete. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PromptKind = Literal["none", "half-image", "half-clip", "rows", "left", "frames", "first-frame"]
PromptEncoding = Literal["alone", "full"]

STILL_KINDS = frozenset({"half-image", "rows"})
"""Prompts of still images; of a video they take single frames."""


@dataclass(frozen=True)
class SamplingOptions:
    """How tokens are drawn from the model's distribution."""

    temperature: float = 1.0
    """Divides the logits; 0 always takes the likeliest token."""
    top_k: int = 0
    """Keep only the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens whose probabilities reach this sum (Holtzman et al. 2020); 1 keeps all."""
    min_p: float = 0.0
    """Keep tokens at least this share as likely as the likeliest one (Nguyen et al. 2024); 0 keeps all."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.temperature < 0:
            raise ValueError(f"--temperature {self.temperature} must not be negative (0 is greedy)")
        if self.top_k < 0:
            raise ValueError(f"--top-k {self.top_k} must not be negative (0 keeps all)")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"--top-p {self.top_p} must lie in (0, 1]")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"--min-p {self.min_p} must lie in [0, 1]")


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
            if self.given is None or self.given < 1 or self.given != int(self.given):
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


@dataclass(frozen=True)
class CompleteOptions:
    """Complete parts of images and clips, or imagine them from nothing, several times each."""

    gpt: Path
    """The GPT: a model folder, a run, or owner/name on the Hugging Face hub."""
    tokenizer: Path
    """The tokenizer: a model folder, a run, or owner/name on the Hugging Face hub."""
    out: Path
    """Folder for images, videos, index.html, tokens.npy and sample.json."""
    input: tuple[Path, ...] = ()
    """Folders of videos or images, files, or patterns of tar shards; none with --prompt none."""
    prompt: PromptKind = "half-clip"
    """What is given: nothing; the upper half or the upper rows of an image; the left of an image or clip; the first
    half, the first latent frames, or the first frame alone of a clip."""
    given: float | None = None
    """How much is given: for rows and left a share of the token rows or columns, for frames a number of latent
    frames."""
    prompt_encoding: PromptEncoding = "alone"
    """`alone` encodes only what is given, so that no prompt knows what follows; `full` encodes everything and cuts the
    prompt out, as was long customary."""
    seconds: float | None = None
    """Length of the resulting clips; by default that of the tokenizer's clips. Longer ones are made by sliding the
    GPT's window."""
    overlap: int | None = None
    """Latent frames that the sliding window keeps; by default half of the window's."""
    n: int = 4
    """Continuations of each prompt."""
    items: int = 4
    """Prompts, spread evenly over the input."""
    batch: int = 4
    """Prompts continued side by side."""
    temperature: float = 1.0
    """Divides the logits; 0 always takes the likeliest token."""
    top_k: int = 0
    """Keep only the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens whose probabilities reach this sum; 1 keeps all."""
    min_p: float = 0.0
    """Keep tokens at least this share as likely as the likeliest one; 0 keeps all."""
    seed: int = 0
    """The same seed gives the same continuations."""
    resume: Literal["no", "auto"] = "no"
    """`auto` keeps the finished items in --out and does the rest."""
    overwrite: bool = False
    """Replace the completions that --out holds."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        for name in ("n", "items", "batch", "overlap"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} {value} must be at least 1")
        if not self.input and self.prompt != "none":
            raise ValueError(f"--prompt {self.prompt} needs --input: videos or images to complete")
        if self.input and self.prompt == "none":
            raise ValueError("--prompt none gives nothing of --input: leave one of them out")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"--seconds {self.seconds:g} must be above 0")
        if self.seconds is not None and self.prompt in STILL_KINDS:
            raise ValueError(f"--seconds {self.seconds:g} is for clips, and --prompt {self.prompt} makes still images")
        self.request()

    def request(self, frames: int | None = None) -> Request:
        """Return what is asked of the model, with --seconds in frames.

        Raises:
            ValueError: --prompt and --given do not fit together, or a sampling option is out of range.
        """
        prompt = Prompt(self.prompt, self.given, self.prompt_encoding)
        sampling = SamplingOptions(self.temperature, self.top_k, self.top_p, self.min_p)
        return Request(prompt, self.n, sampling, self.seed, frames, self.overlap)
