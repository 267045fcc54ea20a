"""The page of `data look`: one HTML file, which shows what lies in its folder and loads nothing else.

Its policy says so to the browser (Content-Security-Policy): the page's own script runs, and scripts that lie beside it,
which hold tokens and surprise; names of files, whatever they hold, are text.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from storage.files import write_text
from storage.templates import render_template
from storage.terminal import visible, visible_lines
from viewing.look.contents import Contents

SCRIPTS = (
    "data", "files", "choosing", "tags", "tag_table", "cells", "grid", "charts", "overlay", "item", "training", "lists",
    "controls", "tagging", "main",
)  # fmt: skip
"""Parts of the page's script in `web/`, in their order."""


def write_page(folder: Path, contents: Contents) -> Path:
    """Write `index.html`, and return its path.

    Args:
        folder: of the page, where the sheets, films and chunks of `contents` lie too.
        contents: what the page shows.

    Raises:
        OSError: the folder cannot be written.
    """
    page = folder / "index.html"
    style, script = _asset("page.css"), page_script()
    text = render_template(
        Path(__file__),
        "page.html.j2",
        html=True,
        policy=_policy(style, script),
        title=visible(contents.title),
        header=[(visible(name), visible(value)) for name, value in contents.header],
        notes=[visible_lines(note) for note in contents.notes],
        duplicates=len(contents.duplicates),
        leaks=sum(group.leak for group in contents.duplicates),
        skipped=len(contents.skipped),
        training=contents.training is not None,
        # A data block, in which nothing ends the element: to_json writes <, > and & as escapes.
        data=Markup(contents.to_json()),
        style=Markup(style),
        script=Markup(script),
    )
    write_text(page, text)
    return page


def page_script() -> str:
    """Return the page's script: all parts, one after another."""
    return "\n".join(_asset(f"{name}.js") for name in SCRIPTS)


def _asset(name: str) -> str:
    return (Path(__file__).parent / "web" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: `file:` is the page's own place where it is opened from a folder."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{_digest(script)}' 'self' file:",
            f"style-src 'sha256-{_digest(style)}'",
            "img-src 'self' file: data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
