"""Do several processes learn what one learns, however they share a GPT, and do others go on where they were stopped?

    python benchmarks/processes.py

Tiny GPTs are trained on CPU processes that meet through gloo: by one, and by two and four that hold the whole model
(DDP), share it among all (`--shard full`) or among the two of what passes for a node (`--shard node`, 2x2). Losses of
all steps and validations are compared with those of one process in the same precision, those in bf16 also with fp32.
Then SIGTERM stops a 2x2 run in the middle, and two processes, or one on each of four nodes, go on: the samples that
were read, in their order, have the hash of a run by one process. It ends with code 1 where a loss is further away than
1e-5 (2e-3 in bf16), or a hash differs.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from data.tokens import StoreMetadata, TokenItem, write_shard, write_store
from gpt import train as gpt
from gpt.options import TrainOptions
from sampling.watch import train_and_watch
from storage.places import list_checkpoints
from training import loop
from training.order import DataOrder, SampleIndex

STEPS = 20
LIMIT = {"fp32": 1e-5, "bf16": 2e-3}
GRID = (2, 4, 4)
VOCABULARY = 64
MODEL = {"layers": 2, "heads": 2, "width": 32}
SCHEDULE = {"steps": STEPS, "batch": 8, "warmup": 2, "learning_rate": 3e-3, "log_every": 1, "save_every": STEPS // 2}


@dataclass(frozen=True)
class Way:
    """How many processes train, and what they share."""

    processes: int
    per_node: int
    shard: str

    def __str__(self) -> str:
        method = {"none": "DDP", "full": "--shard full", "node": "--shard node"}[self.shard]
        return "1 process" if self.processes == 1 else f"{self.processes // self.per_node}x{self.per_node} {method}"


ONE = Way(1, 1, "none")
HYBRID = Way(4, 2, "node")
WAYS = (Way(2, 2, "none"), Way(2, 2, "full"), Way(4, 4, "none"), Way(4, 4, "full"), HYBRID)
CONTINUING = (Way(2, 2, "full"), Way(4, 1, "full"))


def main() -> None:
    """Print a table, and end with code 1 where a line of it says so."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = make_store(folder / "store")
        all_good = True
        for line, good in chain(compared(store, folder), continued(store, folder)):
            print(line, flush=True)
            all_good = all_good and good
    sys.exit(0 if all_good else 1)


def make_store(folder: Path) -> Path:
    """Write tokens that follow one another by a rule, from starts of their own: a GPT learns it."""
    folder.mkdir()
    metadata = StoreMetadata(GRID, VOCABULARY, "", 8.0, 8, 16)
    starts = torch.randint(VOCABULARY, (40, 1), generator=torch.Generator().manual_seed(0))
    grids = ((starts + 3 * torch.arange(32)) % VOCABULARY).view(-1, *GRID)
    items = [TokenItem(f"{n}.mp4", 0.0, "train" if n < 32 else "validation") for n in range(40)]
    write_store(folder, metadata, [write_shard(folder, 0, metadata, grids)], items)
    return folder


def compared(store: Path, folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield a line for every way and precision, and whether it is as it should be."""
    for precision, limit in LIMIT.items():
        finish(start(ONE, store, folder / f"{precision} one", precision=precision))
        one = losses(folder / f"{precision} one")
        for way in WAYS:
            run = folder / f"{precision} {way}"
            finish(start(way, store, run, precision=precision))
            apart = difference(one, losses(run))
            exact = difference(losses(folder / "fp32 one"), losses(run))
            good = max(apart, exact) <= limit
            yield f"{way!s:20s} {precision}  {apart:.1e} from one process, {exact:.1e} from fp32  {verdict(good)}", good


def continued(store: Path, folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield a line for every way to go on where four processes were stopped, and whether it is as it should be."""
    finish(start(ONE, store, folder / "whole", folder / "whole read"))
    for way in CONTINUING:
        run, read = folder / f"stopped {way}", folder / f"stopped {way} read"
        stopped = start(HYBRID, store, run, read)
        while len(losses(run)) < STEPS // 4:
            time.sleep(0.001)
        os.kill(stopped[0].pid or 0, signal.SIGTERM)
        finish(stopped)
        done = int(list_checkpoints(run)[-1].name)
        finish(start(way, store, run, read, resume="auto"))
        apart = difference(losses(folder / "whole"), losses(run))
        same = order_read(read) == order_read(folder / "whole read")
        good = apart <= LIMIT["fp32"] and same and done < STEPS
        said = f"samples {order_read(read)[:12]}, {'the same' if same else 'others'}"
        yield (
            f"2x2, then {way!s:16s} stopped after step {done}: {apart:.1e} from one process; {said}  {verdict(good)}",
            good,
        )


def start(way: Way, store: Path, run: Path, read: Path | None = None, **options: Any) -> list[BaseProcess]:
    """Start the processes of a training, which note what they read."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chosen = {**MODEL, **SCHEDULE, "tokens": store, "out": run, "shard": way.shard, **options}
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": way.processes}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sampling.watch"])
    started: list[BaseProcess] = []
    for rank in range(way.processes):
        own = {"RANK": rank, "LOCAL_RANK": rank % way.per_node, "LOCAL_WORLD_SIZE": way.per_node}
        environment = {name: str(value) for name, value in {**together, **own}.items()}
        process = context.Process(target=work, args=(chosen, environment if way.processes > 1 else {}, read))
        process.start()
        started.append(process)
    return started


def work(options: dict[str, Any], environment: dict[str, str], read: Path | None) -> None:
    """Train in this process."""
    os.environ.update({"ACCELERATE_USE_CPU": "true", **environment})
    torch.set_num_threads(1)
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    if read is not None:
        make_order = loop.make_order
        gpt.__dict__["make_order"] = lambda *arguments: Noted(**vars(make_order(*arguments)), folder=read)
    train_and_watch(TrainOptions.of(**options))


@dataclass(frozen=True)
class Noted(DataOrder):
    """An order that notes what is read in a file of its own."""

    folder: Path = Path()

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{self.first_step}-{self.rank}").open("w", buffering=1) as file:
            for step, samples in enumerate(super().__iter__(), start=self.first_step):
                for place, sample in enumerate(samples, start=self.rank * len(samples)):
                    file.write(json.dumps([step, place, sample.index, sample.seed]) + "\n")
                yield samples


def order_read(folder: Path) -> str:
    """Return a hash of what all processes read, in the order of the steps; a sample read twice counts once."""
    lines = {line for file in folder.iterdir() for line in file.read_text().splitlines()}
    return hashlib.sha256(json.dumps(sorted(json.loads(line) for line in lines)).encode()).hexdigest()


def finish(processes: list[BaseProcess]) -> None:
    """Wait for processes, which must end well."""
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f"processes ended with {[process.exitcode for process in processes]}")


def losses(run: Path) -> list[float]:
    """Return the losses of a run, of steps and validations, that are written down until now."""
    path = run / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [line[name] for line in found for name in ("loss", "validation_nll") if name in line]


def difference(first: list[float], second: list[float]) -> float:
    """Return by how much two runs differ at most, which must have gone as far."""
    return max(abs(one - other) for one, other in zip(first, second, strict=True))


def verdict(good: bool) -> str:
    """Return a word for people."""
    return "good" if good else "BAD"


if __name__ == "__main__":
    main()
