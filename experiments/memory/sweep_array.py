"""Cells of a sweep as the tasks of a Slurm array: one command a line, and a script that carries out a line.

The script has three readers. Slurm reads the lines `#SBATCH`: quotes group, a backslash takes the next character as it
stands, and in names of log files %% stands for %. Bash reads the rest of the script, and the line of a task. The
program reads the words of that line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.memory.options import MemoryOptions
from storage.command import arguments_of, next_command, shell_line
from storage.files import write_text
from storage.templates import render_template
from training.progress import count


def write_array(cells: Sequence[MemoryOptions], out: Path, door: Path | None = None) -> Path:
    """Write `out`/cells.txt and `out`/sweep.sbatch, print how to submit them, and return the script.

    Args:
        cells: what the tasks carry out.
        out: folder of the sweep.
        door: the program that a task runs; by default the `secondsight` of this environment.

    Raises:
        ValueError: `out`, or the folder that the command was given in, has a name that Slurm cannot be told.
    """
    program = str(door or Path(sys.executable).with_name("secondsight"))
    script = out / "sweep.sbatch"
    settings = {
        "script": next_command(script.absolute()),
        "last": len(cells) - 1,
        "folder": _directive("the folder that this command is given in,", Path.cwd()),
        "logs": _directive("--out", out.absolute() / "logs", pattern="/%a.log"),
        "cells": shell_line([str(out.absolute() / "cells.txt")]),
    }
    commands = [shell_line([program, *arguments_of(cell)]) for cell in cells]
    text = render_template(Path(__file__), "sweep.sbatch.j2", html=False, **settings)
    (out / "logs").mkdir(parents=True, exist_ok=True)  # Slurm writes into folders that exist
    write_text(out / "cells.txt", "".join(f"{command}\n" for command in commands))
    write_text(script, text)
    print(f"{count(len(cells), 'cell')}: {next_command('sbatch', script)}")
    return script


def _directive(what: str, path: Path, pattern: str = "") -> str:
    """Return a path as the value of an option in a line `#SBATCH`.

    Args:
        what: what the path is, for people.
        path: what Slurm is to read.
        pattern: what follows it, in which %a and the like mean something; then a % of the path is doubled.

    Raises:
        ValueError: it has a character that ends the line or that Slurm gives another meaning.
    """
    text = str(path)
    reason = _hindrance(text)
    if reason:
        raise ValueError(
            f"{what} {shell_line([text])} has {reason}, which no line of a Slurm script can name: choose another name"
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
