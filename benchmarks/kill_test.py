"""Kill a training again and again, resume it until it is done, and compare it with one that nothing stopped.

    python benchmarks/kill_test.py --kills 20

Every kill is a SIGKILL at a random moment after the process began to train, every third one while a checkpoint is
being written. It ends with code 1 unless the final weights and the metrics are the same, bit for bit.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from data.tokens import StoreMetadata, TokenItem, write_shard, write_store

STEPS = 400
FILES = ("final/model.safetensors", "metrics.jsonl")


@dataclass(frozen=True)
class Options:
    """Kill a training again and again, and compare what it ends with."""

    kills: int = 20
    """How often."""
    seed: int = 0
    """Seed of the moments."""


def main(options: Options) -> None:
    """Train once undisturbed and once with kills, say what happened, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = make_store(folder / "store")
        began = time.monotonic()
        assert start(store, folder / "whole").wait() == 0
        print(f"undisturbed: {STEPS} steps in {time.monotonic() - began:.0f} s")
        moments = random.Random(options.seed)
        happened = [kill(store, folder / "killed", moments, number) for number in range(options.kills)]
        code = start(store, folder / "killed").wait()
        same = [(folder / "whole" / file).read_bytes() == (folder / "killed" / file).read_bytes() for file in FILES]
    print(f"{sum(happened)} of {options.kills} kills fell into the writing of a checkpoint; then it ended with {code}")
    for file, equal in zip(FILES, same, strict=True):
        print(f"{file}: {'the same bits' if equal else 'DIFFERENT'}")
    sys.exit(0 if all(same) else 1)


def make_store(folder: Path, items: int = 50) -> Path:
    """Write random token grids."""
    metadata = StoreMetadata((2, 8, 8), 64, "", 8.0, 8, 64)
    grids = torch.randint(64, (items, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    listed = [TokenItem(f"film_{n}", 0.0, "validation" if n % 10 == 0 else "train") for n in range(items)]
    write_store(folder, metadata, [write_shard(folder, 0, metadata, grids)], listed)
    return folder


def start(store: Path, run: Path) -> subprocess.Popen[bytes]:
    """Start the training, or go on with it."""
    command = [Path(sys.executable).with_name("secondsight"), "gpt", "train"]
    command += ["--tokens", str(store), "--out", str(run), "--preset", "demo", "--dropout", "0.1"]
    command += ["--steps", str(STEPS), "--batch", "4", "--save-every", "7", "--log-every", "1", "--resume", "auto"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def kill(store: Path, run: Path, moments: random.Random, number: int) -> bool:
    """Kill the training some time after it went on; return whether a checkpoint was being written then."""
    began = time.time()
    process = start(store, run)
    before = lines(run)
    wait_for(lambda: lines(run) not in (before, 0), process)
    time.sleep(moments.random())
    if number % 3 == 2:
        wait_for(lambda: writing(run, began), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    caught = writing(run, began)
    saved = sorted(path.name for path in (run / "checkpoints").glob("*"))
    moment = "while saving" if caught else "between savings"
    print(f"kill {number + 1} {moment}, after {lines(run)} lines of metrics; there are {', '.join(saved) or 'none'}")
    return caught


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until `condition` holds; the training must not end before."""
    while not condition():
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.0005)


def lines(run: Path) -> int:
    """Return how many lines of metrics there are."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def writing(run: Path, began: float) -> bool:
    """Return whether the process that began then is writing a checkpoint, or was when it was killed."""
    try:
        return any(path.stat().st_mtime > began for path in (run / "checkpoints").glob("*.tmp"))
    except FileNotFoundError:  # renamed since it was listed
        return False


if __name__ == "__main__":
    main(tyro.cli(Options))
