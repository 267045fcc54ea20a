"""Commands in processes of their own, forked from this one, which has imported everything: they begin at once.

A process has a working folder, a limit on time and memory, and no network. What it does outside its folder, to a
network or with other programs is written down as it happens, by an audit hook.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

import torch

import secondsight

ROOMS = ("storage", "training", "data", "vqgan", "gpt", "sampling", "experiments", "viewing", "release")
SECONDS = 20.0
"""Of computing that a process may take; waiting counts once nothing is computed any more."""
IDLE = 10.0
"""Seconds without any computing after which a process that is over its time is taken to hang."""
BYTES = 4 << 30
"""Resident memory that a process may take."""
MOST_BYTES = 8 << 30
"""Memory that a process can ask for at all, so that a fault costs the machine nothing."""
BIGGEST_FILE = 1 << 30
PROGRAMS = {"git", "nvidia-smi", "uname", "ldconfig", "fc-list"}
"""Programs that commands call to say what they ran on."""
POLL = 0.004
"""Seconds between two looks at the processes."""


@dataclass(frozen=True)
class Job:
    """A process to be started: a command of secondsight, or a function."""

    folder: Path
    """Where it works, and below which it may write."""
    does: Sequence[str] | Callable[[], object]
    """Words behind `secondsight`, or what is called."""
    seconds: float = SECONDS
    kill_after: float | None = None
    """Seconds after which it is killed with SIGKILL."""
    kill_while_writing: bool = False
    """Whether it is then killed at the first sign of an unfinished file (*.tmp), if one comes."""
    kill_at: tuple[str, int] | None = None
    """Part of a path and a number: it kills itself just before a file with such a path appears for that time."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended."""

    code: int
    """Exit code; negative for a signal."""
    out: str
    err: str
    seconds: float
    peak: int
    """Bytes of resident memory."""
    late: bool = False
    """Whether it was killed for time."""
    large: bool = False
    """Whether it was killed for memory."""
    deeds: tuple[str, ...] = ()
    """What the audit hook wrote down: kind and details."""
    caught_writing: bool = False
    """Whether an unfinished file was there when it was killed."""
    imported: tuple[str, ...] = ()
    """Modules that it imported and that were not there before."""


Task = Generator[Job, Outcome, Any]


def import_everything() -> None:
    """Import all modules, so that no process has to, and keep torch to one thread."""
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)


