"""How to sample and what to complete. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PromptKind = Literal["none", "half-image", "half-clip"]


@dataclass(frozen=True)
class SamplingOptions:
    """How tokens are drawn from the model's distribution."""

    temperature: float = 1.0
    """Divides the logits; 0 always takes the likeliest token."""
    top_k: int = 0
    """Keep only the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens whose probabilities reach this sum (Holtzman et al. 2020); 1 keeps all."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.temperature < 0:
            raise ValueError(f"--temperature {self.temperature} must not be negative (0 is greedy)")
        if self.top_k < 0:
            raise ValueError(f"--top-k {self.top_k} must not be negative (0 keeps all)")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"--top-p {self.top_p} must lie in (0, 1]")


@dataclass(frozen=True)
class CompleteOptions:
    """Complete half images or half clips, or imagine them from nothing, several times each."""

    gpt: Path
    """The GPT: a model folder, a run, or owner/name on the Hugging Face hub."""
    tokenizer: Path
    """The tokenizer: a model folder, a run, or owner/name on the Hugging Face hub."""
    out: Path
    """Folder for the pictures, films, tokens.npy and sample.json."""
    input: Path | None = None
    """Folder of films or images, one file, or a pattern of tar shards; not needed with --prompt none."""
    prompt: PromptKind = "half-clip"
    """What is given: nothing, the upper half of an image, or the first half of a clip."""
    n: int = 4
    """Continuations of each prompt."""
    items: int = 4
    """Prompts, spread evenly over the input."""
    temperature: float = 1.0
    """Divides the logits; 0 always takes the likeliest token."""
    top_k: int = 0
    """Keep only the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the likeliest tokens whose probabilities reach this sum; 1 keeps all."""
    seed: int = 0
    """The same seed gives the same continuations."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("n", "items"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} {getattr(self, name)} must be at least 1")
        if self.input is None and self.prompt != "none":
            raise ValueError(f"--prompt {self.prompt} needs --input: films or images to complete")
        SamplingOptions(self.temperature, self.top_k, self.top_p)

    @property
    def sampling(self) -> SamplingOptions:
        """How tokens are drawn."""
        return SamplingOptions(self.temperature, self.top_k, self.top_p)
