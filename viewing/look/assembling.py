"""Putting together what a page holds, from what was drawn of its items and what models say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.sources import Skipped
from data.tags import TagTable
from gpt.config import MismatchError
from gpt.options import TrainOptions
from sampling.pages import facts_of, named
from storage.model_paths import CheckpointError
from storage.run_folder import holds_training, recorded_command
from storage.terminal import count
from viewing.look.codes import count_codes
from viewing.look.columns import numbers_of, words_of
from viewing.look.contents import CHUNK, Contents, Tokens, write_chunk
from viewing.look.defects import find_defects
from viewing.look.drawing import Drawn
from viewing.look.duplicates import Hashed, group_duplicates
from viewing.look.material import Material
from viewing.look.options import LookOptions
from viewing.look.surprise import Scorer, check_scorers, find_scorers, measure_surprise
from viewing.look.tagging import describe_tags, tags_of
from viewing.look.training_curve import TrainingFound, read_training


class TokensOf(NamedTuple):
    """What the tokens of a page's items are."""

    grid: tuple[int, int, int]
    """Of an item (t, h, w)."""
    vocabulary: int
    """Number of codes."""
    tokenizer: str
    """Fingerprint."""


def tokens_of(material: Material) -> TokensOf:
    """Return what the tokens of the items are; there must be a store or a tokenizer."""
    if material.store is not None:
        metadata = material.store.metadata
        return TokensOf(metadata.grid, metadata.vocab_size, metadata.tokenizer)
    tokenizer = material.tokenizer
    assert tokenizer is not None
    videos = any(one.item is not None and one.item.source.kind == "video" for one in material.shown)
    grid = tokenizer.grid(tokenizer.frames if videos else 1, tokenizer.size, tokenizer.size)
    return TokensOf(grid, tokenizer.vocab_size, tokenizer.fingerprint)


def scorers_of(options: LookOptions, material: Material) -> tuple[list[Scorer], list[str]]:
    """Return the GPTs that score the items, those that were given or the checkpoints of the run that is looked at.

    Returns:
        Them, and a note where the run has some that cannot score its items.

    Raises:
        CheckpointError, MismatchError: see `check_scorers`; a GPT was given that cannot score the items.
    """
    if options.gpt:
        return _checked_scorers(options.gpt, material), []
    run = material.run
    if run is None or recorded_command(run) != TrainOptions.command or not holds_training(run):
        return [], []
    try:
        return _checked_scorers([run], material), []
    except (CheckpointError, MismatchError) as error:
        return [], [f"The surprise of this GPT is not shown: {error}."]


def _checked_scorers(gpts: Sequence[Path], material: Material) -> list[Scorer]:
    scorers = find_scorers(gpts)
    check_scorers(scorers, *tokens_of(material))
    return scorers


def assemble(
    options: LookOptions, material: Material, drawn: Drawn, scorers: Sequence[Scorer], tags: TagTable | None
) -> tuple[Contents, list[Skipped]]:
    """Return what the page holds, and everything that is not on it, with the reasons; write tokens and surprise.

    Raises:
        RunFolderError: the run that is looked at is damaged.
    """
    form = material.form
    given, lost = tags_of(tags, drawn.shown, form.seconds, 1 / form.fps)
    skipped = [*material.skipped, *drawn.skipped, *lost]
    notes = [*material.notes, *_notes_of(drawn), *describe_tags(tags, lost)]
    trained = _training(material, drawn, options.data)
    contents = Contents(
        title=f"A look at {_name_of(material.run or material.data)}",
        header=_header(options, material, drawn, scorers),
        side=options.size,
        fps=form.fps,
        names=tuple(one.name for one in drawn.shown),
        starts=tuple(one.start for one in drawn.shown),
        frames=tuple(one.frames for one in drawn.examined),
        sheets=drawn.sheets,
        numbers=numbers_of(drawn.examined, form.fps),
        words=words_of(drawn.shown),
        flags=find_defects(drawn.examined),
        duplicates=group_duplicates(
            [Hashed(e.hashes, s.name, s.split) for s, e in zip(drawn.shown, drawn.examined, strict=True)]
        ),
        tags=given,
        skipped=tuple((skip.file, skip.reason) for skip in skipped),
        notes=(*notes, *trained.notes),
        training=trained.training,
    )
    return _with_tokens(options, material, drawn, scorers, contents), skipped


def _with_tokens(
    options: LookOptions, material: Material, drawn: Drawn, scorers: Sequence[Scorer], contents: Contents
) -> Contents:
    """Return the same with the tokens of its items, where they have some, and the surprise of GPTs at them."""
    if drawn.tokens is None:
        return contents
    vocabulary = tokens_of(material).vocabulary
    contents = replace(
        contents,
        tokens=_write_tokens(options.out, drawn.tokens, vocabulary, material.form.frames),
        codes=count_codes(drawn.tokens, vocabulary),
    )
    if scorers:
        splits = [one.split or None for one in drawn.shown]
        found = measure_surprise(options.out, drawn.tokens, scorers, splits, options.batch)
        numbers = (*contents.numbers, *found.numbers)
        contents = replace(contents, surprise=found.surprise, checkpoints=found.checkpoints, numbers=numbers)
    return contents


def _training(material: Material, drawn: Drawn, data: Path | None) -> TrainingFound:
    """Return the curve of the run that is looked at, and what it was trained on."""
    if material.run is None:
        return TrainingFound(None, ())
    shown = drawn.shown
    return read_training(
        material.run,
        material.store,
        stored=[one.stored for one in shown],
        names=[one.name for one in shown],
        starts=[one.start for one in shown],
        data=data,
    )


def _name_of(path: Path) -> str:
    return path.name or str(path)


def _notes_of(drawn: Drawn) -> list[str]:
    notes = []
    if drawn.skipped:
        notes.append(f"{count(len(drawn.skipped), 'item')} could not be read and are listed as skipped.")
    if drawn.imagined:
        notes.append(
            f"{count(drawn.imagined, 'item')} are shown as the tokenizer makes them of their tokens, since their films "
            "are not at hand: measures and duplicates are of these pictures."
        )
    return notes


def _header(
    options: LookOptions, material: Material, drawn: Drawn, scorers: Sequence[Scorer]
) -> tuple[tuple[str, str], ...]:
    form = material.form
    facts = facts_of(
        options,
        left_out=("workers", "timeout", "batch"),
        data=str(material.data),
        run=str(material.run or ""),
        items=count(len(drawn.shown), "item"),
        clips=f"{form.frames} frames, {form.fps:g} a second" if form.frames > 1 else "still images",
        tokenizer="" if drawn.tokens is None else tokens_of(material).tokenizer,
        model=named([scorer.label for scorer in scorers]),
    )
    return tuple((fact.name, fact.value) for fact in facts)


def _write_tokens(out: Path, grids: NDArray[np.uint32], vocabulary: int, frames: int) -> Tokens:
    kind = np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)
    rows = grids.reshape(len(grids), -1).astype(kind)
    files = [
        write_chunk(out, "tokens", number, rows[first : first + CHUNK])
        for number, first in enumerate(range(0, len(rows), CHUNK))
    ]
    t, h, w = grids.shape[1:]
    return Tokens((t, h, w), vocabulary, kind.itemsize, tuple(files), max(1, frames // t))
