"""What the physics experiment can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from data.folders import look_at
from data.options import MIN_SIZE
from storage.checked_files import check_file
from storage.model_paths import check_gpt, check_model
from storage.options import LARGEST_SEED, Options, about, option

FEWEST_FRAMES = 8
"""Frames of a film, at least: fewer do not hold a screen that comes, an event behind it, and a screen that goes."""

Concept = Literal["permanence", "continuity", "shape", "colour", "solidity", "support", "inertia", "control"]


@dataclass(frozen=True)
class StimuliOptions(Options):
    """Render matched films of what can and what cannot happen in a playroom."""

    command = "physics stimuli"
    example = "secondsight physics stimuli --scenes 40 --out runs/physics"

    out: Path
    """Folder to write films/, manifest.csv, boxes.csv, sheets/ and look/ into; a run that was interrupted continues
    there."""
    scenes: int = option(40, at_least=1, at_most=10**5)
    """Rooms; in each there are four films of every concept."""
    concepts: tuple[Concept, ...] = get_args(Concept)
    """What impossible films violate; in those of `control` nothing is violated, but the film is cut, the light
    changes, or it is compressed from the event on."""
    outcomes: Literal["both", "possible"] = "both"
    """Whether there are films of what cannot happen; with `possible` there are AA and BB alone, to train a model on."""
    events: Literal["both", "visible", "hidden"] = "both"
    """Whether events are in view, behind a screen, or in every second scene behind one."""
    camera: Literal["both", "fixed", "walking"] = "both"
    """Whether the camera stands still, walks, or does each in two of four scenes."""
    distractors: int = option(2, at_least=0, at_most=6)
    """Toys that stand behind the event and have no part in it."""
    size: int = option(64, at_least=MIN_SIZE, at_most=2048)
    """Side of the square films in pixels, even."""
    frames: int = option(16, at_least=FEWEST_FRAMES, at_most=10_000)
    """Frames of a film."""
    fps: float = option(8.0, at_least=1, at_most=1000)
    """Frames per second; falls and bounces take as long as they take, everything else is spread over the film."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of all films: same seed, same pixels."""
    workers: int | None = option(None, at_least=0, at_most=512, identity="none")
    """Processes that render, by default as many as there are cores; 0 renders in this process."""

    def check(self) -> None:
        """Check the concepts and the size.

        Raises:
            ValueError: there are no concepts, one is named twice, or the size is odd.
        """
        if not self.concepts:
            raise ValueError("--concepts needs at least one")
        if len(set(self.concepts)) < len(self.concepts):
            raise ValueError(f"--concepts {' '.join(self.concepts)} names one twice")
        if self.size % 2:
            raise ValueError(f"--size {self.size} must be even")


SetKind = Literal["manifest", "intphys", "intphys2", "inflevel", "grasp", "adept", "likephys"]
"""How a set of films is laid out."""


def check_films(path: Path) -> None:
    """Refuse what is no set of films, as far as that shows without looking into it.

    Raises:
        ValueError: there is nothing.
    """
    found = look_at(path)
    if found.status is None:
        raise ValueError(f"{path} {found.problem}: --films is the folder of a set of films, or its manifest")


