"""What was found out about files, kept in a folder, so that a job that starts again does not look at all of them anew.

files.jsonl       a line of JSON for each file, by path, place in it, size and time of change
<key>.npz         the packet table of a long video (`data.probe`)
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import PIL

from data.sources import ByteRange, Stamp

FLUSH_SECONDS = 5.0
"""A listing that is stopped loses what it found in so many seconds."""

VERSION = f"2, av {av.__version__}, pillow {PIL.__version__}"
"""What was found out is forgotten when other versions look at files."""

Facts = dict[str, Any]


class Listing:
    """A cache of facts about files; a context manager. Without a folder it remembers nothing.

    Args:
        folder: where it is kept, or None.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._known: dict[str, Facts] = {}
        self._new: list[str] = []
        self._flushed = time.monotonic()
        if folder is not None and (folder / "files.jsonl").exists():
            self._load(folder / "files.jsonl")

    def __enter__(self) -> Listing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()

    def get(self, file: ByteRange, stamp: Stamp) -> Facts | None:
        """Return what is known of a file; None if nothing is, or if it was changed."""
        return self._known.get(key_of(file, stamp))

    def put(self, file: ByteRange, stamp: Stamp, facts: Facts) -> None:
        """Remember facts, which are plain JSON, of a file."""
        key = key_of(file, stamp)
        self._known[key] = facts
        if self.folder is None:
            return
        self._new.append(json.dumps({"key": key, "facts": facts}) + "\n")
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def table(self, file: ByteRange, stamp: Stamp) -> Path | None:
        """Return where the packet table of a video is kept."""
        return None if self.folder is None else self.folder / f"{key_of(file, stamp)}.npz"

    def _load(self, path: Path) -> None:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                if entry.get("version", VERSION) != VERSION:
                    self._known = {}
                    path.unlink(missing_ok=True)
                    return
                if "key" in entry:
                    self._known[entry["key"]] = dict(entry["facts"])
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # a process that was killed leaves half a line

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self.folder is None or not self._new:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "files.jsonl"
        # A line of its own ends half a line that a killed process may have left.
        begin = "\n" if path.exists() else json.dumps({"version": VERSION}) + "\n"
        # In one piece, so that lines of several processes stay apart.
        with path.open("ab", buffering=0) as file:
            file.write((begin + "".join(self._new)).encode("ascii"))
        self._new = []


def key_of(file: ByteRange, stamp: Stamp) -> str:
    """Return what a file is known by: its path, the bytes in it, its size and the time of its last change."""
    text = f"{file.path.absolute()}\0{file.offset}\0{file.size}\0{stamp.size}\0{stamp.modified}"
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]
