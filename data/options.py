"""Options of the data commands; free of torch, so that the command line can show its help at once."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

MIN_SIZE = 16
"""Smallest side of a playroom image: below it toys are no longer told apart."""


@dataclass(frozen=True)
class PlayroomOptions:
    """Render head-camera clips of rooms with toys, and images of single toys for a recognition-memory experiment."""

    out: Path
    """Folder to write clips/, study/, test/ and playroom.json into; a run that was interrupted continues there."""

    clips: int = 0
    """Number of head-camera clips, each in a room of its own."""

    objects: int = 0
    """Number of memory trials in each of the conditions novel, exemplar and state."""

    fillers: int = 0
    """Number of additional study images that are never tested."""

    size: int = 64
    """Side of the square images in pixels, even."""

    frames: int = 16
    """Frames per clip."""

    fps: float = 8.0
    """Frames per second of the clips."""

    seed: int = 0
    """Seed of the whole playroom: same seed, same pixels."""

    def __post_init__(self) -> None:
        """Raises ValueError where an option cannot be met."""
        for name in ("clips", "objects", "fillers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.clips == 0 and self.objects == 0:
            raise ValueError("nothing to make: clips=0 and objects=0; ask for one or more of either")
        if self.fillers and not self.objects:
            raise ValueError(f"fillers={self.fillers} belong to a memory experiment, but objects=0")
        if self.size < MIN_SIZE or self.size % 2:
            raise ValueError(f"size must be even and at least {MIN_SIZE}, got {self.size}")
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, got {self.frames}")
        if not (self.fps > 0 and math.isfinite(self.fps)):
            raise ValueError(f"fps must be above 0 and finite, got {self.fps}")


@dataclass(frozen=True)
class InspectOptions:
    """Say what in a data set is readable, what is not and why, and draw a contact sheet."""

    path: tyro.conf.Positional[Path]
    """Folder of videos or images, one file, or a pattern of tar shards such as 'shards-{0000..0003}.tar'."""

    out: Path
    """Folder for files.csv, skipped.csv and contact_sheet.png."""


@dataclass(frozen=True)
class SubsetOptions:
    """Write a part of a token store, to train the same model on fewer items."""

    tokens: Path
    """The token store."""

    out: Path
    """Folder of the new token store: some of the training items, and all validation items."""

    items: int
    """Training items of it; an item counts once with all its crops. A smaller subset is a part of every larger one."""


@dataclass(frozen=True)
class StimuliOptions:
    """Make a list for `memory run` from images as their authors distribute them, unpacked."""

    kind: Literal["brady", "konkle", "scenes"]
    """What is in --source. brady: folders with `objects`, `exemplar` and `state` in their names, for single objects and
    for pairs such as cup1.jpg and cup2.jpg. konkle and scenes: a folder for each category."""

    source: tuple[Path, ...]
    """Folders of images, or folders that hold these folders. With konkle and scenes, a folder of single objects may
    be given too: novel trials are then made of those instead of categories."""

    out: Path
    """Folder of the new list: study/, test/ and stimuli.json, which says where each image comes from."""

    trials: int | None = None
    """Trials of each condition; if not given, as many as the images allow up to the published numbers (brady 100,
    else 40)."""

    seed: int = 0
    """Seed of the draw of trials, and of which image of each is studied."""

    def __post_init__(self) -> None:
        """Raises ValueError where an option cannot be met."""
        if not self.source:
            raise ValueError("--source needs at least one folder")
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"trials must be 1 or more, got {self.trials}")
