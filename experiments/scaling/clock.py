"""How long a training has taken, over all attempts: `clock.json` in its run folder, kept up while it runs.

What a process that is killed took since the last note, at most `EVERY` seconds, is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.checked_files import FaultError
from storage.files import to_json, write_text
from storage.records import read_record

CLOCK = "clock.json"
EVERY = 20.0
"""Seconds between two notes."""


@contextmanager
def clocked(run: Path) -> Iterator[None]:
    """Add the time that passes to the clock of a run folder, once a run has begun in it."""
    before = seconds_of(run) or 0.0
    began = time.monotonic()
    ended = threading.Event()

    def note() -> None:
        with suppress(OSError):  # nothing hangs on it
            if (run / "config.json").exists():
                write_text(run / CLOCK, to_json({"seconds": round(before + time.monotonic() - began, 1)}))

    def keep_up() -> None:
        while not ended.wait(EVERY):
            note()

    thread = threading.Thread(target=keep_up, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        note()


def seconds_of(run: Path) -> float | None:
    """Return how many seconds a training has taken; None where that is not known."""
    try:
        seconds = read_record(run / CLOCK).get("seconds")
    except (OSError, FaultError):
        return None
    return float(seconds) if isinstance(seconds, int | float) else None
