"""Which items are on a page when there are more than it may have."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from viewing.look.choosing import choose_evenly


def test_all_are_chosen_where_there_is_room() -> None:
    assert choose_evenly(["a", "a", "b"], 3) == [0, 1, 2]


def test_a_short_source_is_not_lost_beside_a_long_one() -> None:
    assert choose_evenly(["a"] * 2 + ["b"] * 100, 6) == [0, 1, 2, 27, 52, 77]


def test_of_more_sources_than_room_every_so_many_has_one_item() -> None:
    assert choose_evenly([f"{number}" for number in range(10)], 3) == [0, 3, 6]


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60).map(sorted), st.integers(1, 60))
def test_shares_are_equal_up_to_what_a_source_has(sources: list[str], most: int) -> None:
    chosen = choose_evenly(sources, most)
    assert len(chosen) == min(most, len(sources))
    assert chosen == sorted(set(chosen))
    of = Counter(sources[index] for index in chosen)
    largest = max(of.values())
    assert all(of[source] >= min(size, largest - 1) for source, size in Counter(sources).items())
