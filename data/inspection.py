"""Look at a data set before using it: what training will use of it, what it will not and why, and a contact sheet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image, ImageOps

from data.clip_format import ClipFormat
from data.drawing import Tile, draw_grid, save_image
from data.errors import MediaError
from data.frames import to_clip
from data.images import clip_to_image, load_image
from data.items import LISTING, Item, find_sources, list_items, split_items, stretches
from data.media import WORTH_SHOWING
from data.near_duplicates import (
    FrameName,
    HashedFrame,
    InSplit,
    NearDuplicate,
    difference_hash,
    find_near_duplicates,
)
from data.options import InspectOptions
from data.prepared import open_prepared
from data.probe import probe_video
from data.skipping import check_skipped, describe_skipped, write_skipped
from data.sources import Skipped, Source, Stretch
from data.split import group_of
from data.video import read_clip
from storage.tables import write_rows
from storage.terminal import visible
from training.progress import Progress, count, say_done, say_found

SHEET_COLUMNS = 8
SHEET_ROWS = 6
SIDE = 96
"""Pixels a side of an image of the contact sheet."""

SHORTEST = 1000.0
"""Frames per second at which a clip of one frame fits into every video."""

SHARES: dict[FrameName, float] = {"first": 0.0, "middle": 0.5}
"""Shares of a video's usable time after which the frames come that are compared with those of other files."""

Fact = tuple[str, str]

ONE_EACH = 1e9
"""Seconds from one clip to the next that let only one fit into each stretch."""


@dataclass(frozen=True)
class InspectedFile:
    """What there is to say of one usable file."""

    file: str
    """Path relative to the folder that was searched; for a member of a tar shard `shard.tar/member`."""
    kind: Literal["video", "image"]
    """What it is."""
    group: str
    """What the split keeps together; the file itself if nothing else says."""
    split: InSplit
    """Whether it is trained on or kept for validation; `both` for a video that is cut in two, empty if it is unused."""
    clips: int
    """Clips that fit, end to end; with `--frames 1` single images."""
    width: int | None = None
    """Pixels, as displayed."""
    height: int | None = None
    """Pixels, as displayed."""
    seconds: float | None = None
    """Duration of a video, to the millisecond."""
    usable_seconds: float | None = None
    """Seconds of a video from which clips are cut: without gaps, and only where it has room for a clip."""
    gaps: int | None = None
    """Stretches of a video without a new frame for more than half a second."""
    longest_gap: float | None = None
    """Seconds of the longest of them."""
    fps: float | None = None
    """Frames per second of a video, by the median time between two."""
    codec: str = ""
    """FFmpeg's name of a video's codec."""
    tracks: int | None = None
    """Video tracks, of which the default one is read."""
    hdr: str = ""
    """Transfer function of a video of high dynamic range; its colours are taken as they are, which looks dull."""
    rotation: int | None = None
    """Degrees clockwise that a video's stored images are turned for display, as they are here."""
    mirrored: bool | None = None
    """Whether left and right of a video's stored images are exchanged for display, as they are here."""
    decoder: str = ""
    """Program that reads a video: decord or PyAV."""
    why_not_decord: str = ""
    """Why a video is not read by decord, where it is not."""


def inspect_media(options: InspectOptions) -> Path:
    """Write what `InspectOptions` names into `options.out`, and print what training will use.

    Raises:
        MediaError: the path is missing, holds nothing, or more than half of its files are unreadable (the lists are
            written first); or `--group-by` does not fit.
    """
    out = options.out
    form = ClipFormat(options.frames, options.fps, 1)
    sources, skipped = find_sources(options.path, out / LISTING, options.group_by)
    plan = _plan(sources, form)
    unused = [*skipped, *plan.short]
    write_skipped(out / "skipped.csv", unused)
    looks = _look_at(plan)
    duplicates = find_near_duplicates([frame for look in looks for frame in look.hashed])
    write_rows(out / "files.csv", (look.row for look in looks), InspectedFile)
    write_rows(out / "near_duplicates.csv", duplicates, NearDuplicate)
    if tiles := [tile for look in looks for tile in look.tiles]:
        rows = [tiles[first : first + SHEET_COLUMNS] for first in range(0, len(tiles), SHEET_COLUMNS)]
        save_image(out / "contact_sheet.png", draw_grid(rows))
    files = [look.row for look in looks]
    seconds = sum(file.seconds or 0 for file in files)
    print(
        f"{count(sum(file.kind == 'video' for file in files), 'video')} ({seconds:.1f} s), "
        f"{count(sum(file.kind == 'image' for file in files), 'image')}, {count(len(unused), 'file')} skipped"
    )
    for name, fact in _summary(files, duplicates, plan):
        print(f"{name:16s} {visible(fact)}")
    say_found(skipped=describe_skipped(unused))
    check_skipped(unused, len(sources) + sum(skip.is_media for skip in skipped), options.path)
    say_done(out, "look at", out / "contact_sheet.png")
    return out


