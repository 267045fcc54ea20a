"""What a preparation is to make: the videos, and which of their frames go into which shard.

plan.json   the videos and what is left out; every continuation reads it
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from data.errors import MediaError
from data.items import LISTING, find_sources
from data.options import PrepareOptions
from data.sources import Skipped, Source, Stretch
from data.video import TIME_SLACK
from storage.checked_files import parse_json
from storage.files import to_json, write_text
from storage.records import check_types, digest_of, open_seal, read_record, seal
from storage.run_folder import RunFolderError

SHARD_FRAMES = 512
"""Frames of a shard by the clock; images that stay on display are stored once, so that there may be fewer."""


LARGEST_PLAN = 1 << 30
"""Bytes of plan.json, at most."""


class Plan(NamedTuple):
    """What is to be prepared."""

    sources: tuple[Source, ...]
    """The videos."""
    skipped: list[Skipped]
    """What is left out."""


class Piece(NamedTuple):
    """Consecutive frames of a video."""

    video: int
    """Number of the video."""
    begin: int
    """Its first frame."""
    end: int
    """The frame behind its last."""


def read_plan(path: Path) -> Plan:
    """Return the videos to prepare and what is left out, as planned before."""
    try:
        raw = open_seal(read_record(path, LARGEST_PLAN))
        planned = Plan(tuple(map(Source.from_json, raw["sources"])), [Skipped(**skip) for skip in raw["skipped"]])
        for one in (*planned.sources, *planned.skipped):
            check_types(one)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged ({error}): prepare the videos anew with --overwrite") from error
    return planned


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan, sealed with its digest."""
    content = {
        "sources": [asdict(video) for video in plan.sources],
        "skipped": [asdict(skip) for skip in plan.skipped],
    }
    write_text(path, to_json(seal(parse_json(to_json(content, indent=None)))))


def make_plan(options: PrepareOptions) -> Plan:
    """Return the videos to prepare and what is left out, as found now."""
    found, skipped = find_sources(options.path, options.out / LISTING, options.group_by)
    if any(source.prepared is not None for source in found):
        raise MediaError(f"{options.path} holds prepared shards already: give the videos that they were made of")
    videos = tuple(source for source in found if source.kind == "video")
    images = [Skipped(source.name, "is a still image: only videos are prepared", False) for source in found]
    skipped += [skip for skip, source in zip(images, found, strict=True) if source.kind == "image"]
    if not videos:
        raise MediaError(f"{options.path} holds no video")
    return Plan(videos, skipped)


def plan_shards(sources: Sequence[Source], fps: float) -> list[tuple[Piece, ...]]:
    """Return the pieces of each shard: as many frames as fit, in order of the videos and of time."""
    shards: list[tuple[Piece, ...]] = []
    pieces: list[Piece] = []
    room = SHARD_FRAMES
    for number, source in enumerate(sources):
        for begin, end in _spans(source, fps):
            while begin < end:
                taken = min(room, end - begin)
                pieces.append(Piece(number, begin, begin + taken))
                begin += taken
                room -= taken
                if not room:
                    shards.append(tuple(pieces))
                    pieces = []
                    room = SHARD_FRAMES
    return [*shards, tuple(pieces)] if pieces else shards


def _spans(source: Source, fps: float) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the frames (first, and the one behind the last) where a video shows something."""
    # A clip's last frame may be asked for up to half a frame after the end; it is the last image then.
    covered = source.windows or (Stretch(0.0, source.seconds),)
    for window in covered:
        begin = window.start
        for gap in [gap for gap in source.gaps if window.start < gap.end and gap.start < window.end]:
            yield _frames(begin, gap.start, fps)
            begin = gap.end
        yield _frames(begin, window.end, fps)


def _frames(start: float, end: float, fps: float) -> tuple[int, int]:
    # The frame on display before `start` rounded up is asked for by no clip, the one at `start` rounded down may be.
    return math.floor(start * fps), max(math.floor(start * fps), math.ceil((end + TIME_SLACK) * fps))


def of_pieces(path: Path, pieces: Sequence[Piece]) -> str:
    """Return a digest that tells a shard of these pieces from others."""
    return digest_of({"shard": path.name, "pieces": [list(piece) for piece in pieces]})
