"""`secondsight data look`: a folder with a page to look through data, which needs nothing but a browser.

index.html         the page; written last, so that a folder without it holds none
sprites/00000.jpg  thumbnails, `CHUNK` in each
films/000000.jpg   the frames of a clip side by side
tokens/00000.js    tokens of items, and in surprise/ the bits of each, loaded when they are looked at
items.csv, duplicates.csv, skipped.csv, look.json, config.json, environment.json
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data.inputs import is_there
from data.items import describe_items
from data.near_duplicates import NEAR
from data.same import record_items, record_tokens
from data.skipping import describe_skipped, write_skipped
from data.sources import Skipped
from data.tags import read_tags
from sampling.pages import named
from storage.files import to_json, write_text
from storage.lock import LOCK, FolderLock
from storage.run_folder import RunFolderError, open_run, recorded_command
from storage.tables import write_rows
from training.progress import count, say_done, say_found
from viewing.look.assembling import assemble, scorers_of, tokens_of
from viewing.look.contents import Contents
from viewing.look.drawing import draw
from viewing.look.duplicates import NEAR_CLIPS
from viewing.look.material import LookError, Material, find_material
from viewing.look.options import LookOptions, is_store
from viewing.look.page import write_page
from viewing.look.surprise import Scorer
from viewing.look.tables import DuplicateRow, LookRow, duplicate_rows, item_rows

FOLDERS = ("sprites", "films", "tokens", "surprise")
FILES = ("items.csv", "duplicates.csv", "skipped.csv", "look.json", "environment.json", "config.json")
"""What a page has beside index.html, in the order in which it is removed: the last tells that it is one."""

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
        tags = None if options.tags is None else read_tags(options.tags)
        material = find_material(options, Path(cache))
        scorers, unscored = scorers_of(options, material)
        material = replace(material, notes=(*material.notes, *unscored))
        _say(material, scorers)
        _discard(out)
        open_run(out, options, begun=False)
        drawn = draw(options, material, lock)
        scorers, _ = scorers_of(options, material)  # a training that goes on has other checkpoints by now
        contents, skipped = assemble(options, material, drawn, scorers, tags)
        lock.check()
        _write(out, material, contents, skipped)
    _say_result(contents, skipped, with_tags=tags is not None)
    say_done(out / PAGE, "open it in a browser")
    return out / PAGE


def _check_apart(options: LookOptions) -> None:
    """Refuse a page inside the folder that is looked at, where its pictures would be data the next time.

    Raises:
        LookError: it would be.
    """
    path = options.path
    is_data = is_there(path, stat.S_ISDIR) and recorded_command(path) is None and not is_store(path)
    if is_data and options.out.resolve().is_relative_to(path.resolve()):
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
    # A start that was killed leaves environment.json alone, which is written just before what tells that it is a page.
    names = (path.name for path in out.iterdir())
    others = [name for name in names if not name.startswith(LOCK) and name != "environment.json"]
    if others and not ours:
        raise RunFolderError(f"{out} holds other files, such as {min(others)}: choose a folder that is empty (--out)")


def _discard(out: Path) -> None:
    """Remove a page, and what is left of one that was not finished."""
    (out / PAGE).unlink(missing_ok=True)
    for name in FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    for name in FILES:
        (out / name).unlink(missing_ok=True)


def _say(material: Material, scorers: Sequence[Scorer]) -> None:
    items = [one.item for one in material.shown if one.item is not None]
    form = material.form
    say_found(
        data=describe_items(items) if items else f"{count(len(material.shown), 'item')} of {material.data}",
        clips=f"{form.describe()}, {form.fps:g} a second" if form.frames > 1 else form.describe(),
        skipped=describe_skipped(material.skipped),
        **({"surprise": f"under {named([scorer.label for scorer in scorers])}"} if scorers else {}),
    )


def _write(out: Path, material: Material, contents: Contents, skipped: Sequence[Skipped]) -> None:
    """Write the tables, the record, and at last the page."""
    write_rows(out / "items.csv", item_rows(contents), LookRow)
    write_rows(out / "duplicates.csv", duplicate_rows(contents), DuplicateRow)
    write_skipped(out / "skipped.csv", skipped)
    write_text(out / "look.json", to_json(_record(material, contents)))
    write_page(out, contents)


def _record(material: Material, contents: Contents) -> dict[str, Any]:
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
        "tokenizer": None if contents.tokens is None else tokens_of(material).tokenizer,
        "gpts": _asked(contents),
        "defects": {flag.key: len(flag.items) for flag in contents.flags},
        "duplicates": {
            "bits": {"images": NEAR, "clips": NEAR_CLIPS},
            "groups": len(contents.duplicates),
            "leaks": sum(group.leak for group in contents.duplicates),
        },
    }


def _asked(contents: Contents) -> list[str]:
    """Return the GPTs whose surprise the page has, by their names for people."""
    if contents.checkpoints is not None:
        return list(contents.checkpoints.labels)
    return [] if contents.surprise is None else [contents.surprise.model]


def _say_result(contents: Contents, skipped: Sequence[Skipped], with_tags: bool) -> None:
    leaks = sum(group.leak for group in contents.duplicates)
    left_out = count(len(skipped), "file")
    if with_tags:
        left_out = f"{len(skipped):,} {'file or tag' if len(skipped) == 1 else 'files or tags'}"
    print(f"{count(len(contents.names), 'item')}, {left_out} skipped (see skipped.csv)")
    defects = ", ".join(f"{len(flag.items):,} {flag.label}" for flag in contents.flags)
    print(f"defects          {defects}")
    across = f", {leaks:,} of them across training and validation" if leaks else ""
    print(f"near duplicates  {count(len(contents.duplicates), 'group')}{across}")
