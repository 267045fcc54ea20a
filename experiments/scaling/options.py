"""What the scaling commands can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from data.folders import look_at
from data.inputs import check_tokens
from experiments.scaling.measuring_options import CellTaskOptions
from storage.options import LARGEST_RATE, LARGEST_SEED, MANY, Options, about, leaves, option
from storage.run_folder import check_run_folder, read_options
from training.options import Precision

LARGEST = 1e100
"""Of any number that is asked for, at most."""

MeasureKind = Literal["accuracy", "percent", "loss"]
"""What a measure is: a share from 0 to 1, the same in per cent, or a loss, which is better the smaller it is."""
Intervals = Literal["draws", "none"]
LikelihoodKind = Literal["higher", "lower"]


def check_table(path: Path) -> None:
    """Refuse what is no table, as far as that shows without looking into it.

    Raises:
        ValueError: there is nothing, or it is a folder.
    """
    found = look_at(path)
    if found.status is None:
        raise ValueError(f"{path} {found.problem}: TABLE is a CSV file")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: TABLE is a CSV file")


ComputeUnit = Literal["flop", "petaflop", "exaflop", "petaflop-days"]
"""What compute is in; a petaflop-day is 8.64e19 FLOP."""
SizeKind = Literal["total", "non-embedding"]
"""Which parameters of a model count."""
Repetition = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class RunTableOptions(Options):
    """Which columns of a table of runs are what, where their names do not say it."""

    parameters_column: str = ""
    """Column of all parameters; if not given `parameters`, `params` or the like."""
    non_embedding_column: str = ""
    """Column of parameters without embeddings; if not given `non_embedding_parameters`, where there is one."""
    data_column: str = ""
    """Column of items seen; if not given `tokens` or the like, or C / 6 N where there is none."""
    unique_column: str = ""
    """Column of different items among them; if not given `unique_tokens` or the like, where there is one."""
    compute_column: str = ""
    """Column of compute; if not given `flop` or the like, or 6 N D where there is none."""
    loss_column: str = ""
    """Column of losses; if not given `loss`, `bits_per_pixel` or the like."""
    run_column: str = ""
    """Column of the names of runs; if not given `run` or `name`, where there is one."""
    seed_column: str = ""
    """Column of seeds; if not given `seed`, where there is one."""
    source_column: str = ""
    """Column of what makes points belong together, as those of one training do; if not given `source` or `trunk`, or
    the names of runs. The bootstrap draws such groups."""
    diverged_column: str = ""
    """Column that says which runs failed; if not given `diverged`, where there is one."""
    compute_unit: ComputeUnit | None = None
    """What compute is in, where the name of its column does not say it."""
    data_unit: str = ""
    """What items are, such as `tokens`, where the name of their column does not say it."""
    loss_unit: str = ""
    """What losses are in, where neither a column `loss_unit` nor the name of theirs says it; `nats per token` if not
    given."""


@dataclass(frozen=True)
class ScalingFitOptions(Options):
    """Fit the law of loss in parameters and data to a table of runs, and say how far it may be trusted."""

    command = "scaling fit"
    example = "secondsight scaling fit runs.csv --at 1e20 1e21 --out runs/law"

    table: Path = field(metadata=about(positional=True, must_hold=check_table))
    """CSV with a row for each trained model: parameters, compute or items seen, and loss."""
    out: Path = field(metadata=about(identity="none"))
    """Folder for the tables, the plots and page.html."""
    columns: RunTableOptions = RunTableOptions()
    at: tuple[float, ...] = option((), above=0, at_most=LARGEST)
    """Budgets, in FLOP, whose best size and data are asked for; the largest of the table and 10 and 100 times as much
    if not given."""
    unique: tuple[float, ...] = option((), above=0, at_most=LARGEST)
    """Numbers of different items that there may be, for which the best size and data are asked for, too; the most of
    the table if not given. Only where runs saw items twice."""
    size: SizeKind = "total"
    """Parameters that count as N. The other count is fitted beside it where the table has it."""
    repetition: Repetition = "auto"
    """Whether repeated items are worth less than new ones: `auto` where any were seen twice."""
    leave_out_highest: int = option(0, at_least=0, at_most=10**6)
    """Leave out so many rows of highest loss, and list them in residuals.csv."""
    budget_spread: float = option(1.25, above=1, at_most=10)
    """Largest factor between runs that count as of one budget."""
    draws: int = option(1000, at_least=200, at_most=100_000)
    """Times that runs are drawn anew for the intervals."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of these draws."""

    def check(self) -> None:
        """Check the budgets.

        Raises:
            ValueError: one is named twice.
        """
        if len(set(self.at)) < len(self.at):
            raise ValueError(f"--at {' '.join(f'{value:g}' for value in self.at)} names a budget twice")


