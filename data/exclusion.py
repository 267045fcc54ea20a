"""What is left out of training and encoding because people tagged it: `--exclude TAGS.csv`.

A tag on a clip is one on that stretch of its video: every clip that shares a part of it is left out, however long it
is and wherever it begins, and so are all of its crops. Nor is any clip that training draws cut out of the stretch.

Which files are for validation is settled before anything is left out, so that no item changes sides because of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from data.errors import MediaError
from data.items import Item
from data.options import ExclusionOptions
from data.sources import Skipped, Source, Stretch
from data.tags import Tag, TagError, read_tags
from storage.options import unknown_name
from storage.records import digest_of
from storage.terminal import count

OTHER_EXCLUSION = "--exclude leaves out other clips than before, or none any more, or some now"
"""Why a run is not continued."""

NAMED = 3
"""Names that a message lists; skipped.csv has all."""


class Tagged(NamedTuple):
    """A stretch of a source that is left out."""

    source: str
    start: float
    """Seconds into the source; 0 where all of it is meant."""
    seconds: float
    """How long it is; 0 for all of the source."""

    @classmethod
    def by(cls, tag: Tag, seconds: float) -> Tagged:
        """Return the stretch that a tag is on; `seconds` is its length where the tag does not tell."""
        if tag.start is None:
            return cls(tag.source, 0.0, 0.0)
        return cls(tag.source, tag.start, tag.seconds or seconds)


class Clip(NamedTuple):
    """A clip that may be left out."""

    source: str
    start: float
    seconds: float
    """How long it is; the time of a frame for a still."""


class Applied(NamedTuple):
    """What becomes of the clips of a data set."""

    gone: frozenset[Clip]
    """Clips that are left out."""
    skipped: list[Skipped]
    """The same, and tags that left nothing out, with the reasons."""
    words: dict[str, str]
    """What is to be said of it, by name."""


@dataclass(frozen=True)
class Exclusion:
    """What is left out of a data set."""

    table: str = ""
    """Name of the table of tags."""
    tags: tuple[str, ...] = ()
    """Tags of what is left out."""
    tagged: tuple[Tagged, ...] = ()
    """What has one of them, in order, each once."""
    frame: float = 0.0
    """Seconds between two frames of the clips."""
    notes: tuple[str, ...] = ()
    """How the table was read, where it is not as a page writes it."""

    def __bool__(self) -> bool:
        return bool(self.tagged)

    @property
    def digest(self) -> str:
        """SHA-256 of what is left out, whatever the table is called; empty where nothing is."""
        return digest_of([list(one) for one in self.tagged]) if self else ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Exclusion:
        """Return the exclusion whose `dataclasses.asdict` went through JSON.

        Raises:
            TypeError: there are other fields.
        """
        lists = {"tags": tuple(raw["tags"]), "notes": tuple(raw["notes"])}
        return cls(**{**raw, **lists, "tagged": tuple(Tagged(*one) for one in raw["tagged"])})

    def covers(self, clip: Clip) -> bool:
        """Whether a clip shares more with a tagged stretch than rounding tells.

        That is half a frame, or half of the shorter of the two: spreadsheets round times, and so do containers.
        """
        return any(self._shares(one, clip) for one in self._by_source.get(clip.source, ()))

    def narrow(self, source: Source) -> Source:
        """Return a source out of which no clip is drawn that shares a part of a tagged stretch."""
        windows = source.windows or (Stretch(0.0, source.seconds),)
        for one in self._by_source.get(source.name, ()):
            windows = tuple(left for window in windows for left in self._outside(window, one) if left.start < left.end)
        return replace(source, windows=windows)

    def apply(self, clips: Sequence[Clip], others: Iterable[str] = ()) -> Applied:
        """Return which of the clips of a data set are left out, and what is to be said of it.

        Args:
            clips: all there are.
            others: names of files of which there are no clips, and which tags may name nevertheless.

        Raises:
            TagError: no tag is of these data.
        """
        names = {*others, *(clip.source for clip in clips)}
        self._check_known(names)
        gone = frozenset(clip for clip in clips if self.covers(clip))
        unused = self._unused(gone, names)
        skipped = [self._skip(clip) for clip in clips if clip in gone]
        words = f"{len(skipped):,} of {count(len(clips), 'item')}, tagged {' or '.join(self.tags)} in {self.table}"
        read = {"tags": f"{self.table}: {'; '.join(self.notes)}"} if self.notes else {}
        said = {"excluded": f"{words} (see skipped.csv)", **read, **self._beware(unused)}
        return Applied(gone, [*skipped, *unused], said)

    def _check_known(self, sources: Collection[str]) -> None:
        """Refuse a table that names none of the files there are: it is of other data."""
        named = list(self._by_source)
        if not any(name in sources for name in named):
            raise TagError(
                f"{self.table} tags {count(len(named), 'file')}, such as {named[0]}, and none of the data, such as "
                f"{min(sources)}: give the table that was made of these data"
            )

    def _unused(self, gone: Iterable[Clip], sources: Collection[str]) -> list[Skipped]:
        """Return the tagged stretches because of which no clip is left out, and why."""
        left = dict.fromkeys(self.tagged)
        for clip in gone:
            for one in self._by_source[clip.source]:
                if one in left and self._shares(one, clip):
                    del left[one]
        return [Skipped(one.source, self._why_unused(one, sources), is_media=False) for one in left]

    def _skip(self, clip: Clip) -> Skipped:
        is_image = not clip.start and clip.seconds <= self.frame
        where = "" if is_image else f" (the clip at {clip.start:g} s)"
        return Skipped(clip.source, f"excluded by {self.table}{where}", is_media=False)

    def _beware(self, unused: Sequence[Skipped]) -> dict[str, str]:
        if not unused:
            return {}
        names = list(dict.fromkeys(skip.file for skip in unused))
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        found = f"{', '.join(names[:NAMED])}{more}"
        return {"beware": f"{count(len(unused), 'tag')} of {self.table} left nothing out: {found} (see skipped.csv)"}

    @cached_property
    def _by_source(self) -> dict[str, list[Tagged]]:
        found: dict[str, list[Tagged]] = {}
        for one in self.tagged:
            found.setdefault(one.source, []).append(one)
        return found

    def _shares(self, one: Tagged, clip: Clip) -> bool:
        if not one.seconds:
            return True
        shared = min(one.start + one.seconds, clip.start + clip.seconds) - max(one.start, clip.start)
        return shared > min(self.frame, one.seconds, clip.seconds) / 2

    def _outside(self, window: Stretch, one: Tagged) -> list[Stretch]:
        """Return what of a window lies before and behind a tagged stretch."""
        if not one.seconds:
            return []
        # A clip that begins up to half a frame before the end of the stretch is kept, and drawn from what is behind.
        end = max(one.start, one.start + one.seconds - self.frame / 2)
        return [Stretch(window.start, min(window.end, one.start)), Stretch(max(window.start, end), window.end)]

    def _why_unused(self, one: Tagged, sources: Collection[str]) -> str:
        if one.source not in sources:
            return f"tagged in {self.table}, and not in the data"
        return f"tagged in {self.table} (at {one.start:g} s), where no clip is"


NOTHING = Exclusion()
ALL_KEPT = Applied(frozenset(), [], {})


def read_exclusion(options: ExclusionOptions, frames: int, fps: float) -> Exclusion:
    """Return what the table of `--exclude` leaves out of clips; nothing where there is none.

    Args:
        options: which table, and which of its tags.
        frames: of a clip, for rows that do not tell how long theirs is.
        fps: frames a second of the clips.

    Raises:
        OSError: the table cannot be read.
        TagError: it is none, or has none of the tags.
    """
    if options.exclude is None:
        return NOTHING
    table = read_tags(options.exclude)
    wanted = [name.strip().casefold() for name in options.exclude_tag]
    for name in wanted:
        if name not in table.names:
            raise TagError(f"{table.path}: {unknown_name('tag', name, table.names)} (--exclude-tag chooses)")
    chosen = [tag for tag in table.tags if tag.tag in wanted]
    unsaid = sum(tag.start is not None and tag.seconds is None for tag in chosen)
    length = [f"{count(unsaid, 'row')} without a length, taken as that of a clip, {frames / fps:g} s"] if unsaid else []
    tagged = sorted({Tagged.by(tag, frames / fps) for tag in chosen})
    return Exclusion(table.path.name, tuple(wanted), tuple(tagged), 1 / fps, (*table.notes, *length))


@dataclass(frozen=True)
class Kept:
    """What is left of a data set."""

    training: list[Item]
    validation: list[Item]
    skipped: list[Skipped]
    """What was left out, and tags that left nothing out."""
    words: dict[str, str]
    """What is to be said of it, by name; nothing where nothing is left out."""


def leave_out(
    exclusion: Exclusion, training: Sequence[Item], validation: Sequence[Item], others: Iterable[str] = ()
) -> Kept:
    """Leave tagged clips and images out of the two splits of a data set.

    Args:
        exclusion: what is left out.
        training: items to train on.
        validation: held-out items.
        others: names of files of which there are no items, and which tags may name nevertheless.

    Raises:
        MediaError: nothing is left of a split.
        TagError: no tag is of these data.
    """
    if not exclusion:
        return Kept(list(training), list(validation), [], {})
    clips = [clip_of_item(item, exclusion) for item in (*training, *validation)]
    applied = exclusion.apply(clips, others)
    kept, held = (
        [item for item in side if clip_of_item(item, exclusion) not in applied.gone] for side in (training, validation)
    )
    for side, left in (("training", kept), ("validation", held)):
        if not left:
            raise MediaError(f"{exclusion.table} leaves nothing for {side}: tag fewer clips, or give more data")
    return Kept(_narrowed(kept, exclusion), held, applied.skipped, applied.words)


def clip_of_item(item: Item, exclusion: Exclusion) -> Clip:
    """Return what an exclusion knows of an item."""
    return Clip(item.source.name, item.start, item.seconds or exclusion.frame)


def _narrowed(items: Sequence[Item], exclusion: Exclusion) -> list[Item]:
    """Return items whose sources are those out of which clips may be drawn anywhere."""
    sources = {id(item.source): item.source for item in items}
    narrowed = {key: exclusion.narrow(source) for key, source in sources.items() if source.kind == "video"}
    return [item._replace(source=narrowed.get(id(item.source), item.source)) for item in items]
