"""Claims on continuations: what is asked, and whether it holds."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diversity_tables import PAIRWISE, Simulated, make_audit, make_items
from hypothesis import given
from hypothesis import strategies as st

from experiments.diversity.reporting.answers import cell, lead, pivot, statement
from experiments.diversity.reporting.claims import ClaimRow, claims, claims_by_size
from experiments.diversity.reporting.context import contexts, crossing, growths
from experiments.diversity.reporting.selection import choose, select
from experiments.diversity.tables import MODEL, AuditRow, ItemRow
from storage.tables import read_rows, write_rows

BOTH = (Simulated(items=48), Simulated(kind="image", model="image-16", items=48, needed=0.6))


def made(*runs: Simulated) -> list[ItemRow]:
    return [row for run in runs for row in make_items(run, np.random.default_rng(0))]


def claimed(items: list[ItemRow], audit: list[AuditRow] | None = None) -> list[ClaimRow]:
    found = contexts(items)
    return claims(items, audit or [], choose(items), found, growths(found))


def one(rows: list[ClaimRow], **columns: Any) -> ClaimRow:
    """The one claim on studied clips with prompts encoded alone that has these columns."""
    (row,) = select(rows, **({"group": "studied", "encoding": "alone"} | columns))
    return row


def changed(items: list[ItemRow], kind: str, **figures: float) -> list[ItemRow]:
    """The items with other figures of the model's continuations of a kind."""
    return [replace(row, **figures) if (row.continuation, row.kind) == (MODEL, kind) else row for row in items]


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "holds"), (0.9, "undecided"), (0.5, "fails")])
def test_clips_are_identified_from_nine_in_ten_on(share: float, verdict: str) -> None:
    rows = claimed(changed(made(*BOTH), "clip", identified_feature=share))
    found = one(rows, claim="identification", kind="clip", figure="identified_feature")
    assert (found.value, found.threshold, found.verdict) == (pytest.approx(share), 0.9, verdict)


def test_identification_of_images_is_for_information() -> None:
    assert {row.verdict for row in select(claimed(made(*BOTH)), claim="identification", kind="image")} == {None}


def test_identification_is_told_in_all_spaces() -> None:
    rows = select(claimed(made(*BOTH)), claim="identification", kind="clip", group="new", encoding="full")
    assert [row.figure for row in rows] == ["identified_feature", "identified_pixel", "identified_token"]


@pytest.mark.parametrize(("distance", "verdict"), [(0.1, "holds"), (0.4, "fails")])
def test_clips_are_to_differ_half_as_much_as_images(distance: float, verdict: str) -> None:
    items = changed(changed(made(*BOTH), "clip", pairwise_pixel=distance), "image", pairwise_pixel=0.4)
    found = one(claimed(items), claim="determinism", figure="pairwise_pixel")
    assert (found.value, found.threshold, found.verdict) == (pytest.approx(distance / 0.4), 0.5, verdict)


def test_interval_across_the_threshold_is_undecided() -> None:
    items = [replace(row, identified_feature=0.75 + row.item % 2 * 0.25) for row in made(Simulated(items=3))]
    assert one(claimed(items), claim="identification", figure="identified_feature").verdict == "undecided"


def test_perceptual_distance_comes_first() -> None:
    rows = select(claimed(made(*BOTH)), claim="determinism", group="studied", encoding="alone")
    spaces = ["perceptual", "pixel", "token", "feature"]
    assert [row.figure.removeprefix("pairwise_") for row in rows] == spaces + [f"{space} / other" for space in spaces]
    assert rows[0].value == pytest.approx(PAIRWISE["clip"] / PAIRWISE["image"], rel=0.2)


def test_spaces_that_were_not_measured_are_left_out() -> None:
    rows = claimed(made(*(replace(run, spaces=()) for run in BOTH)))
    found = {row.figure.removesuffix(" / other") for row in select(rows, claim="determinism")}
    assert found == {"pairwise_pixel", "pairwise_token"}


def test_blur_that_brings_everything_nearer_is_no_determinism() -> None:
    clear = made(*BOTH)
    blurred = [
        replace(row, pairwise_pixel=row.pairwise_pixel / 4) if row.kind == "clip" and row.pairwise_pixel else row
        for row in clear
    ]
    raw = [one(claimed(items), claim="determinism", figure="pairwise_pixel") for items in (clear, blurred)]
    relative = [one(claimed(items), claim="determinism", figure="pairwise_pixel / other") for items in (clear, blurred)]
    assert raw[1].value == pytest.approx(raw[0].value / 4)
    assert relative[1].value == pytest.approx(relative[0].value)


