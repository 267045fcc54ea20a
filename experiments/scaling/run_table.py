"""runs.csv of a ladder: a row for each training that is done, which `scaling fit` reads as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.tokens import TokenStore
from experiments.codebook import write_codebook
from experiments.scaling.ladder import Cell, Ladder, non_embedding_parameters
from experiments.scaling.options import LadderOptions
from experiments.scaling.rate_table import TriedRow
from experiments.scaling.runs import NATS
from experiments.scaling.tables import RunRow
from experiments.scaling.trainings import WhyDiverged, cell_training, is_finished, learning_rate_of, read_end
from gpt.flops import parameter_count
from storage.tables import write_rows


@dataclass(frozen=True)
class LadderRow(RunRow):
    """A training of a ladder: a row of its runs.csv."""

    bits_per_pixel: float
    """The loss in bits per pixel of the originals, in which models with different tokenizers compare."""
    why_diverged: WhyDiverged
    """How it showed that the training failed; empty if it did not."""
    budget: float
    """FLOP that were asked for; `compute` is what whole steps made of them."""
    hours_of_film: float | None
    """Hours of film that there were to learn from; empty for images."""
    epochs: float
    """How often each training item was seen."""
    layers: int
    """Transformer blocks."""
    heads: int
    """Attention heads per block."""
    width: int
    """Width of the residual stream."""
    steps: int
    """Optimizer steps."""
    decay_steps: int
    """The last of them, in which the learning rate fell."""
    batch: int
    """Sequences per step."""
    learning_rate: float
    """Peak learning rate of a GPT of the width `rate_at_width`; where several were tried, the best for the size."""
    rate_at_width: int
    """Width for which the rate is given; 0 where all learn at it."""
    tokenizer: str
    """Fingerprint of the tokenizer whose tokens were learned."""


TABLES: dict[str, type] = {"runs.csv": LadderRow, "rates.csv": TriedRow}
"""The rows of the tables, for the codebook; rates.csv is there where rates are tried."""


def write_runs(options: LadderOptions, ladder: Ladder, store: TokenStore) -> list[LadderRow]:
    """Write runs.csv with the trainings that are done, and its codebook, and return the rows.

    Raises:
        RunFolderError: a training was made with other options.
        ValueError: the metrics of one are damaged.
    """
    rows = list(_rows(options, ladder, store))
    write_rows(options.out / "runs.csv", rows, LadderRow)
    write_codebook(options.out, {name: kind for name, kind in TABLES.items() if (options.out / name).exists()})
    return rows


def add_run(
    options: LadderOptions, ladder: Ladder, store: TokenStore, rows: Sequence[LadderRow], cell: Cell
) -> list[LadderRow]:
    """Write runs.csv anew with the row of one more training, if that is done, and return all rows.

    Others are not looked at again, so that the table of many trainings costs no more after each of them.

    Raises:
        RunFolderError: the training was made with other options.
        ValueError: its metrics are damaged.
    """
    training = cell_training(options, cell)
    if not is_finished(training):
        return list(rows)
    by_name = {row.run: row for row in rows} | {cell.name: _row(options, cell, training.out, store)}
    ordered = [by_name[each.name] for each in ladder.trained if each.name in by_name]
    write_rows(options.out / "runs.csv", ordered, LadderRow)
    return ordered


def _rows(options: LadderOptions, ladder: Ladder, store: TokenStore) -> Iterator[LadderRow]:
    for cell in ladder.trained:
        training = cell_training(options, cell)
        if is_finished(training):
            yield _row(options, cell, training.out, store)


def _row(options: LadderOptions, cell: Cell, run: Path, store: TokenStore) -> LadderRow:
    trunk = cell.trunk
    config = trunk.size.config
    end = read_end(run, cell.steps)
    return LadderRow(
        run=cell.name,
        seed=trunk.seed,
        parameters=parameter_count(config),
        non_embedding_parameters=non_embedding_parameters(config),
        data=float(cell.data),
        unique_data=float(cell.unique_data),
        compute=cell.compute,
        loss=end.nll,
        loss_unit=NATS,
        source=trunk.name,
        diverged=bool(end.why_diverged),
        bits_per_pixel=end.bits_per_pixel,
        why_diverged=end.why_diverged,
        budget=cell.budget,
        hours_of_film=trunk.data.hours,
        epochs=cell.steps * cell.batch / trunk.data.items,
        layers=config.layers,
        heads=config.heads,
        width=config.width,
        steps=cell.steps,
        decay_steps=cell.decay_steps,
        batch=cell.batch,
        learning_rate=learning_rate_of(options, trunk.size),
        rate_at_width=trunk.size.rate_at_width,
        tokenizer=store.metadata.tokenizer,
    )
