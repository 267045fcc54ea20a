"""The runs of a report, read back and checked: their models by name, and which of them are controls of which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from data.stimuli.lists import ListedDefect
from experiments.diversity.reporting.runs import in_order
from experiments.physics.manifest import Film
from experiments.physics.options import PhysicsRunOptions, unfinished
from experiments.physics.readouts import READOUTS
from experiments.physics.scores import split_scenes
from experiments.physics.tables import FilmRow, FrameRow, Half, ModelRow, ScoreRow
from experiments.tables import read_results
from storage.run_folder import read_options
from storage.terminal import count

Row = TypeVar("Row")
RowOfModel = TypeVar("RowOfModel", bound="OfModel")

FILM_KEY = ("model", "film")
UNIQUE: dict[str, tuple[str, ...]] = {
    "models.csv": ("model",),
    "films.csv": FILM_KEY,
    "frames.csv": (*FILM_KEY, "latent_frame"),
    "scores.csv": ("model", "tokens", "frames", "statistic", "measure", "concept", "visibility", "half"),
    "defects.csv": ("defect", "file"),
}
"""Columns that tell the rows of the tables of a run apart."""


class OfModel(Protocol):
    """A row that says which model it is of."""

    @property
    def model(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder that was read."""

    folder: Path
    options: PhysicsRunOptions
    models: list[ModelRow]
    films: dict[str, list[FilmRow]]
    """By model."""
    frames: dict[str, list[FrameRow]]
    """By model."""
    scores: dict[str, list[ScoreRow]]
    """By model."""
    defects: list[ListedDefect]

    @property
    def any_films(self) -> list[FilmRow]:
        """A row for every film: that of the first model."""
        return self.films[self.models[0].model]

    @cached_property
    def matched(self) -> dict[str, Film]:
        """What the set says of the films that count in scores, by their names."""
        return {row.film: _film(row) for row in self.any_films if not row.void}

    @cached_property
    def halves(self) -> dict[str, Half]:
        """Which half each scene belongs to, as in scores.csv."""
        films = [_film(row) for row in self.any_films]
        return split_scenes(films, {row.film: row.sha256 for row in self.any_films})


@dataclass(frozen=True, eq=False)
class Model:
    """A model or control of a run."""

    name: str
    """By which the report knows it; controls that are the same in several runs share one."""
    row: ModelRow
    run: Run = field(repr=False)
    training: str = ""
    """What a GPT is a checkpoint of."""

    @property
    def films(self) -> list[FilmRow]:
        """Its rows of films.csv."""
        return self.run.films[self.row.model]

    @property
    def frames(self) -> list[FrameRow]:
        """Its rows of frames.csv."""
        return self.run.frames[self.row.model]

    @property
    def scores(self) -> list[ScoreRow]:
        """Its rows of scores.csv."""
        return self.run.scores[self.row.model]

    @property
    def trained_for(self) -> tuple[float, float]:
        """How long it was trained: steps, then hours of film; -1 where that is not known."""
        return self.row.step or -1, self.row.seen_hours or -1


@dataclass(frozen=True)
class Merged:
    """The runs of a report."""

    runs: list[Run]
    models: list[Model]
    """All of all runs; those of one name are the same."""

    @property
    def distinct(self) -> list[Model]:
        """One model of each name: GPTs, then observers, then controls."""
        first = {model.name: model for model in reversed(self.models)}
        of_role = {"gpt": 0, "observer": 1, "control": 2}
        named = in_order(model.name for model in self.models)
        return sorted((first[name] for name in named), key=lambda model: of_role[model.row.role])

    @property
    def subjects(self) -> list[Model]:
        """GPTs and observers."""
        return [model for model in self.distinct if model.row.role != "control"]

    @property
    def last(self) -> list[Model]:
        """GPTs and observers, of each training the checkpoint that was trained for longest."""
        chosen: dict[str, Model] = {}
        for model in self.subjects:
            before = chosen.get(model.training)
            if before is None or model.trained_for >= before.trained_for:
                chosen[model.training] = model
        return list(chosen.values())

    @property
    def shown(self) -> list[Model]:
        """What figures show: the last checkpoint of each training, and all controls."""
        return [*self.last, *(model for model in self.distinct if model.row.role == "control")]

    def controls(self, of: Model) -> list[Model]:
        """Return the controls of a model: those of the same run."""
        return [model for model in self.models if model.run is of.run and model.row.role == "control"]


