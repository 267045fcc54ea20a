"""Trains tiny models in processes of their own, which tests start several of, or kill.

The processes are forked from one that has imported everything, so that each costs no more than it computes. Only what
must be started by a launcher is run as a program:

    python trainer.py '[{"kind": "gpt", "options": {"tokens": ..., "out": ...}}]'
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState, GradientState
from tiny import GPT_SHORT, SHORT

from gpt import train as gpt
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.watch import train_and_watch
from storage.config_file import values_of
from training import writing
from training.order import DataOrder, SampleIndex
from vqgan import train as tokenizer
from vqgan.options import TrainOptions as TokenizerTrainOptions

TESTS = Path(__file__).parent
CPU = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(TESTS)}
SCHEDULE = {"steps": 6, "batch": 4, "warmup": 1, "log_every": 1, "save_every": 3}
GPT = {**GPT_SHORT.flat(), **SCHEDULE}
TOKENIZER = {
    **replace(SHORT, codes=256).flat(),
    **SCHEDULE,
    "continuous_steps": 1,
    "learning_rate": 3e-3,
    "adversarial_weight": 0.5,
    "adversarial_start": 2,
    "adversarial_ramp": 2,
    "discriminator_width": 4,
    "discriminator_layers": 2,
}
SPECIAL = {
    "sharded": False,
    "backend": None,
    "read": None,
    "save_seconds": 0,
    "step_seconds": 0,
    "hold": None,
    "hold_after": 1,
    "hold_saving": None,
    "broken": None,
    "scan_seconds": 0,
    "timeout": None,
}
Job = dict[str, Any]


def job(kind: str, data: Path, out: Path, **options: Any) -> Job:
    """What one training is asked to do.

    Besides options of the trainer there are `sharded`, which is `shard="full"`, `backend`, a quick one in place of the
    compiler that `compile` asks for, `read`, a folder for what every process read (see `read_by`), `save_seconds`,
    which writing the moments of a checkpoint lasts at least, `step_seconds`, which a step does, `scan_seconds`, which
    looking at the data does, `timeout`, the seconds after which operations of the processes together fail, and
    `broken`, the process whose losses are not finite. While the file `hold` is there no step begins after the first
    `hold_after`, and while `hold_saving` is, nothing is saved: what another process does meanwhile may take as long as
    it likes.
    """
    own = {**GPT, "tokens": str(data)} if kind == "gpt" else {**TOKENIZER, "data": str(data)}
    chosen = {key: options.pop(key, value) for key, value in SPECIAL.items()}
    if chosen["sharded"]:
        own["shard"] = "full"
    return {"kind": kind, "options": {**own, "out": str(out), **options}, **chosen}


def start_server() -> None:
    """Start the server that forks processes, if it does not run yet, with everything imported that trainers need.

    `conftest.py` calls it before the first test: readers of videos, too, would start the server, and with less.
    """
    multiprocessing.set_forkserver_preload(["trainer"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(TESTS))  # where the server finds this file
        forkserver.ensure_running()


class Trainer:
    """A process that does jobs one after another.

    Args:
        jobs: what to do.
        log: file for what it says.
        environment: further variables.
    """

    def __init__(self, jobs: list[Job], log: Path, **environment: str) -> None:
        self.log = log
        start_server()
        context = multiprocessing.get_context("forkserver")
        self.process: BaseProcess = context.Process(target=_work, args=(jobs, log, {**CPU, **environment}))
        self.process.start()

    def said(self) -> str:
        """What was said until now."""
        return self.log.read_text() if self.log.exists() else ""

    def send(self, number: int) -> None:
        """Send a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 200) -> bool:
        """Wait until `condition` holds, and return True, or until the process has ended."""
        until = time.monotonic() + seconds
        while not condition():
            if not self.process.is_alive():
                return False
            assert time.monotonic() < until, f"waited too long: {self.log.read_text()}"
            time.sleep(0.002)
        return True

    def end(self, seconds: float = 200) -> int | None:
        """Wait for the end and return the exit code, -9 after a kill, which ends those that take too long."""
        self.process.join(seconds)
        self.process.kill()
        self.process.join()
        return self.process.exitcode

    def finish(self) -> str:
        """Wait for the end, which must be a good one, and return what was said."""
        assert self.end() == 0, self.log.read_text()
        return self.log.read_text()


def start(
    processes: int, jobs: list[Job], log: Path, per_node: int | None = None, others: list[Job] | None = None
) -> list[Trainer]:
    """Start processes that train together.

    Args:
        processes: how many.
        jobs: what they do.
        log: file for what they say; each has one of its own, with its number for a suffix.
        per_node: so many of them are on each of what pass for nodes; by default all are on one.
        others: what all but the first do, by default the same.
    """
    local = per_node or processes
    together = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(local),
    }
    return [
        Trainer(
            others if rank and others else jobs,
            log.with_suffix(f".{rank}"),
            **together,
            RANK=str(rank),
            LOCAL_RANK=str(rank % local),
        )
        for rank in range(processes)
    ]


