"""The pictures that are compared: every image that was studied and tested, in its condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from experiments.statistics.correlation import Indices
from experiments.statistics.trials import TrialRow


class Picture(NamedTuple):
    """A picture that is studied in one of the versions of a list, and tested in a condition."""

    list: str
    condition: str
    item: str
    """Name of its trial."""
    path: str
    """In the list."""


@dataclass(frozen=True)
class Pictures:
    """All pictures, in order."""

    all: tuple[Picture, ...]
    studied: Mapping[tuple[str, str, str], Picture]
    """Which of the two pictures of a trial is studied, by list, trial and version."""

    @classmethod
    def of(cls, trials: Iterable[TrialRow]) -> Pictures:
        """Return the pictures that trials have as the studied one."""
        studied = {(trial.list, trial.item, trial.version): picture_of(trial) for trial in trials}
        return cls(tuple(sorted(set(studied.values()))), studied)

    def place(self, list_name: str, item: str, version: str) -> int | None:
        """Return the place of the picture of a trial that is studied in a version; None where no run studied it."""
        picture = self.studied.get((list_name, item, version))
        return None if picture is None else self.index[picture]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.all)

    @cached_property
    def index(self) -> dict[Picture, int]:
        """Place of each."""
        return {picture: place for place, picture in enumerate(self.all)}

    @cached_property
    def places(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """Places of an image, by list and path; several where it is tested in several conditions."""
        found: dict[tuple[str, str], tuple[int, ...]] = {}
        for place, picture in enumerate(self.all):
            key = (picture.list, picture.path)
            found[key] = (*found.get(key, ()), place)
        return found

    @cached_property
    def lists(self) -> tuple[str, ...]:
        """Names of the lists, in order."""
        return tuple(sorted({picture.list for picture in self.all}))

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, in order."""
        return tuple(sorted({picture.condition for picture in self.all}))

    @cached_property
    def strata(self) -> Indices:
        """Number of the stratum of each, a condition of a list."""
        return _numbers([(picture.list, picture.condition) for picture in self.all])

    @cached_property
    def trials(self) -> Indices:
        """Number of the trial of each; the two pictures of a trial are no independent observations."""
        return _numbers([(picture.list, picture.item) for picture in self.all])

    def places_in(self, condition: str | None) -> Indices:
        """Return the places of the pictures of a condition, or of all."""
        return np.array(
            [place for place, picture in enumerate(self.all) if condition in (None, picture.condition)], dtype=np.int64
        )


def picture_of(trial: TrialRow) -> Picture:
    """Return the picture that a trial has as the studied one."""
    return Picture(trial.list, trial.condition, trial.item, trial.studied)


def _numbers(names: Sequence[object]) -> Indices:
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], dtype=np.int64)
