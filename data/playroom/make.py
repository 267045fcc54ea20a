"""The playroom: a small ray caster for unlimited head-camera clips and for images of single toys.

Every image is a pure function of integers: same seed, same pixels, however many are made.
Axes: T frames, H rows, W columns.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from einops import reduce
from rich.progress import track
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from data.images import clip_to_image
from data.options import PlayroomOptions
from data.playroom.creatures import STATES
from data.playroom.rendering import render_walk, shade
from data.playroom.room import make_scene, make_walk
from data.playroom.toys import CATEGORIES, generator, make_toy
from data.video_writing import write_video
from storage.files import atomic_write, write_text
from storage.lock import FolderLock
from storage.records import grow_record
from training.parallel import one_thread
from training.progress import say_done, say_found

OBJECT_SAMPLES = 3
"""Rays per pixel and axis in object images, which people look at for longer than at clips."""

CLEAR_CHANGE = 0.04
"""Least change between the two images of a trial, so that no tokenizer quantises the difference away."""

CANDIDATES = 16
"""Exemplar numbers set aside for each trial, of which the first clearly visible pair is taken."""

CONDITIONS = ("novel", "exemplar", "state")


class Toy(NamedTuple):
    """The integers that tell a toy, see `data.playroom.toys.make_toy`."""

    category: int
    exemplar: int
    state: int


class Trial(NamedTuple):
    """A studied toy and its foil; studying the foil instead gives a valid experiment too."""

    condition: str
    name: str
    seen: Toy
    foil: Toy


def render_clip(seed: int, index: int, size: int = 64, frames: int = 16, fps: float = 8.0) -> Tensor:
    """Render a toddler's walk through a room with toys.

    Args:
        seed: of the whole playroom.
        index: number of the room and of the walk; neighbours differ in their colour scheme.
        size: height and width in pixels.
        frames: number of frames T; a shorter clip is the beginning of a longer one.
        fps: frames per second of the walk's time.

    Returns:
        (3, T, size, size) float32 in [-1, 1].

    Raises:
        ValueError: `size` or `frames` below 1, or `fps` not positive.
    """
    if size < 1 or frames < 1 or not fps > 0:
        raise ValueError(f"size and frames must be 1 or more and fps > 0, got {size=}, {frames=}, {fps=}")
    return render_walk(make_scene(seed, index), make_walk(seed, index, frames, fps), size)


def render_object(category: int, exemplar: int, state: int, seed: int = 0, size: int = 64) -> Tensor:
    """Render one toy on white in three-quarter view; both states of an exemplar share scale and position.

    Args:
        category: 0 to len(data.playroom.toys.CATEGORIES) - 1.
        exemplar: which individual of the category, >= 0.
        state: 0 or 1.
        seed: of the whole playroom.
        size: height and width in pixels.

    Returns:
        (3, 1, size, size) float32 in [-1, 1].

    Raises:
        ValueError: category, exemplar, state or size out of range.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    toy = make_toy(category, exemplar, state, seed)
    right, up, back = _view(exemplar)
    poses = [make_toy(category, exemplar, other, seed) for other in range(STATES)]
    reach = torch.tensor([[pose.reach(axis) for pose in poses] for axis in (right, up)])
    low, high = reach[..., 0].amin(1), reach[..., 1].amax(1)
    ticks = ((torch.arange(size * OBJECT_SAMPLES) + 0.5) / (size * OBJECT_SAMPLES) - 0.5) * (high - low).max() / 0.92
    across, along = (low + high) / 2
    rows, columns = torch.meshgrid(along - ticks, across + ticks, indexing="ij")
    origins = columns.reshape(-1, 1) * right + rows.reshape(-1, 1) * up + 5 * back
    distance, number = toy.cast(origins, -back.expand_as(origins))
    met = distance.isfinite().nonzero()[:, 0]
    normal, paint = toy.surface(origins[met] - distance[met, None] * back, number[met])
    lamp = normalize(back + 0.8 * up - 0.5 * right, dim=0)
    colour = torch.ones_like(origins)
    colour[met] = shade(paint, normal, lamp.expand_as(normal))
    pixels = {"h": size, "i": OBJECT_SAMPLES, "w": size, "j": OBJECT_SAMPLES}
    return reduce(colour, "(h i w j) c -> c 1 h w", "mean", **pixels).clamp(0, 1) * 2 - 1


