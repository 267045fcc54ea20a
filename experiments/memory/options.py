"""What the experiments can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from gpt.config import PRESETS
from storage.nearest import unknown_name

Part = Literal["all", "first-half", "second-half"]
Change = Literal["jpeg-50", "shift-1", "brightness", "mirror"]
"""The names of `experiments.memory.changes.CHANGES`."""


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """How a list is studied and tested: what a run, and all runs of a sweep, can be asked."""

    noise: int | None = None
    """Instead of images, study this many random token sequences; as many foils are drawn likewise."""
    noise_length: int = 256
    """Tokens of a random sequence, a square number, drawn uniformly."""
    noise_codes: int = 512
    """Number of codes that random sequences are drawn from."""
    exclude_defects: bool = False
    """Leave out what is wrong with a list, such as foils that are also studied, instead of refusing the list; the
    defects are listed in defects.csv."""
    fillers: int | None = None
    """Studied images that are not tested; all of them if not given."""
    part: Part = "all"
    """Trials that are tested: all, or a fixed half of each condition, so that settings can be tuned on one half and
    reported on the other. The study list stays whole."""
    tokenizer: Path | None = None
    """Folder of the tokenizer; without one, that in --gpt/tokenizer, or a palette made from all images of the
    list."""
    colours: int = 64
    """Colours of the palette that is made."""
    size: int = 8
    """Pixels a side at which the palette sees the images."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or gradient descent with momentum 0.9; the learning rate is constant and weights do not decay."""
    optimizer_state: Literal["fresh", "resume"] = "fresh"
    """`resume` begins with the moments of Adam that the training of --gpt ended with."""
    trained_blocks: int | None = None
    """Train only the last so many transformer blocks, the norm and the head after them; all weights if not given."""
    exposures: int = 20
    """Passes over the study list."""
    steps_per_exposure: int = 1
    """Optimizer steps in a row on each batch (massed practice)."""
    replay: int = 0
    """Images studied earlier that are rehearsed along with each batch."""
    then: Path | None = None
    """Folder of a second list, studied after the exposures to the first, which is tested all along (retention)."""
    then_exposures: int = 10
    """Passes over the second list."""
    changes: tuple[Change, ...] = ()
    """Changes under which test images, studied ones and foils, are tested besides."""
    store_layer: int | None = None
    """Block, from 1, whose output an episodic store keeps of every studied image; its judgements, and those of the
    weights and the store together, are recorded beside those of the weights. No store if not given."""
    recall: int = 0
    """Studied images, and their foils, whose lower half is recalled from the upper after the last exposure."""
    seeds: int = 1
    """Independent runs, each with its own weights and order."""
    seed: int = 0
    """Seed of the first run."""
    save_every: int = 10
    """Passes between two saved states, from which an interrupted run continues."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        for name in ("exposures", "steps_per_exposure", "then_exposures", "seeds", "size", "noise_codes", "save_every"):
            self._check(name, at_least=1)
        self._check("noise_length", at_least=2)
        for name in ("replay", "recall"):
            self._check(name, at_least=0)
        for name, least in (("noise", 1), ("fillers", 0), ("trained_blocks", 0), ("store_layer", 1)):
            if getattr(self, name) is not None:
                self._check(name, least)
        if self.optimizer_state == "resume" and self.optimizer != "adam":
            raise ValueError(f"--optimizer-state resume continues Adam, not {self.optimizer}: use --optimizer adam")
        if self.noise is not None:
            self._check_noise()

    def _check(self, name: str, at_least: float) -> None:
        value = getattr(self, name)
        if value < at_least:
            least = f"be at least {at_least}" if at_least else "not be negative"
            raise ValueError(f"--{name.replace('_', '-')} {value} must {least}")

    def _check_noise(self) -> None:
        if math.isqrt(self.noise_length) ** 2 != self.noise_length:
            raise ValueError(f"--noise-length {self.noise_length} must be a square number, such as 256 or 4096")
        for name in ("tokenizer", "fillers", "then", "changes", "recall"):
            if getattr(self, name):
                raise ValueError(f"--{name} is for images: leave it out with --noise")

    def _check_subject(self, stimuli: bool, gpt: bool) -> None:
        if stimuli == (self.noise is not None):
            raise ValueError("give a list of images with --stimuli, or a number of random sequences with --noise")
        if self.optimizer_state == "resume" and not gpt:
            raise ValueError("--optimizer-state resume needs --gpt: a new GPT has no state to resume")


@dataclass(frozen=True)
class MemoryOptions(MemorySettings):
    """Study a list of images for k exposures and test recognition after each."""

    stimuli: Path | None = None
    """Folder of the list, in the study/test layout (study/**, test/<condition>_<seen|unseen>/**)."""
    out: Path = tyro.MISSING  # needed, although it stands behind an option that is not
    """Run folder for manifest.csv, trials.csv, accuracy.csv and curve.png."""
    gpt: Path | None = None
    """Folder of a pretrained GPT to begin from; without one, a new GPT of --preset."""
    preset: str = "tiny"
    """Size of a new GPT."""
    batch: int = 2
    """Images per optimizer step."""
    learning_rate: float = 3e-4
    """Learning rate, constant; 0 leaves the weights as they are, so that only an episodic store learns."""
    resume: Literal["no", "auto"] = "no"
    """`auto` keeps what is finished in --out and does the rest."""
    overwrite: bool = False
    """Replace the results that --out holds."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read."""
        super().__post_init__()
        if self.out is tyro.MISSING:
            raise ValueError("--out is missing: name a folder for the run")
        self._check_subject(self.stimuli is not None, self.gpt is not None)
        self._check("batch", at_least=1)
        self._check("learning_rate", at_least=0)
        if self.preset not in PRESETS:
            raise ValueError(unknown_name("GPT preset", self.preset, PRESETS))


@dataclass(frozen=True)
class SweepOptions(MemorySettings):
    """Run the memory experiment for all combinations of lists, models, learning rates and batches.

    What is in --out is kept: a sweep that was stopped, or that is asked for more, does only what is missing.
    """

    out: Path
    """Folder of the sweep: cells/<combination>/ for each run, and sweep.csv with the last accuracies of all."""
    stimuli: tuple[Path, ...] = ()
    """Folders of lists; none with --noise."""
    presets: tuple[str, ...] = ()
    """Sizes of new GPTs."""
    gpts: tuple[Path, ...] = ()
    """Folders of pretrained GPTs to begin from."""
    learning_rates: tuple[float, ...] = (3e-4,)
    """Learning rates."""
    batches: tuple[int, ...] = (2,)
    """Images per optimizer step."""
    slurm: bool = False
    """Run nothing, but write sweep.sbatch, a Slurm script with one task for each combination."""

    def __post_init__(self) -> None:
        """Check what can be checked before anything is read; each run checks its own options."""
        super().__post_init__()
        self._check_subject(bool(self.stimuli), bool(self.gpts) and not self.presets)
        for name in ("learning_rates", "batches"):
            if not getattr(self, name):
                raise ValueError(f"--{name.replace('_', '-')} needs at least one value")
        if not self.presets and not self.gpts:
            raise ValueError("a sweep needs models: sizes of new ones with --presets, or folders with --gpts")


@dataclass(frozen=True)
class ReportOptions:
    """Merge several runs: accuracies with intervals, exposures to the level of people, comparisons, and a page."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders of `secondsight memory run`, or folders of `secondsight memory sweep`."""
    out: Path
    """Folder for the tables (trials.csv, accuracy.csv and others), curve.png and other figures, and report.html."""
