"""Tags that people gave in a page before, on the items of a new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.exclusion import Clip, Exclusion, Tagged
from data.sources import Skipped
from data.tags import Tag, TagTable
from storage.terminal import count
from viewing.look.contents import Tags
from viewing.look.material import Shown

OFFERED = ("exclude", "keep")
"""Tags that every page offers."""

NAMED = 3
"""Files that a note names; skipped.csv has all."""


def tags_of(table: TagTable | None, shown: Sequence[Shown], seconds: float, frame: float) -> tuple[Tags, list[Skipped]]:
    """Return the tags of items, and those that are on none of them, with the reason.

    A tag on a clip is one on all clips that share a part of its stretch, as `--exclude` takes it.

    Args:
        table: of tags; None for none.
        shown: the items of the page.
        seconds: length of a clip of the page, and of those whose length the table does not tell.
        frame: seconds between two frames of it.
    """
    if table is None:
        return Tags(OFFERED), []
    given: list[tuple[int, str]] = []
    lost: list[Skipped] = []
    by_source: dict[str, list[int]] = {}
    for index, one in enumerate(shown):
        by_source.setdefault(one.name, []).append(index)
    for tag in table.tags:
        stretch = Exclusion(tagged=(Tagged.by(tag, seconds),), frame=frame)
        here = [index for index in by_source.get(tag.source, ()) if stretch.covers(_clip(shown[index], seconds, frame))]
        given += [(index, tag.tag) for index in here]
        if not here:
            lost.append(Skipped(tag.source, _why(tag, table.path, tag.source in by_source), is_media=False))
    known = dict.fromkeys((*OFFERED, *table.names))
    return Tags(tuple(known), tuple(sorted(set(given)))), lost


def describe_tags(table: TagTable | None, lost: Sequence[Skipped]) -> list[str]:
    """Return notes on how a table was read, and on its tags that are on no item; nothing if there is nothing to say."""
    if table is None:
        return []
    notes = [f"{table.path.name}: {note}." for note in table.notes]
    if not lost:
        return notes
    names = list(dict.fromkeys(skip.file for skip in lost))
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    found = f"{', '.join(names[:NAMED])}{more}"
    said = f"{count(len(lost), 'tag')} of {table.path.name} found no item of this page: {found} (see skipped.csv)."
    return [*notes, said]


def _clip(one: Shown, seconds: float, frame: float) -> Clip:
    return Clip(one.name, one.start or 0.0, frame if one.start is None else seconds)


def _why(tag: Tag, path: Path, known: bool) -> str:
    if not known:
        return f"tagged {tag.tag} in {path.name}, and not on the page"
    return f"tagged {tag.tag} in {path.name} (at {tag.start or 0:g} s), where the page has no item"
