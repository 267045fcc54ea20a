"""What an encoding makes, and what of it is done.

plan.json           tokenizer, clip format, sources and size of the shards; every process reads it
tokens-00000.bin    a shard (see `data.tokens`)
tokens-00000.json   its record: number of items, SHA-256, what could not be read; written after it
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from data.clip_format import ClipFormat
from data.items import Item, list_items, split_items
from data.sources import Skipped, Source
from data.tokens import Shard, Split, StoreMetadata, TokenItem, TokenStoreError, check_digest, check_size
from storage.files import to_json, write_text
from vqgan.augment import augmented_size, crop_names
from vqgan.options import Augment

SMALLEST_SHARD = 64
LARGEST_SHARD = 1024
"""Items of a shard. A stopped encoding loses at most one shard a process."""


@dataclass(frozen=True)
class Plan:
    """What an encoding makes, written once, so that every process and every continuation makes the same."""

    metadata: StoreMetadata
    hop: float
    """Seconds from the beginning of a clip to that of the next."""
    shard_items: int
    """Items of a shard, of which those that cannot be read will be missing."""
    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...]
    """Files that were found to be unusable while planning."""

    @cached_property
    def items(self) -> list[Item]:
        """All items in order; of one long video those between training and validation are left out."""
        kept = {_place(item): item for side in self._split for item in side}
        return [kept[_place(item)] for item in self._listed if _place(item) in kept]

    @cached_property
    def _listed(self) -> list[Item]:
        metadata = self.metadata
        return list_items(self.sources, ClipFormat(metadata.frames, metadata.fps, metadata.size), self.hop)[0]

    @cached_property
    def _split(self) -> tuple[list[Item], list[Item]]:
        return split_items(self._listed)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return math.ceil(len(self.items) / self.shard_items)

    def indices(self, shard: int) -> range:
        """Return the indices in `items` of the items of a shard."""
        first = shard * self.shard_items
        return range(first, min(first + self.shard_items, len(self.items)))

    def augment(self, index: int) -> Augment:
        """Return which crops of an item are encoded; those of validation items are never augmented."""
        return "none" if _place(self.items[index]) in self._held_out else cast(Augment, self.metadata.augment)

    def request(self, index: int) -> tuple[Item, ClipFormat]:
        """Return an item and how it is to be read."""
        metadata = self.metadata
        size = augmented_size(self.augment(index), metadata.size)
        return self.items[index], ClipFormat(metadata.frames, metadata.fps, size)

    def token_items(self, index: int) -> Iterator[TokenItem]:
        """Yield what the store says of each crop of an item."""
        item = self.items[index]
        for crop in crop_names(self.augment(index)):
            split: Split = "validation" if _place(item) in self._held_out else "train"
            yield TokenItem(item.source.name, item.start, split, crop, item.source.group)

    @cached_property
    def _held_out(self) -> frozenset[tuple[str, int, float]]:
        return frozenset(map(_place, self._split[1]))


def _place(item: Item) -> tuple[str, int, float]:
    """Return what tells an item from all others of a data set."""
    return item.source.name, item.source.offset, item.start


@dataclass(frozen=True)
class Record:
    """What became of the items of a shard."""

    shard: Shard
    skipped: dict[int, str]
    """Places of the items that could not be read, and why."""
    decoders: tuple[str, ...]
    """Names and versions of the video decoders that were used."""


def shard_size(items: int) -> int:
    """Return the items of a shard: few in a small data set, so that all processes have something to do."""
    return min(LARGEST_SHARD, max(SMALLEST_SHARD, math.ceil(items / 64)))


def write_plan(folder: Path, plan: Plan) -> None:
    """Write a plan into the folder of its store."""
    write_text(folder / "plan.json", to_json(asdict(plan)))


def read_plan(folder: Path) -> Plan:
    """Read the plan of a store.

    Raises:
        TokenStoreError: it is missing or damaged.
    """
    try:
        raw = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        metadata = raw.pop("metadata")
        return Plan(
            metadata=StoreMetadata(**{**metadata, "grid": tuple(metadata["grid"])}),
            sources=tuple(Source.from_json(source) for source in raw.pop("sources")),
            skipped=tuple(Skipped(**skipped) for skipped in raw.pop("skipped")),
            **raw,
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise TokenStoreError(
            f"{folder / 'plan.json'} cannot be read ({error}): encode the data again with --overwrite"
        ) from error


def write_record(folder: Path, record: Record) -> None:
    """Say that a shard is complete."""
    write_text(_record_path(folder, record.shard.name), to_json(asdict(record)))


def read_record(folder: Path, number: int) -> Record | None:
    """Return the record of a shard; None if there is none, or a damaged one."""
    try:
        raw = json.loads(_record_path(folder, f"tokens-{number:05d}.bin").read_text(encoding="utf-8"))
        skipped = {int(index): str(reason) for index, reason in raw["skipped"].items()}
        return Record(Shard(**raw["shard"]), skipped, tuple(raw["decoders"]))
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        return None


def is_complete(folder: Path, metadata: StoreMetadata, number: int) -> bool:
    """Whether a shard was encoded and its file holds what was written."""
    record = read_record(folder, number)
    if record is None:
        return False
    try:
        check_size(folder, record.shard, metadata)
        check_digest(folder, record.shard)
    except TokenStoreError:
        return False
    return True


def holds_encoding(folder: Path) -> bool:
    """Whether a folder holds a token store, finished or not."""
    return (folder / "plan.json").exists() or (folder / "metadata.json").exists()


def discard_encoding(folder: Path) -> None:
    """Remove the token store in a folder, finished or not."""
    names = ("metadata.json", "plan.json", "config.json", "items.jsonl", "skipped.csv")
    for path in (*(folder / name for name in names), *folder.glob("tokens-*.bin"), *folder.glob("tokens-*.json")):
        path.unlink(missing_ok=True)


def _record_path(folder: Path, shard: str) -> Path:
    return (folder / shard).with_suffix(".json")
