"""Surprise that was computed elsewhere: a table with a row for each film, or for each of its frames.

Columns `film`, its path as in the manifest; `surprise`, empty where there is none; and, if wanted, `frame`, the index
of a frame among the film's own, from 0 on, and `model`, whose surprise it is.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.physics.checks import SHOWN, CheckedFilm, Defect
from experiments.physics.encoding import EncodedFilm
from experiments.physics.models import Measured, array_file
from experiments.physics.observers import NOT_STATED
from experiments.physics.tables import ModelRow
from storage.arrays import save_arrays
from storage.tables import read_table

WHOLE = -1
"""Stands for the frame where a number is of the whole film."""


class ScoresError(ValueError):
    """A table of surprise cannot be used; the message says where it is wrong, and what to do."""


@dataclass(frozen=True)
class GivenSurprise:
    """The surprise of films to one model, as a table says it."""

    model: str
    path: Path
    """The table."""
    films: dict[str, dict[int, float]]
    """By film and frame; NaN where there is none. Of a whole film the frame is `WHOLE`."""

    @property
    def by_frame(self) -> bool:
        """Whether frames are told apart."""
        return any(WHOLE not in frames for frames in self.films.values())


def read_given(path: Path) -> list[GivenSurprise]:
    """Return what a table says, of each of its models; one that names none has the name of the file.

    Raises:
        ScoresError: it cannot be read, a cell does not hold what it should, a film or frame is there twice, some rows
            say a frame and others none, or a model has no number at all.
    """
    models: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    kinds = set()
    for number, row in enumerate(_rows(path), start=1):
        where = f"{path}, row {number}"
        model = _model(row.get("model", "").strip() or path.stem, where)
        film, frame = row["film"].strip(), _frame(row.get("frame", "").strip(), where)
        if frame in models[model][film]:
            which = "" if frame == WHOLE else f", frame {frame}"
            raise ScoresError(f"{where}: {film}{which} is there twice: give it once")
        models[model][film][frame] = _number(row["surprise"].strip(), where)
        kinds.add(frame == WHOLE)
    if not kinds:
        raise ScoresError(f"{path} says the surprise of no film: give it a row for each film or frame")
    if len(kinds) > 1:
        raise ScoresError(f"{path} says a frame in some rows and none in others: give it in all of them, or in none")
    for model, films in models.items():
        if all(math.isnan(number) for frames in films.values() for number in frames.values()):
            raise ScoresError(f"{path} has no number of any film for {model}: fill in the column surprise")
    return [GivenSurprise(model, path, dict(films)) for model, films in models.items()]


def missing_films(given: Iterable[GivenSurprise], films: Collection[str]) -> list[Defect]:
    """Return the films of a set of which tables say nothing.

    Args:
        given: what tables say.
        films: names of all films of the set.

    Raises:
        ScoresError: a table names films that are not in the set.
    """
    defects = []
    for each in given:
        unknown = sorted(set(each.films) - set(films))
        if unknown:
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            raise ScoresError(
                f"{each.path} says the surprise of {', '.join(unknown[:SHOWN])}{more}, which the set of films does not "
                "list: give the paths of its manifest"
            )
        lacking = (film for film in films if film not in each.films)
        defects += [Defect((film,), f"{each.path} says no surprise of {film} to {each.model}") for film in lacking]
    return defects


def check_frames(given: Iterable[GivenSurprise], films: Sequence[CheckedFilm]) -> None:
    """Refuse surprise at frames that films do not have.

    Raises:
        ScoresError: there is some.
    """
    for each in given:
        for film in films:
            last = max(each.films[film.film.film])
            if last >= film.footage.frames:
                raise ScoresError(
                    f"{each.path} says the surprise of frame {last} of {film.film.film}, which has "
                    f"{film.footage.frames} frames, from 0 on: number the film's own frames"
                )


def take_given(given: GivenSurprise, films: Sequence[EncodedFilm], out: Path) -> Measured:
    """Return what a table says as the surprise of latent frames, and write it as that of GPTs is.

    A latent frame has the mean of the frames that are shown while it lasts. A number of a whole film tells nothing of
    where in it the surprise was.
    """
    surprise = [_by_latent_frame(given.films[film.film.film], film) for film in films]
    files = [array_file(given.model, film) for film in films]
    for file, values in zip(files, surprise, strict=True):
        save_arrays(out / file, {"surprise": values.numpy()})
    row = ModelRow(given.model, "observer", NOT_STATED, parameters=None, window=None, fingerprint="")
    return Measured(row, surprise, files, localised=False, timed=given.by_frame)


def _by_latent_frame(numbers: dict[int, float], film: EncodedFilm) -> Tensor:
    """Return the surprise (t, h, w) float32 of the tokens of a film."""
    if WHOLE in numbers:
        return torch.full(film.scale.grid, numbers[WHOLE])
    means = torch.full((film.scale.grid[0],), torch.nan)
    for index, (first, end) in enumerate(_own_frames(film)):
        known = [numbers[frame] for frame in range(first, end) if not math.isnan(numbers.get(frame, math.nan))]
        if known:
            means[index] = float(np.mean(known))
    return means[:, None, None].expand(film.scale.grid).contiguous()


def _own_frames(film: EncodedFilm) -> Iterator[tuple[int, int]]:
    """Yield the first of the film's own frames that each latent frame shows, and one past the last."""
    scale, footage = film.scale, film.checked.footage
    shown = footage.indices(scale.frames[-1], scale.fps).tolist()
    behind = shown[-1] + max(1, round(footage.fps / scale.fps))
    begins = [*(shown[frame] for frame in scale.frames[:-1]), min(behind, footage.frames)]
    for first, end in pairwise(begins):
        yield first, max(first + 1, end)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        return read_table(path, ("film", "surprise"))
    except OSError as error:
        raise ScoresError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ScoresError(
            f"{error}: a table of surprise is a CSV in UTF-8 with the columns film and surprise"
        ) from error


def _model(text: str, where: str) -> str:
    """Return a name that can be that of a folder, too."""
    name = re.sub(r"[^\w.-]+", "-", text).strip(".-")
    if not name:
        raise ScoresError(f"{where}: model {text!r} is no name: use letters and digits")
    return name


def _frame(text: str, where: str) -> int:
    if not text:
        return WHOLE
    if not text.isdecimal():
        raise ScoresError(f"{where}: frame {text!r} is no index of a frame, 0, 1, 2, ...")
    return int(text)


def _number(text: str, where: str) -> float:
    try:
        value = float(text) if text else math.nan
    except ValueError as error:
        raise ScoresError(f"{where}: surprise {text!r} is no number") from error
    if math.isinf(value):
        raise ScoresError(f"{where}: surprise {text!r} is not finite: leave the cell empty where there is none")
    return value
