"""What can be wrong with a set of films, said before anything is computed with it.

Of the manifest: films that are named twice, matched films that do not make a quadruple, a pair or, where a set has
them, a film with its foils, and sets without both possible and impossible films. Of the films themselves: those that
cannot be read, matched films of unequal lengths or encodings, which a model could tell apart by these, films that are
there twice, whatever their names, and times and boxes that lie outside.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from data.errors import MediaError
from experiments.physics.footage import Footage, open_footage, picture_digests
from experiments.physics.manifest import Box, Film, ManifestError
from experiments.physics.scores import ALL
from storage.terminal import count
from training.parallel import side_by_side

SHOWN = 10
"""Defects that are said, at most."""
SIZES = (2, 4)
"""Films that are matched: a pair, of which one can happen, or a quadruple, of which two can."""
POSSIBLE = {"AA": True, "BB": True, "AB": False, "BA": False}
"""Which films of a quadruple can happen, by beginning and ending."""


class Defect(NamedTuple):
    """Something that is wrong with a set of films."""

    films: tuple[str, ...]
    """The films concerned, as the manifest names them; none where it is the set."""
    reason: str
    """What is wrong, with the names of the films."""


@dataclass(frozen=True)
class FilmSet:
    """Films with what is said of them."""

    root: Path
    """Folder from which the paths of films begin."""
    films: tuple[Film, ...]
    boxes: tuple[Box, ...] = ()
    image_fps: float | None = None
    """Pictures a second of films that are folders of images; None where films are videos."""
    foils: bool = False
    """Whether a film is matched with several of the other kind, each of which it is compared with; films are quadruples
    and pairs otherwise."""
    slack_s: float = 0.0
    """Seconds by which the lengths of matched films may differ: those of real ones do. What is longer is cut at its
    end."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the set, in words; said when a run begins."""

    def without(self, names: Iterable[str]) -> FilmSet:
        """Return the set without some films, and without all that are matched with these."""
        left_out = set(names)
        broken = {film.quadruple for film in self.films if film.film in left_out and film.quadruple}
        kept = [film for film in self.films if film.film not in left_out and film.quadruple not in broken]
        there = {film.film for film in kept}
        boxes = tuple(box for box in self.boxes if box.film in there)
        return replace(self, films=tuple(kept), boxes=boxes)


@dataclass(frozen=True)
class CheckedFilm:
    """A film that can be read, and what it is known by."""

    film: Film
    footage: Footage
    digest: str
    """SHA-256 of what is stored, by which the film is known whatever its name."""
    pictures: tuple[str, ...]
    """SHA-256 of the pixels of each of its frames."""


@dataclass(frozen=True)
class CheckedSet:
    """A set without defects, in an order that does not depend on names."""

    films: tuple[CheckedFilm, ...]
    boxes: tuple[Box, ...]
    defects: tuple[Defect, ...] = ()
    """What was left out as defective."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the set, in words."""

    def matched(self) -> dict[str, list[CheckedFilm]]:
        """Return the films that are matched, by the name of their quadruple or pair."""
        groups: dict[str, list[CheckedFilm]] = defaultdict(list)
        for film in self.films:
            if film.film.quadruple:
                groups[film.film.quadruple].append(film)
        return dict(groups)


def check_set(films: FilmSet, exclude_defects: bool = False, also: Sequence[Defect] = ()) -> CheckedSet:
    """Read and check a set of films.

    Args:
        films: the set.
        exclude_defects: leave out what has defects, with what is matched with it, instead of refusing the set.
        also: defects that were found elsewhere.

    Raises:
        ManifestError: the set has defects, or nothing is left without them.
    """
    defects = [*manifest_defects(films.films, films.boxes, films.foils), *also]
    _refuse(defects, exclude_defects)
    sound = films.without(name for defect in defects for name in defect.films)
    read, unreadable = _read(sound)
    defects += unreadable + footage_defects(read, sound.boxes, films.slack_s)
    _refuse(defects, exclude_defects)
    sound = sound.without(name for defect in defects for name in defect.films)
    _refuse(one_sided(sound.films), exclude_defects=False)
    kept = {film.film for film in sound.films}
    ordered = sorted((film for film in read if film.film.film in kept), key=lambda film: film.digest)
    return CheckedSet(tuple(ordered), sound.boxes, tuple(defects), films.notes)


