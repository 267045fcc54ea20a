"""A lock is removed by the name of its owner, and not by accident."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from storage.lock import FolderLock, FolderLockError
from storage.unlock import UnlockOptions, unlock


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    owner = {"host": "node:12", "process": 7, "since": "yesterday", "id": "abc"}
    (tmp_path / "writing.lock").write_text(json.dumps(owner))
    return tmp_path


def test_a_lock_is_removed_by_the_name_of_its_owner(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unlock(UnlockOptions(locked, owner="node:12:7"))
    assert list(locked.iterdir()) == []
    assert "process 7 on node:12 (since yesterday)" in capsys.readouterr().out


@pytest.mark.parametrize("owner", ["node:12:8", "node:7", "7", ""])
def test_another_name_removes_nothing(locked: Path, owner: str) -> None:
    with pytest.raises(FolderLockError, match=r"is held by process 7 on node:12 .*--owner node:12:7"):
        unlock(UnlockOptions(locked, owner=owner))
    assert [path.name for path in locked.iterdir()] == ["writing.lock"]


def test_a_folder_that_is_not_locked_is_said_not_to_be(tmp_path: Path) -> None:
    with pytest.raises(FolderLockError, match="is not locked"):
        unlock(UnlockOptions(tmp_path, owner="node:7"))


def test_a_writer_whose_folder_was_unlocked_ends(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        unlock(UnlockOptions(tmp_path, owner=lock.owner.name))
        with pytest.raises(FolderLockError, match="nothing more is written"):
            lock.check()


def test_the_command_is_what_a_refusal_says_to_type(locked: Path) -> None:
    with pytest.raises(FolderLockError) as refused:
        FolderLock(locked).acquire()
    typed = str(refused.value).partition("secondsight unlock ")[2].split()[:3]
    command = [sys.executable, "-m", "secondsight", "unlock", *typed]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(locked.iterdir()) == []