@dataclass(frozen=True)
class ScalingExtrapolateOptions(Options):
    """Carry a measure to amounts that nobody tried, by several families of curves, each with its interval."""

    command = "scaling extrapolate"
    example = "secondsight scaling extrapolate curve.csv --target .95 --out runs/extrapolated"

    table: Path = field(metadata=about(positional=True, must_hold=check_table))
    """CSV with a row for each model and amount: how much it was given, and how well it does."""
    target: tuple[float, ...] = field(metadata=about(at_least=-LARGEST, at_most=LARGEST))
    """Value of the measure whose amount is asked for, an accuracy from 0 to 1; two values are an interval."""
    out: Path = field(metadata=about(identity="none"))
    """Folder for the tables, extrapolation.png and page.html."""
    ceiling: tuple[float, ...] = option((), at_least=-LARGEST, at_most=LARGEST)
    """Greatest value that the measure can have, 1 of an accuracy if not given; two values are an interval."""
    floor: float | None = option(None, at_least=-LARGEST, at_most=LARGEST)
    """Least value that the measure can have: chance of an accuracy, what cannot be learned of a loss; 0 if not
    given."""
    at: tuple[float, ...] = option((), above=0, at_most=LARGEST)
    """Further amounts, in the table's unit, at which the measure is predicted."""
    waking_hours: float = option(12.0, at_least=1, at_most=24)
    """Hours that a child is awake a day, for years of waking life. Recommended are 11 to 14 hours of sleep at 1 and 2
    years, 10 to 13 at 3 to 5, 9 to 12 at 6 to 12 (Paruthi et al. 2016), which leaves 10 to 15."""
    agree_within: float = option(3.0, above=1, at_most=1e6)
    """Factor between the smallest and the largest amount of the families, up to which they agree and a verdict is
    printed."""
    intervals: Intervals = "draws"
    """`draws` gives every number its 95 % interval; `none` gives numbers alone, near what was measured."""
    bare_factor: float = option(3.0, at_least=1, at_most=1e6)
    """How many times the largest amount that was tried a number without its interval may reach."""
    draws: int = option(1000, at_least=200, at_most=10_000)
    """Tables that are drawn anew for the intervals."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of these draws."""
    amount_column: str = ""
    """Column of amounts; if not given `amount`, or the one whose name is a unit, such as `hours` or `tokens`."""
    value_column: str = ""
    """Column of the measure; if not given `value`, or the one that is named as an accuracy or a loss."""
    group_column: str = ""
    """Column of protocols, which are never pooled; if not given `group` or `protocol`, where there is one."""
    seed_column: str = ""
    """Column of seeds; if not given `seed`, where there is one."""
    unit: str = ""
    """What amounts are in, such as `hours of film`, where neither the table nor the column's name says it."""
    measure: MeasureKind | None = None
    """What the values are, where the column's name does not say it."""

    def check(self) -> None:
        """Check targets and ceilings.

        Raises:
            ValueError: there is no target, or more than two ends of an interval.
        """
        if len(self.target) not in (1, 2):
            raise ValueError("--target takes one value, or the two ends of an interval")
        if len(self.ceiling) > 2:
            raise ValueError("--ceiling takes one value, or the two ends of an interval")