def manifest_defects(films: Sequence[Film], boxes: Sequence[Box] = (), foils: bool = False) -> list[Defect]:
    """Return what is wrong with what a manifest and its boxes say; `foils` as of `FilmSet`."""
    listed = Counter(film.film for film in films)
    defects = [Defect((name,), f"{name} is listed twice") for name, number in listed.items() if number > 1]
    unknown = sorted({box.film for box in boxes} - set(listed))
    defects += [Defect((name,), f"boxes.csv names {name}, which the manifest does not list") for name in unknown]
    reserved = [film.film for film in films if film.concept == ALL]
    defects += [
        Defect((name,), f"the concept of {name} is {ALL}, as scores call all together: rename it") for name in reserved
    ]
    groups: dict[str, list[Film]] = defaultdict(list)
    for film in films:
        if film.quadruple:
            groups[film.quadruple].append(film)
    for name, group in groups.items():
        reasons = _foil_defects(name, group) if foils else _group_defects(name, group)
        defects += [Defect(tuple(film.film for film in group), reason) for reason in reasons]
    return [*defects, *(Defect((film.film,), reason) for film in films for reason in _time_defects(film))]


def footage_defects(films: Sequence[CheckedFilm], boxes: Sequence[Box], slack_s: float = 0.0) -> list[Defect]:
    """Return what is wrong with films that could be read; `slack_s` as of `FilmSet`."""
    copies: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for film in films:
        copies[film.pictures].append(film.film.film)
    defects = [
        Defect(tuple(names), f"{' and '.join(names)} show the same: a film must be there once")
        for names in copies.values()
        if len(names) > 1
    ]
    for name, group in CheckedSet(tuple(films), ()).matched().items():
        defects += _unequal(name, group, slack_s)
    defects += [Defect((film.film.film,), reason) for film in films for reason in _outside(film)]
    return [*defects, *_late_boxes(films, boxes)]


def one_sided(films: Sequence[Film]) -> list[Defect]:
    """Return that a set lacks possible or impossible films, if it does."""
    there = {film.possible for film in films}
    if len(there) == 2:
        return []
    if not there:
        return [Defect((), "no film is without defects")]
    lacking = "impossible" if True in there else "possible"
    return [Defect((), f"no film is {lacking}, so that there is nothing to compare: give {lacking} films as well")]


def shared_pictures(films: CheckedSet) -> float | None:
    """Return the share of frames of matched impossible films that are frames of possible ones, pixel by pixel.

    None where no films are matched. It is less than 1 where films are not made of the same frames, or where these were
    compressed with loss.
    """
    shared = []
    for group in films.matched().values():
        known = {picture for film in group if film.film.possible for picture in film.pictures}
        shared += [picture in known for film in group if not film.film.possible for picture in film.pictures]
    return sum(shared) / len(shared) if shared else None


def _refuse(defects: Sequence[Defect], exclude_defects: bool) -> None:
    if defects and not exclude_defects:
        more = f"; and {len(defects) - SHOWN} more" if len(defects) > SHOWN else ""
        reasons = "; ".join(defect.reason for defect in defects[:SHOWN])
        advice = "" if not defects[0].films else " (correct them, or leave them out with --exclude-defects)"
        raise ManifestError(f"the films have {count(len(defects), 'defect')}: {reasons}{more}{advice}")


