"""One writer to a folder: a lock file that names its owner and goes stale when the owner is gone.

writing.lock         JSON of one line: who holds the folder; touched now and then as a sign of life
writing.lock.guard   there for a moment while a lock is judged or removed, so that one process at a time does that

Nothing but the exclusive creation of a file is asked of the file system, which network file systems have too. Whether
an owner on another machine is silent is judged by the file server's clock alone, between the lock and a file that was
made just now beside it; clocks of machines may differ.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO

from storage.files import remove_leftovers, unwritable
from storage.lock_owner import Owner, encode_owner, read_owner, this_process

HEARTBEAT = 20.0
"""Seconds between two signs of life."""

STALE = 15 * HEARTBEAT
"""Seconds without one after which an owner on another machine is taken for dead."""

LOCK = "writing.lock"

# A guard is held for as long as it takes to read a file and to remove it. Who dies meanwhile leaves it behind.
_GUARD_STALE = 60.0


class FolderLockError(ValueError):
    """Another process is writing into the folder; the message says which, and what to do if it is not."""


class FolderLock:
    """Holds a folder for this process; a context manager.

    The lock of a process that is gone (on this machine), or silent for long (on another), is taken over. What killed
    processes left half-written in the folder is then removed (`storage.files.remove_leftovers`).

    Args:
        folder: to be written into; it is made, and removed again if nothing was written into it.
        name: of the lock file in it.
        wait: whether to wait for an owner that seems to be dying, and to say so, instead of being refused at once.
        heartbeat: seconds between two signs of life.
        stale: seconds without one after which an owner on another machine is taken for dead.
    """

    def __init__(
        self,
        folder: Path,
        name: str = LOCK,
        *,
        wait: bool = False,
        heartbeat: float = HEARTBEAT,
        stale: float = STALE,
    ) -> None:
        self.path = folder / name
        self.owner = this_process()
        """This process, as the lock names it."""
        self._wait = wait
        self._heartbeat = heartbeat
        self._stale = stale
        self._file: IO[bytes] | None = None
        self._made: list[Path] = []
        self._done = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            FolderLockError: another process holds it.
            OSError: the folder cannot be written.
        """
        try:
            waiting = _Waiting(self.path.parent, self._heartbeat, self._stale) if self._wait else None
            while not self._create():
                state = self._judge()
                if state is None:
                    continue
                if waiting is None or not waiting.goes_on(state):
                    raise FolderLockError(_refusal(self.path.parent, state.owner))
        except OSError as error:
            self._remove_made()
            raise unwritable(self.path.parent, error) from error
        except BaseException:
            self._remove_made()
            raise
        self._beating.start()
        remove_leftovers(self.path.parent)

    def release(self) -> None:
        """Give the folder free; the lock of another that took it meanwhile stays."""
        self._done.set()
        if self._beating.is_alive():
            self._beating.join(self._heartbeat)
        if self._file is not None and not self._beating.is_alive():
            self._file.close()
            self._file = None
        try:
            _remove(self.path, self.owner.id)
        except OSError:  # where the disk is full no guard can be made
            with suppress(OSError):
                _remove_unguarded(self.path, self.owner.id)
        self._remove_made()

    def check(self) -> None:
        """Make sure that this process still holds the folder: to be called before something is written there.

        Raises:
            FolderLockError: the lock was removed, or another process has taken it.
        """
        owner = read_owner(self.path)
        if owner is not None and owner.id == self.owner.id:
            return
        lost = "the lock was removed" if owner is None else f"{owner.describe()} has taken it"
        raise FolderLockError(
            f"{self.path.parent} is no longer held by this process: {lost}; nothing more is written into it"
        )

    def say_ending(self) -> None:
        """Let those who wait for the folder know that it will be free as soon as this process has saved."""
        if self._file is not None:
            # Into the file that was opened, whatever lies under its name now.
            with suppress(OSError):
                self._file.seek(0)
                self._file.write(encode_owner(replace(self.owner, ending=True)))
                self._file.flush()

    def _make_folder(self) -> None:
        folder = self.path.parent
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._made = missing or self._made

    def _remove_made(self) -> None:
        """Remove the folders that were made for the lock, as far as nothing was written into them."""
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return
        self._made = []

    def _create(self) -> bool:
        """Make the lock file in one step that fails if it is there."""
        self._make_folder()
        try:
            file = self.path.open("xb")
        except FileExistsError:
            return False
        except FileNotFoundError:
            return False  # another that came to nothing has just removed the folder
        file.write(encode_owner(self.owner))
        file.flush()
        os.fsync(file.fileno())
        self._file = file
        return True

    def _judge(self) -> _State | None:
        """Return how the owner of the lock is; None if it is gone, and the lock with it."""
        if not self.path.exists():
            return None
        with _guard(self.path) as now:
            owner = read_owner(self.path)
            touched = _touched(self.path)
            if owner is None or touched is None:
                return None
            silent = now - touched
            gone = not owner.runs() if owner.is_here() else silent > self._stale
            if gone:
                self.path.unlink(missing_ok=True)
                return None
            return _State(owner, touched, silent)

    def _beat(self) -> None:
        assert self._file is not None
        # By the open file where the system can, so that the lock of another, who took over, is not touched.
        target: int | Path = self._file.fileno() if os.utime in os.supports_fd else self.path
        while not self._done.wait(self._heartbeat):
            with suppress(OSError):
                os.utime(target)


