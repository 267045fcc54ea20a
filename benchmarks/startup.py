"""How long help, errors and the first picture take in this checkout and in another, all in one run, in turn.

python benchmarks/startup.py ../before
python benchmarks/startup.py ../before --demo DEMO

The first picture is that of a model that is there: of a finished `secondsight demo --out DEMO`, one continuation of one
clip at temperature 0, from the beginning of the command until the first file under `items/` is there. All figures are
seconds of processor, of this process's children: other programs that run beside them change little.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

HELP = (("--help",), ("gpt", "train", "--help"))
ERRORS = (
    ("complete", "--gpt", "nowhere", "--tokenizer", "nowhere", "--input", "nowhere", "--out", "new"),
    ("gpt", "train", "--tokens", "nowhere", "--out", "new"),
    ("vqgan", "encode", "--tokenizer", "nowhere", "--data", "nowhere", "--out", "new"),
)
"""Commands with a wrong path."""
POLL = 0.005
"""Seconds between two looks for the first picture."""


@dataclass(frozen=True)
class Options:
    """Time the beginning of commands in this checkout and in another."""

    other: Annotated[Path, tyro.conf.Positional]
    """The other checkout."""
    rounds: int = 7
    """How often, each of them."""
    demo: Path | None = None
    """Folder of a finished demo, whose models make a picture."""


def main(options: Options) -> None:
    """Print the medians and their ratio for each command."""
    here = Path(__file__).resolve().parents[1]
    checkouts = (options.other.resolve(), here)
    for words in HELP:
        compare(checkouts, options.rounds, words, lambda checkout, words=words: start(checkout, words, 0))
    for words in ERRORS:
        compare(checkouts, options.rounds, words, lambda checkout, words=words: start(checkout, words, 1))
    compare(checkouts, options.rounds, ("import torch alone",), import_torch)
    if options.demo is not None:
        demo = options.demo.resolve()
        compare(checkouts, options.rounds, ("complete, first picture",), lambda checkout: first_picture(checkout, demo))


def compare(checkouts: Sequence[Path], rounds: int, words: Sequence[str], measure: Callable[[Path], float]) -> None:
    """Print what a measurement takes in both checkouts, in turn, after once for the caches."""
    for checkout in checkouts:
        measure(checkout)
    measured = [[measure(checkout) for checkout in checkouts] for _ in range(rounds)]
    other, this = (statistics.median(each) for each in zip(*measured, strict=True))
    ratio = statistics.median(second / first for first, second in measured)
    print(f"{' '.join(words)}: {this:.3f} s against {other:.3f} s, ratio {ratio:.2f}", flush=True)


def start(checkout: Path, words: Sequence[str], code: int) -> float:
    """Return the seconds of processor that a command takes in a checkout, which must end with an exit code."""
    before = _computed()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(_command(checkout, words), env=_environment(checkout), cwd=folder, **SILENT)
    if done.returncode != code:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode} in {checkout}, not with {code}")
    return _computed() - before


def import_torch(checkout: Path) -> float:
    """Return the seconds of processor that torch takes alone, in whichever checkout."""
    before = _computed()
    subprocess.run([sys.executable, "-c", "import torch"], env=_environment(checkout), check=True)
    return _computed() - before


def first_picture(checkout: Path, demo: Path) -> float:
    """Return the seconds of processor from the beginning of `complete` until its first picture is there."""
    clip = min((demo / "playroom" / "clips").rglob("*.mp4"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "completions"
        models = ["--gpt", demo / "gpt", "--tokenizer", demo / "tokenizer", "--input", clip]
        words = ["complete", *map(str, models), "--n", "1", "--items", "1", "--temperature", "0", "--out", str(out)]
        before = _computed()
        process = subprocess.Popen(_command(checkout, words), env=_environment(checkout), **SILENT)
        while not any((out / "items").glob("item_*")):
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(words)} ended with {process.returncode} in {checkout}, without a picture")
            time.sleep(POLL)
        process.kill()
        process.wait()
        return _computed() - before


SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _command(checkout: Path, words: Sequence[str]) -> list[str]:
    return [sys.executable, str(checkout / "secondsight.py"), *words]


def _environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(checkout)}


def _computed() -> float:
    """Return the seconds of processor that processes which were started and are done have had."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(tyro.cli(Options))
