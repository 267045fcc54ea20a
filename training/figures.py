"""Figures as files: PNG for the screen, PDF and SVG for a paper, with the same bytes whenever they are drawn anew."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from storage.files import atomic_write

FORMATS = ("png", "pdf", "svg")
"""Endings of the files of a figure."""
STYLE = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "secondsight"}
"""A PDF holds the letters it shows as TrueType: many journals refuse Type 3 fonts. In an SVG letters are outlines, as
programs that edit one ignore a font inside it. Neither needs a font where it is looked at."""
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}
"""Neither a date nor the version of what drew it."""
DOCTYPE = re.compile(rb"<!DOCTYPE[^>]*>\n")
"""Of an SVG: it names a file on the web, which nothing needs."""


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> Path:
    """Write a figure as `path`, and beside it under the same name as PDF and SVG.

    Args:
        figure: is laid out for the first of them and then left so, that all three agree.
        path: of the PNG; its folder is made if it is not there.
        dpi: pixels per inch of the PNG, and of images inside the other two.

    Returns:
        `path`.
    """
    for ending in FORMATS:
        _write(path.with_suffix(f".{ending}"), _drawn(figure, ending, dpi))
        figure.set_layout_engine("none")
    return path


def _drawn(figure: Figure, ending: str, dpi: int) -> bytes:
    file = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(file, format=ending, dpi=dpi, metadata=METADATA[ending])
    content = file.getvalue()
    return DOCTYPE.sub(b"", content, count=1) if ending == "svg" else content


def _write(path: Path, content: bytes) -> None:
    atomic_write(path, lambda file: file.write(content))
