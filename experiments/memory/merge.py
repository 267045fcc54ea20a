"""Runs of the memory experiment merged: which folders hold the same model, and what differs between models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.statistics.accuracy import read_trials
from experiments.statistics.outcomes import Run, run_of
from storage.tables import read_table

NOT_OF_THE_MODEL = frozenset(
    {
        "out", "resume", "overwrite", "save_every", "stimuli", "exclude_defects", "then", "then_exposures",
        "seed", "seeds", "exposures", "changes", "recall",
    }
)  # fmt: skip
"""Options in which runs of one model may differ: which list, how long, which seeds, and what else is tested."""


@dataclass(frozen=True)
class RunFolder:
    """A folder that `secondsight memory run` wrote."""

    path: Path
    options: dict[str, Any]
    """Its config.json."""
    trials: list[dict[str, str]]

    @property
    def stimuli(self) -> Path | None:
        """Folder of the list, if it is there."""
        stimuli = self.options.get("stimuli")
        return Path(stimuli) if stimuli and Path(stimuli).is_dir() else None

    @property
    def parts(self) -> list[Path]:
        """Folders of its versions and seeds, which hold maps."""
        return sorted(path for path in (self.path / "runs").glob("*") if path.is_dir())

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of one of its tables, such as `defects.csv`; none if it is not there."""
        path = self.path / name
        return read_table(path) if path.exists() else []


def read_run_folders(paths: Sequence[Path]) -> list[RunFolder]:
    """Read finished runs; a folder of `secondsight memory sweep` stands for the finished runs in it.

    Raises:
        ValueError: a folder holds no finished run.
    """
    found: list[RunFolder] = []
    for path in paths:
        folders = (
            [path] if (path / "trials.csv").exists() else sorted(p.parent for p in path.glob("cells/*/trials.csv"))
        )
        if not folders:
            raise ValueError(f"{path} holds no trials.csv: give folders of finished runs of `secondsight memory run`")
        for folder in folders:
            options = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            found.append(RunFolder(folder, options, read_trials(folder / "trials.csv")))
    return found


def merge_trials(folders: Sequence[RunFolder]) -> list[dict[str, str]]:
    """Return the trials of all folders, each with the name of its model in a column `model`.

    Raises:
        ValueError: two folders hold the same run of the same model, which would count twice.
    """
    holders: dict[tuple[str, Run], Path] = {}
    merged = []
    for folder, model in zip(folders, model_names([folder.options for folder in folders]), strict=True):
        for run in {run_of(trial) for trial in folder.trials}:
            holder = holders.setdefault((model, run), folder.path)
            if holder != folder.path:
                raise ValueError(
                    f"{holder} and {folder.path} hold the same run (list {run.list}, version {run.version}, "
                    f"seed {run.seed}): give one of them"
                )
        merged += [{"model": model} | trial for trial in folder.trials]
    return merged


def model_names(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Return for each run the name of its model: the options in which the models differ; empty if there is one.

    Runs belong to the same model when their options agree but for which list they studied, how long, with which seeds,
    and what else was tested.
    """
    keys = sorted({key for config in configs for key in config} - NOT_OF_THE_MODEL)
    differing = [key for key in keys if len({json.dumps(config.get(key)) for config in configs}) > 1]
    return [", ".join(_setting(key, config.get(key)) for key in differing) for config in configs]


def _setting(key: str, value: Any) -> str:
    if key == "gpt":
        return f"from {value}" if value else "from scratch"
    return f"{key.replace('_', ' ')} {'none' if value is None else value}"
