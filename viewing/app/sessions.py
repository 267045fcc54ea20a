"""What each of those who play has asked for: a page in a browser is a session, and sees nothing of the others."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viewing.app.asking import Answer
from viewing.app.examples import Example
from viewing.app.jobs import Job

MOST_SESSIONS = 100
"""Sessions that are kept; the oldest goes when another begins."""


@dataclass
class Session:
    """What one page has uploaded and asked."""

    folder: Path
    """For its uploads and archives, removed with the session; it need not be there yet."""
    upload: Example | None = None
    """The newest."""
    asked: Example | None = None
    """What it has asked to be continued last."""
    answers: Sequence[Answer] = ()
    """The newest, of one question."""
    job: Job[Any, Any] | None = None
    """What it has asked last."""
    uploads: int = 0
    """How many there were."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, job: Job[Any, Any]) -> None:
        """Keep what was asked, and stop what was asked before."""
        with self.lock:
            before, self.job = self.job, job
        if before is not None:
            before.stop()

    def new_folder(self) -> Path:
        """Return a folder for another upload, which is not there yet."""
        with self.lock:
            self.uploads += 1
            return self.folder / f"upload_{self.uploads}"

    def keep(self, upload: Example) -> None:
        """Keep an upload in place of those before, of which what is asked or answered stays: it may be saved yet."""
        self.upload = upload
        examples = [upload, self.asked, *(answer.question.example for answer in self.answers)]
        needed = {each.file.parent for each in examples if each is not None and each.file is not None}
        for folder in self.folder.glob("upload_*"):
            if folder not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """Stop what was asked last."""
        with self.lock:
            if self.job is not None:
                self.job.stop()


class Sessions:
    """All sessions, by the name that Gradio gives them.

    Args:
        folder: for their files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Session] = {}
        self._lock = threading.Lock()

    def find(self, name: str | None) -> Session:
        """Return the session of a name, new if it is not known."""
        with self._lock:
            if name is None or name not in self._known:
                # Names come from browsers: no path is made of them. And Gradio gives the files of its folder, in which
                # this one lies, to all who know their paths: so nobody can guess them.
                session = Session(self.folder / f"session_{secrets.token_hex(16)}")
                self._known[name or ""] = session
                oldest = next(iter(self._known)) if len(self._known) > MOST_SESSIONS else None
            else:
                return self._known[name]
        if oldest is not None:
            self.end(oldest)
        return session

    def end(self, name: str | None) -> None:
        """Stop what a session has asked, and remove its files."""
        with self._lock:
            session = self._known.pop(name or "", None)
        if session is not None:
            session.stop()
            shutil.rmtree(session.folder, ignore_errors=True)
