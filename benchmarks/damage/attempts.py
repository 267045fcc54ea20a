"""One attempt: damage something, run the command that meets it, and judge what comes of it."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from damage.classes import CLASSES, Place, Scenario, Words
from damage.forks import Job, Outcome, Task, import_modules
from damage.mutations import CANARY
from damage.recipes import make

SAID = re.compile(
    r"skip|damag|left out|leave|beware|warn|recomput|made again|made anew|anew|differ|chang|ignor|cannot|could not|"
    r"unread|not used|no longer|instead|missing|older|fall|again|another|unknown|assum|lost|drop|refus|repair|replac"
    r"|not known",
    re.IGNORECASE,
)
"""Words of which a line has one that says what was done about damage."""
ERROR = "secondsight: "
TOOK_TOO_MUCH = ("can't allocate memory", "MemoryError", "Unable to allocate", "Cannot allocate memory")


@dataclass(frozen=True)
class Whole:
    """What a command gives where nothing is damaged."""

    results: dict[str, str]
    """SHA-256 of the files that count."""
    lines: frozenset[str]
    """What it says, without numbers."""


@dataclass
class Attempt:
    """What became of one."""

    kind: str
    seed: int
    words: Words = ()
    what: str = ""
    end: str = ""
    """refused, the same, said, or other (a good file that means something else)."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Kind and details."""
    done: bool = False


def learn(root: Path, scenarios: list[Scenario], known: dict[Scenario, Whole]) -> Iterator[Task]:
    """Yield tasks that find out what commands give where nothing is damaged, and put it into `known`."""
    for number, scenario in enumerate(scenarios):
        if "all" not in scenario.patient:
            yield _learn(root, scenario, known, root / f".whole_{number}")


def _learn(root: Path, scenario: Scenario, known: dict[Scenario, Whole], folder: Path) -> Task:
    _lay_out(root, scenario, folder)
    outcome = yield Job(folder, scenario.words, seconds=120)
    if outcome.code:
        raise RuntimeError(f"secondsight {' '.join(scenario.words)} fails where nothing is damaged: {outcome.err}")
    import_modules(outcome.imported)
    if scenario.results:
        known[scenario] = Whole(_results(scenario, folder, outcome), frozenset(_said(outcome, folder)))
    shutil.rmtree(folder)


def make_inputs(root: Path, scenarios: list[Scenario]) -> None:
    """Make what the scenarios damage."""
    make(root, [name for scenario in scenarios for name in (*scenario.inputs.values(), *scenario.recipes)])


def attempt(root: Path, result: Attempt, known: dict[Scenario, Whole]) -> Task:
    """Damage, run and judge; the findings go into `result`, which names class and seed."""
    chance = random.Random(f"{result.kind} {result.seed}")
    scenarios = CLASSES[result.kind]
    scenario = scenarios[result.seed % len(scenarios)]
    folder = root / f".{result.kind}_{result.seed}"
    _lay_out(root, scenario, folder)
    change, result.words = scenario.spoil(Place(folder, root), chance, scenario.words)
    result.what = change.what
    before = _names(folder)
    outcome = yield Job(folder, result.words, seconds=scenario.seconds)
    _judge_process(result, scenario, outcome, folder)
    whole = known.get(scenario)
    if outcome.code == 0:
        _judge_result(result, scenario, whole, outcome, folder, change.free)
    elif not (outcome.late or outcome.large or outcome.code < 0):
        result.end = "refused"
        _judge_refusal(result, scenario, outcome, folder, before)
        out = folder / "out"
        fresh = "out" not in scenario.inputs and result.words == scenario.words
        if fresh and _names(out):
            yield from _start_again(root, result, scenario, folder, whole)
    shutil.rmtree(folder, ignore_errors=True)
    result.done = True


def _start_again(root: Path, result: Attempt, scenario: Scenario, folder: Path, whole: Whole | None) -> Task:
    """After a failed start, mend the damage: the same command must now do, and give what it gives otherwise."""
    left = sorted(_names(folder / "out"))[:4]
    for name in scenario.copied:
        _remove(folder / name)
        shutil.copytree(root / scenario.inputs[name], folder / name, symlinks=True)
    outcome = yield Job(folder, scenario.words)
    if outcome.code:
        outcome = yield Job(folder, (*scenario.words, "--resume", "auto"))
    if outcome.code:
        result.faults.append(("left behind", f"{', '.join(left)}; then: {_last(outcome.err)}"))
    elif whole is not None and _results(scenario, folder, outcome) != whole.results:
        result.faults.append(("left behind", f"{', '.join(left)}; then it gives something else"))


