"""GRASP, level 2 (Jassim et al. 2024, arXiv:2311.09048): Unity films of what is plausible and what is not.

Layout, of github.com/i-machine-think/grasp (tools/generate_videos.py, tools/prepare_data.py, grasp/tests/level2.py) and
of the loader in github.com/facebookresearch/jepa-intuitive-physics (grasp_dataset.py): `level2/P_<test>/<number>.mp4`
is plausible, `level2/IP_<test>/<number>.mp4` is not. Films of one number are made with the same seed, and that loader
takes them for a pair; whether they agree frame by frame before the event is stated nowhere. Numbers that one side lacks
are left to the checks.

The concept is the test. Where the descriptions of the tests (data/prompts/level2_scene_descriptions.json) name
something that hides the event, it is hidden; `Collision` and `Continuity` are not described there and stand as visible.
`GravitySupport` is called SupportGravity in that file. The set says nothing of times or of where objects are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.physics.checks import FilmSet
from experiments.physics.manifest import Film
from experiments.physics.readers.layout import NOT_SAID, TEST, check_folder, folders_in, refuse, videos_in

HIDDEN = frozenset(
    {
        *("GravityContinuity", "GravityInertia", "Inertia2", "ObjectPermanence", "ObjectPermanence2"),
        *("ObjectPermanence3", "SolidityContinuity", "SolidityContinuity2", "Unchangeableness", "Unchangeableness2"),
    }
)
"""Tests in whose published description an occluder, a cover or a plank hides the event."""
VISIBLE = frozenset({"Gravity", "GravityInertia2", "GravitySupport", "Inertia"})
"""Tests whose published description names nothing of the kind."""


def read(path: Path) -> FilmSet:
    """Return the films of level 2 of GRASP.

    Args:
        path: the folder `level2`.

    Raises:
        ManifestError: it is laid out otherwise.
    """
    check_folder(path, "grasp")
    films = [film for folder in folders_in(path) for film in _films(path, folder)]
    if not films:
        refuse(path, "grasp", "there is no P_<test>/<number>.mp4 and no IP_<test>/<number>.mp4")
    said = all(film.concept in HIDDEN | VISIBLE for film in films)
    return FilmSet(path, tuple(films), notes=() if said else (NOT_SAID,))


def _films(root: Path, folder: Path) -> Iterator[Film]:
    named = TEST.fullmatch(folder.name)
    if named is None:
        return
    plausible, test = named.groups()
    for video in videos_in(folder):
        yield Film(
            film=video.relative_to(root).as_posix(),
            scene=f"{test} {video.stem}",
            quadruple=f"{test} {video.stem}",
            concept=test,
            hidden=test in HIDDEN,
            possible=plausible == "P",
        )
