"""Damage what commands read, in a thousand ways and more, and see what they make of it.

    python benchmarks/damage_test.py
    python benchmarks/damage_test.py --cases 2000 --seed 1
    python benchmarks/damage_test.py --only stores --seed 17 --cases 1

Every attempt makes something whole, damages it as its seed says (one file of a model, a checkpoint, a token store, a
tar, a table; an option; a name), and runs the command that reads it, in a process of its own with limits on time and
memory. A fault is: a traceback; more than 4 GB or 20 s; an end by a signal; code run; a network asked; a file written
elsewhere; a refusal of another exit code or of more lines than one; something left behind by a start that failed; or
another result than that of the undamaged, unless the command said what it skipped or did anew. It ends with code 1 if
there is one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro
from damage.attempts import Attempt, Whole, attempt, count, learn, make_inputs
from damage.classes import CLASSES, Scenario
from damage.forks import Task, import_everything, run_all

ENDS = ("tried", "refused", "same", "said", "other", "long")
SHOWN = 3
"""Faults of one kind that are listed whole for each class; `--all-faults` lists all."""


@dataclass(frozen=True)
class Options:
    """Damage what commands read, and count what they make of it."""

    cases: int = 1300
    """Attempts, over all classes alike."""
    seed: int = 0
    """Seed of the first attempt of each class; the others follow."""
    only: str | None = None
    """One class: pickles, safetensors, models, configs, yaml, runs, states, stores, tars, tables, options, names or
    publish."""
    side_by_side: int = max(1, min(4, os.cpu_count() or 1))
    """Processes at a time."""
    whole: Path | None = None
    """Folder in which the undamaged things are kept for the next time; by default they are made anew."""
    all_faults: bool = False
    """List all faults, not only the first of each kind."""


def main(options: Options) -> None:
    """Make the attempts, print the table and the faults."""
    began = time.monotonic()
    import_everything()
    names = list(CLASSES) if options.only is None else [options.only]
    results = [
        Attempt(name, options.seed + number) for name in names for number in range(max(1, options.cases // len(names)))
    ]
    used = _used(results)
    root = options.whole or Path(tempfile.mkdtemp(prefix="damage_"))
    try:
        make_inputs(root, used)
        known: dict[Scenario, Whole] = {}
        run_all(learn(root, used, known), options.side_by_side)
        run_all(_attempts(root, results, known), options.side_by_side)
    except KeyboardInterrupt:
        print("stopped: what was done until then")
        results = [result for result in results if result.done]
    finally:
        if options.whole is None:
            shutil.rmtree(root, ignore_errors=True)
    _print_table(results)
    faulty = _print_faults(results, options.all_faults)
    print(f"\n{len(results)} attempts in {time.monotonic() - began:.0f} s, {faulty} with faults")
    sys.exit(1 if faulty else 0)


def _used(results: list[Attempt]) -> list[Scenario]:
    scenarios = [CLASSES[result.kind][result.seed % len(CLASSES[result.kind])] for result in results]
    return list({id(scenario): scenario for scenario in scenarios}.values())


def _attempts(root: Path, results: list[Attempt], known: dict[Scenario, Whole]) -> Iterator[Task]:
    for result in results:
        yield attempt(root, result, known)


def _print_table(results: list[Attempt]) -> None:
    counted = count(results)
    kinds = sorted({kind for result in results for kind, _ in result.faults})
    columns = [*ENDS, *kinds]
    print("class".ljust(12), *(column.rjust(max(7, len(column))) for column in columns))
    for name, of_class in counted.items():
        print(name.ljust(12), *(str(of_class[column]).rjust(max(7, len(column))) for column in columns))
    sums = [str(sum(of_class[column] for of_class in counted.values())) for column in columns]
    print("all".ljust(12), *(each.rjust(max(7, len(column))) for each, column in zip(sums, columns, strict=True)))


def _print_faults(results: list[Attempt], everything: bool) -> int:
    """Print the faults with what repeats them; return how many attempts have any."""
    shown: dict[tuple[str, str], int] = {}
    for result in results:
        for kind, details in result.faults:
            key = (result.kind, kind)
            shown[key] = shown.get(key, 0) + 1
            if everything or shown[key] <= SHOWN:
                print(f"\n{kind}: --only {result.kind} --seed {result.seed} --cases 1")
                print(f"    {ascii(' '.join(result.words))[1:-1][:240]}")
                print(f"    {ascii(result.what)[1:-1][:240]}")
                print(f"    {ascii(details)[1:-1][:300]}")
    hidden = sum(max(0, number - SHOWN) for number in shown.values())
    if hidden and not everything:
        print(f"\nand {hidden} more of these kinds: see --all-faults")
    return sum(bool(result.faults) for result in results)


if __name__ == "__main__":
    main(tyro.cli(Options))
