"""Claims on continuations: what is asked, and whether it holds."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diversity_tables import BOTH, PAIRWISE, Simulated, claims_of, items_of, make_audit, with_metrics

from experiments.diversity.reporting.claims import claims_by_size
from experiments.diversity.reporting.runs import select
from experiments.diversity.reporting.verdicts import ClaimRow, decide, kinds_of_one_prompt
from experiments.diversity.tables import MODEL, ItemRow
from storage.tables import read_rows, write_rows


def one(rows: list[ClaimRow], **columns: Any) -> ClaimRow:
    """The one claim on studied clips with prompts encoded alone that has these columns."""
    (row,) = select(rows, **({"group": "studied", "encoding": "alone"} | columns))
    return row


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "holds"), (0.9, "undecided"), (0.5, "fails")])
def test_clips_are_identified_from_nine_in_ten_on(share: float, verdict: str) -> None:
    rows = claims_of(with_metrics(items_of(*BOTH), "clip", identified_feature=share))
    found = one(rows, claim="identification", kind="clip", metric="identified_feature")
    assert (found.value, found.threshold, found.verdict) == (pytest.approx(share), 0.9, verdict)


def test_identification_of_images_is_for_information() -> None:
    assert {row.verdict for row in select(claims_of(items_of(*BOTH)), claim="identification", kind="image")} == {None}


def test_identification_is_told_by_all_distances() -> None:
    rows = select(claims_of(items_of(*BOTH)), claim="identification", kind="clip", group="new", encoding="full")
    assert [row.metric for row in rows] == ["identified_feature", "identified_pixel", "identified_token"]


@pytest.mark.parametrize(("distance", "verdict"), [(0.1, "holds"), (0.4, "fails")])
def test_clips_are_to_differ_half_as_much_as_images(distance: float, verdict: str) -> None:
    items = with_metrics(with_metrics(items_of(*BOTH), "clip", pairwise_pixel=distance), "image", pairwise_pixel=0.4)
    found = one(claims_of(items), claim="determinism", metric="pairwise_pixel")
    assert (found.value, found.threshold, found.verdict) == (pytest.approx(distance / 0.4), 0.5, verdict)


def test_interval_across_the_threshold_is_undecided() -> None:
    items = [replace(row, identified_feature=0.75 + row.item % 2 * 0.25) for row in items_of(Simulated(items=9))]
    found = one(claims_of(items), claim="identification", metric="identified_feature")
    assert (found.verdict, found.reason) == ("undecided", "the interval straddles the threshold")


def test_few_groups_decide_nothing_however_many_items_they_have() -> None:
    items = with_metrics(items_of(replace(BOTH[0], videos=5)), "clip", identified_feature=0.0)
    found = one(claims_of(items), claim="identification", metric="identified_feature")
    assert (found.groups, found.verdict, found.p) == (5, "undecided", None)
    assert found.reason == "only 5 groups of sources, a verdict takes 6"


def test_one_group_has_no_interval() -> None:
    found = one(claims_of(items_of(replace(BOTH[0], videos=1))), claim="closeness", metric="truth_pixel - copy")
    assert (found.groups, found.low, found.high, found.verdict) == (1, None, None, "undecided")


def test_clips_of_few_videos_say_less_than_as_many_videos() -> None:
    widths = []
    for videos in (8, 48):
        found = one(
            claims_of(items_of(replace(BOTH[0], videos=videos, identified=0.7))),
            claim="identification",
            metric="identified_pixel",
        )
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[0] > 1.5 * widths[1]


def test_groups_of_sources_count_and_not_sources() -> None:
    items = [replace(row, source_group=f"child {row.item % 7}") for row in items_of(BOTH[0])]
    assert one(claims_of(items), claim="identification", metric="identified_pixel").groups == 7


def claim(p: float, **changes: Any) -> ClaimRow:
    """A claim before it is decided, of a metric at 0.95 that is to be above 0.9."""
    rows = claims_of(items_of(Simulated(items=6)))
    row = one(rows, claim="identification", metric="identified_pixel")
    measured = {"value": 0.95, "low": 0.91, "high": 0.99, "groups": 12, "verdict": None, "reason": ""}
    return replace(row, **{**measured, "p": p, **changes})


def test_claims_of_a_kind_are_corrected_together() -> None:
    rows = decide([claim(0.03), claim(0.01, metric="identified_token"), claim(0.04, claim="closeness")], ())
    assert [row.p_holm for row in rows] == pytest.approx([0.03, 0.02, 0.04])
    rows = decide([claim(0.03), claim(0.04, metric="identified_token"), claim(0.04, claim="closeness")], ())
    assert [(row.verdict, row.p_holm) for row in rows[:2]] == [("undecided", 0.06), ("undecided", 0.06)]
    assert rows[0].reason == "p = 0.03 is 0.06 when corrected for 2 tests"
    assert rows[2].verdict == "holds"


def test_an_encoding_that_changes_nothing_is_no_further_test() -> None:
    rows = decide([claim(0.03), claim(0.03, encoding="full"), claim(0.01, group="new")], ("clip",))
    assert [row.p_holm for row in rows] == pytest.approx([0.03, 0.03, 0.02])


def test_encodings_with_different_prompts_are_two_tests_whatever_comes_of_them() -> None:
    rows = decide([claim(0.03), claim(0.03, encoding="full"), claim(0.01, group="new")], ("image",))
    assert [row.p_holm for row in rows] == pytest.approx([0.06, 0.06, 0.03])


@pytest.mark.parametrize(("changed", "expected"), [(0, {"clip", "image", "both"}), (3, {"image"})])
def test_prompts_are_one_where_no_token_changes(changed: int, expected: set[str]) -> None:
    rows = [replace(row, prompt_tokens_changed=0) for row in items_of(*BOTH)]
    rows = [replace(row, prompt_tokens_changed=changed) if row.kind == "clip" else row for row in rows]
    assert kinds_of_one_prompt(rows) == expected


def test_claim_on_the_wrong_side_fails() -> None:
    (found,) = decide([claim(0.01, value=0.5, low=0.4, high=0.6)], ())
    assert found.verdict == "fails"


@pytest.mark.parametrize(
    ("metric", "kind"), [("identified_pixel", "identification"), ("truth_pixel - copy", "closeness")]
)
def test_p_value_and_interval_agree(metric: str, kind: str) -> None:
    for seed in range(20):
        items = items_of(replace(BOTH[0], items=8, identified=0.55 + seed / 50))
        items = [
            replace(row, truth_pixel=row.truth_pixel + (seed - 10) / 100 * (row.continuation == MODEL)) for row in items
        ]
        found = one(claims_of(items), claim=kind, metric=metric)
        measured = (found.p, found.low, found.high, found.threshold)
        assert None not in measured
        p, low, high, threshold = (float(value or 0.0) for value in measured)
        assert (p <= 0.05) == (not low <= threshold <= high)


def test_perceptual_distance_comes_first() -> None:
    rows = select(claims_of(items_of(*BOTH)), claim="determinism", group="studied", encoding="alone")
    names = ["perceptual", "pixel", "token", "feature"]
    assert [row.metric.removeprefix("pairwise_") for row in rows] == names + [f"{name} / other" for name in names]
    assert rows[0].value == pytest.approx(PAIRWISE["clip"] / PAIRWISE["image"], rel=0.2)


def test_distances_that_were_not_measured_are_left_out() -> None:
    rows = claims_of(items_of(*(replace(run, distances=()) for run in BOTH)))
    found = {row.metric.removesuffix(" / other") for row in select(rows, claim="determinism")}
    assert found == {"pairwise_pixel", "pairwise_token"}


def test_blur_that_brings_everything_nearer_is_no_determinism() -> None:
    clear = items_of(*BOTH)
    blurred = [
        replace(row, pairwise_pixel=row.pairwise_pixel / 4) if row.kind == "clip" and row.pairwise_pixel else row
        for row in clear
    ]
    raw = [one(claims_of(items), claim="determinism", metric="pairwise_pixel") for items in (clear, blurred)]
    relative = [
        one(claims_of(items), claim="determinism", metric="pairwise_pixel / other") for items in (clear, blurred)
    ]
    assert raw[1].value == pytest.approx(raw[0].value / 4)
    assert relative[1].value == pytest.approx(relative[0].value)


def test_one_continuation_does_not_differ_from_another() -> None:
    found = one(claims_of(items_of(*(replace(run, n=1) for run in BOTH))), claim="determinism", metric="pairwise_pixel")
    assert (found.value, found.verdict) == (None, "undecided")
    assert "undefined for one continuation" in found.sentence


def test_nothing_is_not_compared_with_nothing() -> None:
    items = with_metrics(with_metrics(items_of(*BOTH), "clip", pairwise_pixel=0.0), "image", pairwise_pixel=0.0)
    found = one(claims_of(items), claim="determinism", metric="pairwise_pixel")
    assert (found.value, found.verdict, found.reason) == (1.0, "undecided", "nothing differs on either side")


def test_one_kind_is_not_compared_with_another() -> None:
    assert not select(claims_of(items_of(BOTH[0])), claim="determinism")


@pytest.mark.parametrize(("distance", "verdict"), [(0.0, "holds"), (9.0, "fails")])
def test_clips_are_to_be_nearer_than_baselines(distance: float, verdict: str) -> None:
    rows = claims_of(with_metrics(items_of(*BOTH), "clip", truth_pixel=distance))
    for name in ("copy", "other"):
        assert one(rows, claim="closeness", kind="clip", metric=f"truth_pixel - {name}").verdict == verdict
    assert one(rows, claim="closeness", kind="clip", metric="truth_pixel - reconstruction").verdict is None


def test_leak_helps_where_the_truth_costs_fewer_bits() -> None:
    items = [replace(row, truth_bits=32.0 if row.encoding == "full" else 64.0) for row in items_of(*BOTH)]
    found = one(claims_of(items), claim="leakage", kind="clip", metric="truth_bits_per_token", encoding="full - alone")
    assert (found.value, found.low, found.high, found.verdict) == (-1.0, None, None, "holds")


def test_prompts_that_are_the_same_test_nothing() -> None:
    items = [replace(row, prompt_tokens_changed=0) for row in items_of(*BOTH)]
    rows = select(claims_of(items), claim="leakage")
    assert {(row.verdict, row.p) for row in rows} == {(None, None)}
    assert all(row.sentence.endswith(": the prompts are the same.") for row in rows)


def test_leak_does_not_help_where_less_is_retrieved() -> None:
    items = [replace(row, retrieved=0.0 if row.encoding == "full" else 0.5) for row in items_of(*BOTH)]
    found = one(claims_of(items), claim="leakage", kind="clip", metric="retrieved", encoding="full - alone")
    assert (found.value, found.verdict) == (-0.5, "fails")


def test_copies_are_counted_by_whose_they_are() -> None:
    audit = make_audit(Simulated(n=4), np.random.default_rng(0))
    kinds = {0: (1.0, True), 1: (1.0, False), 2: (0.95, True), 3: (0.5, False)}
    audit = [
        replace(
            row, matching=kinds[row.continuation_index][0], own=kinds[row.continuation_index][1], truth_matching=0.92
        )
        for row in audit
    ]
    rows = select(claims_of(items_of(Simulated()), audit), claim="memorisation", group="studied", encoding="alone")
    assert {row.metric: row.value for row in rows} == {
        "copies_of_own": 0.25,
        "copies_of_others": 0.25,
        "near_copies_of_own": 0.5,
        "near_copies_of_others": 0.25,
    }
    assert rows[-1].sentence.endswith("100.0 % of the truths do with another training item.")


def test_new_items_are_not_in_the_training_set() -> None:
    audit = make_audit(Simulated(), np.random.default_rng(0))
    rows = select(claims_of(items_of(Simulated()), audit), claim="memorisation", group="new")
    assert {row.metric for row in rows} == {"copies_of_others", "near_copies_of_others"}


def sized(needed: float, size: int, **changes: Any) -> list[ItemRow]:
    """Items of a model of so many training items that retrieves everything from this share on."""
    items = items_of(Simulated(**{"model": f"clip-{size}", "training_items": size, "items": 12, **changes}))
    return [replace(row, retrieved=float(row.given_share >= needed)) for row in items]


@pytest.mark.parametrize(
    ("small", "large", "verdict", "difference"),
    [
        (0.5, 0.75, "holds", 0.25),
        (0.75, 0.5, "fails", -0.25),
        (0.5, 0.5, "undecided", 0.0),
        (0.5, 1.0, "holds", math.inf),
        (1.0, 1.0, "undecided", 0.0),
    ],
)
def test_larger_training_set_is_to_need_more_context(
    small: float, large: float, verdict: str, difference: float
) -> None:
    found = one(claims_of(sized(small, 16) + sized(large, 64)), metric="context_growth")
    assert (found.value, found.verdict) == (difference, verdict)


def test_training_sets_are_compared_after_most_exposures() -> None:
    early = [replace(row, model="early", exposures=1.0) for row in sized(0.5, 64)]
    found = one(claims_of(sized(0.5, 16) + early + sized(0.75, 64)), metric="context_growth")
    assert (found.model, found.value) == ("clip-64 - clip-16", 0.25)


def test_one_item_leaves_the_conjecture_undecided() -> None:
    found = one(claims_of(sized(0.5, 16, items=1) + sized(0.75, 64, items=1)), metric="context_growth")
    assert (found.value, found.low, found.verdict) == (0.25, None, "undecided")


def test_one_training_set_has_nothing_to_grow() -> None:
    assert not select(claims_of(items_of(*BOTH)), metric="context_growth")


def test_retrieval_of_new_items_is_for_information() -> None:
    found = one(claims_of(sized(0.5, 16) + sized(0.75, 64)), metric="context_growth", group="new")
    assert found.verdict is None


def test_claims_are_the_same_every_time_and_read_back_equal(tmp_path: Path) -> None:
    audit = make_audit(BOTH[0], np.random.default_rng(0))
    rows = claims_of(items_of(*BOTH), audit)
    write_rows(tmp_path / "claims.csv", rows, ClaimRow)
    assert read_rows(tmp_path / "claims.csv", ClaimRow) == claims_of(items_of(*BOTH), audit) == rows


def test_claims_by_size_compare_models_of_the_same_size() -> None:
    sizes = [
        Simulated(kind=kind, model=f"{kind}-{size}", items=6, training_items=size)
        for size in (16, 64)
        for kind in ("image", "clip")
    ]
    rows = select(claims_by_size(items_of(*sizes)), claim="determinism", metric="pairwise_pixel", group="studied")
    assert [(row.training_items, row.model) for row in select(rows, encoding="alone")] == [
        (16, "clip-16 / image-16"),
        (64, "clip-64 / image-64"),
    ]


def test_claims_by_size_of_clips_alone_are_about_identification() -> None:
    assert {row.claim for row in claims_by_size(items_of(BOTH[0]))} == {"identification"}
