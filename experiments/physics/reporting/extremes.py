"""Films with the surprise drawn on them: quadruples with the largest and the smallest difference of each concept."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.drawing import save_image
from data.errors import MediaError
from data.images import clip_to_image
from data.video import TIME_SLACK
from data.video_writing import write_video
from experiments.diversity.reporting.runs import select
from experiments.physics.checks import FilmSet
from experiments.physics.footage import open_footage, whole_frames
from experiments.physics.manifest import ManifestError
from experiments.physics.printing import MAIN
from experiments.physics.readers.any import read_set
from experiments.physics.readouts import Readout
from experiments.physics.reporting.drawing import DrawnFilm, Pixels, draw_strip, draw_video, event_frame
from experiments.physics.reporting.outcomes import chosen_readout, values_of
from experiments.physics.reporting.runs import Merged, Model
from experiments.physics.stimuli.sheets import SIDE
from experiments.physics.tables import FilmRow
from storage.arrays import load_arrays
from storage.checked_files import FaultError

Which = Literal["largest", "smallest"]

MOST_FRAMES = 150
"""Frames of a film as shown, at most: of longer ones frames are left out."""


@dataclass(frozen=True, kw_only=True)
class ExtremeRow:
    """Matched films that are drawn: a row of extremes.csv."""

    model: str
    """Name of the GPT or observer whose surprise it is."""
    concept: str
    """What is violated."""
    hidden: bool
    """Whether the event happens behind an occluder."""
    which: Which
    """Whether the difference is among the largest or the smallest of the concept."""
    quadruple: str
    """Name that the films share."""
    readout: str
    """What makes one number of a film: the readout that the model chose."""
    unit: str
    """What surprise is in, per token."""
    difference: float
    """Mean of the impossible films minus mean of the possible ones."""
    video: str
    """The films beside one another, their surprise below."""
    strip: str
    """The latent frames of the event as an image."""


@dataclass(frozen=True)
class Extremes:
    """What was drawn, and what could not be."""

    rows: list[ExtremeRow] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Why something was not drawn, in sentences."""


class Chosen(NamedTuple):
    """Matched films at an extreme."""

    which: Which
    quadruple: str
    difference: float


def draw_extremes(out: Path, merged: Merged, count: int) -> Extremes:
    """Draw the extremes of the last model that was given, as far as the films are still there.

    Args:
        out: folder of the report; files are written into `extremes/`.
        merged: the runs.
        count: of quadruples with the largest difference per concept, and of those with the smallest.
    """
    if not merged.last or not count:
        return Extremes()
    model = main_model(merged)
    readout = next((found for measure in MAIN if (found := chosen_readout(model, measure))), None)
    if readout is None:
        return Extremes(missing=["No films are matched, so that there are no differences to draw."])
    try:
        films = read_set(model.run.options.films, model.run.options.kind)
    except (ManifestError, OSError) as error:
        return Extremes(missing=[f"The films are not drawn, as they are no longer where they were: {error}."])
    drawn = Extremes()
    for place, (concept, chosen) in enumerate(choose(model, readout, count).items(), start=1):
        for number, one in enumerate(chosen, start=1):
            try:
                matched = _read(model, films, one.quadruple)
            except (MediaError, FaultError, OSError) as error:
                drawn.missing.append(f"{one.quadruple} is not drawn: {error}.")
                continue
            name = f"extremes/{place:02d}_{_plain(concept)}_{number}_{one.which}"
            _write(out, name, matched, model.row.unit)
            drawn.rows.append(
                ExtremeRow(
                    model=model.name,
                    concept=concept,
                    hidden=matched[0].row.hidden,
                    which=one.which,
                    quadruple=one.quadruple,
                    readout=readout.name,
                    unit=model.row.unit,
                    difference=one.difference,
                    video=f"{name}.mp4",
                    strip=f"{name}_strip.png",
                )
            )
    return drawn


