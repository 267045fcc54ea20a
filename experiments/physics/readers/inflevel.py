"""InfLevel (Weihs et al. 2022, TMLR): events of infant experiments, filmed in a laboratory, or simulated.

Layout, of the README of github.com/allenai/inflevel: `<category>/<camera>__<category>__<object>__<object>__<type>.mp4`,
in the laboratory's continuity with `__<direction>` behind it. The categories are continuity, solidity and gravity.

Types, of evaluator.py there: of continuity vv and ii are real, vi and iv are not; of solidity and gravity ui and cv are
real, uv and ci are not. The first letter is taken for the beginning and the second for the ending, since the table of
pairs in github.com/facebookresearch/jepa-intuitive-physics (inflevel/*.csv) pairs films of the same first letter, with
the same times of what goes before. So the four are a quadruple, but filmed, not made of the same frames. Of some there
are fewer than four: evaluator.py expects 36, 6 and 114 such groups of continuity, solidity and gravity. Pairs of what
can happen and what cannot are kept, the others are left to the checks.

Lengths differ by a few frames, as that repository's loader says, which cuts the beginnings of the longer ones; here
their ends are cut, up to half a second. Films are taken whole, with the beginning that shows what a cover or a tube is
like. Objects are one scene with their cover, whatever the camera and the direction. Objects are under a cover or in a
tube when it happens, so that all events are hidden. The set says nothing of times or of where objects are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from experiments.physics.checks import POSSIBLE, FilmSet
from experiments.physics.manifest import Film, ManifestError, Version
from experiments.physics.readers.layout import CATEGORIES, check_folder, refuse, videos_in

_COVERED = {"ui": "AA", "cv": "BB", "uv": "AB", "ci": "BA"}
TYPES = {
    "continuity": {"vv": "AA", "ii": "BB", "vi": "AB", "iv": "BA"},
    "solidity": _COVERED,
    "gravity": _COVERED,
}
"""Beginning and ending of the types of films, by category."""
SLACK = 0.5
"""Seconds by which the lengths of matched films may differ."""


def read(path: Path) -> FilmSet:
    """Return the films of InfLevel, of the laboratory or of the simulator.

    Args:
        path: folder with those of the categories, such as inflevel_lab.

    Raises:
        ManifestError: it is laid out otherwise, or a film is named otherwise.
    """
    check_folder(path, "inflevel")
    films = [film for category in CATEGORIES if (path / category).is_dir() for film in _films(path, category)]
    if not films:
        refuse(path, "inflevel", f"there are no films in {', '.join(CATEGORIES)}")
    return FilmSet(path, tuple(films), slack_s=SLACK)


def _films(root: Path, category: str) -> Iterator[Film]:
    for video in videos_in(root / category):
        camera, cover, thing, kind, direction = _parts(video, category)
        versions = TYPES[category][kind]
        yield Film(
            film=video.relative_to(root).as_posix(),
            scene=f"{category} {cover} {thing}",
            quadruple=" ".join(filter(None, (category, camera, cover, thing, direction))),
            concept=category,
            hidden=True,
            possible=POSSIBLE[versions],
            beginning=cast(Version, versions[0]),
            ending=cast(Version, versions[1]),
        )


def _parts(video: Path, category: str) -> tuple[str, str, str, str, str]:
    """Return camera, cover, object, type and direction, which may be empty."""
    parts = video.stem.split("__")
    if len(parts) not in (5, 6) or parts[1] != category or parts[4] not in TYPES[category]:
        raise ManifestError(
            f"{video} is not named as films of InfLevel are, <camera>__{category}__<object>__<object>__<type>, with one"
            f" of the types {', '.join(TYPES[category])}: take out what does not belong to the set"
        )
    return parts[0], parts[2], parts[3], parts[4], parts[5] if len(parts) == 6 else ""
