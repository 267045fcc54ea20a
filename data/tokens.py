"""The token store: token grids on disk, memory-mapped, with what is needed to know what they are.

metadata.json      grid, vocabulary, tokenizer, clip format, shards with their number of items and SHA-256, the SHA-256
                   of the list of items, and its own
items.jsonl        source, start (seconds), split (train or validation) and crop of every item
tokens-00000.bin   uint16 (uint32 for large vocabularies), items x tokens, raster order
skipped.csv        files and clips that could not be read, and why
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import IO, Any, Literal

import numpy as np
import torch
from torch import Tensor

from data.errors import TokenStoreError
from data.inputs import check_tokens
from storage.checked_files import FaultError, parse_json, read_bytes
from storage.files import atomic_write, to_json, write_text
from storage.records import check_types, digest_of, open_seal, read_record, seal

Split = Literal["train", "validation"]

HASHED_ON_OPENING = 256 << 20
"""Bytes up to which a store is compared with its SHA-256 sums at once (a fraction of a second); the shards of a larger
one are compared when they are first read from."""

REPAIR = "make it again with the same `secondsight vqgan encode` command and --resume auto"

NOT_BY_HAND = (
    "a store is not edited by hand: for fewer items use `secondsight data subset`, for anything else encode again "
    "(`secondsight vqgan encode` with --resume auto makes this store anew)"
)

ITEMS_DIGEST = "items_sha256"
"""The key in metadata.json of the SHA-256 of items.jsonl."""

MOST_TOKENS = 1 << 24
"""Tokens of an item, at most."""
MOST_CODES = 1 << 32
"""Codes that fit into the largest type of a shard."""
MOST_PIXELS = 1 << 14
"""Pixels a side, at most."""
MOST_FRAMES = 1 << 20
"""Frames of an item, at most."""
LONGEST_LINE = 1 << 16
"""Bytes of a line of items.jsonl, on average at most; longer lists are no lists of these items."""


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
    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that the tokenizer's layers computed with."""

    @property
    def entries(self) -> dict[str, Any]:
        """All of it by name; fp32 is left out, so that such stores have the digests they had before it was said."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("precision", "fp32")}

    @property
    def length(self) -> int:
        """Tokens per item."""
        return math.prod(self.grid)

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


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"tokens-{number:05d}.bin"


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
    path = folder / shard_name(number)

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
    listed = "".join(json.dumps(asdict(item)) + "\n" for item in items)
    write_text(folder / "items.jsonl", listed)
    content = {
        **metadata.entries,
        "grid": list(metadata.grid),
        "shards": [asdict(shard) for shard in shards if shard.items],
        ITEMS_DIGEST: hashlib.sha256(listed.encode()).hexdigest(),
    }
    write_text(folder / "metadata.json", to_json(seal(content)))


def read_metadata(raw: Mapping[str, Any]) -> StoreMetadata:
    """Return the metadata whose entries are those of a JSON object, as they stand in the plan of a store.

    Raises:
        FaultError: a value is of the wrong type, or out of range.
        KeyError, TypeError: an entry is missing or unknown.
    """
    metadata = StoreMetadata(**{**raw, "grid": tuple(raw["grid"])})
    check_types(metadata)
    _check_ranges(metadata)
    return metadata


def check_size(folder: Path, shard: Shard, metadata: StoreMetadata) -> None:
    """Check that the file of a shard is there and whole.

    Raises:
        TokenStoreError: it is missing or has another size; the message names it and says what to do.
    """
    path = folder / shard.name
    expected = shard.items * metadata.length * metadata.dtype.itemsize
    if path.exists() and not path.is_file():
        raise TokenStoreError(f"{path} is a folder, pipe or device, not a file of tokens: {REPAIR}")
    found = path.stat().st_size if path.exists() else 0
    if found != expected or not path.exists():
        raise TokenStoreError(f"{path} holds {found} bytes, not {expected}: {REPAIR}")


def check_digest(folder: Path, shard: Shard) -> None:
    """Check that the file of a shard holds what was written.

    Raises:
        TokenStoreError: its SHA-256 is another; the message names it and says what to do.
    """
    path = folder / shard.name
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TokenStoreError(f"{path} cannot be read ({error.strerror}): {REPAIR}") from error
    if found != shard.sha256:
        raise TokenStoreError(f"{path} is damaged (its SHA-256 is {found}, not {shard.sha256}): {REPAIR}")


class TokenStore:
    """A token store, read through memory maps; `digest` is a SHA-256 that tells it from other stores.

    On opening, metadata.json and items.jsonl are compared with their SHA-256 sums, which stores of earlier versions do
    not have, and checked for types and ranges; so are the sizes of all shards. The SHA-256 sums of shards are checked
    at once if the store is small (`HASHED_ON_OPENING`), otherwise when a shard is first read from.

    Raises:
        TokenStoreError: the folder is no store or its lists are damaged or edited, or a shard is missing, truncated or
            damaged (it is named).
    """

    def __init__(self, folder: Path) -> None:
        check_tokens(folder)
        self.metadata, self._shards, digest, self.digest = _read_metadata(folder / "metadata.json")
        for shard in self._shards:
            check_size(folder, shard, self.metadata)
        self.items = _read_items(folder / "items.jsonl", sum(shard.items for shard in self._shards), digest)
        self.folder = folder
        self._tokens = [self._map(shard) for shard in self._shards]
        self._first = np.cumsum([0] + [shard.items for shard in self._shards])
        self._unchecked = set(range(len(self._shards)))
        if sum(tokens.nbytes for tokens in self._tokens) <= HASHED_ON_OPENING:
            for number in range(len(self._shards)):
                self._check(number)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def clips(self) -> StoreMetadata:
        """What the clips are that were encoded; `metadata` is of its items, which may be parts of them."""
        return self.metadata

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
        shape = (shard.items, self.metadata.length)
        return np.memmap(self.folder / shard.name, self.metadata.dtype, mode="r", shape=shape)


def unigram_entropy(tokens: Tensor, vocab_size: int) -> float:
    """Return the entropy of the histogram of int64 tokens of any shape, in nats per token.

    No model that ignores context can have a lower mean NLL on these very tokens.
    """
    counts = torch.bincount(tokens.flatten(), minlength=vocab_size).double()
    frequency = counts[counts > 0] / counts.sum()
    return float(-(frequency * frequency.log()).sum())


def _read_metadata(path: Path) -> tuple[StoreMetadata, list[Shard], str | None, str]:
    """Return the metadata of a store, its shards, and the SHA-256 of its list of items and of everything.

    Older stores do not know that of their list.

    Raises:
        FileNotFoundError: the folder holds no store.
        TokenStoreError: the file is damaged or edited, or says what no store can hold.
    """
    try:
        raw = read_record(path)
    except FaultError as error:
        raise TokenStoreError(f"{path} is damaged ({error}): {REPAIR}") from error
    try:
        raw = open_seal(raw)
    except FaultError as error:
        raise TokenStoreError(f"{path} was edited or damaged ({error}): {NOT_BY_HAND}") from error
    whole = digest_of(raw)
    try:
        digest = raw.pop(ITEMS_DIGEST, None)
        shards = [Shard(**shard) for shard in raw.pop("shards")]
        metadata = read_metadata(raw)
        _check_shards(shards)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise TokenStoreError(f"{path} is damaged ({reason}): {REPAIR}") from error
    return metadata, shards, digest, whole


def _check_ranges(metadata: StoreMetadata) -> None:
    limits = {
        "vocab_size": (1, metadata.vocab_size, MOST_CODES),
        "tokens of an item": (1, metadata.length if min(metadata.grid) > 0 else 0, MOST_TOKENS),
        "frames": (1, metadata.frames, MOST_FRAMES),
        "size": (1, metadata.size, MOST_PIXELS),
        "augment_size": (0, metadata.augment_size, MOST_PIXELS),
    }
    for name, (low, value, high) in limits.items():
        if not low <= value <= high:
            raise FaultError(f"{name} cannot be {value}: {low} to {high} are possible")
    if metadata.fps <= 0:
        raise FaultError(f"fps cannot be {metadata.fps:g}")


def _check_shards(shards: Sequence[Shard]) -> None:
    names = [shard.name for shard in shards]
    for shard in shards:
        check_types(shard)
        if PurePath(shard.name).name != shard.name or shard.name in ("", ".", "..") or {*"/\\:\0"} & {*shard.name}:
            raise FaultError(f"a shard is called {shard.name!r}, which is no name of a file in the folder")
        if shard.items < 1:
            raise FaultError(f"{shard.name} has {shard.items} items")
    if len(set(names)) < len(names):
        raise FaultError(f"{next(name for name in names if names.count(name) > 1)} is listed twice")


def _read_items(path: Path, count: int, digest: str | None) -> list[TokenItem]:
    """Return the items of a store, of which there must be `count`, and whose list must have this SHA-256 if any.

    Raises:
        FileNotFoundError: there is no list.
        TokenStoreError: the list is damaged or edited.
    """
    try:
        content = read_bytes(path, (count + 1) * LONGEST_LINE)
    except FaultError as error:
        raise TokenStoreError(f"{path} is damaged ({error}): {REPAIR}") from error
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise TokenStoreError(
            f"{path} was edited or damaged, or is that of another store (its SHA-256 is not the one in metadata.json): "
            f"{NOT_BY_HAND}"
        )
    lines = content.splitlines()
    try:
        items = [_read_item(line, number) for number, line in enumerate(lines, start=1)]
        if len(items) != count:
            raise FaultError(f"{len(items)} items, {count} in shards")
    except (TypeError, ValueError) as error:
        raise TokenStoreError(f"{path} is damaged ({error}): {REPAIR}") from error
    return items


def _read_item(line: bytes, number: int) -> TokenItem:
    try:
        values = parse_json(line)
        if "part" in values:
            values["split"] = values.pop("part")  # stores of before say `part`
        item = TokenItem(**values)
    except (TypeError, ValueError) as error:
        raise FaultError(f"line {number} is no item: {error}") from error
    start: Any = item.start
    if (
        item.split not in ("train", "validation")
        or not isinstance(start, int | float)
        or not 0 <= start < math.inf
        or not type(item.source) is type(item.crop) is type(item.group) is str
    ):
        raise FaultError(f"line {number} is no item: {line[:120].decode(errors='replace')}")
    return item
