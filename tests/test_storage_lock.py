"""A folder has one writer; the lock of one that is gone is taken over."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.lock import STALE, FolderLock, FolderLockError


def locked_by(folder: Path, host: str, process: int) -> Path:
    """A lock that another process made."""
    path = folder / "writing.lock"
    path.write_text(json.dumps({"host": host, "process": process, "since": "yesterday"}))
    return path


def ended_process() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


def test_a_folder_is_free_again_after_its_writer(tmp_path: Path) -> None:
    for _ in range(2):
        with FolderLock(tmp_path / "new"):
            assert [path.name for path in (tmp_path / "new").iterdir()] == ["writing.lock"]
    assert list((tmp_path / "new").iterdir()) == []


def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    path = locked_by(tmp_path, socket.gethostname(), os.getppid())
    with pytest.raises(FolderLockError, match=rf"process {os.getppid()} on .* \(since yesterday\).* delete {path}"):
        FolderLock(tmp_path).__enter__()
    assert path.exists()


def test_the_lock_of_a_process_that_ended_is_taken_over(tmp_path: Path) -> None:
    locked_by(tmp_path, socket.gethostname(), ended_process())
    with FolderLock(tmp_path) as lock:
        assert json.loads(lock.path.read_text())["process"] == os.getpid()


@pytest.mark.parametrize("silent", [0, STALE + 1])
def test_another_machine_is_believed_while_it_gives_signs_of_life(tmp_path: Path, silent: float) -> None:
    path = locked_by(tmp_path, "another-machine", 1)
    os.utime(path, (time.time() - silent, time.time() - silent))
    if silent:
        with FolderLock(tmp_path) as lock:
            assert json.loads(lock.path.read_text())["host"] == socket.gethostname()
    else:
        with pytest.raises(FolderLockError, match="on another-machine"):
            FolderLock(tmp_path).__enter__()


def test_a_lock_that_says_nothing_goes_stale_too(tmp_path: Path) -> None:
    path = tmp_path / "writing.lock"
    path.write_text("{")
    with pytest.raises(FolderLockError, match="process 0 on unknown"):
        FolderLock(tmp_path).__enter__()
    os.utime(path, (0, 0))
    with FolderLock(tmp_path):
        pass
