"""The token store: token grids on disk, memory-mapped, with what is needed to know what they are.

metadata.json      grid, vocabulary, tokenizer, clip format, shards with their number of items and SHA-256
items.jsonl        source, start (seconds), split (train or validation) and crop of every item
tokens-00000.bin   uint16 (uint32 for large vocabularies), items x tokens, raster order
skipped.csv        files and clips that could not be read, and why
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from torch import Tensor

from storage.files import atomic_write, to_json, write_text

Split = Literal["train", "validation"]

HASHED_ON_OPENING = 256 << 20
"""Bytes up to which a store is compared with its SHA-256 sums at once (a fraction of a second); the shards of a larger
one are compared when they are first read from."""

REPAIR = "make it again with the same `secondsight vqgan encode` command and --resume auto"


class TokenStoreError(ValueError):
    """A token store is missing, damaged or of another kind than asked for."""


@dataclass(frozen=True)
class StoreMetadata:
    """What the tokens of a store are."""

    grid: tuple[int, int, int]
    """Tokens of an item by latent frames, rows and columns (t, h, w)."""
    vocab_size: int
    """Number of codes."""
    tokenizer: str
    """Fingerprint of the tokenizer."""
    fps: float
    """Frames a second of the clips that were encoded."""
    frames: int
    """Frames of an item; 1 for images."""
    size: int
    """Pixels a side."""
    crop: str = "centre"
    """What is encoded of every item; training items may have other crops besides (`augment`)."""
    augment: str = "none"
    """Further crops of training items: none, flip or ten-crop. Each item says which crop it is."""
    augment_size: int = 0
    """Pixels a side of the centre squares that ten crops were cut from; 0 without such crops."""
    decoder: str = ""
    """Name and version of the video decoder, since decoders may differ in the last bit."""

    @property
    def length(self) -> int:
        """Tokens per item."""
        return int(np.prod(self.grid))

    @property
    def pixels(self) -> int:
        """Pixels of an item before the tokenizer, a pixel being a place in a frame with all of its colours."""
        return self.frames * self.size**2

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest unsigned type that holds the vocabulary."""
        return np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.uint32)


@dataclass(frozen=True)
class TokenItem:
    """Where the tokens of one item come from."""

    source: str
    """File it was cut out of."""
    start: float
    """Seconds into a video; 0 for an image."""
    split: Split
    """`train` or `validation`; all items of a group are in one."""
    crop: str = "centre"
    """Which crop of the frames it is."""
    group: str = ""
    """What the split kept together; empty for the file itself."""


@dataclass(frozen=True)
class Shard:
    """One file of tokens."""

    name: str
    """Of the file."""
    items: int
    """How many items it holds."""
    sha256: str
    """Of its bytes, in hexadecimal digits."""


def write_shard(folder: Path, number: int, metadata: StoreMetadata, grids: Tensor) -> Shard:
    """Write token grids (B, t, h, w) int64 as a shard that appears complete or not at all.

    Raises:
        TokenStoreError: the grid is another than the store's, or a token lies outside the vocabulary.
    """
    if tuple(grids.shape[1:]) != metadata.grid:
        raise TokenStoreError(f"grids of {tuple(grids.shape[1:])} do not fit a store of {metadata.grid}")
    if grids.numel() and not 0 <= int(grids.min()) <= int(grids.max()) < metadata.vocab_size:
        raise TokenStoreError(
            f"tokens from {int(grids.min())} to {int(grids.max())} do not fit a vocabulary of {metadata.vocab_size}"
        )
    data = grids.flatten(1).cpu().numpy().astype(metadata.dtype).tobytes()
    path = folder / f"tokens-{number:05d}.bin"

    def write(file: IO[bytes]) -> None:
        # Ordinary writes, because a full disk kills a process that writes through a memory map.
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

    atomic_write(path, write)
    return Shard(path.name, len(grids), hashlib.sha256(data).hexdigest())


def write_store(folder: Path, metadata: StoreMetadata, shards: Iterable[Shard], items: Iterable[TokenItem]) -> None:
    """Make a store of the shards that were written into its folder: from here on it can be read.

    Args:
        folder: of the store.
        metadata: of the store.
        shards: in order; empty ones are left out.
        items: of all shards, in order.
    """
    write_text(folder / "items.jsonl", "".join(json.dumps(asdict(item)) + "\n" for item in items))
    listed = [asdict(shard) for shard in shards if shard.items]
    write_text(folder / "metadata.json", to_json({**asdict(metadata), "shards": listed}))


