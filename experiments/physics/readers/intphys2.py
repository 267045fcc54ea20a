"""IntPhys 2 (Bordes et al. 2025, arXiv:2506.09849): four films of a scene, two of which cannot happen.

Layout, of huggingface.co/datasets/facebook/IntPhys2 and github.com/facebookresearch/IntPhys2: for each part, Main and
Debug, a folder with `metadata.csv` and `Videos/<name>.mp4`. Columns, of a copy of Main's in public code
(github.com/shobhit-05/wm_IntPhys2): SceneIndex, name, file_name (`Videos/<name>.mp4`), game_name, condition, env, type
(`1_Possible`, `1_Impossible`, `2_Possible`, `2_Impossible`), occluder, Difficulty, Camera (`Fixed`, `Moving`).

The published loader for models that predict (prediction_evals/evals/intphys2/intphys2_dataset.py) reads `labels.csv`
and folders of images, which are not part of the set, and the published code for language models reads a column
`filename`, which is called `name` in it. Here what is there is read.

The concept is the condition. Films of one SceneIndex, which is a text such as 124_0, are a quadruple. What the numbers
1 and 2 stand for is not stated; they are not read, so that no film says its beginning and ending. The column `occluder`
is None for RotatingCup, too, so that it does not tell which events are hidden. The set says nothing of times or of
where objects are. HeldOut comes without metadata.
"""

from __future__ import annotations

from pathlib import Path

from experiments.physics.checks import FilmSet
from experiments.physics.manifest import Camera, Film, ManifestError
from experiments.physics.readers.layout import METADATA, NOT_SAID, check_folder, inside, refuse
from storage.checked_files import RefusedFileError, check_file
from storage.tables import read_table

COLUMNS = ("SceneIndex", "file_name", "condition", "type", "Camera")
TYPES = {f"{number}_{word}": word == "Possible" for number in (1, 2) for word in ("Possible", "Impossible")}
"""Whether films of a type can happen."""
CAMERAS: dict[str, Camera] = {"Fixed": "fixed", "Moving": "walking"}


def read(path: Path) -> FilmSet:
    """Return the films of a part of IntPhys 2.

    Args:
        path: folder of the part, such as Main.

    Raises:
        ManifestError: it is laid out otherwise, or its table is.
    """
    check_folder(path, "intphys2")
    table = path / METADATA
    if not table.exists():
        refuse(path, "intphys2", f"there is no {METADATA}, without which, as in HeldOut, nothing says what can happen")
    films = tuple(_film(path, table, number, row) for number, row in enumerate(_rows(table), start=1))
    if not films:
        raise ManifestError(f"{table} lists no film: give the folder of a part as it is published")
    return FilmSet(path, films, notes=(NOT_SAID,))


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        check_file(table, "table of IntPhys 2")
        return read_table(table, COLUMNS)
    except RefusedFileError as error:
        raise ManifestError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ManifestError(f"{table} is no table of IntPhys 2: {error}; it needs {', '.join(COLUMNS)}") from error


def _film(root: Path, table: Path, number: int, row: dict[str, str]) -> Film:
    kind = row["type"].strip()
    if kind not in TYPES:
        raise ManifestError(f"{table}, row {number}: type {kind!r} is none of {', '.join(TYPES)}")
    for column in ("SceneIndex", "condition"):
        if not row[column].strip():
            raise ManifestError(f"{table}, row {number}: {column} is empty: give it a name")
    return Film(
        film=inside(root, row["file_name"].strip(), table),
        scene=row["SceneIndex"].strip(),
        quadruple=row["SceneIndex"].strip(),
        concept=row["condition"].strip(),
        hidden=False,
        possible=TYPES[kind],
        camera=CAMERAS.get(row["Camera"].strip(), ""),
    )
