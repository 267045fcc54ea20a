"""What `data look` can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from data.errors import MediaError
from data.inputs import check_data, check_tokens, is_there
from storage.model_paths import check_gpt, check_model
from storage.options import Options, about, option
from storage.run_folder import recorded_command

LONGEST_STRIP = 65_500
"""Pixels of the longer side of a JPEG, at most."""

TRAININGS = ("gpt train", "vqgan train")
"""Commands whose run folders are looked at as what they were trained on."""


def is_store(path: Path) -> bool:
    """Whether there is a token store at a path, which may also be a pattern, longer than names of files can be."""
    return is_there(path / "items.jsonl", stat.S_ISREG)


def check_lookable(path: Path) -> None:
    """Refuse a path that names neither data, nor a token store, nor a run.

    Raises:
        MediaError, TokenStoreError: see `data.inputs`.
    """
    if recorded_command(path) in TRAININGS:
        return
    if is_store(path) or recorded_command(path) == "vqgan encode":
        check_tokens(path)
        return
    check_data(path)


def check_tags(path: Path) -> None:
    """Refuse a list of tags that is not there.

    Raises:
        MediaError: it is no file.
    """
    if not path.is_file():
        raise MediaError(f"--tags {path} is no file: give the CSV that a page of `secondsight data look` saved")


@dataclass(frozen=True)
class LookOptions(Options):
    """Make a page to look through a data set: thumbnails that play, measures, defects, duplicates, tokens, surprise."""

    command = "data look"
    example = "secondsight data look VIDEOS --out runs/look"

    path: Path = field(metadata=about(positional=True, must_hold=check_lookable))
    """Folder of videos or images, one file, a CSV of path,start,end[,group], prepared shards, a pattern of tar shards,
    a token store, or the run folder of `gpt train` or `vqgan train`, which shows what it was trained on."""
    out: Path = field(metadata=about(identity="none"))
    """Folder of the page, index.html, and what it shows; it must be empty or hold such a page."""
    frames: int | None = option(None, at_least=1, at_most=10_000)
    """Frames of the clips that videos are cut into, by default 16; 1 for still images. Those of the tokenizer, the
    store or the run if there is one."""
    fps: float | None = option(None, at_least=0.001, at_most=1000)
    """Frames per second of the clips, by default 8; as above."""
    size: int = option(96, at_least=16, at_most=512)
    """Pixels a side of thumbnails and films; every measure is taken at this size."""
    items: int = option(10_000, at_least=1, at_most=10**6)
    """Most clips and images on the page; of more, as many of each source as there is room for, evenly spaced."""
    group_by: str | None = None
    """What the split keeps together, if not each file: a column of a CSV, or a regular expression that finds the group
    in a path. As in the training of the tokenizer or of the store if not given."""
    data: Path | None = option(None, must_hold=check_data)
    """The videos or images of a token store or run, if they no longer lie where it was encoded."""
    tokenizer: Path | None = option(None, must_hold=check_model)
    """Tokenizer whose tokens are shown of data that have none yet, or that draws the items of a token store whose films
    are gone."""
    gpt: tuple[Path, ...] = field(default=(), metadata=about(must_hold=check_gpt))
    """GPTs whose surprise at each token is shown; of several, or of a run with checkpoints, how it fell. Needs tokens.
    """
    tags: Path | None = option(None, must_hold=check_tags)
    """Tags that people gave to items in such a page, as it saved them: a CSV of source,start,seconds,tag."""
    workers: int | None = option(None, at_least=0, at_most=512, identity="none")
    """Processes that decode, by default as many as there are cores; 0 decodes in this process, where nothing can stop a
    video on which the decoder hangs."""
    timeout: float = option(120.0, above=0, at_most=10**6, identity="none")
    """Seconds after which a worker's reading of an item is given up; after a second attempt the item is skipped."""
    batch: int = option(8, at_least=1, at_most=10**6, identity="none")
    """Clips that the models see at a time."""
    overwrite: bool = option(False, identity="none")
    """Replace the page that --out holds."""

    def check(self) -> None:
        """Check that the strip of a film's frames can be a JPEG.

        Raises:
            ValueError: it would be too long.
        """
        if self.frames is not None:
            check_strip(self.frames, self.size)


def check_strip(frames: int, size: int) -> None:
    """Refuse clips whose frames side by side are more than a JPEG can hold.

    Raises:
        ValueError: they are.
    """
    if frames * size > LONGEST_STRIP:
        raise ValueError(
            f"{frames} frames of {size} px side by side are longer than a JPEG can be ({LONGEST_STRIP} px): give a "
            f"--size of at most {LONGEST_STRIP // frames}, or fewer --frames"
        )