def _group_defects(name: str, group: Sequence[Film]) -> Iterator[str]:
    number = len(group)
    if number not in SIZES:
        yield f"quadruple {name} has {count(number, 'film')}: a quadruple has four, a pair two"
        return
    possible = sum(film.possible for film in group)
    if possible != number // 2:
        yield f"of the {number} films of quadruple {name}, {possible} can happen: half of them must"
    yield from _differences(name, group)
    versions = sorted(film.versions for film in group)
    if versions == [""] * number or possible != number // 2:
        return
    if len(set(versions)) < number or "" in versions:
        said = ", ".join(version or "nothing" for version in versions)
        yield f"the films of quadruple {name} say {said} of beginning and ending: name each once, or none"
    for film in group:
        if film.versions and film.possible != POSSIBLE[film.versions]:
            can = "can" if film.possible else "cannot"
            yield f"{film.film} is {film.versions} and is said to be what {can} happen: AA and BB can, AB and BA cannot"


def _foil_defects(name: str, group: Sequence[Film]) -> Iterator[str]:
    possible = sum(film.possible for film in group)
    impossible = len(group) - possible
    if min(possible, impossible) != 1:
        yield (
            f"of the {count(len(group), 'film')} of {name}, {possible} can happen and {impossible} cannot: "
            "it must be one of them, and one or several of the others"
        )
        return
    yield from _differences(name, group)


def _differences(name: str, group: Sequence[Film]) -> Iterator[str]:
    for field in ("scene", "concept", "hidden"):
        values = sorted({str(getattr(film, field)) for film in group})
        if len(values) > 1:
            yield f"the films of quadruple {name} differ in {field}: {', '.join(values)}"


def _time_defects(film: Film) -> Iterator[str]:
    start, end = film.occluded_from_s, film.occluded_to_s
    if (start is None) != (end is None):
        yield f"{film.film} says only one of occluded_from_s and occluded_to_s: give both or none"
    elif start is not None and end is not None and start >= end:
        yield f"{film.film} is occluded from {start:g} to {end:g} s, which is no time: give the earlier first"


def _read(films: FilmSet) -> tuple[list[CheckedFilm], list[Defect]]:
    def read(film: Film) -> CheckedFilm | Defect:
        try:
            footage = open_footage(films.root / film.film, films.image_fps)
            return CheckedFilm(film, footage, footage.file_digest(), tuple(picture_digests(footage)))
        except MediaError as error:
            return Defect((film.film,), str(error))

    found = list(side_by_side(read, films.films, torch.device("cpu")))
    return (
        [film for film in found if isinstance(film, CheckedFilm)],
        [film for film in found if isinstance(film, Defect)],
    )


def _unequal(name: str, group: Sequence[CheckedFilm], slack_s: float) -> Iterator[Defect]:
    durations = [film.footage.duration for film in group]
    alike = 0 < max(durations) - min(durations) <= slack_s
    kinds = {
        "frames": lambda footage: f"{footage.frames}",
        "sizes": lambda footage: f"{footage.width}x{footage.height}",
        "rates": lambda footage: f"{footage.fps:.4g}",
        "encodings": lambda footage: footage.encoding,
    }
    for kind, say in kinds.items():
        said = {film.film.film: say(film.footage) for film in group}
        if len(set(said.values())) > 1 and not (alike and kind == "frames"):
            named = ", ".join(f"{film} {value}" for film, value in said.items())
            reason = f"the films of quadruple {name} have different {kind} ({named}), by which they could be told apart"
            yield Defect(tuple(said), reason)


def _outside(film: CheckedFilm) -> Iterator[str]:
    duration = film.footage.duration
    for field in ("event_s", "occluded_from_s", "occluded_to_s"):
        time = getattr(film.film, field)
        if time is not None and not (0 < time < duration or (field != "event_s" and 0 <= time <= duration)):
            yield f"{film.film.film} lasts {duration:.2f} s, and its {field} is {time:g}: give a time inside the film"


def _late_boxes(films: Sequence[CheckedFilm], boxes: Sequence[Box]) -> Iterator[Defect]:
    last: dict[str, int] = {}
    for box in boxes:
        last[box.film] = max(box.frame, last.get(box.film, 0))
    for film in films:
        name, frames = film.film.film, film.footage.frames
        if last.get(name, 0) >= frames:
            reason = f"boxes.csv has frame {last[name]} of {name}, which has {count(frames, 'frame')}, from 0 on"
            yield Defect((name,), reason)
