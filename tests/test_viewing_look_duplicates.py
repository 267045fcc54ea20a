"""Groups of near duplicates: of which items they are, their order, and that chains do not run together."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from data.near_duplicates import NEAR
from viewing.look.duplicates import Hashed, group_duplicates


def item(name: str, *bits: int, split: str = "train") -> Hashed:
    """A still whose hash has some bits set."""
    return Hashed((sum(1 << bit for bit in bits),), name, split)


def clip(name: str, *hashes: int | None, split: str = "train") -> Hashed:
    return Hashed(hashes, name, split)


def groups(*items: Hashed) -> list[tuple[tuple[int, ...], bool, float]]:
    return [(group.items, group.leak, group.distance) for group in group_duplicates(items)]


FAR = 0xFFFF_0000_FFFF_0000


def test_items_that_differ_in_few_bits_are_a_group() -> None:
    assert groups(item("a"), item("b", 0, 1), Hashed((FAR,), "c", "train")) == [((0, 1), False, 2)]


def test_items_that_differ_in_more_are_not() -> None:
    assert groups(item("a"), item("b", *range(NEAR + 1))) == []


def test_leaks_come_first_however_far_apart() -> None:
    near = [item("a", 50, 51, 52, 53, 54, 55), item("b", 50, 51, 52, 53, 54, 55)]
    leak = [item("c", 0), item("d", 1, 2, split="validation")]
    assert groups(*near, *leak) == [((2, 3), True, 3), ((0, 1), False, 0)]


def test_clips_must_be_near_on_average_over_their_frames() -> None:
    assert groups(clip("a", 0, 0, 0), clip("b", 1, 3, 0)) == [((0, 1), False, 1)]
    assert groups(clip("a", 0, 0, 0), clip("b", 0x3FF, 0xFF, 0)) == [((0, 1), False, 6)]
    assert groups(clip("a", 0, 0, 0), clip("b", 0x3FF, 0x1FF, 0)) == []
    assert groups(clip("a", 0, 0, 0), clip("b", 0, 0, FAR)) == []


def test_frames_of_one_colour_say_nothing() -> None:
    assert groups(clip("a", None, 5, 5), clip("b", 5, 5, 5)) == [((0, 1), False, 0)]
    assert groups(clip("a", None, None, 5), clip("b", None, None, 5)) == []
    assert groups(clip("a", None, None, None), clip("b", None, None, None)) == []


def test_clips_of_one_source_are_no_finding_unless_they_leak() -> None:
    same = [item("a"), item("a"), item("a", 1)]
    assert groups(*same) == []
    assert groups(*same, item("a", split="validation")) == [((0, 1, 2, 3), True, 0)]


def test_stills_and_clips_are_grouped_apart() -> None:
    assert groups(item("a"), clip("b", 0, 0, 0), item("c"), clip("d", 0, 0, 0)) == [
        ((0, 2), False, 0),
        ((1, 3), False, 0),
    ]


def test_a_chain_does_not_become_one_group() -> None:
    chain = [item(f"{number}", *range(3 * number)) for number in range(7)]  # each 3 bits from the next
    found = groups(*chain)
    assert Counter(index for items, _, _ in found for index in items) == Counter(range(7))
    assert max(len(items) for items, _, _ in found) <= 4


def test_a_leak_that_grouping_would_tear_apart_is_a_group_too() -> None:
    splits = ["train"] * 4 + ["validation"] * 3
    chain = [item(f"{number}", *range(3 * number), split=split) for number, split in enumerate(splits)]
    assert any(leak and {3, 4} <= set(items) for items, leak, _ in groups(*chain))


@given(st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["", "train", "validation"])), max_size=12))
def test_every_pair_across_the_split_that_is_near_is_in_a_group_that_leaks(drawn: list[tuple[int, str]]) -> None:
    items = [Hashed((digest,), f"{number}", split) for number, (digest, split) in enumerate(drawn)]
    found = groups(*items)
    for one, (digest, split) in enumerate(drawn):
        for other, (second, side) in enumerate(drawn):
            if {split, side} == {"train", "validation"} and (digest ^ second).bit_count() <= NEAR:
                assert any(leak and {one, other} <= set(members) for members, leak, _ in found)


@given(st.lists(st.integers(0, 255), max_size=16))
def test_an_item_has_a_group_where_and_only_where_another_is_near(digests: list[int]) -> None:
    found = groups(*(Hashed((digest,), f"{number}", "train") for number, digest in enumerate(digests)))
    near = {
        one
        for one, digest in enumerate(digests)
        for other, second in enumerate(digests)
        if one != other and (digest ^ second).bit_count() <= NEAR
    }
    assert {index for members, _, _ in found for index in members} == near