def start_two(jobs: list[Job], log: Path, others: list[Job] | None = None) -> list[Trainer]:
    """Start two processes that train together; see `start`."""
    return start(2, jobs, log, others=others)


PORTS = itertools.count(20_000 + os.getpid() % 100 * 100)
"""Below those that systems give to connections, and others for each process that runs tests."""


def free_port() -> int:
    """Return a port on which nobody listens, and which nobody is given before it is used."""
    for port in PORTS:
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("ports do not end")


def metrics(run: Path) -> list[dict[str, float]]:
    """The lines of a run's metrics.jsonl that are complete."""
    path = run / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def do(jobs: list[Job]) -> None:
    """Do the jobs in this process."""
    torch.set_num_threads(1)
    for job in jobs:
        AcceleratorState._reset_state()
        GradientState._reset_state()
        if job["timeout"] is not None:
            PartialState(cpu=True, timeout=timedelta(seconds=job["timeout"]))
        if job["backend"] is not None:
            torch.compile = compiled_by(job["backend"])
        writing.save_tensors = held(delayed(writing.save_tensors, job["save_seconds"]), job["hold_saving"])
        if job["kind"] == "gpt":
            gpt.seed_step = slow_step(gpt.seed_step, job)
            if job["read"]:
                gpt.make_order = noted(gpt.make_order, Path(job["read"]))
            if job["broken"] == int(os.environ.get("RANK", 0)):
                gpt.train_step = not_finite(gpt.train_step)
            train_and_watch(GPTTrainOptions.of(**values_of(job["options"], GPTTrainOptions)))
        else:
            tokenizer.find_items = delayed(tokenizer.find_items, job["scan_seconds"])
            tokenizer.random_crop = slow_step(tokenizer.random_crop, job)
            tokenizer.train(TokenizerTrainOptions.of(**values_of(job["options"], TokenizerTrainOptions)))


def compiled_by(backend: str) -> Callable[..., Any]:
    """`torch.compile` with another backend than it is called with."""
    compile = torch.compile
    return lambda model, **options: compile(model, **{**options, "backend": backend, "mode": None})


def noted(make_order: Callable[..., DataOrder], folder: Path) -> Callable[..., DataOrder]:
    """The same function, whose orders note what this process reads in a file of its own."""

    def later(*arguments: Any) -> DataOrder:
        folder.mkdir(parents=True, exist_ok=True)
        order = make_order(*arguments)
        return NotedOrder(**vars(order), path=folder / f"{order.first_step}-{order.rank}")

    return later


@dataclass(frozen=True)
class NotedOrder(DataOrder):
    """An order that notes what is read."""

    path: Path = Path()

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        with self.path.open("w", buffering=1) as file:
            for step, samples in enumerate(super().__iter__(), start=self.first_step):
                for place, sample in enumerate(samples, start=self.rank * len(samples)):
                    file.write(json.dumps([step, place, sample.index, sample.seed]) + "\n")
                yield samples


def read_by(folder: Path) -> str:
    """Return a hash of what all processes read into the notes of a folder, in the order of the steps."""
    lines = {line for file in folder.iterdir() for line in file.read_text().splitlines()}
    ordered = sorted(json.loads(line) for line in lines)
    return hashlib.sha256(json.dumps(ordered).encode()).hexdigest()


def slow_step(function: Callable[..., Any], job: Job) -> Callable[..., Any]:
    """The same function, which is called once a step, as slow as the job asks."""
    return held(delayed(function, job["step_seconds"]), job["hold"], job["hold_after"])


def delayed(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """The same function, not before some time has passed."""

    def later(*arguments: Any, **options: Any) -> Any:
        time.sleep(seconds)
        return function(*arguments, **options)

    return later


def held(function: Callable[..., Any], hold: str | None, after: int = 0) -> Callable[..., Any]:
    """The same function, but for the first calls not while the file is there."""
    calls = itertools.count()

    def later(*arguments: Any, **options: Any) -> Any:
        held_now = next(calls) >= after
        while held_now and hold is not None and Path(hold).exists():
            time.sleep(0.01)
        return function(*arguments, **options)

    return later


def not_finite(step: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The same step, but of its loss nothing is known."""
    return lambda *arguments: step(*arguments) * torch.nan


def _work(jobs: list[Job], log: Path, environment: dict[str, str]) -> None:
    """Do the jobs in a process that was forked for them."""
    os.environ.update(environment)
    # The fork server may have been started by readers of videos, which Ctrl-C is not to reach.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with log.open("w", buffering=1) as sys.stderr:
        try:
            do(jobs)
        except Exception:
            traceback.print_exc()
            sys.exit(1)


if __name__ == "__main__":
    do(json.loads(sys.argv[1]))
