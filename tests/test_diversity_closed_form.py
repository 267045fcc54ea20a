"""Diversity tables of a GPT whose distributions are known, over a token store whose near-copies are known."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from diversity_runs import Trained, make_trained, run_options
from known_gpt import entropy_bits, make_known_gpt
from torch import Tensor

from data.tokens import StoreMetadata, TokenItem, TokenStore, write_shard, write_store
from experiments.diversity.experiment import run_diversity
from experiments.diversity.tables import MODEL, AuditRow, ItemRow, PositionRow
from experiments.diversity.training_set import Match, TrainingTokens
from storage.tables import read_rows
from vqgan.model import load_tokenizer

CODES, LENGTH, GIVEN = 32, 32, 16
"""Of the tokens (2, 4, 4) of a clip the first latent frame is given."""
CHANGED = 3
"""Generated tokens in which what the copying GPT says differs from the training item that it has learned by heart."""


@dataclass(frozen=True)
class Finished:
    """A diversity run of a GPT whose probabilities (L, V) are known."""

    out: Path
    store: TokenStore
    probabilities: Tensor

    @property
    def items(self) -> list[ItemRow]:
        return [row for row in read_rows(self.out / "items.csv", ItemRow) if row.continuation == MODEL]

    @property
    def positions(self) -> list[PositionRow]:
        return read_rows(self.out / "positions.csv", PositionRow)

    @property
    def audit(self) -> list[AuditRow]:
        return read_rows(self.out / "audit.csv", AuditRow)

    def truth(self, source: str, start: float) -> Tensor:
        """The tokens (L,) of an item in the store."""
        index = next(i for i, item in enumerate(self.store.items) if (item.source, item.start) == (source, start))
        return self.store.read([index])[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tmp_path_factory.mktemp("trained"))


def finish(trained: Trained, probabilities: Tensor, folder: Path, **changes: object) -> Finished:
    gpt = make_known_gpt(probabilities, (2, 4, 4), load_tokenizer(trained.tokenizer).fingerprint)
    gpt.save_pretrained(folder / "gpt")
    out = run_diversity(run_options(trained._replace(gpt=folder / "gpt"), folder / "run", **changes))
    return Finished(out, TokenStore(trained.tokens), probabilities)


def uneven() -> Tensor:
    """Probabilities (L, V) that differ from position to position, none of them 0."""
    weights = torch.rand(LENGTH, CODES, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 4 + 0.01
    return weights / weights.sum(dim=1, keepdim=True)


@pytest.fixture(scope="module")
def chance(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finish(trained, uneven(), tmp_path_factory.mktemp("chance"))


def test_entropy_of_an_item_is_the_sum_in_bits_over_what_is_generated(chance: Finished) -> None:
    expected = float(entropy_bits(chance.probabilities[GIVEN:]).sum())
    assert [row.entropy_bits for row in chance.items] == pytest.approx([expected] * len(chance.items), rel=1e-4)


def test_bits_of_the_truth_are_the_sum_over_its_tokens(chance: Finished) -> None:
    for row in chance.items:
        truth = chance.truth(row.source, row.start)[GIVEN:]
        shares = chance.probabilities[GIVEN:].gather(1, truth[:, None])
        assert row.truth_bits == pytest.approx(float(-shares.log2().sum()), rel=1e-4)


def test_every_position_has_its_own_entropy(chance: Finished) -> None:
    expected = entropy_bits(chance.probabilities).unflatten(0, (2, 4, 4))
    for row in chance.positions:
        assert row.entropy_bits == pytest.approx(float(expected[row.latent_frame, row.row, row.column]), rel=1e-4)
        assert (row.entropy_low, row.entropy_high) == (None, None)  # of items that agree nothing is known of others


def test_surprise_at_a_position_is_the_mean_over_the_truths_of_a_group(chance: Finished) -> None:
    items = [row for row in chance.items if row.encoding == "alone"]
    for row in chance.positions:
        position = 16 * row.latent_frame + 4 * row.row + row.column
        truths = [chance.truth(i.source, i.start)[position] for i in items if i.group == row.group]
        shares = chance.probabilities[position, torch.stack(truths)]
        assert row.truth_bits == pytest.approx(float(-shares.log2().mean()), rel=1e-4)


def test_positions_sum_to_the_bits_of_items(chance: Finished) -> None:
    for group in ("studied", "new"):
        rows = [row for row in chance.positions if (row.group, row.encoding) == (group, "alone")]
        items = [row for row in chance.items if (row.group, row.encoding) == (group, "alone")]
        for name in ("entropy_bits", "truth_bits"):
            mean = sum(getattr(item, name) for item in items) / len(items)
            assert sum(getattr(row, name) for row in rows) == pytest.approx(mean, rel=1e-6)


@pytest.fixture(scope="module")
def copied(trained: Trained) -> int:
    """Which training item the copying GPT has learned by heart: one that the run continues."""
    store = TokenStore(trained.tokens)
    return store.split("train")[0]


@pytest.fixture(scope="module")
def copying(trained: Trained, copied: int, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Always says the second half of one training item, but for `CHANGED` of its 16 tokens."""
    store = TokenStore(trained.tokens)
    tokens = store.read([copied])[0]
    tokens[GIVEN : GIVEN + CHANGED] = unused(store, GIVEN, CHANGED)
    probabilities = torch.nn.functional.one_hot(tokens, CODES).double()
    return finish(trained, probabilities, tmp_path_factory.mktemp("copying"), items=40)


