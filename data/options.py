"""What the data commands can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from data.inputs import check_data, check_folder, check_tokens
from storage.checked_files import check_file
from storage.options import LARGEST_SEED, MANY, Options, about, option

MIN_SIZE = 16
"""Smallest side of a playroom image: below it toys are no longer told apart."""


DEFAULT_TAGS = ("exclude",)
"""Tags of what `--exclude` leaves out, unless others are named."""


@dataclass(frozen=True)
class ExclusionOptions(Options):
    """Clips and images that are left out because people tagged them."""

    # These options have no identity, as they only name where it is written what is left out. That itself is recorded
    # with the data, and a run that goes on must find the same (`data.same`, `vqgan.encoding_plan`).
    exclude: Path | None = option(None, identity="none", must_hold=partial(check_file, what="table of tags"))
    """Leave out what is tagged in this table, source,start,seconds,tag, as a page of `data look` writes it: each tagged
    clip, and every other one that shares a part of it."""
    exclude_tag: tuple[str, ...] = option(DEFAULT_TAGS, identity="none")
    """With --exclude, the tags of what is left out."""

    def check(self) -> None:
        """Check that tags are named of a table.

        Raises:
            ValueError: there is no table, or no tag.
        """
        if self.exclude is None and self.exclude_tag != DEFAULT_TAGS:
            raise ValueError(f"--exclude-tag {' '.join(self.exclude_tag)} needs --exclude, the table that has the tags")
        if not self.exclude_tag:
            raise ValueError("--exclude-tag needs at least one tag")


NO_EXCLUSION = ExclusionOptions()


@dataclass(frozen=True)
class PlayroomOptions(Options):
    """Render head-camera clips of rooms with toys, and images of single toys for a recognition-memory experiment."""

    command = "data playroom"
    example = "secondsight data playroom --clips 480 --objects 20 --out runs/playroom"

    out: Path
    """Folder to write clips/, study/, test/ and playroom.json into; a run that was interrupted continues there."""
    clips: int = option(0, at_least=0, at_most=10**6)
    """Number of head-camera clips, each in a room of its own."""
    objects: int = option(0, at_least=0, at_most=10**5)
    """Number of memory trials in each of the conditions novel, exemplar and state."""
    fillers: int = option(0, at_least=0, at_most=10**5)
    """Number of additional study images that are never tested."""
    size: int = option(64, at_least=MIN_SIZE, at_most=2048)
    """Side of the square images in pixels, even."""
    frames: int = option(16, at_least=1, at_most=10_000)
    """Frames per clip."""
    fps: float = option(8.0, at_least=0.001, at_most=1000)
    """Frames per second of the clips."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of the whole playroom: same seed, same pixels."""

    def check(self) -> None:
        """Check that there is something to make.

        Raises:
            ValueError: there is nothing, or the size is odd.
        """
        if self.clips == 0 and self.objects == 0:
            raise ValueError("nothing to make: --clips 0 and --objects 0; ask for one or more of either")
        if self.fillers and not self.objects:
            raise ValueError(f"--fillers {self.fillers} belong to a memory experiment: ask for --objects too")
        if self.size % 2:
            raise ValueError(f"--size {self.size} must be even")


@dataclass(frozen=True)
class SyntheticOptions(Options):
    """Render clips and stills with the statistics of natural ones, for tokenizers that must work on any footage."""

    command = "data synthetic"
    example = "secondsight data synthetic --clips 2000 --stills 2000 --out runs/synthetic"

    out: Path
    """Folder to write clips/, stills/ and synthetic.json into; a run that was interrupted continues there."""
    clips: int = option(0, at_least=0, at_most=10**7)
    """Number of clips, each of a scene of its own."""
    stills: int = option(0, at_least=0, at_most=10**7)
    """Number of still images, each of a scene of its own."""
    photographs: Path | None = option(None, must_hold=check_data)
    """Folder, CSV or tar shards of images, which need not be square: every second clip and still is then a film of one
    of them, taken by a camera that moves."""
    size: int = option(64, at_least=MIN_SIZE, at_most=2048)
    """Side of the square images in pixels, even."""
    frames: int = option(16, at_least=1, at_most=10_000)
    """Frames per clip."""
    fps: float = option(8.0, at_least=0.001, at_most=1000)
    """Frames per second of the clips."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of all of them: same seed, same pixels."""

    def check(self) -> None:
        """Check that there is something to make.

        Raises:
            ValueError: there is nothing, or the size is odd.
        """
        if self.clips == 0 and self.stills == 0:
            raise ValueError("nothing to make: --clips 0 and --stills 0; ask for one or more of either")
        if self.size % 2:
            raise ValueError(f"--size {self.size} must be even")


