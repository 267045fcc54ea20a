"""Threads that make room: what is looked at, what is decided, and that no result depends on it."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.decode import FREE, sample
from storage.threads import (
    CALM,
    CHANGED,
    FIRST_PATIENCE,
    LAST_PATIENCE,
    MOST_SLEEPING,
    Judge,
    Look,
    Room,
    SleepingTeam,
    limit_threads,
    loaded_openmp,
    look_at,
    making_room,
    sleeping_threads,
    start_and_end,
    thread_times,
)

CROWDED_LOOK = Look(busy=2, waited=0.9)
FREE_LOOK = Look(busy=2, waited=0.01)
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
with_openmp = pytest.mark.skipif(
    PROCESSORS < 2 or not Path("/proc/self/maps").exists() or not loaded_openmp(),
    reason="needs GNU OpenMP and two processors",
)


def torchs_openmp() -> str:
    """The copy of GNU OpenMP that torch computes with; other packages may have brought others."""
    return next(path for path in loaded_openmp() if "torch" in path)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads compute, while a test does."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def only_one_thread_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system starts one thread more, and then no other."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def limited(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users said nothing of how threads wait."""
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def no_file_can_be_opened() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def decisions(looks: list[Look]) -> list[bool]:
    judge = Judge()
    return [judge.decide(look) for look in looks]


def test_threads_that_wait_for_a_processor_make_room() -> None:
    assert decisions([FREE_LOOK, CROWDED_LOOK]) == [False, True]


def test_one_busy_thread_has_nobody_to_make_room_for() -> None:
    assert not any(decisions([Look(busy=1, waited=0.9)] * 3))


def test_room_is_tried_for_again_after_some_windows() -> None:
    assert decisions([CROWDED_LOOK] * (FIRST_PATIENCE + 1)) == [True] * FIRST_PATIENCE + [False]


def test_patience_doubles_up_to_a_limit_while_tries_are_in_vain() -> None:
    made = decisions([CROWDED_LOOK] * 2000)
    tries = [index for index, room in enumerate(made) if not room]
    gaps = [second - first - 1 for first, second in pairwise(tries)]
    assert gaps[:3] == [2 * FIRST_PATIENCE, 4 * FIRST_PATIENCE, 8 * FIRST_PATIENCE]
    assert set(gaps[5:]) == {LAST_PATIENCE}


def test_patience_begins_anew_after_a_long_calm() -> None:
    looks = [CROWDED_LOOK] * 2000 + [FREE_LOOK] * 2 * LAST_PATIENCE + [CROWDED_LOOK] * (FIRST_PATIENCE + 1)
    assert not decisions(looks)[-1]


def test_a_processor_counts_as_free_after_calm_windows_only() -> None:
    judge = Judge()
    for look in [CROWDED_LOOK] * FIRST_PATIENCE + [FREE_LOOK] * CALM:
        judge.decide(look)
    assert judge.crowded
    judge.decide(FREE_LOOK)
    assert not judge.crowded


