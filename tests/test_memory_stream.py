"""The plan of a continuous recognition task."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.memory.stream import plan_stream, usable_lags

POWERS = [2**power for power in range(11)]
PICTURES = st.integers(4, 300)
SEEDS = st.integers(0, 2**32)


@given(PICTURES, SEEDS)
def test_a_repeat_is_the_picture_that_was_shown_so_many_places_before(n_images: int, seed: int) -> None:
    shown = plan_stream(n_images, POWERS, seed)
    assert all(shown[place - showing.lag].image == showing.image for place, showing in enumerate(shown) if showing.lag)


@given(PICTURES, SEEDS)
def test_every_picture_is_new_once_and_comes_again_at_most_once(n_images: int, seed: int) -> None:
    shown = plan_stream(n_images, POWERS, seed)
    assert sorted(showing.image for showing in shown if showing.lag is None) == list(range(n_images))
    assert max(Counter(showing.image for showing in shown).values()) == 2


@given(PICTURES, SEEDS)
def test_as_many_pictures_come_again_after_each_lag(n_images: int, seed: int) -> None:
    counts = Counter(showing.lag for showing in plan_stream(n_images, POWERS, seed) if showing.lag)
    assert sorted(counts) == usable_lags(n_images, POWERS)
    assert len(set(counts.values())) == 1


@given(st.integers(4, 100), st.sets(st.integers(1, 200), min_size=1, max_size=12), SEEDS)
def test_any_lags_make_a_stream_or_are_refused(n_images: int, lags: set[int], seed: int) -> None:
    if usable_lags(n_images, sorted(lags)):
        assert {showing.lag for showing in plan_stream(n_images, sorted(lags), seed)} <= {*lags, None}
    else:
        with pytest.raises(ValueError, match=f"a stream of {n_images} pictures is too short for lags of"):
            plan_stream(n_images, sorted(lags), seed)


def test_the_longest_lag_needs_a_long_stream() -> None:
    assert max(usable_lags(600, POWERS)) == 512
    assert max(usable_lags(1500, POWERS)) == 1024


def test_the_seed_decides_the_stream() -> None:
    assert plan_stream(30, POWERS, 1) == plan_stream(30, POWERS, 1)
    assert plan_stream(30, POWERS, 1) != plan_stream(30, POWERS, 2)


def test_a_lag_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="a lag of 0 is none: 1 is at once"):
        plan_stream(30, [0, 1], 0)
