"""Pictures of a list found in a table of scores by their names.

A table has the pictures in other folders than a list does, and now and then of another type. So a picture is the entry
whose file name is the same, whatever its ending and case; where several are, the folders before it decide, the more of
them agree the better. What remains ambiguous is left out and listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from pathlib import PurePosixPath

import numpy as np

from experiments.memory.items.pictures import Pictures
from experiments.memory.items.score_tables import ScoreTable
from experiments.memory.items.sources import Source, Unused, score_source
from experiments.statistics.outcomes import Floats

Parts = tuple[str, ...]


def score_sources(tables: Iterable[ScoreTable], pictures: Pictures) -> tuple[list[Source], list[Unused]]:
    """Return tables of scores as sources, and what is not used: pictures without a score, and ambiguous names.

    Raises:
        ValueError: a table has none of the pictures.
    """
    sources = []
    unused: list[Unused] = []
    for table in tables:
        values, left_out = _join(table, pictures)
        if not np.isfinite(values).any():
            files = ", ".join(str(path) for path in table.paths)
            raise ValueError(
                f"{files} has the score of none of the {len(pictures):,} pictures (the first of the list is "
                f"{pictures.all[0].path}, the first of the table {next(iter(table.scores))}): file names must agree"
            )
        sources.append(score_source(table.name, "scores", values))
        unused += left_out
    return sources, unused


def _join(table: ScoreTable, pictures: Pictures) -> tuple[Floats, list[Unused]]:
    """Return the score of each picture, NaN where there is none, and why that is so."""
    entries: dict[str, list[str]] = defaultdict(list)
    for name in table.scores:
        entries[_parts(name)[0]].append(name)
    found = {key: _nearest(key[1], entries.get(_parts(key[1])[0], [])) for key in pictures.places}
    claims: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (of_list, path), names in found.items():
        for name in names[:1]:
            claims[of_list, name].append(path)
    without = {_parts(name)[0] for name in table.without}
    where = ", ".join(path.name for path in table.paths)
    values = np.full(len(pictures), np.nan)
    unused = []
    for (of_list, path), names in found.items():
        if len(names) == 1 and _nearest(names[0], claims[of_list, names[0]]) == [path]:
            values[list(pictures.places[of_list, path])] = table.scores[names[0]]
        else:
            unused.append(Unused(where, path, len(names), _reason(path, names, without)))
    return values, unused


def _reason(path: str, names: Sequence[str], without: Collection[str]) -> str:
    if names:
        return "several pictures or entries have this name"
    return "it has no finite score" if _parts(path)[0] in without else "it is not in the table"


def _nearest(path: str, names: Sequence[str]) -> list[str]:
    """Return those of some names that agree best with a path, counted from its end."""
    agreement = {name: _agreement(_parts(path), _parts(name)) for name in names}
    best = max(agreement.values(), default=0)
    return [name for name in names if agreement[name] == best]


def _parts(path: str) -> Parts:
    """Return the file name without its ending, then the folders before it, from the nearest on."""
    pure = PurePosixPath(path.replace("\\", "/").lower())
    return (pure.stem, *pure.parts[-2::-1])


def _agreement(first: Parts, second: Parts) -> int:
    """Return how many parts are the same before the first that differ."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
