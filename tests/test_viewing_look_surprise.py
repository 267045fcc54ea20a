"""Surprise on a page is that of `gpt eval`, token by token, of one GPT or of the checkpoints of a run."""

import base64
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from known_gpt import halving, make_known_gpt
from numpy.typing import NDArray
from tiny import GPT_LEGACY, GPT_SHORT, make_gpt, make_store

from data.tokens import TokenStore
from gpt import train as training
from gpt.config import MismatchError
from gpt.evaluate import evaluate
from gpt.model import GPT
from gpt.options import EvaluateOptions, TrainOptions
from storage.model_paths import CheckpointError
from viewing.look.contents import CHUNK, Number
from viewing.look.surprise import MOST_CHECKPOINTS, SurpriseFound, check_scorers, find_scorers, measure_surprise

STEPS = 10


def grids_of(store: TokenStore) -> NDArray[Any]:
    return store.read_stored(range(len(store))).reshape(-1, *store.metadata.grid)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return TokenStore(make_store(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def run(store: TokenStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of which every step's checkpoint is kept."""
    out = tmp_path_factory.mktemp("run")
    chosen = {**GPT_SHORT.flat(), "steps": STEPS, "batch": 4, "warmup": 1, "save_every": 1, "keep": 99}
    training.train(TrainOptions.of(tokens=store.folder, out=out, **chosen), lambda gpt, held, path: None)
    return out


@pytest.fixture(scope="module")
def found(run: Path, store: TokenStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[SurpriseFound, Path]:
    page = tmp_path_factory.mktemp("page")
    splits = [item.split for item in store.items]
    return measure_surprise(page, grids_of(store), find_scorers([run]), splits), page


def number(found: SurpriseFound, key: str) -> Number:
    (number,) = [each for each in found.numbers if each.key == key]
    return number


def read_bytes(page: Path, name: str, items: int) -> NDArray[np.uint8]:
    kind, number, encoded = json.loads(f"[{(page / name).read_text().removeprefix('look.receive(')[:-3]}]")
    assert name == f"{kind}/{number:05d}.js"
    return np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(items, -1)


def test_held_out_items_are_as_surprising_as_in_the_evaluation(
    found: tuple[SurpriseFound, Path], run: Path, store: TokenStore
) -> None:
    bits = number(found[0], "bits").values
    expected = evaluate(EvaluateOptions(gpt=run, tokens=store.folder))["bits_per_token"]
    assert np.mean([bits[index] for index in store.split("validation")]) == pytest.approx(expected, abs=2e-6)


def test_every_token_has_its_bits_to_half_a_level(
    found: tuple[SurpriseFound, Path], run: Path, store: TokenStore
) -> None:
    surprise, page = found[0].surprise, found[1]
    (name,) = surprise.files
    shown = read_bytes(page, name, len(store)) / 255 * surprise.most_bits
    with torch.no_grad():
        bits = GPT.from_pretrained(run).nll(store.read(range(len(store)))).numpy() / math.log(2)
    np.testing.assert_allclose(shown, bits.clip(max=surprise.most_bits), atol=0.51 * surprise.most_bits / 255)
    assert (bits > surprise.most_bits).mean() <= 0.001


def test_some_checkpoints_of_a_run_score_the_first_and_the_last_among_them(run: Path) -> None:
    steps = [scorer.step for scorer in find_scorers([run])]
    assert len(steps) == MOST_CHECKPOINTS
    assert (steps[0], steps[-1]) == (1, STEPS)
    assert steps == sorted({int(step or 0) for step in steps})


def test_checkpoints_that_a_training_has_removed_meanwhile_are_left_out(
    run: Path, store: TokenStore, tmp_path: Path
) -> None:
    shutil.copytree(run / "checkpoints", tmp_path / "run" / "checkpoints")
    scorers = find_scorers([tmp_path / "run"])
    for scorer in scorers[:-2]:
        shutil.rmtree(scorer.path)
    found = measure_surprise(tmp_path, grids_of(store), scorers, [None] * len(store))
    assert found.checkpoints is not None
    assert found.checkpoints.steps == tuple(scorer.step for scorer in scorers[-2:])
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(CheckpointError, match="has removed all its checkpoints of before meanwhile: ask again"):
        measure_surprise(tmp_path, grids_of(store), scorers, [None] * len(store))


def test_the_fall_is_from_the_first_checkpoint_to_the_last(found: tuple[SurpriseFound, Path], run: Path) -> None:
    checkpoints = found[0].checkpoints
    assert checkpoints is not None
    assert checkpoints.labels == tuple(f"step {step}" for step in checkpoints.steps)
    assert checkpoints.bits[-1] == number(found[0], "bits").values
    fall = np.array(checkpoints.bits[0]) - np.array(checkpoints.bits[-1])
    assert number(found[0], "fall").values == pytest.approx(fall.tolist(), abs=2e-6)
    assert fall.mean() > 0
    assert found[0].surprise.model == f"step {STEPS}"


def test_surprise_is_set_against_the_median_of_the_split(found: tuple[SurpriseFound, Path], store: TokenStore) -> None:
    bits, above = (np.array(number(found[0], key).values) for key in ("bits", "bits_above_split"))
    for split in ("train", "validation"):
        indices = store.split(split)
        np.testing.assert_allclose(above[indices], bits[indices] - np.median(bits[indices]), atol=2e-6)


def test_an_item_of_no_split_is_set_against_none(tmp_path: Path, store: TokenStore) -> None:
    make_gpt().save_pretrained(tmp_path / "gpt")
    splits = ["train", None, *["train"] * 10]
    values = measure_surprise(tmp_path, grids_of(store), find_scorers([tmp_path / "gpt"]), splits)
    assert [value is None for value in number(values, "bits_above_split").values] == [split is None for split in splits]


def test_known_bits_are_shown_as_they_are(tmp_path: Path) -> None:
    gpt = make_known_gpt(halving([5, 1, 2, 3] * 2, 32), (2, 2, 2))
    gpt.save_pretrained(tmp_path / "gpt")
    tokens = np.zeros((CHUNK + 3, 2, 2, 2), np.uint16)
    found = measure_surprise(tmp_path, tokens, find_scorers([tmp_path / "gpt"]), [None] * len(tokens))
    assert found.checkpoints is None
    assert found.surprise.most_bits == pytest.approx(5, abs=0.11)
    assert number(found, "bits").values == pytest.approx([(5 + 1 + 2 + 3) / 4] * len(tokens), abs=1e-4)
    assert found.surprise.files == ("surprise/00000.js", "surprise/00001.js")
    shown = read_bytes(tmp_path, "surprise/00001.js", 3) / 255 * found.surprise.most_bits
    np.testing.assert_allclose(shown, [[5, 1, 2, 3, 5, 1, 2, 3]] * 3, atol=0.02)


def test_the_first_token_of_a_model_without_bos_is_not_scored(tmp_path: Path, store: TokenStore) -> None:
    gpt = make_gpt(GPT_LEGACY)
    gpt.save_pretrained(tmp_path / "gpt")
    found = measure_surprise(tmp_path, grids_of(store), find_scorers([tmp_path / "gpt"]), [None] * len(store))
    assert not read_bytes(tmp_path, "surprise/00000.js", len(store))[:, 0].any()
    with torch.no_grad():
        expected = gpt.nll(store.read(range(len(store))))[:, 1:].mean(dim=1) / math.log(2)
    assert number(found, "bits").values == pytest.approx(expected.tolist(), abs=1e-4)


def test_several_gpts_stand_in_the_order_in_which_they_are_named(tmp_path: Path, store: TokenStore) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for seed, folder in enumerate(folders):
        make_gpt(seed=seed).save_pretrained(folder)
    found = measure_surprise(tmp_path, grids_of(store), find_scorers(folders), [None] * len(store))
    assert found.checkpoints is not None
    assert (found.checkpoints.labels, found.checkpoints.steps) == (tuple(map(str, folders)), (1, 2))


@pytest.mark.parametrize(
    ("grid", "vocabulary", "tokenizer", "reason"),
    [
        ((2, 4, 4), 32, "b", "learned the tokens of tokenizer a, these are of b"),
        ((2, 4, 4), 33, "a", "knows 32 tokens, these are of 33"),
        ((1, 4, 4), 32, "a", r"learned grids of \(2, 4, 4\), these are of \(1, 4, 4\)"),
    ],
)
def test_a_gpt_of_other_tokens_is_refused_by_name(
    grid: tuple[int, int, int], vocabulary: int, tokenizer: str, reason: str, tmp_path: Path
) -> None:
    make_gpt(replace(GPT_SHORT, tokenizer="a")).save_pretrained(tmp_path / "gpt")
    with pytest.raises(MismatchError, match=rf"--gpt .*gpt: the GPT {reason}.*: give the tokenizer"):
        check_scorers(find_scorers([tmp_path / "gpt"]), grid, vocabulary, tokenizer)


def test_a_folder_without_a_gpt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        find_scorers([tmp_path])
