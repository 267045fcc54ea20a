"""A sweep: the memory experiment for all combinations of lists, models, learning rates and batches.

cells/<combination>/      one run folder of `secondsight memory run` each
sweep.csv                 what differs between the cells, as their config.json tell, and where each ended
compute.csv, compute.png  with --sizes, --palettes or --equal-compute: accuracies against FLOPs of study
jobs/                     with --slurm: jobs of Slurm that carry out the cells, make sweep.csv and the report
report/                   that report
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from experiments.memory.compute import equal_exposures, write_compute
from experiments.memory.experiment import run_memory
from experiments.memory.options import MaterialOptions, MemoryOptions, ReportOptions, SweepOptions
from experiments.memory.protocol import ARCHITECTURE
from experiments.memory.sweep_table import print_table, write_sweep
from experiments.slurm_jobs import Step, write_jobs
from gpt.config import PRESETS
from storage.hub_names import HUB, is_hub_model
from storage.options import find_preset
from storage.run_folder import open_run
from storage.terminal import visible
from training.precision import read_precision
from training.processes import best_device, describe_device
from training.progress import say_done, say_found


class SweepError(ValueError):
    """A sweep cannot be made, or some of its cells failed; the message names them."""


def run_sweep(options: SweepOptions) -> Path:
    """Carry out what is missing of a sweep, or write its jobs for Slurm, and return its folder.

    A cell that fails does not keep the others from running.

    Raises:
        SweepError: two combinations would have the same name, or cells failed.
        RunFolderError: a cell in `out` was made with other options.
    """
    cells = sweep_cells(options)
    finished = sum((cell.out / "trials.csv").exists() for cell in cells)
    say_found(device=describe_device(best_device()), cells=f"{len(cells):,}, {finished:,} of them finished")
    if options.slurm:
        write_jobs(sweep_steps(options), options.out)
        return options.out
    failed = {}
    for number, cell in enumerate(cells, start=1):
        print(f"== cell {number} of {len(cells)}: {visible(cell.out.name)}", file=sys.stderr, flush=True)
        try:
            run_cell(cell)
        except (ValueError, OSError, FloatingPointError) as error:
            failed[cell.out.name] = error
            print(visible(f"{cell.out.name} failed: {error}"), file=sys.stderr, flush=True)
    print_table(write_sweep(options.out))
    if options.sizes or options.palettes or options.equal_compute:
        write_compute(options.out)
    if failed:
        listed = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise SweepError(f"{len(failed)} of {len(cells)} cells failed: {listed}")
    say_done(options.out, "secondsight memory report", options.out, "--out REPORT")
    return options.out


def sweep_cells(options: SweepOptions) -> list[MemoryOptions]:
    """Return the options of every cell.

    Raises:
        SweepError: two of them would have the same name.
        ValueError: there is no such preset.
    """
    kind = ARCHITECTURE if options.protocol else {}
    models: list[dict[str, Any]] = [
        {"model": find_preset(name, PRESETS).changed(**kind), "learning": options.learning} for name in options.presets
    ]
    # The weights of new GPTs, where there are any, are no matter of those that begin from one.
    learning = replace(options.learning, initial_weights="scaled") if options.presets else options.learning
    models += [{"gpt": path, "learning": learning} for path in options.gpts]
    labels = [*options.presets, *map(_label, options.gpts)]
    cells = [
        MemoryOptions(
            out=options.out / "cells" / f"{_label_of_list(stimuli, options)}_{label}_rate-{rate:g}_batch-{batch}{seen}",
            stimuli=stimuli,
            batch=batch,
            learning_rate=rate,
            material=material,
            protocol=options.protocol,
            test=options.test,
            resume="auto",
            **model,
        )
        for stimuli, (label, model), rate, batch, (seen, material) in product(
            options.stimuli or (None,),
            zip(labels, models, strict=True),
            options.learning_rates,
            options.batches,
            _materials(options).items(),
        )
    ]
    if options.equal_compute:
        cells = equal_exposures(cells)
    names = [cell.out.name for cell in cells]
    for name in names:
        if names.count(name) > 1:
            raise SweepError(f"two combinations would be called {name}: name folders differently, and nothing twice")
    return cells


def sweep_steps(options: SweepOptions) -> list[Step]:
    """Return what jobs of Slurm carry out: the cells, then the table, then the report.

    Raises:
        SweepError: two cells would have the same name.
    """
    report = ReportOptions(runs=(options.out,), out=options.out / "report")
    return [
        Step("cells", sweep_cells(options)),
        Step("table", [options.changed(slurm=False)], gpu=False),
        Step("report", [report], gpu=False),
    ]


def run_cell(cell: MemoryOptions) -> None:
    """Carry out a run, or what is missing of it."""
    if (cell.out / "trials.csv").exists():
        open_run(cell.out, _of_finished(cell), "auto")  # refuses what was made with other options
    else:
        run_memory(cell)


def _of_finished(cell: MemoryOptions) -> MemoryOptions:
    """Return options of a cell that is finished, in which no device computes any more, with its precision settled."""
    asked = cell.learning.precision
    settled = (read_precision(cell.out) or "fp32") if asked == "auto" else asked.removesuffix("!")
    return cell.changed(precision=settled)


def _materials(options: SweepOptions) -> dict[str, MaterialOptions]:
    """Return how images are seen, by what is added to the names of cells: nothing where it is the same for all."""
    if not options.sizes and not options.palettes:
        return {"": options.material}
    kinds = product(options.sizes or (options.material.size,), options.palettes or (options.material.colours,))
    return {
        f"_{size}px_{colours}-colours": replace(options.material, size=size, colours=colours) for size, colours in kinds
    }


def _label_of_list(stimuli: Path | None, options: SweepOptions) -> str:
    """Return what is studied, for the names of cells, which stay the same when the sweep is asked for more."""
    return _label(stimuli) if stimuli else f"noise-{options.material.noise}"


def _label(path: Path) -> str:
    """Return what people call a folder: of a run's model the name of the run, of one of the hub what it is called."""
    if is_hub_model(path):
        return path.as_posix().removeprefix(HUB).replace("/", "-")
    parts = [part for part in path.resolve().parts if part not in ("checkpoints", "final")]
    name = "-".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]
    return name.strip("/") or "root"  # a cell lies in the folder of its sweep, also one of the root of the file system
