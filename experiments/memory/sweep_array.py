"""Cells of a sweep as the tasks of a Slurm array: one command a line, and a script that carries out a line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiments.config import MemoryOptions
from training.run_folder import write_text


def write_array(cells: Sequence[MemoryOptions], out: Path) -> Path:
    """Write `out`/cells.txt and `out`/sweep.sbatch, print how to submit them, and return the script."""
    (out / "logs").mkdir(parents=True, exist_ok=True)  # Slurm writes into folders that exist
    commands = [shlex.join([sys.executable, "-m", "secondsight", *command_line(cell)]) for cell in cells]
    write_text(out / "cells.txt", "".join(f"{command}\n" for command in commands))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    template = environment.get_template("sweep.sbatch.j2")
    script = out / "sweep.sbatch"
    write_text(script, template.render(folder=Path.cwd(), out=out.absolute(), last=len(cells) - 1))
    print(f"{len(cells)} cells: sbatch {shlex.quote(str(script))}")
    return script


def command_line(options: MemoryOptions) -> list[str]:
    """Return the arguments of `secondsight` that mean `options`."""
    arguments = ["memory", "run"]
    for field in fields(options):
        value = getattr(options, field.name)
        if value == field.default:
            continue
        arguments.append(f"--{field.name.replace('_', '-')}")
        if not isinstance(value, bool):  # flags are off by default
            arguments += [str(part) for part in (value if isinstance(value, tuple) else (value,))]
    return arguments
