"""Tiny sets of films for the physics experiment: a square on noise that is there, or not, before and after an event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from tiny import GPT_SHORT, SHORT, make_gpt, make_tokenizer

from experiments.physics.manifest import Box, Film, write_boxes, write_manifest

FPS = 8
FRAMES = 16
EVENT = 8
"""Frame at which the ending begins."""
SIZE = 16
VERSIONS = ("AA", "AB", "BA", "BB")

Pictures = NDArray[np.uint8]


def make_pictures(scene: int, versions: str, frames: int = FRAMES, size: int = SIZE) -> Pictures:
    """(frames, size, size, 3): version A of a beginning or ending has the square, B has not."""
    chance = np.random.default_rng(scene)
    ground = chance.integers(0, 80, (size, size, 3), dtype=np.uint8)
    colour = chance.integers(160, 256, 3, dtype=np.uint8)
    left, top, _, _ = square_of(scene, size)
    pictures = np.repeat(ground[None], frames, axis=0)
    for frame in range(frames):
        if versions[frame >= EVENT * frames // FRAMES] == "A":
            pictures[frame, top : top + size // 2, left : left + size // 2] = colour
    return pictures


def square_of(scene: int, size: int = SIZE) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the square in pixels, multiples of 4."""
    left, top = np.random.default_rng(scene + 1000).integers(0, size // 8 + 1, 2) * 4
    return int(left), int(top), int(left) + size // 2, int(top) + size // 2


def write_film(path: Path, pictures: Pictures, fps: float = FPS, codec: str = "libx264") -> None:
    """Write pictures without loss, so that equal pictures are equal in every film."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"qp": "0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv444p" if codec == "libx264" else "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def make_set(
    folder: Path, scenes: int = 3, frames: int = FRAMES, size: int = SIZE, fps: float = FPS, boxes: bool = True
) -> list[Film]:
    """A folder with a quadruple for each scene, half of which are said to be hidden, a manifest and boxes."""
    films = [
        Film(
            film=f"films/{scene}_{versions}.mp4",
            scene=f"scene {scene}",
            quadruple=f"quadruple {scene}",
            concept="permanence" if scene % 4 < 2 else "colour",
            hidden=bool(scene % 2),
            possible=versions in ("AA", "BB"),
            beginning=versions[0],
            ending=versions[1],
            event_s=EVENT * frames / FRAMES / fps,
        )
        for scene in range(scenes)
        for versions in VERSIONS
    ]
    for film in films:
        scene = int(film.scene.split()[1])
        write_film(folder / film.film, make_pictures(scene, film.versions, frames, size), fps)
    write_manifest(folder / "manifest.csv", films)
    if boxes:
        write_boxes(folder / "boxes.csv", boxes_of(films, frames, size))
    return films


def boxes_of(films: Iterable[Film], frames: int = FRAMES, size: int = SIZE) -> list[Box]:
    """Where the square is."""
    return [
        Box(film.film, frame, "object", *(end / size for end in square_of(int(film.scene.split()[1]), size)))
        for film in films
        for frame in range(frames)
        if film.versions[frame >= EVENT * frames // FRAMES] == "A"
    ]


def changed(films: Iterable[Film], versions: str, **changes: object) -> list[Film]:
    """Films of which one of the first scene says other things."""
    return [
        replace(film, **changes) if (film.scene, film.versions) == ("scene 0", versions) else film for film in films
    ]


class Made(NamedTuple):
    """What a run needs."""

    films: Path
    tokenizer: Path
    gpt: Path


def make_films_and_models(folder: Path, scenes: int) -> Made:
    """A set of films, and a tiny tokenizer and GPT that fit it."""
    made = Made(folder / "films", folder / "tokenizer", folder / "gpt")
    make_set(made.films, scenes=scenes)
    tokenizer = make_tokenizer(SHORT)
    tokenizer.save_pretrained(made.tokenizer)
    make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint)).save_pretrained(made.gpt)
    return made