@dataclass(frozen=True)
class PhysicsRunOptions(Options):
    """Measure how surprising possible and impossible films are to GPTs, and to controls that no model made."""

    command = "physics run"
    begun_with = ("encoded/*.npz", "films.csv")
    example = (
        "secondsight physics run --films runs/physics --tokenizer runs/tokenizer --gpt runs/gpt --out runs/surprise"
    )

    films: Path = field(metadata=about(must_hold=check_films))
    """The films: a folder with manifest.csv, or such a file; or the folder of a published set."""
    tokenizer: Path = field(metadata=about(must_hold=check_model))
    """The tokenizer: a model folder, a run, hf:owner/name on the hub, or starter-clips."""
    out: Path = field(metadata=about(identity="none"))
    """Run folder for models.csv, films.csv, frames.csv, scores.csv, encoded/ and surprise/."""
    gpt: tuple[Path, ...] = option((), must_hold=check_gpt)
    """The GPTs of that tokenizer's tokens, one or several: model folders, runs, checkpoints of one training, or names
    on the hub. The films are encoded once for all of them."""
    control_gpt: tuple[Path, ...] = option((), must_hold=check_gpt)
    """GPTs that are controls, such as one that learned shuffled clips; one whose run says that its latent frames were
    shuffled or single is a control also where --gpt names it."""
    observer: tuple[str, ...] = ()
    """Models of your own, classes with a method `surprise(film)` in a module in the working folder or an installed
    package, which is run; each is named as `module:Class`."""
    scores: tuple[Path, ...] = option((), must_hold=partial(check_file, what="table of surprise"))
    """Surprise that was computed elsewhere: CSV files with the columns `film` and `surprise`, and, if wanted, `frame`,
    the index of a frame of the film, and `model`."""
    kind: SetKind = "manifest"
    """How the films are laid out: with a `manifest.csv`, or as IntPhys, IntPhys 2, InfLevel, GRASP, ADEPT or LikePhys
    is."""
    overlap: int | None = option(None, at_least=1, at_most=10**6)
    """Latent frames of a film longer than a GPT's window that later windows see again, as context; half of the window
    if not given."""
    least_kept: float = option(0.25, at_least=0, at_most=1)
    """Share of the difference between matched films that must be left between their reconstructions: where the
    tokenizer erases the object, or shows two shapes alike, films are void and left out of scores. 0 leaves none out."""
    strict: bool = False
    """Refuse a tokenizer whose tokens, or an observer whose surprise, know what follows, instead of saying how much."""
    exclude_defects: bool = False
    """Leave out films that have defects, with those that they are matched with, instead of refusing the set."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of the weights of the untrained GPT."""
    encoded: Path | None = option(None, identity="none")
    """Folder of the encoded films, which runs of other GPTs may share, so that films are encoded once; `encoded` in
    --out if not given."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` keeps what is finished in --out and does the rest."""
    overwrite: bool = option(False, identity="none")
    """Replace the results that --out holds."""

    def check(self) -> None:
        """Check that there is something to be measured.

        Raises:
            ValueError: there is nothing.
        """
        if not (self.gpt or self.observer or self.scores):
            raise ValueError("--gpt, --observer or --scores must name at least one model that is measured")


def check_finished_run(folder: Path) -> None:
    """Refuse a folder that holds no run that was finished.

    Raises:
        ValueError: it lacks the table that is written last.
    """
    if not (folder / "scores.csv").exists():
        raise unfinished(folder, "scores.csv")


def unfinished(folder: Path, name: str) -> ValueError:
    """Return what is said of a folder that lacks a table of a run."""
    return ValueError(f"{folder} holds no {name}: it is no finished run of `secondsight physics run`")


@dataclass(frozen=True)
class PhysicsReportOptions(Options):
    """Draw what runs measured: accuracies beside controls and people, claims, curves, surprise over time, a page."""

    command = "physics report"
    example = "secondsight physics report runs/surprise --out runs/report"

    runs: tuple[Path, ...] = field(metadata=about(positional=True, must_hold=check_finished_run))
    """Run folders of `secondsight physics run`, all on the same films."""
    out: Path
    """Folder for accuracy.csv, claims.csv, curve.csv, timecourse.csv, plots, films of extremes and report.html."""
    extremes: int = option(1, at_least=0, at_most=100)
    """Quadruples with the largest difference, and as many with the smallest, of which films are drawn per concept."""

    def check(self) -> None:
        """Check that there is a run.

        Raises:
            ValueError: there is none.
        """
        if not self.runs:
            raise ValueError("name at least one run folder of `secondsight physics run`")
