"""What the question asks, as claims with thresholds, and whether they hold.

identification   continuations are nearer to their own truth than to any other item's
determinism      continuations of a clip differ from one another at most half as much as those of an image
closeness        continuations are nearer to the truth than a copied frame and than other items
context          a model that knows more needs more context to retrieve the right thing
leakage          a prompt that contains the future makes continuations nearer to the truth and more alike
memorisation     continuations copy training items, their own or others

A claim holds where the whole 95 % interval is on the right side of the threshold, fails where all of it is on the
wrong side, and is undecided where the interval straddles the threshold. Rows without a verdict are for information.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from experiments.diversity.reporting.context import Context, Growth
from experiments.diversity.reporting.estimates import (
    Estimate,
    Verdict,
    item_values,
    paired_estimate,
    ratio_estimate,
    share_estimate,
    written,
)
from experiments.diversity.reporting.selection import Choice, choose, describe_encoding, in_order, select
from experiments.diversity.tables import MODEL, SPACES, AuditRow, Group, ItemRow, Kind
from experiments.pages import percent
from experiments.statistics.outcomes import Floats

Claim = Literal["identification", "determinism", "closeness", "context", "leakage", "memorisation"]

IDENTIFIED = ("identified_feature", "identified_pixel", "identified_token")
MOST = 0.9
"""Share of continuations that identification asks for; and share of common tokens that makes a near-copy."""
HALF = 0.5
"""Of the distance between images: what determinism allows clips."""
RELATIVE = " / other"
"""What is added to the name of a figure that is relative to the baseline `other`."""
COMPARED = {
    "copy": "the last given row or frame copied",
    "other": "the truths of other items",
    "reconstruction": "the tokenizer's reconstruction, the floor,",
}
"""Baselines that closeness is judged by, in words."""
LEAKED = {
    **dict.fromkeys((*IDENTIFIED, "retrieved"), True),
    **dict.fromkeys(("truth_bits_per_token", *(f"pairwise_{space}" for space in SPACES)), False),
}
"""Figures that a prompt with the future in it should raise (True) or lower."""


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """A claim about one group and prompt encoding, the figure it rests on, and whether it holds."""

    claim: Claim
    kind: str
    """`image`, `clip`, or `both` where the two are compared."""
    model: str
    training_items: int
    """Of the model, or of the larger one."""
    group: Group
    encoding: str
    """`full - alone` where the two are compared."""
    given_share: float | None
    figure: str
    value: float | None
    """None where it is undefined, infinite where no context is enough."""
    low: float | None
    high: float | None
    threshold: float | None
    verdict: Verdict | None
    """None: for information."""
    sentence: str


def claims(
    items: Sequence[ItemRow],
    audit: Sequence[AuditRow],
    chosen: Mapping[Kind, Choice],
    contexts: Sequence[Context],
    growths: Sequence[Growth],
) -> list[ClaimRow]:
    """Return all claims on the chosen ways of continuing, as far as there are rows for them."""
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
    return sorted(found, key=lambda row: get_args(Claim).index(row.claim))


def claims_by_size(items: Sequence[ItemRow]) -> list[ClaimRow]:
    """Return identification and determinism of the models of each size of training set, after most exposures."""
    found: list[ClaimRow] = []
    for size in sorted({row.training_items for row in items}):
        chosen = choose(select(items, training_items=size))
        for group, encoding in product(get_args(Group), in_order(row.encoding for row in items)):
            where = {"group": group, "encoding": encoding}
            found += _identification(items, chosen["clip"], where) if "clip" in chosen else ()
            found += _determinism(items, chosen, where)
    return found


def _identification(items: Sequence[ItemRow], choice: Choice, where: Mapping[str, Any]) -> Iterator[ClaimRow]:
    rows = select(items, **choice.continuations(MODEL), **where)
    asked = choice.kind == "clip"
    for figure in IDENTIFIED:
        values = item_values(rows, figure)
        if values is not None:
            found = share_estimate(values)
            yield ClaimRow(
                claim="identification", **_place(choice, where), figure=figure, **_columns(found),
                threshold=MOST if asked else None, verdict=found.at_least(MOST) if asked else None,
                sentence=f"{found.text(figure)} of the continuations of {_what(choice.kind, where)} are nearer to "
                f"their own truth than to any other item's ({figure}).",
            )  # fmt: skip


def _determinism(
    items: Sequence[ItemRow], chosen: Mapping[Kind, Choice], where: Mapping[str, Any]
) -> Iterator[ClaimRow]:
    if len(chosen) < 2:
        return
    clip, image = chosen["clip"], chosen["image"]
    place = _place(clip, where) | {"kind": "both", "model": f"{clip.model} / {image.model}"}
    for relative, space in product((False, True), SPACES):
        figure = f"pairwise_{space}"
        varied = [_varied(items, choice, where, figure, relative) for choice in (clip, image)]
        if not varied[0].measured or not varied[1].measured:
            continue
        figure += RELATIVE * relative
        found = _ratio(*(one.values for one in varied))
        sentence = (
            f"Continuations of {where['group']} clips differ from one another {found.text(figure)} times as much as "
            f"those of images ({describe_encoding(where['encoding'])}, {figure})."
            if found
            else f"How much continuations differ ({figure}) is undefined for one continuation."
        )
        yield ClaimRow(
            claim="determinism", **place, figure=figure, **_columns(found), threshold=HALF,
            verdict=found.at_most(HALF) if found else "undecided", sentence=sentence,
        )  # fmt: skip


class Varied(NamedTuple):
    """How much the continuations of items differ."""

    measured: bool
    """Whether distances were measured in this space, and other items are there where they are the measure."""
    values: Floats | None
    """(I,); None for one continuation."""


def _varied(items: Sequence[ItemRow], choice: Choice, where: Mapping[str, Any], figure: str, relative: bool) -> Varied:
    """Return how much the continuations of each item differ, on request relative to how much other items do.

    Other items are what there is to see between originals: of blurred images everything differs less.
    """
    rows = select(items, **choice.continuations(MODEL), **where)
    values = item_values(rows, figure)
    measured = item_values(rows, figure.replace("pairwise", "truth")) is not None
    if not relative:
        return Varied(measured, values)
    others = item_values(select(items, **choice.continuations("other"), **where), figure)
    if values is None or others is None or not others.any():
        return Varied(False, None)
    return Varied(measured, values / others.mean())


def _ratio(clips: Floats | None, images: Floats | None) -> Estimate | None:
    return None if clips is None or images is None else ratio_estimate(clips, images)


def _closeness(items: Sequence[ItemRow], choice: Choice, where: Mapping[str, Any]) -> Iterator[ClaimRow]:
    model = select(items, **choice.continuations(MODEL), **where)
    for space, (name, described) in product(SPACES, COMPARED.items()):
        figure, asked = f"truth_{space}", name != "reconstruction" and choice.kind == "clip"
        baseline = select(items, **choice.continuations(name), **where)
        found, values = paired_estimate(model, baseline, figure), item_values(model, figure)
        if found is not None and values is not None:
            ours = float(values.mean())
            yield ClaimRow(
                claim="closeness", **_place(choice, where), figure=f"{figure} - {name}", **_columns(found),
                threshold=0.0 if asked else None, verdict=found.below_zero() if asked else None,
                sentence=f"Continuations of {_what(choice.kind, where)} lie {ours:.3g} from the truth ({figure}), "
                f"{described} {ours - found.value:.3g}: a difference of {found.text(figure, signed=True)}.",
            )  # fmt: skip


def _leakage(items: Sequence[ItemRow], choice: Choice, group: Group) -> Iterator[ClaimRow]:
    alone, full = (
        select(items, **choice.continuations(MODEL), group=group, encoding=encoding) for encoding in ("alone", "full")
    )
    place = _place(choice, {"group": group, "encoding": "full - alone"})
    for figure, rises in LEAKED.items():
        found = paired_estimate(full, alone, figure)
        if found is not None:
            yield ClaimRow(
                claim="leakage", **place, figure=figure, **_columns(found), threshold=0.0,
                verdict=found.above_zero() if rises else found.below_zero(),
                sentence=f"With prompts encoded in full, in place of alone, {figure} of {group} {choice.kind}s changes "
                f"by {found.text(figure, signed=True)}.",
            )  # fmt: skip


def _memorisation(audit: Sequence[AuditRow], choice: Choice, where: Mapping[str, Any]) -> Iterator[ClaimRow]:
    rows = select(audit, **choice.model_way(), **where)
    truths = {row.item: row.truth_matching for row in rows}
    if not truths:
        return
    possible = (True, False) if where["group"] == "studied" else (False,)
    for (name, least), own in product((("copies", 1.0), ("near_copies", MOST)), possible):
        figure = f"{name}_of_{'own' if own else 'others'}"
        copies = {
            item: [row.matching >= least and row.own == own for row in select(rows, item=item)] for item in truths
        }
        found = share_estimate(np.array([np.mean(of_item) for of_item in copies.values()]))
        among_truths = written(float(np.mean([matching >= least for matching in truths.values()])), figure)
        yield ClaimRow(
            claim="memorisation", **_place(choice, where), figure=figure, **_columns(found), threshold=None,
            verdict=None,
            sentence=f"{found.text(figure)} of the continuations of {_what(choice.kind, where)} agree with "
            f"{'the very item continued' if own else 'another training item'} in "
            f"{'all' if least == 1 else f'at least {percent(least)}'} of the generated tokens; {among_truths} of the "
            "truths do with another training item.",
        )  # fmt: skip


def _needed(context: Context) -> ClaimRow:
    where = {"group": context.group, "encoding": context.encoding}
    return ClaimRow(
        claim="context", kind=context.kind, model=context.model, training_items=context.training_items,
        group=context.group, encoding=context.encoding,
        given_share=None, figure="context", **_columns(context.needed), threshold=None, verdict=None,
        sentence=f"Share of the tokens from which half of the continuations of {_what(context.kind, where)} are "
        f"retrieved: {context.text()} after {_trained(context)}.",
    )  # fmt: skip


def _growth(growth: Growth) -> ClaimRow:
    small, large = growth.smallest, growth.largest
    where = {"group": growth.group, "encoding": growth.encoding}
    return ClaimRow(
        claim="context", kind=growth.kind, model=f"{large.model} - {small.model}",
        training_items=large.training_items, group=growth.group,
        encoding=growth.encoding, given_share=None, figure="context_growth", **_columns(growth.difference),
        threshold=0.0, verdict=growth.difference.above_zero() if growth.group == "studied" else None,
        sentence=f"Share of the tokens from which half of the continuations of {_what(growth.kind, where)} are "
        f"retrieved: {small.text()} after {_trained(small)}; {large.text()} after {_trained(large)}.",
    )  # fmt: skip


def _place(choice: Choice, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that say what a claim is about."""
    return {
        "kind": choice.kind,
        "model": choice.model,
        "training_items": choice.training_items,
        "given_share": choice.given_share,
        **where,
    }


def _columns(found: Estimate | None) -> dict[str, Any]:
    """Return the columns of an estimate, None for what is not known."""
    values = found or (None, None, None)
    known = (None if value is None or np.isnan(value) else value for value in values)
    return dict(zip(("value", "low", "high"), known, strict=True))


def _what(kind: str, where: Mapping[str, Any]) -> str:
    return f"{where['group']} {kind}s ({describe_encoding(where['encoding'])})"


def _trained(context: Context) -> str:
    exposures = "" if context.exposures is None else f", {context.exposures:.3g} exposures"
    return f"{context.training_items} training items{exposures}"
