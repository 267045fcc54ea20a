"""A long piece of work as jobs of Slurm that depend on one another: what `--slurm` writes.

jobs/submit.sh           submits everything
jobs/<step>.sbatch       an array of which task n carries out line n
jobs/<step>.txt          one command a line
jobs/logs/               what the tasks say

A script has three readers. Slurm reads the lines `#SBATCH`: quotes group, a backslash takes the next character as it
stands, and in names of log files %% stands for %. Bash reads the rest of the script, and the line of a task. The
program reads the words of that line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.command import arguments_of, next_command, shell_line
from storage.files import write_text
from storage.options import Options
from storage.templates import render_template
from training.progress import count


@dataclass(frozen=True)
class Step:
    """Commands that may run side by side, and begin when all of the step before have ended well."""

    name: str
    """Of its files: a word."""
    commands: Sequence[Options]
    """What its tasks carry out. Each must go on where it stopped when it is given again."""
    gpu: bool = True
    """Whether a task needs a GPU."""


def write_jobs(steps: Sequence[Step], out: Path, door: Path | None = None) -> Path:
    """Write the scripts of some steps into `out`/jobs, print how to submit them, and return the script that does.

    Args:
        steps: in their order.
        out: folder of the work.
        door: the program that a task runs; by default the `secondsight` of this environment.

    Raises:
        ValueError: `out`, or the folder that the command was given in, has a name that Slurm cannot be told.
    """
    program = str(door or Path(sys.executable).with_name("secondsight"))
    here = Path.cwd()
    jobs = out / "jobs"
    texts = {}
    for step in steps:
        commands = [shell_line([program, *arguments_of(command)]) for command in step.commands]
        texts[f"{step.name}.txt"] = "".join(f"{command}\n" for command in commands)
        settings: dict[str, Any] = {
            "step": step.name,
            "name": step.commands[0].command.replace(" ", "-") + f"-{step.name}",
            "last": len(commands) - 1,
            "gpu": step.gpu,
            "folder": _directive("the folder that this command is given in,", here, here),
            "logs": _directive("--out", out, jobs.absolute() / "logs", pattern=f"/{step.name}-%a.log"),
            "commands": shell_line([str(jobs.absolute() / f"{step.name}.txt")]),
        }
        texts[f"{step.name}.sbatch"] = render_template(Path(__file__), "job.sbatch.j2", html=False, **settings)
    names = " ".join(step.name for step in steps)
    texts["submit.sh"] = render_template(Path(__file__), "submit.sh.j2", html=False, steps=names)
    (jobs / "logs").mkdir(parents=True, exist_ok=True)  # Slurm writes into folders that exist
    for name, text in texts.items():
        write_text(jobs / name, text)
    tasks = sum(len(step.commands) for step in steps)
    print(f"{count(tasks, 'task')} in {count(len(steps), 'step')}: {next_command('bash', jobs / 'submit.sh')}")
    return jobs / "submit.sh"


def _directive(what: str, given: Path, path: Path, pattern: str = "") -> str:
    """Return a path as the value of an option in a line `#SBATCH`.

    Args:
        what: what the path is, for people.
        given: the path as people know it.
        path: what Slurm is to read.
        pattern: what follows it, in which %a and the like mean something; then a % of the path is doubled.

    Raises:
        ValueError: it has a character that ends the line or that Slurm gives another meaning.
    """
    text = str(path)
    reason = _hindrance(text)
    if reason:
        raise ValueError(
            f"{what} {shell_line([str(given)])} has {reason}, which no line of a Slurm script can name: "
            "choose another name"
        )
    said = text.replace("%", "%%") + pattern if pattern else text
    return '"' + said.replace('"', '\\"') + '"'


def _hindrance(text: str) -> str:
    if not text.isprintable():
        return "a character that cannot be printed"
    if "\\" in text:
        return "a backslash"  # one anywhere in the name of a log file turns %a off
    if "packjob" in text.lower():
        return "the word packjob"  # some versions of Slurm blank it out, wherever it stands in the line
    return ""
