"""`secondsight scaling plan`: what a ladder of trainings would take, before anything is trained.

plan.csv       a row for each training
rates.csv      with --learning-rates: a row for each short training that tries one
codebook.csv   what its columns are
config.json    the options, which `scaling run --plan` reads
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.subset import clip_of
from data.tokens import TokenItem, TokenStore
from experiments.codebook import write_codebook
from experiments.scaling.ladder import Ladder, flops_per_step, make_ladder, non_embedding_parameters
from experiments.scaling.options import LadderOptions, ScalingPlanOptions
from experiments.scaling.plan_rows import PlanRow, plan_rows
from experiments.scaling.rate_table import PlannedTrialRow, planned_rows
from experiments.scaling.rates import all_trials
from experiments.scaling.speed import seconds_of_a_step
from gpt.flops import parameter_count
from storage.lock import FolderLock
from storage.run_folder import open_run
from storage.tables import write_rows
from storage.terminal import visible
from training.processes import best_device, describe_device
from training.progress import count, say_done, say_found

TABLES: dict[str, type] = {"plan.csv": PlanRow}
"""The rows of the tables, for the codebook."""
LAW_PARAMETERS = 5
"""E, A, B and the two exponents of the law that `scaling fit` fits."""
FEW_STEPS = 20
"""Below so many steps, whole ones miss a budget by 2.5 % or more, and a rate has hardly been reached."""


def plan_scaling(options: ScalingPlanOptions) -> Path:
    """Write plan.csv, print what the ladder would take, and return the folder.

    Raises:
        FolderLockError: another process is writing into `out`.
        RunFolderError: `out` holds something else than a plan.
        TokenStoreError: the token store cannot be used, or has less than is asked for.
        ValueError: there is no such preset, or a budget cannot be spent.
    """
    store = TokenStore(options.tokens)
    ladder = make_ladder(options, store)
    say_found(device=describe_device(best_device()), **ladder_facts(options, ladder, store))
    seconds = _seconds(options, ladder)
    rows = plan_rows(ladder, seconds)
    trials = planned_rows(options, ladder, seconds)
    with FolderLock(options.out, wait=True):
        # A plan that is made again replaces the one before: nothing was trained for it.
        open_run(options.out, options, resume="auto", begun=False)
        write_rows(options.out / "plan.csv", rows, PlanRow)
        _write_trials(options.out, trials)
    _print(options, ladder, rows, trials, seconds)
    say_done(options.out, "secondsight scaling run --plan", options.out, "--out LADDER")
    return options.out


def _write_trials(out: Path, trials: list[PlannedTrialRow]) -> None:
    """Write rates.csv if rates are tried, or remove that of a plan before in which some were; and the codebook."""
    if trials:
        write_rows(out / "rates.csv", trials, PlannedTrialRow)
    else:
        (out / "rates.csv").unlink(missing_ok=True)
    write_codebook(out, TABLES | ({"rates.csv": PlannedTrialRow} if trials else {}))


def ladder_facts(options: LadderOptions, ladder: Ladder, store: TokenStore) -> dict[str, str]:
    """Return what a ladder is, by name, in words."""
    parts = [
        part.name if part.hours is None else f"{part.name} ({part.hours:.3g} hours of film)" for part in ladder.parts
    ]
    held = [item for item in store.items if item.split == "validation"]
    share = ladder.compute / ladder.compute_apart
    trials = all_trials(options, ladder)
    sweep = f"{sum(trial.compute for trial in trials):.3g} FLOP for {count(len(trials), 'trial')} of learning rates, "
    return {
        "sizes": ", ".join(size.name for size in ladder.sizes),
        "data": "; ".join(f"{name}, {part.tokens:,} tokens" for name, part in zip(parts, ladder.parts, strict=True)),
        "held_out": f"{count(len({clip_of(item) for item in held}), 'clip')} of {count(_groups(held), 'group')}",
        "budgets": f"{', '.join(f'{budget:g}' for budget in sorted(options.budgets))} FLOP",
        "trainings": f"{count(len(ladder.trained), 'cell')} on {count(len(ladder.by_trunk), 'trunk')}",
        "arithmetic": f"{sweep if trials else ''}{ladder.compute:.3g} FLOP{' for cells' if trials else ''}, "
        f"{100 * share:.0f} % of what separate trainings take",
    }


def notes(options: LadderOptions, ladder: Ladder) -> Iterator[str]:
    """Yield sentences on what a ladder will not be able to tell."""
    cells = ladder.trained
    left = len(ladder.cells) - len(cells)
    if left:
        yield f"{count(left, 'cell')} left out, as a size cannot spend a budget: see left_out in plan.csv"
    if len(options.budgets) == 1:
        yield "beware: one budget alone tells a best size, and nothing of how it grows"
    if len({(cell.trunk.size, cell.trunk.data, cell.budget) for cell in cells}) < LAW_PARAMETERS:
        yield f"beware: fewer different trainings than the {LAW_PARAMETERS} parameters of the law of scaling fit"
    if options.seeds == 1:
        yield "beware: with one seed, intervals rest on differences between trunks alone"
    fewest = min(cells, key=lambda cell: cell.steps)
    if fewest.steps < FEW_STEPS:
        yield f"beware: {fewest.name} takes {count(fewest.steps, 'step')}: a smaller --batch gives more of them"
    depths = {cell.trunk.size.config.layers for cell in cells}
    if len(depths) > 1 and cells[0].trunk.size.rate_at_width and not options.learning_rates:
        yield "beware: the rule of the learning rate covers widths, not the depths in which these sizes differ"


def _seconds(options: LadderOptions, ladder: Ladder) -> dict[str, float]:
    """Return the seconds that a step takes by size: at the speed that is stated, or as measured here."""
    sizes = {size.name: size for size in ladder.sizes}
    if options.flops_per_second is not None:
        return {
            name: flops_per_step(size.config, options.batch) / options.flops_per_second for name, size in sizes.items()
        }
    return {name: seconds_of_a_step(options, size) for name, size in sizes.items()}


def _groups(items: list[TokenItem]) -> int:
    return len({item.group or item.source for item in items})


def _print(
    options: LadderOptions,
    ladder: Ladder,
    rows: list[PlanRow],
    trials: list[PlannedTrialRow],
    seconds: dict[str, float],
) -> None:
    table = Table("size", "parameters", "no embeddings", "FLOP/s", "steps", "hours")
    if trials:
        table.add_column("hours to try rates")
    for size in ladder.sizes:
        of_size = [
            row for row, cell in zip(rows, ladder.cells, strict=True) if cell.trunk.size == size and not cell.left_out
        ]
        step = flops_per_step(size.config, options.batch)
        steps = ", ".join(f"{each:,}" for each in sorted({row.steps for row in of_size}))
        tried = [f"{_hours(trial for trial in trials if trial.size == size.name):.3g}"] if trials else []
        table.add_row(
            visible(size.name),
            f"{parameter_count(size.config):,}",
            f"{non_embedding_parameters(size.config):,}",
            f"{step / seconds[size.name]:.3g}",
            steps,
            f"{_hours(of_size):.3g}",
            *tried,
        )
    Console().print(table)
    how = "at the speed that was stated" if options.flops_per_second else "at the speed of a few steps taken here"
    compute = ladder.compute + sum(trial.compute for trial in trials)
    hours = _hours(rows) + _hours(trials)
    print(f"{compute:.3g} FLOP in all: {hours:.3g} hours {how}, validation and checkpoints besides")
    for note in notes(options, ladder):
        print(visible(note))


def _hours(rows: Iterable[PlanRow | PlannedTrialRow]) -> float:
    return sum(row.expected_hours or 0 for row in rows)