class _Use(NamedTuple):
    """What training would use of a source."""

    source: Source
    clips: int
    """Clips that fit."""
    stretches: tuple[Stretch, ...]
    """Where clips are cut out of a video."""
    split: InSplit
    shown: tuple[float, ...]
    """Moments that the contact sheet shows; 0 of an image."""


class _Plan(NamedTuple):
    """What training would use of a data set."""

    form: ClipFormat
    uses: tuple[_Use, ...]
    short: tuple[Skipped, ...]
    """Videos without room for a clip."""
    split: str
    """The split in words, or why there is none."""


class _Look(NamedTuple):
    """What was seen of a source."""

    row: InspectedFile
    hashed: list[HashedFrame]
    tiles: list[Tile]


def _plan(sources: Sequence[Source], form: ClipFormat) -> _Plan:
    videos = [source for source in sources if source.kind == "video"]
    used = videos if form.frames > 1 and videos else sources
    one_group = len({group_of(source) for source in used}) == 1
    # How many clips there are tells where one long video is cut; of many, whether there are any is enough.
    items, short = list_items(used, form, None if one_group else ONE_EACH)
    splits, described = _split(items)
    shown = _choose_shown(items)
    rooms = {id(item.source) for item in items}
    uses = []
    for source in sources:
        key = id(source)
        cut = _rooms(source, form) if key in rooms and source.kind == "video" else ()
        clips = sum(_clips(one, form) for one in cut) if source.kind == "video" else int(key in rooms)
        uses.append(_Use(source, clips, cut, splits.get(key, ""), shown.get(key, ())))
    return _Plan(form, tuple(uses), tuple(short), described)


def _rooms(source: Source, form: ClipFormat) -> tuple[Stretch, ...]:
    """Return the stretches of a video that have room for a clip."""
    return tuple(one for one in stretches(source, form) if _clips(one, form) > 0)


def _clips(stretch: Stretch, form: ClipFormat) -> int:
    return int((stretch.end - stretch.start + 0.5 / form.fps) / form.seconds)


def _split(items: Sequence[Item]) -> tuple[dict[int, InSplit], str]:
    """Return the split of each source, by its id, and describe it."""
    if not items:
        return {}, "nothing has room for a clip"
    try:
        training, validation = split_items(items)
    except MediaError as error:
        return {}, f"none: {error}"
    ids = {id(item.source) for item in items}
    if not {id(item.source) for item in training} <= ids:
        return dict.fromkeys(ids, "both"), f"train up to {_last(training)}, validation from {_first(validation)} on"
    sides: dict[int, InSplit] = {id(item.source): "train" for item in training}
    sides |= {id(item.source): "validation" for item in validation}
    number = Counter(sides.values())
    return sides, f"{number['train']:,} for training, {number['validation']:,} for validation"


def _last(items: Sequence[Item]) -> str:
    return f"{max(window.end for item in items for window in item.source.windows):.2f} s"


def _first(items: Sequence[Item]) -> str:
    return f"{min(window.start for item in items for window in item.source.windows):.2f} s"


def _choose_shown(items: Sequence[Item]) -> dict[int, tuple[float, ...]]:
    """Return the moments of sources, by id, that the contact sheet shows: of one video many, of many the first."""
    firsts = {id(item.source): item for item in reversed(items)}
    chosen = list(firsts.values())[::-1] if len(firsts) > 1 else items
    number = min(len(chosen), SHEET_COLUMNS * SHEET_ROWS)
    shown: dict[int, tuple[float, ...]] = {}
    for index in range(number):
        item = chosen[index * len(chosen) // number]
        shown[id(item.source)] = (*shown.get(id(item.source), ()), item.start)
    return shown


def _look_at(plan: _Plan) -> list[_Look]:
    visible = len(plan.uses) >= WORTH_SHOWING
    looks = []
    with Progress("Inspecting", len(plan.uses), visible=visible) as progress:
        for use in plan.uses:
            looks.append(_look_at_image(use) if use.source.kind == "image" else _look_at_video(use, plan.form))
            if visible:
                progress.show(len(looks))
    return looks


def _look_at_image(use: _Use) -> _Look:
    source = use.source
    image = load_image(source.image_bytes())
    small = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BILINEAR)
    row = InspectedFile(
        file=source.name,
        kind="image",
        group=group_of(source),
        split=use.split,
        clips=use.clips,
        width=image.width,
        height=image.height,
    )
    tiles = [Tile(small, _caption(source))] if use.shown else []
    return _Look(row, list(_hash(use, {"image": small})), tiles)


def _look_at_video(use: _Use, form: ClipFormat) -> _Look:
    source = use.source
    moments = {name: _moment(use, share, form) for name, share in SHARES.items()} if use.stretches else {}
    frames = {name: image for name, moment in moments.items() if (image := _frame(source, moment, form))}
    shown = [image for moment in use.shown if (image := _frame(source, moment, form))]
    return _Look(
        row=_describe_prepared(use) if source.prepared is not None else _describe_video(use),
        hashed=list(_hash(use, frames)),
        tiles=[Tile(image, _caption(source)) for image in shown],
    )


