"""What a GPT was trained on: steps and hours of film, as far as the run that it lies in tells for certain.

Of a model folder outside its run nothing is known. Nor is it known of a GPT that began from another one (`--init`) what
film that one saw, nor of a run whose token store is gone, or another by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.errors import TokenStoreError
from data.same import read_record, record_tokens
from data.tokens import TokenStore
from gpt.model import GPT
from gpt.options import LatentFrames, TrainOptions
from gpt.training_tokens import open_tokens
from storage.checked_files import DamageError
from storage.model_paths import find_of_kind
from storage.places import is_checkpoint, list_checkpoints
from storage.run_folder import RunFolderError, read_options
from storage.tensor_parts import whole_digest
from training.order import epoch_order

HOUR = 3600
"""Seconds."""


class TrainedOn(NamedTuple):
    """What is known of the training of a GPT."""

    step: int | None = None
    """Optimizer steps."""
    film_hours: float | None = None
    """Hours of film, each counted once."""
    seen_hours: float | None = None
    """Hours of film that it saw, repeats counted."""
    latent_frames: LatentFrames | None = None
    """How it saw the latent frames of a clip."""


def trained_on(gpts: Sequence[Path]) -> list[TrainedOn]:
    """Return what is known of the training of each of some GPTs.

    Args:
        gpts: model folders, runs, checkpoints, or names of the hub. Of several of one run its data are read once.

    Raises:
        CheckpointError: there is no such GPT.
    """
    runs: dict[Path, _Run | None] = {}
    known = []
    for gpt in gpts:
        folder = find_of_kind(gpt, GPT.kind)
        place = _run_folder(folder)
        if place is None:
            known.append(TrainedOn())
            continue
        if place not in runs:
            runs[place] = _read_run(place)
        run = runs[place]
        known.append(TrainedOn(step=_step_of(folder)) if run is None else run.until(_step_of(folder)))
    return known


def covered_seconds(sources: Sequence[str], starts: NDArray[np.float64], seconds: float) -> float:
    """Return how much of some videos stretches of equal length cover, in seconds; what several cover counts once.

    Args:
        sources: the video of each stretch.
        starts: (I,) seconds into it at which the stretch begins.
        seconds: how long each is.
    """
    if not len(starts):
        return 0.0
    numbers = np.unique(np.asarray(sources), return_inverse=True)[1]
    order = np.lexsort((starts, numbers))
    same = np.diff(numbers[order]) == 0
    steps = np.where(same, np.diff(starts[order]), seconds)
    return float(np.minimum(steps, seconds).sum() + seconds)


@dataclass(frozen=True)
class _Run:
    """A training, and the data that it had."""

    options: TrainOptions
    store: TokenStore | None
    """None where it is gone, or is another by now."""

    def until(self, step: int | None) -> TrainedOn:
        """Return what a GPT of this run learned from up to a step."""
        known = TrainedOn(step=step, latent_frames=self.options.latent_frames)
        seconds = self._seconds
        if step is None or seconds is None or self.options.beginning.init is not None:
            return known
        seen = step * self.options.training.batch
        return known._replace(film_hours=self._film(seen, seconds) / HOUR, seen_hours=seen * seconds / HOUR)

    @property
    def _seconds(self) -> float | None:
        """How long an item is; None where that is not known, and for stills, which last no time."""
        if self.store is None or self.store.clips.frames == 1:
            return None
        clips = self.store.clips
        parts = clips.grid[0] if self.options.latent_frames == "single" else 1
        return clips.frames / clips.fps / parts

    @cached_property
    def _items(self) -> tuple[list[str], NDArray[np.float64]]:
        """The video and the start of every training item, in the order of the first epoch."""
        assert self.store is not None
        items = self.store.split("train")
        order = epoch_order(len(items), self.options.training.seed, 0).tolist()
        listed = [self.store.items[items[index]] for index in order]
        return [item.source for item in listed], np.array([item.start for item in listed])

    def _film(self, seen: int, seconds: float) -> float:
        sources, starts = self._items
        return covered_seconds(sources[:seen], starts[:seen], seconds)


def _run_folder(folder: Path) -> Path | None:
    """Return the run that a model folder lies in; None if it lies in none."""
    if is_checkpoint(folder):
        return folder.parent.parent
    return folder.parent if folder.name == "final" else None


def _step_of(folder: Path) -> int | None:
    """Return the steps after which a model folder of a run was written.

    The final model is that of a checkpoint with the same weights: a run that goes on to more steps has an old one.
    """
    if is_checkpoint(folder):
        return int(folder.name)
    final = _digest_of(folder)
    same = [path for path in list_checkpoints(folder.parent) if final is not None and _digest_of(path) == final]
    return int(same[-1].name) if same else None


def _digest_of(folder: Path) -> str | None:
    try:
        return whole_digest(folder / "model.safetensors")
    except (DamageError, OSError):
        return None


def _read_run(folder: Path) -> _Run | None:
    """Return the training in a folder; None if there is none that can be read."""
    try:
        options = read_options(folder, TrainOptions)
    except RunFolderError:
        return None
    return _Run(options, _store_of(folder, options))


def _store_of(run: Path, options: TrainOptions) -> TokenStore | None:
    """Return the token store that a run learned from, if it is still where it was, and the same."""
    try:
        store = open_tokens(options.tokens, options.latent_frames)
        return store if record_tokens(store) == read_record(run) else None
    except (OSError, TokenStoreError, RunFolderError, ValueError):
        return None
