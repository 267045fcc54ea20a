"""Calling a function in processes of its own, so that a file on which a decoder hangs or crashes costs only itself."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch

from data.errors import MediaError

Input = TypeVar("Input")
Output = TypeVar("Output")

ATTEMPTS = 2
"""Calls before an input is given up: a file system may stall, and a process be killed for another's memory."""


class WorkerError(OSError):
    """Worker processes cannot be started."""


class Workers(Generic[Input, Output]):
    """Processes that call one function, each for a batch of inputs at a time; a context manager that ends them.

    Args:
        function: what is called, importable by name. It is given a batch and yields a result for each of its inputs,
            in order; a MediaError or OSError that it raises becomes the result of the input that it had come to, any
            other error is raised in this process.
        count: processes; 0 calls the function in this process, where nothing can stop a call that hangs.
        timeout: seconds without a result after which a call is given up and its process killed.
    """

    def __init__(
        self, function: Callable[[Sequence[Input]], Iterable[Output | MediaError]], count: int, timeout: float
    ) -> None:
        self._function = function
        self._count = count
        self._timeout = timeout
        # One thread waits for each process; it also receives results while this thread computes.
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(max(1, count))
        self._processes: list[_Process[Input, Output]] = []
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Workers[Input, Output]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)

    def map(self, batches: Iterable[Sequence[Input]]) -> Iterator[Output | MediaError]:
        """Yield the results of all inputs in their order, each as soon as it is there, or why there is none.

        Besides the batches that are being read, one waits.

        Raises:
            WorkerError: processes cannot be started.
        """
        if not self._count:
            for batch in batches:
                yield from _attempt(self._function, batch)
            return
        pending: deque[_Answers[Input, Output]] = deque()
        for batch in batches:
            answers: _Answers[Input, Output] = _Answers(batch)
            self._threads.submit(self._call, answers)
            pending.append(answers)
            if len(pending) > self._count:
                yield from pending.popleft()
        while pending:
            yield from pending.popleft()

    def _call(self, answers: _Answers[Input, Output]) -> None:
        """Have a batch read; an input at which the process is lost twice is given up, and the rest read on."""
        rest = list(answers.batch)
        attempts = 0
        try:
            while rest:
                process = self._process_of_thread()
                done, lost = process.ask(rest, self._timeout, answers.put)
                rest = rest[done:]
                if lost is None:
                    continue
                process.kill()
                attempts = 1 if done else attempts + 1
                if attempts == ATTEMPTS:
                    answers.put(MediaError(f"{lost}, {ATTEMPTS} times"))
                    rest = rest[1:]
                    attempts = 0
        except Exception as error:
            answers.put(_Raised(error))

    def _process_of_thread(self) -> _Process[Input, Output]:
        process: _Process[Input, Output] | None = getattr(self._own, "process", None)
        if process is None or not process.alive:
            with self._lock:
                if self._closed:
                    raise WorkerError("the worker processes were ended")
                process = self._own.process = _Process(self._function)
                self._processes.append(process)
            process.wait_until_ready()
        return process


@dataclass(frozen=True)
class _Raised:
    """An error that is to be raised where the results are asked for."""

    error: Exception


@dataclass
class _Answers(Generic[Input, Output]):
    """The results of a batch, which come one by one from another thread."""

    batch: Sequence[Input]
    _queue: queue.SimpleQueue[Output | MediaError | _Raised] = field(default_factory=queue.SimpleQueue)

    def put(self, answer: Output | MediaError | _Raised) -> None:
        """Hand over the next result."""
        self._queue.put(answer)

    def __iter__(self) -> Iterator[Output | MediaError]:
        for _ in self.batch:
            answer = self._queue.get()
            if isinstance(answer, _Raised):
                raise answer.error
            yield answer


class _Process(Generic[Input, Output]):
    """One process and the pipe to it."""

    def __init__(self, function: Callable[[Sequence[Input]], Iterable[Output | MediaError]]) -> None:
        # A fork of a process with threads or a GPU in use may hang; a fork server has neither, and starts in no time.
        context: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
        if sys.platform != "win32":
            context.set_forkserver_preload([__name__, function.__module__])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, theirs), daemon=True)
        with _no_interrupts():
            self._process.start()
        theirs.close()
        self.alive = True

    def wait_until_ready(self) -> None:
        """Wait until all is imported, which takes long where many processes read one file system.

        Raises:
            WorkerError: the process ended instead.
        """
        try:
            self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerError(f"a worker process does not start: it {self._how_it_ended()}") from error

    def ask(
        self, values: Sequence[Input], timeout: float, put: Callable[[Output | MediaError], None]
    ) -> tuple[int, str | None]:
        """Hand over results as they come; return how many came and, if not all did, what became of the process.

        Raises:
            Exception: whatever the function raised that says nothing of a file.
        """
        done = 0
        try:
            self._pipe.send(values)
            for _ in values:
                if not self._pipe.poll(timeout):
                    return done, f"reading it took more than {timeout:g} s"
                answer: Output | MediaError | _Raised = self._pipe.recv()
                if isinstance(answer, _Raised):
                    raise answer.error
                put(answer)
                done += 1
        except (EOFError, ConnectionError):
            return done, f"the process that read it {self._how_it_ended()}"
        return done, None

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self.alive = False
        self._process.kill()

    def _how_it_ended(self) -> str:
        self._process.join(10)
        code = self._process.exitcode or 0
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Within this context processes are started that Ctrl-C does not reach, not even while they import.

    They inherit which signals are blocked in the thread that starts them; so does the fork server.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(function: Callable[[Sequence[Input]], Iterable[Output | MediaError]], pipe: Connection) -> None:
    """Answer every batch that comes through the pipe until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for the answers
    torch.set_num_threads(1)
    pipe.send("ready")
    while True:
        try:
            values = pipe.recv()
        except EOFError:
            return
        try:
            for answer in _attempt(function, values):
                pipe.send(answer)
        except Exception as error:
            pipe.send(_Raised(error))


def _attempt(
    function: Callable[[Sequence[Input]], Iterable[Output | MediaError]], values: Sequence[Input]
) -> Iterator[Output | MediaError]:
    """Yield a result for each value; after an error that says why one cannot be read, go on with the next."""
    rest = values
    while rest:
        done = 0
        try:
            for answer in function(rest):
                done += 1
                yield answer
            return
        except MediaError as error:
            yield error
        except OSError as error:
            yield MediaError(f"it cannot be read: {error}")
        rest = rest[done + 1 :]
