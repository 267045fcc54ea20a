"""Names and values of others as plain text in Markdown, and as text between quotes in Python."""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of a value that a card shows."""
_MEANING = re.compile(r"([\\`*_<>&~#!$@])")
_LINKS = (("](", "]\\("), ("://", "\\://"), ("www.", "www\\."), ("|", "&#124;"))


def plain(value: object) -> str:
    """Return a value as one line of Markdown in which nothing means anything: no markup, link, cell or HTML."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    text = " ".join(text.split())
    text = f"{text[:LONGEST]}..." if len(text) > LONGEST else text
    text = _MEANING.sub(r"\\\1", text)
    for meaning, harmless in _LINKS:
        text = text.replace(meaning, harmless)
    return text


def code(value: object) -> str:
    """Return a value as code in Markdown, or as plain text where it holds what would end the code."""
    text = str(value)
    return f"`{text}`" if text.strip() and text.isprintable() and not re.search(r"[`|]", text) else plain(text)


def in_quotes(text: str) -> str:
    """Return what stands between double quotes in Python for a text, on one line and without a backtick."""
    return "".join(_quoted(character) for character in text)


def _quoted(character: str) -> str:
    if character.isprintable() and character not in '"\\`':
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
