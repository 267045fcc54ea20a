"""Work for the models: one thing at a time, seen while it is done, stopped by whoever asked, and never for too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Shown = TypeVar("Shown")
Result = TypeVar("Result")


class StoppedError(ValueError):
    """Somebody stopped what they had asked for, or it took too long; the message says which."""


class Job(Generic[Shown, Result]):
    """What somebody has asked for.

    Args:
        limit: seconds that it may take once it has begun.
        ended: is set when the app ends, and with it all work.
    """

    def __init__(self, limit: float, ended: threading.Event) -> None:
        self.limit = limit
        self._ended = ended
        self._until: float | None = None
        self._stopped = threading.Event()
        self._news = threading.Condition()
        self._shown: Shown | None = None
        self._future: Future[Result] | None = None

    def begin(self, pool: ThreadPoolExecutor, work: Callable[[Job[Shown, Result]], Result]) -> None:
        """Have the work done in a pool of one thread."""
        self._future = pool.submit(self._do, work)
        self._future.add_done_callback(self._wake)

    def check(self) -> None:
        """Be called now and then by the work.

        Raises:
            StoppedError: it is to end here.
        """
        if self._stopped.is_set() or self._ended.is_set():
            raise StoppedError("Stopped.")
        if self._until is not None and time.monotonic() > self._until:
            raise StoppedError(
                f"Given up after {self.limit:g} s: ask for less, or start the app with a longer --limit."
            )

    def show(self, what: Shown) -> None:
        """Let whoever asked see how far the work is; what was shown before and not seen is forgotten."""
        with self._news:
            self._shown = what
            self._news.notify_all()

    def stop(self) -> None:
        """End the work where it checks next."""
        self._stopped.set()

    def watch(self) -> Iterator[Shown]:
        """Yield what is shown, the newest where several were, until the work is done."""
        while True:
            with self._news:
                self._news.wait_for(lambda: self._shown is not None or self._done)
                shown, self._shown = self._shown, None
            if shown is None:
                return
            yield shown

    def result(self) -> Result:
        """Return what came of the work, when it is done.

        Raises:
            Exception: what the work raised; a `StoppedError` where it was stopped.
        """
        assert self._future is not None
        return self._future.result()

    @property
    def _done(self) -> bool:
        return self._future is not None and self._future.done()

    def _do(self, work: Callable[[Job[Shown, Result]], Result]) -> Result:
        self._until = time.monotonic() + self.limit
        self.check()
        return work(self)

    def _wake(self, _: Future[Result]) -> None:
        with self._news:
            self._news.notify_all()


class Worker:
    """The one thread that asks the models.

    Args:
        limit: seconds that each job may take.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="models")

    def start(self, work: Callable[[Job[Shown, Result]], Result]) -> Job[Shown, Result]:
        """Have work done after what was asked for before."""
        job: Job[Shown, Result] = Job(self.limit, self._ended)
        job.begin(self._pool, work)
        return job

    def close(self) -> None:
        """Take nothing more, and end what is being done: the process waits for this thread."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
