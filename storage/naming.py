"""Errors of the operating system that name the file, also where Python does not know which it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within this context an OSError without the name of a file, such as "No space left on device", gets `path`'s.

    Python names a file that cannot be opened, but not one that cannot be written to or closed.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
