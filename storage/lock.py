"""One writer to a folder: a lock file that names its owner and goes stale when the owner is gone."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType

HEARTBEAT = 30.0
"""Seconds between two signs of life."""

STALE = 20 * HEARTBEAT
"""Seconds without one after which an owner on another machine is taken for dead."""


class FolderLockError(ValueError):
    """Another process is writing into the folder; the message says which, and what to do if it is not."""


class FolderLock:
    """Holds a folder for this process; a context manager.

    The file is made in one step that fails if it is there, which holds on network file systems too. A thread touches it
    now and then. The lock of a process that is gone (on this machine), or silent for long (on another), is taken over.

    Args:
        folder: to be written into; it is made.
        name: of the lock file in it.
    """

    def __init__(self, folder: Path, name: str = "writing.lock") -> None:
        self.path = folder / name
        self._done = threading.Event()

    def __enter__(self) -> FolderLock:
        """Take the lock.

        Raises:
            FolderLockError: another process holds it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            try:
                with self.path.open("x", encoding="utf-8") as file:
                    json.dump({"host": socket.gethostname(), "process": os.getpid(), "since": time.ctime()}, file)
            except FileExistsError:
                self._take_over()
                continue
            threading.Thread(target=self._beat, daemon=True).start()
            return self
        raise FolderLockError(f"another process has just begun to write into {self.path.parent}: choose another --out")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT):
            try:
                os.utime(self.path)
            except OSError:
                return  # the lock was removed by hand

    def _take_over(self) -> None:
        """Remove the lock of an owner that is gone.

        Raises:
            FolderLockError: the owner seems to be at work.
        """
        try:
            silent = time.time() - self.path.stat().st_mtime
            owner = json.loads(self.path.read_text(encoding="utf-8"))
            host = str(owner["host"])
            process = int(owner["process"])
            since = str(owner["since"])
        except FileNotFoundError:
            return
        except (OSError, KeyError, TypeError, ValueError):
            host, process, since = "unknown", 0, "unknown"
        here = host == socket.gethostname()
        if (here and not _alive(process)) or (not here and silent > STALE):
            self.path.unlink(missing_ok=True)
            return
        raise FolderLockError(
            f"{self.path.parent} is being written into by process {process} on {host} (since {since}): wait for it or"
            f" choose another --out; if that process is gone, delete {self.path}"
        )


def _alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    if process == os.getpid():
        return False  # its number was given anew to this one
    if os.name == "nt":
        import psutil

        return bool(psutil.pid_exists(process))
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
