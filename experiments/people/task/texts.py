"""What participants read before and after: forms to fill in, or texts of the experimenter."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from storage.files import write_text
from storage.templates import render_template

CONSENT = "consent.html"
DEBRIEFING = "debriefing.html"
TO_FILL_IN = "[FILL IN"
"""How every gap in the forms begins."""

FORMS = {
    CONSENT: (
        "# Information and consent",
        "This study is about how well people remember pictures. It is carried out by [FILL IN: who, where, and how to "
        "reach them].",
        "You will look at pictures, and then be asked which ones you have seen. [FILL IN: how long it takes, and what "
        "people receive for it.]",
        "Taking part is voluntary: you can end it at any time, without a reason and without a disadvantage, by closing "
        "the page. [FILL IN: whether there are risks, and who has approved the study.]",
        "Kept are your answers, their times, and what your browser tells of your screen, under a code and without your "
        "name. [FILL IN: for how long, who can see it, and how people can have it deleted.]",
        "By going on you confirm that you are [FILL IN: 18] years or older, and that you agree.",
    ),
    DEBRIEFING: (
        "# About this study",
        "Thank you for taking part. The study compares what people remember of pictures with what computer models "
        "remember of the very same pictures. [FILL IN: what else people should know, and whom they can ask.]",
    ),
}


def write_text_page(folder: Path, name: str, source: Path | None) -> None:
    """Write a text for participants as a page: the experimenter's, or a form.

    Args:
        folder: of the task.
        name: `CONSENT` or `DEBRIEFING`.
        source: HTML, which is copied, or Markdown or plain text, of which headings (`#`) and paragraphs are taken over;
            None for the form.

    Raises:
        ValueError: the file is no UTF-8.
    """
    if source is not None and source.suffix.lower() in (".html", ".htm"):
        shutil.copyfile(source, folder / name)
        return
    blocks = FORMS[name] if source is None else _blocks(source)
    heading = next((block.lstrip("# ") for block in blocks if block.startswith("#")), name.partition(".")[0].title())
    page = render_template(Path(__file__), "text.html.j2", html=True, title=heading, blocks=blocks)
    write_text(folder / name, page)


def has_gaps(folder: Path, name: str) -> bool:
    """Whether a text for participants still has gaps to fill in."""
    return TO_FILL_IN in (folder / name).read_text(encoding="utf-8", errors="replace")


def _blocks(source: Path) -> tuple[str, ...]:
    """Return headings and paragraphs, which empty lines divide."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is no text in UTF-8: save it as such") from error
    return tuple(" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip())