@dataclass(frozen=True)
class ScalingTasksOptions(Options):
    """Tell of every task whether it improves smoothly with compute, in a jump, not at all, or gets worse."""

    command = "scaling tasks"
    example = "secondsight scaling tasks tasks.csv --out runs/tasks"

    table: Path = field(metadata=about(positional=True, must_hold=check_table))
    """CSV with a row for each task and model: compute, accuracy, and a likelihood where there is one."""
    out: Path = field(metadata=about(identity="none"))
    """Folder for the tables, the plots and page.html."""
    sharpest: float = option(10.0, above=1, at_most=1e6)
    """Factor of compute over which a smooth curve makes at least the middle 80 % of its rise; what rises faster is a
    jump."""
    level: float = option(0.05, above=0, below=0.5)
    """Greatest p-value at which a kind of curve is rejected."""
    least_change: float = option(0.05, above=0, at_most=1)
    """Change of accuracy over all compute, below which a task is flat."""
    least_likelihood_change: float = option(0.1, above=0, at_most=1e6)
    """The same of the likelihood, in its unit."""
    draws: int = option(999, at_least=99, at_most=10_000)
    """Curves that are drawn for each p-value."""
    simulations: int = option(200, at_least=0, at_most=10_000)
    """Curves, smooth ones and jumps, on which the error rates of each task are simulated; 0 leaves them out."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of all draws."""
    compute_column: str = ""
    """Column of compute; if not given `compute` or `flop`. Any amount will do whose unit is said."""
    unit: str = ""
    """What compute is in, where neither the table nor the column's name says it."""
    task_column: str = ""
    """Column of tasks; if not given `task`."""
    items_column: str = ""
    """Column of groups of items, which are never pooled; if not given `items`, where there is one."""
    seed_column: str = ""
    """Column of seeds; if not given `seed`, where there is one."""
    accuracy_column: str = ""
    """Column of accuracies; if not given the one that is named as one, from 0 to 1 or in per cent."""
    likelihood_column: str = ""
    """Column of the continuous measure of the same answers, such as `log_likelihood`, `probability` or `nll`; if not
    given the one that is named so, where there is one."""
    likelihood_better: LikelihoodKind | None = None
    """Whether higher or lower likelihoods are better, where the column's name does not say it."""


@dataclass(frozen=True)
class LadderOptions(Options):
    """Sizes, data and budgets: a model is trained for each combination."""

    tokens: Path = field(metadata=about(must_hold=check_tokens))
    """Token store written by `secondsight vqgan encode`. Losses are those of its validation items, which share no group
    with what is learned."""
    budgets: tuple[float, ...] = field(metadata=about(above=0, at_most=LARGEST))
    """FLOP of a training, forwards and backwards, head and attention counted; each becomes steps of every size."""
    out: Path = field(metadata=about(identity="none"))
    """Folder of the plan, or of the trained ladder."""
    widths: tuple[int, ...] = option((), at_least=1, at_most=65_536, may_change=True)
    """Widths of the GPTs, all of --layers layers; or --presets."""
    presets: tuple[str, ...] = option((), may_change=True)
    """Presets of the GPTs: demo, tiny, alef, bet, gimel, dalet, igpt-mini or igpt-s; or --widths."""
    layers: int = option(4, at_least=1, at_most=1000)
    """Transformer blocks, with --widths."""
    head_size: int = option(32, at_least=1, at_most=65_536)
    """Dimensions of a head, with --widths: wider GPTs have more heads."""
    hours: tuple[float, ...] = option((), above=0, at_most=MANY, may_change=True)
    """Hours of film to learn from, each a part of the next; all training items of the store if not given."""
    unique_tokens: tuple[float, ...] = option((), above=0, at_most=LARGEST, may_change=True)
    """The same in tokens, for images too."""
    seeds: int = option(1, at_least=1, at_most=10_000, may_change=True)
    """Trainings of each combination, with the seeds 0, 1 and so on: of the weights and of the order of the data."""
    batch: int = option(8, at_least=1, at_most=10**6)
    """Sequences per optimizer step, the same for all."""
    learning_rate: float = option(1e-3, above=0, at_most=LARGEST_RATE)
    """Peak learning rate of a GPT of --rate-at-width; other widths learn as that rule says."""
    learning_rates: tuple[float, ...] = option((), above=0, at_most=LARGEST_RATE)
    """Rates that each size tries in short trainings, in place of --learning-rate; it is trained at the best."""
    rate_steps: int | None = option(None, at_least=1, at_most=MANY)
    """Optimizer steps of such a training, of warm-up and decay as in the ladder; those that the size makes of its
    smallest budget if not given."""
    rate_at_width: int | None = option(None, at_least=0, at_most=65_536)
    """Width for which --learning-rate is given (see `gpt train`), that of the first size if not given; with 0 all learn
    at --learning-rate."""
    warmup: int = option(20, at_least=0, at_most=MANY)
    """Optimizer steps of linear warm-up, the same for all."""
    decay: float = option(0.2, above=0, below=1)
    """Share of the steps of each budget in which the learning rate falls to 0; what comes before is done once for all
    budgets of a size."""
    grad_clip: float = option(1.0, at_least=0, at_most=MANY)
    """Largest norm of the gradient; 0 does not clip it."""
    weight_decay: float = option(0.05, at_least=0, at_most=1000)
    """Decoupled weight decay of AdamW, on matrices only."""
    precision: Precision = "fp32"
    """Numbers that layers compute with; see `gpt train`."""
    validation_items: int = option(256, at_least=1, at_most=MANY)
    """Held-out items whose loss is measured, the same for all."""
    save_every: int = option(500, at_least=1, at_most=MANY, identity="none")
    """Optimizer steps between two checkpoints, from which a training that was stopped goes on."""
    flops_per_second: float | None = option(None, above=0, at_most=1e30, identity="none")
    """FLOP per second that the machine attains, from which expected hours follow; if not given, `scaling plan` takes a
    few steps of every size here."""

    def check(self) -> None:
        """Check that there is something to train, and nothing twice.

        Raises:
            ValueError: there is not, or options exclude each other; they are named.
        """
        if bool(self.widths) == bool(self.presets):
            raise ValueError("give sizes either as --widths or as --presets")
        if self.hours and self.unique_tokens:
            raise ValueError("--hours and --unique-tokens exclude each other: give one")
        if not self.budgets:
            raise ValueError("--budgets needs at least one value")
        for name in ("budgets", "widths", "presets", "hours", "unique_tokens", "learning_rates"):
            values = [value if isinstance(value, str) else f"{value:g}" for value in getattr(self, name)]
            if len(set(values)) < len(values):
                raise ValueError(f"--{name.replace('_', '-')} {' '.join(values)} names a value twice")
        for width in self.widths:
            if width % self.head_size:
                raise ValueError(f"--widths {width} must split into heads of --head-size {self.head_size}")
        self._check_rates()

    def _check_rates(self) -> None:
        """Check that there is a rate to choose, and steps to try it.

        Raises:
            ValueError: there is not.
        """
        if self.rate_steps is not None and not self.learning_rates:
            raise ValueError(f"--rate-steps {self.rate_steps} needs --learning-rates, which are tried in them")
        if not self.learning_rates:
            return
        if len(self.learning_rates) == 1:
            rate = f"{self.learning_rates[0]:g}"
            raise ValueError(
                f"--learning-rates {rate} leaves nothing to choose: give several, or --learning-rate {rate}"
            )
        if self.learning_rate != LadderOptions.learning_rate:
            raise ValueError(
                f"--learning-rate {self.learning_rate:g} and --learning-rates exclude each other: give one"
            )


