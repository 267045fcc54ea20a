"""What an encoding makes, and what of it is done.

plan.json           tokenizer, clip format, sources and size of the shards; every process reads it
tokens-00000.bin    a shard (see `data.tokens`)
tokens-00000.json   its record: number of items, SHA-256, what could not be read, the plan; written after it

Plan and records carry digests of themselves, and records that of their plan, which those of earlier versions lack.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from data.clip_format import ClipFormat
from data.errors import TokenStoreError
from data.exclusion import NOTHING, Exclusion, Kept, leave_out
from data.items import Item, list_items, split_items
from data.sources import Skipped, Source
from data.tokens import Shard, Split, StoreMetadata, TokenItem, check_digest, check_size, read_metadata, shard_name
from storage.checked_files import FaultError, parse_json
from storage.files import to_json, write_text
from storage.records import check_types, digest_of, open_seal, read_record, seal
from vqgan.augment import augmented_size, crop_names
from vqgan.options import Augment

SMALLEST_SHARD = 64
LARGEST_SHARD = 1024
"""Items of a shard. A stopped encoding loses at most one shard a process."""

LARGEST_PLAN = 1 << 30
"""Bytes of a plan, at most; a million sources take half of that."""


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
    excluded: Exclusion = NOTHING
    """What is left out because people tagged it."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what plan.json holds, which tells the records of its shards from those of other plans."""
        return digest_of(_plain(self))

    @cached_property
    def items(self) -> list[Item]:
        """All items in order; of one long video those between training and validation are left out."""
        kept = {_place(item): item for side in (self.kept.training, self.kept.validation) for item in side}
        return [kept[_place(item)] for item in self._listed if _place(item) in kept]

    @cached_property
    def _listed(self) -> list[Item]:
        metadata = self.metadata
        return list_items(self.sources, ClipFormat(metadata.frames, metadata.fps, metadata.size), self.hop)[0]

    @cached_property
    def kept(self) -> Kept:
        """What is left of the two splits, and what is not."""
        return leave_out(self.excluded, *split_items(self._listed), (skip.file for skip in self.skipped))

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

    def crops(self, shard: int, skipped: Mapping[int, str]) -> int:
        """Return how many items the store has of a shard of which some could not be read."""
        read = (index for index in self.indices(shard) if index not in skipped)
        return sum(len(crop_names(self.augment(index))) for index in read)

    def token_items(self, index: int) -> Iterator[TokenItem]:
        """Yield what the store says of each crop of an item."""
        item = self.items[index]
        for crop in crop_names(self.augment(index)):
            split: Split = "validation" if _place(item) in self._held_out else "train"
            yield TokenItem(item.source.name, item.start, split, crop, item.source.group)

    @cached_property
    def _held_out(self) -> frozenset[tuple[str, int, float]]:
        return frozenset(map(_place, self.kept.validation))


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
    plan: str = ""
    """SHA-256 of the plan; empty in records of earlier versions."""


def shard_size(items: int) -> int:
    """Return the items of a shard: few in a small data set, so that all processes have something to do."""
    return min(LARGEST_SHARD, max(SMALLEST_SHARD, math.ceil(items / 64)))


def write_plan(folder: Path, plan: Plan) -> None:
    """Write a plan into the folder of its store."""
    write_text(folder / "plan.json", to_json(seal(_plain(plan))))


def read_plan(folder: Path) -> Plan:
    """Read the plan of a store.

    Raises:
        TokenStoreError: it is missing, damaged or edited.
    """
    path = folder / "plan.json"
    try:
        raw = open_seal(read_record(path, LARGEST_PLAN))
        plan = Plan(
            metadata=read_metadata(raw.pop("metadata")),
            sources=tuple(Source.from_json(source) for source in raw.pop("sources")),
            skipped=tuple(Skipped(**skipped) for skipped in raw.pop("skipped")),
            excluded=Exclusion.from_json(raw.pop("excluded")) if "excluded" in raw else NOTHING,
            **raw,
        )
        check_types(plan)
        if plan.shard_items < 1 or plan.hop <= 0 or not plan.sources:
            raise FaultError(f"{plan.shard_items} items of a shard, every {plan.hop:g} s, {len(plan.sources)} sources")
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise TokenStoreError(f"{path} cannot be read ({error}): encode the data again with --overwrite") from error
    return plan


def write_record(folder: Path, record: Record) -> None:
    """Say that a shard is complete."""
    content = {**asdict(record), "skipped": {str(index): reason for index, reason in record.skipped.items()}}
    write_text(_record_path(folder, record.shard.name), to_json(seal({**content, "decoders": [*record.decoders]})))


def read_shard_record(folder: Path, plan: Plan, number: int) -> Record:
    """Return the record of a shard.

    Raises:
        FileNotFoundError: there is none.
        TokenStoreError: it is damaged, or of another plan; the message names it and says why.
    """
    path = _record_path(folder, shard_name(number))
    try:
        raw = open_seal(read_record(path, LARGEST_PLAN))
        skipped = {int(index): str(reason) for index, reason in raw["skipped"].items()}
        record = Record(Shard(**raw["shard"]), skipped, tuple(raw["decoders"]), raw.get("plan", plan.digest))
        check_types(record.shard)
        _check_belongs(record, plan, number)
    except FileNotFoundError:
        raise
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise TokenStoreError(f"{path} is damaged, or of another encoding ({error})") from error
    return record


def problem_of(folder: Path, plan: Plan, number: int) -> str | None:
    """Return what is wrong with a shard that was encoded before; None if nothing is.

    Raises:
        FileNotFoundError: it was not encoded yet.
    """
    try:
        record = read_shard_record(folder, plan, number)
        check_size(folder, record.shard, plan.metadata)
        check_digest(folder, record.shard)
    except TokenStoreError as error:
        return str(error)
    return None


def holds_encoding(folder: Path) -> bool:
    """Whether a folder holds a token store, finished or not."""
    return (folder / "plan.json").exists() or (folder / "metadata.json").exists()


def discard_encoding(folder: Path) -> None:
    """Remove the token store in a folder, finished or not."""
    names = ("metadata.json", "plan.json", "config.json", "items.jsonl", "skipped.csv")
    for path in (*(folder / name for name in names), *folder.glob("tokens-*.bin"), *folder.glob("tokens-*.json")):
        path.unlink(missing_ok=True)


def _plain(plan: Plan) -> dict[str, Any]:
    """Return a plan in types of JSON."""
    entries = {**asdict(plan), "metadata": plan.metadata.entries}
    if not plan.excluded:
        del entries["excluded"]  # so that such plans have the digests they had before there was a choice
    content: dict[str, Any] = parse_json(to_json(entries, indent=None))
    return content


def _check_belongs(record: Record, plan: Plan, number: int) -> None:
    """Check that a record is about a shard of a plan.

    Raises:
        FaultError: it is not.
    """
    if record.plan != plan.digest:
        raise FaultError("it was written for another plan")
    if record.shard.name != shard_name(number):
        raise FaultError(f"it is about {record.shard.name}")
    if not set(record.skipped) <= set(plan.indices(number)):
        raise FaultError("it is about items of another shard")
    expected = plan.crops(number, record.skipped)
    if record.shard.items != expected:
        raise FaultError(f"it has {record.shard.items} items, not {expected}")


def _record_path(folder: Path, shard: str) -> Path:
    return (folder / shard).with_suffix(".json")
