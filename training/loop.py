"""What goes on around the optimizer steps of a run: when to report, validate, save and stop, and where it is said.

A trainer stays a loop that can be read where it stands:

    with TrainingLoop("GPT", options, accelerator, order, name_item) as loop:
        for step, indices in loop.steps(order):
            loss = train_step(...)
            loop.report({"loss": loss}, learning_rate=rate)
            if loop.saving:
                loop.report_scores(validate(...))
            if loop.saving or loop.stopping:
                saver.save(..., wait=loop.stopping)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, parse_flag_from_env
from torch import Tensor

from storage.endings import FOR, is_out_of_memory
from storage.metrics_log import log_metrics
from storage.run_folder import RunFolderError
from training.health import Expected, HealthWatch
from training.launching import check_launch, say_if_alone
from training.options import TrainingOptions
from training.order import DataOrder
from training.precision import forget_earlier_trainings, recorded_precision, settle
from training.processes import best_device, gather_values, process_count
from training.progress import Progress, seen
from training.schedule import kept_steps
from training.stopping import Stopping
from training.throughput import Throughput
from training.trackers import track_picture, tracker_name, tracking
from training.writing import ADVICE

Batch = TypeVar("Batch")
AnyOptions = TypeVar("AnyOptions", bound="TrainOptions")

# More names than this tell no more.
NAMED_ITEMS = 16

LONGEST_WAIT = timedelta(hours=1)
"""How long processes wait for one another before they give up: longer than one of them takes to list the data, to
write a checkpoint or to compile, and short enough that a run whose node died does not idle to the end of its job."""


BEFORE = -1
"""The step of what is measured before the first one, which is step 0."""


class TrainOptions(Protocol):
    """The options of a command that trains."""

    @property
    def out(self) -> Path: ...

    @property
    def training(self) -> TrainingOptions: ...

    def flat(self) -> dict[str, Any]:
        """See `storage.options.Options.flat`."""

    def changed(self, **values: Any) -> Self:
        """See `storage.options.Options.changed`."""


def make_accelerator(options: TrainOptions, compile: bool = False) -> Accelerator:
    """Return what runs a training: the precision, compiled or not, and the trackers that were asked for.

    Raises:
        TrackerError: the package of a tracker is not installed.
        ValueError: the launcher would shard the model.
    """
    check_launch()
    training = options.training
    forget_earlier_trainings()
    accelerator = Accelerator(
        cpu=on_cpu(),
        mixed_precision="bf16" if training.precision == "bf16" else "no",
        dynamo_backend="inductor" if compile else None,
        log_with=tracker_name(training.trackers),
        project_dir=options.out / "trackers",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)],
    )
    say_if_alone(process_count())
    return accelerator


def settle_precision(options: AnyOptions) -> tuple[AnyOptions, str | None]:
    """Return options whose precision is settled, and what to say of the choice; None where there was none.

    A run that is continued keeps what it began with.

    Raises:
        ValueError: see `training.precision.settle`.
    """
    device = torch.device("cpu") if on_cpu() else best_device()
    return settle(options, "precision", device, recorded_precision(options.training, options.out))


def make_order(accelerator: Accelerator, training: TrainingOptions, items: int, first_step: int) -> DataOrder:
    """Return what this process reads of a data set of so many items, from a step on.

    Raises:
        ValueError: there is no item, or the processes cannot share a batch equally.
    """
    rank = accelerator.process_index
    return DataOrder(items, training.batch, training.seed, first_step, training.steps, rank, accelerator.num_processes)


def on_cpu() -> bool:
    """Whether this process computes on a CPU: there is nothing else, or its launcher was told so.

    Without GPUs accelerate would take every launched process for the only one, unless told that they have none.
    """
    return not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")


class TrainingLoop:
    """Counts the steps of a run, reports them, and says when it is time to save or to stop; a context manager.

    Args:
        title: what is trained, for people.
        options: of the command.
        accelerator: runs the training.
        order: what this process reads at which step; it says which steps there are.
        name_item: tells an item by its index.
        tokens: of an item, for the throughput; 0 if it has none.
        flops: of a token, forward and backward; 0 if that is not known.
        check: makes sure that the run folder is still this run's, before metrics are written; all processes call it.
        expected: what is known of the training, by which its metrics are judged; by default its warm-up.
    """

    def __init__(
        self,
        title: str,
        options: TrainOptions,
        accelerator: Accelerator,
        order: DataOrder,
        name_item: Callable[[int], str],
        tokens: int = 0,
        flops: int = 0,
        check: Callable[[], object] | None = None,
        expected: Expected | None = None,
    ) -> None:
        self.options = options
        self.training = options.training
        self.accelerator = accelerator
        self.order = order
        self.main = accelerator.is_main_process
        self.progress = Progress(title, self.training.steps, order.first_step, self.main)
        self.watch = LossWatch(order, name_item, accelerator.device)
        self.speed = Throughput(self.training.batch, tokens, flops, accelerator.num_processes, order.first_step)
        self.health = HealthWatch(options.out, expected or Expected(self.training.warmup))
        self._tokens = tokens
        self._check = check
        self._kept_steps = kept_steps(self.training)
        self.step = order.first_step
        """The step that is being taken."""
        self.reporting = False
        """Whether the metrics of this step are written down."""
        self.waiting = 0.0
        """Share of the time up to the last report in which the training waited for data."""
        self.saving = False
        """Whether a checkpoint is due after this step."""
        self.stopping = False
        """Whether a signal asked the run to end after this step."""
        self._context = ExitStack()

    @property
    def done(self) -> int:
        """Steps that are done when this one is."""
        return self.step + 1

    def __enter__(self) -> TrainingLoop:
        self._context.enter_context(self.progress)
        self._signals = self._context.enter_context(Stopping())
        self._context.enter_context(tracking(self.accelerator, self.options, self.order.first_step))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)
        if error is not None and is_out_of_memory(error) and not str(error).startswith(FOR):
            raise MemoryError(f"{FOR}step {self.step}") from error

    def steps(self, batches: Iterable[Batch]) -> Iterator[tuple[int, Batch]]:
        """Yield every step with its batch; all processes take it together.

        Raises:
            RunFolderError: somebody removed the run folder.
        SystemExit: a signal asked the run to end, and what was done is saved.
        """
        for step, batch in enumerate(self._timed(batches), start=self.order.first_step):
            self.step = step
            yield step, batch
            self._check_folder()
            if self.saving:
                self.speed.restart(self.done)
            if self.stopping and self.done < self.training.steps:
                self._signals.leave(self.done, self.main)

    def _timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches, and count how long they let the training wait."""
        iterator = iter(batches)
        while True:
            began = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.speed.waited += time.perf_counter() - began
            yield batch

    def due(self, every: int) -> bool:
        """Whether this step is one of every so many; of every 0 none is."""
        return every > 0 and self.done % every == 0

    def report(self, losses: dict[str, Tensor], **values: float) -> None:
        """Take note of a step, write its metrics down if it is time to, and settle whether to save and to stop.

        Args:
            losses: of this process, scalars by name, `loss` among them.
            values: further metrics, the same on all processes.

        Raises:
            FloatingPointError: the loss of any process was not finite since the last report.
        """
        self.watch.note(losses["loss"], self.step)
        self.saving = (
            self.due(self.training.save_every) or self.done == self.training.steps or self.done in self._kept_steps
        )
        self.stopping = self._signals.agreed()
        self.reporting = self.saving or self.due(self.training.log_every)
        if self.reporting or self.stopping:
            self.watch.check()
            if self._check is not None:
                self._check()
        if self.reporting:
            means = {name: float(self.accelerator.reduce(loss, "mean")) for name, loss in losses.items()}
            rates = self.speed.measure(self.done)
            self.waiting = rates["waiting"]
            part = seen(self.done, self.training.batch, self.order.items, self._tokens)
            self._write({**means, **values, **part}, rates)
            self.progress.show(self.done, **means, **part, **rates)

    def report_picture(self, name: str, path: Path) -> None:
        """Show a PNG that was written to the trackers, if it was; see `training.trackers.track_picture`."""
        track_picture(self.accelerator, name, path, self.step)

    def report_scores(self, scores: dict[str, float]) -> None:
        """Write down what a validation found; all processes have the same.

        Raises:
            FloatingPointError: a score is not finite.
        """
        for score in scores.values():
            check_finite(score, self.step)
        self._write(scores)
        self.progress.show(self.done, **scores)

    def report_beginning(self, scores: dict[str, float]) -> None:
        """Write down what a validation found before the first step, as that of step `BEFORE`; see `report_scores`."""
        for score in scores.values():
            check_finite(score, BEFORE)
        self._write(scores, step=BEFORE)
        self.progress.show(0, **scores)

    def _check_folder(self) -> None:
        """Check, on the first process and when something was written, that the run folder is still the run's."""
        written = self.reporting or self.saving or self.stopping
        if written and self.main and not (self.options.out / "config.json").exists():
            raise RunFolderError(f"{self.options.out} was removed or moved while the run wrote into it: begin again")

    def _write(self, values: dict[str, float], rates: dict[str, float] | None = None, step: int | None = None) -> None:
        step = self.step if step is None else step
        self._check_folder()
        if self.main:
            self.health.note({"step": step, **values})
            log_metrics(self.options.out, step=step, **values)
        if step >= 0 or self.training.trackers != "wandb":  # Weights & Biases drops what is of no step from 0
            self.accelerator.log({**values, **(rates or {})}, step)


