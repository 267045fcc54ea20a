"""Kill commands again and again, start them again until they are done, and compare what they made with one undisturbed.

    python benchmarks/kill_test.py --kills 20
    python benchmarks/kill_test.py --only publish

Every kill is a SIGKILL at a random moment within the time that the undisturbed command took, every third one at the
first sign of an unfinished file (`*.tmp`). Where a command has `--resume auto` it is started again with that, otherwise
just so. It ends with code 1 unless all files are the same, bit for bit, but for those that `NOT_COMPARED` names.
"""

from __future__ import annotations

import fnmatch
import hashlib
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from damage import recipes
from damage.classes import GPT_IMPORT, VQGAN_IMPORT
from damage.forks import Job, Task, import_everything, import_modules, run_all

NOT_COMPARED = {
    "listing/files.jsonl": "keeps what was found out about files under the times at which they were last changed",
    "*.tmp": "what a killed process left: of no meaning to any command",
}
"""Files that need not be the same, and why."""


@dataclass(frozen=True)
class Command:
    """A command to be killed."""

    words: tuple[str, ...]
    inputs: tuple[str, ...]


MODELS = ("gpt", "tokenizer", "videos", "tokens")
COMMANDS = {
    "data playroom": Command(
        ("data", "playroom", "--out", "out", "--clips", "6", "--objects", "4", "--frames", "8", "--size", "32"), ()
    ),
    "data prepare": Command(recipes.PREPARE, ("long_videos",)),
    "data stimuli": Command(("data", "stimuli", "--kind", "brady", "--source", "brady", "--out", "out"), ("brady",)),
    "data subset": Command(("data", "subset", "--tokens", "store", "--items", "8", "--out", "out"), ("store",)),
    "vqgan train": Command(recipes.VQGAN_TRAIN, ("videos",)),
    "vqgan encode": Command(recipes.ENCODE_STILLS, ("still_tokenizer", "images")),
    "vqgan import": Command(VQGAN_IMPORT, ("foreign",)),
    "gpt train": Command((*recipes.GPT_TRAIN, "--steps", "40"), ("store",)),
    "gpt import": Command((*GPT_IMPORT, "foreign/igpt.pt", "--kind", "igpt"), ("foreign",)),
    "complete": Command(recipes.COMPLETE, MODELS),
    "memory run": Command(recipes.MEMORY, ("list",)),
    "diversity run": Command(recipes.DIVERSITY, MODELS),
    "publish": Command(
        ("publish", "--model", "tokenizer", "--evaluation", "evaluation", "--out", "out"), ("tokenizer", "evaluation")
    ),
}


@dataclass(frozen=True)
class Options:
    """Kill commands again and again, and compare what they end with."""

    kills: int = 20
    """How often each."""
    seed: int = 0
    """Seed of the moments."""
    only: str | None = None
    """One command, such as 'gpt train'."""


@dataclass
class Result:
    """What became of a command."""

    name: str
    seconds: float = 0.0
    """That it took undisturbed."""
    kills: int = 0
    writing: int = 0
    """Kills while a file was unfinished."""
    problem: str = ""


def main(options: Options) -> None:
    """Kill each command, say what happened, and end with 1 if one did not come to the same."""
    began = time.monotonic()
    import_everything()
    chosen = COMMANDS if options.only is None else {options.only: COMMANDS[options.only]}
    results = [Result(name) for name in chosen]
    with tempfile.TemporaryDirectory(prefix="kills_") as name:
        root = Path(name)
        recipes.make(root, [each for command in chosen.values() for each in command.inputs])
        for result in results:
            run_all([kill(root, result, options)])
            what = result.problem or "the same bytes"
            print(
                f"{result.name:14}: {result.seconds:5.2f} s, killed {result.kills} times, "
                f"{result.writing} of them while it wrote: {what}",
                flush=True,
            )
    print(f"{sum(result.kills for result in results)} kills in {time.monotonic() - began:.0f} s")
    sys.exit(1 if any(result.problem for result in results) else 0)


def kill(root: Path, result: Result, options: Options) -> Task:
    """Run a command whole, then kill it until it has been killed often enough, and compare."""
    command = COMMANDS[result.name]
    moments = random.Random(f"{result.name} {options.seed}")
    whole = lay_out(root, command, "whole")
    outcome = yield Job(whole, command.words, seconds=300)
    import_modules(outcome.imported)
    shutil.rmtree(whole)
    whole = lay_out(root, command, "whole")  # once more: what was imported on the way is there now
    outcome = yield Job(whole, command.words, seconds=300)
    result.seconds = outcome.seconds
    expected = contents(whole / "out")
    folder = lay_out(root, command, "killed")
    while result.kills < options.kills:
        after = moments.random() * result.seconds
        writing = result.kills % 3 == 2
        outcome = yield Job(folder, command.words, seconds=300, kill_after=after, kill_while_writing=writing)
        if outcome.code == -9:
            result.kills += 1
            result.writing += outcome.caught_writing
            continue
        yield from _begin_anew(root, result, expected, outcome.code, outcome.err, folder)
        if result.problem:
            return
    outcome = yield Job(folder, command.words, seconds=300)
    _compare(result, expected, outcome.code, outcome.err, folder)


def _begin_anew(root: Path, result: Result, expected: dict[str, str], code: int, err: str, folder: Path) -> Task:
    """The command came to its end before the moment came: compare, and begin in an empty folder."""
    _compare(result, expected, code, err, folder)
    lay_out(root, COMMANDS[result.name], "killed")
    yield from ()


def _compare(result: Result, expected: dict[str, str], code: int, err: str, folder: Path) -> None:
    found = contents(folder / "out")
    different = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if code:
        lines = [line for line in err.splitlines() if line.strip()] or [""]
        result.problem = f"ENDED WITH {code}: {lines[-1]}"
    elif different:
        result.problem = f"DIFFERENT: {', '.join(different[:8])}"


def lay_out(root: Path, command: Command, name: str) -> Path:
    """Make an empty folder with links to what a command reads."""
    folder = root / f".{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for each in command.inputs:
        (folder / each).symlink_to(root / each)
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files in a folder that are compared, by name."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(fnmatch.fnmatch(name, f"*{pattern}") for pattern in NOT_COMPARED):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


if __name__ == "__main__":
    main(tyro.cli(Options))
