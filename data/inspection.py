"""Look at a data set before using it: what is readable, what is not and why, and a contact sheet."""

from __future__ import annotations

from pathlib import Path

from data.drawing import Tile, draw_grid, save_image
from data.errors import MediaError
from data.images import clip_to_image, image_to_clip, load_image
from data.media import Source, catalogue, check_skipped, write_skipped
from data.options import InspectOptions
from data.probe import probe_video
from data.video import read_clip
from storage.tables import write_table

COLUMNS = ("file", "kind", "seconds", "width", "height", "decoder", "why not decord")
SHEET_COLUMNS, SHEET_ROWS = 8, 6

SHORTEST = 1000.0
"""Frames per second at which a clip of one frame fits into every video."""


def inspect_media(options: InspectOptions) -> Path:
    """Write `files.csv`, `skipped.csv` and `contact_sheet.png` into `options.out`, and print the counts.

    Raises:
        MediaError: the path is missing, holds nothing, or more than half of its files are unreadable (the lists are
            written first).
    """
    found = catalogue(options.path)
    write_skipped(options.out / "skipped.csv", found.skipped)
    files = (dict(zip(COLUMNS, _file(source), strict=True)) for source in found.sources)
    write_table(options.out / "files.csv", files, COLUMNS)
    if tiles := _tiles(found.sources):
        rows = [tiles[first : first + SHEET_COLUMNS] for first in range(0, len(tiles), SHEET_COLUMNS)]
        save_image(options.out / "contact_sheet.png", draw_grid(rows))
    print(
        f"{len(found.videos)} videos ({sum(video.seconds for video in found.videos):.1f} s), "
        f"{len(found.sources) - len(found.videos)} images, {len(found.skipped)} files skipped: see {options.out}"
    )
    check_skipped(found.skipped, len(found.sources) + len(found.skipped), options.path)
    return options.out


def _file(source: Source) -> tuple[str | int, ...]:
    if source.kind == "image":
        return source.name, "image", "", *load_image(source.image_bytes()).size, "", ""
    info = probe_video(source.path)
    return source.name, "video", f"{info.duration:.3f}", info.width, info.height, info.decoder, info.reason


def _tiles(sources: tuple[Source, ...]) -> list[Tile]:
    """The first images of sources evenly spaced through the data set."""
    count = min(len(sources), SHEET_COLUMNS * SHEET_ROWS)
    tiles = []
    for place in range(count):
        source = sources[place * len(sources) // count]
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
