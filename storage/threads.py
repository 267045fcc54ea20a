"""Threads that make room: how those that torch computes with wait for one another while the processor is busy.

On Linux they are threads of GNU OpenMP. After every layer each waits for the slowest, and spins meanwhile: it looks
again and again, which is the quickest way as long as every thread has a processor of its own. Beside another process it
is the slowest: the thread that all wait for cannot go on because those that wait for it keep the processors. GNU OpenMP
sends waiting threads to sleep almost at once while it has more threads than there are processors
(https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html). So, while processors are short, a few threads more are
kept, which sleep. As many threads as before share every computation, so that no bit of a result depends on it.

Imports no torch, so that what OpenMP reads when it is loaded can be set before.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

WINDOW = 0.5
"""Seconds between two looks at how long threads waited for a processor."""
CROWDED = 0.4
"""Seconds that threads together wait, per second, from which on they make room."""
FIRST_PATIENCE = 8
"""Windows after which it is tried first whether there is room again."""
LAST_PATIENCE = 240
"""Windows between such tries when none succeeds."""
CALM = 4
"""Windows with room after which that is said."""
MOST_SLEEPING = 8
"""Threads at most that are kept asleep. Where it takes more, most processors compute nothing of this process."""
LONGEST_WAIT = 5.0
"""Seconds that this waits for its own threads: whatever becomes of them, no command may wait for them for ever."""
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Environment variables by which users say themselves how threads wait."""
CHANGED = {
    True: "other work keeps the processor busy: threads sleep while they wait for one another; results stay the same",
    False: "the processor is free again: threads wait as before",
}
LIBRARY = re.compile(r"libgomp(-(?!plugin-).*)?\.so(\..*)?")
"""Names of GNU OpenMP's shared library, as systems and wheels have it."""
FAILURES = (AttributeError, MemoryError, OSError, RuntimeError, ValueError)
"""What ends the watching, silently: a command does its work without it, only slower."""

Times = Mapping[str, tuple[float, float]]
"""Of every thread the seconds that it ran, and those that it waited for a processor."""


class Look(NamedTuple):
    """What threads did in a window."""

    busy: int
    """Threads that ran or waited for a processor during most of it."""
    waited: float
    """Seconds that all threads waited for a processor, per second."""


def limit_threads(environment: MutableMapping[str, str] = os.environ, groups: Path = Path("/sys/fs/cgroup")) -> None:
    """Set OMP_NUM_THREADS where OpenMP would take more processors than this process may use.

    OpenMP counts those that the process may run on. A job of Slurm may have been given fewer, and so may a container.
    Must be called before torch is imported; what users set stays.

    Args:
        environment: of the process.
        groups: the folder of the process's control group (cgroup v2).
    """
    if "OMP_NUM_THREADS" in environment or not hasattr(os, "sched_getaffinity"):
        return
    count = len(os.sched_getaffinity(0))
    allowed = min(_of_job(environment), _of_group(groups))
    if allowed < count:
        environment["OMP_NUM_THREADS"] = str(allowed)


def _of_job(environment: Mapping[str, str]) -> float:
    given = environment.get("SLURM_CPUS_PER_TASK", "")
    return max(1, int(given)) if given.isdecimal() else math.inf


def _of_group(groups: Path) -> float:
    try:
        quota, period = (groups / "cpu.max").read_text(encoding="ascii").split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # another kind of group, or `max`: no limit
        return math.inf


@contextmanager
def making_room() -> Iterator[None]:
    """Let torch's threads sleep while they wait for one another, whenever processors are short.

    That is looked at twice a second within this context, and changes are said in a line on stderr. Nothing happens
    while a GPU computes; nor where users said how threads wait (`WAITING`) or that there is one only, nor where the
    system does not tell how long threads wait for a processor (it is not Linux). Where room cannot be made, or looking
    fails, no more is tried within this context, and nothing is said.
    """
    ended = threading.Event()
    watching = _start_watching(ended)
    try:
        yield
    finally:
        ended.set()
        if watching is not None:
            watching.join(LONGEST_WAIT)


