"""What does finding the nearest code cost, against one matrix product of the same size and the usual distance matrix?

    python benchmarks/code_search.py [--vectors 8192 --codes 16384 --width 256 --runs 5]

All ways find codes at the same distance, which is checked. Extra memory is the rise of the process's peak on Linux.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from timing import medians
from torch import Tensor

from vqgan.quantizers import nearest_code


@dataclass(frozen=True)
class Options:
    """Size of the search."""

    vectors: int = 8192
    """Vectors to find codes for."""
    codes: int = 16384
    """Codes."""
    width: int = 256
    """Dimensions of a code."""
    runs: int = 5
    """Timed runs of each way; the median counts."""


def distance_matrix(rows: Tensor, codebook: Tensor) -> Tensor:
    """Find the nearest codes (R,) through the whole matrix of squared distances."""
    squares = rows.square().sum(dim=1, keepdim=True) + codebook.square().sum(dim=1)
    return (squares - 2 * rows @ codebook.T).argmin(dim=1)


def extra_memory(function: Callable[[], object]) -> float:
    """Return by how many MB a call raises the memory of this process at most."""
    Path("/proc/self/clear_refs").write_text("5")  # from here on, the peak is that of what follows
    before = _status("VmRSS")
    function()
    return (_status("VmHWM") - before) / 1024


def main(options: Options) -> None:
    """Time all ways in turn and print the ratios to one matrix product."""
    torch.manual_seed(0)
    rows, codebook = torch.randn(options.vectors, options.width), torch.randn(options.codes, options.width)
    chosen = [codebook[indices] for indices in (nearest_code(rows, codebook), distance_matrix(rows, codebook))]
    distances = [(rows - codes).square().sum(dim=1) for codes in chosen]
    torch.testing.assert_close(*distances)
    sides: dict[str, Callable[[], Tensor]] = {
        "one matrix product": lambda: rows @ codebook.T,
        "nearest_code": lambda: nearest_code(rows, codebook),
        "distance matrix": lambda: distance_matrix(rows, codebook),
    }
    memory = {name: extra_memory(function) for name, function in sides.items()}
    seconds = medians(sides, options.runs)
    for name, value in seconds.items():
        ratio = value / seconds["one matrix product"]
        print(f"{name:20s} {value:.3f} s, ratio {ratio:.2f}, extra memory {memory[name]:.0f} MB")


def _status(name: str) -> int:
    """Return an entry of this process's status in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    main(tyro.cli(Options))
