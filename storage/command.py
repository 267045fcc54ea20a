"""The command that means given options."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from storage.options import Leaf, Options, field_default, leaves, presets_of, value_at


def command_line(options: Options) -> str:
    """Return what to type to do it again, from the beginning."""
    return shlex.join(["secondsight", *arguments_of(options.changed(resume="no", overwrite=False))])


def arguments_of(options: Options) -> list[str]:
    """Return the arguments of `secondsight` that mean these options, those with their default values left out."""
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
        words += [] if leaf.metadata.get("positional") else [leaf.flag]
        words += [str(part) for part in _flattened(value)]
    return words


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
