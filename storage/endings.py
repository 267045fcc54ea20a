"""How a command ends that cannot go on: what happened, in one line, and what helps. Imports no torch."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from storage.options import Options

INTERRUPTED = 130
"""Exit code after Ctrl-C, as of a program that a shell saw end by SIGINT."""

MEMORY = (
    "out of memory",  # torch.OutOfMemoryError, and CUDA's own
    "can't allocate memory",  # torch on a CPU
    "not enough memory",  # torch on Windows
    "Cannot allocate memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "Storage size calculation overflowed",
    "unable to mmap",
)
"""What errors say of a shortage of memory; all of torch's are a RuntimeError."""
WORKERS = ("DataLoader worker", "can't start new thread")
"""What errors say of processes and threads that the system ended, or would not start."""
FOR = "for "
"""How the message begins of an error that tells what memory was for."""
PEERS = ("Connection closed by peer", "Connection reset by peer", "pair closure", "gloo", "Gloo", "NCCL", "TCPStore")
"""What errors say of processes that trained together."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors of a disk, or of somebody's share of it, that is full."""

REMEDIES = {
    "grad_accumulation": "raise --{option} (now {value})",
    "batch": "lower --{option} (now {value})",
    "workers": "lower --{option} (now {value})",
}
"""What takes less memory, by option; what changes the least of a result comes first."""


def what_happened(error: BaseException, options: Options | None) -> str | None:
    """Return what people are told of an error, on one line; None if it is a defect of this program.

    Args:
        error: that ended a command.
        options: of the command, if it came so far.
    """
    text = str(error)
    if is_out_of_memory(error):
        return _shortage(error, options)
    if isinstance(error, RuntimeError) and any(sign in text for sign in WORKERS):
        reason = text.strip().splitlines()[0]
        return f"{reason}: mostly for want of memory; {_remedies(options) or 'free some memory'}"
    if isinstance(error, RuntimeError) and any(sign in text for sign in PEERS):
        reason = text.strip().splitlines()[0].partition(". This")[0]
        return f"another process of this launch has ended, or cannot be reached: what it said tells why ({reason})"
    if isinstance(error, OSError) and error.errno in FULL and error.filename is None and options is not None:
        out = getattr(options, "out", None)
        return f"{text}: something in '{out}'" if out is not None else text
    if isinstance(error, ValueError | OSError | FloatingPointError):
        return text
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, on a CPU or a GPU."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in MEMORY)


@contextmanager
def memory_for(purpose: str) -> Iterator[None]:
    """Within this context an error that says that there is not enough memory tells what it was for.

    Raises:
        MemoryError: there is not enough; its message is `purpose`, or that of a context within.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error) or (isinstance(error, MemoryError) and _purpose(error)):
            raise
        shortage = MemoryError(f"{FOR}{purpose}")
        raise shortage from error


def _purpose(error: BaseException) -> str:
    """Return what memory was for, empty if that is not known; errors of worker processes have it on their last line."""
    lines = str(error).strip().splitlines()
    last = lines[-1].removeprefix("MemoryError: ") if lines else ""
    return last if last.startswith(FOR) and isinstance(error, MemoryError) else ""


def _shortage(error: BaseException, options: Options | None) -> str:
    purpose = _purpose(error)
    remedies = _remedies(options) or "free some, or take a smaller item"
    return f"out of memory{f' {purpose}' if purpose else ''}: {remedies}"


def _remedies(options: Options | None) -> str:
    """Return the options of a command that take less memory, in words; empty if it has none of them."""
    values: dict[str, Any] = {} if options is None else options.flat()
    known = [
        remedy.format(option=name.replace("_", "-"), value=values[name])
        for name, remedy in REMEDIES.items()
        if values.get(name)
    ]
    if not known:
        return ""
    saved = "; what was saved is whole, and --resume auto continues" if "resume" in values else ""
    return f"{', '.join(known)}, or take a smaller model or item{saved}"
