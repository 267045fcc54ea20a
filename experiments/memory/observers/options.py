"""What observers can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from data.inputs import check_stimuli
from experiments.memory.options import Change, Half, Resize, Ties
from experiments.observer_settings import parse_settings
from storage.checked_files import check_file
from storage.options import LARGEST_SEED, MANY, Options, about, option

SHIPPED: Mapping[str, str] = {
    "autoencoder": "experiments.memory.observers.autoencoder:Autoencoder",
    "chance": "experiments.memory.observers.chance:Chance",
    "gpt": "experiments.memory.observers.own_gpt:OwnGPT",
    "gpt-ratio": "experiments.memory.observers.own_gpt:OwnGPTRatio",
    "gpt-store": "experiments.memory.observers.own_gpt:OwnGPTStore",
    "imagegpt": "experiments.memory.observers.image_gpt:ImageGPT",
    "template": "experiments.memory.observers.template:Template",
    "timm": "experiments.memory.observers.timm_features:TimmFeatures",
}
"""The observers that come with the package, by the names that `--observer` knows."""
DEFAULT_SIZE = 64
"""Pixels a side at which an observer sees images, where it has no `size` of its own."""


@dataclass(frozen=True)
class ObserverOptions(Options):
    """Who sits the test, and what it sees."""

    observer: str | None = None
    """Who sits the test: autoencoder, chance, gpt, gpt-ratio, gpt-store, imagegpt, template or timm; or a class of your
    own with the methods `study` and `score`, as module:Class of a module in the working folder or an installed
    package, which is run."""
    settings: tuple[str, ...] = ()
    """Arguments that the observer is made with, each as NAME=VALUE, such as learning_rate=0.001."""
    size: int | None = option(None, at_least=1, at_most=4096)
    """Pixels a side at which it sees images; by default what it asks for, or 64."""
    resize: Resize = "exact"
    """How images are scaled down: `exact` keeps fractions of levels; `pillow` rounds to 8 bits, with the bilinear
    filter of Pillow, as torchvision's Resize does."""

    def check(self) -> None:
        """Check that settings are some, and are for an observer.

        Raises:
            ValueError: they are not.
        """
        if parse_settings(self.settings) and self.observer is None:
            raise ValueError(f"--settings {' '.join(self.settings)} need an --observer that they are for")

    @property
    def module_class(self) -> str:
        """Module and class of the observer, with a colon between them."""
        assert self.observer is not None, "there is one"
        return SHIPPED.get(self.observer, self.observer)

    @property
    def called(self) -> str:
        """What the observer is called where it has no name of its own: its class, and its settings."""
        assert self.observer is not None, "there is one"
        return ", ".join([self.observer.rpartition(":")[2], *(word.replace("=", " ", 1) for word in self.settings)])


@dataclass(frozen=True)
class ObserveOptions(Options):
    """Let anybody's model study a list of images, and test its recognition after each exposure."""

    command = "memory observe"
    begun_with = ("runs/*/scores/*.npz", "trials.csv")
    example = "secondsight memory observe --stimuli LIST --observer template --exposures 1 --out runs/template"
    takes_config = True

    stimuli: Path = field(metadata=about(identity="run", must_hold=check_stimuli))
    """Folder of the list, in the study/test layout (study/**, test/<condition>_<seen|unseen>/**)."""
    out: Path = field(metadata=about(identity="none"))
    """Run folder for manifest.csv, scores.csv, trials.csv, accuracy.csv and curve.png."""
    sitting: ObserverOptions = ObserverOptions()
    scores: Path | None = option(None, must_hold=partial(check_file, what="table of scores"))
    """In place of an observer, scores that were computed elsewhere: a CSV with the columns `path`, `exposure` and
    `score`, lower for more familiar, and, if wanted, `version`, `seed`, `change` and `readout`."""
    exposures: int = option(10, at_least=1, at_most=10**6, identity="run", may_change=True)
    """Passes over the study list."""
    batch: int = option(2, at_least=1, at_most=10**6)
    """Images that `study` is given at once."""
    changes: tuple[Change, ...] = option((), identity="run")
    """Changes under which test images, studied ones and foils, are tested besides."""
    half: Half = option("all")
    """Trials that are tested: all, or a fixed half of each condition."""
    fillers: int | None = option(None, at_least=0, at_most=MANY)
    """Studied images that are not tested; all of them if not given."""
    exclude_defects: bool = option(False, identity="run")
    """Leave out what is wrong with a list, instead of refusing the list; defects.csv has it."""
    ties: Ties = option("half")
    """What a trial counts in which both images have the same score: one half, or nothing."""
    seeds: int = option(1, at_least=1, at_most=10_000, identity="run", may_change=True)
    """Independent runs, each with its own observer and order."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED, identity="run")
    """Seed of the first run."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` keeps what is finished in --out, every exposure of every run, and does the rest."""
    overwrite: bool = option(False, identity="none")
    """Replace the results that --out holds."""

    def check(self) -> None:
        """Check that somebody sits the test, and that every run has a seed.

        Raises:
            ValueError: nobody does, or two do; or seeds are beyond their range.
        """
        if (self.sitting.observer is None) == (self.scores is None):
            raise ValueError("give one that sits the test: an --observer, or a table of --scores")
        _check_seeds(self.seed, self.seeds)

    @classmethod
    def check_given(cls, given: frozenset[str]) -> None:
        """Refuse options beside a table of scores that decides them.

        Raises:
            ValueError: such were given.
        """
        for name in sorted(given & {"exposures", "batch", "changes", "seeds", "seed", "size", "resize", "settings"}):
            if "scores" in given:
                raise ValueError(f"--{name} is for an --observer: the table of --scores says it, leave it out")

    def settings_of_model(self) -> dict[str, Any]:
        """Return what decides the scores of a run, where the list, version and seed are known."""
        sitting = self.sitting
        return {
            "observer": sitting.observer,
            "settings": list(sitting.settings),
            "size": sitting.size,
            "resize": sitting.resize,
            "batch": self.batch,
            "changes": list(self.changes),
        }


