"""One training to a run folder: the first of its processes holds the lock for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.lock import FolderLock
from training.processes import on_first_process, process_index


class RunLock:
    """What the processes of a run know of the lock that the first of them holds; they call everything together."""

    def __init__(self, lock: FolderLock) -> None:
        self._lock = lock

    def check(self) -> None:
        """Make sure that the run folder is still held, before something is written there.

        Raises:
            FolderLockError: it was taken by another process, or the lock was removed.
        """
        on_first_process(self._lock.check)

    def check_here(self) -> None:
        """Do the same on the first process, without a word to the others: what is called there alone, or in a thread.

        Raises:
            FolderLockError: see `check`.
        """
        self._lock.check()

    def say_ending(self) -> None:
        """Let a start that waits for the folder know that this run ends as soon as it has saved."""
        on_first_process(self._lock.say_ending)


@contextmanager
def sole_writer(out: Path, wait: bool) -> Iterator[RunLock]:
    """Hold a run folder for the processes that were launched together.

    Args:
        out: the run folder; it is made, and gone again if nothing was written into it.
        wait: whether to wait for an owner that seems to be dying: see `storage.lock.FolderLock`.

    Raises:
        FolderLockError: another process holds it.
    """
    lock = FolderLock(out, wait=wait)
    on_first_process(lock.acquire)
    try:
        yield RunLock(lock)
    finally:
        if process_index() == 0:
            lock.release()
