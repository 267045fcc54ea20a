"""Measure the cells of a ladder on tasks: `secondsight scaling run --tasks`.

All cells are trained first. What cannot be measured is refused before the first of them is: a list or films with
defects, data that are not those of the tokens, a tokenizer that is not theirs, or tokens that a task cannot use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data.tokens import TokenStore
from experiments.diversity.distances import build_distances
from experiments.diversity.material import read_material
from experiments.memory.material import read_lists
from experiments.physics.checks import check_set
from experiments.physics.encoding import encode_films
from experiments.physics.experiment import find_void
from experiments.physics.readers.any import read_set
from experiments.scaling.ladder import Cell, Ladder
from experiments.scaling.measured import (
    curve_path,
    measured_rows,
    unmeasured_rows,
    write_measured,
)
from experiments.scaling.measured_tables import MeasuredRow
from experiments.scaling.measurements import Measurement, films_folder, is_measured, measure, measurements
from experiments.scaling.measuring_options import Task
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.outcomes import TO_PEOPLE, outcomes_of
from experiments.scaling.run_table import LadderRow
from experiments.scaling.trainings import cell_training, is_finished, read_end
from experiments.slurm_jobs import Step
from gpt.config import MismatchError
from storage.fingerprints import same_fingerprint
from storage.run_folder import RunFolderError
from storage.terminal import visible
from training.processes import best_device
from training.progress import count, say_done, say_found
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer

FEWEST_CLIPS = 2
"""To learn from, where continuations are told from one another."""

Attempt = Callable[[str, Callable[[], object]], Exception | None]
"""Carries out something of a name, notes if it fails, and returns why."""


def check_tasks(options: ScalingRunOptions, ladder: Ladder, store: TokenStore) -> None:
    """Refuse what cannot be measured, as far as it is not measured yet; nothing is written.

    Raises:
        MismatchError: the tokenizer is not that of the tokens, or the tokens are those of clips and images are asked
            for.
        RunFolderError: something is measured with other options.
        MediaError, StimulusError, ManifestError, TokenStoreError, ValueError, WeightsMissingError: see the commands
            that measure.
    """
    missing = {one.task: one for one in reversed(_missing(options, ladder))}
    if options.measuring.tasks:
        say_found(tasks=", ".join(options.measuring.tasks))
    if not missing.keys() - {"nll"}:
        return
    assert options.measuring.tokenizer is not None, "the options ask for it"
    tokenizer = load_tokenizer(options.measuring.tokenizer).to(best_device())
    check_tokenizer(options.measuring.tokenizer, tokenizer, store)
    for task, one in missing.items():
        if task in CHECKS:
            CHECKS[task](one.options, tokenizer, store, ladder)


def prepare_films(options: ScalingRunOptions, ladder: Ladder) -> None:
    """Encode the films of `physics` where cells are to be measured on them, once for all cells.

    Raises:
        ErasedError: the tokenizer keeps too little of what matched films differ in.
        MediaError: a film is too short, or cannot be decoded.
    """
    missing = [one for one in _missing(options, ladder) if one.task == "physics"]
    if missing:
        asked: Any = missing[0].options
        films = check_set(read_set(asked.films, asked.kind), asked.exclude_defects)
        tokenizer = load_tokenizer(asked.tokenizer).to(best_device())
        find_void(encode_films(films, tokenizer, films_folder(options)), asked.least_kept)


def measure_cells(
    options: ScalingRunOptions, ladder: Ladder, trained: Sequence[LadderRow], attempt: Attempt
) -> list[MeasuredRow]:
    """Measure what is missing, write the tables after each, and return the rows of tasks.csv.

    Args:
        options: of the ladder.
        ladder: its cells.
        trained: the rows of runs.csv.
        attempt: notes what fails, and goes on.
    """
    asked = measurements(options, ladder)
    by_name = {row.run: row for row in trained}
    reasons = {one.name: why for one in asked if (why := _hindrance(one, by_name))}
    rows: dict[str, list[MeasuredRow]] = {}
    for one in asked:
        if one.name in reasons:
            continue
        error = None if is_measured(one) else attempt(f"task {one.name}", partial(measure, one))
        if error is not None:
            reasons[one.name] = f"it failed: {error}"
        elif one.cell is not None:
            rows[one.name] = measured_rows(by_name[one.cell.name], outcomes_of(one, options.measuring))
        _write(options.out, asked, rows, reasons)
    _write(options.out, asked, rows, reasons)
    return [row for of_one in rows.values() for row in of_one]


def measure_part(options: ScalingRunOptions, one: Measurement) -> None:
    """Carry out one measurement, whose cell must be trained; nothing is measured of one that diverged.

    Raises:
        RunFolderError: the cell is not trained yet.
    """
    if one.cell is not None:
        training = cell_training(options, one.cell)
        if not is_finished(training):
            raise RunFolderError(f"{training.out} is not trained yet: the part {one.cell.name} comes first")
        why = _why_diverged(options, one.cell)
        if why:
            print(visible(f"{one.name} is not measured, as the cell diverged: {why}"))
            return
    if not is_measured(one):
        measure(one)


def measuring_step(options: ScalingRunOptions, ladder: Ladder) -> list[Step]:
    """Return what jobs of Slurm measure when all cells are trained; no step where nothing is asked for."""
    parts = [options.changed(part=one.name) for one in measurements(options, ladder)]
    return [Step("tasks", parts)] if parts else []


def say_measured(options: ScalingRunOptions, rows: Sequence[MeasuredRow]) -> None:
    """Say how much is measured, what is not, and what reads the tables."""
    out = options.out
    print(visible(f"{count(len(rows), 'row')} in {out / 'tasks.csv'}"))
    if "reconstruction" in options.measuring.tasks:
        print(visible(f"reconstruction is the tokenizer's, the same for all cells: {out / 'tasks' / 'reconstruction'}"))
    censored = sum(row.censored for row in rows)
    if censored:
        print(f"{count(censored, 'value')} censored, as people were not reached: a curve leaves them out")
    if "memory" in options.measuring.tasks and rows and not any(row.task == TO_PEOPLE for row in rows):
        print("how well people do under the conditions of the list is not known: no exposures to reach them")
    if len({row.compute for row in rows}) < 2:
        return
    say_done(out / "tasks.csv", "secondsight scaling tasks", out / "tasks.csv", "--out", out / "jumps")
    first = next((row for row in rows if row.accuracy is not None), rows[0])
    kind = "loss" if first.accuracy is None else "accuracy"
    target = f"--target {first.value:.3g}" if first.accuracy is None else f"--target .9 --floor {first.chance:.3g}"
    curve = curve_path(out, first.task)
    command = ("secondsight scaling extrapolate", curve, f"--measure {kind} {target} --out", out / "carried")
    say_done(curve, *command)


def check_tokenizer(folder: Path, tokenizer: Tokenizer, store: TokenStore) -> None:
    """Refuse a tokenizer that is not the one of the tokens.

    Raises:
        MismatchError: it is not.
    """
    if not same_fingerprint(store.metadata.tokenizer, tokenizer.fingerprint):
        raise MismatchError(
            f"the tokens in {store.folder} are those of tokenizer {store.metadata.tokenizer}, {folder} is "
            f"{tokenizer.fingerprint}: give the tokenizer that encoded them"
        )


def _missing(options: ScalingRunOptions, ladder: Ladder) -> list[Measurement]:
    """Return what is not measured yet and may be: a cell that is known to have diverged is not."""
    return [
        one
        for one in measurements(options, ladder)
        if not is_measured(one) and not (one.cell is not None and _why_diverged(options, one.cell))
    ]


def _why_diverged(options: ScalingRunOptions, cell: Cell) -> str:
    """Return why a cell counts as diverged; empty if it does not, or is not trained yet."""
    training = cell_training(options, cell)
    return read_end(training.out, cell.steps).why_diverged if is_finished(training) else ""


def _hindrance(one: Measurement, trained: Mapping[str, LadderRow]) -> str:
    """Return why a measurement cannot be made; empty if it can."""
    if one.cell is None:
        return ""
    row = trained.get(one.cell.name)
    if row is None:
        return "the cell is not trained"
    return f"the cell diverged: {row.why_diverged}" if row.diverged else ""


def _write(
    out: Path, asked: Sequence[Measurement], rows: Mapping[str, Sequence[MeasuredRow]], reasons: Mapping[str, str]
) -> None:
    missing = [one for one in asked if one.name not in rows and (one.cell or one.name in reasons)]
    write_measured(out, [row for of_one in rows.values() for row in of_one], unmeasured_rows(missing, reasons))


def _check_memory(asked: Any, tokenizer: Tokenizer, store: TokenStore, _: Ladder) -> None:
    """Refuse tokens of clips, of which a GPT knows no image, and a list with defects."""
    grid = tokenizer.grid(1, tokenizer.size, tokenizer.size)
    if grid != store.metadata.grid:
        raise MismatchError(
            f"--tasks memory: images of the list have grids of {grid}, those of {store.folder} are "
            f"{store.metadata.grid}: a list is studied by GPTs of images, whose tokens a tokenizer of stills encodes"
        )
    read_lists(asked)


def _check_diversity(asked: Any, tokenizer: Tokenizer, store: TokenStore, ladder: Ladder) -> None:
    """Refuse networks that are not there, data that are not those of the store, and parts of a single clip."""
    for part in ladder.parts:
        if part.clips is not None and part.clips < FEWEST_CLIPS:
            raise ValueError(f"--tasks diversity: {part.name} is one clip, and continuations are told from others")
    build_distances(asked.measuring.perceptual, asked.measuring.features, best_device())
    read_material(asked.data, store, tokenizer, asked.measuring.items)


def _check_physics(asked: Any, _: Tokenizer, __: TokenStore, ___: Ladder) -> None:
    """Refuse films with defects."""
    check_set(read_set(asked.films, asked.kind), asked.exclude_defects)


CHECKS: dict[Task, Callable[[Any, Tokenizer, TokenStore, Ladder], None]] = {
    "memory": _check_memory,
    "diversity": _check_diversity,
    "physics": _check_physics,
}
"""What is looked at of the options of a task before anything is trained."""
