"""A folder for one command: held while it writes, and gone again where nothing was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from storage.lock import FolderLock


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; a start that fails before it writes leaves no folder that was not there before.

    Raises:
        FolderLockError: another process is writing into it.
        OSError: it cannot be written.
    """
    with ExitStack() as held:
        try:
            if not folder.exists():
                held.callback(lambda: _remove_if_empty(folder))  # after the lock was given back
            held.enter_context(FolderLock(folder))
        except OSError as error:
            raise OSError(f"--out {folder} cannot be written: {error.strerror}") from error
        yield


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # something was written
        folder.rmdir()
