"""A folder for one command: held while it writes, and gone again where nothing was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.lock import FolderLock


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; a start that fails before it writes leaves no folder that was not there before.

    Raises:
        FolderLockError: another process is writing into it.
    """
    was_there = folder.exists()
    try:
        with FolderLock(folder):
            yield
    finally:
        if not was_there:
            with suppress(OSError):  # something was written
                folder.rmdir()
