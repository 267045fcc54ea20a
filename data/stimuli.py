"""Stimulus lists of recognition experiments: which pictures are studied, which are tested against which.

Layout of a list, as published with Brady et al. (2008):

    study/**                                 every studied picture, fillers included
    test/<condition>_seen/**                 studied pictures that are tested
    test/<condition>_unseen/**               their foils

Pairs are formed by equal file names where all agree, else by sorted order, and written down as explicit trials.
Pictures are compared by the SHA-256 of their decoded pixels, so that a copy under another name or format is recognised.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from data.errors import MediaError
from data.images import IMAGE_SUFFIXES, load_image
from data.media import Skipped, is_litter


class StimulusError(ValueError):
    """A stimulus list is not what a recognition experiment needs; the message lists the files."""


@dataclass(frozen=True)
class Picture:
    """One picture of a list: its path relative to the list, and the digest of its pixels."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Trial:
    """A two-alternative forced choice between a studied picture and a foil."""

    item: str
    """Name of the trial, unique in the list."""
    condition: str
    studied: Picture
    """The studied picture, as it stands in the study folder."""
    foil: Picture


@dataclass(frozen=True)
class StimulusList:
    """What is studied and how it is tested."""

    root: Path
    study: tuple[Picture, ...]
    trials: tuple[Trial, ...]
    skipped: tuple[Skipped, ...] = ()
    """Fillers that could not be read."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions, in order of name."""
        return tuple(sorted({trial.condition for trial in self.trials}))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture that is studied or tested, in order of path."""
        every = {picture.path: picture for picture in self.study}
        every |= {picture.path: picture for trial in self.trials for picture in (trial.studied, trial.foil)}
        return tuple(every[path] for path in sorted(every))

    def with_fillers(self, count: int) -> StimulusList:
        """Return the list with only the first `count` studied pictures that are not tested."""
        tested = {trial.studied.path for trial in self.trials}
        fillers = [picture for picture in self.study if picture.path not in tested][:count]
        keep = tested | {picture.path for picture in fillers}
        return replace(self, study=tuple(picture for picture in self.study if picture.path in keep))

    def counterbalanced(self) -> StimulusList | None:
        """Return the list with studied pictures and foils swapped, or None where the stimuli do not allow it.

        They do not where one picture, or a copy of it, takes part in two trials: it would have to be studied and not
        studied.
        """
        uses = Counter(picture.sha256 for trial in self.trials for picture in (trial.studied, trial.foil))
        if max(uses.values()) > 1:
            return None
        swap = {trial.studied.path: trial.foil for trial in self.trials}
        return replace(
            self,
            study=tuple(swap.get(picture.path, picture) for picture in self.study),
            trials=tuple(replace(trial, studied=trial.foil, foil=trial.studied) for trial in self.trials),
        )


def read_stimuli(root: Path) -> StimulusList:
    """Read and check a list in the study/test layout.

    Raises:
        StimulusError: a folder is missing or empty, pairs are incomplete, a test picture cannot be read, a tested
            picture is not studied exactly once, or a foil is studied.
    """
    study, skipped = _read_folder(root, root / "study")
    by_digest: dict[str, list[Picture]] = {}
    for picture in study:
        by_digest.setdefault(picture.sha256, []).append(picture)
    trials = [trial for condition in _conditions(root) for trial in _pair(root, condition)]
    _check(trials, by_digest, root)
    trials = [replace(trial, studied=by_digest[trial.studied.sha256][0]) for trial in trials]
    return StimulusList(root, tuple(study), tuple(trials), tuple(skipped))


def write_manifest(stimuli: StimulusList, folder: Path) -> None:
    """Write `study.csv` and `manifest.csv`, the explicit trials, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "study.csv", (asdict(picture) for picture in stimuli.study), ["path", "sha256"])
    columns = ["item", "condition", "studied", "foil", "studied_sha256", "foil_sha256"]
    rows = (
        {
            "item": trial.item,
            "condition": trial.condition,
            "studied": trial.studied.path,
            "foil": trial.foil.path,
            "studied_sha256": trial.studied.sha256,
            "foil_sha256": trial.foil.sha256,
        }
        for trial in stimuli.trials
    )
    _write_csv(folder / "manifest.csv", rows, columns)


def _conditions(root: Path) -> list[str]:
    folders = {path.name for path in (root / "test").glob("*") if path.is_dir()}
    seen = {name.removesuffix("_seen") for name in folders if name.endswith("_seen")}
    unseen = {name.removesuffix("_unseen") for name in folders if name.endswith("_unseen")}
    if not seen | unseen:
        raise StimulusError(f"{root} has no folders test/<condition>_seen and test/<condition>_unseen")
    if seen != unseen:
        odd = ", ".join(sorted(seen ^ unseen))
        raise StimulusError(f"{root}/test has only one of the folders _seen and _unseen for {odd}")
    return sorted(seen)


def _pair(root: Path, condition: str) -> list[Trial]:
    sides = []
    for side in ("seen", "unseen"):
        pictures, unreadable = _read_folder(root, root / "test" / f"{condition}_{side}")
        if unreadable:
            listed = "; ".join(f"{skip.name}: {skip.reason}" for skip in unreadable[:10])
            raise StimulusError(f"test pictures of {condition} cannot be read: {listed}")
        sides.append(pictures)
    seen, unseen = sides
    names = [{Path(picture.path).name for picture in side} for side in sides]
    if len(seen) != len(unseen):
        odd = ", ".join(sorted(names[0] ^ names[1])[:10])
        raise StimulusError(
            f"condition {condition} has {len(seen)} seen and {len(unseen)} unseen pictures, so some have no pair "
            f"(names on one side only: {odd or 'none'})"
        )
    if names[0] == names[1] and len(names[0]) == len(seen):
        seen, unseen = (sorted(side, key=lambda picture: Path(picture.path).name) for side in sides)
    return [
        Trial(f"{condition}/{Path(studied.path).relative_to(f'test/{condition}_seen')}", condition, studied, foil)
        for studied, foil in zip(seen, unseen, strict=True)
    ]


def _check(trials: Sequence[Trial], study: dict[str, list[Picture]], root: Path) -> None:
    times = {trial.studied.path: len(study.get(trial.studied.sha256, [])) for trial in trials}
    wrong = [f"{path} is studied {count} times, not once" for path, count in times.items() if count != 1]
    wrong += [
        f"the foil {trial.foil.path} is also studied as {study[trial.foil.sha256][0].path}"
        for trial in trials
        if trial.foil.sha256 in study
    ]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise StimulusError(f"the list in {root} has defects: {'; '.join(wrong[:10])}{more}")


def _read_folder(root: Path, folder: Path) -> tuple[list[Picture], list[Skipped]]:
    pictures, skipped = [], []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(root))
        if not path.is_file() or is_litter(path.relative_to(root)):
            continue
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        try:
            pictures.append(Picture(name, _digest(path)))
        except MediaError as error:
            skipped.append(Skipped(name, str(error)))
    if not pictures and not skipped:
        raise StimulusError(f"{folder} holds no pictures")
    return pictures, skipped


def _digest(path: Path) -> str:
    pixels = np.asarray(load_image(path))
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def _write_csv(path: Path, rows: Iterable[dict[str, str]], columns: Sequence[str]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