@dataclass(frozen=True)
class ScalingPlanOptions(LadderOptions):
    """Say what a ladder of trainings would take: models, steps, FLOP and hours. Nothing is learned."""

    command = "scaling plan"
    example = "secondsight scaling plan --tokens TOKENS --widths 64 128 256 --budgets 1e13 2e13 4e13 --out runs/plan"
    takes_config = True


@dataclass(frozen=True)
class ScalingRunOptions(LadderOptions):
    """Train the models of a ladder and write their losses as a table for `scaling fit`; measure tasks of each.

    What is in --out is kept: a ladder that was stopped, or that is asked for more sizes, data or seeds, does only what
    is missing.
    """

    command = "scaling run"
    example = "secondsight scaling run --tokens TOKENS --widths 64 128 256 --budgets 1e13 2e13 4e13 --out runs/ladder"
    takes_config = True

    plan: Path | None = option(None, identity="none", must_hold=check_run_folder)
    """Folder of `secondsight scaling plan`, whose ladder is meant; options that are given besides change it."""
    slurm: bool = option(False, identity="none")
    """Run nothing, but write jobs of Slurm into --out: an array of trunks, one of cells, one of tasks, then the
    tables."""
    part: str | None = option(None, identity="none")
    """Do only this part, as a job that --slurm wrote: tokens, a trunk or a cell by its name, or a task of a cell."""
    measuring: CellTaskOptions = option(CellTaskOptions())

    def check(self) -> None:
        """Check that jobs are asked for as a whole.

        Raises:
            ValueError: they are asked for of one part, or see `LadderOptions.check`.
        """
        super().check()
        if self.slurm and self.part is not None:
            raise ValueError(f"--slurm writes jobs for all parts: leave out --part {self.part}")

    @classmethod
    def implied(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ladder of the plan that is named.

        Raises:
            RunFolderError: there is none.
        """
        plan = given.get("plan")
        names = leaves(ScalingPlanOptions).keys() - {"out"}
        if plan is None or names <= given.keys():  # of a run that goes on, whose plan may be gone
            return {}
        planned = read_options(Path(plan), ScalingPlanOptions).flat()
        return {name: planned[name] for name in names}
