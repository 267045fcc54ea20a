"""What does it cost to notice damage when a model is opened: the digest of all its weights, by several algorithms?

    python benchmarks/opening_checkpoints.py [--gigabytes 1 --runs 5 --folder FOLDER]

A GPT of that size is written into a folder and opened again and again by `GPT.from_pretrained`, with the page cache
warm: without a digest in the file, as before there were any, and with one. The candidates are timed alone, over the
same weights. `xxhash` takes part if that package is installed, which Secondsight does not need.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import tyro
from safetensors.torch import load_file, save_file
from timing import medians
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT

LAYER = 12 * 1024**2 * 4
"""Bytes of the weights of a block of width 1024."""


@dataclass(frozen=True)
class Options:
    """Size of the model."""

    gigabytes: float = 1.0
    """Size of its weights."""
    runs: int = 5
    """Timed runs of each way; the median counts."""
    folder: Path | None = None
    """Where it is written; by default a folder that is removed at the end."""


def contents(tensors: dict[str, Tensor]) -> list[Any]:
    """Return the bytes of all tensors, as hash functions take them."""
    return [tensor.reshape(-1).view(torch.uint8).numpy() for tensor in tensors.values()]


def hash_all(function: Callable[[Any], object], tensors: dict[str, Tensor], threads: int) -> None:
    """Hash every tensor, in so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, contents(tensors)))


def candidates() -> dict[str, Callable[[Any], object]]:
    """Return the hash functions by name."""
    known: dict[str, Callable[[Any], object]] = {
        "sha256": hashlib.sha256,
        "blake2b": hashlib.blake2b,
        "crc32 (zlib)": zlib.crc32,
    }
    if find_spec("xxhash"):
        known["xxh3_128 (xxhash)"] = import_module("xxhash").xxh3_128
    return known


def main(options: Options) -> None:
    """Time all ways in turn and print the ratios to opening without a digest."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        layers = max(1, round(options.gigabytes * 1e9 / LAYER))
        torch.manual_seed(0)
        GPT(GPTConfig(layers=layers, heads=16, width=1024, grid=(4, 16, 16), vocab_size=1024)).save_pretrained(
            folder / "with"
        )
        without = folder / "without"
        without.mkdir(exist_ok=True)
        (without / "config.json").write_bytes((folder / "with" / "config.json").read_bytes())
        tensors = load_file(folder / "with" / "model.safetensors")
        save_file(tensors, without / "model.safetensors")
        size = sum(tensor.nbytes for tensor in tensors.values()) / 1e9
        sides: dict[str, Callable[[], object]] = {
            "opened without a digest": partial(GPT.from_pretrained, without),
            "opened with a digest": partial(GPT.from_pretrained, folder / "with"),
        }
        for name, function in candidates().items():
            for threads in (1, 2):
                sides[f"{name}, {threads} threads"] = partial(hash_all, function, tensors, threads)
        seconds = medians(sides, options.runs)
    print(f"{size:.2f} GB, torch with {torch.get_num_threads()} threads")
    for name, value in seconds.items():
        print(f"{name:32s} {value:.3f} s, ratio {value / seconds['opened without a digest']:.2f}")


if __name__ == "__main__":
    main(tyro.cli(Options))
