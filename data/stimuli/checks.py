"""What makes a list useless: images are compared by the digests of their pixels, never by name alone.

A trial is between an image that is studied exactly once and one that is not studied. Where conditions are named
`<n>_exemplar` (Konkle et al., 2010), n images of the pair's category are studied, the studied one of the pair among
them, and no category is studied in two conditions. A foil of `novel` is of a category that is not studied, and the
studied image is the only one of its category, as far as folder names tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from data.stimuli.pairs import EXEMPLARS, Defect, Pair, category

NOVEL = "novel"


def find_copies(study: Mapping[str, str]) -> dict[str, Defect]:
    """Return the studied images that show what an earlier one shows, each with its defect.

    Args:
        study: digest of each studied image, by path.
    """
    first: dict[str, str] = {}
    copies = {}
    for path, digest in study.items():
        if (original := first.setdefault(digest, path)) != path:
            copies[path] = Defect((path, original), f"{path} is studied twice, also as {original}")
    return copies


def find_broken(
    pairs: Sequence[Pair], study: Mapping[str, str], tested: Mapping[str, str], unreadable: Mapping[str, str]
) -> dict[Pair, list[Defect]]:
    """Return what is wrong with pairs; those in order are not among the keys.

    Args:
        pairs: of all conditions.
        study: digest of each studied image, by path.
        tested: digest of each test image that can be read, by path.
        unreadable: why the other test images cannot be read, by path.
    """
    found: dict[Pair, list[Defect]] = defaultdict(list)
    readable = []
    for pair in pairs:
        bad = [path for path in (pair.seen, pair.foil) if path in unreadable]
        found[pair] += [Defect((path,), f"{path} cannot be read: {unreadable[path]}") for path in bad]
        readable += [pair] if not bad else []
    copies = defaultdict(list)
    for path, digest in study.items():
        copies[digest].append(path)
    findings = [*_not_studied_or_foil_studied(readable, copies, tested), *_repeated(readable, tested)]
    findings += _novel_of_known_category(readable, copies, tested, list(study))
    if any(EXEMPLARS.fullmatch(pair.condition) for pair in pairs):
        findings += _wrong_exemplars(readable, copies, tested, list(study))
    for pair, defect in findings:
        found[pair].append(defect)
    return {pair: defects for pair, defects in found.items() if defects}


Findings = Iterator[tuple[Pair, Defect]]
Copies = Mapping[str, Sequence[str]]


def _not_studied_or_foil_studied(pairs: Sequence[Pair], study: Copies, tested: Mapping[str, str]) -> Findings:
    for pair in pairs:
        if tested[pair.seen] not in study:
            yield pair, Defect((pair.seen,), f"{pair.seen} is not studied")
        if copies := study.get(tested[pair.foil]):
            yield pair, Defect((pair.foil, *copies), f"the foil {pair.foil} is also studied as {', '.join(copies)}")


def _repeated(pairs: Sequence[Pair], tested: Mapping[str, str]) -> Findings:
    """Images that a condition tests twice. Two conditions may share one, as those of Konkle et al. (2010) do."""
    first: dict[tuple[str, str], str] = {}
    for pair in pairs:
        for path in (pair.seen, pair.foil):
            original = first.setdefault((pair.condition, tested[path]), path)
            if original != path:
                yield pair, Defect((path, original), f"{path} is tested twice in {pair.condition}, also as {original}")


def _novel_of_known_category(
    pairs: Sequence[Pair], study: Copies, tested: Mapping[str, str], studied: Sequence[str]
) -> Findings:
    novel = [pair for pair in pairs if pair.condition == NOVEL]
    known = {PurePath(path).parent.name: path for path in studied if len(PurePath(path).parts) > 2}
    if not any(_exemplars(path) for path in studied):
        # Folders that hold both sides of trials between categories are no categories.
        for pair in novel:
            known.pop(category(PurePath(pair.seen)), None)
    for pair in novel:
        if path := known.get(category(PurePath(pair.foil))):
            yield (
                pair,
                Defect((pair.foil, path), f"the novel foil {pair.foil} is of a category that is studied: {path}"),
            )
        many = [path for path in study.get(tested[pair.seen], ()) if _exemplars(path) > 1]
        if many:
            reason = f"{pair.seen} of a novel trial is studied as one of several of its category: {many[0]}"
            yield pair, Defect((pair.seen, many[0]), reason)


def _wrong_exemplars(
    pairs: Sequence[Pair], study: Copies, tested: Mapping[str, str], studied: Sequence[str]
) -> Findings:
    folders = defaultdict(list)
    largest: dict[str, int] = {}
    for path in studied:
        if count := _exemplars(path):
            name = category(PurePath(path))
            folders[count, name].append(path)
            largest[name] = max(count, largest.get(name, 0))
    for pair in pairs:
        if not (named := EXEMPLARS.fullmatch(pair.condition)):
            continue
        count = int(named[1])
        name = category(PurePath(pair.seen))
        exemplars = folders[count, name]
        if len(exemplars) != count:
            reason = f"{pair.seen}: {len(exemplars)} images of {name} are studied in {pair.condition}, not {count}"
            yield pair, Defect((pair.seen, *exemplars), reason)
        elif not set(study.get(tested[pair.seen], ())) & set(exemplars):
            yield pair, Defect((pair.seen,), f"{pair.seen} is not studied in study/{pair.condition}/{name}")
        if largest.get(name, count) > count:
            others = folders[largest[name], name]
            reason = f"{pair.seen}: the category {name} is also studied with {largest[name]} exemplars"
            yield pair, Defect((pair.seen, *others), reason)


def _exemplars(path: str) -> int:
    """The number of exemplars that the folder `study/<n>_exemplar` of a studied image names; 0 if it names none."""
    named = EXEMPLARS.fullmatch(PurePath(path).parts[1])
    return int(named[1]) if named else 0
