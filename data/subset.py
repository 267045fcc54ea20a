"""Smaller token stores from larger ones, so that models trained on fewer items differ in nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from data.options import SubsetOptions
from data.tokens import Shard, TokenItem, TokenStore, TokenStoreError, write_shard, write_store

SHARD_ITEMS = 1024
"""Items that are read and written at once."""


def make_subset(options: SubsetOptions) -> Path:
    """Write a part of a token store as the options say, and return its folder.

    Raises:
        TokenStoreError: see `write_subset`; or there is no store, or a damaged one.
    """
    return write_subset(TokenStore(options.tokens), options.out, options.items)


def write_subset(store: TokenStore, out: Path, items: int) -> Path:
    """Write a token store of some training items and all validation items, in the order of `store`.

    An item is a place in a source, with all its crops. The items are those whose source and start have the lowest
    SHA-256, so that a smaller subset is a part of every larger one, in whatever order the store is.

    Args:
        store: to take from.
        out: folder of the new store.
        items: how many training items.

    Returns:
        `out`, with the metadata of `store`.

    Raises:
        TokenStoreError: there are fewer training items, or `out` holds a store or a run.
    """
    places = sorted({place_of(item) for item in store.items if item.part == "train"}, key=rank)
    if not 1 <= items <= len(places):
        raise TokenStoreError(
            f"{store.folder} has {len(places)} training items: ask for 1 to {len(places)}, not {items}"
        )
    if any((out / name).exists() for name in ("metadata.json", "plan.json", "config.json")):
        raise TokenStoreError(f"{out} already holds a token store or a run: choose another folder (--out)")
    chosen = set(places[:items])
    kept = [index for index, item in enumerate(store.items) if item.part == "validation" or place_of(item) in chosen]
    shards = [
        _copy(store, kept[first : first + SHARD_ITEMS], out, number)
        for number, first in enumerate(range(0, len(kept), SHARD_ITEMS))
    ]
    write_store(out, store.metadata, shards, (store.items[index] for index in kept))
    return out


def place_of(item: TokenItem) -> tuple[str, float]:
    """Return the source of an item and where it starts there, in seconds."""
    return item.source, item.start


def rank(place: tuple[str, float]) -> bytes:
    """Return what places in sources are ordered by: those that come first are in every subset."""
    source, start = place
    return hashlib.sha256(os.fsencode(f"{source}\0{start}")).digest()


def _copy(store: TokenStore, indices: Sequence[int], out: Path, number: int) -> Shard:
    return write_shard(out, number, store.metadata, store.read(indices).unflatten(1, store.metadata.grid))
