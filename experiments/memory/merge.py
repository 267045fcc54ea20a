"""Runs of the memory experiment merged: which folders hold the same model, and what differs between models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from experiments.memory.observers.options import ObserveOptions
from experiments.memory.options import BEFORE, MemoryOptions, finished_runs
from experiments.memory.protocol import SETS
from experiments.statistics.trials import Run, TrialRow, read_trials
from sampling.pages import named
from storage.options import Options
from storage.run_folder import read_options, recorded_command
from storage.tables import read_rows

Row = TypeVar("Row")


@dataclass(frozen=True)
class RunFolder:
    """A folder that `secondsight memory run` or `memory observe` wrote, or one with a `trials.csv` and nothing else."""

    path: Path
    options: MemoryOptions | None
    """None where an observer sat the test, and where there are only trials."""
    trials: list[TrialRow]
    observed: ObserveOptions | None = None
    """Where an observer sat the test."""

    @property
    def stimuli(self) -> Path | None:
        """Folder of the list, if it is there."""
        known = self.options or self.observed
        stimuli = known.stimuli if known else None
        return stimuli if stimuli and stimuli.is_dir() else None

    @property
    def runs(self) -> list[Path]:
        """Folders of its versions and seeds, which hold maps."""
        return sorted(path for path in (self.path / "runs").glob("*") if path.is_dir())

    def rows(self, name: str, kind: type[Row]) -> list[Row]:
        """Return the rows of one of its tables, such as `recall.csv`; none if it is not there."""
        path = self.path / name
        return read_rows(path, kind) if path.exists() else []


@dataclass(frozen=True)
class LeftOut:
    """A file that was left out of a list as defective."""

    list: str
    """Name of the list."""
    file: str
    """Path in it."""
    reason: str
    """What is wrong with it."""


def read_run_folders(paths: Sequence[Path]) -> list[RunFolder]:
    """Read finished runs; a folder of `secondsight memory sweep` stands for the finished runs in it.

    Raises:
        RunFolderError: a folder holds a run of another command, or of an older version.
        ValueError: a folder holds no finished run.
    """
    found: list[RunFolder] = []
    for path in paths:
        for folder in finished_runs(path):
            trials = read_trials(folder / "trials.csv")
            if recorded_command(folder) == ObserveOptions.command:
                found.append(RunFolder(folder, None, trials, read_options(folder, ObserveOptions)))
                continue
            options = read_options(folder, MemoryOptions) if (folder / "config.json").exists() else None
            found.append(RunFolder(folder, options, trials))
    return found


def merge_trials(folders: Sequence[RunFolder]) -> list[TrialRow]:
    """Return the trials of all folders, each with the name of its model.

    Raises:
        ValueError: two folders hold the same run of the same model, which would count twice.
    """
    holders: dict[tuple[str, Run], Path] = {}
    merged = []
    for folder, model in zip(folders, model_names(folders), strict=True):
        trials = [_of_model(trial, model, folder) for trial in folder.trials]
        for name, run in sorted({(trial.model, trial.run) for trial in trials}):
            holder = holders.setdefault((name, run), folder.path)
            if holder != folder.path:
                raise ValueError(
                    f"{holder} and {folder.path} hold the same run (list {run.list}, version {run.version}, "
                    f"seed {run.seed}): give one of them"
                )
        merged += trials
    return merged


def left_out(folders: Sequence[RunFolder]) -> list[LeftOut]:
    """Return what was left out of the lists of runs, once for each list."""
    found = {
        LeftOut(folder.trials[0].list, defect.file, defect.reason): None
        for folder in folders
        for defect in folder.rows("defects.csv", _Defect)
    }
    return list(found)


def model_names(folders: Sequence[RunFolder]) -> list[str]:
    """Return for each run the name of its model: the options in which the models differ.

    Of those that a protocol sets its name is enough, where that still tells the models apart.

    Where there is one model, it is the preset of its GPT or the folder that this came from. Runs belong to the same
    model when their options agree but for those that only tell runs apart: which list they studied, how long, with
    which seeds, and what else was tested. Of trials alone the name of their folder is known.
    """
    if any(folder.options is None for folder in folders):
        return [folder.path.resolve().name for folder in folders]
    settings = [folder.options.settings("model") for folder in folders if folder.options]
    differing = differing_options(folders)
    if not differing:
        return [folder.options.model_name() for folder in folders if folder.options]
    names = _named(settings, differing)
    shorter = _named(settings, [name for name in differing if name not in SETS]) if "protocol" in differing else names
    return shorter if len(set(shorter)) == len(set(names)) else names


def differing_options(folders: Sequence[RunFolder]) -> list[str]:
    """Return the options that tell the models of these runs apart, whose runs are therefore never pooled."""
    settings = [folder.options.settings("model") for folder in folders if folder.options]
    names = sorted({name for of_run in settings for name in of_run})
    return [name for name in names if len({of_run.get(name) for of_run in settings}) > 1]


@dataclass(frozen=True)
class _Defect:
    """A row of a run's `defects.csv`."""

    file: str
    reason: str


def _of_model(trial: TrialRow, model: str, folder: RunFolder) -> TrialRow:
    """Return a trial with the name of its model, which trials that came without a config.json may have already."""
    known = folder.options is None and trial.model
    return trial if known or trial.model == model else replace(trial, model=model)


def _named(settings: Sequence[Mapping[str, Any]], options: Sequence[str]) -> list[str]:
    """Return for each run these of its options in words."""
    worded = [[_setting(name, of_run.get(name, BEFORE.get(name))) for name in options] for of_run in settings]
    return [", ".join(words for words in of_run if words) for of_run in worded]


def models_of(folders: Sequence[RunFolder]) -> str:
    """Return the runs of a page's header, each with the model that it began with, if it did not begin from scratch."""
    return named([_origin(folder) for folder in folders])


def seeds_of(folders: Sequence[RunFolder]) -> str:
    """Return the seeds of runs, for a page's header; none where they are not recorded."""
    known = [folder.options or folder.observed for folder in folders]
    return named([_seeds(options) for options in known if options is not None])


def _origin(folder: RunFolder) -> str:
    given = folder.options or folder.observed
    asked = given.flat() if given else {}
    began = next((str(asked[name]) for name in ("gpt", "observer") if asked.get(name) is not None), "")
    return f"{folder.path.name} ({began})" if began else folder.path.name


def _seeds(options: Options) -> str:
    asked = options.flat()
    first, last = asked["seed"], asked["seed"] + asked["seeds"] - 1
    return str(first) if first == last else f"{first} to {last}"


def _setting(name: str, value: Any) -> str:
    """Return an option in words; none for the preset of a GPT that is named by where it comes from."""
    if name == "gpt":
        return f"from {value}" if value else "from scratch"
    if name == "preset" and value is None:
        return ""
    return f"{name.replace('_', ' ')} {'none' if value is None else value}"
