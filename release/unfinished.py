"""A folder that appears whole or not at all: it is made beside its place, and moved there when it is finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.files import to_json, write_text
from storage.lock import FolderLock

MARK = "publish.json"
"""The file that says whose an unfinished folder is."""
_LOCK = "writing.lock"


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
        with FolderLock(work, _LOCK):
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
    names = {path.name for path in work.glob("*")}
    if MARK not in names and names - {_LOCK, f"{MARK}.tmp"}:
        raise FileExistsError(f"{work} holds what no `secondsight publish` put there: move it elsewhere")
