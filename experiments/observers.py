"""Anybody's model as an observer: a class of a module that is named on the command line.

The module is looked for among installed packages and in the working folder. What it holds is run.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from storage.endings import is_out_of_memory
from storage.options import unknown_name


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


def load_observer(named: str, method: str) -> Any:
    """Make the observer that `module:Class` names; the class, or a function, is called without arguments.

    Args:
        named: what people type, such as `mymodel:MyObserver`.
        method: that it must have.

    Raises:
        ObserverError: there is no such module or class, the class cannot be made without arguments, making it fails,
            or what is made has no such method.
    """
    module, name = parse_observer(named)
    made = _find(_import(module, named), name, named)
    try:
        inspect.signature(made).bind()
    except TypeError as error:
        raise ObserverError(
            f"--observer {named} cannot be made without arguments ({error}): give them defaults, or name a function "
            "that makes one"
        ) from error
    with failing_as(f"--observer {named} cannot be made"):
        observer = made()
    if not callable(getattr(observer, method, None)):
        raise ObserverError(f"--observer {named} has no method {method}, by which an observer says what it finds")
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
