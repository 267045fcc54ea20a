"""Patterns of paths as webdataset expands them: `{0000..0003}`, `{a,b}`, and `::` between patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from braceexpand import alphabet, braceexpand

from data.errors import MediaError

MOST_PATHS = 1_000_000
"""Paths that a pattern may stand for."""

NUMBERS = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?(\d+))?$")
LETTERS = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.-?(\d+))?$")
"""Ranges, perhaps with a step."""

# A backslash before a brace means the brace itself, except where backslashes stand between folders.
ESCAPE = os.sep != "\\"


def expand_braces(pattern: str) -> list[str]:
    """Return the paths that a pattern stands for, in order.

    Raises:
        MediaError: its braces do not match, or it stands for too many paths.
    """
    try:
        number = sum(_count(part) for part in pattern.split("::"))
        paths = [] if number > MOST_PATHS else [*_expand(pattern)]
    except RecursionError as error:
        raise MediaError(f"{pattern[:40]}... has too many braces in one another") from error
    except ValueError as error:
        raise MediaError(f"{pattern} is no path that exists, and no pattern of paths ({error})") from error
    if number > MOST_PATHS:
        named = f"{number:,}" if number < 10**18 else "countless"
        raise MediaError(f"{pattern} stands for {named} paths, more than {MOST_PATHS:,}: mistyped?")
    return paths


def _expand(pattern: str) -> Iterator[str]:
    for part in pattern.split("::"):
        yield from braceexpand(part, escape=ESCAPE)


def _count(pattern: str) -> int:
    """Return how many paths a pattern without `::` stands for: `braceexpand` takes memory for all before it begins."""
    number = 1
    start = depth = 0
    for index in _unescaped(pattern):
        if pattern[index] == "{":
            if depth == 0:
                start = index
            depth += 1
        elif pattern[index] == "}":
            depth -= 1
            if depth == 0:
                number *= _count_choices(pattern[start + 1 : index])
                start = index + 1
    return number


def _count_choices(inside: str) -> int:
    """Return how many texts stand between braces."""
    for pattern, position in ((NUMBERS, int), (LETTERS, alphabet.index)):
        matched = pattern.match(inside)
        if matched:
            first, last, step = matched.groups()
            return abs(position(last) - position(first)) // (int(step or 1) or 1) + 1
    choices = _at_commas(inside)
    return sum(map(_count, choices)) if len(choices) > 1 else _count(inside)


def _at_commas(inside: str) -> list[str]:
    """Divide what stands between braces at the commas that are in no further braces."""
    choices = []
    start = depth = 0
    for index in _unescaped(inside):
        depth += {"{": 1, "}": -1}.get(inside[index], 0)
        if inside[index] == "," and depth == 0:
            choices.append(inside[start:index])
            start = index + 1
    return [*choices, inside[start:]]


def _unescaped(text: str) -> list[int]:
    """Return the indices of braces and commas, without those that a backslash makes ordinary."""
    found = []
    index = 0
    while index < len(text):
        if ESCAPE and text[index] == "\\":
            index += 1
        elif text[index] in "{},":
            found.append(index)
        index += 1
    return found
