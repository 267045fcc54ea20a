"""How long help takes in this checkout and in another, both in one run, in turn.

python benchmarks/startup.py ../before
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

COMMANDS = (("--help",), ("gpt", "train", "--help"))


@dataclass(frozen=True)
class Options:
    """Time help in this checkout and in another."""

    other: Annotated[Path, tyro.conf.Positional]
    """The other checkout."""
    rounds: int = 15
    """How often, each of them."""


def main(options: Options) -> None:
    """Print the medians and their ratio for each command."""
    here = Path(__file__).resolve().parents[1]
    checkouts = (options.other.resolve(), here)
    for words in COMMANDS:
        for checkout in checkouts:
            start(checkout, words)  # once for the caches
        rounds = [[start(checkout, words) for checkout in checkouts] for _ in range(options.rounds)]
        other, this = (statistics.median(each) for each in zip(*rounds, strict=True))
        ratio = statistics.median(second / first for first, second in rounds)
        print(f"secondsight {' '.join(words)}: {this:.3f} s against {other:.3f} s, ratio {ratio:.2f}")


def start(checkout: Path, words: tuple[str, ...]) -> float:
    """Return the seconds of processor that a command takes in a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    before = _computed()
    subprocess.run(
        [sys.executable, str(checkout / "secondsight.py"), *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return _computed() - before


def _computed() -> float:
    """Return the seconds of processor that processes which were started and are done have had."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(tyro.cli(Options))
