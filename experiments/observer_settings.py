"""Settings of an observer, `NAME=VALUE` as people type them, as arguments of the class that they are for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args

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
    parameters = _parameters(made)
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    arguments = {name: value for name, value in offered.items() if name in parameters}
    for name, text in settings.items():
        if name not in parameters and not anything:
            raise ValueError(f"--settings {name}={text}: {unknown_name('setting', name, parameters)}")
        arguments[name] = _value(name, text, _annotation(parameters[name]) if name in parameters else str)
    return arguments


def _parameters(made: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class or function, with annotations as types as far as they can be told."""
    try:
        return inspect.signature(made, eval_str=True).parameters
    except NameError:  # names that its module has only for checkers of types
        return inspect.signature(made).parameters


def _annotation(parameter: inspect.Parameter) -> Any:
    """Return what an argument is annotated with, or the type of its default."""
    return type(parameter.default) if parameter.annotation is inspect.Parameter.empty else parameter.annotation


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
