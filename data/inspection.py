"""Look at a data set before using it: what is readable, what is not and why, and a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data.drawing import Tile, draw_grid, save_image
from data.errors import MediaError
from data.images import clip_to_image, image_to_clip, load_image
from data.media import catalogue, check_skipped, describe_skipped, write_skipped
from data.options import InspectOptions
from data.probe import probe_video
from data.sources import Source
from data.video import read_clip
from storage.tables import write_rows
from training.progress import count, say_done, say_found

SHEET_COLUMNS = 8
SHEET_ROWS = 6

SHORTEST = 1000.0
"""Frames per second at which a clip of one frame fits into every video."""


@dataclass(frozen=True)
class InspectedFile:
    """What there is to say of one usable file."""

    file: str
    """Path relative to the folder that was searched; for a member of a tar shard `shard.tar/member`."""
    kind: Literal["video", "image"]
    """What it is."""
    seconds: float | None
    """Duration of a video, to the millisecond."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    decoder: str
    """Program that reads a video: decord or PyAV."""
    why_not_decord: str
    """Why a video is not read by decord, where it is not."""


def inspect_media(options: InspectOptions) -> Path:
    """Write `files.csv`, `skipped.csv` and `contact_sheet.png` into `options.out`, and print the counts.

    Raises:
        MediaError: the path is missing, holds nothing, or more than half of its files are unreadable (the lists are
            written first).
    """
    found = catalogue(options.path)
    write_skipped(options.out / "skipped.csv", found.skipped)
    write_rows(options.out / "files.csv", (_inspect(source) for source in found.sources), InspectedFile)
    if tiles := _tiles(found.sources):
        rows = [tiles[first : first + SHEET_COLUMNS] for first in range(0, len(tiles), SHEET_COLUMNS)]
        save_image(options.out / "contact_sheet.png", draw_grid(rows))
    print(
        f"{count(len(found.videos), 'video')} ({sum(video.seconds for video in found.videos):.1f} s), "
        f"{count(len(found.sources) - len(found.videos), 'image')}, {count(len(found.skipped), 'file')} skipped"
    )
    say_found(skipped=describe_skipped(found.skipped))
    check_skipped(found.skipped, len(found.sources) + len(found.skipped), options.path)
    say_done(options.out, f"look at {options.out / 'contact_sheet.png'}")
    return options.out


def _inspect(source: Source) -> InspectedFile:
    if source.kind == "image":
        width, height = load_image(source.image_bytes()).size
        return InspectedFile(
            file=source.name, kind="image", seconds=None, width=width, height=height, decoder="", why_not_decord=""
        )
    info = probe_video(source.path)
    return InspectedFile(
        file=source.name,
        kind="video",
        seconds=round(info.duration, 3),
        width=info.width,
        height=info.height,
        decoder=info.decoder,
        why_not_decord=info.reason,
    )


def _tiles(sources: tuple[Source, ...]) -> list[Tile]:
    """The first images of sources evenly spaced through the data set."""
    count = min(len(sources), SHEET_COLUMNS * SHEET_ROWS)
    tiles = []
    for index in range(count):
        source = sources[index * len(sources) // count]
        try:
            clip = (
                read_clip(source.path, 0.0, 1, SHORTEST, 96)
                if source.kind == "video"
                else image_to_clip(load_image(source.image_bytes()), 96)
            )
        except MediaError:
            continue  # its packets were sound but the frame is not: `catalogue` decodes videos no further
        tiles.append(Tile(clip_to_image(clip), Path(source.name).name[:16]))
    return tiles
