"""What is written into a token store is read from it, and a damaged store says so."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data import tokens
from data.errors import TokenStoreError
from data.tokens import Split, StoreMetadata, TokenItem, TokenStore, write_shard, write_store

GRID = (2, 3, 4)


def metadata(vocab_size: int = 100, grid: tuple[int, int, int] = GRID) -> StoreMetadata:
    return StoreMetadata(grid, vocab_size, tokenizer="abc", fps=8, frames=8, size=32, decoder="decord 0.6.0")


def random_grids(count: int, vocab_size: int = 100, grid: tuple[int, int, int] = GRID, seed: int = 0) -> Tensor:
    return torch.randint(vocab_size, (count, *grid), generator=torch.Generator().manual_seed(seed))


def items(count: int, split: Split = "train") -> list[TokenItem]:
    return [TokenItem(f"video-{number}.mp4", number / 2, split) for number in range(count)]


def write(folder: Path, grids: Tensor, vocab_size: int = 100, shards: int = 1) -> TokenStore:
    t, h, w = grids.shape[1:]
    described = metadata(vocab_size, (t, h, w))
    written = [write_shard(folder, number, described, part) for number, part in enumerate(grids.chunk(shards))]
    write_store(folder, described, written, items(len(grids)))
    return TokenStore(folder)


@settings(max_examples=25)
@given(
    grid=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    vocab_size=st.sampled_from([1, 2, 1000, 1 << 16, (1 << 16) + 1, 1 << 18]),
    count=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_tokens_come_back_in_raster_order(grid: tuple[int, int, int], vocab_size: int, count: int, seed: int) -> None:
    grids = random_grids(count, vocab_size, grid, seed)
    grids[0, 0, 0, 0] = vocab_size - 1
    with tempfile.TemporaryDirectory() as folder:
        store = write(Path(folder), grids, vocab_size)
        assert store.metadata == metadata(vocab_size, grid)
        assert torch.equal(store.read(range(count)), grids.reshape(count, -1))


@pytest.mark.parametrize(("vocab_size", "size"), [(1 << 16, 2), ((1 << 16) + 1, 4)])
def test_a_token_takes_the_least_room_that_holds_the_vocabulary(tmp_path: Path, vocab_size: int, size: int) -> None:
    write(tmp_path, random_grids(1), vocab_size)
    assert (tmp_path / "tokens-00000.bin").stat().st_size == size * int(np.prod(GRID))


def test_items_are_read_in_any_order_and_more_than_once(tmp_path: Path) -> None:
    grids = random_grids(5)
    assert torch.equal(write(tmp_path, grids).read([4, 0, 4]), grids[[4, 0, 4]].flatten(1))


def test_items_keep_where_they_come_from(tmp_path: Path) -> None:
    store = write(tmp_path, random_grids(3))
    assert (len(store), store.items) == (3, items(3))


def test_splits_are_told_apart(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, 0, metadata(), random_grids(3))
    write_store(tmp_path, metadata(), [shard], [*items(2), *items(1, "validation")])
    store = TokenStore(tmp_path)
    assert (store.split("train"), store.split("validation")) == ([0, 1], [2])


def test_several_shards_read_as_one(tmp_path: Path) -> None:
    grids = random_grids(8)
    store = write(tmp_path, grids, shards=3)
    assert len(list(tmp_path.glob("tokens-*.bin"))) == 3
    assert torch.equal(store.read(range(8)), grids.flatten(1))


def test_a_shard_in_which_nothing_could_be_read_is_left_out(tmp_path: Path) -> None:
    grids = random_grids(4)
    shards = [write_shard(tmp_path, number, metadata(), part) for number, part in enumerate(grids.split([2, 0, 2]))]
    write_store(tmp_path, metadata(), shards, items(4))
    assert torch.equal(TokenStore(tmp_path).read(range(4)), grids.flatten(1))


def test_shards_alone_are_no_store(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, metadata(), random_grids(2))
    with pytest.raises(TokenStoreError, match=r"no token store \(no metadata\.json\)"):
        TokenStore(tmp_path)


def as_written_before(folder: Path, **changes: object) -> None:
    """Makes a store one of an earlier version, which had no digests of its lists."""
    path = folder / "metadata.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if key not in ("items_sha256", "sha256")}))


def test_items_of_stores_without_crops_are_of_the_centre(tmp_path: Path) -> None:
    write(tmp_path, random_grids(2))
    as_written_before(tmp_path)
    path = tmp_path / "items.jsonl"
    path.write_text(path.read_text().replace(', "crop": "centre"', ""))
    assert TokenStore(tmp_path).items == items(2)


def test_items_of_older_stores_say_part_instead_of_split(tmp_path: Path) -> None:
    write(tmp_path, random_grids(2))
    as_written_before(tmp_path)
    path = tmp_path / "items.jsonl"
    path.write_text(path.read_text().replace('"split"', '"part"'))
    assert TokenStore(tmp_path).items == items(2)


@pytest.mark.parametrize("token", [-1, 100])
def test_a_token_outside_the_vocabulary_is_refused(tmp_path: Path, token: int) -> None:
    grids = random_grids(2)
    grids[1, 1, 2, 3] = token
    with pytest.raises(TokenStoreError, match=rf"{token}.*do not fit a vocabulary of 100"):
        write_shard(tmp_path, 0, metadata(), grids)


def test_a_grid_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match=r"grids of \(1, 3, 4\) do not fit a store of \(2, 3, 4\)"):
        write_shard(tmp_path, 0, metadata(), random_grids(2, grid=(1, 3, 4)))


@pytest.mark.parametrize("content", [None, b"", bytes(95)])
def test_a_missing_or_truncated_shard_is_named(tmp_path: Path, content: bytes | None) -> None:
    write(tmp_path, random_grids(2))
    shard = tmp_path / "tokens-00000.bin"
    shard.unlink()
    if content is not None:
        shard.write_bytes(content)
    with pytest.raises(TokenStoreError, match=rf"00\.bin holds {len(content or b'')} bytes, not 96: .*--resume auto"):
        TokenStore(tmp_path)


def flip_a_bit(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[-2] ^= 1
    shard.write_bytes(data)


def test_a_damaged_shard_of_a_small_store_is_named_on_opening(tmp_path: Path) -> None:
    write(tmp_path, random_grids(4), shards=2)
    flip_a_bit(tmp_path / "tokens-00001.bin")
    with pytest.raises(TokenStoreError, match=r"tokens-00001\.bin is damaged .*SHA-256.*--resume auto"):
        TokenStore(tmp_path)


def test_a_damaged_shard_of_a_large_store_is_named_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "HASHED_ON_OPENING", 10)
    grids = random_grids(4)
    write(tmp_path, grids, shards=2)
    flip_a_bit(tmp_path / "tokens-00001.bin")
    store = TokenStore(tmp_path)
    assert torch.equal(store.read([0, 1]), grids[:2].flatten(1))
    with pytest.raises(TokenStoreError, match=r"tokens-00001\.bin is damaged"):
        store.read([2])


def test_a_token_outside_the_vocabulary_is_refused_on_reading(tmp_path: Path) -> None:
    grids = random_grids(3)
    shard = write_shard(tmp_path, 0, metadata(vocab_size=100), grids)
    write_store(tmp_path, metadata(vocab_size=90), [shard], items(3))
    worst = int(grids.flatten(1).amax(dim=1).argmax())
    with pytest.raises(TokenStoreError, match=rf"00\.bin holds token 9\d in item {worst}, the vocabulary has 90"):
        TokenStore(tmp_path).read([worst])


def test_a_list_of_too_few_items_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path, metadata(), [write_shard(tmp_path, 0, metadata(), random_grids(3))], items(2))
    with pytest.raises(TokenStoreError, match=r"items\.jsonl is damaged \(2 items, 3 in shards\)"):
        TokenStore(tmp_path)


def test_a_missing_list_of_items_is_named(tmp_path: Path) -> None:
    write(tmp_path, random_grids(2))
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(TokenStoreError, match=r"no items\.jsonl"):
        TokenStore(tmp_path)


DAMAGE: list[dict[str, object]] = [
    {"shards": []},
    {"unknown": 1},
    {"grid": 7},
    {"grid": [2, 3]},
    {"grid": [2, 3, -4]},
    {"grid": [1 << 40, 1 << 40, 1 << 40]},
    {"vocab_size": 1 << 40},
    {"vocab_size": "100"},
    {"vocab_size": 0},
    {"fps": 0},
    {"fps": "8"},
    {"frames": 1.5},
    {"size": 1 << 40},
    {"tokenizer": None},
    {"shards": [{"name": "tokens-00000.bin", "items": 2, "sha256": 7}]},
    {"shards": [{"name": "../tokens-00000.bin", "items": 2, "sha256": ""}]},
    {"shards": [{"name": "/etc/hostname", "items": 2, "sha256": ""}]},
    {"shards": [{"name": "tokens-00000.bin", "items": True, "sha256": ""}]},
    {"shards": [{"name": "tokens-00000.bin", "items": 1 << 40, "sha256": ""}]},
    {"shards": [{"name": "tokens-00000.bin", "items": 1, "sha256": ""}] * 2},
    {"shards": 3},
]


@pytest.mark.parametrize("change", DAMAGE)
def test_metadata_of_before_are_checked_for_what_no_store_can_hold(tmp_path: Path, change: dict[str, object]) -> None:
    write(tmp_path, random_grids(2))
    as_written_before(tmp_path, **change)
    with pytest.raises(TokenStoreError, match=r"(is damaged|bin holds).*--resume auto") as caught:
        TokenStore(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [*DAMAGE, {"vocab_size": 101}, {"tokenizer": "other"}, {"grid": [3, 2, 4]}])
def test_metadata_that_were_edited_are_noticed(tmp_path: Path, change: dict[str, object]) -> None:
    write(tmp_path, random_grids(2))
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(TokenStoreError, match=r"metadata\.json was edited or damaged .*secondsight data subset"):
        TokenStore(tmp_path)


def test_metadata_may_be_laid_out_otherwise(tmp_path: Path) -> None:
    write(tmp_path, random_grids(2))
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert len(TokenStore(tmp_path)) == 2


def all_for_training(lines: list[str]) -> list[str]:
    return [line.replace("validation", "train") for line in lines]


def one_doubled(lines: list[str]) -> list[str]:
    return [lines[0], lines[0], *lines[2:]]


def two_swapped(lines: list[str]) -> list[str]:
    return [lines[1], lines[0], *lines[2:]]


@pytest.mark.parametrize("edit", [all_for_training, one_doubled, two_swapped])
def test_a_list_of_items_that_was_edited_is_noticed(tmp_path: Path, edit: Callable[[list[str]], list[str]]) -> None:
    shard = write_shard(tmp_path, 0, metadata(), random_grids(4))
    write_store(tmp_path, metadata(), [shard], [*items(3), *items(1, "validation")])
    path = tmp_path / "items.jsonl"
    path.write_text("".join(edit(path.read_text().splitlines(keepends=True))))
    with pytest.raises(TokenStoreError, match=r"items\.jsonl was edited or damaged.*secondsight data subset"):
        TokenStore(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        '{"source": "a.mp4", "start": -1, "split": "train"}',
        '{"source": "a.mp4", "start": 1e999, "split": "train"}',
        '{"source": "a.mp4", "start": NaN, "split": "train"}',
        '{"source": "a.mp4", "start": "0", "split": "train"}',
        '{"source": "a.mp4", "start": 0, "split": "test"}',
        '{"source": "a.mp4", "start": 0, "split": ["train"]}',
        '{"source": 3, "start": 0, "split": "train"}',
        '{"source": "a.mp4", "start": 0, "split": "train", "group": null}',
        '["a.mp4", 0, "train"]',
        "[" * 100_000,
        "",
    ],
)
def test_items_of_before_are_checked_for_what_no_item_can_be(tmp_path: Path, line: str) -> None:
    write(tmp_path, random_grids(2))
    as_written_before(tmp_path)
    path = tmp_path / "items.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(TokenStoreError, match=r"items\.jsonl is damaged \(line 2 is no item") as caught:
        TokenStore(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["metadata.json", "items.jsonl", "tokens-00000.bin"])
@pytest.mark.parametrize("other", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, other: str) -> None:
    write(tmp_path, random_grids(2))
    path = tmp_path / name
    path.unlink()
    if other == "folder":
        path.mkdir()
    elif other == "pipe":
        os.mkfifo(path)  # reading it would wait for ever
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(TokenStoreError, match=rf"{re.escape(name)} is (damaged \(it is )?a (folder|named pipe|device)"):
        TokenStore(tmp_path)


def test_shards_of_another_store_are_noticed(tmp_path: Path) -> None:
    write(tmp_path / "one", random_grids(2))
    write(tmp_path / "other", random_grids(2, seed=1))
    shutil.copy(tmp_path / "other" / "tokens-00000.bin", tmp_path / "one")
    with pytest.raises(TokenStoreError, match=r"tokens-00000\.bin is damaged"):
        TokenStore(tmp_path / "one")


def test_a_list_that_is_far_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, random_grids(2))
    with (tmp_path / "items.jsonl").open("r+b") as file:
        file.truncate(1 << 40)  # takes no room: nothing was written there
    with pytest.raises(TokenStoreError, match=r"items\.jsonl is damaged \(it is larger than [0-9,]+ bytes"):
        TokenStore(tmp_path)


@pytest.mark.parametrize("name", ["metadata.json", "items.jsonl"])
def test_a_list_that_is_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, random_grids(2))
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TokenStoreError, match=rf"{re.escape(name)} (is|was edited or) damaged"):
        TokenStore(tmp_path)


def test_a_folder_that_is_no_store_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match="secondsight vqgan encode"):
        TokenStore(tmp_path)
