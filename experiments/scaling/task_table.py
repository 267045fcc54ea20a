"""Tasks against compute, from anybody's table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.scaling.columns import (
    ACCURACY,
    HIGHER,
    LOWER,
    PERCENT,
    UNITS,
    AnyTable,
    as_share,
    check_percent,
    text_of,
    words_of,
)
from experiments.scaling.options import LikelihoodKind, ScalingTasksOptions
from experiments.statistics.outcomes import Floats


@dataclass(frozen=True)
class TaskRow:
    """A model on a task: a row of points.csv."""

    task: str
    """Name of the task."""
    items: str
    """Group of items of the task, which is never pooled with others; empty where there are none."""
    compute: float
    """Compute of the model's training, in `unit`."""
    unit: str
    """What compute is in, such as `flop`."""
    seed: str
    """Seed of the training; empty where none is named."""
    accuracy: float | None
    """Share of correct answers; empty where it was not measured."""
    likelihood: float | None
    """Continuous measure of the same answers, as the table has it; empty where there is none."""
    likelihood_name: str
    """What the table calls that measure; empty where there is none."""


@dataclass(frozen=True)
class TaskTable:
    """Tasks of many models."""

    rows: tuple[TaskRow, ...]
    likelihood: str
    """Name of the continuous measure; empty where there is none."""
    lower: bool
    """Whether lower values of it are better."""

    def groups(self) -> list[tuple[str, str]]:
        """Return tasks and groups of items, in the order of the table."""
        return list(dict.fromkeys((row.task, row.items) for row in self.rows))

    def values(self, task: str, items: str, likelihood: bool) -> tuple[Floats, Floats]:
        """Return logarithms of compute (n,) and a measure (n,) that is better the greater it is, of one group.

        Args:
            task: its name.
            items: group of its items.
            likelihood: the continuous measure rather than accuracy; a loss is turned upside down.
        """
        points = [
            (row.compute, value)
            for row in self.rows
            if (row.task, row.items) == (task, items)
            if (value := row.likelihood if likelihood else row.accuracy) is not None
        ]
        compute, values = np.array(points).reshape(-1, 2).T
        return np.log10(compute), values * (-1 if likelihood and self.lower else 1)


def read_tasks(options: ScalingTasksOptions) -> TaskTable:
    """Return the tasks of a table.

    Raises:
        ValueError: the table lacks a column or a unit, or a number is not what it should be.
    """
    table = AnyTable(options.table)
    compute = table.needed("compute", "--compute-column", options.compute_column, ("compute", "flop"), UNITS)
    unit = table.unit(compute, options.unit)
    task = table.needed("tasks", "--task-column", options.task_column, ("task",))
    items = table.column("groups of items", "--items-column", options.items_column, ("items",))
    seed = table.column("seeds", "--seed-column", options.seed_column, ("seed",))
    accuracy = table.needed("accuracies", "--accuracy-column", options.accuracy_column, ("accuracy",), ACCURACY)
    likelihood = table.column(
        "likelihoods", "--likelihood-column", options.likelihood_column, ("likelihood",), (HIGHER | LOWER) - ACCURACY
    )
    percent = bool(words_of(accuracy) & PERCENT)
    if percent:
        check_percent(table, accuracy)
    rows = tuple(
        TaskRow(
            task=text_of(row, task),
            items=text_of(row, items),
            compute=table.number(index, compute, positive=True),
            unit=unit,
            seed=text_of(row, seed),
            accuracy=as_share(table, index, accuracy, percent) if text_of(row, accuracy) else None,
            likelihood=table.number(index, likelihood) if likelihood and text_of(row, likelihood) else None,
            likelihood_name=likelihood or "",
        )
        for index, row in enumerate(table.rows)
    )
    if all(row.accuracy is None and row.likelihood is None for row in rows):
        raise ValueError(f"{table.path} has no value in {accuracy}{f' or {likelihood}' if likelihood else ''}")
    return TaskTable(rows, likelihood or "", bool(likelihood) and _is_lower(options, likelihood or ""))


def _is_lower(options: ScalingTasksOptions, likelihood: str) -> bool:
    """Return whether lower values of the continuous measure are better.

    Raises:
        ValueError: neither the option nor the column's name says it.
    """
    words = words_of(likelihood)
    said: LikelihoodKind | None = options.likelihood_better
    if said is None and not words & (HIGHER | LOWER):
        raise ValueError(f"{options.table} does not say whether more {likelihood} is better: add --likelihood-better")
    return said == "lower" if said else bool(words & LOWER)
