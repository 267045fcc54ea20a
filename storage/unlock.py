"""Free a folder whose writer is gone: `secondsight unlock`. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from storage.options import Options, about


@dataclass(frozen=True)
class UnlockOptions(Options):
    """Free a folder that a process which is gone still holds."""

    command = "unlock"
    example = "secondsight unlock runs/gpt --owner node-17:4242"

    folder: Path = field(metadata=about(positional=True))
    """Folder that a command was refused."""
    owner: str
    """Who holds it, as the refusal said: host:process. A process that is at work after all ends before it writes
    again."""


def unlock(options: UnlockOptions) -> None:
    """Remove the lock of a folder, and print who held it.

    Raises:
        FolderLockError: the folder is not locked, or by another than the one that was named; nothing is removed then.
    """
    from storage.lock import remove_lock  # here, so that the help of all commands stays instant

    owner = remove_lock(options.folder, options.owner)
    print(f"{options.folder} is free; it was held by {owner.describe()}")