def find_owner(folder: Path, name: str = LOCK) -> Owner | None:
    """Return who holds a folder, None if nobody does."""
    return read_owner(folder / name)


def remove_lock(folder: Path, owner: str, name: str = LOCK) -> Owner:
    """Remove the lock of a folder from the owner of that name (`Owner.name`), and return who it was.

    A process that is at work after all ends before it writes again.

    Raises:
        FolderLockError: the folder is not locked, or by another.
    """
    held = find_owner(folder, name)
    if held is None:
        raise FolderLockError(f"{folder} is not locked: nothing to remove")
    if held.name != owner:
        raise FolderLockError(
            f"{folder} is held by {held.describe()}, not by {owner!r}: give --owner {held.name} if it is gone"
        )
    _remove(folder / name, held.id)
    return held


@dataclass(frozen=True)
class _State:
    """A lock that another process holds."""

    owner: Owner
    touched: float
    """When it gave its last sign of life, in seconds of the file server's clock."""
    silent: float
    """Seconds since."""


class _Waiting:
    """Decides how long to wait for an owner that seems to be dying, and says it once."""

    def __init__(self, folder: Path, heartbeat: float, stale: float) -> None:
        self._folder = folder
        self._pause = min(1.0, heartbeat / 4)
        self._until = time.monotonic() + stale + heartbeat
        self._first: _State | None = None

    def goes_on(self, state: _State) -> bool:
        """Wait a little; return False at once if the owner is at work, or has been waited for long enough."""
        owner = state.owner
        beats = self._first is not None and self._first.owner.id == owner.id and state.touched > self._first.touched
        if not owner.ending and (owner.is_here() or beats):
            return False
        if time.monotonic() > self._until:
            return False
        if self._first is None:
            reason = "is ending" if owner.ending else "may be gone"
            print(f"{self._folder} is held by {owner.describe()}, which {reason}: waiting for it", file=sys.stderr)
        if self._first is None or self._first.owner != owner:
            self._first = state
        time.sleep(self._pause)
        return True


def _refusal(folder: Path, owner: Owner) -> str:
    return (
        f"{folder} is being written into by {owner.describe()}: wait for it or choose another --out; if that process is"
        f" gone, type: secondsight unlock {shlex.quote(str(folder))} --owner {shlex.quote(owner.name)}"
    )


def _touched(path: Path) -> float | None:
    """Return when a file was last touched, None if it is not there; opened, so that the server is asked anew."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None


def _remove(path: Path, lock_id: str) -> None:
    """Remove a lock if it is that one."""
    with _guard(path):
        _remove_unguarded(path, lock_id)


def _remove_unguarded(path: Path, lock_id: str) -> None:
    held = read_owner(path)
    if held is not None and held.id == lock_id:
        path.unlink(missing_ok=True)


@contextmanager
def _guard(path: Path) -> Iterator[float]:
    """Let one process at a time judge or remove the lock at `path`; yield the time by the file server's clock."""
    guard = path.with_name(f"{path.name}.guard")
    pause = 0.005
    while True:
        try:
            with guard.open("xb") as file:
                now = os.fstat(file.fileno()).st_mtime
            break
        except FileExistsError:
            _remove_old(guard)
            time.sleep(pause)
            pause = min(2 * pause, 0.5)
    try:
        yield now
    finally:
        guard.unlink(missing_ok=True)


def _remove_old(guard: Path) -> None:
    """Remove a guard that somebody left behind."""
    probe = guard.with_name(f"{guard.name}.{uuid.uuid4().hex}")
    try:
        probe.touch()
        if probe.stat().st_mtime - guard.stat().st_mtime > _GUARD_STALE:
            os.replace(guard, probe)  # of several that see it, one has it
    except FileNotFoundError:
        pass
    finally:
        probe.unlink(missing_ok=True)