def test_one_continuation_does_not_differ_from_another() -> None:
    found = one(claimed(made(*(replace(run, n=1) for run in BOTH))), claim="determinism", figure="pairwise_pixel")
    assert (found.value, found.verdict) == (None, "undecided")
    assert "undefined for one continuation" in found.sentence


def test_one_kind_is_not_compared_with_another() -> None:
    assert not select(claimed(made(BOTH[0])), claim="determinism")


@pytest.mark.parametrize(("distance", "verdict"), [(0.0, "holds"), (9.0, "fails")])
def test_clips_are_to_be_nearer_than_baselines(distance: float, verdict: str) -> None:
    rows = claimed(changed(made(*BOTH), "clip", truth_pixel=distance))
    for name in ("copy", "other"):
        assert one(rows, claim="closeness", kind="clip", figure=f"truth_pixel - {name}").verdict == verdict
    assert one(rows, claim="closeness", kind="clip", figure="truth_pixel - reconstruction").verdict is None


def test_leak_helps_where_the_truth_costs_fewer_bits() -> None:
    items = [replace(row, truth_bits=32.0 if row.encoding == "full" else 64.0) for row in made(*BOTH)]
    found = one(claimed(items), claim="leakage", kind="clip", figure="truth_bits_per_token", encoding="full - alone")
    assert (found.value, found.low, found.high, found.verdict) == (-1.0, -1.0, -1.0, "holds")


def test_leak_does_not_help_where_less_is_retrieved() -> None:
    items = [replace(row, retrieved=0.0 if row.encoding == "full" else 0.5) for row in made(*BOTH)]
    found = one(claimed(items), claim="leakage", kind="clip", figure="retrieved", encoding="full - alone")
    assert (found.value, found.verdict) == (-0.5, "fails")


def test_copies_are_counted_by_whose_they_are() -> None:
    audit = make_audit(Simulated(n=4), np.random.default_rng(0))
    kinds = {0: (1.0, True), 1: (1.0, False), 2: (0.95, True), 3: (0.5, False)}
    audit = [
        replace(row, matching=kinds[row.number][0], own=kinds[row.number][1], truth_matching=0.92) for row in audit
    ]
    rows = select(claimed(made(Simulated()), audit), claim="memorisation", group="studied", encoding="alone")
    assert {row.figure: row.value for row in rows} == {
        "copies_of_own": 0.25, "copies_of_others": 0.25, "near_copies_of_own": 0.5, "near_copies_of_others": 0.25,
    }  # fmt: skip
    assert rows[-1].sentence.endswith("100.0 % of the truths do with another training item.")


def test_new_items_are_not_in_the_training_set() -> None:
    audit = make_audit(Simulated(), np.random.default_rng(0))
    rows = select(claimed(made(Simulated()), audit), claim="memorisation", group="new")
    assert {row.figure for row in rows} == {"copies_of_others", "near_copies_of_others"}


