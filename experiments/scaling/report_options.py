"""What `scaling report` can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from storage.options import Options, about
from storage.run_folder import recorded_command

PARTS = {
    "scaling run": "runs.csv",
    "scaling fit": "fit.csv",
    "scaling extrapolate": "fan.csv",
    "scaling tasks": "classes.csv",
}
"""Commands whose folders are reported, and a table that each has."""


def check_part(folder: Path) -> None:
    """Refuse what none of the commands of `PARTS` has written.

    Raises:
        ValueError: it is none of their folders, or has no results yet.
    """
    command = recorded_command(folder)
    if command not in PARTS:
        held = f"holds a run of `{command}`" if command else "holds nothing that can be reported"
        raise ValueError(
            f"{folder} {held}: give folders that `secondsight scaling run`, `fit`, `extrapolate` or `tasks` wrote"
        )
    if not (folder / PARTS[command]).is_file():
        raise ValueError(f"{folder} holds no {PARTS[command]}: `{command}` has no results there yet")


@dataclass(frozen=True)
class ScalingReportOptions(Options):
    """Put a ladder, its law, extrapolations and tasks on one page, with every figure drawn from its table."""

    command = "scaling report"
    example = "secondsight scaling report runs/ladder runs/extrapolated --out runs/report"

    folders: tuple[Path, ...] = field(metadata=about(positional=True, must_hold=check_part))
    """Folders of `secondsight scaling run`, `fit`, `extrapolate` and `tasks`. A law of a ladder that is not among them
    is read from the folder `law` in the ladder, or fitted; its tasks are classified where it has a tasks.csv."""
    out: Path
    """Folder for index.html, codebook.csv, left_out.csv, and a folder of tables and figures for each part."""

    def check(self) -> None:
        """Check that there are folders, each named once, and that none of them would be written over.

        Raises:
            ValueError: there is none, or they are not.
        """
        if not self.folders:
            raise ValueError("name at least one folder of `secondsight scaling run`, `fit`, `extrapolate` or `tasks`")
        places = [folder.resolve() for folder in self.folders]
        for folder, place in zip(self.folders, places, strict=True):
            if places.count(place) > 1:
                raise ValueError(f"{folder} is named twice")
            if self.out.resolve() in (place, *place.parents):
                raise ValueError(f"{folder} lies in --out {self.out}, which is written over: choose another --out")
