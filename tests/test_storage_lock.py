"""A folder has one writer; the lock of one that is gone is taken over, and a writer that lost its lock ends."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from storage.lock import STALE, FolderLock, FolderLockError, find_owner
from storage.lock_owner import start_of_process

PATIENCE = 30.0
"""Seconds that nothing here comes near."""


def locked_by(folder: Path, host: str, process: int, **more: Any) -> Path:
    """A lock that another process made."""
    path = folder / "writing.lock"
    path.write_text(json.dumps({"host": host, "process": process, "since": "yesterday", **more}))
    return path


def silent_for(path: Path, seconds: float) -> None:
    """Has a lock last touched so long ago."""
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def ended_process() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_free_again_after_its_writer(tmp_path: Path) -> None:
    for _ in range(2):
        with FolderLock(tmp_path):
            assert names(tmp_path) == ["writing.lock"]
    assert names(tmp_path) == []


def test_a_folder_into_which_nothing_was_written_is_gone_again(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "a" / "b"):
        pass
    assert names(tmp_path) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with FolderLock(tmp_path / "mine"):
        pass
    assert names(tmp_path) == ["mine"]


def test_a_lock_names_its_owner(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        owner = json.loads(lock.path.read_text())
    assert (owner["host"], owner["process"]) == (socket.gethostname(), os.getpid())
    assert owner["started"] == start_of_process(os.getpid())


def test_two_locks_of_one_process_are_told_apart(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "a") as one, FolderLock(tmp_path / "b") as other:
        ids = {json.loads(lock.path.read_text())["id"] for lock in (one, other)}
    assert len(ids) == 2


def test_a_second_writer_is_refused_by_name_and_told_what_to_type(tmp_path: Path) -> None:
    path = locked_by(tmp_path, socket.gethostname(), os.getppid())
    host = re.escape(socket.gethostname())
    typed = rf"secondsight unlock {tmp_path} --owner {host}:{os.getppid()}"
    with pytest.raises(FolderLockError, match=rf"process {os.getppid()} on {host} \(since yesterday\).*{typed}"):
        FolderLock(tmp_path).acquire()
    assert names(tmp_path) == [path.name]


def test_a_folder_held_by_this_very_process_is_refused(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(FolderLockError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path).acquire()


def test_the_lock_of_a_process_that_ended_is_taken_over(tmp_path: Path) -> None:
    locked_by(tmp_path, socket.gethostname(), ended_process())
    with FolderLock(tmp_path) as lock:
        assert json.loads(lock.path.read_text())["process"] == os.getpid()


def test_a_process_that_was_given_the_number_of_the_owner_is_not_taken_for_it(tmp_path: Path) -> None:
    locked_by(tmp_path, socket.gethostname(), os.getppid(), started="long before", id="abc")
    with FolderLock(tmp_path):
        pass


def test_the_owner_is_known_by_its_start(tmp_path: Path) -> None:
    locked_by(tmp_path, socket.gethostname(), os.getppid(), started=start_of_process(os.getppid()), id="abc")
    with pytest.raises(FolderLockError, match=f"process {os.getppid()}"):
        FolderLock(tmp_path).acquire()


def test_a_namesake_of_this_machine_is_another_machine(tmp_path: Path) -> None:
    """Containers may share a host name, and each has a process 1."""
    locked_by(tmp_path, socket.gethostname(), ended_process(), machine="another", id="abc")
    with pytest.raises(FolderLockError, match="is being written into"):
        FolderLock(tmp_path).acquire()


@pytest.mark.parametrize("silent", [0, STALE + 1])
def test_another_machine_is_believed_while_it_gives_signs_of_life(tmp_path: Path, silent: float) -> None:
    path = locked_by(tmp_path, "another-machine", 1)
    silent_for(path, silent)
    if silent:
        with FolderLock(tmp_path) as lock:
            assert json.loads(lock.path.read_text())["host"] == socket.gethostname()
    else:
        with pytest.raises(FolderLockError, match="on another-machine"):
            FolderLock(tmp_path).acquire()


def test_silence_is_judged_by_the_clock_of_the_file_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose clock is an hour ahead does not take a lock that was touched just now for an old one."""
    locked_by(tmp_path, "another-machine", 1)
    now = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: now)
    with pytest.raises(FolderLockError, match="on another-machine"):
        FolderLock(tmp_path).acquire()


def test_a_lock_that_says_nothing_goes_stale_too(tmp_path: Path) -> None:
    path = tmp_path / "writing.lock"
    path.write_text("{")
    with pytest.raises(FolderLockError, match="process 0 on unknown"):
        FolderLock(tmp_path).acquire()
    os.utime(path, (0, 0))
    with FolderLock(tmp_path):
        pass


def test_a_lock_beats(tmp_path: Path) -> None:
    with FolderLock(tmp_path, heartbeat=0.01) as lock:
        os.utime(lock.path, (0, 0))
        until = time.monotonic() + PATIENCE
        while lock.path.stat().st_mtime == 0:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_guard_that_a_killed_process_left_is_not_waited_for(tmp_path: Path) -> None:
    locked_by(tmp_path, socket.gethostname(), ended_process())
    guard = tmp_path / "writing.lock.guard"
    guard.touch()
    os.utime(guard, (0, 0))
    with FolderLock(tmp_path):
        assert names(tmp_path) == ["writing.lock"]


