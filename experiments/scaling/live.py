"""The page of a ladder while it runs: `index.html`, which a browser loads anew by itself until all is done.

index.html    where every training stands, losses so far, time spent and left
losses.png    the figure on it

All is read from the folders of the trainings and measurements (`live_state`), so that it does not matter which process
writes the page: the one of a ladder that runs here, or any of the jobs of Slurm. A file is there whole or not at all,
and the last one to be written holds.

It costs little: a look at the folders takes milliseconds, and pauses grow with it (`SHARE`). Matplotlib, which is not
made for threads, draws in the main one only, between trainings.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from experiments.pages import write_report
from experiments.scaling.ladder import Ladder
from experiments.scaling.ladder_plot import Ended, draw_losses
from experiments.scaling.live_page import live_sections, progress_in_words
from experiments.scaling.live_state import Measured, Standing, Standings
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.runs import NATS
from gpt.flops import parameter_count
from sampling.pages import facts_of
from storage.terminal import visible
from training.progress import say_found

PAGE = "index.html"
FIGURE = "losses.png"
TITLE = "A ladder of trainings"
EVERY = 10.0
"""Seconds between two looks, at least."""
SHARE = 0.005
"""Of the time, that looks may take, and figures between trainings as much again."""
A_FIGURE = 0.4
"""Seconds that a figure takes, as long as none was drawn."""


class LivePage:
    """Keeps the page of a ladder up to date; a context manager, of the folder that holds the ladder.

    Args:
        options: of the ladder.
        ladder: its trainings.
    """

    def __init__(self, options: ScalingRunOptions, ladder: Ladder) -> None:
        self.options = options
        self.out = options.out
        self.standings = Standings(options, ladder)
        self._began = time.monotonic()
        self._drawing = 0.0
        """Seconds that figures took."""
        self._figure = A_FIGURE
        """Seconds that the last one took."""
        self._pause = EVERY
        self._failed = False
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._keep_up, daemon=True)

    def __enter__(self) -> LivePage:
        self._write()
        self._thread.start()
        say_found(page=f"{self.out / PAGE}: open it in a browser, it follows the trainings")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._draw()
        self._write(stopped=error is not None)

    def refresh(self) -> None:
        """Bring the page up to date now, and the figure where that costs little; for the main thread."""
        if self._drawing + self._figure <= SHARE * (time.monotonic() - self._began):
            self._draw()
        self._write()

    def _keep_up(self) -> None:
        while not self._over.wait(self._pause):
            self._write()

    def _write(self, stopped: bool = False) -> None:
        """Write the page; a disk that is full, or a folder that is gone, does not end the trainings."""
        with self._writing:
            began = time.perf_counter()
            try:
                standings = self.standings.read()
                write_page(self.options, standings, self._pause, stopped, self.standings.measured())
            except OSError as error:
                self._say(error)
            self._pause = max(EVERY, (time.perf_counter() - began) / SHARE)

    def _draw(self) -> None:
        began = time.perf_counter()
        try:
            draw_ladder(self.out, self.standings.read())
        except OSError as error:
            self._say(error)
        self._figure = time.perf_counter() - began
        self._drawing += self._figure

    def _say(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            print(visible(f"{self.out / PAGE} cannot be written: {error}"), file=sys.stderr, flush=True)


def write_page(
    options: ScalingRunOptions,
    standings: list[Standing],
    pause: float,
    stopped: bool,
    measured: Sequence[Measured] = (),
) -> None:
    """Write the page of a ladder.

    Args:
        options: of the ladder.
        standings: where its trainings stand.
        pause: seconds after which it is written again, unless all have ended.
        stopped: whether this process stops before all have ended.
        measured: where what is asked of `--tasks` stands.
    """
    everything: list[Standing | Measured] = [*standings, *measured]
    going_on = not all(one.ended for one in everything)
    alone = stopped and not any(one.state == "under way" for one in everything)
    refresh = math.ceil(pause) if going_on and not alone else None
    words = progress_in_words(standings, measured, refresh, alone)
    sections = live_sections(standings, measured, options.out / FIGURE)
    write_report(options.out / PAGE, TITLE, words, sections, refresh, facts_of(options))


def draw_ladder(out: Path, standings: list[Standing]) -> None:
    """Draw the losses of the cells that have ended, if any have."""
    ended = [
        Ended(
            parameters=parameter_count(cell.trunk.size.config),
            source=cell.trunk.name,
            compute=cell.compute,
            loss=one.end.nll,
            diverged=one.state == "diverged",
        )
        for one in standings
        if one.end is not None and (cell := one.training.cell) is not None
    ]
    if ended:
        draw_losses(out / FIGURE, ended, NATS, formats=("png",))
