"""What the question asks, as claims with thresholds, and whether they hold.

identification   continuations are nearer to their own truth than to any other item's
determinism      continuations of a clip differ from one another at most half as much as those of an image
closeness        continuations are nearer to the truth than a copied frame and than other items
context          a model that knows more needs more context to retrieve the right thing
leakage          a prompt that contains the future makes continuations nearer to the truth and more alike
memorisation     continuations copy training items, their own or others

Each claim is a test of its threshold, and the p-values of the claims of one kind, repeated over metrics, groups,
prompt encodings and sizes, are corrected together (`experiments.statistics.multiplicity`). A claim holds where the
metric is on the right side of the threshold and its corrected p-value is at most .05, fails where it is on the wrong
side and the p-value is, too, and is undecided otherwise, and always where items are of fewer than
`GROUPS_FOR_VERDICT` groups of sources. Rows without a verdict are for information.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, get_args

import numpy as np

from experiments.diversity.reporting.context import Context, Growth
from experiments.diversity.reporting.estimates import (
    Finding,
    Verdict,
    item_values,
    paired_finding,
    ratio_finding,
    share_finding,
    written,
)
from experiments.diversity.reporting.runs import Choice, Chosen, choose, describe_encoding, in_order, select
from experiments.diversity.tables import DISTANCES, MODEL, AuditRow, Group, ItemRow
from experiments.pages import percent
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from experiments.statistics.multiplicity import holm
from experiments.statistics.outcomes import Floats

Side = Literal["above", "below"]
Claim = Literal["identification", "determinism", "closeness", "context", "leakage", "memorisation"]

IDENTIFIED = ("identified_feature", "identified_pixel", "identified_token")
ALPHA = 0.05
"""Largest corrected p-value that decides a claim."""
STRADDLES = "the interval straddles the threshold"
UNDEFINED = "undefined for one continuation"
MOST = 0.9
"""Share of continuations that identification asks for; and share of common tokens that makes a near-copy."""
HALF = 0.5
"""Of the distance between images: what determinism allows clips."""
RELATIVE = " / other"
"""What is added to the name of a metric that is relative to the baseline `other`."""
COMPARED = {
    "copy": "the last given row or frame copied",
    "other": "the truths of other items",
    "reconstruction": "the tokenizer's reconstruction, the floor,",
}
"""Baselines that closeness is judged by, in words."""
LEAKED = {
    **dict.fromkeys((*IDENTIFIED, "retrieved"), True),
    **dict.fromkeys(("truth_bits_per_token", *(f"pairwise_{distance}" for distance in DISTANCES)), False),
}
"""Metrics that a prompt with the future in it should raise (True) or lower."""


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


def claims(
    items: Sequence[ItemRow],
    audit: Sequence[AuditRow],
    chosen: Chosen,
    contexts: Sequence[Context],
    growths: Sequence[Growth],
) -> list[ClaimRow]:
    """Return all claims on the chosen conditions, as far as there are rows for them."""
    found: list[ClaimRow] = []
    for group, encoding in product(get_args(Group), in_order(row.encoding for row in items)):
        where = {"group": group, "encoding": encoding}
        found += _determinism(items, chosen, where)
        for choice in chosen.values():
            found += _identification(items, choice, where)
            found += _closeness(items, choice, where)
            found += _memorisation(audit, choice, where)
    for group, choice in product(get_args(Group), chosen.values()):
        found += _leakage(items, choice, group)
    found += [_needed(context) for context in contexts]
    found += [_growth(growth) for growth in growths]
    return decide(sorted(found, key=lambda row: get_args(Claim).index(row.claim)), kinds_of_one_prompt(items))


def claims_by_size(items: Sequence[ItemRow]) -> list[ClaimRow]:
    """Return identification and determinism of the models of each size of training set, after most exposures."""
    found: list[ClaimRow] = []
    for size in sorted({row.training_items for row in items}):
        chosen = choose(select(items, training_items=size))
        for group, encoding in product(get_args(Group), in_order(row.encoding for row in items)):
            where = {"group": group, "encoding": encoding}
            if "clip" in chosen:
                found += _identification(items, chosen["clip"], where)
            found += _determinism(items, chosen, where)
    return decide(found, kinds_of_one_prompt(items))


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
    return f"only {groups} group{'' if groups == 1 else 's'} of sources, a verdict takes {GROUPS_FOR_VERDICT}"


def _identification(items: Sequence[ItemRow], choice: Choice, where: Mapping[str, Any]) -> Iterator[ClaimRow]:
    rows = select(items, **choice.continuations(MODEL), **where)
    asked = choice.kind == "clip"
    for metric in IDENTIFIED:
        values = item_values(rows, metric)
        if values is None:
            continue
        found = share_finding(values, [row.group_name for row in rows], MOST)
        yield ClaimRow(
            claim="identification",
            **_condition(choice, where),
            metric=metric,
            **_evidence(found, MOST if asked else None, "above"),
            sentence=f"{found.estimate.text(metric)} of the continuations of {_what(choice.kind, where)} are nearer to "
            f"their own truth than to any other item's ({metric}).",
        )


def _determinism(items: Sequence[ItemRow], chosen: Chosen, where: Mapping[str, Any]) -> Iterator[ClaimRow]:
    if len(chosen) < 2:
        return
    clip = chosen["clip"]
    image = chosen["image"]
    condition = _condition(clip, where) | {"kind": "both", "model": f"{clip.model} / {image.model}"}
    for relative, distance in product((False, True), DISTANCES):
        metric = f"pairwise_{distance}"
        clips = _varied(items, clip, where, metric, relative)
        images = _varied(items, image, where, metric, relative)
        if not clips.measured or not images.measured:
            continue
        metric += RELATIVE * relative
        found = (
            None
            if clips.values is None or images.values is None
            else ratio_finding(clips.values, clips.names, images.values, images.names, HALF)
        )
        yield ClaimRow(
            claim="determinism",
            **condition,
            metric=metric,
            **_evidence(found, HALF, "below"),
            sentence=f"Continuations of {where['group']} clips differ from one another "
            f"{found.estimate.text(metric)} times as "
            f"much as those of images ({describe_encoding(where['encoding'])}, {metric})."
            if found
            else f"How much continuations differ ({metric}) is undefined for one continuation.",
        )


@dataclass(frozen=True)
class _Varied:
    """How much the continuations of items differ."""

    measured: bool
    """Whether this distance was measured, and other items are there where they are the measure."""
    values: Floats | None
    """(I,); None for one continuation."""
    names: Sequence[str] = ()
    """Of the group of sources of each item."""


def _varied(items: Sequence[ItemRow], choice: Choice, where: Mapping[str, Any], metric: str, relative: bool) -> _Varied:
    """Return how much the continuations of each item differ, on request relative to how much other items do.

    Other items are what there is to see between originals: of blurred images everything differs less.
    """
    rows = select(items, **choice.continuations(MODEL), **where)
    values = item_values(rows, metric)
    names = [row.group_name for row in rows]
    measured = item_values(rows, metric.replace("pairwise", "truth")) is not None
    if not relative:
        return _Varied(measured, values, names)
    others = item_values(select(items, **choice.continuations("other"), **where), metric)
    if values is None or others is None or not others.any():
        return _Varied(False, None)
    return _Varied(measured, values / others.mean(), names)


def _closeness(items: Sequence[ItemRow], choice: Choice, where: Mapping[str, Any]) -> Iterator[ClaimRow]:
    model = select(items, **choice.continuations(MODEL), **where)
    for distance, (name, described) in product(DISTANCES, COMPARED.items()):
        metric = f"truth_{distance}"
        asked = name != "reconstruction" and choice.kind == "clip"
        found = paired_finding(model, select(items, **choice.continuations(name), **where), metric)
        values = item_values(model, metric)
        if found is None or values is None:
            continue
        ours = float(values.mean())
        yield ClaimRow(
            claim="closeness",
            **_condition(choice, where),
            metric=f"{metric} - {name}",
            **_evidence(found, 0.0 if asked else None, "below"),
            sentence=f"Continuations of {_what(choice.kind, where)} lie {ours:.3g} from the truth ({metric}), "
            f"{described} {ours - found.estimate.value:.3g}: a difference of "
            f"{found.estimate.text(metric, signed=True)}.",
        )


def _leakage(items: Sequence[ItemRow], choice: Choice, group: Group) -> Iterator[ClaimRow]:
    rows = select(items, **choice.continuations(MODEL), group=group)
    alone = select(rows, encoding="alone")
    full = select(rows, encoding="full")
    # A causal tokenizer makes the same prompts either way, and there is nothing to test.
    asked = any(row.prompt_tokens_changed for row in full)
    for metric, rises in LEAKED.items():
        found = paired_finding(full, alone, metric)
        if found is None:
            continue
        yield ClaimRow(
            claim="leakage",
            **_condition(choice, {"group": group, "encoding": "full - alone"}),
            metric=metric,
            **_evidence(found, 0.0 if asked else None, "above" if rises else "below"),
            sentence=f"With prompts encoded in full, in place of alone, {metric} of {group} {choice.kind}s changes "
            f"by {found.estimate.text(metric, signed=True)}{'' if asked else ': the prompts are the same'}.",
        )


def _memorisation(audit: Sequence[AuditRow], choice: Choice, where: Mapping[str, Any]) -> Iterator[ClaimRow]:
    rows = select(audit, **choice.model_condition(), **where)
    by_item: dict[int, list[AuditRow]] = {}
    for row in rows:
        by_item.setdefault(row.item, []).append(row)
    if not by_item:
        return
    truths = [of_item[0].truth_matching for of_item in by_item.values()]
    names = [of_item[0].group_name for of_item in by_item.values()]
    possible = (True, False) if where["group"] == "studied" else (False,)
    for (name, least), own in product((("copies", 1.0), ("near_copies", MOST)), possible):
        metric = f"{name}_of_{'own' if own else 'others'}"
        copies = [
            np.mean([row.matching >= least and row.own == own for row in of_item]) for of_item in by_item.values()
        ]
        found = share_finding(np.array(copies), names)
        among_truths = written(float(np.mean([matching >= least for matching in truths])), metric)
        yield ClaimRow(
            claim="memorisation",
            **_condition(choice, where),
            metric=metric,
            **_evidence(found),
            sentence=f"{found.estimate.text(metric)} of the continuations of {_what(choice.kind, where)} agree with "
            f"{'the very item continued' if own else 'another training item'} in "
            f"{'all' if least == 1 else f'at least {percent(least)}'} of the generated tokens; {among_truths} of the "
            "truths do with another training item.",
        )


def _needed(context: Context) -> ClaimRow:
    where: dict[str, Any] = {"group": context.group, "encoding": context.encoding}
    return ClaimRow(
        claim="context",
        kind=context.kind,
        model=context.model,
        training_items=context.training_items,
        **where,
        given_share=None,
        metric="context",
        **_evidence(Finding(context.needed, context.groups)),
        sentence=f"Share of the tokens from which half of the continuations of {_what(context.kind, where)} are "
        f"retrieved: {context.text()} after {context.training()}.",
    )


def _growth(growth: Growth) -> ClaimRow:
    small = growth.smallest
    large = growth.largest
    where: dict[str, Any] = {"group": large.group, "encoding": large.encoding}
    return ClaimRow(
        claim="context",
        kind=large.kind,
        model=f"{large.model} - {small.model}",
        training_items=large.training_items,
        **where,
        given_share=None,
        metric="context_growth",
        **_evidence(growth.difference, 0.0 if large.group == "studied" else None, "above"),
        sentence=f"Share of the tokens from which half of the continuations of {_what(large.kind, where)} are "
        f"retrieved: {small.text()} after {small.training()}; {large.text()} after {large.training()}.",
    )


def _condition(choice: Choice, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that say what a claim is about."""
    return {
        "kind": choice.kind,
        "model": choice.model,
        "training_items": choice.training_items,
        "given_share": choice.given_share,
        **where,
    }


def _evidence(found: Finding | None, threshold: float | None = None, side: Side | None = None) -> dict[str, Any]:
    """Return the columns of what a claim rests on, None for what is not known.

    Args:
        found: what was measured; None where it is undefined.
        threshold: of the claim; None where the row is for information.
        side: of the threshold on which the metric is if the claim holds.
    """
    asked = {"threshold": threshold, "side": None if threshold is None else side}
    if found is None:
        return {"groups": None, "value": None, "low": None, "high": None, "p": None, **asked}
    ends = (None if np.isnan(end) else end for end in found.estimate)
    tested = threshold is not None and found.groups >= GROUPS_FOR_VERDICT
    return {
        "groups": found.groups,
        **dict(zip(("value", "low", "high"), ends, strict=True)),
        "p": found.p if tested else None,
        **asked,
    }


def _what(kind: str, where: Mapping[str, Any]) -> str:
    return f"{where['group']} {kind}s ({describe_encoding(where['encoding'])})"
