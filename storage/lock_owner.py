"""Who holds a folder: a process, known again although its number was given anew or another machine has its name."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process that holds a folder, as its lock says."""

    host: str
    """Name of its machine."""
    process: int
    """Its number there."""
    since: str
    """When it took the folder, in words."""
    started: str = ""
    """When it began (`start_of_process`): a number is given anew to other processes; empty if that is not known."""
    machine: str = ""
    """What tells machines and containers of one name apart (`this_machine`); empty if that is not known."""
    id: str = ""
    """Of this lock and no other."""
    ending: bool = False
    """Whether it was asked to end, and does so when it has saved."""

    @property
    def name(self) -> str:
        """What people call it: host and process with a colon between."""
        return f"{self.host}:{self.process}"

    def describe(self) -> str:
        """Return who it is, in words."""
        return f"process {self.process} on {self.host} (since {self.since})"

    def is_here(self) -> bool:
        """Whether it belongs to this machine, so that it can be seen whether it runs."""
        return self.host == socket.gethostname() and self.machine in ("", this_machine())

    def runs(self) -> bool:
        """Whether it runs; it must belong to this machine."""
        if self.process == os.getpid() and not self.started:
            return False  # the lock is of an older version, and its owner's number was given anew to this process
        began = start_of_process(self.process)
        return began is not None and (began == self.started or not began or not self.started)


_UNKNOWN = Owner("unknown", 0, "unknown")


def this_process() -> Owner:
    process = os.getpid()
    return Owner(
        host=socket.gethostname(),
        process=process,
        since=time.ctime(),
        started=start_of_process(process) or "",
        machine=this_machine(),
        id=uuid.uuid4().hex,
    )


def encode_owner(owner: Owner) -> bytes:
    # Of one length, whether it is ending or not: it is written over where it lies.
    longest = json.dumps(asdict(replace(owner, ending=False)))
    return json.dumps(asdict(owner)).ljust(len(longest)).encode() + b"\n"


def read_owner(path: Path) -> Owner | None:
    """Return whom a lock names, None if it is not there; an unknown owner if it cannot be told."""
    for _ in range(5):
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            known = {name: raw[name] for name in Owner.__dataclass_fields__ if name in raw}
            return Owner(**{**known, "host": _printable(raw["host"]), "process": int(raw["process"])})
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError):
            time.sleep(0.02)  # it may have been made just now, and its content follow
    return _UNKNOWN


def _printable(name: object) -> str:
    """Return a name without what would control a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(name))


@cache
def this_machine() -> str:
    """Return what tells this machine since its start, or this container, from others of its name; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def start_of_process(process: int) -> str | None:
    """Return when a process of this machine began, in a form that only compares; None if it does not run.

    It is "" if the process runs and its beginning cannot be seen.
    """
    if process <= 0:
        return None  # which would mean groups of processes
    if sys.platform == "win32":
        import psutil

        return str(psutil.Process(process).create_time()) if psutil.pid_exists(process) else None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except (PermissionError, OverflowError):
        pass
    if Path("/proc/self/stat").exists():
        return _start_in_proc(process)
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False)
    return said.stdout.strip()


def _start_in_proc(process: int) -> str | None:
    try:
        # The name of the program, in brackets, may hold anything.
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""  # processes of others may be hidden
    state = fields[0]
    clock_ticks = fields[19]
    return None if state in "ZX" else clock_ticks
