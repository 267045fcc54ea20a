"""Tiny stand-ins of published sets of films, laid out as their loaders and data cards describe."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from physics_films import SIZE, VERSIONS, make_pictures, square_of, write_film
from PIL import Image

METADATA = (
    "SceneIndex",
    "name",
    "file_name",
    "game_name",
    "condition",
    "env",
    "type",
    "occluder",
    "Difficulty",
    "Camera",
)
"""Columns of IntPhys 2."""
INTPHYS_FRAMES = 30
INTPHYS_ORDER = ("BA", "AA", "BB", "AB")
"""What the folders 1 to 4 show: which of them can happen is shuffled."""
ADEPT = ("block_cube_0", "block_cube_1", *(f"disappear_bowling_pin_{index}" for index in range(5)))


def make_intphys(root: Path, scenes: Mapping[str, int] | None = None, frames: bool = True) -> Path:
    """Blocks of scenes with four folders of images, a status and masks; scenes are numbered through for their looks."""
    number = 0
    for block, count in (scenes or {"O1": 2, "O3": 1}).items():
        for index in range(count):
            for movie, versions in enumerate(INTPHYS_ORDER, start=1):
                write_movie(root / block / f"{index + 1:02d}" / str(movie), number, versions, block, frames)
            number += 1
    return root


def write_movie(folder: Path, scene: int, versions: str, block: str, frames: bool = True) -> None:
    """Images, masks and status of a film; every second scene has an occluder."""
    pictures = make_pictures(scene, versions, INTPHYS_FRAMES)
    write_images(folder / "scene", pictures, "scene_{:03d}.png", first=1)
    chance = np.random.default_rng(scene)
    status = []
    masks = []
    for frame in range(INTPHYS_FRAMES):
        sky, thing, screen = (int(level) for level in chance.permutation(256)[:3])
        there = versions[frame >= INTPHYS_FRAMES // 2] == "A"
        mask = np.full((SIZE, SIZE), sky, np.uint8)
        left, top, right, bottom = square_of(scene)
        mask[top:bottom, left:right] = thing if there else sky
        masks.append(mask)
        levels = {"sky": sky, **({"object_1": thing} if there else {}), **({"occluder_1": screen} if scene % 2 else {})}
        actors = {"object_1": {"mass": 1.0}} if there else {}
        status.append({**actors, **({"occluder_1": {"speed": 1.0}} if scene % 2 else {}), "masks": levels})
    header = {"block_name": block, "block_type": "test", "is_possible": versions in ("AA", "BB")}
    if frames:
        write_images(folder / "masks", masks, "masks_{:03d}.png", first=1)
    (folder / "status.json").write_text(json.dumps({"header": header, **({"frames": status} if frames else {})}))


def write_images(folder: Path, pictures: Any, pattern: str, first: int = 0) -> None:
    """Write pictures one by one."""
    folder.mkdir(parents=True)
    for index, picture in enumerate(pictures, start=first):
        Image.fromarray(picture).save(folder / pattern.format(index))


def make_intphys2(root: Path, scenes: int = 2, **changes: str) -> Path:
    """The part Main: metadata.csv and Videos; `changes` are cells of the first row."""
    kinds = dict(zip(VERSIONS, ("1_Possible", "1_Impossible", "2_Impossible", "2_Possible"), strict=True))
    rows = []
    for scene in range(scenes):
        for versions, kind in kinds.items():
            name = f"{scene}{versions}"
            write_film(root / "Videos" / f"{name}.mp4", make_pictures(scene, versions))
            camera = "Moving" if scene % 2 else "Fixed"
            condition = "solidity" if scene % 2 else "permanence"
            game = ("Box", condition, "BasicLevel_0", kind, "None", "Easy", camera)
            rows.append(dict(zip(METADATA, (f"124_{scene}", name, f"Videos/{name}.mp4", *game), strict=True)))
    rows[0] |= changes
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, METADATA)
        writer.writeheader()
        writer.writerows(rows)
    return root


def make_inflevel(root: Path, longer: int = 0) -> Path:
    """A quadruple of each category from two cameras, and a pair; some films are longer by so many frames."""
    types = {"continuity": ("vv", "vi", "iv", "ii"), "gravity": ("ui", "uv", "ci", "cv")}
    for number, (category, names) in enumerate(types.items()):
        for side, camera in enumerate(("center", "left")):
            for versions, name in zip(VERSIONS, names, strict=True):
                direction = "__LR" if category == "continuity" else ""
                frames = 16 + (longer if versions == "AB" else 0)
                pictures = np.concatenate([make_pictures(2 * number + side, versions)] * 2)[:frames]
                write_film(root / category / f"{camera}__{category}__cup__duck__{name}{direction}.mp4", pictures)
    for versions, name in (("AA", "ui"), ("AB", "uv")):
        write_film(root / "solidity" / f"right__solidity__cup__egg__{name}.mp4", make_pictures(9, versions))
    return root


def make_grasp(root: Path, films: int = 2) -> Path:
    """Three tests, films of one number plausible and not."""
    for number, test in enumerate(("Gravity", "ObjectPermanence2", "Collision")):
        for film in range(films):
            for name, versions in (("P", "AA"), ("IP", "AB")):
                pictures = make_pictures(10 * number + film, versions)
                write_film(root / f"{name}_{test}" / f"{film:03d}.mp4", pictures)
    return root


def make_adept(root: Path, videos: bool = False) -> Path:
    """Two cases of one shape each; films are folders of images named by their times, or videos."""
    for number, name in enumerate(ADEPT):
        case = f"human_{name}"
        pictures = make_pictures(number, "AB")
        if videos:
            write_film(root / f"{case}.mp4", pictures, fps=25)
            continue
        (root / case).mkdir(parents=True)
        (root / case / f"{case}_ann.yaml").write_text("scene: []")
        imgs = root / case / "imgs"
        imgs.mkdir()
        for frame, picture in enumerate(pictures):
            Image.fromarray(picture).save(imgs / f"{case}_{0.04 * frame:06.2f}s.png")
    return root


def make_likephys(root: Path, groups: int = 2) -> Path:
    """Two scenarios of films, in each of which there are a valid film and two others."""
    shown = {"valid_00": "AA", "teleportation_00": "AB", "temporal_disorder_00": "BA"}
    for number, scenario in enumerate(("ball_drop", "pendulum")):
        for group in range(groups):
            for name, versions in shown.items():
                pictures = make_pictures(10 * number + group, versions)
                write_film(root / f"{scenario}_videos" / f"subgroup_{group:03d}" / f"{name}.mp4", pictures)
    return root


MAKERS: dict[str, Callable[[Path], Path]] = {
    "intphys": make_intphys,
    "intphys2": make_intphys2,
    "inflevel": make_inflevel,
    "grasp": make_grasp,
    "adept": make_adept,
    "likephys": make_likephys,
}
"""Stand-ins of every published set."""