def merge_runs(folders: Sequence[Path]) -> Merged:
    """Read run folders.

    Raises:
        RunFolderError: a folder holds a run of another command, or of an older version.
        ValueError: a folder holds no finished run, or a table that is damaged; two runs are of different films, or
            hold the same model.
    """
    runs = [read_run(folder) for folder in folders]
    for run in runs[1:]:
        _check_same_films(runs[0], run)
    return Merged(runs, _named([model for run in runs for model in _models(run)]))


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        RunFolderError: it holds a run of another command, or of an older version.
        ValueError: it holds no finished run, or a table that is damaged.
    """
    scores = _read(folder, "scores.csv", ScoreRow)
    models = _read(folder, "models.csv", ModelRow)
    names = [row.model for row in models]
    films = _read(folder, "films.csv", FilmRow)
    silent = set(names) - {row.model for row in films if any(getattr(row, each.name) is not None for each in READOUTS)}
    run = Run(
        folder=folder,
        options=read_options(folder, PhysicsRunOptions),
        models=models,
        films=_by_model(folder / "films.csv", names, films),
        frames=_by_model(folder / "frames.csv", names, _read(folder, "frames.csv", FrameRow)),
        scores=_by_model(folder / "scores.csv", names, scores, silent),
        defects=_read(folder, "defects.csv", ListedDefect),
    )
    for name, of_model in run.films.items():
        if {(row.film, row.sha256) for row in of_model} != {(row.film, row.sha256) for row in run.any_films}:
            raise ValueError(f"{folder / 'films.csv'} has other films of {name} than of {names[0]}: measure it again")
    return run


def _read(folder: Path, name: str, kind: type[Row]) -> list[Row]:
    try:
        rows = read_results(folder / name, kind, UNIQUE[name])
    except FileNotFoundError:
        raise unfinished(folder, name) from None
    except ValueError as error:
        if "has no column" in str(error):
            raise ValueError(f"{error}: it was measured by an earlier version, measure it again") from error
        raise
    if not rows and name != "defects.csv":
        raise ValueError(f"{folder / name} has no rows, and there is nothing to report: measure it again")
    return rows


def _by_model(
    path: Path, names: Sequence[str], rows: Iterable[RowOfModel], silent: Collection[str] = ()
) -> dict[str, list[RowOfModel]]:
    """Return the rows of each model, which must be those of models.csv; there need be none of those that are silent."""
    found: dict[str, list[RowOfModel]] = {name: [] for name in names}
    for row in rows:
        if row.model not in found:
            raise ValueError(f"{path} names {row.model}, which models.csv does not: measure it again")
        found[row.model].append(row)
    for name, of_model in found.items():
        if not of_model and name not in silent:
            raise ValueError(f"{path} has no row of {name}, which models.csv names: measure it again")
    return found


def _check_same_films(first: Run, second: Run) -> None:
    names = [{row.sha256: row.film for row in run.any_films} for run in (first, second)]
    lacking = [[name for digest, name in names[a].items() if digest not in names[b]] for a, b in ((0, 1), (1, 0))]
    said = [
        f"{count(len(films), 'film')} of {run.folder} are not in the other ({films[0]} ...)"
        for run, films in zip((first, second), lacking, strict=True)
        if films
    ]
    if said:
        raise ValueError(
            f"{first.folder} and {second.folder} are of different sets of films: {'; '.join(said)}. Report them apart, "
            "or measure all models on the same films"
        )


def _models(run: Run) -> list[Model]:
    """Return the models of a run, GPTs with what they are checkpoints of."""
    # They come first, in the order in which they were given; of some it was found that they are controls.
    known = {row.model: path for row, path in zip(run.models, run.options.gpt, strict=False) if row.parameters}
    return [
        Model(row.model, row, run, str(_training(known[row.model])) if row.model in known else row.model)
        for row in run.models
    ]


def _training(gpt: Path) -> Path:
    """Return the run folder that a GPT is a checkpoint of; itself where its path does not say."""
    if gpt.parent.name == "checkpoints":
        return gpt.parent.parent
    return gpt.parent if gpt.name == "final" else gpt


def _named(models: Sequence[Model]) -> list[Model]:
    """Return the models with names that tell different ones apart.

    Raises:
        ValueError: a model that is no control is there twice.
    """
    groups: dict[str, list[list[Model]]] = {}
    for model in models:
        same = next((group for group in groups.setdefault(model.row.model, []) if _are_same(group[0], model)), None)
        if same is None:
            groups[model.row.model].append([model])
        else:
            same.append(model)
    _refuse_twice(models)
    folders = Counter(run.folder.resolve().name for run in {id(model.run): model.run for model in models}.values())
    names: dict[int, str] = {}
    for name, of_name in groups.items():
        for group in of_name:
            folder = group[0].run.folder
            short = folder.resolve().name
            where = short if folders[short] == 1 else str(folder)
            names.update((id(model), name if len(of_name) == 1 else f"{name} ({where})") for model in group)
    return [replace(model, name=names[id(model)]) for model in models]


def _are_same(first: Model, second: Model) -> bool:
    """Whether two controls say the same of all films."""
    return first.row == second.row and first.row.role == "control" and _numbers(first) == _numbers(second)


def _numbers(model: Model) -> list[tuple[object, ...]]:
    return sorted((row.sha256, *(str(getattr(row, readout.name)) for readout in READOUTS)) for row in model.films)


def _refuse_twice(models: Sequence[Model]) -> None:
    seen: dict[object, Model] = {}
    for model in models:
        if model.row.role == "control":
            continue
        other = seen.setdefault(model.row.fingerprint or (model.row.model, *_numbers(model)), model)
        if other is not model:
            raise ValueError(
                f"{other.row.model} in {other.run.folder} and {model.row.model} in {model.run.folder} are the same "
                "model, which would count twice: give one of these runs, or measure one with other GPTs"
            )


def _film(row: FilmRow) -> Film:
    return Film(row.film, row.scene, row.quadruple, row.concept, row.hidden, row.possible, row.beginning, row.ending)