def main_model(merged: Merged) -> Model:
    """Return the GPT that was given last, or observer where there is none, of its training the last checkpoint."""
    return ([model for model in merged.last if model.row.role == "gpt"] or merged.last)[-1]


def choose(model: Model, readout: Readout, count: int) -> dict[str, list[Chosen]]:
    """Return the extremes of each concept, largest difference first; where all are chosen, none is chosen twice."""
    values = values_of(model, readout)
    sides: dict[tuple[str, str], dict[bool, list[float]]] = defaultdict(lambda: {True: [], False: []})
    for name, film in model.run.matched.items():
        if film.quadruple and name in values:
            sides[film.concept, film.quadruple][film.possible].append(values[name])
    by_concept: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (concept, quadruple), of_side in sides.items():
        if all(of_side.values()):
            difference = float(np.mean(of_side[False]) - np.mean(of_side[True]))
            by_concept[concept].append((difference, quadruple))
    return {concept: _ends(sorted(ranked, reverse=True), count) for concept, ranked in sorted(by_concept.items())}


def _ends(ranked: Sequence[tuple[float, str]], count: int) -> list[Chosen]:
    largest = [Chosen("largest", name, difference) for difference, name in ranked[:count]]
    others = ranked[count:]
    return largest + [Chosen("smallest", name, difference) for difference, name in others[-count:]]


def _read(model: Model, films: FilmSet, quadruple: str) -> list[DrawnFilm]:
    """Return matched films with their surprise, possible ones first.

    Raises:
        FaultError: the file with their surprise is damaged.
        MediaError: a film cannot be read, or is another by now.
        OSError: a file is gone.
    """
    rows = sorted(select(model.films, quadruple=quadruple), key=lambda row: (not row.possible, row.beginning))
    return [_read_film(model, films, row) for row in rows]


def _read_film(model: Model, films: FilmSet, row: FilmRow) -> DrawnFilm:
    pixels, fps = _pixels(films, row)
    starts = sorted(frame.start for frame in model.frames if frame.film == row.film)
    latent = [max(bisect_right(starts, frame / fps + TIME_SLACK) - 1, 0) for frame in range(len(pixels))]
    return DrawnFilm(row, pixels, fps, latent, _surprise(model, row))


def _surprise(model: Model, row: FilmRow) -> NDArray[np.float32]:
    path = model.run.folder / row.arrays
    surprise = load_arrays(path).get("surprise")
    if surprise is None or surprise.ndim != 3 or len(surprise) != row.latent_frames:
        raise FaultError(f"{path} does not hold the surprise of {row.film}")
    return surprise


def _pixels(films: FilmSet, row: FilmRow) -> tuple[Pixels, float]:
    """Return the middle square of a film (T, H, W, 3), about `SIDE` pixels wide, and its frames a second."""
    footage = open_footage(films.root / row.film, films.image_fps)
    if footage.file_digest() != row.sha256:
        raise MediaError(f"{footage.path} is another film than was measured")
    fps = footage.fps * min(1.0, MOST_FRAMES / footage.frames)
    size = min(footage.width, footage.height, SIDE)
    levels = footage.clip(whole_frames(footage.duration, fps), fps, size)
    larger = max(1, round(SIDE / size))
    return levels.permute(1, 2, 3, 0).numpy().repeat(larger, axis=1).repeat(larger, axis=2), fps


def _write(out: Path, name: str, films: Sequence[DrawnFilm], unit: str) -> None:
    """Write the video, the image that stands for it, and the strip."""
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    video = draw_video(films, unit)
    write_video(out / f"{name}.mp4", video, films[0].fps)
    poster = clip_to_image(video[:, min(event_frame(films[0]), video.shape[1] - 1)])
    save_image(out / f"{name}.png", poster.quantize(256))
    save_image(out / f"{name}_strip.png", draw_strip(films, unit).quantize(256))


def _plain(concept: str) -> str:
    """Return a name of a file for a concept of any name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", concept).strip("-")[:40] or "concept"
