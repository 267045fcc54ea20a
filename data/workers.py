"""Calling a function in processes of its own, so that a file on which a decoder hangs or crashes costs only itself."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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
    """Processes that call one function, each for one input at a time; a context manager that ends them.

    Args:
        function: what is called, importable by name; a MediaError or OSError that it raises becomes a result, any
            other error is raised in this process.
        count: processes; 0 calls the function in this process, where nothing can stop a call that hangs.
        timeout: seconds after which a call is given up and its process killed.
    """

    def __init__(self, function: Callable[[Input], Output], count: int, timeout: float) -> None:
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

    def map(self, inputs: Iterable[Input], ahead: int) -> Iterator[Output | MediaError]:
        """Yield the result of each input in their order, or why there is none.

        Args:
            inputs: any number.
            ahead: calls that may be under way or done before their results are asked for.

        Raises:
            WorkerError: processes cannot be started.
        """
        if not self._count:
            yield from (_attempt(self._function, value) for value in inputs)
            return
        pending: deque[Future[Output | MediaError]] = deque()
        for value in inputs:
            pending.append(self._threads.submit(self._call, value))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _call(self, value: Input) -> Output | MediaError:
        for _ in range(ATTEMPTS):
            process = self._process_of_thread()
            answer = process.ask(value, self._timeout)
            if not isinstance(answer, _Lost):
                break
            process.kill()
        if isinstance(answer, _Lost):
            return MediaError(f"{answer.reason}, {ATTEMPTS} times")
        if isinstance(answer, Exception) and not isinstance(answer, MediaError):
            raise answer
        return answer

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
class _Lost:
    """A process gave no answer."""

    reason: str


class _Process(Generic[Input, Output]):
    """One process and the pipe to it."""

    def __init__(self, function: Callable[[Input], Output]) -> None:
        # A fork of a process with threads or a GPU in use may hang; a fork server has neither, and starts in no time.
        context: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
        if sys.platform != "win32":
            context.set_forkserver_preload([__name__, function.__module__])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, theirs), daemon=True)
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

    def ask(self, value: Input, timeout: float) -> Output | Exception | _Lost:
        """Return the function's result, the error that it raised, or a `_Lost` if there is no answer."""
        try:
            self._pipe.send(value)
            if not self._pipe.poll(timeout):
                return _Lost(f"reading it took more than {timeout:g} s")
            answer: Output | Exception = self._pipe.recv()
        except (EOFError, OSError):
            return _Lost(f"the process that read it {self._how_it_ended()}")
        return answer

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self.alive = False
        self._process.kill()

    def _how_it_ended(self) -> str:
        self._process.join(10)
        code = self._process.exitcode or 0
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _serve(function: Callable[[Input], Output], pipe: Connection) -> None:
    """Answers every input that comes through the pipe until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for the answers
    torch.set_num_threads(1)
    pipe.send("ready")
    while True:
        try:
            value = pipe.recv()
        except EOFError:
            return
        try:
            answer: Output | Exception = _attempt(function, value)
        except Exception as error:
            answer = error
        pipe.send(answer)


def _attempt(function: Callable[[Input], Output], value: Input) -> Output | MediaError:
    try:
        return function(value)
    except MediaError as error:
        return error
    except OSError as error:
        return MediaError(f"it cannot be read: {error}")
