"""Kill commands again and again, start them again until they are done, and compare with runs that nothing stopped.

    python benchmarks/kill_test.py
    python benchmarks/kill_test.py --kills 20 --only "gpt train" --seed 3

Every kill is a SIGKILL: at a random moment of the time that the command takes, at the first unfinished file (*.tmp)
after such a moment, or just before one of its files appears under its name. Then the command is started again: with
`--resume auto` where it has that, or else as it was. Where it ends before it is killed, what it made is compared, and
it begins anew in an empty folder. After the last kill it is left to run. A command without `--resume` that finds all
made already may refuse to do it again. It ends with code 1 unless every command can always be started again, what it
makes is the same, byte for byte, as without kills, nothing unfinished is left, and no start finds a checkpoint damaged.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from damage import recipes
from damage.forks import Job, Outcome, Task, import_everything, import_modules, run_all

OUT = "out"
SECONDS = 300.0
"""A start may take."""
PATIENCE = 15
"""Starts for each kill, at most."""
UNFINISHED = (".tmp", ".lock", ".guard", ".unfinished")
"""How names end of what a command leaves only where it is killed."""
DAMAGED = "the checkpoint is passed over"
"""What a start says that finds a checkpoint damaged; kills leave none such."""
NOT_COMPARED = {"environment.json": "it tells the machine and the process that began the run"}
"""Files that differ between two runs that nothing stopped, by name, and why."""


@dataclass(frozen=True)
class Command:
    """A command to be killed."""

    words: tuple[str, ...]
    inputs: tuple[str, ...]
    """Recipes of what it reads."""
    varying: tuple[str, ...] = ()
    """Names of its files that tell how long something took, or when it was written."""


LADDER = ("scaling", "run", "--tokens", "store", "--out", OUT, "--widths", "16", "--head-size", "16", "--layers", "1")
LADDER += ("--batch", "4", "--warmup", "2", "--budgets", "4e7", "6e7", "--learning-rates", "1e-2", "3e-2")
LADDER += ("--rate-steps", "4", "--save-every", "3", "--tasks", "nll")
MODELS_AND_DATA = ("gpt", "tokenizer", "tokens", "videos")
COMMANDS = {
    "data playroom": Command(
        ("data", "playroom", "--out", OUT, "--clips", "4", "--objects", "4", "--fillers", "2", "--size", "32"), ()
    ),
    "data prepare": Command(recipes.PREPARE, ("long_videos",)),
    "data subset": Command(("data", "subset", "--tokens", "store", "--items", "8", "--out", OUT), ("store",)),
    "data look": Command(("data", "look", "videos", "--out", OUT, "--frames", "4", "--workers", "0"), ("videos",)),
    "data stimuli": Command(("data", "stimuli", "--kind", "brady", "--source", "brady", "--out", OUT), ("brady",)),
    "vqgan train": Command(recipes.VQGAN_TRAIN, ("videos",)),
    "vqgan encode": Command(recipes.ENCODE_STILLS, ("still_tokenizer", "images")),
    "gpt train": Command(recipes.GPT_TRAIN, ("store",)),
    "vqgan train, saving in the background": Command((*recipes.VQGAN_TRAIN, "--save-in-background"), ("videos",)),
    "gpt train, saving in the background": Command((*recipes.GPT_TRAIN, "--save-in-background"), ("store",)),
    "gpt import": Command(
        ("gpt", "import", "--weights", "foreign/igpt.pt", "--kind", "igpt", "--out", OUT), ("foreign",)
    ),
    "vqgan import": Command(
        ("vqgan", "import", "--weights", "foreign/taming.ckpt", "--kind", "taming", "--out", OUT), ("foreign",)
    ),
    "complete": Command(recipes.COMPLETE, ("gpt", "tokenizer", "videos")),
    "memory run": Command(recipes.MEMORY, ("list",)),
    "diversity run": Command(recipes.DIVERSITY, MODELS_AND_DATA),
    "scaling run": Command(LADDER, ("store",), varying=("seconds.json", "clock.json", "index.html")),
    "publish": Command(
        ("publish", "--model", "gpt", "--tokenizer", "tokenizer", "--evaluation", "evaluation", "--out", OUT),
        ("gpt", "tokenizer", "evaluation"),
    ),
}


@dataclass(frozen=True)
class Options:
    """Kill commands again and again, and compare what they end with."""

    kills: int = 20
    """How often each is killed."""
    seed: int = 0
    """Seed of the moments."""
    only: str | None = None
    """One command, such as "gpt train"."""
    side_by_side: int = max(1, min(4, os.cpu_count() or 1))
    """Commands at a time."""
    keep: Path | None = None
    """Folder into which what differs is put, beside what it should be."""


@dataclass
class Tally:
    """What became of a command."""

    name: str
    kills: int = 0
    writing: int = 0
    """Kills that left a file or folder unfinished (*.tmp)."""
    starts: int = 0
    compared: int = 0
    """Ends after one kill or more."""
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Whole:
    """What a command gives where nothing stops it."""

    files: dict[str, str]
    """SHA-256 of what it makes, by name."""
    seconds: float
    folder: Path


def main(options: Options) -> None:
    """Kill every command, print the table and what differs."""
    began = time.monotonic()
    import_everything()
    tallies = [Tally(name) for name in COMMANDS if options.only in (None, name)]
    if not tallies:
        sys.exit(f"--only {options.only} is none of: {', '.join(COMMANDS)}")
    with tempfile.TemporaryDirectory(prefix="kills_") as name:
        root = Path(name)
        recipes.make(root, [recipe for tally in tallies for recipe in COMMANDS[tally.name].inputs])
        run_all((_kill_and_compare(root, tally, options) for tally in tallies), options.side_by_side)
    _print_table(tallies)
    for tally in tallies:
        for fault in tally.faults:
            print(f"\n{tally.name}: {fault}")
    print(f"\n{sum(tally.kills for tally in tallies)} kills in {time.monotonic() - began:.0f} s; not compared:")
    for file, reason in NOT_COMPARED.items():
        print(f"{file}: {reason}")
    for tally in tallies:
        for file in COMMANDS[tally.name].varying:
            print(f"{file} of {tally.name}: it tells of times")
    sys.exit(1 if any(tally.faults for tally in tallies) else 0)


def _kill_and_compare(root: Path, tally: Tally, options: Options) -> Task:
    """Kill a command as often as asked for, start it again each time, and let it end."""
    command = COMMANDS[tally.name]
    folder = root / f".{tally.name}"
    whole = yield from _undisturbed(root, tally, command, folder)
    chance = random.Random(f"{tally.name} {options.seed}")
    _lay_out(root, command, folder)
    in_a_row = 0
    while tally.kills < options.kills:
        if tally.starts > PATIENCE * options.kills:
            tally.faults.append(f"it ends before it is killed, {tally.starts} times and more")
            return
        began = time.time()
        outcome = yield Job(folder, command.words, seconds=SECONDS, **_moment(tally.starts, chance, whole))
        tally.starts += 1
        if DAMAGED in outcome.err:
            tally.faults.append(f"start {tally.starts} found a checkpoint damaged: {outcome.err.strip()[-600:]}")
        if _was_killed(outcome):
            tally.kills += 1
            tally.writing += any(_touched(path) >= began for path in _unfinished(folder, (".tmp",)))
            in_a_row += 1
            continue
        _judge(tally, outcome, folder, whole, in_a_row, options.keep)
        _lay_out(root, command, folder)
        in_a_row = 0
    outcome = yield Job(folder, command.words, seconds=SECONDS)
    tally.starts += 1
    _judge(tally, outcome, folder, whole, in_a_row, options.keep)


def _undisturbed(root: Path, tally: Tally, command: Command, folder: Path) -> Task:
    """Return what a command gives, and see that it gives that twice."""
    found: list[Whole] = []
    kept = root / f".{tally.name}_whole"
    for _ in range(2):
        _lay_out(root, command, folder)
        outcome = yield Job(folder, command.words, seconds=SECONDS)
        if outcome.code:
            raise RuntimeError(f"secondsight {' '.join(command.words)} fails where nothing stops it: {outcome.err}")
        import_modules(outcome.imported)
        found.append(Whole(_files(folder, command.varying), outcome.seconds, kept))
    folder.rename(kept)
    if different := _differences(found[0].files, found[1].files):
        tally.faults.append(f"two runs that nothing stopped differ: {', '.join(different)}")
    return found[1]


def _moment(number: int, chance: random.Random, whole: Whole) -> dict[str, Any]:
    """Return when a start is to be killed, as options of its job."""
    kind = number % 4
    if kind == 2:
        return {"kill_at": (f"/{OUT}", chance.randint(1, len(whole.files)))}
    return {"kill_after": chance.uniform(0, whole.seconds), "kill_while_writing": kind == 3}


def _was_killed(outcome: Outcome) -> bool:
    return outcome.code == -signal.SIGKILL and not (outcome.late or outcome.large)


def _judge(tally: Tally, outcome: Outcome, folder: Path, whole: Whole, kills: int, keep: Path | None) -> None:
    """Compare what a start that was not killed made with what it makes undisturbed."""
    tally.compared += kills > 0
    different = _differences(_files(folder, COMMANDS[tally.name].varying), whole.files)
    left = sorted(str(path.relative_to(folder)) for path in _unfinished(folder))
    faults = []
    finished = outcome.code == 1 and not different and "--resume" not in COMMANDS[tally.name].words
    if outcome.code and not finished:
        faults.append(f"ended with {outcome.code}: {outcome.err.strip()[-600:]}")
    elif different:
        faults.append(f"other bytes: {', '.join(different)}")
    if left:
        faults.append(f"left: {', '.join(left)}")
    tally.faults += [f"start {tally.starts}, after {kills} kills in a row: {fault}" for fault in faults]
    if faults and keep is not None:
        place = keep / f"{tally.name}_{tally.starts}".replace(" ", "_")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder, place / "killed", symlinks=True)
        shutil.copytree(whole.folder, place / "whole", symlinks=True)
        (place / "said.txt").write_text(outcome.out + outcome.err)


def _files(folder: Path, varying: tuple[str, ...]) -> dict[str, str]:
    out = folder / OUT
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name not in (*NOT_COMPARED, *varying)
    }


def _differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _unfinished(folder: Path, endings: tuple[str, ...] = UNFINISHED) -> list[Path]:
    """Return what a command leaves only where it is killed."""
    return [path for path in folder.rglob("*") if path.name.endswith(endings) and ".temporary" not in path.parts]


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _lay_out(root: Path, command: Command, folder: Path) -> None:
    """Make an empty folder with links to what the command reads."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in command.inputs:
        (folder / name).symlink_to(root / name)


def _print_table(tallies: list[Tally]) -> None:
    columns = ("kills", "while writing", "starts", "compared", "same bytes")
    width = max(len(tally.name) for tally in tallies)
    print("command".ljust(width), *(column.rjust(len(column)) for column in columns))
    for tally in tallies:
        values = (tally.kills, tally.writing, tally.starts, tally.compared, "NO" if tally.faults else "yes")
        cells = (str(value).rjust(len(column)) for value, column in zip(values, columns, strict=True))
        print(tally.name.ljust(width), *cells)


if __name__ == "__main__":
    main(tyro.cli(Options))
