"""Claims in words: a sentence for each, and the answer at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from experiments.diversity.reporting.runs import in_order, select
from experiments.methods import listed
from experiments.pages import percent
from experiments.physics.manifest import CONTROL
from experiments.physics.reporting.claims import ALPHA, ConceptClaim, Verdict
from experiments.physics.scores import ALL
from experiments.statistics.outcomes import CHANCE

QUESTION = "Is what cannot happen less likely to the model than what can, where both are made of the same frames?"
HEADS: dict[Verdict, str] = {
    "above every control": "Above chance and above every control",
    "so is a control": "Above chance, but so is a control that knows nothing",
    "below chance": "Below chance",
    "undecided": "Undecided",
}


def lead(claims: Sequence[ConceptClaim], models: Sequence[str]) -> str:
    """Return the answer in paragraphs: of each model all concepts together, then where which verdict stands.

    Args:
        claims: of all models.
        models: names of those that are spoken of.
    """
    paragraphs = [QUESTION]
    for model in models:
        own = select(claims, model=model)
        if own:
            first = select(own, measure=own[0].measure)
            pooled = " ".join(sentence(claim) for claim in select(first, concept=ALL))
            paragraphs += [f"`{model}`: {pooled}", _by_verdict(first)]
    if not claims:
        paragraphs.append("The set has no matched films, so that nothing is claimed.")
    return "\n\n".join(filter(None, paragraphs))


def sentence(claim: ConceptClaim) -> str:
    """Return a claim as a sentence."""
    concept = "All concepts" if claim.concept == ALL else claim.concept[:1].upper() + claim.concept[1:]
    scenes = f"{claim.scenes} scene{'' if claim.scenes == 1 else 's'}"
    found = f"{concept}, {claim.visibility} ({claim.measure}): {share(claim.value, claim.low, claim.high)} of {scenes}"
    return f"{found}, {verdict(claim)}."


def verdict(claim: ConceptClaim) -> str:
    """Return what a claim comes to, in words."""
    if claim.concept == CONTROL:
        return _of_control(claim)
    chance = f"chance{_p(claim.p_holm)}"
    if claim.verdict == "above every control":
        difference = points(claim.difference, claim.difference_low, claim.difference_high)
        nearest = f"`{claim.control}` with {share(claim.control_value, claim.control_low, claim.control_high)}"
        found = (
            f"above {chance} and above every control (next is {nearest}: {difference}{_and_p(claim.p_control_holm)})"
        )
        return found + _not_compared(claim)
    if claim.verdict == "so is a control":
        named = listed([f"`{name}`" for name in claim.passing.split(", ")])
        what = "what is asked" if claim.concept == ALL else claim.concept
        best = share(claim.control_value, claim.control_low, claim.control_high)
        return f"above {chance}, but so is {named} (the best has {best}): asks for no knowledge of {what}"
    if claim.verdict == "below chance":
        return f"below {chance}: what can happen is the more surprising"
    return f"undecided: {claim.reason}"


def share(value: float | None, low: float | None, high: float | None) -> str:
    """Return a share with its interval, as far as there is one."""
    if value is None:
        return ""
    return percent(value) + ("" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]")


def points(value: float | None, low: float | None, high: float | None) -> str:
    """Return a difference of shares in percentage points, with its interval as far as there is one."""
    if value is None:
        return ""
    interval = "" if low is None or high is None else f" [{100 * low:+.0f}, {100 * high:+.0f}]"
    return f"{100 * value:+.1f} points{interval}"


def _by_verdict(claims: Sequence[ConceptClaim]) -> str:
    """Return which concepts, visible and hidden, have which verdict."""
    said = []
    for verdict_, head in ((name, HEADS[name]) for name in get_args(Verdict)):
        rows = [claim for claim in select(claims, verdict=verdict_) if claim.concept != ALL]
        where = [
            f"{visibility} {listed([claim.concept for claim in select(rows, visibility=visibility)])}"
            for visibility in in_order(claim.visibility for claim in rows)
        ]
        if where:
            said.append(f"{head}: {'; '.join(where)}.")
    return " ".join(said)


def _of_control(claim: ConceptClaim) -> str:
    """Return what films say in which nothing is violated."""
    if claim.p is None or claim.p > ALPHA:
        return f"nothing is violated in these films, and the share is not told apart from chance{_p(claim.p)}"
    side = "more" if claim.value > CHANCE else "less"
    return (
        f"nothing is violated in these films, and yet the changed ones are the {side} surprising{_p(claim.p)}: cuts, "
        "light or compression count by themselves"
    )


def _not_compared(claim: ConceptClaim) -> str:
    """Return which controls a claim says nothing of; empty where there are none."""
    if not claim.not_compared:
        return ""
    named = listed([f"`{name}`" for name in claim.not_compared.split(", ")])
    return f", but for {named}, which {'has' if ', ' not in claim.not_compared else 'have'} no number for these films"


def _p(p: float | None) -> str:
    return "" if p is None else f" (p = {p:.2g})"


def _and_p(p: float | None) -> str:
    return "" if p is None else f", p = {p:.2g}"
