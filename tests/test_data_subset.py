"""A subset of a token store holds some of its training items, and differs from it in nothing else."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from data import subset
from data.errors import TokenStoreError
from data.options import SubsetOptions
from data.subset import make_subset, write_subset
from data.tokens import StoreMetadata, TokenItem, TokenStore, write_shard, write_store

METADATA = StoreMetadata((1, 2, 2), 300, "abc", fps=8.0, frames=1, size=4, augment="flip", decoder="pyav 14")
CROPS = ("centre", "flip")
TRAINING = [(f"film-{video}.mp4", start) for video in range(4) for start in (0.0, 2.0, 4.0)]
TRAIN = [TokenItem(source, start, "train", crop) for source, start in TRAINING for crop in CROPS]
VALIDATION = [TokenItem("held-out.mp4", start, "validation") for start in (0.0, 2.0)]


def make_store(folder: Path, items: list[TokenItem]) -> TokenStore:
    """Write a store, of which every item's tokens are its own."""
    numbers = [(VALIDATION + TRAIN).index(item) for item in items]
    grids = torch.tensor(numbers)[:, None, None, None] * 4 + torch.arange(4).reshape(1, 2, 2)
    shards = [write_shard(folder, number, METADATA, part) for number, part in enumerate(grids.split(5))]
    write_store(folder, METADATA, shards, items)
    return TokenStore(folder)


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return make_store(tmp_path / "store", TRAIN[:9] + VALIDATION + TRAIN[9:])


def clips_of(folder: Path) -> set[tuple[str, float]]:
    return {(item.source, item.start) for item in TokenStore(folder).items if item.split == "train"}


def test_a_subset_has_the_items_asked_for_with_all_crops_and_the_whole_validation_split(store: TokenStore) -> None:
    taken = TokenStore(write_subset(store, store.folder / "subset", 5))
    assert taken.metadata == METADATA
    assert [item for item in taken.items if item.split == "validation"] == VALIDATION
    assert {(item.source, item.start, item.crop) for item in taken.items if item.split == "train"} == {
        (source, start, crop) for source, start in clips_of(taken.folder) for crop in CROPS
    }
    assert len(clips_of(taken.folder)) == 5


@pytest.mark.parametrize("shard", [1, 7, 1024])
def test_items_keep_their_order_and_their_tokens(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, shard: int
) -> None:
    monkeypatch.setattr(subset, "SHARD_ITEMS", shard)
    taken = TokenStore(write_subset(store, store.folder / "subset", 5))
    kept = [store.items.index(item) for item in taken.items]
    assert kept == sorted(kept)
    assert torch.equal(taken.read(range(len(taken))), store.read(kept))
    assert len(list(taken.folder.glob("tokens-*.bin"))) == -(-len(kept) // shard)


def test_a_smaller_subset_is_a_part_of_a_larger_one(store: TokenStore) -> None:
    found = [clips_of(write_subset(store, store.folder / str(items), items)) for items in range(1, len(TRAINING) + 1)]
    assert all(smaller < larger for smaller, larger in pairwise(found))
    assert clips_of(write_subset(TokenStore(store.folder / "8"), store.folder / "3 of 8", 3)) == found[2]


def test_which_items_are_taken_does_not_depend_on_the_order_of_the_store(store: TokenStore, tmp_path: Path) -> None:
    shuffled = random.Random(0).sample(store.items, len(store.items))
    other = make_store(tmp_path / "shuffled", shuffled)
    first, second = write_subset(store, tmp_path / "a", 4), write_subset(other, tmp_path / "b", 4)
    assert clips_of(first) == clips_of(second)


def test_which_items_are_taken_is_always_the_same(store: TokenStore) -> None:
    assert clips_of(write_subset(store, store.folder / "part", 2)) == {("film-1.mp4", 0.0), ("film-2.mp4", 4.0)}


def test_all_items_are_a_subset_too(store: TokenStore) -> None:
    assert TokenStore(write_subset(store, store.folder / "all", len(TRAINING))).items == store.items


@pytest.mark.parametrize("items", [0, 13])
def test_more_items_than_there_are_cannot_be_taken(store: TokenStore, items: int) -> None:
    with pytest.raises(TokenStoreError, match=rf"has 12 training items: ask for 1 to 12, not {items}$"):
        write_subset(store, store.folder / "part", items)
    assert not (store.folder / "part").exists()


@pytest.mark.parametrize("name", ["metadata.json", "plan.json", "config.json"])
def test_a_folder_that_is_in_use_is_refused(store: TokenStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / name).write_text("{}")
    with pytest.raises(TokenStoreError, match=r"other already holds a token store or a run: choose another"):
        write_subset(store, tmp_path / "other", 3)
    assert [path.name for path in (tmp_path / "other").iterdir()] == [name]


def test_the_command_takes_from_the_store_it_names(store: TokenStore, tmp_path: Path) -> None:
    out = make_subset(SubsetOptions(tokens=store.folder, out=tmp_path / "out", items=3))
    assert (out, len(clips_of(out))) == (tmp_path / "out", 3)
