"""Beginnings and endings are told from the frames that films share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from physics_films import VERSIONS

from experiments.physics.readers.endings import tell

FILMS = {"AA": "aaaaaa", "AB": "aaabbb", "BA": "bbbaaa", "BB": "bbbbbb"}
"""Films whose frames are letters."""


def told(*films: str, possible: str = "AA BB") -> tuple[list[str], int | None]:
    """What is told of films by their names in `FILMS`, or by their frames."""
    pictures = [FILMS.get(film, film) for film in films]
    found = tell(pictures, [film in possible.split() for film in films])
    return ["".join(versions) for versions in found.versions], found.event


@given(st.permutations(VERSIONS))
def test_films_are_told_in_whatever_order_they_lie(order: list[str]) -> None:
    versions, event = told(*order)
    named = {"A": "A", "B": "B"} if order.index("AA") < order.index("BB") else {"A": "B", "B": "A"}
    assert versions == [named[film[0]] + named[film[1]] for film in order]
    assert event == 3


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_frames_that_all_films_share_move_neither_versions_nor_event(length: int, before: int, hidden: int) -> None:
    # The same frames begin all films, and others lie where the object is hidden.
    ends = {one: "c" * before + one * length + "h" * hidden for one in "ab"}
    films = [ends[first] + "h" + last * 3 for first, last in ("aa", "bb", "ab", "ba")]
    found = tell(films, [True, True, False, False])
    assert ["".join(versions) for versions in found.versions] == ["AA", "BB", "AB", "BA"]
    assert found.event == before + length + hidden + 1


def test_films_that_begin_and_end_as_the_same_one_tell_a_time_alone() -> None:
    assert told("AA", "BB", "aabbaa", "bbaabb") == ([""] * 4, 2)


@pytest.mark.parametrize("others", [("aaabbb", "aaabbb"), ("cccaaa", "bbbaaa"), ("aaaccc", "bbbaaa")])
def test_films_that_do_not_cross_tell_no_versions(others: tuple[str, str]) -> None:
    assert told("AA", "BB", *others)[0] == [""] * 4


def test_films_that_share_no_frame_tell_nothing() -> None:
    assert told("AA", "BB", "cccccc", "dddddd") == ([""] * 4, None)


def test_a_film_that_is_another_tells_no_event() -> None:
    assert told("AA", "BB", "aaaaaa", "bbbbbb") == ([""] * 4, None)
