"""What participants see, and in which order."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.people.options import LAGS
from experiments.people.task.plan import USUAL_REPEATS, Plan, make_plan, wanted_repeats

Sizes = tuple[int, int, float, int, int]
LISTS = st.tuples(st.integers(1, 120), st.integers(0, 120), st.floats(0, 1), st.integers(0, 30), st.integers(0, 2**63))


def drawn(studied: int, repeatable: int, share: float, tested: int, seed: int) -> Plan:
    """The plan of a list whose last pictures may be repeated."""
    may = range(max(0, studied - repeatable), studied)
    return make_plan(studied, may, wanted_repeats(studied, len(may), share, LAGS), tested, (seed, 0))


@given(LISTS)
@settings(max_examples=100, deadline=None)
def test_every_picture_is_shown_once_and_some_of_those_that_may_be_twice(
    sizes: Sizes,
) -> None:
    studied, repeatable, share, tested, seed = sizes
    shown = Counter(drawn(studied, repeatable, share, tested, seed).stream)
    assert set(shown) == set(range(studied))
    assert set(shown.values()) <= {1, 2}
    assert all(picture >= studied - repeatable for picture, times in shown.items() if times == 2)


@given(LISTS)
@settings(max_examples=100, deadline=None)
def test_a_lag_counts_the_pictures_since_the_first_showing(sizes: Sizes) -> None:
    plan = drawn(*sizes)
    for place, (picture, lag) in enumerate(zip(plan.stream, plan.lags, strict=True)):
        before = [earlier for earlier in range(place) if plan.stream[earlier] == picture]
        assert [place - lag] == before if lag else before == []
    assert set(plan.lags) <= {0, *LAGS}


@given(LISTS)
@settings(max_examples=50, deadline=None)
def test_every_trial_is_asked_once_and_half_of_the_studied_pictures_stand_on_the_left(
    sizes: Sizes,
) -> None:
    plan = drawn(*sizes)
    tested = sizes[3]
    assert sorted(plan.trials) == list(range(tested))
    assert abs(2 * sum(plan.studied_left) - tested) <= 1


def test_one_seed_gives_one_plan_and_another_seed_another() -> None:
    assert drawn(40, 30, 0.5, 10, 1) == drawn(40, 30, 0.5, 10, 1)
    assert drawn(40, 30, 0.5, 10, 1) != drawn(40, 30, 0.5, 10, 2)


def test_usual_lags_are_as_frequent_as_stated_where_there_is_room() -> None:
    wanted = wanted_repeats(2500, 2200, 396 / 2500, LAGS)
    assert wanted == USUAL_REPEATS
    lags = Counter(make_plan(2500, range(300, 2500), wanted, 300, (0, 0)).lags)
    assert {lag: number for lag, number in lags.items() if lag} == USUAL_REPEATS


def test_lags_beyond_half_of_the_stream_are_left_out() -> None:
    assert list(wanted_repeats(20, 20, 0.5, LAGS)) == [1, 2, 4, 8]


def test_other_lags_are_equally_frequent() -> None:
    assert wanted_repeats(100, 100, 0.3, (1, 3, 10)) == {1: 10, 3: 10, 10: 10}


@pytest.mark.parametrize("studied", [60, 500])
def test_as_many_repeats_as_fit_are_there_when_every_picture_is_to_come_again(studied: int) -> None:
    plan = drawn(studied, studied, 1.0, 0, 0)
    repeats = sum(lag > 0 for lag in plan.lags)
    assert len(plan.stream) == studied + repeats
    assert repeats >= 0.8 * studied


def test_what_may_not_be_repeated_is_not() -> None:
    assert wanted_repeats(50, 0, 1.0, LAGS) == {}
    assert not any(drawn(50, 0, 1.0, 5, 0).lags)
