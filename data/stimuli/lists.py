"""Stimulus lists of recognition experiments: which images are studied, which are tested against which.

Layout of a list, as published with Brady et al. (2008):

    study/**                                 every studied image, fillers included
    test/<condition>_seen/**                 studied images that are tested
    test/<condition>_unseen/**               their foils

and, with categories, of Konkle et al. (2010), for n = 1, 2, 4, 8, 16:

    study/<n>_exemplar/<category>/           n images
    test/<n>_exemplar_seen/<category>/       one of them
    test/<n>_exemplar_unseen/<category>/     another image of the category, the foil
    test/novel_seen/**, test/novel_unseen/** images of categories of which one or none is studied

Pairs are formed from names (`data.stimuli.pairs`), written down as explicit trials and checked
(`data.stimuli.checks`). Images are compared by the SHA-256 of their decoded pixels, so that a copy under another
name or format is recognised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.errors import MediaError, StimulusError
from data.images import load_image, pixel_digest
from data.sources import Skipped
from data.stimuli.checks import find_broken, find_copies
from data.stimuli.pairs import Defect, find_pairs, list_images
from storage.tables import write_rows


@dataclass(frozen=True)
class Stimulus:
    """One image of a list."""

    path: str
    """Path relative to the list."""
    sha256: str
    """Of its pixels (`data.images.pixel_digest`)."""


@dataclass(frozen=True)
class Trial:
    """A two-alternative forced choice between a studied image and a foil."""

    item: str
    """Name of the trial, unique in the list."""
    condition: str
    studied: Stimulus
    """The studied image, as it stands in the study folder."""
    foil: Stimulus


@dataclass(frozen=True)
class StimulusList:
    """What is studied and how it is tested."""

    root: Path
    study: tuple[Stimulus, ...]
    trials: tuple[Trial, ...]
    skipped: tuple[Skipped, ...] = ()
    """Fillers that could not be read."""
    defects: tuple[Defect, ...] = ()
    """What was wrong with the list, all of it left out: trials, and studied copies of studied images."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions, in order of name."""
        return tuple(sorted({trial.condition for trial in self.trials}))

    @property
    def images(self) -> tuple[Stimulus, ...]:
        """Every image that is studied or tested, in order of path."""
        every = {image.path: image for image in self.study}
        every |= {image.path: image for trial in self.trials for image in (trial.studied, trial.foil)}
        return tuple(every[path] for path in sorted(every))

    def with_fillers(self, count: int) -> StimulusList:
        """Return the list with only the first `count` studied images that are not tested."""
        tested = {trial.studied.path for trial in self.trials}
        fillers = [image for image in self.study if image.path not in tested][:count]
        keep = tested | {image.path for image in fillers}
        return replace(self, study=tuple(image for image in self.study if image.path in keep))

    def counterbalanced(self) -> StimulusList | None:
        """Return the list with studied images and foils swapped, or None where the stimuli do not allow it.

        They do not where one image, or a copy of it, takes part in two trials: it would have to be studied and not
        studied.
        """
        uses = Counter(image.sha256 for trial in self.trials for image in (trial.studied, trial.foil))
        if max(uses.values()) > 1:
            return None
        swap = {trial.studied.path: trial.foil for trial in self.trials}
        return replace(
            self,
            study=tuple(swap.get(image.path, image) for image in self.study),
            trials=tuple(replace(trial, studied=trial.foil, foil=trial.studied) for trial in self.trials),
        )


@dataclass(frozen=True)
class ListedTrial:
    """A trial in `manifest.csv`."""

    item: str
    """Name of the trial."""
    condition: str
    """Condition, such as novel, exemplar or state."""
    studied: str
    """Path of the studied image in the list."""
    foil: str
    """Path of the image it is tested against."""
    studied_sha256: str
    """Of the studied image's pixels (`data.images.pixel_digest`)."""
    foil_sha256: str
    """Of the foil's pixels."""


@dataclass(frozen=True)
class ListedDefect:
    """An image in `defects.csv`; a defect that concerns several has a row for each."""

    defect: int
    """Which defect, counted from 0."""
    file: str
    """Path of the image in the list."""
    reason: str
    """What is wrong."""


def read_stimuli(root: Path, exclude_defects: bool = False) -> StimulusList:
    """Read and check a list in the study/test layout.

    Args:
        root: folder of the list.
        exclude_defects: leave out the trials that have defects, and studied copies of studied images, instead of
            refusing the list.

    Raises:
        StimulusError: a folder is missing or empty, it cannot be told which test images belong together, the list
            has defects (`data.stimuli.checks`), or no trial is left without them.
    """
    names = list_images(root, "study")
    pairs, defects = find_pairs(root)
    study, skipped = _digests(root, names)
    tested, unreadable = _digests(root, [path for pair in pairs for path in (pair.seen, pair.foil)])
    copies = find_copies(study)
    broken = find_broken(pairs, study, tested, unreadable)
    defects += [*copies.values(), *(defect for found in broken.values() for defect in found)]
    if defects and not exclude_defects:
        raise StimulusError(f"the list in {root} has {_some(defects)} (correct them, or give --exclude-defects)")
    images = {digest: Stimulus(path, digest) for path, digest in study.items() if path not in copies}
    trials = tuple(
        Trial(pair.item, pair.condition, images[tested[pair.seen]], Stimulus(pair.foil, tested[pair.foil]))
        for pair in pairs
        if pair not in broken
    )
    if not trials:
        raise StimulusError(f"no trial of the list in {root} is without defects: {_some(defects)}")
    left_out = tuple(Skipped(path, reason) for path, reason in skipped.items())
    return StimulusList(root, tuple(images.values()), trials, left_out, tuple(defects))


def write_manifest(stimuli: StimulusList, folder: Path) -> None:
    """Write into `folder` what is studied, the explicit trials, and what of the list was left out as defective.

    These are `study.csv`, `manifest.csv` and `defects.csv`, of which the last has a row for each image concerned.
    """
    write_rows(folder / "study.csv", stimuli.study, Stimulus)
    rows = (
        ListedTrial(
            item=trial.item,
            condition=trial.condition,
            studied=trial.studied.path,
            foil=trial.foil.path,
            studied_sha256=trial.studied.sha256,
            foil_sha256=trial.foil.sha256,
        )
        for trial in stimuli.trials
    )
    write_rows(folder / "manifest.csv", rows, ListedTrial)
    defects = (
        ListedDefect(index, file, defect.reason)
        for index, defect in enumerate(stimuli.defects)
        for file in defect.files
    )
    write_rows(folder / "defects.csv", defects, ListedDefect)


def _digests(root: Path, paths: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The digests of images, and why others cannot be read, by path."""
    digests = {}
    unreadable = {}
    for path in paths:
        try:
            digests[path] = pixel_digest(load_image(root / path))
        except MediaError as error:
            unreadable[path] = str(error)
    return digests, unreadable


def _some(defects: Sequence[Defect]) -> str:
    count = "1 defect" if len(defects) == 1 else f"{len(defects)} defects"
    more = f"; and {len(defects) - 10} more" if len(defects) > 10 else ""
    return f"{count}: {'; '.join(defect.reason for defect in defects[:10])}{more}"
