"""Cells of a sweep as the tasks of a Slurm array: one command a line, and a script that carries out a line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiments.memory.options import MemoryOptions
from storage.command import arguments
from storage.files import write_text


def write_array(cells: Sequence[MemoryOptions], out: Path) -> Path:
    """Write `out`/cells.txt and `out`/sweep.sbatch, print how to submit them, and return the script."""
    (out / "logs").mkdir(parents=True, exist_ok=True)  # Slurm writes into folders that exist
    commands = [shlex.join([sys.executable, "-m", "secondsight", *arguments("memory run", cell)]) for cell in cells]
    write_text(out / "cells.txt", "".join(f"{command}\n" for command in commands))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    template = environment.get_template("sweep.sbatch.j2")
    script = out / "sweep.sbatch"
    write_text(script, template.render(folder=Path.cwd(), out=out.absolute(), last=len(cells) - 1))
    print(f"{len(cells)} cells: sbatch {shlex.quote(str(script))}")
    return script
