"""The claims for readers: the answer in sentences, and tables of what holds, fails or is undecided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from math import isinf, nan
from typing import get_args

from experiments.diversity.conditions import Group
from experiments.diversity.reporting.claims import COMPARED, MOST, RELATIVE
from experiments.diversity.reporting.estimates import Estimate, Verdict, written
from experiments.diversity.reporting.runs import Chosen, describe_encoding, in_order, select
from experiments.diversity.reporting.verdicts import STRADDLES, UNDEFINED, ClaimRow
from experiments.pages import Table, percent

MARKS: dict[Verdict | None, str] = {
    "holds": "✓ holds ",
    "fails": "✗ fails ",
    "undecided": "? undecided ",
    None: "",
}
QUESTION = (
    "Given half of an image, do continuations differ widely, and given half of a clip, are they the same over and "
    "over, close to the truth?"
)


def lead(claims: Sequence[ClaimRow], chosen: Chosen) -> str:
    """Return the answer in paragraphs: whether all that was asked holds, then where each claim does."""
    models = " and ".join(
        f"{choice.kind}s continued by {choice.model} ({choice.training_items} training items, "
        f"{percent(choice.given_share)} of the tokens given)"
        for choice in chosen.values()
    )
    paragraphs = [f"{QUESTION} {_answer(claims, chosen)} Compared are {models}."]
    paragraphs += [f"{claim} ({measure(rows[0])}): {_where(rows)}." for claim, rows in headlines(claims).items()]
    copies = select(claims, metric="near_copies_of_own", group="studied", encoding=claims[0].encoding)
    return "\n\n".join([*paragraphs, " ".join(row.sentence for row in copies)])


def judged(claims: Sequence[ClaimRow]) -> list[ClaimRow]:
    """Return the claims that hold, fail or are undecided; what leaks has a table of its own."""
    return [row for row in claims if row.verdict and row.claim != "leakage"]


def headlines(claims: Sequence[ClaimRow]) -> dict[str, list[ClaimRow]]:
    """Return the claims with verdicts by what they say, each by its first measure only."""
    found: dict[str, list[ClaimRow]] = {}
    for row in judged(claims):
        rows = found.setdefault(statement(row), [row])
        if row not in rows and row.metric == rows[0].metric:
            rows.append(row)
    return found


def pivot(rows: Sequence[ClaimRow], heads: tuple[str, ...], label: Callable[[ClaimRow], tuple[str, ...]]) -> Table:
    """Return a table of claims: labels in front, not repeated, and a column for each group and encoding."""
    columns = [(group, encoding) for group in get_args(Group) for encoding in in_order(row.encoding for row in rows)]
    table = [(*heads, *(f"{group}, {encoding}" for group, encoding in columns))]
    before = ""
    labels = in_order(label(row) for row in rows)
    firsts = in_order(first for first, *_ in labels)
    for first, *others in sorted(labels, key=lambda of_row: firsts.index(of_row[0])):
        of_row = [row for row in rows if label(row) == (first, *others)]
        cells = [cell(select(of_row, group=group, encoding=encoding)) for group, encoding in columns]
        table.append(("" if first == before else first, *others, *cells))
        before = first
    return tuple(table)


def cell(rows: Sequence[ClaimRow]) -> str:
    """Return the verdict and the metric of a claim, if there is one."""
    if not rows:
        return ""
    row = rows[0]
    if row.value is None:
        return MARKS[row.verdict] + UNDEFINED
    low, high = (nan if end is None else end for end in (row.low, row.high))
    found = Estimate(row.value, low, high).text(row.metric, signed=_is_difference(row))
    return MARKS[row.verdict] + found + _beside(row)


def _beside(row: ClaimRow) -> str:
    """Return what stands in a cell after the interval: why it is undecided, if not for that, or groups and p-value."""
    if row.reason and row.reason != STRADDLES:
        return f" ({row.reason})"
    groups = "" if row.groups is None else f"{row.groups} groups"
    tested = "" if row.p_holm is None else f"p = {row.p_holm:.2g}"
    inside = ", ".join(text for text in (groups, tested) if text)
    return f" ({inside})" if inside else ""


def statement(row: ClaimRow) -> str:
    """Return what is claimed."""
    baseline = COMPARED.get(row.metric.partition(" - ")[2])
    return {
        "identification": f"At least {percent(MOST)} of the continuations of {row.kind}s are nearer to their own truth "
        "than to any other item's",
        "determinism": "Continuations of clips differ from one another at most half as much as those of images",
        "closeness": f"Continuations of {row.kind}s are nearer to the truth than {baseline}",
        "context": f"The larger the training set of {row.kind}s, the more context retrieval takes",
        "leakage": f"A prompt of {row.kind}s that contains the future helps",
        "memorisation": f"Continuations of {row.kind}s copy training items",
    }[row.claim]


def measure(row: ClaimRow) -> str:
    """Return what a claim is measured by, in words."""
    metric = row.metric.partition(" - ")[0]
    if metric.endswith(RELATIVE):
        return f"{measure(replace(row, metric=metric.removesuffix(RELATIVE)))}, relative to other items"
    for beginning in ("identified_", "pairwise_", "truth_"):
        if metric.startswith(beginning) and row.claim != "leakage":
            return f"{metric.removeprefix(beginning)} distance"
    return {"context_growth": "share of tokens for half retrieval"}.get(metric, metric.replace("_", " "))


def _answer(claims: Sequence[ClaimRow], chosen: Chosen) -> str:
    """Return the short answer: on studied items, with the first prompt encoding."""
    if len(chosen) < 2:
        return f"Only {next(iter(chosen))}s were measured: comparisons need both images and clips."
    encoding = claims[0].encoding
    asked = [row for rows in headlines(claims).values() for row in rows if row.claim != "context"]
    asked = select(asked, group="studied", encoding=encoding)
    where = f"for studied items, {describe_encoding(encoding)}"
    for verdict, answer in (
        ("fails", "No, not all of it: what fails"),
        ("undecided", "That is open: what is undecided"),
    ):
        named = in_order(row.claim for row in asked if row.verdict == verdict)
        if named:
            return f"{answer} {where}, is {' and '.join(named)}."
    return f"Yes: {where}, identification, determinism and closeness hold."


def _where(rows: Sequence[ClaimRow]) -> str:
    """Return where a claim holds, fails and is undecided, with what it was measured by."""
    verdicts: list[str] = []
    for verdict, group in product(get_args(Verdict), get_args(Group)):
        named = [f"{row.encoding}{_value(row)}" for row in select(rows, verdict=verdict, group=group)]
        if named:
            verdicts.append(f"{verdict} for {group} items, {' and '.join(named)}")
    return "; ".join(verdicts)


def _value(row: ClaimRow) -> str:
    """Return what a claim was measured to be, in brackets."""
    if row.value is None:
        return ""
    if isinf(row.value):
        return f" (only the {'smaller' if row.value > 0 else 'larger'} training set is retrieved)"
    return f" ({written(row.value, row.metric, signed=_is_difference(row))})"


def _is_difference(row: ClaimRow) -> bool:
    """Return whether a claim is about a difference, which is written with its sign."""
    return row.threshold == 0 or row.claim == "closeness"
