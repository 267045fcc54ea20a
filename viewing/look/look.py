"""`secondsight data look`: a folder with a page to look through data, which needs nothing but a browser.

index.html         the page; written last, so that a folder without it holds none
sprites/00000.jpg  thumbnails, `CHUNK` in each
films/000000.jpg   the frames of a clip side by side
tokens/00000.js    tokens of items, and in surprise/ the bits of each, loaded when they are looked at
items.csv, duplicates.csv, skipped.csv, look.json, config.json, environment.json
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.items import describe_items
from data.near_duplicates import NEAR
from data.same import record_items, record_tokens
from data.skipping import describe_skipped, write_skipped
from data.sources import Skipped
from sampling.pages import facts_of, named
from storage.files import to_json, write_text
from storage.lock import FolderLock
from storage.run_folder import RunFolderError, open_run, recorded_command
from storage.tables import write_rows
from training.progress import count, say_done, say_found
from viewing.look.codes import count_codes
from viewing.look.columns import numbers_of, words_of
from viewing.look.contents import CHUNK, Contents, Tokens, write_chunk
from viewing.look.defects import find_defects
from viewing.look.drawing import Drawn, draw
from viewing.look.duplicates import Hashed, group_duplicates
from viewing.look.material import LookError, Material, find_material
from viewing.look.options import LookOptions
from viewing.look.page import write_page
from viewing.look.surprise import Scorer, check_scorers, find_scorers, measure_surprise
from viewing.look.tables import DuplicateRow, LookRow, duplicate_rows, item_rows
from viewing.look.tagging import describe_lost, read_given

FOLDERS = ("sprites", "films", "tokens", "surprise")
FILES = ("items.csv", "duplicates.csv", "skipped.csv", "look.json", "config.json", "environment.json")
"""What a page has beside index.html."""

PAGE = "index.html"


def look(options: LookOptions) -> Path:
    """Write a page of the items that the options name, and return its path.

    Raises:
        LookError, MediaError, TokenStoreError, CheckpointError: there is nothing to look at, or models do not fit.
        RunFolderError: `out` holds something else, or a page and `overwrite` is not set.
        TagError: the table of tags cannot be used.
        FolderLockError: another process is writing into `out`.
    """
    out = options.out
    _check_apart(options)
    with FolderLock(out) as lock, TemporaryDirectory(prefix="secondsight-look-") as cache:
        _check_folder(out, options.overwrite)
        material = find_material(options, Path(cache))
        scorers = _scorers(options, material)
        _say(material)
        _discard(out)
        open_run(out, options, begun=False)
        drawn = draw(options, material, lock)
        contents, skipped = _contents(options, material, drawn, scorers)
        lock.check()
        _write(out, material, scorers, contents, skipped)
    _say_result(contents, skipped)
    say_done(out / PAGE, "open it in a browser")
    return out / PAGE


def _check_apart(options: LookOptions) -> None:
    """Refuse a page inside the folder that is looked at, where its pictures would be data the next time.

    Raises:
        LookError: it would be.
    """
    path = options.path
    if path.is_dir() and recorded_command(path) is None and options.out.resolve().is_relative_to(path.resolve()):
        raise LookError(
            f"--out {options.out} lies in {path}, where the pictures of the page would be found as data: choose another"
        )


def _check_folder(out: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something else than a page, or a page that is not to be replaced.

    Raises:
        RunFolderError: it does.
    """
    ours = recorded_command(out) == LookOptions.command
    if ours and (out / PAGE).exists() and not overwrite:
        raise RunFolderError(f"{out} already holds a page: replace it with --overwrite, or choose another --out")
    others = [path.name for path in out.iterdir() if not path.name.startswith("writing.lock")]
    if others and not ours:
        raise RunFolderError(f"{out} holds other files, such as {min(others)}: choose a folder that is empty (--out)")


def _discard(out: Path) -> None:
    """Remove a page, and what is left of one that was not finished."""
    for name in (PAGE, *FILES):
        (out / name).unlink(missing_ok=True)
    for name in FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)


def _scorers(options: LookOptions, material: Material) -> list[Scorer]:
    """Return the GPTs that score the items: those given, or that of the run that is looked at.

    Raises:
        CheckpointError, MismatchError: see `check_scorers`.
    """
    if not options.gpt:
        return []
    scorers = find_scorers(options.gpt)
    grid, vocabulary, tokenizer = _vocabulary(material)
    check_scorers(scorers, grid, vocabulary, tokenizer)
    return scorers


