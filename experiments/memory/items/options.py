"""What the comparison of pictures can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from experiments.memory.options import finished_runs
from experiments.people.data_options import PeopleOptions
from storage.checked_files import check_file
from storage.options import LARGEST_SEED, Options, about, option

check_table = partial(check_file, what="table of scores")


@dataclass(frozen=True)
class ItemsOptions(Options):
    """Compare what models remember of each picture with what people do, within test conditions.

    People come as tables of responses (--people), as published tables of scores (--scores), or, where there are none,
    as the predictions of a network (--resmem).
    """

    command = "memory items"
    example = "secondsight memory items runs/scratch --people people.csv --out runs/items"

    runs: tuple[Path, ...] = field(metadata=about(positional=True, must_hold=finished_runs))
    """Run folders of `secondsight memory run`, or folders of `secondsight memory sweep`."""
    out: Path
    """Folder for the tables (correlations.csv, memorability.csv and others), plots, and report.html."""
    data: PeopleOptions = field(default=PeopleOptions())
    scores: tuple[Path, ...] = option((), must_hold=check_table)
    """Published tables of scores of the same pictures, found by their names: THINGS memorability, MemCat, LaMem,
    Memento10k, or any table with the columns path and score."""
    resmem: bool = False
    """Compare with the predictions of ResMem as well, a network and no people. Needs the package resmem, whose licence
    is non-commercial; the package is not run, only its weights are read."""
    stimuli: tuple[Path, ...] = ()
    """Folders of the lists, for complexity and thumbnails, where they are no longer where the runs had them; known by
    their names."""
    exposure: int | None = option(None, at_least=1, at_most=10**6)
    """Exposures after which margins and likelihood ratios are taken; the last that all runs of a model have if not
    given."""
    resamples: int = option(1000, at_least=100, at_most=100_000)
    """Random weightings of pictures, runs and participants from which intervals are computed."""
    splits: int = option(200, at_least=10, at_most=100_000)
    """Random divisions of participants, and of runs, in two halves from which the noise ceiling is computed."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of both."""

    def check(self) -> None:
        """Check that there is something to compare with.

        Raises:
            ValueError: there is nothing.
        """
        if not (self.data.people or self.scores or self.resmem):
            raise ValueError(
                "give what to compare with: responses of people (--people), a table of scores (--scores), or a "
                "network's predictions (--resmem)"
            )
