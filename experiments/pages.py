"""Self-contained HTML pages: images and videos are inside the file, nothing is loaded from elsewhere.

Every page says so to the browser (Content-Security-Policy): no script runs but that of a page which follows what it
shows, and nothing is fetched, whatever names of files, folders and models it shows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from sampling.pages import Fact, inline_scripts, page_policy, render_page
from storage.files import write_text
from storage.terminal import visible_lines
from training.figures import read_description

Table = tuple[tuple[str, ...], ...]
"""Cells by row; the first row holds the heads."""

CODE = re.compile("`([^`]+)`")
MEDIA_TYPES = {".png": "image/png", ".gif": "image/gif", ".mp4": "video/mp4"}
TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class Medium:
    """An image or video inside a page."""

    data: str
    """The file as a data URI."""
    caption: str
    video: bool
    words: str
    """What stands for it where it cannot be seen."""
    poster: str = ""
    """Of a video: the image that stands for it until it is played, as a data URI."""


@dataclass(frozen=True)
class Section:
    """What stands under one heading of a page: a text on how to read it, media and a table (first row: heads)."""

    title: str
    text: str
    media: tuple[Medium, ...] = ()
    table: Table = ()


def embed(path: Path, caption: str, poster: Path | None = None, words: str = "") -> Medium:
    """Return a file for a page.

    Args:
        path: of the .png, .gif or .mp4.
        caption: below it.
        poster: of a video, the image that stands for it until it is played.
        words: what there is to see, for those who cannot see it; by default the caption, and of a plot the axes and
            values that `save_figure` has written into its file.
    """
    described = words or " ".join(filter(None, [f"{caption.rstrip('.')}.", read_description(path)]))
    return Medium(_inside(path), caption, path.suffix == ".mp4", described, "" if poster is None else _inside(poster))


def write_report(
    path: Path,
    title: str,
    lead: str,
    sections: Sequence[Section],
    refresh: int | None = None,
    facts: Sequence[Fact] = (),
) -> None:
    r"""Write one HTML page.

    Empty lines divide the lead and the texts of sections into paragraphs; what stands between back-ticks, there, in
    captions and in cells, is set as code. Characters of names that are hidden, as those that turn the direction of
    writing, are shown as `\u202e`.

    Args:
        path: of the page.
        title: of the page.
        lead: what comes first.
        sections: what follows.
        refresh: of a page that is written again and again, the seconds after which a browser loads it anew, until
            somebody stops it.
        facts: who made it, see `sampling.pages.facts_of`.
    """
    page = render_page(
        Path(__file__),
        TEMPLATE,
        title=title,
        policy=page_policy(*(inline_scripts(Path(__file__), TEMPLATE) if refresh else ())),
        facts=facts,
        lead=lead,
        sections=sections,
        refresh=refresh,
        prose=prose,
        plain=plain,
    )
    write_text(path, page)


def prose(text: str) -> Markup:
    """Return text as HTML, with what stands between back-ticks as code."""
    marked = CODE.sub(r"<code>\1</code>", str(escape(visible_lines(text))))
    return Markup(marked.replace("`", "&#96;"))


def plain(text: str) -> str:
    """Return text without back-ticks, for where HTML has no code: the title of a window, what stands for an image."""
    return visible_lines(text).replace("`", "")


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.1f} %"


def without_empty_columns(rows: Sequence[tuple[str, ...]]) -> Table:
    """Return a table without the columns that are empty but for their head."""
    kept = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    return tuple(tuple(row[column] for column in kept) for row in rows)


def _inside(path: Path) -> str:
    """Return a file as a data URI."""
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{MEDIA_TYPES[path.suffix]};base64,{encoded}"