@settings(max_examples=30)
@given(st.lists(st.sampled_from([CROWDED_LOOK, FREE_LOOK, Look(busy=0, waited=0.0)]), max_size=60))
def test_threads_do_not_go_to_and_fro(looks: list[Look]) -> None:
    made = decisions(looks)
    changes = sum(first != second for first, second in pairwise([False, *made]))
    assert changes <= 2 * (len(made) // FIRST_PATIENCE + 1)


def test_a_look_counts_threads_that_wanted_the_processor_most_of_the_time() -> None:
    before = {"1": (1.0, 0.0), "2": (1.0, 1.0), "3": (0.0, 0.0), "ended": (1.0, 1.0)}
    after = {"1": (1.3, 0.1), "2": (1.1, 1.3), "3": (0.2, 0.0), "new": (9.0, 9.0)}
    look = look_at(before, after, 0.5)
    assert look.busy == 2
    assert look.waited == pytest.approx(0.8)


def test_times_are_read_in_seconds(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "schedstat").write_text("1500000000 250000000 12\n")
    assert thread_times(tmp_path) == {"7": (1.5, 0.25)}


@pytest.mark.parametrize("content", [None, "", "0 0 0\n"])
def test_a_system_that_tells_no_times_has_none(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "7").mkdir()
    if content is not None:
        (tmp_path / "7" / "schedstat").write_text(content)
    assert thread_times(tmp_path) == {}


def test_copies_of_openmp_are_found_once_each(tmp_path: Path) -> None:
    library = tmp_path / "with space" / "libgomp-1a2b.so.1.0.0"
    library.parent.mkdir()
    library.touch()
    line = "7f00-7f01 r-xp 00000000 fe:00 42                       "
    maps = tmp_path / "maps"
    maps.write_text(f"{line}{library}\n{line}{library}\n{line}/lib/libc.so\n7f02-7f03 rw-p 00000000 00:00 0\n")
    assert loaded_openmp(maps) == [str(library)]


@pytest.mark.parametrize("name", ["libgomp-plugin-nvptx.so.1", "libgomp.txt", "libgomp-1/other.so", "libgomp.so.1/x"])
def test_other_files_are_no_copies_of_openmp(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    (tmp_path / "maps").write_text(f"7f00-7f01 r-xp 00000000 fe:00 42    {file}\n")
    assert loaded_openmp(tmp_path / "maps") == []


def test_files_may_lie_in_memory_whose_names_are_not_utf8(tmp_path: Path) -> None:
    library = tmp_path / "libgomp.so.1"
    library.touch()
    line = b"7f00-7f01 r-xp 00000000 fe:00 42    "
    (tmp_path / "maps").write_bytes(line + b"/data/caf\xe9.npy\n" + line + os.fsencode(library) + b"\n")
    assert loaded_openmp(tmp_path / "maps") == [str(library)]


@pytest.mark.parametrize(
    ("processors", "computing", "expected"), [(2, 2, 1), (2, 4, 1), (8, 2, 7), (9, 2, MOST_SLEEPING)]
)
def test_with_those_that_sleep_there_are_more_threads_than_processors(
    processors: int, computing: int, expected: int
) -> None:
    assert sleeping_threads(processors, computing) == expected


def test_many_threads_are_not_kept_asleep() -> None:
    with pytest.raises(RuntimeError, match="63 threads would have to sleep"):
        sleeping_threads(64, 2)


@with_openmp
def test_threads_are_proved_to_start_and_are_gone_afterwards() -> None:
    tasks = Path("/proc/self/task")
    before = set(tasks.iterdir())
    start_and_end(8)
    assert set(tasks.iterdir()) <= before


@pytest.mark.usefixtures("only_one_thread_more")
def test_threads_that_started_end_where_others_cannot() -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="start new thread"):
        start_and_end(2)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("limits", "quota", "expected"),
    [
        ({}, "max 100000", None),
        ({}, "100000 100000", "1"),
        ({}, "50000 100000", "1"),
        ({}, "nonsense", None),
        ({"SLURM_CPUS_PER_TASK": "1"}, None, "1"),
        ({"SLURM_CPUS_PER_TASK": "100000"}, None, None),
        ({"SLURM_CPUS_PER_TASK": "2(x3)"}, None, None),
        ({"SLURM_CPUS_PER_TASK": "1", "OMP_NUM_THREADS": "3"}, "100000 100000", "3"),
    ],
)
@pytest.mark.skipif(PROCESSORS < 2, reason="needs two processors")
def test_openmp_takes_no_more_threads_than_are_allowed(
    tmp_path: Path, limits: dict[str, str], quota: str | None, expected: str | None
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    environment = dict(limits)
    limit_threads(environment, tmp_path)
    assert environment.get("OMP_NUM_THREADS") == expected


@with_openmp
def test_what_changes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with Room() as room:
        for look in [CROWDED_LOOK] * 3 + [FREE_LOOK] * (FIRST_PATIENCE + CALM):
            room.follow(look)
    assert capsys.readouterr().err.splitlines() == [CHANGED[True], CHANGED[False]]


@with_openmp
def test_no_thread_is_left_of_a_team() -> None:
    before = threading.active_count()
    with Room() as room:
        room.follow(CROWDED_LOOK)
        assert threading.active_count() == before + len(loaded_openmp())
    assert threading.active_count() == before


@with_openmp
@pytest.mark.usefixtures("only_one_thread_more")
def test_openmp_is_not_asked_for_threads_that_the_system_does_not_give(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="no threads can sleep"), Room() as room:
        room.follow(CROWDED_LOOK)
    assert threading.active_count() == before
    assert capsys.readouterr().err == ""


@with_openmp
def test_a_library_without_openmp_keeps_nobody_waiting() -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="no threads can sleep"), SleepingTeam("libc.so.6"):
        pass
    assert threading.active_count() == before


