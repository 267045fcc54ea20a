"""What people are told of errors: a sentence, and never where in the program it happened."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable

from storage.endings import what_happened
from storage.terminal import visible
from viewing.app.jobs import StoppedError
from viewing.app.uploads import UploadError

DEFECT = "Something went wrong in the app, which goes on. What it was stands in the terminal that it was started from."


def sentence_of(error: Exception) -> str:
    """Return what somebody who asked is told; of a defect of this program the terminal is told more."""
    if isinstance(error, StoppedError | UploadError):
        return str(error)  # which may begin with the name of a file
    said = what_happened(error, None)
    if said is None:
        sys.stderr.write("".join(traceback.format_exception(error)))
        return DEFECT
    return visible(said[:1].upper() + said[1:])


def check_filled(values: Iterable[object]) -> None:
    """Refuse values of fields of which one is empty: Gradio gives None of it.

    Raises:
        ValueError: one is.
    """
    if any(value is None for value in values):
        raise ValueError("a field is empty: fill it in")
