"""Patterns stand for the paths that webdataset reads, and an absurd one takes no memory."""

import pytest
from braceexpand import UnbalancedBracesError, braceexpand
from hypothesis import given
from hypothesis import strategies as st

from data import braces
from data.braces import expand_braces
from data.errors import MediaError


@given(first=st.integers(0, 120), length=st.integers(1, 30), digits=st.integers(1, 4))
def test_a_brace_range_names_every_shard_once(first: int, length: int, digits: int) -> None:
    last = first + length - 1
    expected = [f"a-{number:0{digits}d}.tar" for number in range(first, last + 1)]
    assert expand_braces(f"a-{{{first:0{digits}d}..{last}}}.tar") == expected


def test_two_brace_ranges_give_every_pair() -> None:
    assert expand_braces("{0..1}/s{0..1}") == ["0/s0", "0/s1", "1/s0", "1/s1"]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("a{08..10}.tar", ["a08.tar", "a09.tar", "a10.tar"]),
        ("{00..100}", [f"{number:03d}" for number in range(101)]),
        ("{a,b}.tar", ["a.tar", "b.tar"]),
        ("{x,y{1..2}}", ["x", "y1", "y2"]),
        ("{a..c}", ["a", "b", "c"]),
        ("{0..6..3}", ["0", "3", "6"]),
        ("a{0..1}.tar::b.tar", ["a0.tar", "a1.tar", "b.tar"]),
    ],
)
def test_patterns_are_expanded_as_webdataset_does(pattern: str, paths: list[str]) -> None:
    assert expand_braces(pattern) == paths


@given(st.text("{}{},,..0123456ab\\", max_size=14))
def test_any_pattern_is_counted_before_it_is_expanded(pattern: str) -> None:
    try:
        expected = list(braceexpand(pattern, escape=braces.ESCAPE))
    except UnbalancedBracesError:
        with pytest.raises(MediaError, match=r"no pattern of paths \(Unbalanced braces"):
            expand_braces(pattern)
        return
    assert expand_braces(pattern) == expected
    assert braces._count(pattern) == len(expected)


@pytest.mark.parametrize(
    "pattern",
    [
        "{0..99999999999}",
        "{0..9999}{0..9999}",
        "{a..z}" * 5,
        "{x,y{1..1}}" * 40,
        "{0..999999}::{0..1}",
        "{" + "0" * 400 + ".." + "9" * 400 + "}",
    ],
)
def test_an_absurd_pattern_is_refused_before_it_takes_memory(pattern: str) -> None:
    with pytest.raises(MediaError, match="paths, more than 1,000,000: mistyped"):
        expand_braces(pattern)


@pytest.mark.parametrize("pattern", ["{0..99999999..99999999}", "{{a..j},{0..999999..100},x}"])
def test_a_pattern_with_large_numbers_but_few_paths_is_none(pattern: str) -> None:
    assert expand_braces(pattern) == list(braceexpand(pattern))


def test_braces_in_one_another_without_end_are_refused() -> None:
    with pytest.raises(MediaError, match="too many braces"):
        expand_braces("{" * 5000 + "a" + "}" * 5000)