def import_modules(names: Iterable[str]) -> None:
    """Import what processes imported themselves, so that later ones find it here."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def run_all(tasks: Iterable[Task], side_by_side: int = 2) -> None:
    """Run tasks, each of which asks for one process after another, some of them side by side."""
    waiting = iter(tasks)
    busy: list[tuple[Task, _Running]] = []
    try:
        while True:
            while len(busy) < side_by_side and (task := next(waiting, None)) is not None:
                _go_on(task, None, busy)
            if not busy:
                return
            for entry in list(busy):
                outcome = entry[1].look()
                if outcome is not None:
                    busy.remove(entry)
                    _go_on(entry[0], outcome, busy)
            time.sleep(POLL)
    finally:
        for _, running in busy:
            running.kill()


def run_one(job: Job) -> Outcome:
    """Run one process to its end."""
    outcomes: list[Outcome] = []

    def task() -> Task:
        outcomes.append((yield job))

    run_all([task()])
    return outcomes[0]


def _go_on(task: Task, outcome: Outcome | None, busy: list[tuple[Task, _Running]]) -> None:
    with contextlib.suppress(StopIteration):
        job = next(task) if outcome is None else task.send(outcome)
        busy.append((task, _Running(job)))


@dataclass
class _Running:
    """A process that was forked."""

    job: Job
    late: bool = False
    large: bool = False
    killed: bool = False
    caught_writing: bool = False
    peak: int = 0
    computed: float = 0.0
    idle: float = 0.0
    watched: float = 0.0
    """Seconds during which it was looked at: while this process is stopped, so may be that one."""
    looked: float = field(default_factory=time.monotonic)
    began: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.job.folder.mkdir(parents=True, exist_ok=True)
        self.said = tempfile.TemporaryDirectory()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _child(self.job, Path(self.said.name))

    def look(self) -> Outcome | None:
        """Return how it ended; None while it runs and does not break its limits."""
        done, status, usage = os.wait4(self.pid, os.WNOHANG)
        seconds = time.monotonic() - self.began
        if not done:
            self.peak = max(self.peak, _resident(self.pid))
            self.large |= self.peak > BYTES
            self.late |= self._has_had_its_time()
            if self.large or self.late or self._is_to_be_killed(seconds):
                self._kill_process()
                done, status, usage = os.wait4(self.pid, 0)
        if not done:
            return None
        self._kill_group()
        peak = max(self.peak, usage.ru_maxrss * 1024)
        with self.said:
            said = Path(self.said.name)
            return Outcome(
                code=os.waitstatus_to_exitcode(status),
                out=_text(said / "out"),
                err=_text(said / "err"),
                seconds=seconds,
                peak=peak,
                late=self.late,
                large=self.large or peak > BYTES,
                deeds=tuple(dict.fromkeys(_text(said / "deeds").splitlines())),
                caught_writing=self.caught_writing,
                imported=tuple(_text(said / "imported").split()),
            )

    def kill(self) -> None:
        """End it, and what it started."""
        self._kill_process()
        os.waitpid(self.pid, 0)
        self._kill_group()
        self.said.cleanup()

    def _has_had_its_time(self) -> bool:
        """Whether it has computed for too long, or does nothing: a busy machine may make anything slow."""
        now = time.monotonic()
        passed = min(now - self.looked, 0.5)
        self.looked = now
        self.watched += passed
        if self.watched < self.job.seconds:
            return False
        computed = _computed(self.pid)
        self.idle = 0.0 if computed > self.computed else self.idle + passed
        self.computed = computed
        return computed > self.job.seconds or self.idle > IDLE

    def _is_to_be_killed(self, seconds: float) -> bool:
        if self.job.kill_after is None or seconds < self.job.kill_after:
            return False
        writing = self._is_writing()
        if writing or not self.job.kill_while_writing:
            self.caught_writing = writing
            return True
        return False

    def _is_writing(self) -> bool:
        """Whether there is an unfinished file of this process; others may lie there from one that was killed."""
        for root, folders, files in os.walk(self.job.folder):  # which passes over folders that are gone meanwhile
            for name in (*folders, *files):
                with contextlib.suppress(FileNotFoundError):  # renamed since it was listed
                    if name.endswith(".tmp") and (Path(root) / name).stat().st_mtime >= self.began_at:
                        return True
        return False

    def _kill_process(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _child(job: Job, said: Path) -> NoReturn:
    code = 99
    try:
        os.setpgid(0, 0)
        os.chdir(job.folder)
        _limit(job)
        _redirect(said)
        log = os.open(said / "deeds", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        modules = os.open(said / "imported", os.O_WRONLY | os.O_CREAT)
        before = set(sys.modules)
        _watch(job, log)
        code = _call(job)
        os.write(modules, "\n".join(sorted(set(sys.modules) - before)).encode())
    finally:
        os._exit(code)


def _call(job: Job) -> int:
    """Return the exit code that Python would end with."""
    code = 0
    try:
        if callable(job.does):
            job.does()
        else:
            secondsight.main(list(job.does))
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            code = end.code or 0
        else:
            print(end.code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    return code


def _limit(job: Job) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (BIGGEST_FILE, BIGGEST_FILE))
    processor = round(job.seconds) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor))


def _redirect(said: Path) -> None:
    temporary = Path.cwd() / ".temporary"
    temporary.mkdir(exist_ok=True)
    os.environ |= {
        "TMPDIR": str(temporary),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(temporary),
        "TORCH_HOME": str(temporary),
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    tempfile.tempdir = None
    sys.dont_write_bytecode = True
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = _open(0, "r")
    sys.stdout = _open(1, "w")
    sys.stderr = _open(2, "w")


def _open(descriptor: int, mode: str) -> TextIO:
    return io.TextIOWrapper(
        os.fdopen(descriptor, f"{mode}b", closefd=False),
        encoding="utf-8",
        errors="backslashreplace",
        write_through=True,
    )


def _watch(job: Job, log: int) -> None:
    """Write down what the process does that no command should."""
    inside = os.path.realpath(job.folder)
    appeared = 0

    def tell(kind: str, what: object) -> None:
        os.write(log, f"{kind} {what!r}"[:500].encode("utf-8", "backslashreplace") + b"\n")

    def check(path: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # an open file
        whole = os.path.realpath(os.fsdecode(path))
        if not whole.startswith((inside, "/dev/", "/proc/self/")):
            tell("write", whole)

    def kill_itself(path: object) -> None:
        nonlocal appeared
        if job.kill_at is not None and isinstance(path, str | os.PathLike) and job.kill_at[0] in os.fspath(path):
            appeared += 1
            if appeared == job.kill_at[1]:
                os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                check(arguments[0])
        elif event in ("os.rename", "os.link", "os.symlink"):
            check(arguments[1])
            kill_itself(arguments[1])
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.utime"):
            if arguments[-1] == -1 or event == "os.truncate":  # otherwise beside a folder that is open
                check(arguments[0])
        elif event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
            address = arguments[1] if event.startswith(("socket.connect", "socket.sendto")) else arguments[0]
            if not isinstance(address, str) or "get" in event:
                tell("network", address)
                raise OSError(errno.ENETUNREACH, "there is no network")
        elif event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"):
            if Path(os.fsdecode(arguments[0] or "")).name not in PROGRAMS:
                tell("code", arguments[0])
        elif event in ("pty.spawn", "os.startfile"):
            tell("code", event)

    sys.addaudithook(hook)


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process has at most had; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "0 0")
    return int(line.split()[1]) * 1024


def _computed(pid: int) -> float:
    """Return the seconds of processor that a process has had; 0 if it is gone."""
    try:
        cells = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.exists() else ""