def _judge_process(result: Attempt, scenario: Scenario, outcome: Outcome, folder: Path) -> None:
    """Look for what no process may do, however it ends."""
    told: list[tuple[str, str]] = []
    asked = result.words[2:3] if scenario.words == result.words else result.words
    patient = "all" in scenario.patient or any(word in scenario.patient for word in asked)
    if outcome.late and patient:
        result.end = "long"
    elif outcome.late:
        told.append(("time", f"over {scenario.seconds:.0f} s"))
    if outcome.large or (any(sign in outcome.err for sign in TOOK_TOO_MUCH) and "Traceback" in outcome.err):
        told.append(("memory", f"{outcome.peak / 2**30:.1f} GB; {_last(outcome.err)}"))
    elif "Traceback (most recent call last)" in outcome.err:
        told.append(("traceback", _last(outcome.err)))
    if outcome.code < 0 and not (outcome.late or outcome.large):
        told.append(("signal", str(-outcome.code)))
    if any(path.name == CANARY for path in folder.rglob(CANARY)):
        told.append(("code", "the canary is there"))
    for deed in outcome.deeds:
        kind, _, details = deed.partition(" ")
        told.append((kind, details))
    if "\x1b" in outcome.err + outcome.out:
        told.append(("escape", "a raw escape is printed"))
    result.faults += told


def _judge_refusal(result: Attempt, scenario: Scenario, outcome: Outcome, folder: Path, before: set[str]) -> None:
    if any(kind in ("traceback", "memory") for kind, _ in result.faults):
        return
    if outcome.code not in scenario.codes:
        result.faults.append(("exit code", f"{outcome.code}: {_last(outcome.err)}"))
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    box = outcome.code == 2 and any(line.startswith("\u256d") for line in lines)
    starts = [number for number, line in enumerate(lines) if line.startswith(ERROR)]
    if not box and (len(starts) != 1 or starts[0] != len(lines) - 1):
        result.faults.append(("lines", " | ".join(lines[-3:])[:300]))
    left = sorted(name for name in _names(folder) - before if name.endswith((".tmp", ".lock")))
    if left:
        result.faults.append(("unfinished", ", ".join(left[:3])))


def _judge_result(
    result: Attempt, scenario: Scenario, whole: Whole | None, outcome: Outcome, folder: Path, free: bool
) -> None:
    if whole is None:
        result.end = "other"
        return
    if _results(scenario, folder, outcome) == whole.results:
        result.end = "same"
        return
    said = [line for line in _said(outcome, folder) if line not in whole.lines and SAID.search(line)]
    result.end = "said" if said else "other"
    if not said and not free:
        result.faults.append(("silent", "another result, and nothing is said"))


def _results(scenario: Scenario, folder: Path, outcome: Outcome) -> dict[str, str]:
    found: dict[str, str] = {}
    for pattern in scenario.results:
        if pattern == "stdout":
            found[pattern] = outcome.out
            continue
        for path in folder.glob(pattern):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _said(outcome: Outcome, folder: Path) -> list[str]:
    """Return the lines of what was said, without numbers."""
    return [re.sub(r"[0-9]+", "#", line.replace(str(folder), "")) for line in (outcome.err + outcome.out).splitlines()]


def _lay_out(root: Path, scenario: Scenario, folder: Path) -> None:
    """Put the inputs into a folder: copies of what may be damaged or written into, links to the rest."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, recipe in scenario.inputs.items():
        if name in scenario.copied:
            shutil.copytree(root / recipe, folder / name, symlinks=True)
        else:
            (folder / name).symlink_to(root / recipe)


def _names(folder: Path) -> set[str]:
    """Return what lies in a folder, by name from there; not what links lead to."""
    if not folder.is_dir() or folder.is_symlink():
        return set()
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if ".temporary" not in path.parts and not (path.is_dir() and not path.is_symlink())
    }


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:240] if lines else ""


def count(results: list[Attempt]) -> dict[str, Counter[str]]:
    """Return, by class, how many attempts there were, how they ended, and the faults by kind."""
    counted: dict[str, Counter[str]] = {}
    for result in results:
        of_class = counted.setdefault(result.kind, Counter())
        of_class["tried"] += 1
        of_class[result.end or "ended"] += 1
        of_class.update({kind for kind, _ in result.faults})
    return counted
