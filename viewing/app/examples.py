"""What can be continued in the app: items of the input, clips of the playroom, uploads, and nothing at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from data.clip_format import ClipFormat
from data.drawing import save_image
from data.errors import MediaError
from data.images import clip_to_image
from data.options import MIN_SIZE
from data.playroom.make import render_clip
from data.sources import Skipped
from data.video_writing import write_video
from sampling.items import CompletionItem, choose_items, read_clips
from sampling.options import PromptKind
from storage.terminal import visible
from viewing.app.models import Pair
from viewing.app.uploads import read_upload

PLAYROOM_CLIPS = 6
"""Clips of the playroom that are made where no input is given."""
LARGEST_PLAYROOM = 128
"""Pixels a side of these clips, at most: they are enlarged for models of larger ones."""


@dataclass(frozen=True)
class Example:
    """Something to continue, and how `complete` is asked for the same."""

    item: CompletionItem
    inputs: tuple[Path, ...]
    """What `--input` names; none where nothing is given."""
    items: int
    """What `--items` says."""
    file: Path | None = None
    """The file that goes along with what is saved, as nobody else has it."""

    @property
    def name(self) -> str:
        """What people read."""
        return visible(self.item.name) if self.item.found else "nothing: imagined from the start"

    def is_clip(self, form: ClipFormat) -> bool:
        """Whether it is more than a still image for models of clips of a form."""
        return self.item.found is not None and self.item.found.source.kind == "video" and form.frames > 1

    def read(self, form: ClipFormat) -> Tensor | None:
        """Return its clip (1, 3, T, H, W) in [-1, 1]; None where nothing is given.

        Raises:
            MediaError: it cannot be read any more.
        """
        unread: list[Skipped] = []
        _, clips = read_clips([self.item], form, unread)
        if unread:
            raise MediaError(f"cannot read {visible(unread[0].file)}: {visible(unread[0].reason)}")
        return clips


NOTHING = Example(CompletionItem(0, None), (), 1)


def prompt_kinds(example: Example, form: ClipFormat) -> tuple[PromptKind, ...]:
    """Return what can be given of an example to models of clips of a form; the first is what people mostly want."""
    if example.item.found is None:
        return ("none",)
    if example.is_clip(form):
        return ("frames", "left", "first-frame")
    return ("rows", "left", "first-frame") if form.frames > 1 else ("rows", "left")


def find_examples(inputs: Sequence[Path], count: int, form: ClipFormat) -> tuple[list[Example], list[Skipped]]:
    """Return the items that `complete` takes of an input, and the files that cannot be used.

    Raises:
        MediaError: there is nothing usable.
    """
    items, skipped = choose_items(inputs, form, count)
    return [Example(item, tuple(inputs), count) for item in items], skipped


def make_examples(folder: Path, form: ClipFormat, count: int = PLAYROOM_CLIPS) -> list[Example]:
    """Render walks through rooms of the playroom into a folder, in the form that models take; of stills one frame.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = max(MIN_SIZE, min(LARGEST_PLAYROOM, form.size // 2 * 2))
    made = []
    for index in range(count):
        clip = render_clip(0, index, size, form.frames, form.fps)
        path = folder / f"room_{index + 1}{'.mp4' if form.frames > 1 else '.png'}"
        if form.frames > 1:
            write_video(path, clip, form.fps, full_colour=True)
        else:
            save_image(path, clip_to_image(clip))
        made.append(example_of_file(path, form))
    return made


def example_of_file(path: Path, form: ClipFormat) -> Example:
    """Return the first item of a file.

    Raises:
        MediaError: it cannot be used.
    """
    (item,), _ = choose_items([path], form, 1)
    return Example(item, (Path("input") / path.name,), 1, file=path)


def keep_upload(uploaded: Path, pair: Pair, folder: Path) -> Example:
    """Check an upload, remove it, and keep a copy of it under a name of our own.

    Args:
        uploaded: the file, with a name that others chose.
        pair: the models that are to continue it.
        folder: new, of whoever uploaded it, and of nobody else.

    Raises:
        UploadError: it cannot be used.
    """
    folder.mkdir(parents=True)
    kept = folder / f"upload{uploaded.suffix.lower()}"
    shutil.copyfile(uploaded, kept)
    try:
        read_upload(uploaded, pair)
        return example_of_file(kept, pair.clip_format)
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
