"""What the question asks, as claims with thresholds, and whether they hold.

identification   continuations are nearer to their own truth than to any other item's
determinism      continuations of a clip differ from one another at most half as much as those of an image
closeness        continuations are nearer to the truth than a copied frame and than other items
context          a model that knows more needs more context to retrieve the right thing
leakage          a prompt that contains the future makes continuations nearer to the truth and more alike
memorisation     continuations copy training items, their own or others

What decides them is told in `experiments.diversity.reporting.verdicts`. Rows without a verdict are for information.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args

import numpy as np

from experiments.diversity.conditions import Group
from experiments.diversity.reporting.context import Context, Growth
from experiments.diversity.reporting.estimates import (
    Finding,
    item_values,
    paired_finding,
    ratio_finding,
    share_finding,
    written,
)
from experiments.diversity.reporting.runs import Choice, Chosen, choose, describe_encoding, in_order, select
from experiments.diversity.reporting.verdicts import Claim, ClaimRow, Side, decide, kinds_of_one_prompt
from experiments.diversity.tables import DISTANCES, MODEL, AuditRow, ItemRow
from experiments.pages import percent
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from experiments.statistics.outcomes import Floats, known

IDENTIFIED = ("identified_feature", "identified_pixel", "identified_token")
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
        # What follows selects again and again: among thousands of rows only once.
        continued, audited = select(items, **where), select(audit, **where)
        found += _determinism(continued, chosen, where)
        for choice in chosen.values():
            found += _identification(continued, choice, where)
            found += _closeness(continued, choice, where)
            found += _memorisation(audited, choice, where)
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
            continued = select(items, **where)
            if "clip" in chosen:
                found += _identification(continued, chosen["clip"], where)
            found += _determinism(continued, chosen, where)
    return decide(found, kinds_of_one_prompt(items))


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
    ends = map(known, found.estimate)
    tested = threshold is not None and found.groups >= GROUPS_FOR_VERDICT
    return {
        "groups": found.groups,
        **dict(zip(("value", "low", "high"), ends, strict=True)),
        "p": found.p if tested else None,
        **asked,
    }


def _what(kind: str, where: Mapping[str, Any]) -> str:
    return f"{where['group']} {kind}s ({describe_encoding(where['encoding'])})"
