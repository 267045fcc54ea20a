"""Smaller token stores from larger ones, so that models trained on fewer items differ in nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from data.errors import TokenStoreError
from data.exclusion import ALL_KEPT, Applied, Clip, Exclusion, read_exclusion
from data.options import SubsetOptions
from data.skipping import write_skipped
from data.tokens import Shard, TokenItem, TokenStore, write_shard, write_store
from storage.lock import FolderLock
from training.progress import say_done, say_found

SHARD_ITEMS = 1024
"""Items that are read and written at once."""


def make_subset(options: SubsetOptions) -> Path:
    """Write a part of a token store as the options say, and return its folder.

    Raises:
        FolderLockError: another process is writing into `options.out`.
        TagError: the table of `--exclude` cannot be used, or is of other data.
        TokenStoreError: see `write_subset`; or there is no store, or a damaged one.
    """
    store = TokenStore(options.tokens)
    exclusion = read_exclusion(options.exclusion, store.clips.frames, store.clips.fps)
    say_found(tokens=f"{len(store.split('train')):,} for training, {len(store.split('validation')):,} for validation")
    excluded = leave_out_of(store, exclusion)
    say_found(**excluded.words)
    with FolderLock(options.out):
        out = write_subset(store, options.out, options.items, excluded)
    say_done(out, "secondsight gpt train --tokens", out, "--out GPT")
    return out


def write_subset(store: TokenStore, out: Path, items: int | None, excluded: Applied = ALL_KEPT) -> Path:
    """Write a token store of some training items and all validation items, in the order of `store`.

    A clip, with all its crops, counts as one item. The clips taken are those whose source and start have the lowest
    SHA-256, so that a smaller subset is a part of every larger one, in whatever order the store is.

    Args:
        store: to take from.
        out: folder of the new store.
        items: how many training items; None for all.
        excluded: what is left out of both splits before; see `leave_out_of`.

    Returns:
        `out`, with the metadata of `store`.

    Raises:
        TokenStoreError: there are fewer training items, or `out` holds a store or a run.
    """
    gone = {(clip.source, clip.start) for clip in excluded.gone}
    listed = [(index, item) for index, item in enumerate(store.items) if clip_of(item) not in gone]
    clips = sorted({clip_of(item) for _, item in listed if item.split == "train"}, key=rank)
    items = len(clips) if items is None else items
    if not 1 <= items <= len(clips):
        raise TokenStoreError(f"{store.folder} has {len(clips)} training items: ask for 1 to {len(clips)}, not {items}")
    if any((out / name).exists() for name in ("metadata.json", "plan.json", "config.json")):
        raise TokenStoreError(f"{out} already holds a token store or a run: choose another folder (--out)")
    chosen = set(clips[:items])
    kept = [index for index, item in listed if item.split == "validation" or clip_of(item) in chosen]
    shards = [
        _copy(store, kept[first : first + SHARD_ITEMS], out, number)
        for number, first in enumerate(range(0, len(kept), SHARD_ITEMS))
    ]
    if excluded.skipped:
        write_skipped(out / "skipped.csv", excluded.skipped)
    write_store(out, store.metadata, shards, (store.items[index] for index in kept))
    return out


def leave_out_of(store: TokenStore, exclusion: Exclusion) -> Applied:
    """Return which clips of a store are left out.

    Raises:
        TagError: no tag is of this store.
        TokenStoreError: nothing is left of a split; without held-out items a GPT is scored on what it learns from.
    """
    if not exclusion:
        return ALL_KEPT
    seconds = store.clips.frames / store.clips.fps
    clips = {Clip(item.source, item.start, seconds): item.split for item in store.items}
    applied = exclusion.apply(list(clips))
    left = {split for clip, split in clips.items() if clip not in applied.gone}
    for split in set(clips.values()) - left:
        raise TokenStoreError(f"{exclusion.table} leaves nothing for {split}: tag fewer clips, or encode more data")
    return applied


def clip_of(item: TokenItem) -> tuple[str, float]:
    """Return the source of an item and where it starts there, in seconds."""
    return item.source, item.start


def rank(clip: tuple[str, float]) -> bytes:
    """Return what clips are ordered by: those that come first are in every subset."""
    source, start = clip
    return hashlib.sha256(os.fsencode(f"{source}\0{start}")).digest()


def _copy(store: TokenStore, indices: Sequence[int], out: Path, number: int) -> Shard:
    return write_shard(out, number, store.metadata, store.read(indices).unflatten(1, store.metadata.grid))
