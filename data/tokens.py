"""The token store: token grids on disk, memory-mapped, with what is needed to know what they are.

metadata.json      grid, vocabulary, tokenizer, clip format, shards with sizes and SHA-256
items.jsonl        source, start (seconds) and part (train or validation) of every item
tokens-00000.bin   uint16 (uint32 for large vocabularies), items x tokens, raster order
skipped.csv        files that could not be read, and why
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from training.run_folder import to_json, write_text

Part = Literal["train", "validation"]
SHARD_ITEMS = 65_536


class TokenStoreError(ValueError):
    """A token store is missing, damaged or of another kind than asked for."""


@dataclass(frozen=True)
class StoreMetadata:
    """What the tokens of a store are."""

    grid: tuple[int, int, int]
    vocab_size: int
    tokenizer: str
    """Fingerprint of the tokenizer."""
    fps: float
    frames: int
    size: int
    crop: str = "centre"
    decoder: str = ""
    """Name and version of the video decoder, since decoders may differ in the last bit."""

    @property
    def length(self) -> int:
        """Tokens per item."""
        return int(np.prod(self.grid))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest unsigned type that holds the vocabulary."""
        return np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.uint32)


@dataclass(frozen=True)
class TokenItem:
    """Where the tokens of one item come from."""

    source: str
    start: float
    part: Part


@dataclass
class TokenWriter:
    """Writes a token store: `add` batches, then `close`. Nothing is readable as a store before `close`."""

    folder: Path
    metadata: StoreMetadata
    items: list[TokenItem] = field(default_factory=list)
    _pending: list[np.ndarray[Any, Any]] = field(default_factory=list)
    _shards: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the folder and forget a store that stood there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "metadata.json").unlink(missing_ok=True)

    def add(self, grids: Tensor, items: Sequence[TokenItem]) -> None:
        """Append token grids (B, t, h, w) int64.

        Raises:
            TokenStoreError: the grid is another than the store's, or a token lies outside the vocabulary.
        """
        if tuple(grids.shape[1:]) != self.metadata.grid:
            raise TokenStoreError(f"grids of {tuple(grids.shape[1:])} do not fit a store of {self.metadata.grid}")
        if grids.numel() and not 0 <= int(grids.min()) <= int(grids.max()) < self.metadata.vocab_size:
            raise TokenStoreError(
                f"tokens from {int(grids.min())} to {int(grids.max())} "
                f"do not fit a vocabulary of {self.metadata.vocab_size}"
            )
        self._pending += list(grids.flatten(1).cpu().numpy().astype(self.metadata.dtype))
        self.items += items
        while len(self._pending) >= SHARD_ITEMS:
            self._flush(SHARD_ITEMS)

    def close(self) -> None:
        """Write what is pending, then the metadata that makes the folder a store."""
        self._flush(len(self._pending))
        lines = "".join(json.dumps(asdict(item)) + "\n" for item in self.items)
        write_text(self.folder / "items.jsonl", lines)
        write_text(self.folder / "metadata.json", to_json({**asdict(self.metadata), "shards": self._shards}))

    def _flush(self, count: int) -> None:
        if not count:
            return
        rows, self._pending = np.stack(self._pending[:count]), self._pending[count:]
        path = self.folder / f"tokens-{len(self._shards):05d}.bin"
        temporary = path.with_suffix(".tmp")
        # Ordinary writes, because a full disk kills a process that writes through a memory map.
        with temporary.open("wb") as file:
            file.write(rows.tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        digest = hashlib.sha256(rows.tobytes()).hexdigest()
        self._shards.append({"name": path.name, "items": count, "sha256": digest})


class TokenStore:
    """A token store, read through memory maps.

    Raises:
        TokenStoreError: the folder is no store or its lists are damaged, or a shard is missing or truncated (it is
            named).
    """

    def __init__(self, folder: Path) -> None:
        try:
            raw = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
            lines = (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
            shards = raw.pop("shards")
            self.metadata = StoreMetadata(**{**raw, "grid": tuple(raw["grid"])})
            self.items = [TokenItem(**json.loads(line)) for line in lines]
        except FileNotFoundError as error:
            raise TokenStoreError(
                f"{folder} is no token store (no {Path(error.filename).name}): "
                "write one with `secondsight vqgan encode`"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise TokenStoreError(f"the token store in {folder} is damaged ({error}): encode the data again") from error
        self.folder = folder
        self._shards = [self._map(shard) for shard in shards]
        self._first = np.cumsum([0] + [len(shard) for shard in self._shards])

    def __len__(self) -> int:
        return len(self.items)

    def read(self, indices: Sequence[int]) -> Tensor:
        """Return the tokens of some items: (B, L) int64."""
        rows = []
        for index in indices:
            shard = int(np.searchsorted(self._first, index, side="right")) - 1
            rows.append(self._shards[shard][index - self._first[shard]])
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def part(self, part: Part) -> list[int]:
        """Return the indices of the items of a part."""
        return [index for index, item in enumerate(self.items) if item.part == part]

    def _map(self, shard: dict[str, Any]) -> np.ndarray[Any, Any]:
        path = self.folder / shard["name"]
        shape = (shard["items"], self.metadata.length)
        expected = shape[0] * shape[1] * self.metadata.dtype.itemsize
        found = path.stat().st_size if path.exists() else 0
        if found != expected:
            raise TokenStoreError(f"{path} holds {found} bytes, not {expected}: encode the data again")
        return np.memmap(path, self.metadata.dtype, mode="r", shape=shape)
