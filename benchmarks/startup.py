"""What does `--help` cost in this checkout, against another one?

    python benchmarks/startup.py OTHER_CHECKOUT [--runs 15]

Both are started in turn in processes of their own. The times are those of the whole process: seconds on the clock, and
seconds of computing, which depend less on what else the machine does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

HERE = Path(__file__).resolve().parents[1]
COMMANDS = (("--help",), ("gpt", "train", "--help"))
START = "import secondsight, sys; assert secondsight.__file__.startswith(sys.argv.pop(1)); secondsight.main()"


@dataclass(frozen=True)
class Options:
    """Time the start of this checkout against another one."""

    other: Annotated[Path, tyro.conf.Positional]
    """Folder of the other checkout."""
    runs: int = 15
    """Timed starts of each; the median counts."""


class Seconds(NamedTuple):
    """What a start takes."""

    clock: float
    computing: float


def main(options: Options) -> None:
    """Time both in turn, and print medians and ratios."""
    print(f"{'':32s} {'here':>10s} {'other':>10s} {'ratio':>8s}")
    for words in COMMANDS:
        here, other = _medians(words, (HERE, options.other.resolve()), options.runs)
        for kind in Seconds._fields:
            mine = getattr(here, kind)
            theirs = getattr(other, kind)
            name = f"{' '.join(words)}, {kind}"
            print(f"{name:32s} {mine:8.3f} s {theirs:8.3f} s {mine / theirs:8.2f}")


def _medians(words: tuple[str, ...], checkouts: tuple[Path, ...], runs: int) -> list[Seconds]:
    """Return the medians of each checkout, after one round that does not count."""
    rounds = [[_start(words, checkout) for checkout in checkouts] for _ in range(runs + 1)][1:]
    return [
        Seconds(
            clock=statistics.median(of_one.clock for of_one in starts),
            computing=statistics.median(of_one.computing for of_one in starts),
        )
        for starts in zip(*rounds, strict=True)
    ]


def _start(words: tuple[str, ...], checkout: Path) -> Seconds:
    before = _computed()
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", START, str(checkout), *words],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return Seconds(clock=time.perf_counter() - began, computing=_computed() - before)


def _computed() -> float:
    """Return the seconds that processes which were started and are done have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(tyro.cli(Options))
