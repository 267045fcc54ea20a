"""Codes are counted, and some occurrences of each are listed: from different items first, spread over all of them."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from viewing.look import codes as module
from viewing.look.codes import count_codes
from viewing.look.contents import MOST_PLACES

grids = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, 1 + seed % 7, (seed % 41, 2, 3, 3)).astype(np.uint16)
)


@given(grids)
def test_counts_and_places_are_those_of_the_tokens(tokens: NDArray[Any]) -> None:
    found = count_codes(tokens, 8)
    flat = tokens.reshape(len(tokens), 18)
    assert found.counts == tuple(int((tokens == code).sum()) for code in range(8))
    for code, places in enumerate(found.places):
        assert len(places) == len(set(places)) == min(found.counts[code], MOST_PLACES)
        assert all(flat[place] == code for place in places)


@given(grids)
def test_different_items_come_first(tokens: NDArray[Any]) -> None:
    for code, places in enumerate(count_codes(tokens, 8).places):
        items = [item for item, _ in places]
        holding = int((tokens == code).any(axis=(1, 2, 3)).sum())
        assert len(set(items[:holding])) == min(holding, len(places))


def test_occurrences_are_spread_over_all_items() -> None:
    (places,) = count_codes(np.zeros((2400, 1, 1, 4), np.uint16), 1).places
    assert Counter(item // 300 for item, _ in places) == dict.fromkeys(range(8), 3)


def test_the_same_tokens_give_the_same_places() -> None:
    tokens = np.random.default_rng(0).integers(0, 32, (50, 2, 4, 4))
    assert count_codes(tokens, 32) == count_codes(tokens.astype(np.uint16), 32)


def test_of_large_vocabularies_fewer_occurrences_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LISTED", 10)
    assert {len(places) for places in count_codes(np.arange(40).reshape(20, 1, 1, 2) % 2, 2).places} == {5}
    assert {len(places) for places in count_codes(np.arange(40).reshape(20, 1, 1, 2) % 4, 4).places} == {4}


def test_tokens_outside_the_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="tokens from 0 to 8 do not fit a vocabulary of 8"):
        count_codes(np.arange(9).reshape(1, 1, 3, 3), 8)
