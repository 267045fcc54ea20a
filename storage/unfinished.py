"""Folders that are made beside their place, or in it, and moved there when they are finished."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.files import is_leftover, temporary_path, to_json, write_text
from storage.hub_names import TOKENIZER
from storage.lock import LOCK, FolderLock

MARK = "command.json"
"""The file that says whose an unfinished folder is."""
MODEL = ("config.json", "model.safetensors")
"""Files of a model, in the order in which they are moved."""
MODEL_WITH_TOKENIZER = (*(f"{TOKENIZER}/{name}" for name in MODEL), *MODEL)
"""Files of a GPT that brings its tokenizer along, in the order in which they are moved."""


@contextmanager
def replacing(out: Path, command: str) -> Iterator[Path]:
    """Give a new folder to be filled, which takes the place of `out` when all went well.

    It lies in `.NAME.unfinished` beside `out`, marked by the command. What a process that was killed left there is
    removed, and an `out` that it had set aside is put back.

    Args:
        out: where the folder is to stand; what is there is kept until then, and then removed.
        command: that makes it.

    Raises:
        FileExistsError: the unfinished folder is somebody else's.
        FolderLockError: another process is making it.
    """
    place = out.resolve()
    work = place.with_name(f".{place.name}.unfinished")
    _check_own(work)
    try:
        with FolderLock(work):
            write_text(work / MARK, to_json({"command": command}))
            _clear(work, place)
            try:
                (work / "new").mkdir()
                yield work / "new"
                if place.exists():
                    place.rename(work / "before")
                (work / "new").rename(place)
            finally:
                _clear(work, place)
                (work / MARK).unlink(missing_ok=True)
    finally:
        with suppress(OSError):
            work.rmdir()


@contextmanager
def adding(out: Path, names: Sequence[str] = MODEL) -> Iterator[Path]:
    """Give a new folder to be filled with a model, whose files then go into `out`, beside what else is there.

    They go one by one, its weights last. A process that was killed may have moved some
    already: they are the same as those that are moved now.

    Args:
        out: folder that this process holds (`storage.lock`), without a whole model (`check_no_model`).
        names: of all files that it could have, in the order in which they are moved.

    Raises:
        FileExistsError: `out` has one of the files with another content; nothing is moved then.
    """
    new = temporary_path(out / "new")
    new.mkdir()
    try:
        yield new
        for name in names:
            if (out / name).exists() and not _same(out / name, new / name):
                raise _already_holds(out, name)
        for name in names:
            if (new / name).exists():
                (out / name).parent.mkdir(exist_ok=True)
                os.replace(new / name, out / name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check_no_model(out: Path) -> None:
    """Check that a folder holds no whole model.

    Raises:
        FileExistsError: it does.
    """
    if (out / MODEL[-1]).exists():
        raise _already_holds(out, MODEL[-1])


def _already_holds(out: Path, name: str) -> FileExistsError:
    return FileExistsError(f"--out {out} already holds a {Path(name).name}: choose another folder or remove it")


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def _clear(work: Path, place: Path) -> None:
    """Put back what was set aside if nothing took its place, and remove the rest."""
    if (work / "before").exists() and not place.exists():
        (work / "before").rename(place)
    for name in ("new", "before"):
        if (work / name).exists():
            shutil.rmtree(work / name)


def _check_own(work: Path) -> None:
    """Refuse a folder in which `replacing` did not begin.

    Raises:
        FileExistsError: it is one.
    """
    if work.is_symlink() or (work.exists() and not work.is_dir()):
        raise FileExistsError(f"{work} is in the way of an unfinished folder: remove it")
    names = {path.name for path in work.glob("*") if not is_leftover(path.name)}
    if MARK not in names and names - {LOCK, f"{LOCK}.guard"}:
        raise FileExistsError(f"{work} holds what no `secondsight` command put there: move it elsewhere")
