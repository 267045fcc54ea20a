"""What a GPT was trained on; the training item that agrees most with given tokens, whatever the store's size."""

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_SHORT, make_gpt, make_store
from torch import Tensor

from data.errors import TokenStoreError
from data.tokens import Split, StoreMetadata, TokenItem, TokenStore, write_shard, write_store
from experiments.diversity.training_set import (
    TOKENS_AT_ONCE,
    Match,
    TrainingTokens,
    count_sequences_seen,
    count_training_items,
)
from gpt.options import TrainOptions
from sampling.watch import train_and_watch

LENGTH = 8
EVERYWHERE = torch.arange(LENGTH)


def store_of(
    folder: Path, rows: Tensor, items: list[TokenItem] | None = None, vocab_size: int = 100, shards: int = 1
) -> TokenStore:
    """A store of rows (B, L), L a multiple of 4; of files `0`, `1`, ... if no items are named."""
    grid = (rows.shape[1] // 4, 2, 2)
    metadata = StoreMetadata(grid, vocab_size, tokenizer="", fps=8, frames=8, size=16)
    chunks = enumerate(rows.unflatten(1, grid).chunk(shards))
    written = [write_shard(folder, index, metadata, chunk) for index, chunk in chunks]
    write_store(folder, metadata, written, items or [TokenItem(str(n), 0.0, "train") for n in range(len(rows))])
    return TokenStore(folder)


def search_one_by_one(rows: Tensor, tokens: Tensor, positions: Tensor) -> list[Match]:
    """The same by two loops over everything."""
    found: list[Match] = []
    for query in tokens.tolist():
        pairs = list(zip(positions.tolist(), query, strict=True))
        counts = [sum(int(row[position]) == token for position, token in pairs) for row in rows]
        best = max(range(len(rows)), key=counts.__getitem__)
        found.append(Match(best, counts[best] / len(positions)))
    return found


@settings(max_examples=50)
@given(
    seed=st.integers(0, 1000),
    items=st.integers(1, 20),
    queries=st.integers(0, 4),
    positions=st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=LENGTH, unique=True),
    vocab_size=st.sampled_from([1, 2, 5, 1 << 17]),
    shards=st.integers(1, 3),
    at_once=st.sampled_from([1, 3 * LENGTH, TOKENS_AT_ONCE]),
)
def test_the_same_items_are_found_as_by_comparing_one_by_one(
    seed: int, items: int, queries: int, positions: list[int], vocab_size: int, shards: int, at_once: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(vocab_size, (items, LENGTH), generator=generator)
    tokens = torch.randint(vocab_size, (queries, len(positions)), generator=generator)
    tokens[: items // 2] = rows[: items // 2][:queries][:, positions]
    at = torch.tensor(positions)
    with tempfile.TemporaryDirectory() as folder:
        training = TrainingTokens(store_of(Path(folder), rows, vocab_size=vocab_size, shards=shards), at_once)
        assert training.nearest(tokens, at) == search_one_by_one(rows, tokens, at)


def test_of_items_that_agree_equally_the_first_is_found(tmp_path: Path) -> None:
    rows = torch.arange(LENGTH).repeat(6, 1)
    rows[0] += 1
    training = TrainingTokens(store_of(tmp_path, rows), at_once=2 * LENGTH)
    assert training.nearest(rows[5:], EVERYWHERE) == [Match(1, 1.0)]


def test_tokens_are_counted_in_long_items_too(tmp_path: Path) -> None:
    rows = torch.zeros(2, (1 << 16) + 4, dtype=torch.int64)
    rows[0, 4:] = 1
    assert TrainingTokens(store_of(tmp_path, rows)).nearest(rows[1:], torch.arange(rows.shape[1])) == [Match(1, 1.0)]


def test_only_training_items_count_and_indices_are_among_them(tmp_path: Path) -> None:
    rows = torch.arange(4 * LENGTH).reshape(4, LENGTH)
    items = [TokenItem(str(n), n / 2, "validation" if n in (0, 2) else "train") for n in range(4)]
    training = TrainingTokens(store_of(tmp_path, rows, items))
    assert training.nearest(rows, EVERYWHERE) == [Match(0, 0.0), Match(0, 1.0), Match(0, 0.0), Match(1, 1.0)]
    assert training.item(1) == items[3]
    assert torch.equal(training.tokens(1), rows[3])


def test_all_crops_of_an_excluded_item_are_left_out(tmp_path: Path) -> None:
    rows = torch.arange(LENGTH).repeat(4, 1)
    rows[3, :2] = 50
    crops = [("a", 1.5, "centre"), ("a", 1.5, "centre-flip"), ("a", 0.0, "centre"), ("b", 1.5, "centre")]
    items = [TokenItem(source, start, "train", crop) for source, start, crop in crops]
    training = TrainingTokens(store_of(tmp_path, rows, items))
    assert training.nearest(rows[:1], EVERYWHERE, ("a", 1.5)) == [Match(2, 1.0)]
    assert training.nearest(rows[3:], EVERYWHERE, ("b", 1.5)) == [Match(0, 0.75)]


def test_an_item_is_found_by_its_source_and_start_and_of_its_crops_the_first(tmp_path: Path) -> None:
    rows = torch.arange(4 * LENGTH).reshape(4, LENGTH)
    listed: list[tuple[str, float, Split]] = [
        ("a", 1.5, "validation"),
        ("a", 0.0, "train"),
        ("a", 1.5, "train"),
        ("a", 1.5, "train"),
    ]
    items = [TokenItem(source, start, split) for source, start, split in listed]
    training = TrainingTokens(store_of(tmp_path, rows, items))
    assert torch.equal(training.of_item("a", 1.5), rows[2])
    with pytest.raises(KeyError, match=r"b at 1\.5 s is no training item"):
        training.of_item("b", 1.5)


def test_an_excluded_item_that_is_no_training_item_changes_nothing(tmp_path: Path) -> None:
    rows = torch.arange(LENGTH)[None]
    assert TrainingTokens(store_of(tmp_path, rows)).nearest(rows, EVERYWHERE, ("new", 0.0)) == [Match(0, 1.0)]


def test_a_store_of_one_item_has_none_besides_it(tmp_path: Path) -> None:
    rows = torch.arange(LENGTH)[None]
    with pytest.raises(ValueError, match=r"no training item besides 0 at 0 s.*at least two"):
        TrainingTokens(store_of(tmp_path, rows)).nearest(rows, EVERYWHERE, ("0", 0.0))


def test_a_store_without_training_items_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, torch.zeros(1, LENGTH, dtype=torch.int64), [TokenItem("a", 0.0, "validation")])
    with pytest.raises(ValueError, match="holds no training items"):
        TrainingTokens(store)


@pytest.mark.parametrize(
    ("tokens", "positions", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), torch.arange(2), r"queries \(2, 3\) at positions \(2,\)"),
        (torch.zeros(3, dtype=torch.int64), torch.arange(3), r"queries \(3,\) at positions \(3,\)"),
        (torch.zeros(2, 0, dtype=torch.int64), torch.arange(0), "P of at least 1"),
        (torch.zeros(2, 1, dtype=torch.int64), torch.tensor([LENGTH]), "positions from 8 to 8 do not fit items of 8"),
        (torch.zeros(2, 1, dtype=torch.int64), torch.tensor([-1]), "positions from -1 to -1"),
        (torch.full((2, 1), 1 << 16), torch.tensor([0]), "tokens from 65536 to 65536 do not fit the vocabulary of 100"),
        (torch.full((2, 1), -1), torch.tensor([0]), "tokens from -1 to -1"),
    ],
)
def test_queries_that_cannot_be_compared_are_refused(
    tmp_path: Path, tokens: Tensor, positions: Tensor, message: str
) -> None:
    training = TrainingTokens(store_of(tmp_path, torch.zeros(2, LENGTH, dtype=torch.int64)))
    with pytest.raises(ValueError, match=message):
        training.nearest(tokens, positions)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store") / "tokens")


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    schedule = {"steps": 6, "batch": 3, "warmup": 1, "save_every": 2, "keep": 3}
    train_and_watch(TrainOptions.of(tokens=store, out=out, **GPT_SHORT.flat(), **schedule))
    return out


def test_a_finished_run_has_seen_all_its_batches(run: Path, store: Path) -> None:
    assert count_sequences_seen(run, TokenStore(store)) == 18


def test_a_checkpoint_has_seen_those_before_it(run: Path, store: Path) -> None:
    assert count_sequences_seen(run / "checkpoints" / "000004", TokenStore(store)) == 12


def test_of_a_model_without_its_run_nothing_is_known(store: Path, tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "models" / "gpt")
    assert count_sequences_seen(tmp_path / "models" / "gpt", TokenStore(store)) is None


def test_another_store_than_that_of_the_training_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match="give that token store"):
        count_sequences_seen(run, TokenStore(make_store(tmp_path / "other")))


def test_items_are_counted_once(store: Path) -> None:
    assert count_training_items(TokenStore(store)) == 9
