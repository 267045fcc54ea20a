"""Pages of `data look` with contents by a recipe: coloured squares that change from frame to frame, random tokens."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewing.look.contents import (
    CHUNK,
    MOST_PLACES,
    SHEET_COLUMNS,
    Batch,
    Checkpoints,
    Codes,
    Contents,
    Duplicates,
    Flag,
    Number,
    Surprise,
    Tags,
    Tokens,
    Training,
    Word,
    film_name,
    sheet_name,
    write_chunk,
)
from viewing.look.page import write_page

SIDE = 48
FRAMES = 8
GRID = (2, 4, 4)
VOCABULARY = 16
MOST_BITS = 12.0


def make_look(folder: Path, items: int = 40, *, stills: bool = False, model: bool = True, **changed: Any) -> Contents:
    """Write a page and the files beside it, and return what it shows.

    Args:
        folder: of the page.
        items: how many; every third belongs to validation.
        stills: pictures instead of films.
        model: whether there are tokens, surprise, checkpoints and a training.
        changed: fields of `Contents` that are otherwise.
    """
    contents = make_contents(items, stills=stills)
    contents = replace(contents, sheets=write_sheets(folder, items))
    if not stills:
        write_films(folder, items)
    if model and items:
        contents = with_model(folder, contents)
    contents = replace(contents, **changed)
    write_page(folder, contents)
    return contents


def make_contents(items: int, *, stills: bool = False) -> Contents:
    """What is known of items without a model: names, numbers, words, defects, duplicates."""
    chance = np.random.default_rng(0)
    seconds = tuple(None if stills else FRAMES / 8 for _ in range(items))
    numbers = (
        Number("seconds", "length", "s", "Seconds from the first frame to the end of the last.", 2, seconds),
        Number("brightness", "brightness", "", "Mean of all pixels, 0 to 1.", 3, numbers_of(chance, items)),
        Number("motion", "motion", "", "Mean difference of pixels between frames.", 3, numbers_of(chance, items)),
    )
    splits = tuple(int(item % 3 == 2) for item in range(items))
    groups = tuple(None if item % 5 == 4 else item % 5 // 2 for item in range(items))
    return Contents(
        title="What is in the films",
        header=(("data", "films/, 40 clips"), ("command", "secondsight data look films --out page")),
        side=SIDE,
        fps=8.0,
        names=tuple(f"child{item % 4}/walk_{item // 4}.{'png' if stills else 'mp4'}" for item in range(items)),
        starts=tuple(None if stills else float(2 * (item // 4)) for item in range(items)),
        frames=(1 if stills else FRAMES,) * items,
        sheets=(),
        numbers=numbers,
        words=(
            Word("split", "split", splits, ("train", "validation")),
            Word("group", "group", groups, ("child A", "child B")),
        ),
        flags=(
            Flag("black", "black", "Almost all pixels are black.", tuple(range(items))[3:6:2]),
            Flag("frozen", "frozen", "Nothing moves.", tuple(range(items))[7:8]),
        ),
        duplicates=(
            (Duplicates((1, 2), leak=True, distance=0), Duplicates((4, 6, 7), leak=False, distance=3))
            if items > 7
            else ()
        ),
        tags=Tags(("exclude", "keep", "hands")),
        skipped=(("broken.mp4", "no frame could be read"),),
        notes=("The page holds every clip.",),
    )


def numbers_of(chance: np.random.Generator, items: int) -> tuple[float | None, ...]:
    """Numbers of items; the last has none."""
    values = [round(float(value), 4) for value in chance.random(items)]
    return (*values[:-1], None) if items > 1 else tuple(values)


def write_sheets(folder: Path, items: int) -> tuple[str, ...]:
    """Thumbnails: squares of a colour for each item."""
    (folder / "sprites").mkdir(parents=True)
    names = []
    for number, first in enumerate(range(0, items, CHUNK)):
        count = min(CHUNK, items - first)
        sheet = np.zeros((-(-count // SHEET_COLUMNS) * SIDE, SHEET_COLUMNS * SIDE, 3), np.uint8)
        for cell in range(count):
            row, column = divmod(cell, SHEET_COLUMNS)
            sheet[row * SIDE :, column * SIDE :][:SIDE, :SIDE] = frame_of(first + cell, FRAMES // 2)
        Image.fromarray(sheet).save(folder / sheet_name(number), quality=80)
        names.append(sheet_name(number))
    return tuple(names)


def write_films(folder: Path, items: int) -> None:
    """A strip of frames of each item, in which a bright square moves."""
    (folder / "films").mkdir()
    for item in range(items):
        strip = np.concatenate([frame_of(item, frame) for frame in range(FRAMES)], axis=1)
        Image.fromarray(strip).save(folder / film_name(item), quality=80)


def frame_of(item: int, frame: int) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8."""
    picture = np.full((SIDE, SIDE, 3), [37 * item % 200, 91 * item % 200, 151 * item % 200], np.uint8)
    picture[16:32, 4 * frame : 4 * frame + 16] = 255
    return picture


def with_model(folder: Path, contents: Contents) -> Contents:
    """The same with tokens, surprise and a training."""
    items, chance = len(contents.names), np.random.default_rng(1)
    grids = chance.integers(VOCABULARY, size=(items, int(np.prod(GRID)))).astype(np.uint16)
    levels = chance.integers(256, size=grids.shape).astype(np.uint8)
    parts = [(number, slice(first, first + CHUNK)) for number, first in enumerate(range(0, items, CHUNK))]
    files = {
        kind: tuple(write_chunk(folder, kind, number, values[part]) for number, part in parts)
        for kind, values in (("tokens", grids), ("surprise", levels))
    }
    bits = tuple(round(float(value), 4) for value in levels.mean(1) * MOST_BITS / 255)
    places = [np.argwhere(grids == code).tolist() for code in range(VOCABULARY)]
    return replace(
        contents,
        numbers=(*contents.numbers, Number("bits", "surprise", "bits per token", "Mean over tokens.", 2, bits)),
        tokens=Tokens(GRID, VOCABULARY, 2, files["tokens"], latent=4),
        surprise=Surprise(files["surprise"], MOST_BITS, "runs/gpt"),
        codes=Codes(
            tuple(len(found) for found in places),
            tuple(tuple((item, place) for item, place in found[:MOST_PLACES]) for found in places),
        ),
        checkpoints=Checkpoints(
            ("step 10", "step 20", "step 40"),
            (10, 20, 40),
            tuple(tuple(value + extra for value in bits) for extra in (3.0, 1.0, 0.0)),
        ),
        training=make_training(items),
    )


def make_training(items: int) -> Training:
    """A loss that jumps at step 25."""
    curve = tuple((step, 5.0 - step / 20 + 2.0 * (step == 25)) for step in range(1, 41))
    batches = tuple(Batch(step, tuple((4 * step + each) % items for each in range(4)), step % 3) for step, _ in curve)
    return Training(curve, ((10, 4.8), (20, 4.3), (40, 3.5)), "nats per token", batches, (25,))