def check_size(folder: Path, shard: Shard, metadata: StoreMetadata) -> None:
    """Check that the file of a shard is there and whole.

    Raises:
        TokenStoreError: it is missing or has another size; the message names it and says what to do.
    """
    path = folder / shard.name
    expected = shard.items * metadata.length * metadata.dtype.itemsize
    found = path.stat().st_size if path.exists() else 0
    if found != expected or not path.exists():
        raise TokenStoreError(f"{path} holds {found} bytes, not {expected}: {REPAIR}")


def check_digest(folder: Path, shard: Shard) -> None:
    """Check that the file of a shard holds what was written.

    Raises:
        TokenStoreError: its SHA-256 is another; the message names it and says what to do.
    """
    path = folder / shard.name
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != shard.sha256:
        raise TokenStoreError(f"{path} is damaged (its SHA-256 is {found}, not {shard.sha256}): {REPAIR}")


class TokenStore:
    """A token store, read through memory maps.

    The sizes of all shards are checked on opening; so are their SHA-256 sums if the store is small
    (`HASHED_ON_OPENING`), otherwise when a shard is first read from.

    Raises:
        TokenStoreError: the folder is no store or its lists are damaged, or a shard is missing, truncated or damaged
            (it is named).
    """

    def __init__(self, folder: Path) -> None:
        try:
            raw = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
            lines = (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
            self._shards = [Shard(**shard) for shard in raw.pop("shards")]
            self.metadata = StoreMetadata(**{**raw, "grid": tuple(raw["grid"])})
            self.items = [_read_item(line) for line in lines]
            if len(self.items) != sum(shard.items for shard in self._shards):
                raise ValueError(f"{len(self.items)} items, {sum(shard.items for shard in self._shards)} in shards")
        except FileNotFoundError as error:
            raise TokenStoreError(
                f"{folder} is no token store (no {Path(error.filename).name}): "
                "write one with `secondsight vqgan encode`"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise TokenStoreError(f"the token store in {folder} is damaged ({error}): {REPAIR}") from error
        self.folder = folder
        self._tokens = [self._map(shard) for shard in self._shards]
        self._first = np.cumsum([0] + [shard.items for shard in self._shards])
        self._unchecked = set(range(len(self._shards)))
        if sum(tokens.nbytes for tokens in self._tokens) <= HASHED_ON_OPENING:
            for number in range(len(self._shards)):
                self._check(number)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, indices: Sequence[int]) -> Tensor:
        """Return the tokens of some items: (B, L) int64.

        Raises:
            TokenStoreError: a shard is damaged, or holds a token outside the vocabulary.
        """
        return torch.from_numpy(self.read_stored(indices).astype(np.int64))

    def read_stored(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        """Return the same in the small type that the store keeps: (B, L) of `metadata.dtype`."""
        items = np.asarray(indices, dtype=np.int64)
        rows = np.empty((len(items), self.metadata.length), self.metadata.dtype)
        numbers = np.searchsorted(self._first, items, side="right") - 1
        for number in np.unique(numbers).tolist():
            self._check(number)
            here = numbers == number
            rows[here] = self._tokens[number][items[here] - self._first[number]]
        outside = np.flatnonzero(rows.max(axis=1) >= self.metadata.vocab_size)
        if len(outside):
            row = outside[0]
            raise TokenStoreError(
                f"{self.folder / self._shards[numbers[row]].name} holds token {rows[row].max()} in item "
                f"{items[row]}, the vocabulary has {self.metadata.vocab_size}: {REPAIR}"
            )
        return rows

    def split(self, split: Split) -> list[int]:
        """Return the indices of the items of a split."""
        return [index for index, item in enumerate(self.items) if item.split == split]

    def _check(self, number: int) -> None:
        if number in self._unchecked:
            check_digest(self.folder, self._shards[number])
            self._unchecked.discard(number)

    def _map(self, shard: Shard) -> np.ndarray[Any, Any]:
        check_size(self.folder, shard, self.metadata)
        shape = (shard.items, self.metadata.length)
        return np.memmap(self.folder / shard.name, self.metadata.dtype, mode="r", shape=shape)


def unigram_entropy(tokens: Tensor, vocab_size: int) -> float:
    """Return the entropy of the histogram of int64 tokens of any shape, in nats per token.

    No model that ignores context can have a lower mean NLL on these very tokens.
    """
    counts = torch.bincount(tokens.flatten(), minlength=vocab_size).double()
    frequency = counts[counts > 0] / counts.sum()
    return float(-(frequency * frequency.log()).sum())


def _read_item(line: str) -> TokenItem:
    values = json.loads(line)
    # Stores of before say `part`.
    return TokenItem(**{"split" if name == "part" else name: value for name, value in values.items()})
