"""Text for terminals and logs: names may hold characters that move the cursor, change colours or turn the direction.

Imports no torch.
"""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode that are commands rather than letters: controls (escape, newline, tab), formats (marks that
turn the direction of writing), surrogates (bytes of a file name that are no text), separators of lines."""


def visible(text: object) -> str:
    r"""Return text as one line in which nothing is hidden: an escape character is shown as `\x1b`, a newline as `\n`.

    Args:
        text: of any characters; what is no string is taken as `str` shows it.
    """
    return "".join(map(_shown, str(text)))


def visible_lines(text: object) -> str:
    """Return text of several lines, in each of which nothing is hidden."""
    return "\n".join(map(visible, str(text).split("\n")))


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one: `1,234 clips`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _shown(character: str) -> str:
    if unicodedata.category(character) not in HIDDEN:
        return character
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")