def _view(exemplar: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors to the right, up and back to the viewer, who stands elsewhere for every exemplar."""
    azimuth, elevation = math.radians(32 + 16 * math.sin(2.4 * exemplar)), math.radians(24)
    level, height = math.cos(elevation), math.sin(elevation)
    back = torch.tensor([level * math.sin(azimuth), -level * math.cos(azimuth), height])
    right = torch.tensor([math.cos(azimuth), math.sin(azimuth), 0.0])
    return right, torch.linalg.cross(back, right), back


def visible_change(first: Tensor, second: Tensor) -> float:
    """Mean absolute difference of two images (3, 1, H, W) in [-1, 1] after averaging them down to 8x8."""
    small = [adaptive_avg_pool2d(image[:, 0], 8) for image in (first, second)]
    return float((small[0] - small[1]).abs().mean())


def plan_trials(objects: int, seed: int) -> list[Trial]:
    """Chooses the toys of `objects` trials per condition.

    A novel foil's category is never studied, whichever side of the trials is: half of the categories serve the
    exemplar and state conditions and the fillers, a quarter each the two sides of the novel condition. No exemplar
    number is used by two trials. A trial does not depend on how many there are.
    """
    studied, first, second = _category_groups(seed)
    trials = []
    for condition in CONDITIONS:
        for item in range(objects):
            exemplar, state = _exemplars(condition, item), item % STATES
            category = studied[item % len(studied)]
            pairs: Iterator[tuple[Toy, Toy]]
            if condition == "novel":
                sides = first[item % len(first)], second[item % len(second)]
                pairs = ((Toy(sides[0], k, state), Toy(sides[1], k, state)) for k in exemplar)
            elif condition == "exemplar":
                pairs = ((Toy(category, exemplar[0], state), Toy(category, k, state)) for k in exemplar[1:])
            else:
                pairs = ((Toy(category, k, state), Toy(category, k, 1 - state)) for k in exemplar)
            seen, foil = next(pair for pair in pairs if _is_clear(pair, seed))
            trials.append(Trial(condition, f"{condition}_{item:04d}", seen, foil))
    return trials


def _category_groups(seed: int) -> tuple[list[int], list[int], list[int]]:
    order: list[int] = torch.randperm(len(CATEGORIES), generator=generator("groups", seed)).tolist()
    half, quarter = len(order) // 2, len(order) // 4
    return order[:half], order[half : half + quarter], order[half + quarter :]


def _exemplars(use: str, item: int) -> range:
    """The exemplar numbers set aside for one trial of a condition, or for one filler."""
    start = (item * (len(CONDITIONS) + 1) + (*CONDITIONS, "filler").index(use)) * CANDIDATES
    return range(start, start + CANDIDATES)


def _is_clear(pair: tuple[Toy, Toy], seed: int) -> bool:
    first, second = (render_object(*toy, seed=seed, size=32) for toy in pair)
    return visible_change(first, second) >= CLEAR_CHANGE


@one_thread()
def write_clips(out: Path, clips: int, seed: int, size: int, frames: int, fps: float) -> list[Path]:
    """Render clips 0 to clips - 1 as `clips/clip_000000.mp4` ... in `out`; videos that exist are kept.

    Returns:
        The paths of all clips, in order.
    """
    folder = out / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"clip_{index:06d}.mp4" for index in range(clips)]
    missing = [(index, path) for index, path in enumerate(paths) if not path.exists()]
    for index, path in track(missing, "rendering clips"):
        write_video(path, render_clip(seed, index, size, frames, fps), fps)
    return paths


@one_thread()
def write_objects(out: Path, objects: int, seed: int, size: int, fillers: int = 0) -> None:
    """Writes a recognition-memory experiment as PNG files; images that exist are kept.

    Layout: `test/<condition>_seen/<name>.png` and `test/<condition>_unseen/<name>.png`, the same name for the two
    images of a trial, and `study/<name>.png`, the same bytes as the seen image, beside
    `study/filler_0000.png` ... Conditions: novel (foil of a category that is not studied), exemplar (another
    exemplar of the category in the same state), state (the same exemplar in its other state).
    """
    studied, _, _ = _category_groups(seed)
    images: list[tuple[Toy, list[Path]]] = []
    for trial in plan_trials(objects, seed):
        file, test = f"{trial.name}.png", out / "test"
        images.append((trial.seen, [test / f"{trial.condition}_seen" / file, out / "study" / file]))
        images.append((trial.foil, [test / f"{trial.condition}_unseen" / file]))
    for item in range(fillers):
        toy = Toy(studied[item % len(studied)], _exemplars("filler", item)[0], item % STATES)
        images.append((toy, [out / "study" / f"filler_{item:04d}.png"]))
    missing = [(toy, paths) for toy, paths in images if not all(path.exists() for path in paths)]
    for toy, paths in track(missing, "rendering toys"):
        image = clip_to_image(render_object(*toy, seed=seed, size=size))
        for path in paths:
            atomic_write(path, partial(image.save, format="png"))


def make_playroom(options: PlayroomOptions) -> None:
    """Render the clips and the objects that are asked for, and write `playroom.json` beside them.

    An interrupted run continues where it stopped, and a folder can grow by asking for more.

    Raises:
        FolderLockError: another process is writing into the folder.
        ValueError: the folder holds a playroom made with other options, or its record is damaged.
    """
    with FolderLock(options.out):
        asked = {name: value for name, value in asdict(options).items() if name != "out"}
        path = options.out / "playroom.json"
        record = grow_record(path, asked, ("clips", "objects", "fillers"), "a playroom")
        write_text(path, json.dumps(record, indent=2) + "\n")
        say_found(
            clips=f"{options.clips:,} of {options.frames} frames at {options.fps:g} a second, {options.size} px",
            images=f"{options.objects:,} trials of each condition, {options.fillers:,} fillers",
            seed=options.seed,
        )
        if options.clips:
            write_clips(options.out, options.clips, options.seed, options.size, options.frames, options.fps)
        if options.objects:
            write_objects(options.out, options.objects, options.seed, options.size, options.fillers)
    following = (
        ("secondsight vqgan train --preset demo --data", options.out / "clips", "--out TOKENIZER")
        if options.clips
        else ("secondsight memory run --stimuli", options.out, "--out RUN")
    )
    say_done(options.out, *following)
