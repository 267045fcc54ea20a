"""The training item that agrees most with given tokens is found, whatever the store's size."""

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data.tokens import Part, StoreMetadata, TokenItem, TokenStore, write_shard, write_store
from experiments.diversity import matches
from experiments.diversity.matches import Match, TrainingTokens

LENGTH = 8
EVERYWHERE = torch.arange(LENGTH)


def make_store(
    folder: Path, rows: Tensor, items: list[TokenItem] | None = None, vocab_size: int = 100, shards: int = 1
) -> TokenStore:
    """A store of rows (B, L), L a multiple of 4; of files `0`, `1`, ... if no items are named."""
    grid = (rows.shape[1] // 4, 2, 2)
    metadata = StoreMetadata(grid, vocab_size, tokenizer="", fps=8, frames=8, size=16)
    parts = enumerate(rows.unflatten(1, grid).chunk(shards))
    written = [write_shard(folder, number, metadata, part) for number, part in parts]
    write_store(folder, metadata, written, items or [TokenItem(str(n), 0.0, "train") for n in range(len(rows))])
    return TokenStore(folder)


def search_one_by_one(rows: Tensor, tokens: Tensor, places: Tensor) -> list[Match]:
    """The same by two loops over everything."""
    found = []
    for query in tokens.tolist():
        counts = [sum(row[place] == token for place, token in zip(places.tolist(), query, strict=True)) for row in rows]
        best = max(range(len(rows)), key=lambda number: counts[number])
        found.append(Match(best, int(counts[best]) / len(places)))
    return found


@settings(max_examples=50)
@given(
    seed=st.integers(0, 1000),
    items=st.integers(1, 20),
    queries=st.integers(0, 4),
    places=st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=LENGTH, unique=True),
    vocab_size=st.sampled_from([1, 2, 5, 1 << 17]),
    shards=st.integers(1, 3),
    block=st.sampled_from([1, 3 * LENGTH, 1 << 20]),
)
def test_the_same_items_are_found_as_by_comparing_one_by_one(
    seed: int, items: int, queries: int, places: list[int], vocab_size: int, shards: int, block: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(vocab_size, (items, LENGTH), generator=generator)
    tokens = torch.randint(vocab_size, (queries, len(places)), generator=generator)
    tokens[: items // 2] = rows[: items // 2][:queries][:, places]
    at = torch.tensor(places)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(matches, "BLOCK", block)
        training = TrainingTokens(make_store(Path(folder), rows, vocab_size=vocab_size, shards=shards))
        assert training.nearest(tokens, at) == search_one_by_one(rows, tokens, at)


def test_of_items_that_agree_equally_the_first_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.arange(LENGTH).repeat(6, 1)
    rows[0] += 1
    monkeypatch.setattr(matches, "BLOCK", 2 * LENGTH)
    assert TrainingTokens(make_store(tmp_path, rows)).nearest(rows[5:], EVERYWHERE) == [Match(1, 1.0)]


def test_tokens_are_counted_in_long_items_too(tmp_path: Path) -> None:
    rows = torch.zeros(2, (1 << 16) + 4, dtype=torch.int64)
    rows[0, 4:] = 1
    assert TrainingTokens(make_store(tmp_path, rows)).nearest(rows[1:], torch.arange(rows.shape[1])) == [Match(1, 1.0)]


def test_only_training_items_count_and_their_numbers_are_among_training_items(tmp_path: Path) -> None:
    rows = torch.arange(4 * LENGTH).reshape(4, LENGTH)
    items = [TokenItem(str(n), n / 2, "validation" if n in (0, 2) else "train") for n in range(4)]
    training = TrainingTokens(make_store(tmp_path, rows, items))
    assert training.nearest(rows, EVERYWHERE) == [Match(0, 0.0), Match(0, 1.0), Match(0, 0.0), Match(1, 1.0)]
    assert training.item(1) == items[3]
    assert torch.equal(training.tokens(1), rows[3])


def test_all_crops_of_an_excluded_item_are_left_out(tmp_path: Path) -> None:
    rows = torch.arange(LENGTH).repeat(4, 1)
    rows[3, :2] = 50
    places = [("a", 1.5, "centre"), ("a", 1.5, "centre-flip"), ("a", 0.0, "centre"), ("b", 1.5, "centre")]
    items = [TokenItem(source, start, "train", crop) for source, start, crop in places]
    training = TrainingTokens(make_store(tmp_path, rows, items))
    assert training.nearest(rows[:1], EVERYWHERE, ("a", 1.5)) == [Match(2, 1.0)]
    assert training.nearest(rows[3:], EVERYWHERE, ("b", 1.5)) == [Match(0, 0.75)]


def test_an_item_is_found_by_its_source_and_start_and_of_its_crops_the_first(tmp_path: Path) -> None:
    rows = torch.arange(4 * LENGTH).reshape(4, LENGTH)
    places: list[tuple[str, float, Part]] = [
        ("a", 1.5, "validation"),
        ("a", 0.0, "train"),
        ("a", 1.5, "train"),
        ("a", 1.5, "train"),
    ]
    items = [TokenItem(source, start, part) for source, start, part in places]
    training = TrainingTokens(make_store(tmp_path, rows, items))
    assert torch.equal(training.of_item("a", 1.5), rows[2])
    with pytest.raises(KeyError, match=r"b at 1\.5 s is no training item"):
        training.of_item("b", 1.5)


def test_an_excluded_item_that_is_no_training_item_changes_nothing(tmp_path: Path) -> None:
    rows = torch.arange(LENGTH)[None]
    assert TrainingTokens(make_store(tmp_path, rows)).nearest(rows, EVERYWHERE, ("new", 0.0)) == [Match(0, 1.0)]


def test_a_store_of_one_item_has_none_besides_it(tmp_path: Path) -> None:
    rows = torch.arange(LENGTH)[None]
    with pytest.raises(ValueError, match=r"no training item besides 0 at 0 s.*at least two"):
        TrainingTokens(make_store(tmp_path, rows)).nearest(rows, EVERYWHERE, ("0", 0.0))


def test_a_store_without_training_items_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path, torch.zeros(1, LENGTH, dtype=torch.int64), [TokenItem("a", 0.0, "validation")])
    with pytest.raises(ValueError, match="holds no training items"):
        TrainingTokens(store)


@pytest.mark.parametrize(
    ("tokens", "places", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), torch.arange(2), r"queries \(2, 3\) at places \(2,\)"),
        (torch.zeros(3, dtype=torch.int64), torch.arange(3), r"queries \(3,\) at places \(3,\)"),
        (torch.zeros(2, 0, dtype=torch.int64), torch.arange(0), "P of at least 1"),
        (torch.zeros(2, 1, dtype=torch.int64), torch.tensor([LENGTH]), "places from 8 to 8 do not fit items of 8"),
        (torch.zeros(2, 1, dtype=torch.int64), torch.tensor([-1]), "places from -1 to -1"),
        (torch.full((2, 1), 1 << 16), torch.tensor([0]), "tokens from 65536 to 65536 do not fit the vocabulary of 100"),
        (torch.full((2, 1), -1), torch.tensor([0]), "tokens from -1 to -1"),
    ],
)
def test_queries_that_cannot_be_compared_are_refused(
    tmp_path: Path, tokens: Tensor, places: Tensor, message: str
) -> None:
    training = TrainingTokens(make_store(tmp_path, torch.zeros(2, LENGTH, dtype=torch.int64)))
    with pytest.raises(ValueError, match=message):
        training.nearest(tokens, places)
