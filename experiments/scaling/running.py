"""`secondsight scaling run`: the trainings of a ladder, one after another here, or as jobs of Slurm.

tokens/<part>/    parts of the token store, of which a smaller one lies in each larger
rates/<trial>/    with --learning-rates: run folder of a short training, which tries one; rates.csv says which is best
trunks/<trunk>/   run folder of a training at a constant rate
cells/<cell>/     run folder of the decay from a trunk to one budget
runs.csv          a row for each cell that is done, rewritten after each
codebook.csv      what its columns are
methods.txt       how all was trained, in words; written at the end
tasks/            with --tasks: what was measured of the cells, see `measurements`
tasks.csv         the same as a table, with curves/ and unmeasured.csv: see `measured_tables`
seconds.json      how long each training took, where one process carries out all
index.html        how far it has come, while it runs: see `live`
jobs/             with --slurm: jobs of Slurm, each of which carries out a part

All trainings take place in one process, which waits for nothing. What is done is read from the folders, so that a
ladder that was killed goes on with the same command, in the training that was under way from its newest checkpoint.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from data.subset import write_subset
from data.tokens import TokenStore
from experiments.methods import listed
from experiments.scaling.clock import clocked
from experiments.scaling.ladder import Cell, DataPart, Ladder, Trunk, make_ladder
from experiments.scaling.live import LivePage
from experiments.scaling.measured import write_whole_codebook
from experiments.scaling.measured_tables import MeasuredRow
from experiments.scaling.measurements import measurements
from experiments.scaling.measuring import (
    check_tasks,
    measure_cells,
    measure_part,
    measuring_step,
    prepare_films,
    say_measured,
)
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.planning import ladder_facts, notes
from experiments.scaling.rate_sweep import settle_rate, sweep_rates, try_rate
from experiments.scaling.rates import all_trials
from experiments.scaling.run_table import LadderRow, add_run, write_runs
from experiments.scaling.run_words import write_methods
from experiments.scaling.trainings import (
    cell_training,
    has_diverged,
    is_finished,
    kind_of_divergence,
    note_divergence,
    store_of,
    trunk_training,
)
from experiments.slurm_jobs import Step, write_jobs
from experiments.stopwatch import Stopwatch
from gpt.options import TrainOptions
from sampling.watch import train_and_watch
from storage.lock import FolderLock
from storage.options import unknown_name
from storage.run_folder import RunFolderError, check_run, open_run
from storage.terminal import visible
from training.processes import best_device, describe_device
from training.progress import count, say_done, say_found

TOKENS = "tokens"
"""The part that makes token stores."""


class LadderError(ValueError):
    """Some trainings or measurements of a ladder failed otherwise than by diverging; the message names them."""


def run_scaling(options: ScalingRunOptions) -> Path:
    """Carry out what is missing of a ladder, or a part of it; or write its jobs for Slurm. Return its folder.

    A training that fails does not keep the others from running.

    Raises:
        FolderLockError: another process is writing into `out`.
        LadderError: trainings or measurements failed.
        MismatchError: a task cannot be measured on these tokens.
        RunFolderError: `out` holds a ladder, or what was measured, with other options, or a part was asked for before
            those that it needs.
        TokenStoreError: the token store cannot be used, or has less than is asked for.
        ValueError: there is no such part or preset, or a budget cannot be spent.
    """
    store = TokenStore(options.tokens)
    ladder = make_ladder(options, store)
    if options.slurm:
        write_jobs(ladder_steps(options, ladder), options.out)
    elif options.part is not None:
        _carry_out_part(options, ladder, store)
    else:
        with FolderLock(options.out, wait=True):
            rows, measured = _carry_out(options, ladder, store)
        _say_end(options, rows)
        if options.measuring.tasks:
            say_measured(options, measured)
    return options.out


def ladder_steps(options: ScalingRunOptions, ladder: Ladder) -> list[Step]:
    """Return what jobs of Slurm carry out: token stores, rates where some are tried, trunks, cells, tasks, tables."""
    # Without the plan: jobs name every option, so that none of them hangs on a folder that may change.
    whole = options.changed(slurm=False, plan=None)
    rates = [whole.changed(part=trial.name) for trial in all_trials(options, ladder)]
    trunks = [whole.changed(part=trunk.name) for trunk in ladder.by_trunk]
    cells = [whole.changed(part=cell.name) for cell in ladder.trained]
    return [
        Step("tokens", [whole.changed(part=TOKENS)], gpu=False),
        *([Step("rates", rates)] if rates else []),
        Step("trunks", trunks),
        Step("cells", cells),
        *measuring_step(whole, ladder),
        Step("table", [whole], gpu=False),
    ]


def _carry_out(
    options: ScalingRunOptions, ladder: Ladder, store: TokenStore
) -> tuple[list[LadderRow], list[MeasuredRow]]:
    """Carry out all that is missing, and return the rows of runs.csv and of tasks.csv."""
    _begin(options, ladder, store)
    with LivePage(options, ladder) as page:
        return _carry_out_missing(options, ladder, store, page)


def _carry_out_missing(
    options: ScalingRunOptions, ladder: Ladder, store: TokenStore, page: LivePage
) -> tuple[list[LadderRow], list[MeasuredRow]]:
    stage = Stopwatch(options.out / "seconds.json")
    rows = write_runs(options, ladder, store)
    failed: dict[str, Exception] = {}

    def attempt(name: str, action: Callable[[], object]) -> Exception | None:
        try:
            with stage(name):
                action()
        except (ValueError, OSError) as error:
            failed[name] = error
            print(visible(f"{name} failed: {error}"), file=sys.stderr, flush=True)
        return failed.get(name)

    sweep_rates(options, ladder, _train, attempt)
    for trunk, cells in ladder.by_trunk.items():
        missing = [cell for cell in cells if not is_finished(cell_training(options, cell))]
        if missing and not is_finished(trunk_training(options, trunk, cells)):
            attempt(f"trunk {trunk.name}", partial(_train_trunk, options, trunk, cells))
        for cell in missing:
            attempt(f"cell {cell.name}", partial(_train_cell, options, cell))
            rows = add_run(options, ladder, store, rows, cell)
            page.refresh()
    measured = measure_cells(options, ladder, rows, attempt) if options.measuring.tasks else []
    write_whole_codebook(options.out)
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise LadderError(f"{_failures(failed)} failed: {reasons}")
    write_methods(options, ladder, store, rows)
    return rows, measured


def _failures(failed: Mapping[str, Exception]) -> str:
    """Return in words how many trainings and measurements failed."""
    tasks = sum(name.startswith("task ") for name in failed)
    counts = {"training": len(failed) - tasks, "measurement": tasks}
    return listed([count(number, what) for what, number in counts.items() if number])


def _carry_out_part(options: ScalingRunOptions, ladder: Ladder, store: TokenStore) -> None:
    """Carry out one part; those that it needs must be done.

    Raises:
        RunFolderError: `out` holds a ladder with other options, or none.
        ValueError: there is no such part.
    """
    trials = {trial.name: trial for trial in all_trials(options, ladder)}
    trunks = {trunk.name: trunk for trunk in ladder.by_trunk}
    cells = {cell.name: cell for cell in ladder.trained}
    tasks = {one.name: one for one in measurements(options, ladder)}
    part = options.part or ""
    known = (TOKENS, *trials, *trunks, *cells, *tasks)
    if part not in known:
        raise ValueError(unknown_name("part", part, known))
    whole = options.changed(part=None)
    print(f"== {visible(part)}", file=sys.stderr, flush=True)
    if part == TOKENS:
        with FolderLock(options.out, wait=True):
            _begin(whole, ladder, store)
        return
    if not check_run(options.out, whole, "auto", begun=True).continues:
        raise RunFolderError(f"{options.out} holds no ladder yet: its part '{TOKENS}' comes first, see jobs/submit.sh")
    with LivePage(whole, ladder):
        if part in trials:
            try_rate(whole, trials[part], _train)
        elif part in trunks:
            _train_trunk(whole, trunks[part], ladder.by_trunk[trunks[part]])
        elif part in tasks:
            measure_part(whole, tasks[part])
        else:
            _train_cell(whole, cells[part])


def _begin(options: ScalingRunOptions, ladder: Ladder, store: TokenStore) -> None:
    """Say what there is, make `out` the folder of this ladder, and write the parts of the token store."""
    begun = any((options.out / name).exists() for name in ("tokens", "rates", "trunks", "cells"))
    check_run(options.out, options, "auto", begun=begun)  # of another ladder it is said, before cells are looked at
    done = sum(is_finished(cell_training(options, cell)) for cell in ladder.trained)
    say_found(
        device=describe_device(best_device()),
        **ladder_facts(options, ladder, store),
        cells=f"{len(ladder.trained):,}, {done:,} of them finished",
    )
    for note in notes(options, ladder):
        print(visible(note), file=sys.stderr, flush=True)
    check_tasks(options, ladder, store)
    open_run(options.out, options, resume="auto", begun=begun)
    for part in ladder.parts:
        _write_part(options, part, store)
    prepare_films(options, ladder)


def _write_part(options: ScalingRunOptions, part: DataPart, store: TokenStore) -> None:
    folder = store_of(options, part)
    if part.clips is None or (folder / "metadata.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
    folder.mkdir(parents=True)
    write_subset(store, folder, part.clips)


def _train_trunk(options: ScalingRunOptions, trunk: Trunk, cells: Sequence[Cell]) -> None:
    """Train a trunk, unless that is done, or there is no rate that it could learn at."""
    training = trunk_training(options, trunk, cells)
    if not is_finished(training) and settle_rate(options, trunk):
        _train(training)


def _train_cell(options: ScalingRunOptions, cell: Cell) -> None:
    """Train a cell from its trunk, unless that is done; one whose trunk diverged before it could begin has, too."""
    training = cell_training(options, cell)
    if is_finished(training):
        return
    trunk = training.training.trunk
    assert trunk is not None, "every cell has one"
    if has_diverged(trunk) and not (trunk / "checkpoints" / f"{cell.branch:06d}").exists():
        why = f"its trunk, {cell.trunk.name}, diverged before step {cell.branch}"
        note_divergence(training.out, why, kind_of_divergence(trunk))
        return
    _train(training)


def _train(training: TrainOptions) -> None:
    """Train, or go on; that a loss or a weight is not finite is written down."""
    try:
        with clocked(training.out):
            train_and_watch(training)
    except FloatingPointError as error:
        note_divergence(training.out, str(error))
        print(visible(f"{training.out.name} diverged: {error}"), file=sys.stderr, flush=True)


def _say_end(options: ScalingRunOptions, rows: Sequence[LadderRow]) -> None:
    for row in rows:
        if row.diverged:
            print(visible(f"diverged: {row.run}, {row.why_diverged}"))
    table = options.out / "runs.csv"
    print(visible(f"{count(len(rows), 'row')} in {table}"))
    say_done(options.out, "secondsight scaling fit", table, "--out", options.out / "law")
