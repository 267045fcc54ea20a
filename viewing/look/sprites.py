"""Sheets of thumbnails: many in one file, so that a page of thousands of items loads dozens of files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.files import atomic_write
from viewing.look.contents import CHUNK, SHEET_COLUMNS, sheet_name
from viewing.look.examining import to_jpeg


class Sheets:
    """Writes thumbnails into sheets as they come, CHUNK in each, row by row.

    Args:
        folder: of the page.
        side: pixels of a thumbnail.
    """

    def __init__(self, folder: Path, side: int) -> None:
        self._folder = folder
        self._side = side
        self._waiting: list[NDArray[np.uint8]] = []
        self.names: list[str] = []
        """Of the sheets that are written, relative to the page."""

    def add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Take the thumbnail (side, side, 3) of the next item."""
        self._waiting.append(thumbnail)
        if len(self._waiting) == CHUNK:
            self._write()

    def finish(self) -> tuple[str, ...]:
        """Write the last sheet, which may be shorter, and return the names of all."""
        if self._waiting:
            self._write()
        return tuple(self.names)

    def _write(self) -> None:
        name = sheet_name(len(self.names))
        content = to_jpeg(draw_sheet(self._waiting, self._side))
        atomic_write(self._folder / name, lambda file: file.write(content))
        self.names.append(name)
        self._waiting = []


def draw_sheet(thumbnails: list[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    """Put thumbnails (side, side, 3) into rows of SHEET_COLUMNS, what is left over black: (rows * side, width, 3)."""
    rows = math.ceil(len(thumbnails) / SHEET_COLUMNS)
    cells = np.zeros((rows * SHEET_COLUMNS, side, side, 3), np.uint8)
    cells[: len(thumbnails)] = np.stack(thumbnails)
    grid = cells.reshape(rows, SHEET_COLUMNS, side, side, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * side, SHEET_COLUMNS * side, 3)