def check_lags(folder: Path) -> None:
    """Refuse a folder that holds no finished run of continuous recognition.

    Raises:
        ValueError: it lacks the table that is written last.
    """
    if not (folder / "lags.csv").exists():
        raise ValueError(f"{folder} holds no lags.csv: it is no finished run of `secondsight memory continuous`")


@dataclass(frozen=True)
class ContinuousOptions(Options):
    """Continuous recognition: a stream of pictures, some of which come again; was each seen before?

    Before each picture the observer says how familiar it finds it, then it studies it.
    """

    command = "memory continuous"
    begun_with = ("streams/*.npz", "lags.csv")
    example = "secondsight memory continuous --stimuli LIST --observer template --out runs/template_lags"

    stimuli: Path = field(metadata=about(identity="run", must_hold=check_stimuli))
    """Folder of the list, in the study/test layout, of which every image is used, studied ones and foils alike."""
    out: Path = field(metadata=about(identity="none"))
    """Run folder for stream.csv, responses.csv, lags.csv, lags.png and report.html."""
    sitting: ObserverOptions = ObserverOptions()
    images: int | None = option(None, at_least=4, at_most=MANY)
    """Different pictures in the stream; all of the list if not given."""
    lags: tuple[int, ...] = option((1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), at_least=1, at_most=MANY)
    """Places from a picture to where it comes again, 1 for at once; those that are too long for the stream are left
    out."""
    false_alarms: float = option(0.013, above=0, below=1)
    """Share of new pictures that are called repeats, for the criterion; that of people in Brady et al. (2008) if not
    given."""
    beside: tuple[Path, ...] = option((), identity="none", must_hold=check_lags)
    """Finished folders of this command, whose observers are put into the same figure and table."""
    exclude_defects: bool = option(False, identity="run")
    """Leave out what is wrong with a list, instead of refusing the list."""
    seeds: int = option(1, at_least=1, at_most=10_000, identity="run", may_change=True)
    """Independent runs, each with its own observer and stream."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED, identity="run")
    """Seed of the first run."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` keeps the streams that are finished in --out and does the rest."""
    overwrite: bool = option(False, identity="none")
    """Replace the results that --out holds."""

    def check(self) -> None:
        """Check that there is an observer, and that every run has a seed.

        Raises:
            ValueError: there is none, or seeds are beyond their range.
        """
        if self.sitting.observer is None:
            raise ValueError("--observer must name who sees the stream")
        if not self.lags or len(set(self.lags)) < len(self.lags):
            raise ValueError("--lags needs at least one, and none twice")
        _check_seeds(self.seed, self.seeds)


def _check_seeds(seed: int, seeds: int) -> None:
    if seed + seeds - 1 > LARGEST_SEED:
        raise ValueError(f"--seed {seed} and the --seeds {seeds} from it on exceed {LARGEST_SEED}")
