"""Claims about continuations, and what decides them: rows of claims.csv and sizes.csv.

Each claim is a test of its threshold, and the p-values of the claims of one kind, repeated over metrics, groups,
prompt encodings and sizes, are corrected together (`experiments.statistics.multiplicity`). A claim holds where the
metric is on the right side of the threshold and its corrected p-value is at most .05, fails where it is on the wrong
side and the p-value is, too, and is undecided otherwise, and always where items are of fewer than
`GROUPS_FOR_VERDICT` groups of sources.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from experiments.diversity.conditions import Group
from experiments.diversity.reporting.estimates import Verdict
from experiments.diversity.reporting.runs import select
from experiments.diversity.tables import ItemRow
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from experiments.statistics.multiplicity import holm
from training.progress import count

Side = Literal["above", "below"]
Claim = Literal["identification", "determinism", "closeness", "context", "leakage", "memorisation"]

ALPHA = 0.05
"""Largest corrected p-value that decides a claim."""
STRADDLES = "the interval straddles the threshold"
UNDEFINED = "undefined for one continuation"


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """A claim about a group and prompt encoding, what it rests on, and whether it holds: a row of claims.csv."""

    claim: Claim
    """What is claimed."""
    kind: str
    """`image`, `clip`, or `both` where the two are compared."""
    model: str
    """Name of the run, or of the two that are compared."""
    training_items: int
    """Items that the model was trained on, or the larger one of two."""
    group: Group
    """Whether the items were studied or new."""
    encoding: str
    """How prompts became tokens; `full - alone` where the two are compared."""
    given_share: float | None
    """Share of the tokens that are given; empty where it is what is measured."""
    metric: str
    """What the claim is measured by."""
    groups: int | None
    """Groups of sources that the items are from, of two sides the fewer; empty where the metric is undefined."""
    value: float | None
    """The metric; empty where it is undefined, infinite where no context is enough."""
    low: float | None
    """Lower end of its 95 % interval, which is of this metric alone; empty for a single group, and for a mean or ratio
    of groups that agree exactly."""
    high: float | None
    """Upper end of its 95 % interval."""
    threshold: float | None
    """What it is compared with; empty where it is for information."""
    side: Side | None
    """On which side of the threshold the metric is if the claim holds."""
    p: float | None
    """Two-sided p-value of the threshold: 1 less the confidence at which the interval just touches it. Empty without a
    threshold, and where groups are too few for a verdict."""
    p_holm: float | None = None
    """The same, corrected for all claims of its kind in the table (Holm 1979): what the verdict rests on."""
    verdict: Verdict | None = None
    """Whether the claim holds; empty where it is for information."""
    reason: str = ""
    """Why it is undecided."""
    sentence: str
    """All of it in words."""


def kinds_of_one_prompt(items: Sequence[ItemRow]) -> set[str]:
    """Return the kinds whose prompts have the same tokens however they are encoded; `both` if all kinds are such."""
    kinds = {row.kind for row in items}
    same = {kind for kind in kinds if not any(row.prompt_tokens_changed for row in select(items, kind=kind))}
    return {*same, "both"} if same == kinds else {*same}


def decide(rows: Sequence[ClaimRow], of_one_prompt: Collection[str]) -> list[ClaimRow]:
    """Return the claims of a table with corrected p-values and verdicts.

    A family are the claims of one kind that have a p-value. Prompt encodings that give the same tokens, as those of a
    causal tokenizer do, are one test.

    Args:
        rows: the claims.
        of_one_prompt: kinds of which all encodings give the same tokens.
    """
    tests: dict[str, dict[Hashable, float]] = {}
    for row in rows:
        if row.p is not None:
            tests.setdefault(row.claim, {})[_test(row, of_one_prompt)] = row.p
    corrected = {
        test: p for of_claim in tests.values() for test, p in zip(of_claim, holm(list(of_claim.values())), strict=True)
    }
    counts = {claim: len(of_claim) for claim, of_claim in tests.items()}
    return [_decided(row, corrected.get(_test(row, of_one_prompt)), counts.get(row.claim, 0)) for row in rows]


def _test(row: ClaimRow, of_one_prompt: Collection[str]) -> Hashable:
    """Return what tells the test of a claim from others."""
    encoding = "" if row.kind in of_one_prompt else row.encoding
    return row.claim, row.kind, row.model, row.training_items, row.group, encoding, row.given_share, row.metric


def _decided(row: ClaimRow, p_holm: float | None, tests: int) -> ClaimRow:
    """Return a claim with its verdict."""
    if row.threshold is None:
        return row
    reason = _why_undecided(row, p_holm, tests)
    if reason:
        return replace(row, p_holm=p_holm, verdict="undecided", reason=reason)
    # Where groups agree exactly there is no interval, and all of them are on one side.
    end = row.value if row.low is None else row.low
    above = end is not None and end >= row.threshold
    return replace(row, p_holm=p_holm, verdict="holds" if above == (row.side == "above") else "fails")


def _why_undecided(row: ClaimRow, p_holm: float | None, tests: int) -> str:
    """Return why a claim is undecided, or nothing where it is decided."""
    if row.value is None or row.groups is None:
        return UNDEFINED
    if row.groups < GROUPS_FOR_VERDICT:
        return few_groups(row.groups)
    if row.p is None or p_holm is None:
        return "nothing differs on either side"
    if row.p > ALPHA:
        return STRADDLES if row.low is not None else "no group differs from the threshold"
    if p_holm > ALPHA:
        return f"p = {row.p:.2g} is {p_holm:.2g} when corrected for {tests} tests"
    return ""


def few_groups(groups: int) -> str:
    """Return that groups of sources are too few for a verdict, in words."""
    return f"only {count(groups, 'group')} of sources, a verdict takes {GROUPS_FOR_VERDICT}"