def _describe_video(use: _Use) -> InspectedFile:
    source = use.source
    info = probe_video(source.bytes_of_file, source.table)
    return replace(
        _describe_prepared(use),
        width=info.width,
        height=info.height,
        fps=round(info.fps, 3),
        codec=info.codec,
        tracks=info.tracks,
        hdr=info.hdr,
        rotation=info.rotation,
        mirrored=info.mirrored,
        decoder=info.decoder,
        why_not_decord=info.reason,
    )


def _describe_prepared(use: _Use) -> InspectedFile:
    """Return what is known of a video without looking into its file."""
    source = use.source
    return InspectedFile(
        file=source.name,
        kind="video",
        group=group_of(source),
        split=use.split,
        clips=use.clips,
        seconds=round(source.seconds, 3),
        usable_seconds=round(sum(one.end - one.start for one in use.stretches), 3),
        gaps=len(source.gaps),
        longest_gap=round(max((gap.end - gap.start for gap in source.gaps), default=0.0), 3),
        decoder=open_prepared(source.path).metadata.decoder if source.prepared is not None else "",
    )


def _moment(use: _Use, share: float, form: ClipFormat) -> float:
    """Return the moment when a share of a video's usable time has passed, at a frame of clips."""
    left = share * sum(one.end - one.start for one in use.stretches)
    for stretch in use.stretches:
        length = stretch.end - stretch.start
        if left < length:
            return stretch.start + math.floor(left * form.fps) / form.fps
        left -= length
    return use.stretches[-1].start


def _frame(source: Source, moment: float, form: ClipFormat) -> Image.Image | None:
    """Return the middle of a video's frame, SIDE pixels square; None if it cannot be decoded.

    That a video's packets are sound does not mean that all its frames are.
    """
    try:
        if source.prepared is not None:
            shards = open_prepared(source.path)
            size = min(SIDE, shards.metadata.size)
            return clip_to_image(to_clip(shards.read(source.prepared, moment, 1, form.fps, size)))
        info = probe_video(source.bytes_of_file, source.table)
        return clip_to_image(read_clip(info, moment, 1, SHORTEST, SIDE))
    except MediaError:
        return None


def _hash(use: _Use, frames: Mapping[FrameName, Image.Image]) -> Iterator[HashedFrame]:
    for name, image in frames.items():
        digest = difference_hash(image)
        if digest is not None:
            yield HashedFrame(use.source.name, name, use.split, digest)


def _caption(source: Source) -> str:
    return Path(source.name).name[:16]


def _summary(files: Sequence[InspectedFile], duplicates: Sequence[NearDuplicate], plan: _Plan) -> Iterator[Fact]:
    """Yield what is worth knowing, as names and sentences."""
    videos = [file for file in files if file.kind == "video"]
    if videos:
        usable = sum(file.usable_seconds or 0 for file in videos)
        yield "usable", f"{_duration(usable)} of {_duration(sum(file.seconds or 0 for file in videos))}"
    if plan.form.frames > 1:
        clips = sum(file.clips for file in files if file.kind == "video")
        yield "clips", f"{clips:,} of {plan.form.seconds:g} s, end to end"
    if groups := {file.group for file in files} - {file.file for file in files}:
        yield "groups", f"{count(len(groups), 'group')}: {_some(sorted(groups))}"
    if gaps := [file for file in videos if file.gaps]:
        number = sum(file.gaps or 0 for file in gaps)
        longest = max(file.longest_gap or 0 for file in gaps)
        yield "gaps", f"{count(number, 'gap')} in {count(len(gaps), 'video')}, the longest of {longest:.2f} s"
    if sizes := Counter(f"{file.width}x{file.height}" for file in files if file.width):
        yield "sizes", _counts(sizes)
    if rates := Counter(f"{file.fps:g}" for file in videos if file.fps):
        yield "frames a second", _counts(rates)
    if hdr := Counter(file.hdr for file in videos if file.hdr):
        yield "HDR", f"{_counts(hdr)}; colours are taken as they are, which looks dull"
    if tracks := sum((file.tracks or 0) > 1 for file in videos):
        yield "tracks", f"{count(tracks, 'video')} with several video tracks: the default one is read"
    if turned := sum(bool(file.rotation or file.mirrored) for file in videos):
        yield "turned", f"{count(turned, 'video')} shown upright, as the file asks"
    yield "near duplicates", _describe_duplicates(duplicates)
    yield "split", plan.split


def _describe_duplicates(duplicates: Sequence[NearDuplicate]) -> str:
    if not duplicates:
        return "none"
    leaks = sum(pair.leak for pair in duplicates)
    hint = ": --group-by can keep them together" if leaks else ""
    found = f"{count(len(duplicates), 'pair')}, {leaks:,} of them across the split{hint}"
    return f"{found} (see near_duplicates.csv)"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} hours" if seconds >= 3600 else f"{seconds:,.1f} s"


def _counts(values: Counter[str]) -> str:
    """Return the most frequent values in words: `20 of 1280x720, 4 of 640x480`."""
    listed = ", ".join(f"{number:,} of {value}" for value, number in values.most_common(5))
    return listed + (f" and {len(values) - 5:,} others" if len(values) > 5 else "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
