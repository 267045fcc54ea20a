"""Settings of an observer, `NAME=VALUE` as people type them, as arguments of the class that they are for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from storage.options import unknown_name

WORDS = {"yes": True, "true": True, "no": False, "false": False}
"""What people type for True and False."""
ORDER = (bool, int, float, Path, str)
"""What a text is taken for, the first that it can be."""
KINDS = {bool: "yes or no", int: "a whole number", float: "a number", Path: "a path", str: "a text"}


def parse_settings(words: Sequence[str]) -> dict[str, str]:
    """Return the values of settings by their names.

    Raises:
        ValueError: a word is no `NAME=VALUE`, or a name stands twice.
    """
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--settings {word} must be NAME=VALUE, such as learning_rate=0.001")
        if name in settings:
            raise ValueError(f"--settings names {name} twice: give one value")
        settings[name] = value
    return settings


def arguments_of(made: Callable[..., Any], settings: Mapping[str, str], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with which a class, or a function, is called.

    A setting becomes what the annotation of its argument says, or the type of its default.

    Args:
        made: the class or function.
        settings: texts by the names of arguments, which it must have.
        offered: arguments that it gets where it has them, unless they are set.

    Raises:
        ValueError: there is no such argument, or a text is nothing that it takes.
    """
    parameters = inspect.signature(made).parameters
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    types = _annotations(made)
    arguments = {name: value for name, value in offered.items() if name in parameters}
    for name, text in settings.items():
        if name not in parameters and not anything:
            raise ValueError(f"--settings {name}={text}: {unknown_name('setting', name, parameters)}")
        default = parameters[name].default if name in parameters else None
        arguments[name] = _value(name, text, types.get(name, type(default)))
    return arguments


def _annotations(made: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of arguments, as far as they can be told."""
    try:
        return get_type_hints(made.__init__ if isinstance(made, type) else made)
    except (AttributeError, NameError, TypeError):  # names that its module has only for checkers of types
        return {}


def _value(name: str, text: str, annotation: Any) -> Any:
    """Return the first thing that a text can be, of those that an annotation allows; any text where it says nothing."""
    allowed = {*get_args(annotation), annotation}
    if NoneType in get_args(annotation) and text in ("", "none", "None"):
        return None
    kinds = [kind for kind in ORDER if kind in allowed] or [str]
    for kind in kinds:
        try:
            return WORDS[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            continue
    raise ValueError(f"--settings {name}={text} must be {' or '.join(KINDS[kind] for kind in kinds)}")
