"""What the memory experiment can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from data.inputs import check_data, check_stimuli
from experiments.memory.key_names import check_distinct, check_key
from experiments.memory.protocol import Protocol, protocol_options, sweep_options
from experiments.people.data_options import PeopleOptions
from gpt.config import PRESETS, GPTConfig
from storage.model_paths import check_gpt, check_model
from storage.options import (
    LARGEST_RATE,
    LARGEST_SEED,
    MANY,
    Identity,
    Options,
    about,
    leaves,
    option,
    preset_name,
    value_at,
)
from training.options import InferencePrecision

NOISE_TOKENS = 2**26
"""As many tokens as the random sequences of a list may have: they and their foils then take a gigabyte."""

Half = Literal["all", "first", "second"]
Resize = Literal["exact", "pillow"]
Ties = Literal["half", "wrong"]
Change = Literal[
    "jpeg-50", "shift-1", "brightness", "brightness-0.8", "contrast-0.8", "contrast-1.2", "crop-90", "mirror"
]
"""The names of `experiments.memory.changes.CHANGES`."""
BEFORE: Mapping[str, Any] = {"precision": "fp32", "store_key": ()}
"""What every run had before there were these options, which are therefore no part of what it is told apart by."""


@dataclass(frozen=True)
class MaterialOptions(Options):
    """What is studied and tested."""

    noise: int | None = option(None, at_least=1, at_most=10**6)
    """Instead of images, study this many random token sequences; as many foils are drawn likewise."""
    noise_length: int = option(256, at_least=2, at_most=2**20)
    """Tokens of a random sequence, a square number, drawn uniformly."""
    noise_codes: int = option(512, at_least=1, at_most=2**24)
    """Number of codes that random sequences are drawn from."""
    exclude_defects: bool = option(False, identity="run")
    """Leave out what is wrong with a list, such as foils that are also studied, instead of refusing the list; the
    defects are listed in defects.csv."""
    fillers: int | None = option(None, at_least=0, at_most=MANY)
    """Studied images that are not tested; all of them if not given."""
    half: Half = "all"
    """Trials that are tested: all, or a fixed half of each condition, so that settings can be tuned on one half and
    reported on the other. The study list stays whole."""
    tokenizer: Path | None = option(None, must_hold=check_model)
    """The tokenizer, a folder, hf:owner/name on the hub, or starter-clips or starter-stills; without one, that in
    --gpt/tokenizer, or a palette made from all images of the list."""
    colours: int = option(64, at_least=2, at_most=65_536)
    """Colours of the palette that is made."""
    size: int = option(8, at_least=1, at_most=1024)
    """Pixels a side at which the palette sees the images."""
    fit_palette: bool = True
    """Make a palette where there is no tokenizer; otherwise a missing one is an error."""
    resize: Resize = "exact"
    """How images are scaled down: `exact` keeps fractions of levels; `pillow` rounds to 8 bits, with the bilinear
    filter of Pillow, as torchvision's Resize does."""

    def check(self) -> None:
        """Check that what is said of random sequences, and of images, goes together.

        Raises:
            ValueError: it does not.
        """
        if self.noise is None:
            return
        if math.isqrt(self.noise_length) ** 2 != self.noise_length:
            raise ValueError(f"--noise-length {self.noise_length} must be a square number, such as 256 or 4096")
        if self.noise * self.noise_length > NOISE_TOKENS:
            raise ValueError(
                f"--noise {self.noise} sequences of --noise-length {self.noise_length} exceed {NOISE_TOKENS} tokens in "
                "all: ask for fewer or shorter ones"
            )
        for name in ("tokenizer", "fillers"):
            if getattr(self, name):
                raise ValueError(f"--{name} is for images: leave it out with --noise")


