"""A folder for one command, held while it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.lock import FolderLock


@contextmanager
def claim(folder: Path, wait: bool = False) -> Iterator[FolderLock]:
    """Hold a folder for this process; a start that fails before it writes leaves no folder that was not there before.

    Args:
        folder: to be written into.
        wait: whether to wait for an owner that seems to be dying: see `storage.lock.FolderLock`.

    Raises:
        FolderLockError: another process is writing into it.
        OSError: it cannot be written.
    """
    lock = FolderLock(folder, wait=wait)
    try:
        lock.acquire()
    except OSError as error:
        raise OSError(f"--out {folder} cannot be written: {error.strerror}") from error
    try:
        yield lock
    finally:
        lock.release()
