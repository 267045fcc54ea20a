"""The command that means given options, quoted for those who read it: the shell, and then the parser."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from storage.options import Leaf, Options, field_default, leaves, presets_of, value_at


def command_line(options: Options) -> str:
    """Return what to type to do it again, from the beginning."""
    anew = {"resume": "no", "overwrite": False}
    changes = {name: value for name, value in anew.items() if name in leaves(type(options))}
    return shell_line(["secondsight", *arguments_of(options.changed(**changes))])


def next_command(*parts: str | Path) -> str:
    """Return a command to be typed: texts as they stand, and paths as one word each."""
    return " ".join(shell_line([path_word(part)]) if isinstance(part, Path) else part for part in parts)


def shell_line(words: Iterable[str]) -> str:
    """Return a line of bash that stands for these words and nothing else, without a character that prints nothing."""
    return " ".join(map(_quoted, words))


def path_word(path: Path) -> str:
    """Return the word that means a path to a parser, also of one that reads as an option or as `None`."""
    text = str(path)
    return f"./{text}" if text.startswith("-") or text == "None" else text


def arguments_of(options: Options) -> list[str]:
    """Return the arguments of `secondsight` that mean these options, those with their default values left out.

    Raises:
        ValueError: a text cannot be said on a command line.
    """
    words = options.command.split()
    given = options.flat()
    presets = presets_of(type(options))
    if presets is not None:
        field, by_name = presets
        chosen = _nearest_preset(getattr(options, field), by_name)
        base = {name: value_at(by_name[chosen], leaf.path[1:]) for name, leaf in _below(type(options), field).items()}
        if by_name[chosen] != _default_of(type(options), field) or base.keys() & type(options).implied(given):
            words += ["--preset", chosen]
            given["preset"] = chosen
    else:
        base = {}
    base |= type(options).implied(given)
    for name, leaf in leaves(type(options)).items():
        value = value_at(options, leaf.path)
        if value == base.get(name, leaf.default):
            continue
        if isinstance(value, bool):
            words.append(leaf.flag if value else f"--no-{leaf.flag.removeprefix('--')}")
            continue
        words += _said(leaf, [_word(leaf, part) for part in _flattened(value)])
    return words


def _said(leaf: Leaf, values: list[str]) -> list[str]:
    """Return an option with its values; one that begins with a dash is tied to the option, which takes it for one."""
    if leaf.metadata.get("positional"):
        return values
    if len(values) == 1 and values[0].startswith("-"):
        return [f"{leaf.flag}={values[0]}"]
    return [leaf.flag, *values]


def _word(leaf: Leaf, value: Any) -> str:
    if isinstance(value, Path):
        return path_word(value)
    if value == "None" and type(None) in get_args(leaf.annotation):
        raise ValueError(f"{leaf.flag} 'None' cannot be given on a command line, where it means that there is none")
    return str(value)


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    """Return a character as it stands between the quotes of $'...'."""
    if character in "'\\":
        return f"\\{character}"
    return character if character.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def _below(cls: type[Options], field: str) -> dict[str, Leaf]:
    return {name: leaf for name, leaf in leaves(cls).items() if leaf.path[0] == field}


def _default_of(cls: type[Options], name: str) -> Any:
    return next(field_default(field) for field in dataclasses.fields(cls) if field.name == name)


def _nearest_preset(value: Any, presets: Mapping[str, Any]) -> str:
    """Return the preset that differs from a value in the fewest options; of equals the first."""
    names = list(leaves(type(value)))
    return min(presets, key=lambda preset: sum(getattr(presets[preset], n) != getattr(value, n) for n in names))


def _flattened(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for part in value:
            yield from _flattened(part)
    else:
        yield value
