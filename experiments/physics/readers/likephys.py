"""LikePhys (Yuan et al. 2025, arXiv:2510.11512): rendered films of twelve scenarios, valid and invalid in several ways.

Layout, of the evaluation in github.com/YuanJianhao508/LikePhys (evaluator.py): for each scenario a folder whose name
ends with `_videos`, in it folders of films that belong together, in these `<variation>_<number>.mp4`; the variation
`valid` is what can happen. The README has the data set, huggingface.co/datasets/JianhaoDYDY/LikePhys-Benchmark, cloned
into `data/`, where the evaluation looks for the folders; other public code finds them in a folder `data` of the data
set itself. Both are read. The data card was not at hand.

Films of one folder are one scene: the valid one is compared with every other. The concept is the scenario, as in the
paper's tables, not the variation. All variations are read; read_exp_final.py of that repository leaves six out of the
published averages. `temporal_disorder` is the valid film with its frames out of order, and `color_change` alters no
motion. The set says nothing of times, of objects, or of whether events are hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.physics.checks import FilmSet
from experiments.physics.manifest import Film
from experiments.physics.readers.layout import NOT_SAID, SCENARIO, check_folder, folders_in, refuse, videos_in

VALID = "valid"


def read(path: Path) -> FilmSet:
    """Return the films of LikePhys.

    Args:
        path: folder with the folders of the scenarios, or with `data`, which holds them.

    Raises:
        ManifestError: it is laid out otherwise.
    """
    check_folder(path, "likephys")
    films = [film for scenario in _scenarios(path) for film in _films(path, scenario)]
    if not films:
        refuse(path, "likephys", f"there is no <scenario>{SCENARIO}/<folder>/<variation>_<number>.mp4")
    return FilmSet(path, tuple(films), foils=True, notes=(NOT_SAID,))


def _scenarios(path: Path) -> list[Path]:
    places = [path, path / "data"] if (path / "data").is_dir() else [path]
    return [folder for place in places for folder in folders_in(place) if folder.name.endswith(SCENARIO)]


def _films(root: Path, scenario: Path) -> Iterator[Film]:
    concept = scenario.name.removesuffix(SCENARIO)
    for group in folders_in(scenario):
        for video in videos_in(group):
            yield Film(
                film=video.relative_to(root).as_posix(),
                scene=f"{concept} {group.name}",
                quadruple=f"{concept} {group.name}",
                concept=concept,
                hidden=False,
                possible=video.stem.rpartition("_")[0] == VALID,
            )
