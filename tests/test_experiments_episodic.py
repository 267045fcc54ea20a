"""The episodic store: what was written once is known."""

import sys
from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_gpt
from torch import Tensor

from experiments.memory.episodic import MIXTURE, TEMPERATURE, EpisodicScores, EpisodicStore, trailing_mean
from gpt.config import GPTConfig
from gpt.evaluate import item_nll
from gpt.model import GPT

STILL = GPTConfig(layers=2, heads=2, width=16, grid=(1, 6, 6), vocab_size=32)
LEGACY = replace(STILL, variant="legacy", bos=False)
LEGACY_START = replace(LEGACY, bos=True)
VARIANTS = pytest.mark.parametrize("config", [STILL, LEGACY, LEGACY_START], ids=["rotary", "legacy", "legacy-start"])


def make_images(count: int, seed: int = 0, config: GPTConfig = STILL) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (count, config.window), generator=generator)


def filled(gpt: GPT, images: Tensor, layer: int = 1) -> EpisodicStore:
    store = EpisodicStore(gpt, layer)
    store.write(images)
    return store


def assert_equal(a: EpisodicScores, b: EpisodicScores) -> None:
    torch.testing.assert_close(a.nll, b.nll)
    torch.testing.assert_close(a.familiarity, b.familiarity)


@VARIANTS
def test_what_is_stored_is_at_no_distance(config: GPTConfig) -> None:
    studied = make_images(20)
    assert filled(make_gpt(config), studied).score(studied).familiarity.max() < 0.01


@VARIANTS
@pytest.mark.parametrize("layer", [1, 2])
def test_one_writing_makes_images_familiar(config: GPTConfig, layer: int) -> None:
    studied = make_images(20)
    foils = make_images(20, seed=1)
    store = filled(make_gpt(config), studied, layer)
    assert store.score(studied).familiarity.max() < store.score(foils).familiarity.min()


@VARIANTS
def test_one_writing_makes_images_likely(config: GPTConfig) -> None:
    studied = make_images(20)
    gpt = make_gpt(config)
    assert (filled(gpt, studied).score(studied).nll < item_nll(gpt, studied, 8)).all()


def test_images_moved_by_a_token_stay_familiar_and_likely() -> None:
    # Models that are not trained read mainly the token itself; here the context counts for less than in `make_gpt`.
    studied = make_images(20)
    foils = make_images(20, seed=1)
    gpt = make_gpt(STILL, scale=1.0)
    store = filled(gpt, studied)
    known, new = (store.score(each.unflatten(1, (6, 6)).roll(1, dims=2).flatten(1)) for each in (studied, foils))
    assert known.familiarity.max() < new.familiarity.min()
    assert known.nll.max() < new.nll.min()


def test_an_empty_store_leaves_the_weights_alone() -> None:
    images = make_images(20)
    gpt = make_gpt(STILL)
    expected = EpisodicScores(item_nll(gpt, images, 8), torch.zeros(20))
    assert_equal(EpisodicStore(gpt, 1).score(images), expected)


def test_scores_are_those_of_their_definition() -> None:
    studied = make_images(5)
    tested = make_images(3, seed=1)
    gpt = make_gpt(STILL)
    states: list[Tensor] = []
    hook = gpt.blocks[1].register_forward_hook(lambda block, given, output: states.append(output))
    with torch.no_grad():
        gpt.nll(studied)
        nll = gpt.nll(tested)
    hook.remove()
    stored, asked = (trailing_mean(F.normalize(each, dim=-1), 6) for each in states)
    recalled = torch.zeros(tested.shape)
    for position in range(36):
        near = range(max(0, position - 1), min(position + 2, 36))
        squared = (asked[:, position, None, None] - stored[None, :, near]).square().sum(dim=-1).flatten(1)
        agree = tested[:, position, None] == studied[:, near].flatten()
        recalled[:, position] = ((-squared / TEMPERATURE).softmax(dim=1) * agree).sum(dim=1)
    mixed = -(MIXTURE * recalled + (1 - MIXTURE) * (-nll).exp()).log().mean(dim=1)
    rows = (asked[:, None, 5::6] - stored[None, :, 5::6]).square().sum(dim=-1)
    familiarity = rows.mean(dim=2).amin(dim=1) / TEMPERATURE
    assert_equal(filled(gpt, studied, layer=2).score(tested), EpisodicScores(mixed, familiarity))


def test_mixed_predictions_are_a_distribution_over_images() -> None:
    gpt = make_gpt(replace(STILL, grid=(1, 1, 2), vocab_size=5))
    every = torch.tensor(list(product(range(5), repeat=2)))
    store = filled(gpt, every[[3, 3, 17]])
    assert float((-2 * store.score(every).nll).exp().sum()) == pytest.approx(1, abs=1e-4)


def test_writing_in_two_goes_stores_the_same() -> None:
    studied = make_images(20)
    tested = make_images(5, seed=1)
    gpt = make_gpt(STILL)
    store = filled(gpt, studied[:3])
    store.write(studied[3:])
    assert_equal(store.score(tested), filled(gpt, studied).score(tested))


def test_a_score_does_not_depend_on_what_is_scored_beside_it() -> None:
    studied = make_images(20)
    tested = make_images(20, seed=1)
    store = filled(make_gpt(STILL), studied)
    both = store.score(tested)
    alone = store.score(tested[18:19])
    assert_equal(EpisodicScores(both.nll[18:19], both.familiarity[18:19]), alone)


def test_dropout_is_off_and_the_model_is_left_without_hooks() -> None:
    studied = make_images(5)
    gpt = make_gpt(replace(STILL, dropout=0.5)).train()
    assert filled(gpt, studied).score(studied).familiarity.max() < 0.01
    assert not gpt.blocks[0]._forward_hooks


@given(rows=st.integers(1, 4), columns=st.integers(1, 5), seed=st.integers(0, 100))
def test_trailing_mean_is_the_mean_of_the_last_ones(rows: int, columns: int, seed: int) -> None:
    states = torch.randn(2, rows * columns, 3, generator=torch.Generator().manual_seed(seed))
    means = trailing_mean(states, columns)
    for position in range(rows * columns):
        expected = states[:, max(0, position - columns + 1) : position + 1].sum(dim=1) / columns
        torch.testing.assert_close(means[:, position], expected)


@pytest.mark.parametrize("layer", [0, 3])
def test_there_must_be_such_a_block(layer: int) -> None:
    with pytest.raises(ValueError, match=rf"--store-layer {layer} is not one of the 2 blocks"):
        EpisodicStore(make_gpt(STILL), layer)


def test_images_must_be_as_long_as_those_stored() -> None:
    store = filled(make_gpt(STILL), make_images(2))
    with pytest.raises(ValueError, match="images of 30 tokens do not compare with those stored, of 36"):
        store.score(make_images(2)[:, :30])


def test_without_faiss_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match=r"pip install '\.\[episodic\]'"):
        EpisodicStore(make_gpt(STILL), 1)