def unused(store: TokenStore, first: int, count: int) -> Tensor:
    """A code for each of so many positions from the first on, which no item of the store has there."""
    rows = store.read(range(len(store)))[:, first : first + count]
    return torch.stack([next(c for c in torch.arange(CODES) if not (column == c).any()) for column in rows.T])


def test_a_copy_agrees_in_exactly_the_tokens_that_were_copied(copying: Finished, copied: int) -> None:
    item = copying.store.items[copied]
    assert len(copying.audit) >= 3 * 20
    for row in copying.audit:
        assert row.matching == (LENGTH - GIVEN - CHANGED) / (LENGTH - GIVEN)
        assert (row.nearest_source, row.nearest_start) == (item.source, item.start)


def test_a_copy_is_its_own_of_that_item_alone(copying: Finished, copied: int) -> None:
    item = copying.store.items[copied]
    own = {(row.source, row.start) for row in copying.audit if row.own}
    assert own == {(item.source, item.start)}


def test_what_agreement_is_worth_without_copying_is_that_with_the_most_similar_other_item(copying: Finished) -> None:
    store = copying.store
    training = store.split("train")
    for row in copying.audit:
        truth = copying.truth(row.source, row.start)[GIVEN:]
        others = [i for i in training if (store.items[i].source, store.items[i].start) != (row.source, row.start)]
        agreement = (store.read(others)[:, GIVEN:] == truth).double().mean(dim=1)
        assert row.truth_matching == float(agreement.max())


def test_continuations_without_chance_are_all_alike_and_have_no_entropy(copying: Finished) -> None:
    for row in copying.items:
        assert row.pairwise_token == 0
        assert row.entropy_bits == pytest.approx(0, abs=1e-6)


def test_a_copy_is_nearest_to_the_truth_of_its_item(copying: Finished, copied: int) -> None:
    item = copying.store.items[copied]
    for row in copying.items:
        expected = CHANGED / 16 if (row.source, row.start) == (item.source, item.start) else None
        truth = copying.truth(row.source, row.start)[GIVEN:]
        said = copying.probabilities[GIVEN:].argmax(dim=1)
        assert row.truth_token == pytest.approx(float((truth != said).double().mean()))
        assert expected is None or row.truth_token == expected


def test_near_copies_agree_in_as_many_tokens_as_they_were_given(tmp_path: Path) -> None:
    """Item k of 0 to 16 has the first k tokens of the query and nothing else of it."""
    metadata = StoreMetadata((1, 4, 4), vocab_size=2, tokenizer="", fps=8.0, frames=1, size=16)
    rows = torch.ones(17, 16, dtype=torch.int64).tril(diagonal=-1)
    items = [TokenItem(str(k), 0.0, "train") for k in range(17)]
    write_store(tmp_path, metadata, [write_shard(tmp_path, 0, metadata, rows.unflatten(1, (1, 4, 4)))], items)
    training = TrainingTokens(TokenStore(tmp_path))
    query = torch.ones(1, 16, dtype=torch.int64)
    everywhere = torch.arange(16)
    assert training.nearest(query, everywhere) == [Match(16, 1.0)]
    assert training.nearest(query, everywhere, excluded=("16", 0.0)) == [Match(15, 15 / 16)]
    assert training.nearest(query[:, 8:], everywhere[8:], excluded=("16", 0.0)) == [Match(15, 7 / 8)]
    assert training.nearest(query[:, :4], everywhere[:4]) == [Match(4, 1.0)]  # of several the first
