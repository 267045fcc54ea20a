"""Units of a likelihood, and what counting tokens alone would reach."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_store

from data.tokens import TokenStore, unigram_entropy
from gpt.likelihood import bits_per_pixel, bits_per_token, floor_sentence, unigram_nll


def test_a_nat_is_the_binary_logarithm_of_e() -> None:
    assert bits_per_token(math.log(2)) == pytest.approx(1.0)


def test_bits_per_pixel_are_the_bits_of_all_tokens_over_all_pixels() -> None:
    assert bits_per_pixel(3 * math.log(2), tokens=1024, pixels=16 * 64 * 64) == pytest.approx(3 * 1024 / 65536)


@given(split=st.integers(1, 64), nll=st.floats(0.01, 20))
def test_bits_per_pixel_do_not_depend_on_how_many_tokens_carry_them(split: int, nll: float) -> None:
    """One token of so many nats, or more tokens that share them: the same bits for the same pixels."""
    assert bits_per_pixel(nll / split, split, 64) == pytest.approx(bits_per_pixel(nll, 1, 64))


def test_a_store_knows_the_pixels_that_an_item_stands_for(tmp_path: Path) -> None:
    clips = TokenStore(make_store(tmp_path / "clips"))
    stills = TokenStore(make_store(tmp_path / "stills", grid=(1, 4, 4)))
    assert clips.metadata.pixels == 8 * 16 * 16
    assert stills.metadata.pixels == 16 * 16


def test_pixels_count_every_frame_of_a_clip(tmp_path: Path) -> None:
    metadata = TokenStore(make_store(tmp_path / "store")).metadata
    assert replace(metadata, frames=3, size=10).pixels == 300


def test_unigram_nll_is_the_cross_entropy_under_counts_with_one_half_added(tmp_path: Path) -> None:
    store = TokenStore(make_store(tmp_path / "store"))
    counts = torch.bincount(store.read(range(9)).flatten(), minlength=32) + 0.5
    held = store.read([9, 10, 11])
    expected = -(counts / counts.sum()).log()[held].mean()
    assert unigram_nll(store, held) == pytest.approx(float(expected), rel=1e-6)


def test_unigram_nll_is_finite_for_tokens_that_training_items_lack(tmp_path: Path) -> None:
    store = TokenStore(make_store(tmp_path / "store", items=2, held_out=1, vocab_size=1000))
    assert math.isfinite(unigram_nll(store, torch.arange(1000)) or math.inf)


def test_unigram_nll_is_not_below_the_entropy_of_the_tokens_own_histogram(tmp_path: Path) -> None:
    """Gibbs: no other histogram is as good for tokens as their own."""
    store = TokenStore(make_store(tmp_path / "store"))
    held = store.read([9, 10, 11])
    floor = unigram_nll(store, held)
    assert floor is not None
    assert floor > unigram_entropy(held, 32)


def test_unigram_nll_counts_a_spread_of_items_where_there_are_many(tmp_path: Path) -> None:
    store = TokenStore(make_store(tmp_path / "store"))
    held = store.read([9, 10, 11])
    counts = torch.bincount(store.read([0, 3, 6]).flatten(), minlength=32) + 0.5
    expected = -(counts / counts.sum()).log()[held].mean()
    assert unigram_nll(store, held, at_most=3 * 32) == pytest.approx(float(expected), rel=1e-6)


def test_a_store_without_training_items_has_no_unigram(tmp_path: Path) -> None:
    store = TokenStore(make_store(tmp_path / "store", items=3, held_out=3))
    assert unigram_nll(store, store.read([0])) is None


def test_a_loss_above_the_floor_is_said_to_be() -> None:
    assert floor_sentence(7.1, 6.6) == (
        "NLL 7.10 nats per token is worse than the unigram floor 6.60: the model has learned nothing that counting "
        "tokens would not say"
    )


def test_a_loss_at_the_floor_is_said_to_be_no_better() -> None:
    assert "NLL 6.60 nats per token is no better than the unigram floor 6.60" in (floor_sentence(6.601, 6.6) or "")


def test_of_a_loss_below_the_floor_nothing_is_said() -> None:
    assert floor_sentence(6.5, 6.6) is None
