"""What the demo can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from data.inputs import check_data
from storage.options import LARGEST_SEED, Options, about, option


@dataclass(frozen=True)
class DemoOptions(Options):
    """Run the whole path, small and real: videos to completions and a memory curve, ending with report.html."""

    command = "demo"
    example = "secondsight demo --out demo"

    out: Path = field(metadata=about(identity="none"))
    """Folder for everything the demo makes; a stopped demo continues from what it holds."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of everything: the same seed on the same machine gives the same results."""
    videos: Path | None = option(None, must_hold=check_data)
    """Your own videos instead of the playroom's."""