def check_finite(value: float, step: int) -> float:
    """Return `value`, the loss or score of `step`.

    Raises:
        FloatingPointError: it is not a finite number; checkpoints on disk are from before.
    """
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value} at step {step}; {ADVICE}")
    return value


class LossWatch:
    """Remembers the first step whose loss was not finite, without making a GPU wait, and names what was read then.

    Args:
        order: what this process reads at which step.
        name: tells an item by its index.
        device: where the losses are.
    """

    def __init__(self, order: DataOrder, name: Callable[[int], str], device: torch.device) -> None:
        self.order = order
        self.name = name
        self.first = torch.full((), order.last_step, device=device)

    def note(self, loss: Tensor, step: int) -> None:
        """Take note of the loss of this process at `step`, a scalar."""
        self.first = torch.where(loss.isfinite(), self.first, self.first.clamp(max=step))

    def check(self) -> None:
        """Compare notes; all processes call it together.

        Raises:
            FloatingPointError: on any of them a loss was not finite.
        """
        firsts = gather_values(int(self.first))
        step = min(firsts)
        if step < self.order.last_step:
            ranks = [rank for rank, first in enumerate(firsts) if first == step]
            raise FloatingPointError(f"the loss is not finite at step {step}, on {self._items(step, ranks)}; {ADVICE}")

    def _items(self, step: int, ranks: list[int]) -> str:
        """Name what those processes read at `step`."""
        samples = [sample for rank in ranks for sample in replace(self.order, rank=rank).samples(step)]
        names = [self.name(sample.index) for sample in samples[:NAMED_ITEMS]]
        more = len(samples) - NAMED_ITEMS
        return ", ".join(names) + (f" and {more} more" if more > 0 else "")
