"""How long `data look` takes for a folder of clips, and how large what it writes is.

    python benchmarks/look.py [--clips 480 --data FOLDER --workers 2]

Without --data, clips of 16 frames of 64 px are rendered by the playroom first, which is not timed. The whole command
is timed in a process of its own, from its start to its end; to reach for 480 clips on two cores: 60 s and 40 MB. With
--workers 0 all is done in that process, so that the time of processors is all that it takes: on a machine that has
other things to do, half of it is what two cores would need. First paint and scrolling: benchmarks/look_page.py.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tyro

from data.options import PlayroomOptions
from data.playroom.make import make_playroom
from storage.tables import read_table

PROGRAM = Path(__file__).resolve().parent.parent / "secondsight.py"
MOST_SECONDS = 60.0
MOST_BYTES = 40e6


@dataclass(frozen=True)
class Options:
    """What is looked at."""

    clips: int = 480
    """Clips that are rendered where --data is not given."""
    data: Path | None = None
    """Folder of clips."""
    workers: int = 2
    """Processes that decode."""


def main(options: Options) -> None:
    """Time the command and print what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or _render(Path(folder) / "playroom", options.clips)
        out = Path(folder) / "page"
        load = os.getloadavg()[0]
        before = _processor_seconds()
        began = time.perf_counter()
        words = ["data", "look", str(data), "--out", str(out), "--workers", str(options.workers)]
        subprocess.run([sys.executable, str(PROGRAM), *words], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        sizes: Counter[str] = Counter()
        for path in filter(Path.is_file, out.rglob("*")):
            sizes[path.relative_to(out).parts[0]] += path.stat().st_size
        items = len(read_table(out / "items.csv"))
    print(f"load of the machine {load:.1f} on {os.cpu_count()} processors, {options.workers} workers")
    print(f"{items:,} items: {seconds:.1f} s (to reach {MOST_SECONDS:g} s)")
    if not options.workers:
        print(f"{_processor_seconds() - before:.1f} s of processors")
    print(f"{sum(sizes.values()) / 1e6:.1f} MB in all (to reach {MOST_BYTES / 1e6:g} MB)")
    for name, size in sizes.most_common():
        print(f"  {size / 1e6:8.2f} MB  {name}")


def _render(folder: Path, clips: int) -> Path:
    make_playroom(PlayroomOptions(out=folder, clips=clips))
    return folder / "clips"


def _processor_seconds() -> float:
    """Return the time of processors that child processes took which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
