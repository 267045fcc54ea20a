"""How much slower is sampling beside a process that keeps a processor busy, and what does making room cost alone?

    python benchmarks/beside_a_busy_process.py                                      12 layers, 768 wide, 128 -> 256
    python benchmarks/beside_a_busy_process.py --layers 6 --given 32 --length 64 --rounds 3

Three sides, each in a fresh process for every reading, alone and beside the busy process, in turn: threads that spin
while they wait for one another (as GNU OpenMP has it), one thread, and threads that make room (`storage/threads.py`).
Nothing else may run on the machine: what does is a busy process, too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import tyro

from storage.threads import making_room

BUSY = "while True: pass"
CHILD = "BESIDE_A_BUSY_PROCESS"
"""The environment variable by which a process knows that it is to take a reading, and of which side."""
SIDES = ("spinning", "one thread", "making room")
PLACES = ("alone", "beside")


@dataclass(frozen=True)
class Options:
    """Size of the model and of the task."""

    layers: int = 12
    """Transformer blocks."""
    heads: int = 12
    """Attention heads."""
    width: int = 768
    """Width of the residual stream."""
    vocabulary: int = 16384
    """Codes."""
    given: int = 128
    """Tokens of the prompt."""
    length: int = 256
    """Tokens of the result, prompt included."""
    n: int = 6
    """Continuations of the prompt."""
    rounds: int = 5
    """Readings of every side at both places; the median counts."""


def reading(options: Options) -> float:
    """Return the seconds that sampling takes in this process, packing of the weights included."""
    import torch

    from gpt.config import GPTConfig
    from gpt.model import GPT
    from sampling.decode import FREE, sample

    torch.manual_seed(0)
    side = round(options.length**0.5)
    grid = (1, side, -(-options.length // side))
    config = GPTConfig(
        layers=options.layers, heads=options.heads, width=options.width, grid=grid, vocab_size=options.vocabulary
    )
    gpt = GPT(config).eval()
    given = torch.randint(options.vocabulary, (1, options.length))
    given[:, options.given :] = FREE
    sample(gpt, given[:, : options.given + 2], options.n)  # libraries set themselves up
    began = time.perf_counter()
    sample(gpt, given, options.n)
    return time.perf_counter() - began


def ask(side: str) -> float:
    """Return the seconds that a fresh process reads."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    threads = {"OMP_NUM_THREADS": "1"} if side == "one thread" else {}
    done = subprocess.run(
        [sys.executable, *sys.argv],
        env={**kept, **threads, CHILD: side},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return float(done.stdout)


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one processor busy."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            yield
        finally:
            process.kill()


def main(options: Options) -> None:
    """Take all readings, and print medians and ratios."""
    side = os.environ.get(CHILD)
    if side is not None:
        with making_room() if side == "making room" else nullcontext():
            print(reading(options))
        return
    seconds = defaultdict(list)
    for _ in range(options.rounds):
        for place in PLACES:
            with busy_process() if place == "beside" else nullcontext():
                for side in SIDES:
                    seconds[side, place].append(ask(side))
    report({key: statistics.median(values) for key, values in seconds.items()})


def report(medians: dict[tuple[str, str], float]) -> None:
    """Print the seconds of all sides at both places, and what they are of others."""
    reference = medians["one thread", "alone"]
    for side in SIDES:
        alone, beside = (medians[side, place] for place in PLACES)
        print(f"{side}: alone {alone:.2f} s, beside {beside:.2f} s, {beside / reference:.2f} of one thread alone")
    cost = medians["making room", "alone"] / medians["spinning", "alone"]
    gain = medians["spinning", "beside"] / medians["making room", "beside"]
    print(f"making room / spinning, alone: {cost:.2f}; spinning / making room, beside: {gain:.1f}")


if __name__ == "__main__":
    main(tyro.cli(Options))
