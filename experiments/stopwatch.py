"""How long the stages of a long run take."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.checked_files import FaultError
from storage.files import to_json, write_text
from storage.records import read_record
from storage.terminal import visible


class Stopwatch:
    """Measures named stages: `with stopwatch("name"):`; those of a run that was stopped and continued add up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = _read(path)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Print the stage's name and add its duration to `seconds`, on disk too."""
        print(f"== {visible(name)}", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 1)
            write_text(self.path, to_json(self.seconds))


def _read(path: Path) -> dict[str, float]:
    """Return the durations so far; none if the file is missing or damaged, since nothing else hangs on them."""
    try:
        before = read_record(path)
    except (FileNotFoundError, FaultError):
        return {}
    return {name: float(value) for name, value in before.items() if isinstance(value, int | float)}