def test_a_folder_that_was_deleted_meanwhile_stays_so(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "run"):
        shutil.rmtree(tmp_path / "run")
    assert names(tmp_path) == []


# Losing it


def test_a_writer_that_holds_its_lock_may_go_on(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        lock.check()


def test_a_writer_whose_lock_was_taken_is_told_by_whom(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        locked_by(tmp_path, "another-machine", 7, id="abc")
        with pytest.raises(FolderLockError, match=r"process 7 on another-machine .*nothing more is written"):
            lock.check()


def test_a_writer_whose_lock_was_removed_is_told(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        lock.path.unlink()
        with pytest.raises(FolderLockError, match=r"was removed.*nothing more is written"):
            lock.check()


def test_the_lock_of_another_is_left_alone_at_the_end(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        path = locked_by(tmp_path, "another-machine", 7, id="abc")
    assert json.loads(path.read_text())["process"] == 7


def test_the_heartbeat_does_not_keep_the_lock_of_another_alive(tmp_path: Path) -> None:
    with FolderLock(tmp_path, heartbeat=0.01):
        (tmp_path / "writing.lock").rename(tmp_path / "away")
        path = locked_by(tmp_path, "another-machine", 7, id="abc")
        os.utime(path, (0, 0))
        os.utime(tmp_path / "away", (0, 0))
        until = time.monotonic() + PATIENCE
        while (tmp_path / "away").stat().st_mtime == 0:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert path.stat().st_mtime == 0


TAKERS = """
import sys, time
from pathlib import Path
from storage.lock import FolderLock, FolderLockError
folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    try:
        with FolderLock(folder) as lock:
            (folder / "inside").open("x").close()
            time.sleep(0.001)
            lock.check()
            (folder / "inside").unlink()
            (folder / "writing.lock").write_text('{"host": "gone", "process": 1, "since": ""}')
            import os; os.utime(folder / "writing.lock", (0, 0))
    except FolderLockError as error:
        if "nothing more" in str(error):
            raise
"""


def test_of_several_that_take_over_one_lock_one_has_it(tmp_path: Path) -> None:
    """Each leaves a stale lock behind, over which all of them run into each other again."""
    folder = tmp_path / "run"
    folder.mkdir()
    locked_by(folder, "gone", 1)
    os.utime(folder / "writing.lock", (0, 0))
    command = [sys.executable, "-c", TAKERS, str(folder), "150"]
    takers = [
        subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for taker in takers:
        assert taker.stdout is not None
        taker.stdout.readline()
    said = []
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("go\n")
        taker.stdin.flush()
    said = [taker.communicate(timeout=200)[1] for taker in takers]
    assert said == [""] * 4


# Waiting


def test_one_that_waits_takes_over_from_a_silent_owner_when_it_is_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked_by(tmp_path, "another-machine", 7, id="abc")
    with FolderLock(tmp_path, wait=True, heartbeat=0.05, stale=0.3):
        pass
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert re.search(f"{tmp_path} .* process 7 on another-machine", said[0])


def test_one_that_waits_is_refused_when_the_owner_gives_a_sign_of_life(tmp_path: Path) -> None:
    path = locked_by(tmp_path, "another-machine", 7, id="abc")
    done = threading.Event()

    def beat() -> None:
        while not done.wait(0.02):
            os.utime(path)

    owner = threading.Thread(target=beat)
    owner.start()
    try:
        with pytest.raises(FolderLockError, match="process 7 on another-machine"):
            FolderLock(tmp_path, wait=True, heartbeat=0.5, stale=PATIENCE).acquire()
    finally:
        done.set()
        owner.join()


def test_an_owner_at_work_on_this_machine_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locked_by(tmp_path, socket.gethostname(), os.getppid())
    with pytest.raises(FolderLockError):
        FolderLock(tmp_path, wait=True).acquire()
    assert capsys.readouterr().err == ""


def test_an_owner_that_says_that_it_ends_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ending = FolderLock(tmp_path)
    ending.acquire()
    ending.say_ending()
    waiting = FolderLock(tmp_path, wait=True, heartbeat=0.02)
    waiter = threading.Thread(target=waiting.acquire)
    waiter.start()
    time.sleep(0.1)
    assert waiter.is_alive()
    ending.release()
    waiter.join(PATIENCE)
    waiting.check()
    waiting.release()
    assert f"process {os.getpid()} on" in capsys.readouterr().err


def test_one_that_does_not_wait_is_refused_by_an_owner_that_ends(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as ending:
        ending.say_ending()
        with pytest.raises(FolderLockError, match="is being written into"):
            FolderLock(tmp_path).acquire()


# Who holds it


def test_a_folder_that_nobody_holds_has_no_owner(tmp_path: Path) -> None:
    assert find_owner(tmp_path) is None


def test_the_owner_of_a_folder_can_be_asked_for(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        owner = find_owner(tmp_path)
    assert owner is not None
    assert owner.name == f"{socket.gethostname()}:{os.getpid()}"
