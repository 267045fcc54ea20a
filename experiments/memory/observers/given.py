"""Scores that were computed elsewhere, read from a table and held against the list."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from data.stimuli.lists import StimulusList
from experiments.memory.observers.judged import ImageScore, Judgement, Sitting, in_order
from experiments.memory.recognition import tested_paths
from storage.tables import read_rows

NAMED = 5
"""Images that are named of those that are wrong, at most."""


class ScoresError(ValueError):
    """A table of scores cannot be used; the message says which row or image is wrong."""


def read_scores(path: Path, versions: Mapping[str, StimulusList]) -> list[Sitting]:
    """Return the runs that a table of scores has, which needs one for each image that is tested.

    Args:
        path: of the table, with the columns of `ImageScore`.
        versions: of the list, with the trials that are taken.

    Raises:
        ScoresError: it has no rows, a cell holds something else than its column should, a score is not finite, an
            image is not of the list, or is lacking or there twice in a test, or a run was not tested as another was.
    """
    scores: dict[tuple[str, int], dict[Judgement, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    known = {image.path for image in next(iter(versions.values())).images}
    for number, row in enumerate(_rows(path), start=1):
        _check(row, f"{path}, row {number}", known, versions)
        of_test = scores[row.version, row.seed][Judgement(row.exposure, row.change, row.readout)]
        if row.path in of_test:
            raise ScoresError(f"{path}, row {number}: {row.path} has a score there already: remove one of them")
        of_test[row.path] = row.score
    if not scores:
        raise ScoresError(f"{path} has no rows: a row for each image that is tested is needed")
    _check_complete(path, scores, versions)
    return [
        Sitting(version, seed, path.stem, in_order(judged, versions[version]))
        for (version, seed), judged in sorted(scores.items())
    ]


def _rows(path: Path) -> Sequence[ImageScore]:
    try:
        return read_rows(path, ImageScore)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ScoresError(f"{path} is no CSV in UTF-8: {error}") from error
    except ValueError as error:
        names = ", ".join(f"`{field.name}`" for field in fields(ImageScore))
        raise ScoresError(f"{error}; columns of a table of scores, with commas between them, are {names}") from error


def _check(row: ImageScore, where: str, known: set[str], versions: Mapping[str, StimulusList]) -> None:
    if row.path not in known:
        raise ScoresError(f"{where}: {row.path} is not an image of the list: manifest.csv of a run names them")
    if not math.isfinite(row.score):
        raise ScoresError(f"{where}: the score of {row.path} is {row.score}, no finite number")
    if row.exposure < 0 or row.seed < 0:
        raise ScoresError(f"{where}: exposure {row.exposure} and seed {row.seed} must not be negative")
    if row.version not in versions:
        raise ScoresError(f"{where}: there is no version {row.version!r} of the list, but {', '.join(versions)}")
    if not row.change or not row.readout:
        raise ScoresError(f"{where}: change and readout must not be empty: leave out the column, or say `none`")


def _check_complete(
    path: Path,
    scores: Mapping[tuple[str, int], Mapping[Judgement, Mapping[str, float]]],
    versions: Mapping[str, StimulusList],
) -> None:
    """Check that every test has every image that is tested, and every run every test."""
    every = {judgement for of_run in scores.values() for judgement in of_run}
    for (version, seed), of_run in scores.items():
        for exposure, change, readout in sorted(every - of_run.keys()):
            raise ScoresError(
                f"{path}: version {version}, seed {seed} has no scores after {exposure} exposures "
                f"(change {change}, readout {readout}), which others have"
            )
        wanted = tested_paths(versions[version].trials)
        for (exposure, change, readout), of_test in sorted(of_run.items()):
            missing = [image for image in wanted if image not in of_test]
            if missing:
                more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
                raise ScoresError(
                    f"{path}: version {version}, seed {seed} has no score after {exposure} exposures (change {change},"
                    f" readout {readout}) for {', '.join(missing[:NAMED])}{more}"
                )
