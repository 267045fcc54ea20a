"""The test set of ADEPT (Smith et al. 2019, NeurIPS): films of people's intuitive physics, rendered.

Layout, of the sample in github.com/JerryLingjieMei/ADEPT-Model-Release (data_sample/human) and of the generator in
github.com/JerryLingjieMei/ADEPT-Dataset-Release: a film `human_<case>_<shape>_<index>` is a folder with `imgs/`, whose
images name their times, 0.04 s apart, or the file of that name with `.mp4`, as make_video.py writes it. One of both
is read, the images where both are there.

Which indices of a case violate what, and which films they are compared with, is of CASE_PAIRS in
dataset/human/result_storage.py. The films `discontinuous` 4 and 5 stand there under both kinds of discontinuity; a film
is in one group here, so each is with the film of the same ending: 4 with 2, and 5 with 1. Indices that are in no pair,
`disappear` 1 and `disappear_fixed` 2, are left out. The film that cannot happen is compared with each of the others.

Before all these events there is an occluder (dataset/human/build_occluders.py), so that they are hidden. Films are
rendered each by itself, with occluders of their own, so that no frames are shared. The annotations, YAML with masks of
all objects, do not say which object the event is about nor when it happens; they are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.physics.checks import FilmSet
from experiments.physics.manifest import Film
from experiments.physics.readers.layout import CASE, check_folder, folders_in, refuse, videos_in

RATE = 25.0
"""Pictures a second of folders of images."""
VIOLATIONS: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "create": ("disappear", 2, (0, 3, 4)),
    "vanish": ("disappear_fixed", 1, (0, 3, 4)),
    "short-overturn": ("overturn", 0, (1,)),
    "long-overturn": ("overturn", 3, (2,)),
    "visible-discontinuous": ("discontinuous", 2, (3, 4)),
    "invisible-discontinuous": ("discontinuous", 1, (0, 5)),
    "delay": ("delay", 1, (0,)),
    "block": ("block", 1, (0,)),
}
"""Case, index of the film that cannot happen, and indices of those that can, by what is violated."""
_GROUPS = {
    (case, index): concept
    for concept, (case, impossible, possible) in VIOLATIONS.items()
    for index in (impossible, *possible)
}


def read(path: Path) -> FilmSet:
    """Return the films of the test set of ADEPT.

    Args:
        path: folder with the films of people's experiment, `human` in the sample.

    Raises:
        ManifestError: it is laid out otherwise.
    """
    check_folder(path, "adept")
    films = tuple(_films(path))
    if not films:
        refuse(path, "adept", "there is no human_<case>_<shape>_<index>/imgs and no such .mp4")
    return FilmSet(path, films, image_fps=RATE, foils=True)


def _films(root: Path) -> Iterator[Film]:
    images = {folder.name: folder / "imgs" for folder in folders_in(root) if (folder / "imgs").is_dir()}
    videos = {video.stem: video for video in videos_in(root)}
    for name, place in sorted({**videos, **images}.items()):
        named = CASE.fullmatch(name)
        if named is None:
            continue
        case, shape, index = named[1], named[2], int(named[3])
        concept = _GROUPS.get((case, index))
        if concept is None:
            continue
        yield Film(
            film=place.relative_to(root).as_posix(),
            scene=f"{case} {shape}",
            quadruple=f"{concept} {shape}",
            concept=concept,
            hidden=True,
            possible=index != VIOLATIONS[concept][1],
        )