def _start_watching(ended: threading.Event) -> threading.Thread | None:
    chosen = os.environ.get("OMP_NUM_THREADS") == "1" or any(name in os.environ for name in WAITING)
    with suppress(*FAILURES):
        if not chosen and thread_times():
            watching = threading.Thread(target=_watch, args=(ended,), daemon=True)
            watching.start()
            return watching
    return None


def _watch(ended: threading.Event) -> None:
    with suppress(*FAILURES), Room() as room:
        began, before = time.monotonic(), thread_times()
        while not ended.wait(WINDOW):
            now, after = time.monotonic(), thread_times()
            if not _on_gpu():
                room.follow(look_at(before, after, now - began))
            began, before = now, after


def _on_gpu() -> bool:
    initialised = getattr(sys.modules.get("torch.cuda"), "is_initialized", None)
    return initialised is not None and bool(initialised())


class Room(ExitStack):
    """Has threads make room as looks at them ask for, and says on stderr what changed; a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._judge = Judge()
        self._loaded = False

    def follow(self, look: Look) -> None:
        """Let waiting threads sleep in the next window, or not, after a look at the last one.

        Raises:
            RuntimeError: no room can be made.
        """
        self._loaded = self._loaded or bool(loaded_openmp())
        if not self._loaded:
            return
        made_room, crowded = self._judge.making_room, self._judge.crowded
        if self._judge.decide(look) and not made_room:
            for path in loaded_openmp():
                self.enter_context(SleepingTeam(path))
        elif made_room and not self._judge.making_room:
            self.close()
        if self._judge.crowded != crowded:
            sys.stderr.write(f"{CHANGED[self._judge.crowded]}\n")


class Judge:
    """Decides from looks whether threads make room, seldom enough that it does not go to and fro.

    While they make room it cannot be seen whether they need to. So that is tried after some patience, which doubles
    whenever it was in vain.
    """

    def __init__(self) -> None:
        self.making_room = False
        self.crowded = False
        """Whether processors are short, as far as is known; what is worth saying when it changes."""
        self._patience = FIRST_PATIENCE
        self._left = 0
        self._calm = 0

    def decide(self, look: Look) -> bool:
        """Return whether threads are to make room in the next window; `look` is of the last one."""
        if self.making_room:
            self._left -= 1
            self.making_room = self._left > 0
        elif look.busy > 1 and look.waited >= CROWDED:
            self._make_room()
        elif look.busy > 1:
            self._keep_calm()
        return self.making_room

    def _make_room(self) -> None:
        self.making_room = self.crowded = True
        self._left = self._patience
        self._patience = min(2 * self._patience, LAST_PATIENCE)
        self._calm = 0

    def _keep_calm(self) -> None:
        self._calm += 1
        if self._calm == CALM:
            self.crowded = False
        if self._calm == LAST_PATIENCE:
            self._patience = FIRST_PATIENCE


class SleepingTeam:
    """Threads of OpenMP that sleep, so many that there are more threads than processors; a context manager.

    Args:
        path: of the shared library of GNU OpenMP that is loaded.
        threads: that compute; by default as many as OpenMP takes when nothing was said since it was loaded.

    Raises:
        RuntimeError: by entering it: the threads cannot be made, or more than `MOST_SLEEPING` would be needed.
    """

    def __init__(self, path: str, threads: int | None = None) -> None:
        self._library = ctypes.CDLL(path)
        self._threads = threads
        self._failure: Exception | None = None
        self._made = threading.Event()
        self._done = threading.Event()
        # A team belongs to the thread that made it, and ends with it.
        self._owner = threading.Thread(target=self._sleep, daemon=True)

    def __enter__(self) -> SleepingTeam:
        self._owner.start()
        made = self._made.wait(LONGEST_WAIT)
        if not made or self._failure is not None:
            self.__exit__()
            raise RuntimeError("no threads can sleep") from self._failure
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._owner.join(LONGEST_WAIT)

    def _sleep(self) -> None:
        try:
            self._make()
        except Exception as failure:  # whatever it is, whoever enters must not wait for ever
            self._failure = failure
            self._done.set()
        finally:
            self._made.set()
        self._done.wait()

    def _make(self) -> None:
        computing = self._threads or self._library.omp_get_max_threads()
        sleeping = sleeping_threads(self._library.omp_get_num_procs(), computing)
        # GNU OpenMP ends the whole process when it cannot start a thread, so that is tried before, with twice as many
        # since other processes may start some meanwhile.
        start_and_end(2 * sleeping)
        # What a compiler makes of `#pragma omp parallel num_threads(n)`, here around a function that does nothing. The
        # owner is one of the n, but is not counted among OpenMP's threads.
        self._library.GOMP_parallel(self._library.omp_get_thread_num, None, sleeping + 1, 0)


def sleeping_threads(processors: int, computing: int) -> int:
    """Return how many threads must sleep so that, with those that compute, there are more than processors.

    Raises:
        RuntimeError: they are more than `MOST_SLEEPING`.
    """
    sleeping = max(0, processors - computing) + 1
    if sleeping > MOST_SLEEPING:
        raise RuntimeError(f"{sleeping} threads would have to sleep, and at most {MOST_SLEEPING} may")
    return sleeping


def start_and_end(count: int) -> None:
    """Start so many threads at once, and return when the system has taken them back.

    Raises:
        RuntimeError: the system does not let this process have so many threads more, or does not take them back.
    """
    ended = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(count):
            thread = threading.Thread(target=ended.wait, daemon=True)
            thread.start()
            threads.append(thread)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    _wait_until_gone([Path(f"/proc/self/task/{thread.native_id}") for thread in threads])


def _wait_until_gone(tasks: list[Path]) -> None:
    # To Python a thread has ended a moment before the system stops counting it.
    latest = time.monotonic() + WINDOW
    while any(task.exists() for task in tasks):
        if time.monotonic() > latest:
            raise RuntimeError("threads that ended are still there")
        time.sleep(0.001)


def thread_times(tasks: Path = Path("/proc/self/task")) -> Times:
    """Return the times of all threads of this process; nothing where the system does not tell them.

    Args:
        tasks: has a folder for each thread, with the file `schedstat` in it (nanoseconds).
    """
    times = {}
    for file in tasks.glob("*/schedstat"):
        with suppress(OSError, ValueError):  # threads end meanwhile
            ran, waited, _ = map(int, file.read_text(encoding="ascii").split())
            times[file.parent.name] = ran / 1e9, waited / 1e9
    return times if any(ran for ran, _ in times.values()) else {}


def look_at(before: Times, after: Times, seconds: float) -> Look:
    """Return what the threads did that were there at both ends of a window of so many seconds."""
    both = [(before[name], after[name]) for name in before.keys() & after.keys()]
    waited = [end[1] - begin[1] for begin, end in both]
    wanted = [sum(end) - sum(begin) for begin, end in both]
    return Look(sum(each > seconds / 2 for each in wanted), sum(waited) / seconds)


def loaded_openmp(maps: Path = Path("/proc/self/maps")) -> list[str]:
    """Return the paths of all copies of GNU OpenMP that are loaded.

    Args:
        maps: names the files that lie in the memory of the process.
    """
    lines = os.fsdecode(maps.read_bytes()).split("\n")  # names of files may be any bytes
    found = {line.split(maxsplit=5)[-1] for line in lines if "/libgomp" in line}
    return sorted(path for path in found if LIBRARY.fullmatch(Path(path).name) and Path(path).is_file())
