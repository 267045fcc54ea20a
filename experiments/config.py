"""What the experiments can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from gpt.config import PRESETS


@dataclass(frozen=True)
class MemoryOptions:
    """Study a list of pictures for k exposures and test recognition after each."""

    stimuli: Path
    """Folder in the study/test layout: study/**, test/<condition>_<seen|unseen>/**."""
    out: Path
    """Run folder for manifest.csv, trials.csv, accuracy.csv and curve.png."""
    tokenizer: Path | None = None
    """Folder of the tokenizer; without one, a palette is made from all pictures of the list."""
    colours: int = 64
    """Colours of the palette that is made."""
    size: int = 8
    """Pixels a side at which the palette sees the pictures."""
    gpt: Path | None = None
    """Folder of a pretrained GPT to begin from; without one, a new GPT of --preset."""
    preset: str = "tiny"
    """Size of a new GPT."""
    exposures: int = 20
    """Passes over the study list."""
    fillers: int | None = None
    """Studied pictures that are not tested; all of them if not given."""
    batch: int = 4
    """Pictures per optimizer step."""
    learning_rate: float = 1e-3
    """Learning rate of Adam, constant."""
    seeds: int = 1
    """Independent runs, each with its own weights and order."""
    seed: int = 0
    """Seed of the first run."""
    resume: Literal["no", "auto"] = "no"
    """`auto` keeps the finished runs in --out and does the rest."""
    overwrite: bool = False
    """Replace the results that --out holds."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        for name in ("exposures", "batch", "seeds", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} {getattr(self, name)} must be at least 1")
        if self.fillers is not None and self.fillers < 0:
            raise ValueError(f"--fillers {self.fillers} must not be negative")
        if self.learning_rate <= 0:
            raise ValueError(f"--learning-rate {self.learning_rate} must be positive")
        if self.preset not in PRESETS:
            raise ValueError(f"there is no GPT preset {self.preset!r}; there are {', '.join(PRESETS)}")


@dataclass(frozen=True)
class ReportOptions:
    """Merge the trials of several runs and draw their curve beside the human figures."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders of `secondsight memory run`."""
    out: Path
    """Folder for trials.csv, accuracy.csv, curve.png and report.html."""


@dataclass(frozen=True)
class DemoOptions:
    """Run the whole path, small and real: films to completions and a memory curve, ending with report.html."""

    out: Path
    """Folder for everything the demo makes; a stopped demo continues from what it holds."""
    seed: int = 0
    """Seed of everything: the same seed on the same machine gives the same figures."""
    videos: Path | None = None
    """Your own films instead of the playroom's."""
