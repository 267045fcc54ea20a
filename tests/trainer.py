"""Trains tiny models in processes of their own, which tests start several of, or kill.

The processes are forked from one that has imported everything, so that each costs no more than it computes. Only what
must be started by a launcher is run as a program:

    python trainer.py '[{"kind": "gpt", "options": {"tokens": ..., "out": ...}}]'
"""

import itertools
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType, PartialState
from accelerate.state import AcceleratorState, GradientState
from tiny import GPT_SHORT, SHORT

from gpt import train as gpt
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.watch import train_and_watch
from storage.config_file import values_of
from training import state
from vqgan import train as tokenizer
from vqgan.options import TrainOptions as TokenizerTrainOptions

TESTS = Path(__file__).parent
CPU = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(TESTS)}
SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "Block",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
}
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

    Besides options of the trainer there are `sharded`, `save_seconds`, which writing the moments of a checkpoint lasts
    at least, `step_seconds`, which a step does, `scan_seconds`, which looking at the data does, `timeout`, the seconds
    after which operations of the processes together fail, and `broken`, the process whose losses are not finite. While
    the file `hold` is there no step begins after the first `hold_after`, and while `hold_saving` is, nothing is saved:
    what another process does meanwhile may take as long as it likes.
    """
    own = {**GPT, "tokens": str(data)} if kind == "gpt" else {**TOKENIZER, "data": str(data)}
    chosen = {key: options.pop(key, value) for key, value in SPECIAL.items()}
    return {"kind": kind, "options": {**own, "out": str(out), **options}, **chosen}


class Trainer:
    """A process that does jobs one after another.

    Args:
        jobs: what to do.
        log: file for what it says.
        environment: further variables.
    """

    def __init__(self, jobs: list[Job], log: Path, **environment: str) -> None:
        self.log = log
        os.environ["PYTHONPATH"] = str(TESTS)  # where the process that is forked finds this file
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["trainer"])
        self.process: BaseProcess = context.Process(target=_work, args=(jobs, log, {**CPU, **environment}))
        self.process.start()
        del os.environ["PYTHONPATH"]

    def said(self) -> str:
        """What was said until now."""
        return self.log.read_text() if self.log.exists() else ""

    def send(self, number: int) -> None:
        """Send a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> bool:
        """Wait until `condition` holds, and return True, or until the process has ended."""
        until = time.monotonic() + seconds
        while not condition():
            if not self.process.is_alive():
                return False
            assert time.monotonic() < until, f"waited too long: {self.log.read_text()}"
            time.sleep(0.002)
        return True

    def end(self, seconds: float = 60) -> int | None:
        """Wait for the end and return the exit code, -9 after a kill, which ends those that take too long."""
        self.process.join(seconds)
        self.process.kill()
        self.process.join()
        return self.process.exitcode

    def finish(self) -> str:
        """Wait for the end, which must be a good one, and return what was said."""
        assert self.end() == 0, self.log.read_text()
        return self.log.read_text()


def start_two(jobs: list[Job], log: Path, others: list[Job] | None = None) -> list[Trainer]:
    """Start two processes that train together; the second may have other jobs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    return [
        Trainer(
            others if rank and others else jobs,
            log.with_suffix(f".{rank}"),
            **together,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
        )
        for rank in range(2)
    ]


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
        shard(job["sharded"])
        state.save_tensors = held(delayed(state.save_tensors, job["save_seconds"]), job["hold_saving"])
        if job["kind"] == "gpt":
            gpt.seed_step = slow_step(gpt.seed_step, job)
            if job["broken"] == int(os.environ.get("RANK", 0)):
                gpt.train_step = not_finite(gpt.train_step)
            train_and_watch(GPTTrainOptions.of(**values_of(job["options"], GPTTrainOptions)))
        else:
            tokenizer.find_items = delayed(tokenizer.find_items, job["scan_seconds"])
            tokenizer.random_crop = slow_step(tokenizer.random_crop, job)
            tokenizer.train(TokenizerTrainOptions.of(**values_of(job["options"], TokenizerTrainOptions)))


def shard(wanted: bool) -> None:
    """Have accelerate shard models, or not. It does so on GPUs alone, so processes on CPUs pass for such."""
    if wanted:
        os.environ.update(SHARDED)
        PartialState(cpu=True)
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


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
