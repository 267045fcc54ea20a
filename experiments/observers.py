"""Anybody's model as an observer: a class of a module that is named on the command line.

The module is looked for among installed packages and in the working folder. What it holds is run.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.observer_settings import arguments_of
from storage.endings import is_out_of_memory
from storage.options import unknown_name

ROLES = {"surprise": "says what it finds", "score": "says what it finds", "study": "is shown what it is to remember"}
"""What the methods of observers are for."""


class ObserverError(ValueError):
    """An observer cannot be used; the message says what is wrong with it, and what to do."""


def parse_observer(named: str) -> tuple[str, str]:
    """Return the module and the class that `module:Class` names.

    Raises:
        ObserverError: it is no such name.
    """
    module, _, name = named.partition(":")
    if not module or not name:
        raise ObserverError(
            f"--observer {named} must name a module and a class in it, such as mymodel:MyObserver of mymodel.py in the "
            "working folder"
        )
    return module, name


def load_observer(
    named: str,
    *methods: str,
    settings: Mapping[str, str] | None = None,
    offered: Mapping[str, Any] | None = None,
) -> Any:
    """Make the observer that `module:Class` names, a class or a function.

    Args:
        named: what people type, such as `mymodel:MyObserver`.
        methods: that it must have.
        settings: texts that become arguments of the class, by name; it is called without others but those below.
        offered: arguments that it gets where it takes them.

    Raises:
        ObserverError: there is no such module or class, it cannot be made with these arguments, making it fails, or
            what is made lacks a method.
        ValueError: there is no such setting, or it has another type.
    """
    module, name = parse_observer(named)
    made = _find(_import(module, named), name, named)
    arguments = arguments_of(made, settings or {}, offered or {})
    try:
        inspect.signature(made).bind(**arguments)
    except TypeError as error:
        others = f"other arguments than {', '.join(arguments)}" if arguments else "arguments"
        given = "" if settings is None else "give them with --settings NAME=VALUE, or "
        raise ObserverError(
            f"--observer {named} cannot be made without {others} ({error}): {given}give them defaults, or name "
            "a function that makes one"
        ) from error
    with failing_as(f"--observer {named} cannot be made"):
        observer = made(**arguments)
    for method in methods:
        if not callable(getattr(observer, method, None)):
            raise ObserverError(f"--observer {named} has no method {method}, by which an observer {ROLES[method]}")
    return observer


@contextmanager
def failing_as(what: str) -> Iterator[None]:
    """Say in a sentence what fails in code that others wrote, and in which of its lines.

    Args:
        what: could not be done, as the beginning of the sentence.

    Raises:
        ObserverError: that code raised an error, or asked the process to end.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        called = frames[min(2, len(frames) - 1)]  # behind this function and the one that calls
        where = f"{Path(called.filename).name}, line {called.lineno}"
        raise ObserverError(f"{what} ({type(error).__name__}: {error}; {where}): correct it first") from error


def _import(module: str, named: str) -> ModuleType:
    """Return a module; the working folder comes last, so that no file there stands for a package that is installed."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ObserverError(
                f"--observer {named}: there is no module {error.name} in {here} or among installed packages: start from"
                " the folder that holds it"
            ) from error
        raise ObserverError(f"--observer {named} needs {error.name}, which is not installed here") from error
    except (Exception, SystemExit) as error:
        raise ObserverError(
            f"--observer {named}: {module} cannot be imported ({type(error).__name__}: {error}): correct it first"
        ) from error


def _find(module: ModuleType, name: str, named: str) -> Any:
    found = getattr(module, name, None)
    if found is None:
        known = [each for each, value in vars(module).items() if isinstance(value, type) and not each.startswith("_")]
        raise ObserverError(f"--observer {named}: {unknown_name(f'class in {module.__name__}', name, known)}")
    if not callable(found):
        kind = type(found).__name__
        raise ObserverError(f"--observer {named} is of type {kind}: name a class, or a function that makes an observer")
    return found
