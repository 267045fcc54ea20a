"""Claims as readers see them: the answer in sentences, and tables."""

from dataclasses import replace

from diversity_tables import BOTH, claims_of, items_of, with_metrics

from experiments.diversity.reporting.answers import cell, lead, pivot, statement
from experiments.diversity.reporting.runs import choose, select
from experiments.diversity.tables import MODEL, ItemRow


def answer(items: list[ItemRow]) -> str:
    """The first paragraph of the page."""
    return lead(claims_of(items), choose(items)).split("\n\n")[0]


def test_answer_is_yes_where_all_holds() -> None:
    items = with_metrics(items_of(*BOTH), "clip", identified_feature=1.0)
    assert "Yes: for studied items, prompt encoded alone, identification, determinism and closeness hold." in answer(
        items
    )


def test_answer_is_on_studied_items() -> None:
    items = with_metrics(items_of(*BOTH), "clip", identified_feature=1.0)
    items = [replace(row, identified_feature=0.0) if row.group == "new" else row for row in items]
    assert "Yes: for studied items" in answer(items)


def test_answer_names_what_fails() -> None:
    items = with_metrics(items_of(*BOTH), "clip", identified_feature=0.0, pairwise_perceptual=9.0)
    assert "what fails for studied items, prompt encoded alone, is identification and determinism." in answer(items)


def test_answer_is_open_where_nothing_is_known() -> None:
    items = with_metrics(items_of(*(replace(run, n=1) for run in BOTH)), "clip", identified_feature=1.0)
    assert "what is undecided for studied items, prompt encoded alone, is determinism." in answer(items)


def test_lead_says_where_each_claim_holds() -> None:
    items = [
        replace(row, identified_feature=float(row.group == "studied")) if row.continuation == MODEL else row
        for row in items_of(*BOTH)
    ]
    assert (
        "(feature distance): holds for studied items, alone (100.0 %) and full (100.0 %); "
        "fails for new items, alone (0.0 %) and full (0.0 %)."
    ) in lead(claims_of(items), choose(items))


def test_table_of_claims_has_a_column_for_each_group_and_encoding() -> None:
    rows = select(claims_of(items_of(*BOTH)), claim="identification", kind="clip")
    table = pivot(rows, ("claim", "metric"), lambda row: (statement(row), row.metric))
    assert table[0] == ("claim", "metric", "studied, alone", "studied, full", "new, alone", "new, full")
    assert [row[0] for row in table[1:]] == [statement(rows[0]), "", ""]
    assert table[1][2] == cell(rows[:1])


def test_cell_without_a_claim_is_empty() -> None:
    assert cell([]) == ""
