"""`physics stimuli`: films, what is known of them, and pictures by which people can judge them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import torch
from rich.progress import track
from torch import Tensor

from data.errors import MediaError
from data.video_writing import write_video
from data.workers import Workers
from experiments.physics.manifest import (
    BOXES,
    MANIFEST,
    OBJECT,
    Box,
    Film,
    read_boxes,
    read_manifest,
    write_boxes,
    write_manifest,
)
from experiments.physics.options import StimuliOptions
from experiments.physics.stimuli.dynamics import import_pymunk
from experiments.physics.stimuli.quadruples import Quadruple, make_quadruple
from experiments.physics.stimuli.sheets import write_sheets
from storage.files import write_text
from storage.lock import FolderLock
from storage.records import grow_record
from training.parallel import cores, one_thread
from training.progress import say_done, say_found

FILMS = "films"
"""Folder of the films; in it, each quadruple has a folder that is a set of films by itself."""

RECORD = "stimuli.json"

FEW = 4
"""Quadruples that a process must have to render: for fewer it does not pay to begin one."""
TIMEOUT = 3600.0
"""Seconds after which a quadruple is given up."""

Letter = Literal["A", "B"]
LETTERS: tuple[Letter, ...] = get_args(Letter)
VERSIONS: dict[str, tuple[tuple[Letter, Letter], ...]] = {
    "both": tuple(product(LETTERS, LETTERS)),
    "possible": tuple((letter, letter) for letter in LETTERS),
}
"""Beginnings and endings of the films of a scene, by the outcomes that are asked for."""


def make_stimuli(options: StimuliOptions) -> None:
    """Render the films that are asked for, and write `manifest.csv`, `boxes.csv`, sheets and films to look at.

    An interrupted run continues where it stopped, and a folder can grow by asking for more scenes.

    Raises:
        FolderLockError: another process is writing into the folder.
        ManifestError: what the folder holds of an earlier run is damaged.
        ValueError: pymunk is not installed, the folder holds films made with other options or its record is damaged,
            or no draw of a scene shows its event well.
    """
    import_pymunk()
    with FolderLock(options.out):
        scenes = _grow(options)
        say_found(
            scenes=f"{scenes:,}, each with {len(VERSIONS[options.outcomes])} films of {', '.join(options.concepts)}",
            films=f"{options.frames} frames at {options.fps:g} a second, {options.size} px",
            seed=options.seed,
        )
        names = _write_films(options, scenes)
        films = [film for name in names for film in _films_of(options.out, name)]
        write_boxes(options.out / BOXES, [box for name in names for box in _boxes_of(options.out, name)])
        write_sheets(options, films)
        write_manifest(options.out / MANIFEST, films)
    if options.outcomes == "possible":
        say_done(options.out, "secondsight vqgan train --preset PRESET --data", options.out / FILMS, "--out RUN")
    else:
        say_done(
            options.out, "secondsight physics run --films", options.out, "--tokenizer TOKENIZER --gpt GPT --out RUN"
        )


def _grow(options: StimuliOptions) -> int:
    """Write down what the folder will hold, and return how many scenes that are."""
    asked = {name: value for name, value in asdict(options).items() if name not in ("out", "workers")}
    asked["concepts"] = list(options.concepts)  # as JSON has it
    path = options.out / RECORD
    record = grow_record(path, asked, ("scenes",), "films")
    write_text(path, json.dumps(record, indent=2) + "\n")
    return int(record["scenes"])


@dataclass(frozen=True)
class Request:
    """A quadruple that is to be written."""

    options: StimuliOptions
    concept: str
    number: int
    """Of the scene."""

    @property
    def name(self) -> str:
        """Of the quadruple."""
        return f"{self.concept}_{self.number:05d}"


def write_quadruples(requests: Sequence[Request]) -> Iterator[str]:
    """Write quadruples, and yield the name of each when its folder is whole.

    Raises:
        ValueError: no draw of a scene shows its event well.
    """
    with one_thread():
        for request in requests:
            quadruple = make_quadruple(request.options, request.concept, request.number)
            folder = request.options.out / FILMS / request.name
            _write_quadruple(folder, quadruple, VERSIONS[request.options.outcomes])
            yield request.name


def _write_films(options: StimuliOptions, scenes: int) -> list[str]:
    """Write the quadruples that are missing, and return the names of all."""
    wanted = [Request(options, concept, number) for concept, number in _wanted(options, scenes)]
    missing = [request for request in wanted if not (options.out / FILMS / request.name / MANIFEST).exists()]
    processes = cores() if options.workers is None else options.workers
    workers = Workers(write_quadruples, min(processes, len(missing) // FEW), TIMEOUT)
    with workers:
        made = workers.map([request] for request in missing)
        for answer in track(made, "rendering films", total=len(missing)):
            if isinstance(answer, MediaError):
                raise answer
    return [request.name for request in wanted]


def _wanted(options: StimuliOptions, scenes: int) -> Iterator[tuple[str, int]]:
    """Yield concepts and numbers of scenes, in an order in which an interrupted set is balanced."""
    return ((concept, number) for number, concept in product(range(scenes), options.concepts))


def _write_quadruple(folder: Path, quadruple: Quadruple, versions: Sequence[tuple[Letter, Letter]]) -> None:
    """Write films, where the object is in them, and last the manifest, by which a folder is known to be whole."""
    folder.mkdir(parents=True, exist_ok=True)
    films: list[Film] = []
    boxes: list[Box] = []
    for beginning, ending in versions:
        clip, coverage = quadruple.film(beginning, ending)
        film = _row(quadruple, beginning, ending)
        write_video(folder / film.film, clip / 127.5 - 1, quadruple.timing.fps, lossless=True)
        films.append(film)
        boxes += _boxes(film.film, coverage)
    write_boxes(folder / BOXES, boxes)
    write_manifest(folder / MANIFEST, films)


def _row(quadruple: Quadruple, beginning: Letter, ending: Letter) -> Film:
    fps = quadruple.timing.fps
    first, last = quadruple.occlusion or (None, None)
    return Film(
        film=f"{beginning}{ending}.mp4",
        scene=quadruple.scene,
        quadruple=quadruple.name,
        concept=quadruple.concept,
        hidden=quadruple.hidden,
        possible=beginning == ending,
        beginning=beginning,
        ending=ending,
        event_s=quadruple.timing.event / fps,
        occluded_from_s=None if first is None else first / fps,
        occluded_to_s=None if last is None else last / fps,
        camera="walking" if quadruple.walking else "fixed",
    )


def _boxes(film: str, coverage: Tensor) -> Iterator[Box]:
    """Yield where the object is in the frames in which it is in view; coverage is (T, H, W)."""
    _, height, width = coverage.shape
    for frame, seen in enumerate(coverage > 0):
        if seen.any():
            rows, columns = (seen.any(dim).nonzero()[:, 0] for dim in (1, 0))
            left, right = (int(end) for end in torch.aminmax(columns))
            top, bottom = (int(end) for end in torch.aminmax(rows))
            ends = (left / width, top / height, (right + 1) / width, (bottom + 1) / height)
            yield Box(film, frame, OBJECT, *ends)


def _films_of(out: Path, name: str) -> list[Film]:
    return [replace(film, film=f"{FILMS}/{name}/{film.film}") for film in read_manifest(out / FILMS / name)]


def _boxes_of(out: Path, name: str) -> list[Box]:
    return [replace(box, film=f"{FILMS}/{name}/{box.film}") for box in read_boxes(out / FILMS / name)]
