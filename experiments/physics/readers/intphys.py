"""IntPhys 2019 (Riochet et al. 2022, IEEE TPAMI; arXiv:1803.07616): four films made of the same frames.

Layout, of intphys.cognitive-ml.fr, of the loader in github.com/facebookresearch/jepa-intuitive-physics
(intphys_dataset.py), and of github.com/rronan/IntPhys-verify-quadruplets: for each film 100 images of 288x288 pixels,
`<block>/<scene>/<1 to 4>/scene/scene_001.png` and on, and beside `scene` a `status.json`, whose header says
`is_possible`. Which of the four can happen is shuffled. Test films come without status. Nothing in a
folder says how many images make a second: 15 are assumed; the site's 25 hours of 15,000 films would make about 17.

The concept is the block's, in the words of the site. Beginnings, endings and the time of the event are not stated:
they are told from the frames, which impossible films share with possible ones pixel by pixel (that repository checks
it for all of dev). Films with two events, back and forth, tell a time but no ending. Every image is read for it.

Events are hidden where the block's name says `occluded`, as it did in an earlier release (lists of
github.com/rronan/IntPhys-Baselines), or else where the frames in the status name an occluder: the generator
(github.com/bootphon/intphys, and an earlier state in github.com/cdoucet/intphys) puts one into occluded scenes only.
The site says that only training films have a detailed status, the README of IntPhys-Baselines that dev has one; where
there is none, events stand as visible, and it is said. Grey levels of masks change from frame to frame, and the status
says which is whose; boxes are read where it does and the scene has one object, since it is not stated which of several
the event is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import MediaError
from data.images import load_image
from experiments.physics.checks import FilmSet
from experiments.physics.footage import ImageFootage, open_footage, picture_digests
from experiments.physics.manifest import OBJECT, Box, Film, ManifestError
from experiments.physics.readers.endings import Told, tell
from experiments.physics.readers.layout import BLOCK, NOT_SAID, check_folder, folders_in, refuse
from storage.checked_files import RefusedFileError, read_json
from training.progress import Progress

RATE = 15.0
"""Images a second, as is assumed."""
ASSUMED = f"the set does not say how many images make a second: {RATE:g} are assumed"
CONCEPTS = {"O1": "object permanence", "O2": "shape constancy", "O3": "spatio-temporal continuity"}
"""What is violated in the films of a block; of others it is the block's name."""
STATUS = "status.json"


@dataclass(frozen=True)
class _Movie:
    """One of the four films of a scene."""

    folder: Path
    possible: bool
    hidden: bool | None
    """None where the status does not say."""
    levels: tuple[Mapping[str, Any], ...]
    """Grey level of each object in the mask of each frame; none where the status does not say."""


def read(path: Path) -> FilmSet:
    """Return the films of IntPhys.

    Args:
        path: folder with the blocks O1, O2 and O3, such as dev.

    Raises:
        ManifestError: it is laid out otherwise, or a status cannot be read.
    """
    check_folder(path, "intphys")
    blocks = [folder for folder in folders_in(path) if BLOCK.fullmatch(folder.name)]
    scenes = [(scene, _movies(scene)) for block in blocks for scene in folders_in(block)]
    films: list[Film] = []
    with Progress("Matching", len(scenes)) as progress:
        for done, (scene, movies) in enumerate(scenes, start=1):
            films += _films(path, scene, movies)
            progress.show(done)
    if not films:
        refuse(path, "intphys", "there is no O1/<scene>/<1 to 4>/scene with images")
    boxes = [box for _, movies in scenes for box in _boxes(path, movies)]
    said = all(movie.hidden is not None for _, movies in scenes for movie in movies)
    return FilmSet(path, tuple(films), tuple(boxes), RATE, notes=(ASSUMED,) if said else (ASSUMED, NOT_SAID))


def _movies(scene: Path) -> list[_Movie]:
    return [_movie(folder) for folder in folders_in(scene) if (folder / "scene").is_dir()]


def _movie(folder: Path) -> _Movie:
    status = folder / STATUS
    if not status.exists():
        raise ManifestError(f"{status} does not exist: give films with a status, as those of dev have; test has none")
    try:
        content = read_json(status, "status of a film of IntPhys")
    except RefusedFileError as error:
        raise ManifestError(str(error)) from error
    header = content.get("header") if isinstance(content, dict) else None
    if not isinstance(header, dict) or not isinstance(header.get("is_possible"), bool):
        raise ManifestError(f"{status} does not say in its header whether the film is_possible: give it as published")
    frames = [frame for frame in content.get("frames") or [] if isinstance(frame, dict)]
    levels = tuple(frame["masks"] for frame in frames if isinstance(frame.get("masks"), dict))
    return _Movie(folder, header["is_possible"], _is_hidden(str(header.get("block_name")), frames), levels)


def _is_hidden(block: str, frames: Sequence[Mapping[str, Any]]) -> bool | None:
    for word, hidden in (("occluded", True), ("visible", False)):
        if word in block:
            return hidden
    return any(name.startswith("occluder") for frame in frames for name in frame) if frames else None


def _films(root: Path, scene: Path, movies: Sequence[_Movie]) -> Iterator[Film]:
    name = f"{scene.parent.name}/{scene.name}"
    told = _tell(movies)
    for movie, (beginning, ending) in zip(movies, told.versions, strict=True):
        yield Film(
            film=(movie.folder / "scene").relative_to(root).as_posix(),
            scene=name,
            quadruple=name,
            concept=CONCEPTS.get(scene.parent.name, scene.parent.name),
            hidden=any(one.hidden for one in movies),
            possible=movie.possible,
            beginning=beginning,
            ending=ending,
            event_s=None if told.event is None else told.event / RATE,
        )


def _tell(movies: Sequence[_Movie]) -> Told:
    possible = [movie.possible for movie in movies]
    nothing = Told((("", ""),) * len(movies), None)
    if len(movies) != 4 or sum(possible) != 2:
        return nothing
    try:
        pictures = [picture_digests(open_footage(movie.folder / "scene", RATE)) for movie in movies]
    except MediaError:  # what cannot be read is said when the films are checked
        return nothing
    return tell(pictures, possible)


def _boxes(root: Path, movies: Sequence[_Movie]) -> Iterator[Box]:
    """Yield where the object is, if all films of the scene together have one."""
    objects = {name for movie in movies for of_frame in movie.levels for name in of_frame if name.startswith("object")}
    if len(objects) != 1:
        return
    (name,) = objects
    for movie in movies:
        film = (movie.folder / "scene").relative_to(root).as_posix()
        masks = ImageFootage(movie.folder / "masks", RATE).files if (movie.folder / "masks").is_dir() else []
        for frame, (mask, of_frame) in enumerate(zip(masks, movie.levels, strict=False)):
            if name in of_frame:
                yield from _box(film, frame, np.array(load_image(mask).convert("L")) == of_frame[name])


def _box(film: str, frame: int, marked: np.ndarray[Any, np.dtype[np.bool_]]) -> Iterator[Box]:
    rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    if len(rows):
        height, width = marked.shape
        ends = columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
        yield Box(film, frame, OBJECT, *(float(end) for end in ends))
