"""What `app` can be asked. Imports no torch and no Gradio, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data.inputs import check_data
from experiments.people.options import LARGEST_PORT
from sampling.options import SamplingPrecision
from storage.model_paths import check_gpt, check_model
from storage.options import Options, about, option

MOST_MODELS = 2
"""Models that are held in memory side by side, at most."""


@dataclass(frozen=True)
class AppOptions(Options):
    """Play with a model in the browser, on this machine alone; Ctrl-C ends it."""

    command = "app"
    example = "secondsight app --gpt starter-clips --tokenizer starter-clips"

    gpt: tuple[Path, ...] = field(metadata=about(must_hold=check_gpt))
    """One GPT, or two to compare: model folders, runs, hf:owner/name on the hub, starter-clips or starter-stills."""
    tokenizer: tuple[Path, ...] = field(metadata=about(must_hold=check_model))
    """The tokenizer of each GPT, in the same order; one is enough if both learned its tokens."""
    input: tuple[Path, ...] = option((), must_hold=check_data)
    """Folders of videos or images, files, or patterns of tar shards to choose examples from; without any, clips and
    images of the playroom are made."""
    items: int = option(8, at_least=1, at_most=100)
    """Examples, spread evenly over the input: those that `complete` takes with the same --input and --items."""
    port: int = option(7860, at_least=0, at_most=LARGEST_PORT)
    """Port on 127.0.0.1, which no other machine reaches; 0 takes one that is free."""
    limit: float = option(120.0, at_least=1, at_most=3600)
    """Seconds that an answer may take, once it is its turn."""
    sampling_precision: SamplingPrecision = "auto"
    """Numbers that the GPT's blocks compute with, as in `complete`."""
    export: Literal["space"] | None = None
    """Start nothing, but write a folder into --out that runs as a Hugging Face Space on a CPU, with the models in it.
    Your own data do not go into it: its examples are made by the playroom."""
    out: Path | None = field(default=None, metadata=about(identity="none"))
    """Folder for --export, new or empty."""

    def check(self) -> None:
        """Check that each GPT has a tokenizer, and what is said of an export.

        Raises:
            ValueError: there are none, or too many, or too few tokenizers; or options exclude each other.
        """
        if (self.export is None) != (self.out is None):
            raise ValueError("--export and --out belong together: what is to be written, and where")
        if self.export is not None and self.input:
            raise ValueError("--export takes no data along, as others may see them: leave --input out")
        if not 1 <= len(self.gpt) <= MOST_MODELS:
            raise ValueError(f"--gpt takes one model, or {MOST_MODELS} to compare, not {len(self.gpt)}")
        if len(self.tokenizer) not in (1, len(self.gpt)):
            raise ValueError(
                f"--tokenizer names {len(self.tokenizer)} for {len(self.gpt)} of --gpt: give one for each, or one for "
                "all"
            )

    @property
    def pairs(self) -> list[tuple[Path, Path]]:
        """Each GPT with its tokenizer."""
        tokenizers = self.tokenizer if len(self.tokenizer) == len(self.gpt) else self.tokenizer * len(self.gpt)
        return list(zip(self.gpt, tokenizers, strict=True))
