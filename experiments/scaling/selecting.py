"""Which runs a law is fitted to, and whether they can tell its parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.scaling.laws import Floats
from experiments.scaling.options import Repetition, ScalingFitOptions, SizeKind
from experiments.scaling.tables import RunRow

APART = 0.01
"""Log ratio up to which two sizes, or two amounts of data, count as one."""
AGAIN = 1e-3
"""Share of items that must be repeats for a run to count as one that saw some twice: less is rounding."""
LEAST_RUNGS = 3
"""Different sizes, and amounts of data: of two neither an exponent nor a floor can be told."""
DIVERGED = "diverged"


@dataclass(frozen=True)
class Runs:
    """Runs that a law is fitted to, as arrays (n,), and the rows that they are."""

    rows: list[RunRow]
    parameters: Floats
    data: Floats
    unique: Floats
    """As many as `data` where nothing is known of repeats."""
    compute: Floats
    """FLOP."""
    loss: Floats
    sources: NDArray[np.int64]
    """Which runs belong together, counted from 0."""

    def some(self, chosen: NDArray[np.bool_]) -> Runs:
        """Return those that are marked (n,)."""
        return make_runs([row for row, taken in zip(self.rows, chosen, strict=True) if taken], self.parameters[chosen])

    @property
    def repeated(self) -> NDArray[np.bool_]:
        """Whether each saw items twice (n,)."""
        return self.data > self.unique * (1 + AGAIN)


def make_runs(rows: Sequence[RunRow], parameters: Floats) -> Runs:
    """Return rows as arrays, with the parameters (n,) that count."""
    sources = np.unique([row.source for row in rows], return_inverse=True)[1]
    return Runs(
        list(rows),
        np.asarray(parameters, np.float64),
        np.array([row.data for row in rows], np.float64),
        np.array([row.data if row.unique_data is None else row.unique_data for row in rows], np.float64),
        np.array([row.compute for row in rows], np.float64),
        np.array([row.loss for row in rows], np.float64),
        sources.astype(np.int64),
    )


def sized(rows: Sequence[RunRow], size: SizeKind) -> Floats:
    """Return the parameters (n,) of rows that count.

    Raises:
        ValueError: those without embeddings are asked for, and not known of a row.
    """
    if size == "total":
        return np.array([row.parameters for row in rows], np.float64)
    unknown = [row.run for row in rows if not row.non_embedding_parameters]
    if unknown:
        raise ValueError(
            f"--size non-embedding: {unknown[0]} and {len(unknown) - 1} other rows do not say how many parameters they "
            "have without embeddings: give --non-embedding-column, or --size total"
        )
    return np.array([row.non_embedding_parameters for row in rows], np.float64)


def reasons(rows: Sequence[RunRow], leave_out_highest: int) -> list[str]:
    """Return why each row is left out, empty for those that are fitted.

    Args:
        rows: of a table.
        leave_out_highest: how many of the highest losses are left out, of those that did not diverge.

    Raises:
        ValueError: nothing would be left.
    """
    found = [DIVERGED if row.diverged else "" for row in rows]
    kept = sorted((index for index, why in enumerate(found) if not why), key=lambda index: rows[index].loss)
    if leave_out_highest >= len(kept) > 0:
        raise ValueError(f"--leave-out-highest {leave_out_highest} leaves nothing of the {len(kept)} rows")
    for rank, index in enumerate(reversed(kept[len(kept) - leave_out_highest :]), start=1):
        found[index] = f"highest loss {rank} of {leave_out_highest}"
    return found


def choose(rows: Sequence[RunRow], options: ScalingFitOptions) -> tuple[Runs, list[str]]:
    """Return the runs to fit, and why each row is left out or, empty, is not.

    Raises:
        ValueError: no row is left, or they cannot tell the parameters of the law.
    """
    left_out = reasons(rows, options.leave_out_highest)
    kept = [row for row, why in zip(rows, left_out, strict=True) if not why]
    if not kept:
        raise ValueError(f"all {len(rows)} rows of {options.table} diverged: there is nothing to fit")
    runs = make_runs(kept, sized(kept, options.size))
    check_enough(runs, wants_repeats(runs, options.repetition))
    _check_falls(runs)
    return runs, left_out


def wants_repeats(runs: Runs, repetition: Repetition) -> bool:
    """Return whether repeated items are to count less than new ones.

    Raises:
        ValueError: they are to, but there are none.
    """
    if repetition == "on" and not runs.repeated.any():
        raise ValueError("--repetition on needs runs that saw items twice: name their --unique-column, or leave it out")
    return repetition != "off" and bool(runs.repeated.any())


def check_enough(runs: Runs, repeats: bool) -> None:
    """Refuse runs that cannot tell the parameters of the law.

    Raises:
        ValueError: there is one budget, or there are too few sizes, amounts of data, or combinations of them.
    """
    if runs.compute.max() < runs.compute.min() * (1 + APART):
        raise ValueError(
            f"all {len(runs.rows)} runs have one budget, {runs.compute[0]:.3g} FLOP: a law needs runs of several"
        )
    for what, amounts in (("sizes", runs.parameters), ("amounts of data", runs.data)):
        rungs = count_apart(amounts)
        if rungs < LEAST_RUNGS:
            raise ValueError(f"there are {rungs} {what}: an exponent and a floor need {LEAST_RUNGS} or more")
    cells = len({_cell(*each) for each in zip(runs.parameters, runs.data, runs.unique, strict=True)})
    needed = 6 + repeats
    if cells < needed:
        raise ValueError(
            f"there are {cells} combinations of size and data, and the law has {needed - 1} parameters: train "
            f"{needed} or more"
        )


def count_apart(amounts: Floats) -> int:
    """Return how many different amounts there are; those within 1 % count as one."""
    return len(np.unique(groups_apart(np.sort(np.log(amounts)))))


def groups_apart(logs: Floats) -> NDArray[np.int64]:
    """Return the group (n,) of each ascending logarithm (n,), counted from 0: one reaches `APART` from its first."""
    groups: list[int] = []
    first = -np.inf
    for log in logs.tolist():  # of Python's own numbers: draws call this many times
        if log - first > APART:
            first = log
            groups.append(groups[-1] + 1 if groups else 0)
        else:
            groups.append(groups[-1])
    return np.array(groups, np.int64)


def seed_notes(runs: Runs) -> list[str]:
    """Return what is to be said of seeds: that there is one, or that some are missing, in sentences."""
    seeds: dict[tuple[int, ...], set[int]] = {}
    for row, *cell in zip(runs.rows, runs.parameters, runs.data, runs.unique, strict=True):
        seeds.setdefault(_cell(*cell), set()).add(row.seed)
    most = max(len(of_cell) for of_cell in seeds.values())
    if most == 1:
        return ["One seed of every combination of size and data: intervals come from how runs scatter about the law."]
    fewer = Counter(len(of_cell) for of_cell in seeds.values() if len(of_cell) < most)
    if not fewer:
        return []
    said = ", ".join(f"{cells} with {number}" for number, cells in sorted(fewer.items()))
    return [f"Seeds are missing: of {len(seeds)} combinations of size and data {said} of {most} seeds."]


def _cell(*amounts: float) -> tuple[int, ...]:
    return tuple(round(float(np.log(amount)) / APART) for amount in amounts)


def _check_falls(runs: Runs) -> None:
    """Refuse losses that do not fall with compute."""
    middle = np.median(runs.compute)
    small = runs.loss[runs.compute <= middle]
    large = runs.loss[runs.compute > middle]
    if len(large) and large.min() >= small.min():
        raise ValueError(
            f"losses do not fall with compute: the lowest is {small.min():.4g} up to {middle:.3g} FLOP and "
            f"{large.min():.4g} beyond. Is it a loss, and are all columns what they seem?"
        )
