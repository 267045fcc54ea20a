"""The tables of several run folders as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from experiments.diversity.tables import KINDS, Tables
from storage.tables import read_rows

Row = TypeVar("Row")


@dataclass
class Merged(Tables):
    """The rows of several runs, and where they come from."""

    folders: dict[str, Path] = field(default_factory=dict)
    """Run folders by model, where the images are."""


def merge_runs(folders: Sequence[Path]) -> Merged:
    """Read the tables of run folders.

    Raises:
        ValueError: a folder lacks a table, its items, or an image that it names, or two runs have the same name.
    """
    merged = Merged()
    for folder in folders:
        for name, kind in KINDS.items():
            getattr(merged, name).extend(_read(folder, f"{name}.csv", kind))
        run, images = merged.run[-1], [row for row in merged.images if row.model == merged.run[-1].model]
        if run.model in merged.folders:
            raise ValueError(
                f"{merged.folders[run.model]} and {folder} are both called {run.model}, and a report could not tell "
                "them apart; measure one of them into a folder of another name"
            )
        missing = [row.file for row in images if not (folder / row.file).is_file()]
        if missing:
            raise ValueError(f"{folder} lacks {missing[0]}, which its images.csv names; measure it again")
        merged.folders[run.model] = folder
    return merged


def _read(folder: Path, name: str, kind: type[Row]) -> list[Row]:
    try:
        rows = read_rows(folder / name, kind)
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no {name}: it is no finished run of `secondsight diversity run`") from None
    if not rows and name in ("run.csv", "items.csv"):
        raise ValueError(f"{folder / name} has no rows, and there is nothing to report; measure it again")
    return rows
