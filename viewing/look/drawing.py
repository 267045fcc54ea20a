"""Decoding the items of a page and writing what it shows of them: films, sheets of thumbnails, and tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from data.clips import as_clip, stack_levels
from data.errors import MediaError
from data.sources import Skipped
from data.workers import Workers
from storage.files import atomic_write
from storage.lock import FolderLock
from training.parallel import cores
from training.processes import best_device
from training.progress import Progress
from viewing.look.contents import film_name
from viewing.look.examining import Examined, Look, batches_of_looks, examine, examine_levels
from viewing.look.material import Material, Shown
from viewing.look.options import LookOptions
from viewing.look.sprites import Sheets

CHECKED = 256
"""Items after which it is looked at whether the folder is still held."""


@dataclass
class Drawn:
    """What was drawn of the items of a page, in its order."""

    shown: list[Shown] = field(default_factory=list)
    """Those that could be read."""
    examined: list[Examined] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    """Those that could not."""
    sheets: tuple[str, ...] = ()
    tokens: NDArray[np.uint32] | None = None
    """(N, t, h, w), where the items have tokens."""
    imagined: int = 0
    """Items drawn from their tokens, because their films are not at hand."""


def draw(options: LookOptions, material: Material, lock: FolderLock) -> Drawn:
    """Read all items, and write their films and thumbnails into `options.out`.

    Raises:
        MediaError: none can be read.
    """
    drawn = Drawn()
    sheets = Sheets(options.out, options.size)
    grids: list[NDArray[np.uint32]] = []
    with Progress("Looking", len(material.shown)) as progress:
        for done, (shown, examined) in enumerate(_with_tokens(options, material, grids), start=1):
            if isinstance(examined, MediaError):
                drawn.skipped.append(_skip(shown, examined))
            else:
                _keep(drawn, shown, examined, options.out)
                sheets.add(examined.thumbnail)
            if done % CHECKED == 0:
                lock.check()
            progress.show(done)
    if not drawn.shown:
        raise MediaError(f"none of {len(material.shown)} items can be read; the first: {drawn.skipped[0].reason}")
    drawn.sheets = sheets.finish()
    drawn.imagined = sum(one.item is None for one in drawn.shown)
    drawn.tokens = _tokens(material, drawn.shown, grids)
    return drawn


def _keep(drawn: Drawn, shown: Shown, examined: Examined, out: Path) -> None:
    if examined.film:
        atomic_write(out / film_name(len(drawn.shown)), lambda file: file.write(examined.film))
    drawn.shown.append(shown)
    drawn.examined.append(replace(examined, film=b"", thumbnail=examined.thumbnail[:0], levels=None))


def _skip(shown: Shown, error: MediaError) -> Skipped:
    if shown.item is None:
        return Skipped(shown.name, str(error))
    return shown.item.source.skip(error)


def _tokens(material: Material, shown: Sequence[Shown], grids: list[NDArray[np.uint32]]) -> NDArray[np.uint32] | None:
    """Return the tokens (N, t, h, w) of the items on the page: those of the store, or those that were encoded."""
    if material.store is not None:
        rows = material.store.read_stored([one.stored for one in shown if one.stored is not None])
        return rows.astype(np.uint32).reshape(-1, *material.store.metadata.grid)
    return np.concatenate(grids) if grids else None


Seen = tuple[Shown, Examined | MediaError]


def _with_tokens(options: LookOptions, material: Material, grids: list[NDArray[np.uint32]]) -> Iterator[Seen]:
    """Yield what is seen of items, a batch at a time where they are encoded; their tokens go to `grids`."""
    seen = _seen(options, material)
    if material.tokenizer is None or material.store is not None:
        yield from seen
        return
    tokenizer = material.tokenizer.to(best_device())
    while batch := list(islice(seen, options.batch)):
        levels = [one.levels for _, one in batch if isinstance(one, Examined) and one.levels is not None]
        if levels:
            with torch.no_grad():
                tokens = tokenizer.encode(
                    as_clip(stack_levels([torch.from_numpy(one) for one in levels])).to(best_device())
                )
            grids.append(tokens.cpu().numpy().astype(np.uint32))
        yield from batch


def _seen(options: LookOptions, material: Material) -> Iterator[Seen]:
    """Yield what is seen of items, in order; of those without a film, what the tokenizer makes of their tokens."""
    keep = material.tokenizer is not None and material.store is None
    looks = [Look(one.item, material.form, options.size, keep) for one in material.shown if one.item is not None]
    number = cores() if options.workers is None else options.workers
    with Workers(examine, min(number, len(looks)), options.timeout) as workers:
        answers = workers.map(batches_of_looks(looks))
        for one in material.shown:
            yield one, (next(answers) if one.item is not None else _imagine(material, one, options.size))


def _imagine(material: Material, shown: Shown, side: int) -> Examined | MediaError:
    """Return what is seen of an item as the tokenizer makes it of its tokens."""
    store = material.store
    assert store is not None
    assert shown.stored is not None
    if material.tokenizer is None:
        return MediaError("its film is not where it was encoded: give it with --data, or the --tokenizer")
    tokenizer = material.tokenizer.to(best_device())
    grid = store.read([shown.stored]).reshape(1, *store.metadata.grid).to(best_device())
    with torch.no_grad():
        clip = tokenizer.decode_frames(grid, store.metadata.frames)[0].cpu()
    return examine_levels(clip, side)
