"""Options as a JSON file: the `config.json` that every run writes, and that `--config` reads.

It holds the command and its options by name, those of nested classes among them.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from storage.checked_files import RefusedFileError, read_json, shortly
from storage.files import to_json
from storage.options import OptionError, Options, leaves, unknown_name

COMMAND = "command"
"""The key of the command among the options."""
OF_ONE_RUN = ("out", "resume", "overwrite")
"""Options that another run does not take over: they say where it is, not what."""


def config_of(options: Options) -> dict[str, Any]:
    """Return what `config.json` holds of a run with these options, in types of JSON."""
    content: dict[str, Any] = json.loads(to_json({COMMAND: options.command, **options.flat()}))
    return content


def read_config_file(path: Path, kind: type[Options]) -> dict[str, Any]:
    """Return the options that a file gives to another run of the same command, by name.

    Args:
        path: of a `config.json`, or of a file with some of its entries.
        kind: the options class of the command.

    Raises:
        OptionError: the file is missing or no JSON object, is of another command, names an unknown option, or a value
            is of the wrong type.
    """
    try:
        content = read_json(path, "file of --config", finite=False)  # the option is named then
    except RefusedFileError as error:
        raise OptionError(str(error)) from error
    if not isinstance(content, dict):
        raise OptionError(f"--config {path} holds a {type(content).__name__}, not options by name")
    command = content.pop(COMMAND, kind.command)
    if command != kind.command:
        raise OptionError(f"--config {path} holds options of `{command}`, not of `{kind.command}`")
    try:
        values = values_of(content, kind)
    except OptionError as error:
        raise OptionError(f"--config {path}: {error}") from error
    return {name: value for name, value in values.items() if name not in OF_ONE_RUN}


def values_of(content: Mapping[str, Any], kind: type[Options]) -> dict[str, Any]:
    """Return the values that entries of a JSON object stand for.

    Raises:
        OptionError: an option is unknown, or its value is of the wrong type.
    """
    known = leaves(kind)
    for name in content:
        if name not in known:
            raise OptionError(unknown_name("option", name, known))
    return {name: from_json(name, value, known[name].annotation) for name, value in content.items()}


def from_json(name: str, value: Any, annotation: Any) -> Any:
    """Return what an option's value in a JSON file means.

    Raises:
        OptionError: it is of another type than the option takes; the option is named.
    """
    try:
        return _converted(value, annotation)
    except OverflowError as error:
        raise OptionError(f"--{name.replace('_', '-')} is a number too large for any range") from error
    except (TypeError, ValueError) as error:
        raise OptionError(f"{name} cannot be {shortly(value)}: {describe_type(annotation)} is needed") from error


def describe_type(annotation: Any) -> str:
    """Return what values of a type are, in words."""
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}
    if annotation in names:
        return names[annotation]
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if each is types.NoneType else describe_type(each) for each in arguments)
    if origin is tuple:
        return f"a list, each of its values {describe_type(arguments[0])}"
    return str(annotation)


def _converted(value: Any, annotation: Any) -> Any:
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in arguments:
            return None
        return _first_that_fits(value, [each for each in arguments if each is not types.NoneType])
    if origin is Literal:
        if value not in arguments or isinstance(value, bool) != isinstance(arguments[arguments.index(value)], bool):
            raise ValueError(value)
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(value)
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        return tuple(_converted(part, kind) for part, kind in zip(value, kinds, strict=True))
    if annotation is Path and isinstance(value, str | Path):
        return Path(value)
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, annotation) and isinstance(value, bool) == (annotation is bool):
        return value
    raise TypeError(value)


def _first_that_fits(value: Any, annotations: list[Any]) -> Any:
    for annotation in annotations:
        try:
            return _converted(value, annotation)
        except (TypeError, ValueError):
            continue
    raise TypeError(value)
