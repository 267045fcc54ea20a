"""The page of `data look`: one HTML file, which shows what lies in its folder and loads nothing else.

Its policy says so to the browser (Content-Security-Policy): the page's own script runs, and scripts that lie beside it,
which hold tokens and surprise; names of files, whatever they hold, are text.
"""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from sampling.pages import Fact, page_policy, render_page
from storage.files import write_text
from storage.terminal import visible, visible_lines
from viewing.look.contents import Contents

COMMAND = "command"
"""The line of the header that is to be typed."""
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
    page, script = folder / "index.html", page_script()
    text = render_page(
        Path(__file__),
        "page.html.j2",
        policy=page_policy(script, media="beside", chunks=True),
        title=visible(contents.title),
        facts=[Fact(visible(name), visible(value), code=name == COMMAND) for name, value in contents.header],
        notes=[visible_lines(note) for note in contents.notes],
        duplicates=len(contents.duplicates),
        leaks=sum(group.leak for group in contents.duplicates),
        skipped=len(contents.skipped),
        training=contents.training is not None,
        # A data block, in which nothing ends the element: to_json writes <, > and & as escapes.
        data=Markup(contents.to_json()),
        style=Markup(_asset("page.css")),
        script=Markup(script),
    )
    write_text(page, text)
    return page


def page_script() -> str:
    """Return the page's script: all parts, one after another."""
    return "\n".join(_asset(f"{name}.js") for name in SCRIPTS)


def _asset(name: str) -> str:
    return (Path(__file__).parent / "web" / name).read_text(encoding="utf-8")