SHARES = np.array([0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("retrieved", "share"),
    [
        ((0.0, 0.25, 0.75), 0.625), ((0.0, 0.5, 1.0), 0.5), ((0.5, 0.0, 1.0), 0.25), ((0.0, 0.4, 0.4), math.inf),
        ((0.0, 1.0, 0.0), 0.375),
    ],
)  # fmt: skip
def test_context_is_linear_between_the_shares_given(retrieved: tuple[float, ...], share: float) -> None:
    assert crossing(SHARES, np.array([retrieved])) == pytest.approx([share])


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_context_lies_within_the_shares_given(retrieved: list[list[float]]) -> None:
    found = crossing(SHARES, np.array(retrieved))
    assert ((found == math.inf) | ((found >= 0.25) & (found <= 0.75))).all()


def test_context_is_told_as_far_as_it_was_measured() -> None:
    def text(*retrieved: float) -> str:
        of_given = dict(zip((1, 2, 3), retrieved, strict=False))
        items = [replace(row, retrieved=of_given[row.given]) for row in made(Simulated(given=tuple(of_given)))]
        return contexts(items)[0].text()

    assert text(0.0, 0.5, 1.0) == "50 %"
    assert text(0.75, 1.0, 1.0) == "at most 25 %"
    assert text(0.0, 0.0, 0.25) == "never"
    assert text(0.75) == "at most 25 %"
    assert text(0.25) == "more than 25 %"


def sized(needed: float, size: int, **changes: Any) -> list[ItemRow]:
    """Items of a model of so many training items that retrieves everything from this share on."""
    items = made(Simulated(model=f"clip-{size}", training_items=size, **changes))
    return [replace(row, retrieved=float(row.given_share >= needed)) for row in items]


@pytest.mark.parametrize(
    ("small", "large", "verdict", "difference"),
    [
        (0.5, 0.75, "holds", 0.25), (0.75, 0.5, "fails", -0.25), (0.5, 0.5, "undecided", 0.0),
        (0.5, 1.0, "holds", math.inf), (1.0, 1.0, "undecided", 0.0),
    ],
)  # fmt: skip
def test_larger_training_set_is_to_need_more_context(
    small: float, large: float, verdict: str, difference: float
) -> None:
    found = one(claimed(sized(small, 16) + sized(large, 64)), figure="context_growth")
    assert (found.value, found.verdict) == (difference, verdict)


def test_training_sets_are_compared_after_most_exposures() -> None:
    early = [replace(row, model="early", exposures=1.0) for row in sized(0.5, 64)]
    found = one(claimed(sized(0.5, 16) + early + sized(0.75, 64)), figure="context_growth")
    assert (found.model, found.value) == ("clip-64 - clip-16", 0.25)


def test_one_item_leaves_the_conjecture_undecided() -> None:
    found = one(claimed(sized(0.5, 16, items=1) + sized(0.75, 64, items=1)), figure="context_growth")
    assert (found.value, found.low, found.verdict) == (0.25, None, "undecided")


def test_one_training_set_has_nothing_to_grow() -> None:
    assert not select(claimed(made(*BOTH)), figure="context_growth")


def test_retrieval_of_new_items_is_for_information() -> None:
    found = one(claimed(sized(0.5, 16) + sized(0.75, 64)), figure="context_growth", group="new")
    assert found.verdict is None


def test_claims_are_the_same_every_time_and_read_back_equal(tmp_path: Path) -> None:
    audit = make_audit(BOTH[0], np.random.default_rng(0))
    rows = claimed(made(*BOTH), audit)
    write_rows(tmp_path / "claims.csv", rows, ClaimRow)
    assert read_rows(tmp_path / "claims.csv", ClaimRow) == claimed(made(*BOTH), audit) == rows


def answer(items: list[ItemRow]) -> str:
    """The first paragraph of the page."""
    return lead(claimed(items), choose(items)).split("\n\n")[0]


def test_answer_is_yes_where_all_holds() -> None:
    items = changed(made(*BOTH), "clip", identified_feature=1.0)
    assert "Yes: for studied items, prompt encoded alone, identification, determinism and closeness hold." in answer(
        items
    )


def test_answer_is_on_studied_items() -> None:
    items = changed(made(*BOTH), "clip", identified_feature=1.0)
    items = [replace(row, identified_feature=0.0) if row.group == "new" else row for row in items]
    assert "Yes: for studied items" in answer(items)


def test_answer_names_what_fails() -> None:
    items = changed(made(*BOTH), "clip", identified_feature=0.0, pairwise_perceptual=9.0)
    assert "what fails for studied items, prompt encoded alone, is identification and determinism." in answer(items)


def test_answer_is_open_where_nothing_is_known() -> None:
    items = changed(made(*(replace(run, n=1) for run in BOTH)), "clip", identified_feature=1.0)
    assert "what is undecided for studied items, prompt encoded alone, is determinism." in answer(items)


def test_lead_says_where_each_claim_holds() -> None:
    items = [
        replace(row, identified_feature=float(row.group == "studied")) if row.continuation == MODEL else row
        for row in made(*BOTH)
    ]
    assert (
        "(feature distance): holds for studied items, alone (100.0 %) and full (100.0 %); "
        "fails for new items, alone (0.0 %) and full (0.0 %)."
    ) in lead(claimed(items), choose(items))


def test_table_of_claims_has_a_column_for_each_group_and_encoding() -> None:
    rows = select(claimed(made(*BOTH)), claim="identification", kind="clip")
    table = pivot(rows, ("claim", "figure"), lambda row: (statement(row), row.figure))
    assert table[0] == ("claim", "figure", "studied, alone", "studied, full", "new, alone", "new, full")
    assert [row[0] for row in table[1:]] == [statement(rows[0]), "", ""]
    assert table[1][2] == cell(rows[:1])


def test_cell_without_a_claim_is_empty() -> None:
    assert cell([]) == ""


def test_claims_by_size_compare_models_of_the_same_size() -> None:
    sizes = [
        Simulated(kind=kind, model=f"{kind}-{size}", items=6, training_items=size)
        for size in (16, 64)
        for kind in ("image", "clip")
    ]
    rows = select(claims_by_size(made(*sizes)), claim="determinism", figure="pairwise_pixel", group="studied")
    assert [(row.training_items, row.model) for row in select(rows, encoding="alone")] == [
        (16, "clip-16 / image-16"),
        (64, "clip-64 / image-64"),
    ]


def test_claims_by_size_of_clips_alone_are_about_identification() -> None:
    assert {row.claim for row in claims_by_size(made(BOTH[0]))} == {"identification"}
