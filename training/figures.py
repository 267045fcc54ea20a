"""Figures as files: PNG for the screen, PDF and SVG for a paper, with the same bytes whenever they are drawn anew."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from storage.files import atomic_write
from storage.terminal import visible
from training.figure_words import describe_figure

FORMATS = ("png", "pdf", "svg")
"""Endings of the files of a figure."""
ENDINGS = "SECONDSIGHT_FIGURES"
"""Variable of the environment that says which files of figures are written: see `asked_formats`."""
STYLE: Any = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "secondsight"}
"""A PDF holds the letters it shows as TrueType: many journals refuse Type 3 fonts. In an SVG letters are outlines, as
programs that edit one ignore a font inside it. Neither needs a font where it is looked at."""
LONGEST = 48
"""Characters of a name in a plot; more would leave no room for what is drawn."""
DESCRIPTION = "Description"
"""Key of a text in a PNG, as its specification has it."""
SVG_HEAD = b"<svg "
"""What comes before it in a file names one on the web, which nothing needs."""


def asked_formats() -> tuple[str, ...]:
    """Return the endings of the files in which figures are written, as the environment asks for them.

    Endings, such as `png` or `png,svg`, or `none`; without the variable, and where it says anything else, all three.
    To draw these takes as long as many steps of a tiny model, of which ladders and sweeps train hundreds.
    """
    asked = os.environ.get(ENDINGS, "").split(",")
    if not set(asked) <= {*FORMATS, "none"}:
        return FORMATS
    return tuple(ending for ending in FORMATS if ending in asked)


def shown_formats() -> tuple[str, ...]:
    """Return the same, and always that of the PNG, which pages show."""
    asked = asked_formats()
    return tuple(ending for ending in FORMATS if ending == "png" or ending in asked)


def save_figure(figure: Figure, path: Path, dpi: int = 120, formats: Sequence[str] | None = None) -> Path:
    """Write a figure as `path`, and beside it under the same name as PDF and SVG.

    None of the files says when, or by which version of what, it was drawn. The PNG says in words what there is to see,
    for pages that show it to those who cannot: `read_description`.

    Args:
        figure: is laid out once and then left so, that all three agree.
        path: of the PNG; its folder is made if it is not there.
        dpi: pixels per inch of the PNG, and of images inside the other two.
        formats: endings of what is written, by default those of `shown_formats`; a PNG alone takes a third of the
            time. Files of other formats, of when more was drawn, are removed.

    Returns:
        `path`.
    """
    figure.set_dpi(dpi)
    with rc_context(STYLE):
        # `Figure.savefig` would draw each of them twice, to lay it out and to write it.
        _lay_out(figure)
        for ending in FORMATS:
            if ending in (shown_formats() if formats is None else formats):
                _write(path.with_suffix(f".{ending}"), WRITERS[ending](figure))
            else:
                path.with_suffix(f".{ending}").unlink(missing_ok=True)
    return path


def read_description(path: Path) -> str:
    """Return what a PNG of `save_figure` says of itself; nothing for other files."""
    if path.suffix != ".png":
        return ""
    with Image.open(path) as image:
        return str(image.info.get(DESCRIPTION, ""))


def literal(name: str, longest: int | None = LONGEST) -> str:
    r"""Return a name of a file, folder, model or condition so that matplotlib draws it as it is.

    Dollars begin no mathematics, an underscore in front does not keep it from the legend, and characters that are
    hidden, which fonts and SVG do not have, are drawn as `\x1b`.

    Args:
        name: of any characters.
        longest: characters of it, both ends of a longer one and an ellipsis; None draws all of it.
    """
    text = visible(name)
    if longest is not None and len(text) > longest:
        begin = longest // 2
        text = f"{text[:begin]}\N{HORIZONTAL ELLIPSIS}{text[begin + 1 - longest :]}"
    text = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def _lay_out(figure: Figure) -> None:
    FigureCanvasAgg(figure)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None, DESCRIPTION: describe_figure(figure)})
    return file.getvalue()


def _pdf(figure: Figure) -> bytes:
    file = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(file, metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return file.getvalue()


def _svg(figure: Figure) -> bytes:
    file = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(file, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    head, _, body = file.getvalue().partition(SVG_HEAD)
    return head.splitlines(keepends=True)[0] + SVG_HEAD + body


def _write(path: Path, content: bytes) -> None:
    atomic_write(path, lambda file: file.write(content))


WRITERS = {"png": _png, "pdf": _pdf, "svg": _svg}
"""What makes the content of a file, by its ending."""
