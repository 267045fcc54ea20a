"""What the demo can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoOptions:
    """Run the whole path, small and real: videos to completions and a memory curve, ending with report.html."""

    out: Path
    """Folder for everything the demo makes; a stopped demo continues from what it holds."""
    seed: int = 0
    """Seed of everything: the same seed on the same machine gives the same figures."""
    videos: Path | None = None
    """Your own videos instead of the playroom's."""
