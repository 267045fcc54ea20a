"""What a GPT has been trained on."""

from pathlib import Path

import pytest
from tiny import GPT_SHORT, make_gpt, make_store

from data.tokens import TokenStore, TokenStoreError
from experiments.diversity.exposure import count_items, sequences_seen
from gpt import config
from gpt.options import TrainOptions
from gpt.train import train


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store") / "tokens")


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setitem(config.PRESETS, "demo", GPT_SHORT)
    out = tmp_path_factory.mktemp("run")
    train(TrainOptions(store, out, preset="demo", steps=6, batch=3, warmup=1, save_every=2, keep=3))
    patch.undo()
    return out


def test_a_finished_run_has_seen_all_its_batches(run: Path, store: Path) -> None:
    assert sequences_seen(run, TokenStore(store)) == 18


def test_a_checkpoint_has_seen_those_before_it(run: Path, store: Path) -> None:
    assert sequences_seen(run / "checkpoints" / "000004", TokenStore(store)) == 12


def test_of_a_model_without_its_run_nothing_is_known(store: Path, tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "models" / "gpt")
    assert sequences_seen(tmp_path / "models" / "gpt", TokenStore(store)) is None


def test_another_store_than_that_of_the_training_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match="give that token store"):
        sequences_seen(run, TokenStore(make_store(tmp_path / "other")))


def test_items_are_counted_once(store: Path) -> None:
    assert count_items(TokenStore(store)) == 9
