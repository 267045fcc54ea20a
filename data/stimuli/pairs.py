"""Which test images make a trial, told from their names alone: nothing is decoded here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from data.errors import StimulusError
from data.images import IMAGE_SUFFIXES
from data.inputs import no_images
from data.media import is_litter

EXEMPLARS = re.compile(r"(\d+)_exemplar")
"""Name of a condition of Konkle et al. (2010): the number of studied images of the foil's category."""


@dataclass(frozen=True)
class Defect:
    """Something that is wrong with a list."""

    files: tuple[str, ...]
    """The images concerned, relative to the list."""
    reason: str
    """What is wrong, with the names of the images."""


@dataclass(frozen=True)
class Pair:
    """Two test images that belong together, by their paths relative to the list."""

    item: str
    condition: str
    seen: str
    foil: str


def find_pairs(root: Path) -> tuple[list[Pair], list[Defect]]:
    """Return the pairs of all conditions of a list, in order, and the test images that have no partner.

    Raises:
        StimulusError: a folder is missing or empty, or it cannot be told which images belong together.
    """
    pairs = []
    defects = []
    for condition in _conditions(root):
        seen, foils = (list_images(root, f"test/{condition}_{side}") for side in ("seen", "unseen"))
        matched, alone = match(condition, seen, foils)
        pairs += [
            Pair(f"{condition}/{PurePath(path).relative_to(f'test/{condition}_seen')}", condition, path, foil)
            for path, foil in matched
        ]
        defects += [Defect((path,), f"{path} has no partner in {condition}") for path in alone]
    return pairs, defects


def list_images(root: Path, folder: str) -> list[str]:
    """Return the paths, relative to `root`, of all images below `root/folder`, in order; litter is passed over.

    Raises:
        StimulusError: there is none.
    """
    found = [
        str(path.relative_to(root))
        for path in sorted((root / folder).rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_litter(path.relative_to(root)) and not path.is_dir()
    ]
    if not found:
        raise no_images(root / folder)
    return found


def match(condition: str, seen: Sequence[str], foils: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Pair the two sides of a condition.

    Images belong together that have the same place in their folders, else the same file name, the same name without
    suffix, the same category folder, or the same name without its final digit (`cup1`, `cup2`): whichever pairs most,
    provided that it pairs most of the smaller side. With one exemplar number to a condition (Konkle et al., 2010) only
    the category counts. Otherwise, where names say nothing and the sides are equally long, order decides.

    Args:
        condition: its name.
        seen: paths `test/<condition>_seen/...`, sorted.
        foils: paths `test/<condition>_unseen/...`, sorted.

    Returns:
        The pairs in order, and the paths without a partner.

    Raises:
        StimulusError: names say nothing and the sides differ in length.
    """
    if EXEMPLARS.fullmatch(condition):
        pairs = _match_by(category, seen, foils)
    else:
        pairs = max((_match_by(key, seen, foils) for key in (_place, _name, _stem, category, _thing)), key=len)
        if 2 * len(pairs) <= min(len(seen), len(foils)):
            if len(seen) != len(foils):
                raise StimulusError(
                    f"condition {condition} has {len(seen)} seen and {len(foils)} unseen images, and their names do "
                    "not tell which belong together: give both images of a pair the same name"
                )
            pairs = list(zip(seen, foils, strict=True))
    partners = {path for pair in pairs for path in pair}
    return pairs, [path for path in (*seen, *foils) if path not in partners]


def category(path: PurePath) -> str:
    """Return the folder of an image below `study/<set>` or `test/<side>`; empty if it lies in those themselves."""
    return path.parent.name if len(path.parts) > 3 else ""


def thing(name: str) -> str:
    """Return what an image shows, by its name without suffix: `Cup_2` and `cup1` are both of `cup`."""
    return re.sub(r"[\s_-]*\d$", "", name).lower()


def _place(path: PurePath) -> str:
    return str(PurePath(*path.parts[2:]))


def _name(path: PurePath) -> str:
    return path.name


def _stem(path: PurePath) -> str:
    return path.stem


def _thing(path: PurePath) -> str:
    return thing(path.stem)


def _match_by(key: Callable[[PurePath], str], seen: Sequence[str], foils: Sequence[str]) -> list[tuple[str, str]]:
    partners = defaultdict(list)
    for foil in foils:
        partners[key(PurePath(foil))].append(foil)
    partners.pop("", None)
    return [(path, waiting.pop(0)) for path in seen if (waiting := partners.get(key(PurePath(path)), []))]


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
