"""The tables of `scaling fit`: what was found, and everything that is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.scaling.table_sets import read_set, write_set

Method = Literal["law", "parabola", "akima", "envelope"]
"""How the best size of a budget was found: from the law, from the minima of budgets, or from the runs on the
envelope."""
ALL_RUNS = "all runs"
"""What is fitted in the first search."""
Figure = Literal["loss", "isoflop", "optimum", "newcomer"]


@dataclass(frozen=True)
class FitRow:
    """A parameter of the law, or an exponent: a row of fit.csv."""

    method: Method
    """What it was found by."""
    parameter: str
    """`E`, `A`, `B`, `alpha`, `beta` of L = E + A / N^alpha + B / D^beta; `R`, the decay of repeats; `size_exponent`
    and `data_exponent`, with which the best size and data grow with compute."""
    value: float
    """Its value."""
    low: float | None
    """Lower end of the 95 % interval over trainings; empty where there are too few of them."""
    high: float | None
    """Upper end of it."""
    exact: float | None
    """What the same reading makes of the exact losses of the law at the same sizes and budgets, which it should give
    back; only of exponents."""


@dataclass(frozen=True)
class ConvergenceRow:
    """How a search went: a row of convergence.csv."""

    fitted: str
    """`all runs`, or `without the largest budget`."""
    rows: int
    """Runs that were fitted."""
    objective: float
    """Sum over runs of the Huber loss of log residuals at the lowest minimum."""
    starts: int
    """Starts of the grid."""
    converged: float
    """Share of them that ended where no step leads down."""
    reached: float
    """Share of them that ended in the lowest minimum."""
    next_objective: float | None
    """The next minimum above it; empty if there was no other."""
    projected: bool
    """Whether starts by variable projection, too, ended in the lowest minimum."""


@dataclass(frozen=True)
class DrawRow:
    """A law fitted to runs drawn anew: a row of bootstrap.csv."""

    draw: int
    """Number of the draw."""
    floor: float
    """E."""
    parameters_scale: float
    """A."""
    data_scale: float
    """B."""
    alpha: float
    """Exponent of parameters."""
    beta: float
    """Exponent of data."""
    repeats: float | None
    """R, the decay of repeats; empty where repeats count as new items."""


@dataclass(frozen=True)
class BudgetRow:
    """The best size of a budget, read off its runs: a row of isoflop.csv."""

    method: Method
    """`parabola` or `akima`."""
    compute: float
    """Median compute of the runs."""
    rows: int
    """Runs of the budget."""
    sizes: int
    """Different sizes among them."""
    parameters: float | None
    """Parameters at the lowest loss; empty where that lies at the end of the sizes or beyond."""
    data: float | None
    """Items seen there."""
    loss: float | None
    """The lowest loss."""
    law_parameters: float
    """The best size by the law."""
    width: float
    """Factor from the smallest to the largest size."""
    centre: float
    """Middle of the sizes by the best size of the law."""
    bias: float | None
    """What the reading makes of the exact losses of the law at the same sizes, by the best size of the law; empty where
    it finds no minimum."""


@dataclass(frozen=True)
class GridBiasRow:
    """By how much a reading of exact losses is off: a row of grid_bias.csv."""

    method: Method
    """`parabola` or `akima`."""
    compute: float
    """The budget."""
    width: float
    """Factor from the smallest to the largest of eight sizes."""
    centre: float
    """Their middle by the best size of the law."""
    bias: float | None
    """The size that is read by the best size; empty where no minimum is found."""


@dataclass(frozen=True)
class OptimumRow:
    """The best size and data of a budget: a row of optimum.csv."""

    method: Method
    """What they were found by."""
    compute: float
    """The budget."""
    beyond: float
    """The budget by the largest of the table."""
    parameters: float
    """The best size."""
    parameters_low: float | None
    """Lower end of its 95 % interval over trainings; empty where there are too few of them."""
    parameters_high: float | None
    """Upper end of it."""
    data: float
    """The items to see, all of them new."""
    data_low: float | None
    """Lower end of its 95 % interval."""
    data_high: float | None
    """Upper end of it."""
    loss: float | None
    """The loss by the law."""
    loss_low: float | None
    """Lower end of its 95 % interval."""
    loss_high: float | None
    """Upper end of it."""


@dataclass(frozen=True)
class ResidualRow:
    """A run and what the law says of it: a row of residuals.csv."""

    run: str
    """Name of the run."""
    seed: int
    """Seed of the run."""
    source: str
    """What it belongs together with: groups are drawn by the bootstrap."""
    parameters: float | None
    """Parameters that count; empty where they are not known."""
    data: float
    """Items seen."""
    unique_data: float | None
    """Different items among them; empty where none was seen twice."""
    compute: float
    """FLOP of the training."""
    loss: float | None
    """The loss; empty where the training diverged."""
    loss_unit: str
    """What losses are in."""
    item: str
    """What data are counted in, such as `tokens`."""
    predicted: float | None
    """The loss by the law."""
    residual: float | None
    """Log of the loss by the predicted one."""
    left_out: str
    """Why the run was not fitted; empty if it was."""
    envelope: bool
    """Whether no run with as much compute or less does better."""


@dataclass(frozen=True)
class HeldOutRow:
    """A run of the largest budget, predicted from the smaller ones: a row of heldout.csv."""

    run: str
    """Name of the run."""
    compute: float
    """FLOP of the training."""
    parameters: float
    """Parameters that count."""
    data: float
    """Items seen."""
    loss: float
    """The loss."""
    predicted: float
    """The loss by the law of all smaller budgets."""
    predicted_low: float | None
    """Lower end of its 95 % interval over trainings, for the law and not for the chance of a single run."""
    predicted_high: float | None
    """Upper end of it."""
    error: float
    """The predicted loss by the loss, less 1."""


@dataclass(frozen=True)
class NewcomerRow:
    """A fit as it might have been made: a row of newcomer.csv."""

    fitted: str
    """How it was fitted."""
    floor: float
    """E."""
    parameters_scale: float
    """A."""
    data_scale: float
    """B."""
    alpha: float
    """Exponent of parameters."""
    beta: float
    """Exponent of data."""
    objective: float
    """Sum over its runs of the Huber loss of log residuals."""
    size_exponent: float
    """Exponent with which the best size grows with compute."""
    compute: float
    """The largest budget that is asked for."""
    parameters: float
    """The best size there, in the parameters that this fit counts."""


@dataclass(frozen=True)
class LineRow:
    """A place on a line of a figure: a row of lines.csv."""

    figure: Figure
    """The figure."""
    line: str
    """The line."""
    x: float
    """FLOP, or parameters in the figure of isoFLOP slices."""
    y: float
    """A loss, or the best size in the figures of optima."""
    y_low: float | None
    """Lower end of the band of 95 %; empty where the line has none."""
    y_high: float | None
    """Upper end of it."""


@dataclass(frozen=True)
class LimitedRow:
    """The best size and data of a budget where different items are limited: a row of limited.csv."""

    compute: float
    """The budget."""
    beyond: float
    """The budget by the largest of the table."""
    unique_data: float
    """Different items that there are."""
    parameters: float
    """The best size."""
    parameters_low: float | None
    """Lower end of its 95 % interval over trainings; empty where there are too few of them."""
    parameters_high: float | None
    """Upper end of it."""
    data: float
    """The items to see; those beyond the different ones are repeats."""
    data_low: float | None
    """Lower end of its 95 % interval."""
    data_high: float | None
    """Upper end of it."""
    epochs: float
    """How often each different item is seen; less than 1 where the budget is best spent before they run out."""
    loss: float
    """The loss by the law."""
    loss_low: float | None
    """Lower end of its 95 % interval."""
    loss_high: float | None
    """Upper end of it."""


TABLES: dict[str, type] = {
    "fit.csv": FitRow,
    "convergence.csv": ConvergenceRow,
    "bootstrap.csv": DrawRow,
    "isoflop.csv": BudgetRow,
    "grid_bias.csv": GridBiasRow,
    "optimum.csv": OptimumRow,
    "limited.csv": LimitedRow,
    "residuals.csv": ResidualRow,
    "heldout.csv": HeldOutRow,
    "newcomer.csv": NewcomerRow,
    "lines.csv": LineRow,
}
"""The rows of the tables, for the codebook."""


@dataclass(frozen=True)
class LawTables:
    """All tables, in the order of `TABLES`: whatever is drawn or said of a law comes from them."""

    fits: list[FitRow]
    searches: list[ConvergenceRow]
    draws: list[DrawRow]
    budgets: list[BudgetRow]
    biases: list[GridBiasRow]
    optima: list[OptimumRow]
    limited: list[LimitedRow]
    residuals: list[ResidualRow]
    heldout: list[HeldOutRow]
    newcomers: list[NewcomerRow]
    lines: list[LineRow]

    @property
    def unit(self) -> str:
        """What losses are in."""
        return self.residuals[0].loss_unit

    @property
    def item(self) -> str:
        """What data are counted in."""
        return self.residuals[0].item

    @property
    def factor(self) -> float:
        """FLOP per parameter and item."""
        return self.optima[0].compute / self.optima[0].parameters / self.optima[0].data

    @property
    def left_out(self) -> list[ResidualRow]:
        """Rows that were not fitted."""
        return [row for row in self.residuals if row.left_out]

    @property
    def has_intervals(self) -> bool:
        """Whether there are fits to runs drawn anew that give lines their intervals."""
        return any(line.y_low is not None and line.y_high is not None for line in self.lines)

    def write(self, folder: Path) -> None:
        """Write all of them."""
        write_set(folder, self, TABLES)


def read_law(folder: Path) -> LawTables:
    """Return the tables that `scaling fit` wrote into a folder.

    Raises:
        OSError: one is not there.
        ValueError: one is damaged, or has no rows where it must have some.
    """
    return read_set(folder, LawTables, TABLES, ("fit.csv", "convergence.csv", "optimum.csv", "residuals.csv"))
