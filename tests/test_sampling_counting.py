"""Counts of passes and drafts: as sums, as arrays, as a sentence."""

import pytest

from sampling.counting import arrays_of, counts_from, describe_counts, record_counts, sum_counts
from sampling.parallel import DecodingCounts

ONE = DecodingCounts(passes=10, tokens=40, recomputed=1, offered=[30, 20], accepted=[20, 10])
WIDER = DecodingCounts(passes=5, tokens=30, recomputed=0, offered=[9, 8, 7], accepted=[6, 5, 4])
ALONE = DecodingCounts(passes=3, tokens=3)


def test_counts_of_batches_add_up_whatever_their_windows_are() -> None:
    assert sum_counts([ONE, ALONE, WIDER]) == DecodingCounts(18, 73, 1, [39, 28, 7], [26, 15, 4])


def test_a_sum_leaves_what_was_summed() -> None:
    sum_counts([ONE, WIDER])
    assert ONE.offered == [30, 20]


@pytest.mark.parametrize("counts", [ONE, WIDER, ALONE])
def test_counts_come_back_from_their_arrays(counts: DecodingCounts) -> None:
    assert counts_from(arrays_of(counts)) == counts


def test_arrays_of_versions_that_did_not_count_have_none() -> None:
    assert counts_from({}) is None


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="not enough values to unpack"):
        counts_from({**arrays_of(ONE), "decoding": arrays_of(ONE)["drafts"][0]})


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (DecodingCounts(812, 4096), "4,096 tokens in 812 passes of the model (5.0 a pass)"),
        (DecodingCounts(1, 1), "1 token in 1 pass of the model (1.0 a pass)"),
        (
            DecodingCounts(812, 4096, 3),
            "4,096 tokens in 812 passes of the model (5.0 a pass); 3 were drawn again because rounding could have "
            "decided",
        ),
        (
            DecodingCounts(8, 16, 1),
            "16 tokens in 8 passes of the model (2.0 a pass); 1 was drawn again because rounding could have decided",
        ),
    ],
)
def test_counts_are_said_in_words(counts: DecodingCounts, sentence: str) -> None:
    assert describe_counts(counts) == sentence


def test_the_record_names_every_count() -> None:
    assert record_counts(ONE) == {
        "passes": 10,
        "tokens": 40,
        "tokens_a_pass": 4.0,
        "drafts_offered": [30, 20],
        "drafts_accepted": [20, 10],
        "tokens_recomputed": 1,
    }