@with_openmp
@pytest.mark.parametrize(
    ("last", "expected"), [("signal.raise_signal(signal.SIGINT)", -signal.SIGINT), ("sys.exit(3)", 3)]
)
@pytest.mark.parametrize("held", ["with making_room(), team:", "watching.__enter__(), team.__enter__()\nif True:"])
def test_a_process_ends_at_once_while_threads_sleep(held: str, last: str, expected: int) -> None:
    program = f"""import ctypes, signal, sys
from storage.threads import SleepingTeam, making_room
ctypes.CDLL({torchs_openmp()!r})
team, watching = SleepingTeam({torchs_openmp()!r}), making_room()
signal.signal(signal.SIGINT, signal.default_int_handler)
{held}
    {last}
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL, timeout=30)
    assert done.returncode == expected


@with_openmp
@pytest.mark.usefixtures("two_threads")
def test_threads_sleep_while_they_wait_for_one_another() -> None:
    x = torch.randn(128, 128)
    products = 200
    with SleepingTeam(torchs_openmp(), threads=2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        for _ in range(products):
            x @ x
        slept = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    assert slept > products / 2  # without a team, hardly ever


@with_openmp
@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("compute", ["sampling", "training"])
def test_results_are_the_same_to_the_bit(compute: str) -> None:
    function = {"sampling": sampled, "training": trained}[compute]
    before = function()
    with SleepingTeam(torchs_openmp(), threads=2):
        after = function()
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))


def model() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(layers=1, heads=4, width=128, grid=(1, 2, 2), vocab_size=64))


def sampled() -> list[Tensor]:
    rows = sample(model().eval(), torch.full((1, 4), FREE), n=6)
    return [rows.tokens, rows.log_probability, rows.entropy]


def trained() -> list[Tensor]:
    gpt = model()
    tokens = torch.randint(64, (8, 4), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=1e-2)
    gpt.nll(tokens).mean().backward()
    optimizer.step()
    return list(gpt.parameters())


@pytest.mark.skipif(not thread_times(), reason="the system does not tell how long threads wait")
@pytest.mark.usefixtures("watched")
def test_processors_are_watched_while_a_command_runs() -> None:
    before = threading.active_count()
    with making_room():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


@pytest.mark.skipif(not thread_times(), reason="the system does not tell how long threads wait")
@pytest.mark.usefixtures("watched")
def test_watching_ends_silently_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    others = set(threading.enumerate())
    with making_room():
        (watching,) = set(threading.enumerate()) - others
        with no_file_can_be_opened():
            watching.join(timeout=30)
        assert not watching.is_alive()
    assert failures == []


@pytest.mark.usefixtures("watched")
def test_a_command_goes_on_where_nothing_can_be_looked_at() -> None:
    with no_file_can_be_opened(), making_room():
        carried_out = True
    assert carried_out


@pytest.mark.usefixtures("watched", "only_one_thread_more")
def test_a_command_goes_on_where_nobody_can_watch() -> None:
    threading.Thread(target=int).start()
    with making_room():
        carried_out = True
    assert carried_out


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "1000")]
)
def test_what_users_said_of_waiting_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    before = threading.active_count()
    with making_room():
        assert threading.active_count() == before


@pytest.mark.skipif(PROCESSORS < 2, reason="needs two processors")
def test_the_command_line_asks_for_no_more_threads_than_it_was_given() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    program = "import os, atexit, secondsight; atexit.register(lambda: print(os.environ.get('OMP_NUM_THREADS')));"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}secondsight.main()", "--version"],
        env={**environment, "SLURM_CPUS_PER_TASK": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "1"