@dataclass(frozen=True)
class LearningOptions(Options):
    """How the list is learned."""

    exposures: int = option(20, at_least=1, at_most=10**6, identity="run")
    """Passes over the study list."""
    steps_per_exposure: int = option(1, at_least=1, at_most=10**6)
    """Optimizer steps in a row on each batch (massed practice)."""
    replay: int = option(0, at_least=0, at_most=10**6)
    """Images studied earlier that are rehearsed along with each batch."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or gradient descent with momentum 0.9; the learning rate is constant and weights do not decay."""
    optimizer_state: Literal["fresh", "resume"] = "fresh"
    """`resume` begins with the moments of Adam that the training of --gpt ended with."""
    grad_clip: float = option(1.0, at_least=0, at_most=MANY)
    """Largest norm of the gradient; 0 does not clip it."""
    order: Literal["own", "igpt2022"] = "own"
    """Order of study: `own`, or that of the public code of Orhan (2022) on its 16 GPUs. Both are new in each pass and
    depend on the seed alone."""
    initial_weights: Literal["scaled", "mingpt"] = "scaled"
    """Weights of a new GPT: `scaled` are drawn as for GPT-2, with the last layers of branches scaled down by depth;
    `mingpt` are those that the public code of Orhan (2022) draws under the seed."""
    trained_blocks: int | None = option(None, at_least=0, at_most=1000)
    """Train only the last so many transformer blocks, the norm and the head after them; all weights if not given."""
    then: Path | None = option(None, identity="run", must_hold=check_stimuli)
    """Folder of a second list, studied after the exposures to the first, which is tested all along (retention)."""
    then_exposures: int = option(10, at_least=1, at_most=10**6, identity="run")
    """Passes over the second list."""
    seeds: int = option(1, at_least=1, at_most=10_000, identity="run")
    """Independent runs, each with its own weights and order."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED, identity="run")
    """Seed of the first run."""
    precision: InferencePrecision = "fp32"
    """Numbers that the GPT's layers compute with while it studies and is tested; weights, losses and recall stay in
    fp32. `auto` is bf16 where that is measured to be faster, or what the run began with; `bf16!` is bf16 also on
    processors that are slower in it."""
    save_every: int = option(10, at_least=1, at_most=MANY, identity="none")
    """Passes between two saved states, from which an interrupted run continues."""

    def check(self) -> None:
        """Check that every run has a seed, and that there are moments to resume.

        Raises:
            ValueError: seeds are beyond their range, or the optimizer has no moments.
        """
        if self.seed + self.seeds - 1 > LARGEST_SEED:
            raise ValueError(f"--seed {self.seed} and the --seeds {self.seeds} from it on exceed {LARGEST_SEED}")
        if self.optimizer_state == "resume" and self.optimizer != "adam":
            raise ValueError(f"--optimizer-state resume continues Adam, not {self.optimizer}: use --optimizer adam")


@dataclass(frozen=True)
class TestOptions(Options):
    """How recognition is tested."""

    __test__ = False  # pytest takes classes of this name for tests

    changes: tuple[Change, ...] = option((), identity="run")
    """Changes under which test images, studied ones and foils, are tested besides."""
    store_layer: int | None = option(None, at_least=1, at_most=1000)
    """Block, from 1, whose output an episodic store keeps of every studied image; its judgements, and those of the
    weights and the store together, are recorded beside those of the weights. No store if not given."""
    store_key: tuple[str, ...] = option((), identity="run", must_hold=check_key)
    """Keys of pictures, each with a store of its own, whose judgements are recorded beside the others: pixels,
    tokenizer:MODEL, gpt:MODEL, efficientnet-lite0 (or 1, 2) or timm:MODEL:WEIGHTS."""
    key_data: Path | None = option(None, identity="run", must_hold=check_data)
    """Pictures from which the spaces of --store-key are learned; those that are studied and not tested if not given."""
    recall: int = option(0, at_least=0, at_most=10**6, identity="run")
    """Studied images, and their foils, whose lower half is recalled from the upper after the last exposure."""
    ties: Ties = option("half")
    """What a trial counts in which both images have the same score: one half, or nothing."""


@dataclass(frozen=True)
class MemoryOptions(Options):
    """Study a list of images for k exposures and test recognition after each."""

    command = "memory run"
    begun_with = ("trials.csv", "runs/*/trials.csv")
    example = "secondsight memory run --stimuli LIST --preset tiny --exposures 60 --out runs/scratch"
    takes_config = True

    out: Path = field(metadata=about(identity="none"))
    """Run folder for manifest.csv, trials.csv, accuracy.csv and curve.png."""
    stimuli: Path | None = option(None, identity="run", must_hold=check_stimuli)
    """Folder of the list, in the study/test layout (study/**, test/<condition>_<seen|unseen>/**); or --noise."""
    gpt: Path | None = option(None, must_hold=check_gpt)
    """Pretrained GPT to begin from, a folder, hf:owner/name on the hub, or starter-clips or starter-stills; without
    one, a new GPT of --preset."""
    protocol: Protocol | None = None
    """Study and test as a published experiment did, in all options that are not given: `igpt2022` is Orhan (2022),
    arXiv 2204.13061. Needs --tokenizer, a --gpt that has one, or --fit-palette."""
    model: GPTConfig = option(PRESETS["tiny"], presets=PRESETS)
    batch: int = option(2, at_least=1, at_most=10**6)
    """Images per optimizer step."""
    learning_rate: float = option(3e-4, at_least=0, at_most=LARGEST_RATE)
    """Learning rate, constant; 0 leaves the weights as they are, so that only an episodic store learns."""
    material: MaterialOptions = MaterialOptions()
    learning: LearningOptions = LearningOptions()
    test: TestOptions = TestOptions()
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` keeps what is finished in --out and does the rest."""
    overwrite: bool = option(False, identity="none")
    """Replace the results that --out holds."""

    def check(self) -> None:
        """Check that there is one thing to study, and one model.

        Raises:
            ValueError: there is none, or there are two.
        """
        _check_protocol(self.protocol)
        _check_combination(self, bool(self.stimuli), bool(self.gpt))
        self._check_palette()
        self._check_initial_weights()

    def settings(self, *identities: Identity) -> dict[str, Any]:
        """Return the options that tell these things apart, by name, in order.

        The architecture of a new GPT is one of them, `preset`: the name of the preset, or what it is in words. Left out
        is what has the value in `BEFORE`.
        """
        settings: dict[str, Any] = {}
        for name, leaf in leaves(type(self)).items():
            if leaf.identity in identities:
                if leaf.owner is GPTConfig:
                    settings["preset"] = self._architecture()
                else:
                    settings[name] = value_at(self, leaf.path)
        return without_before(settings)

    def model_name(self) -> str:
        """Return what a model is called where there is no other: the preset of its GPT, or the folder it came from."""
        return self.gpt.name if self.gpt else str(self._architecture())

    @classmethod
    def check_given(cls, given: frozenset[str]) -> None:
        """Refuse an architecture beside the GPT that has one, and a palette of the list beside a tokenizer.

        Raises:
            ValueError: both were given.
        """
        if {"tokenizer", "fit_palette"} <= given:
            raise ValueError("--tokenizer and --fit-palette exclude each other: give one")
        architecture = sorted(given & {"preset", *leaves(GPTConfig)})
        if "gpt" in given and architecture:
            raise ValueError(
                f"--gpt and --{architecture[0].replace('_', '-')} exclude each other: the one begins from a GPT that "
                "is there, the other describes a new one"
            )

    @classmethod
    def implied(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the protocol sets."""
        return protocol_options(given)

    def _check_palette(self) -> None:
        material = self.material
        if not (material.fit_palette or material.noise or material.tokenizer or self.gpt):
            reason = f"--protocol {self.protocol}" if self.protocol else "--no-fit-palette"
            raise ValueError(
                f"{reason} makes no palette of the list: give --tokenizer, a --gpt that has one, or --fit-palette"
            )

    def _check_initial_weights(self) -> None:
        if self.learning.initial_weights == "scaled":
            return
        if self.gpt is not None:
            raise ValueError("--initial-weights mingpt is for a new GPT: leave it out with --gpt")
        if self.model.variant != "legacy" or self.model.bos:
            bos = "--bos" if self.model.bos else "--no-bos"
            raise ValueError(
                f"--initial-weights mingpt needs --variant legacy --no-bos, not --variant {self.model.variant} {bos}: "
                "give --initial-weights scaled with those"
            )

    def _architecture(self) -> str | None:
        """Return what a new GPT is called; None if it begins from one that is there."""
        if self.gpt is not None:
            return None
        others = [
            f"{name} {getattr(self.model, name)}"
            for name, leaf in leaves(GPTConfig).items()
            if name not in ("layers", "heads", "width") and getattr(self.model, name) != leaf.default
        ]
        return preset_name(self.model, PRESETS) or ", ".join([self.model.describe(), *others])


@dataclass(frozen=True)
class SweepOptions(Options):
    """Run the memory experiment for all combinations of lists, models, learning rates and batches.

    What is in --out is kept: a sweep that was stopped, or that is asked for more, does only what is missing.
    """

    command = "memory sweep"
    example = "secondsight memory sweep --stimuli LIST_1 LIST_2 --presets tiny demo --seeds 3 --out runs/sweep"
    takes_config = True

    out: Path = field(metadata=about(identity="none"))
    """Folder of the sweep: cells/<combination>/ for each run, and sweep.csv with the last accuracies of all."""
    stimuli: tuple[Path, ...] = ()
    """Folders of lists; none with --noise."""
    presets: tuple[str, ...] = ()
    """Presets of new GPTs: demo, tiny, alef, bet, gimel, dalet, igpt-mini or igpt-s."""
    gpts: tuple[Path, ...] = ()
    """Pretrained GPTs to begin from."""
    protocol: Protocol | None = None
    """Study and test as a published experiment did, in all options that are not given: see `memory run --protocol`."""
    learning_rates: tuple[float, ...] = option((3e-4,), at_least=0, at_most=LARGEST_RATE)
    """Learning rates."""
    batches: tuple[int, ...] = option((2,), at_least=1, at_most=10**6)
    """Images per optimizer step."""
    sizes: tuple[int, ...] = option((), at_least=1, at_most=1024)
    """Pixels a side at which palettes of the list see the images, a combination each; --size if not given."""
    palettes: tuple[int, ...] = option((), at_least=2, at_most=65_536)
    """Colours of those palettes, a combination each; --colours if not given."""
    equal_compute: bool = False
    """Let all combinations study for as many floating-point operations: --exposures is for that whose pass over an
    image takes most, and the others study as often more as a pass takes less. compute.csv and compute.png show it."""
    material: MaterialOptions = MaterialOptions()
    learning: LearningOptions = LearningOptions()
    test: TestOptions = TestOptions()
    slurm: bool = False
    """Run nothing, but write jobs of Slurm into --out: a task for each combination, then the table, then a report."""

    def check(self) -> None:
        """Check what can be checked before anything is read; each run checks its own options.

        Raises:
            ValueError: a combination would be empty.
        """
        _check_protocol(self.protocol)
        _check_combination(self, bool(self.stimuli), bool(self.gpts) and not self.presets)
        for name in ("learning_rates", "batches"):
            if not getattr(self, name):
                raise ValueError(f"--{name.replace('_', '-')} needs at least one value")
        if not self.presets and not self.gpts:
            raise ValueError("a sweep needs models: presets of new ones with --presets, or folders with --gpts")
        by_picture = self.sizes or self.palettes or self.equal_compute
        if by_picture and (self.gpts or self.material.tokenizer or self.material.noise):
            raise ValueError(
                "--sizes, --palettes and --equal-compute are for new GPTs and palettes of the list: leave out --gpts, "
                "--tokenizer and --noise"
            )

    @classmethod
    def implied(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the protocol sets."""
        return sweep_options(given)


def _check_protocol(protocol: str | None) -> None:
    if protocol is not None and protocol not in get_args(Protocol):
        raise ValueError(f"--protocol {protocol!r} must be {' or '.join(get_args(Protocol))}")


def _check_combination(options: MemoryOptions | SweepOptions, stimuli: bool, gpt: bool) -> None:
    material = options.material
    learning = options.learning
    test = options.test
    if stimuli == (material.noise is not None):
        raise ValueError("give a list of images with --stimuli, or a number of random sequences with --noise")
    if learning.optimizer_state == "resume" and not gpt:
        raise ValueError("--optimizer-state resume needs --gpt: a new GPT has no state to resume")
    if material.noise is not None:
        of_images = (("then", learning.then), ("changes", test.changes), ("recall", test.recall))
        for name, value in (*of_images, ("store-key", test.store_key)):
            if value:
                raise ValueError(f"--{name} is for images: leave it out with --noise")
    check_distinct(test.store_key, "--store-key")
    if test.key_data is not None and not test.store_key:
        raise ValueError("--key-data is for --store-key: give the keys whose spaces are learned from it")


def without_before(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by name without those that have the value in `BEFORE`."""
    return {name: value for name, value in values.items() if name not in BEFORE or value != BEFORE[name]}


def finished_runs(path: Path) -> list[Path]:
    """Return the folders of finished runs that a path means: itself, or those in the folder of a sweep.

    Raises:
        ValueError: there is none.
    """
    if (path / "trials.csv").exists():
        return [path]
    cells = sorted(table.parent for table in path.glob("cells/*/trials.csv"))
    if not cells:
        raise ValueError(f"{path} holds no trials.csv: give folders of finished runs of `secondsight memory run`")
    return cells


@dataclass(frozen=True)
class ReportOptions(Options):
    """Merge several runs, beside people: accuracies with intervals, exposures to their level, comparisons, a page."""

    command = "memory report"
    example = "secondsight memory report runs/scratch runs/store --out runs/report"

    runs: tuple[Path, ...] = field(metadata=about(positional=True, must_hold=finished_runs))
    """Run folders of `secondsight memory run`, or folders of `secondsight memory sweep`; none with --people alone."""
    out: Path
    """Folder for the tables (trials.csv, accuracy.csv and others), curve.png and other plots, and report.html."""
    data: PeopleOptions = field(default=PeopleOptions())

    def check(self) -> None:
        """Check that there is something to report.

        Raises:
            ValueError: there are neither runs nor people.
        """
        if not self.runs and not self.data.people:
            raise ValueError("there is nothing to report: give run folders, responses with --people, or both")
