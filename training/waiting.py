"""Waiting for another process for as long as it takes, and whether all were given the same.

The processes of a training talk to each other through a group whose operations fail after some minutes, because one
that takes longer has usually lost a partner. What the first process does alone is another matter: to look at a folder
of a million videos, or to score many of them, takes as long as it takes. The others wait for it in another group.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch.distributed as dist

LONGEST_WAIT = timedelta(days=7)
"""How long processes wait for one that works alone."""

_patient: dict[Any, Any] = {}
"""The patient group beside each default group; there is one at a time."""


def patient_group() -> Any:
    """Return the group in which processes wait for each other with patience; all must ask for it the first time.

    It talks through the CPU, so that no GPU waits. Without other processes it is None.
    """
    if not dist.is_initialized():
        return None
    default = dist.group.WORLD
    if default not in _patient:
        _patient.clear()
        _patient[default] = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
    return _patient[default]


def check_alike(digest: str, what: str, advice: str) -> None:
    """Make sure that all processes were given the same; they must all call it.

    Args:
        digest: of what this process has.
        what: it is, for people.
        advice: what to do where it is not the same.

    Raises:
        ValueError: some have another than the first; they are named. It is raised on all of them.
    """
    if not dist.is_initialized():
        return
    digests: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(digests, digest, group=patient_group())
    others = [rank for rank, found in enumerate(digests) if found != digests[0]]
    if others:
        which = ("process " if len(others) == 1 else "processes ") + ", ".join(map(str, others))
        has = "has" if len(others) == 1 else "have"
        raise ValueError(f"{which} of {len(digests)} {has} another {what} than process 0: {advice}")
