"""Anybody's table of runs as rows: which column is what, in which unit, and what was made of what is not there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from experiments.scaling.columns import AnyTable, copies_in_words, words_of
from experiments.scaling.laws import FLOP_PER_PARAMETER_AND_ITEM
from experiments.scaling.options import RunTableOptions
from experiments.scaling.tables import RunRow

COMPUTE_UNITS = {"flop": 1.0, "petaflop": 1e15, "exaflop": 1e18, "petaflop-days": 8.64e19}
"""FLOP of each unit."""
ITEMS = ("tokens", "images", "clips", "frames", "items", "samples", "examples")
"""Words that say what items are."""
PARAMETERS = (
    "parameters",
    "params",
    "n_params",
    "n_parameters",
    "total_parameters",
    "total_params",
    "model_parameters",
)
NON_EMBEDDING = ("non_embedding_parameters", "non_embedding_params", "parameters_without_embeddings")
DATA = tuple(f"{begin}{item}" for item in ITEMS for begin in ("", "training_", "train_", "n_"))
UNIQUE = ("unique_data", *(f"unique_{item}" for item in ITEMS))
COMPUTE = ("flop", "flops", "training_flop", "training_flops", "train_flops", "compute_flop", "compute_flops")
LOSS = ("loss", "final_loss", "validation_loss", "val_loss", "test_loss", "nll", "bits_per_pixel", "bits_per_byte")
UNITS_IN_NAMES = {"bits per pixel": "pixel", "bits per byte": "byte"}
"""Units of losses, by a word in the name of a column that also has the word `bits`."""
NATS = "nats per token"
BITS_PER_PIXEL = "bits per pixel"
"""The unit in which models with different tokenizers compare."""
YES = ("true", "1", "yes", "diverged")
NO = ("false", "0", "no", "")
LEAST_PARAMETERS = 1000
"""Of a model: smaller numbers count thousands, millions or billions."""
PLAUSIBLE = (0.1, 1000.0)
"""FLOP per parameter and item: beyond them a column is in another unit than it seems."""


@dataclass(frozen=True)
class RunTable:
    """A table that was read."""

    rows: list[RunRow]
    """All of them, diverged ones too."""
    item: str
    """What an item is: `tokens`."""
    notes: list[str]
    """What was made of what the table does not say, in sentences."""


@dataclass(frozen=True)
class _Columns:
    """Names of columns; None where there is none."""

    parameters: str
    non_embedding: str | None
    data: str | None
    unique: str | None
    compute: str | None
    loss: str
    run: str | None
    seed: str | None
    source: str | None
    diverged: str | None
    compute_factor: float


def read_runs(path: Path, options: RunTableOptions) -> RunTable:
    """Return the runs of a table.

    Raises:
        ValueError: it is no table, a column is missing or has no unit, or a cell holds something else than it should.
    """
    table = AnyTable(path)
    named = _find_columns(table, options)
    rows = [
        _row(table, index, named, _loss_unit(table, index, named.loss, options)) for index in range(len(table.rows))
    ]
    _check_units(path, rows)
    _check_tokenizers(table, rows)
    if named.data is not None and named.compute is not None:
        _check_plausible(path, rows)
    return RunTable(rows, _item(named, options), list(_notes(table, named, rows)))


def _find_columns(table: AnyTable, options: RunTableOptions) -> _Columns:
    own = {field.name for field in fields(RunRow)} <= set(table.names)
    parameters = table.needed("parameters", "--parameters-column", options.parameters_column, PARAMETERS)
    data = _data_column(table, options, own)
    compute, factor = _compute_column(table, options, own)
    if data is None and compute is None:
        raise ValueError(
            f"{table.path} has neither a column of compute nor one of items seen: name one by --compute-column or "
            f"--data-column ({', '.join(table.names)})"
        )
    run = table.column("names of runs", "--run-column", options.run_column, ("run", "name"))
    sources = ("source", "trunk")
    return _Columns(
        parameters=parameters,
        non_embedding=table.column(
            "parameters without embeddings", "--non-embedding-column", options.non_embedding_column, NON_EMBEDDING
        ),
        data=data,
        unique=table.column("different items", "--unique-column", options.unique_column, UNIQUE),
        compute=compute,
        loss=table.needed("losses", "--loss-column", options.loss_column, LOSS),
        run=run,
        seed=table.column("seeds", "--seed-column", options.seed_column, ("seed",)),
        source=table.column("what belongs together", "--source-column", options.source_column, sources) or run,
        diverged=table.column("what diverged", "--diverged-column", options.diverged_column, ("diverged",)),
        compute_factor=factor,
    )


def _data_column(table: AnyTable, options: RunTableOptions, own: bool) -> str | None:
    exact = (*DATA, "data") if own or options.data_unit else DATA
    found = table.column("items seen", "--data-column", options.data_column, exact)
    if found is None and "data" in table.names:
        raise ValueError(f"{table.path} does not say what data is in: add --data-unit, such as --data-unit tokens")
    known = own or options.data_unit or found is None or words_of(found) & set(ITEMS)
    if not known:
        raise ValueError(f"{table.path} does not say what {found} is in: add --data-unit, such as --data-unit tokens")
    return found


def _compute_column(table: AnyTable, options: RunTableOptions, own: bool) -> tuple[str | None, float]:
    """Return the column of compute, and the FLOP of what it is in."""
    found = table.column("compute", "--compute-column", options.compute_column, (*COMPUTE, "compute"))
    if found is None:
        return None, 1.0
    if options.compute_unit is not None:
        return found, COMPUTE_UNITS[options.compute_unit]
    if not own and not words_of(found) & {"flop", "flops"}:
        raise ValueError(
            f"{table.path} does not say what {found} is in: add --compute-unit, {', '.join(COMPUTE_UNITS)}"
        )
    return found, 1.0


def _row(table: AnyTable, index: int, named: _Columns, loss_unit: str) -> RunRow:
    parameters = table.number(index, named.parameters, positive=True)
    if parameters < LEAST_PARAMETERS:
        raise ValueError(
            f"{table.path}, row {index + 1}: {named.parameters} {parameters:g} are too few for a model: give them one "
            "by one, not in millions"
        )
    data = None if named.data is None else table.number(index, named.data, positive=True)
    compute = None
    if named.compute is not None:
        compute = named.compute_factor * table.number(index, named.compute, positive=True)
    if data is None:
        data = (compute or 0.0) / FLOP_PER_PARAMETER_AND_ITEM / parameters
    if compute is None:
        compute = FLOP_PER_PARAMETER_AND_ITEM * parameters * data
    loss, diverged = _loss(table, index, named)
    cells = table.rows[index]
    run = (cells[named.run].strip() if named.run else "") or f"row {index + 1}"
    return RunRow(
        run=run,
        seed=_seed(table, index, named.seed),
        parameters=round(parameters),
        non_embedding_parameters=_non_embedding(table, index, named.non_embedding, parameters),
        data=data,
        unique_data=_unique(table, index, named.unique, data),
        compute=compute,
        loss=loss,
        loss_unit=loss_unit,
        source=(cells[named.source].strip() if named.source else "") or run,
        diverged=diverged,
    )


def _loss(table: AnyTable, index: int, named: _Columns) -> tuple[float, bool]:
    """Return the loss and whether the training diverged, as it did where the loss is not finite or not there."""
    failed = named.diverged is not None and _yes(table, index, named.diverged)
    text = table.rows[index][named.loss].strip()
    if text.lower().lstrip("+-") in ("", "nan", "inf", "infinity"):
        return math.nan, True
    return table.number(index, named.loss, positive=not failed), failed


def _yes(table: AnyTable, index: int, column: str) -> bool:
    text = table.rows[index][column].strip().lower()
    if text not in (*YES, *NO):
        raise ValueError(f"{table.path}, row {index + 1}: {column} {text!r} must be True or False")
    return text in YES


def _seed(table: AnyTable, index: int, column: str | None) -> int:
    if column is None:
        return 0
    text = table.rows[index][column].strip()
    text = text.removesuffix(".0")  # what pandas makes of whole numbers in a column with gaps
    if not text.isascii() or not text.isdigit():
        raise ValueError(
            f"{table.path}, row {index + 1}: {column} {text!r} is no whole number: give every run its seed, or leave "
            "the column out"
        )
    return int(text)


def _non_embedding(table: AnyTable, index: int, column: str | None, parameters: float) -> int | None:
    if column is None or not table.rows[index][column].strip():
        return None
    count = table.number(index, column, positive=True)
    if count > parameters:
        raise ValueError(
            f"{table.path}, row {index + 1}: {column} {count:g} is more than the {parameters:g} parameters of the model"
        )
    return round(count)


def _unique(table: AnyTable, index: int, column: str | None, data: float) -> float | None:
    """Return how many different items were seen: of more than were seen, as many as were seen."""
    if column is None or not table.rows[index][column].strip():
        return None
    return min(table.number(index, column, positive=True), data)


def _loss_unit(table: AnyTable, index: int, column: str, options: RunTableOptions) -> str:
    if options.loss_unit:
        return options.loss_unit
    said = table.rows[index].get("loss_unit", "").strip()
    if said:
        return said
    words = words_of(column)
    return next((unit for unit, word in UNITS_IN_NAMES.items() if {"bits", word} <= words), NATS)


def _item(named: _Columns, options: RunTableOptions) -> str:
    words = words_of(named.data or "tokens")
    return options.data_unit or next((item for item in ITEMS if item in words), "tokens")


def _check_units(path: Path, rows: Sequence[RunRow]) -> None:
    """Refuse losses of several units."""
    units = sorted({row.loss_unit for row in rows})
    if len(units) > 1:
        raise ValueError(
            f"{path} has losses in {', '.join(units)}, which do not compare: give one table for each, or losses of all "
            f"in {BITS_PER_PIXEL} by --loss-column"
        )


def _check_tokenizers(table: AnyTable, rows: Sequence[RunRow]) -> None:
    """Refuse losses per token of several tokenizers."""
    tokenizers = sorted({row.get("tokenizer", "") for row in table.rows})
    if len(tokenizers) > 1 and rows[0].loss_unit != BITS_PER_PIXEL:
        raise ValueError(
            f"{table.path} has losses of several tokenizers ({', '.join(tokenizers)}) in {rows[0].loss_unit}, which do "
            f"not compare: give one table for each, or losses in {BITS_PER_PIXEL} by --loss-column and --loss-unit"
        )


def _check_plausible(path: Path, rows: Sequence[RunRow]) -> None:
    """Refuse columns whose numbers cannot be in their units."""
    for number, row in enumerate(rows, start=1):
        factor = row.compute / row.parameters / row.data
        if not PLAUSIBLE[0] <= factor <= PLAUSIBLE[1]:
            raise ValueError(
                f"{path}, row {number}: {factor:.3g} FLOP per parameter and item, where a training has about "
                f"{FLOP_PER_PARAMETER_AND_ITEM:g}: one of the cells is in another unit than it seems; see "
                "--compute-unit"
            )


def _notes(table: AnyTable, named: _Columns, rows: Sequence[RunRow]) -> list[str]:
    """Return what was made of what the table does not say."""
    factor = f"{FLOP_PER_PARAMETER_AND_ITEM:g}"
    tokenizers = {row.get("tokenizer", "") for row in table.rows}
    copies = copies_in_words(table)
    said = {
        copies: bool(copies),
        f"No column of items seen: D = C / {factor} N.": named.data is None,
        f"No column of compute: C = {factor} N D.": named.compute is None,
        "No column of seeds or of what belongs together: every row counts as a training of its own.": (
            named.seed is None and named.source is None
        ),
        f"Losses of {len(tokenizers)} tokenizers are compared in {BITS_PER_PIXEL}.": len(tokenizers) > 1,
        "Some rows do not say how many different items they saw: all of theirs count as different.": (
            named.unique is not None and any(row.unique_data is None for row in rows)
        ),
    }
    return [note for note, holds in said.items() if holds]