def _vocabulary(material: Material) -> tuple[tuple[int, int, int], int, str]:
    """Return the grid of the items' tokens, the number of codes, and the fingerprint of the tokenizer."""
    if material.store is not None:
        metadata = material.store.metadata
        return metadata.grid, metadata.vocab_size, metadata.tokenizer
    tokenizer = material.tokenizer
    assert tokenizer is not None
    videos = any(one.item is not None and one.item.source.kind == "video" for one in material.shown)
    frames = tokenizer.frames if videos else 1
    return tokenizer.grid(frames, tokenizer.size, tokenizer.size), tokenizer.vocab_size, tokenizer.fingerprint


def _say(material: Material) -> None:
    items = [one.item for one in material.shown if one.item is not None]
    say_found(
        data=describe_items(items) if items else f"{count(len(material.shown), 'item')} of {material.data}",
        clips=f"{material.form.frames} frames, {material.form.fps:g} a second",
        skipped=describe_skipped(material.skipped),
    )


def _contents(
    options: LookOptions, material: Material, drawn: Drawn, scorers: Sequence[Scorer]
) -> tuple[Contents, list[Skipped]]:
    """Return what the page holds, and everything that is not on it, with the reasons; write tokens and surprise."""
    form = material.form
    tags, lost = read_given(options.tags, drawn.shown, form.seconds, 1 / form.fps)
    skipped = [*material.skipped, *drawn.skipped, *lost]
    notes = [*material.notes, *_notes_of(drawn), *describe_lost(options.tags, lost)]
    splits = [one.split for one in drawn.shown]
    contents = Contents(
        title=f"A look at {material.data.name or material.data}",
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
        tags=tags,
        skipped=tuple((skip.file, skip.reason) for skip in skipped),
        notes=tuple(notes),
    )
    if drawn.tokens is None:
        return contents, skipped
    _, vocabulary, _ = _vocabulary(material)
    contents = replace(
        contents,
        tokens=_write_tokens(options.out, drawn.tokens, vocabulary, form.frames),
        codes=count_codes(drawn.tokens, vocabulary),
    )
    if scorers:
        found = measure_surprise(options.out, drawn.tokens, scorers, splits, options.batch)
        numbers = (*contents.numbers, *found.numbers)
        contents = replace(contents, surprise=found.surprise, checkpoints=found.checkpoints, numbers=numbers)
    return contents, skipped


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
    tokenizer = _vocabulary(material)[2] if drawn.tokens is not None else ""
    facts = facts_of(
        options,
        data=str(material.data),
        run=str(material.run or ""),
        items=count(len(drawn.shown), "item"),
        clips=f"{form.frames} frames, {form.fps:g} a second" if form.frames > 1 else "still images",
        tokenizer=tokenizer,
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


def _write(
    out: Path, material: Material, scorers: Sequence[Scorer], contents: Contents, skipped: Sequence[Skipped]
) -> None:
    """Write the tables, the record, and at last the page."""
    write_rows(out / "items.csv", item_rows(contents), LookRow)
    write_rows(out / "duplicates.csv", duplicate_rows(contents), DuplicateRow)
    write_skipped(out / "skipped.csv", skipped)
    write_text(out / "look.json", to_json(_record(material, scorers, contents)))
    write_page(out, contents)


def _record(material: Material, scorers: Sequence[Scorer], contents: Contents) -> dict[str, Any]:
    """Return what was looked at, by which it is known again, and what was found."""
    items = [one.item for one in material.shown if one.item is not None]
    data = record_tokens(material.store) if material.store is not None else record_items(items)
    return {
        "data": data,
        "items": len(contents.names),
        "skipped": len(contents.skipped),
        "frames": material.form.frames,
        "fps": material.form.fps,
        "size": contents.side,
        "tokenizer": None if contents.tokens is None else _vocabulary(material)[2],
        "gpts": [scorer.label for scorer in scorers],
        "defects": {flag.key: len(flag.items) for flag in contents.flags},
        "duplicates": {
            "bits": NEAR,
            "groups": len(contents.duplicates),
            "leaks": sum(group.leak for group in contents.duplicates),
        },
    }


def _say_result(contents: Contents, skipped: Sequence[Skipped]) -> None:
    leaks = sum(group.leak for group in contents.duplicates)
    print(f"{count(len(contents.names), 'item')}, {count(len(skipped), 'file')} skipped (see skipped.csv)")
    defects = ", ".join(f"{len(flag.items):,} {flag.label}" for flag in contents.flags)
    print(f"defects          {defects}")
    across = f", {leaks:,} of them across training and validation" if leaks else ""
    print(f"near duplicates  {count(len(contents.duplicates), 'group')}{across}")