@dataclass(frozen=True)
class InspectOptions(Options):
    """Say what of a data set training will use, what it will not and why, and draw a contact sheet."""

    command = "data inspect"
    example = "secondsight data inspect VIDEOS --out runs/inspect"

    path: Path = field(metadata=about(positional=True, must_hold=check_data))
    """Folder of videos or images, one file, a CSV of path,start,end[,group], prepared shards, or a pattern of tar
    shards such as 'shards-{0000..0003}.tar'."""
    out: Path
    """Folder for files.csv, skipped.csv, near_duplicates.csv and contact_sheet.png."""
    group_by: str | None = None
    """What the split keeps together, if not each file: a column of the CSV, or a regular expression that finds the
    group in a path, such as '^(.+?)/' for its first folder."""
    frames: int = option(1, at_least=1, at_most=10**6)
    """Frames of the clips that training will cut out of videos; 1 for still images."""
    fps: float = option(8.0, at_least=0.001, at_most=1000)
    """Frames per second of these clips."""


@dataclass(frozen=True)
class PrepareOptions(Options):
    """Decode videos once into shards of small images, from which clips are read many times as fast."""

    command = "data prepare"
    begun_with = ("plan.json",)
    example = "secondsight data prepare VIDEOS --out SHARDS --size 160 --fps 8"

    path: Path = field(metadata=about(positional=True, must_hold=check_data))
    """Folder of videos, one video, a CSV of path,start,end[,group], or a pattern of tar shards."""
    out: Path = field(metadata=about(identity="none"))
    """Folder of the shards, which every command takes as --data or --videos."""
    size: int = option(160, at_least=1, at_most=16_384)
    """Pixels of the short side; clips can be cut at this size or smaller ones. A smaller video keeps its own size."""
    fps: float = option(8.0, at_least=0.001, at_most=1000)
    """Frames per second; clips can have as many, or a half, a third and so on."""
    format: Literal["jpeg", "png"] = "jpeg"
    """png loses nothing: clips of --size pixels are then the same as from the videos. jpeg takes a fifth of the room.
    """
    quality: int = option(95, at_least=1, at_most=100)
    """Quality of JPEG images."""
    group_by: str | None = None
    """What the split keeps together, if not each video: a column of the CSV, or a regular expression that finds the
    group in a path."""
    workers: int | None = option(None, at_least=0, at_most=512, identity="none")
    """Processes that decode, by default as many as there are cores; 0 decodes in this process, where nothing can stop a
    video on which the decoder hangs."""
    timeout: float = option(1800.0, above=0, at_most=10**6, identity="none")
    """Seconds after which a worker's work on a shard is given up; after a second attempt its frames are left out."""
    resume: Literal["no", "auto"] = option("no", identity="none")
    """`auto` continues the preparation in --out, or starts it."""
    overwrite: bool = option(False, identity="none")
    """Replace the shards that --out holds."""


@dataclass(frozen=True)
class SubsetOptions(Options):
    """Write a part of a token store, to train the same model on fewer items."""

    command = "data subset"
    example = "secondsight data subset --tokens runs/tokens --items 64 --out runs/tokens_64"

    tokens: Path = field(metadata=about(must_hold=check_tokens))
    """The token store."""
    out: Path
    """Folder of the new token store: some of the training items, and all validation items that are not excluded."""
    items: int | None = option(None, at_least=1, at_most=MANY)
    """Training items of it, by default all that are not excluded; an item counts once with all its crops. A smaller
    subset is a part of every larger one."""
    exclusion: ExclusionOptions = NO_EXCLUSION

    def check(self) -> None:
        """Check that the subset is smaller than the store.

        Raises:
            ValueError: nothing says what it lacks.
        """
        if self.items is None and self.exclusion.exclude is None:
            raise ValueError("a subset of all items is the store itself: give --items, or --exclude, or both")


@dataclass(frozen=True)
class StimuliOptions(Options):
    """Make a list for `memory run` from images as their authors distribute them, unpacked."""

    command = "data stimuli"
    example = "secondsight data stimuli --kind brady --source OBJECTSALL Exemplar State --out runs/brady"

    kind: Literal["brady", "konkle", "scenes"]
    """What is in --source. brady: folders with `objects`, `exemplar` and `state` in their names, for single objects and
    for pairs such as cup1.jpg and cup2.jpg. konkle and scenes: a folder for each category."""
    source: tuple[Path, ...] = field(metadata=about(must_hold=check_folder))
    """Folders of images, or folders that hold these folders. With konkle and scenes, a folder of single objects may
    be given too: novel trials are then made of those instead of categories."""
    out: Path
    """Folder of the new list: study/, test/ and stimuli.json, which says where each image comes from."""
    trials: int | None = option(None, at_least=1, at_most=10**6)
    """Trials of each condition; if not given, as many as the images allow up to the published numbers (brady 100,
    else 40)."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of the draw of trials, and of which image of each is studied."""

    def check(self) -> None:
        """Check that there is a source.

        Raises:
            ValueError: there is none.
        """
        if not self.source:
            raise ValueError("--source needs at least one folder")
