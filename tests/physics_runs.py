"""Folders of physics runs of which the tests say how surprising every film is, without films or models.

Scores are those that a run would write of one readout: `experiments.physics.scores` computes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.stimuli.lists import ListedDefect
from experiments.physics.manifest import Film
from experiments.physics.options import PhysicsRunOptions
from experiments.physics.readouts import READOUTS
from experiments.physics.scores import score, split_scenes
from experiments.physics.tables import FilmColumns, FilmRow, FrameRow, ModelRow, Role, ScoreRow
from storage.config_file import config_of
from storage.files import to_json, write_text
from storage.tables import write_rows

VERSIONS = ("AA", "AB", "BA", "BB")
LATENT_FRAMES = 4
EVENT = 2
"""Latent frame of it."""

Surprise = Callable[[Film], float]
"""Mean surprise of a film from the event on; before it all films have 1."""


def knows(film: Film) -> float:
    """Impossible films are the more surprising."""
    return 1.0 if film.possible else 2.0


def errs(film: Film) -> float:
    """Possible films are."""
    return 2.0 if film.possible else 1.0


def ties(_: Film) -> float:
    """All films are alike."""
    return 1.0


def guesses(film: Film) -> float:
    """Right in every second scene of those with the same concept and visibility."""
    return knows(film) if number_of(film) // 2 % 2 else errs(film)


def mostly(film: Film) -> float:
    """Right in nine of ten scenes."""
    return knows(film) if number_of(film) % 10 else errs(film)


@dataclass
class SimulatedModel:
    """A model, and how surprising films are to it."""

    name: str
    surprise: Surprise
    role: Role = "gpt"
    row: dict[str, Any] = field(default_factory=dict)
    """Columns of its row of models.csv."""


CONTROLS = (SimulatedModel("copy", ties, "control"), SimulatedModel("untrained", guesses, "control"))


def number_of(film: Film) -> int:
    """The number of its scene."""
    return int(film.scene.split()[1])


def films_of(concepts: Sequence[str], scenes: int, visibilities: Sequence[bool] = (False, True)) -> list[Film]:
    """A quadruple in every scene for each concept and visibility, which have scenes of their own."""
    kinds = [(concept, hidden) for concept in concepts for hidden in visibilities]
    return [
        Film(
            film=f"{concept}_{hidden}_{scene}_{versions}.mp4",
            scene=f"{concept}{'-hidden' * hidden} {scene}",
            quadruple=f"{concept} {hidden} {scene}",
            concept=concept,
            hidden=hidden,
            possible=versions in ("AA", "BB"),
            beginning=versions[0],
            ending=versions[1],
        )
        for concept, hidden in kinds
        for scene in range(scenes)
        for versions in VERSIONS
    ]


def make_run(
    folder: Path,
    *models: SimulatedModel,
    concepts: Sequence[str] = ("permanence", "colour"),
    scenes: int = 8,
    films: Sequence[Film] | None = None,
    void: Sequence[str] = (),
    gpts: Sequence[str] = (),
    **changes: Any,
) -> Path:
    """The folder of a finished run.

    Args:
        folder: to be made.
        models: in the order of models.csv.
        concepts: of its films.
        scenes: of each concept, visible and hidden.
        films: in place of these.
        void: names of quadruples that are.
        gpts: paths of the GPTs; their names if not given.
        changes: columns of all rows of films.csv.
    """
    films = films_of(concepts, scenes) if films is None else films
    folder.mkdir(parents=True)
    digests = {film.film: hashlib.sha256(film.film.encode()).hexdigest() for film in films}
    counted = [film for film in films if film.quadruple not in void]
    halves = split_scenes(films, digests)
    scores = []
    for model in models:
        values = {film.film: (1 + model.surprise(film)) / 2 for film in films}
        scores += score(model.name, {READOUTS[0]: values}, counted, halves)
    write_rows(folder / "models.csv", [_model_row(model) for model in models], ModelRow)
    film_rows = [_film_row(model, film, digests, film.quadruple in void, changes) for model in models for film in films]
    write_rows(folder / "films.csv", film_rows, FilmRow)
    write_rows(
        folder / "frames.csv", [row for model in models for film in films for row in _frames(model, film)], FrameRow
    )
    write_rows(folder / "defects.csv", [], ListedDefect)
    write_rows(folder / "scores.csv", scores, ScoreRow)
    paths = tuple(map(Path, gpts or [model.name for model in models if model.role == "gpt"]))
    given = () if paths else (Path("scores.csv"),)
    options = PhysicsRunOptions.of(
        films=Path("nowhere"), tokenizer=Path("tokenizer"), gpt=paths, scores=given, out=folder
    )
    write_text(folder / "config.json", to_json(config_of(options)))
    return folder


def _model_row(model: SimulatedModel) -> ModelRow:
    gpt = model.role == "gpt"
    columns: dict[str, Any] = {
        "unit": "bits",
        "parameters": 1000 if gpt else None,
        "window": 4 if gpt else None,
        "fingerprint": model.name if gpt else "",
    }
    return ModelRow(model=model.name, role=model.role, **{**columns, **model.row})


def _columns(model: SimulatedModel, film: Film) -> dict[str, Any]:
    said = asdict(film)
    return {name: said[name] for name in FilmColumns.__dataclass_fields__ if name != "model"} | {"model": model.name}


def _film_row(
    model: SimulatedModel, film: Film, digests: Mapping[str, str], void: bool, changes: Mapping[str, Any]
) -> FilmRow:
    value = (1 + model.surprise(film)) / 2
    columns: dict[str, Any] = {
        **dict.fromkeys((readout.name for readout in READOUTS), value),
        "nats_per_token": None,
        "sha256": digests[film.film],
        "fps": 8.0,
        "width": 16,
        "height": 16,
        "frames": 16,
        "latent_frames": LATENT_FRAMES,
        "event_first": EVENT,
        "event_end": LATENT_FRAMES,
        "object_tokens": 4,
        "object_error": 0.1,
        "kept": 0.1 if void else 0.9,
        "void": void,
        "arrays": f"surprise/{model.name}/{film.film}.npz",
    }
    return FilmRow(**_columns(model, film), **{**columns, **changes})


def _frames(model: SimulatedModel, film: Film) -> list[FrameRow]:
    return [
        FrameRow(
            **_columns(model, film),
            latent_frame=frame,
            start=frame / 2,
            event=frame >= EVENT,
            surprise=model.surprise(film) if frame >= EVENT else 1.0,
            object_surprise=None,
            object_tokens=0,
        )
        for frame in range(LATENT_FRAMES)
    ]
