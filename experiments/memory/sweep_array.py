"""Cells of a sweep as the tasks of a Slurm array: one command a line, and a script that carries out a line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.memory.options import MemoryOptions
from storage.command import arguments_of
from storage.files import write_text
from storage.templates import render_template


def write_array(cells: Sequence[MemoryOptions], out: Path) -> Path:
    """Write `out`/cells.txt and `out`/sweep.sbatch, print how to submit them, and return the script."""
    (out / "logs").mkdir(parents=True, exist_ok=True)  # Slurm writes into folders that exist
    door = str(Path(sys.executable).with_name("secondsight"))
    commands = [shlex.join([door, *arguments_of(cell)]) for cell in cells]
    write_text(out / "cells.txt", "".join(f"{command}\n" for command in commands))
    settings = {"folder": Path.cwd(), "out": out.absolute(), "last": len(cells) - 1}
    script = out / "sweep.sbatch"
    write_text(script, render_template(Path(__file__), "sweep.sbatch.j2", html=False, **settings))
    print(f"{len(cells)} cells: sbatch {shlex.quote(str(script))}")
    return script
