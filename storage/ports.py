"""Ports of this machine that a command listens on. Imports no torch."""

from __future__ import annotations

import errno


def port_error(port: int, error: OSError) -> OSError:
    """Return what people are told of a port that cannot be had: who has it, and what to do; else the error itself."""
    if error.errno not in (errno.EADDRINUSE, errno.EACCES):
        return error
    why = "is in use by another program" if error.errno == errno.EADDRINUSE else "is not for this user"
    return OSError(f"--port {port} {why}: give another, or 0 for one that is free")
