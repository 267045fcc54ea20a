"""What people see of a command: what it found, how far it is (a bar, or in a log a line now and then), where to go on.

All of it goes to stderr; what a command prints as its result stays alone on stdout.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from rich import progress as rich_progress
from rich.console import Console

from storage.command import next_command
from storage.terminal import count as count
from storage.terminal import visible
from training.processes import process_index


class Progress:
    """Shows how far a loop of `total` steps has come.

    Args:
        title: what is being done.
        total: steps in all.
        first: steps already done by an earlier run.
        visible: False on all processes but one.
    """

    def __init__(self, title: str, total: int, first: int = 0, visible: bool = True) -> None:
        self.title = title
        self.total = total
        self.first = first
        self.visible = visible
        self.values: dict[str, float] = {}
        self.began = self.printed = time.monotonic()
        self.bar: rich_progress.Progress | None = None

    def __enter__(self) -> Progress:
        if self.visible and sys.stderr.isatty():
            columns = (
                rich_progress.TextColumn("{task.description}", style="bold", markup=False),
                rich_progress.BarColumn(),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TimeRemainingColumn(),
                rich_progress.TextColumn("{task.fields[values]}", markup=False),
            )
            self.bar = rich_progress.Progress(*columns, console=Console(stderr=True))
            self.bar.add_task(visible(self.title), total=self.total, completed=self.first, values="")
            self.bar.start()
        return self

    def show(self, done: int, **values: float) -> None:
        """Say that `done` steps are done, with the newest `values`."""
        self.values |= values
        text = ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in self.values.items())
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.bar.task_ids[0], completed=done, values=visible(text))
        elif self.visible and (now - self.printed > 10 or done == self.total):
            rate = (done - self.first) / max(1e-9, now - self.began)
            remaining = timedelta(seconds=round((self.total - done) / rate)) if rate else "?"
            left = f", {remaining} left" if done < self.total else ""
            print(
                f"{visible(self.title)}: {done}/{self.total} ({rate:.2f}/s{left}) {text}", file=sys.stderr, flush=True
            )
            self.printed = now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()


def _number(value: float) -> str:
    """Return four digits of `value`, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def say_found(**facts: object) -> None:
    """Say at the start of a command what it found, a line for each fact; of several processes the first does."""
    if process_index() == 0:
        for name, fact in facts.items():
            print(f"{name.replace('_', ' '):12s} {visible(fact)}", file=sys.stderr)
        sys.stderr.flush()


def say_done(result: Path, *following: str | Path) -> None:
    """Say at the end of a command where its result is, and what would likely come next.

    Args:
        result: what the command made.
        following: a command to be typed, or advice: texts as they stand, and paths, which are quoted for the shell.
    """
    if process_index() == 0:
        then = f"; next: {next_command(*following)}" if following else ""
        print(visible(f"{result} is ready{then}"), file=sys.stderr, flush=True)


def seen(done: int, batch: int, items: int, tokens: int = 0) -> dict[str, float]:
    """Return how much of a training set was seen, by name, as it goes into the metrics.

    Args:
        done: optimizer steps done.
        batch: items per step, over all processes.
        items: in the training set; an epoch visits each once.
        tokens: of an item; 0 if it has none.

    Returns:
        `epochs`, items seen per item there is; and `unique_tokens`, how many tokens were seen at least once, or
        `unique_items` where items have no tokens.
    """
    unique = min(done * batch, items)
    return {
        "epochs": done * batch / items,
        **({"unique_tokens": unique * tokens} if tokens else {"unique_items": unique}),
    }
