"""What a model knows, concept by concept: above chance, and above every control that knows nothing.

Compared are the readouts that each chose on one half of the scenes, on the other half. A model is above chance where
the exact sign-flip test over scenes says so. It is above every control where it is ahead of each of them on the same
comparisons and the largest of these p-values is small: a claim about all needs no correction for their number
(intersection-union test; Berger 1982, Technometrics 24, 295-300). Both p-values are corrected for all concepts, visible
and hidden, of the same model and measure (Holm 1979); all concepts together, visible and hidden, are a family of their
own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from experiments.physics.contrasts import Measure
from experiments.physics.manifest import CONTROL
from experiments.physics.printing import MAIN
from experiments.physics.reporting.accuracy import reported
from experiments.physics.reporting.outcomes import Difference, Outcomes, compare, in_subset, outcomes
from experiments.physics.reporting.runs import Merged, Model
from experiments.physics.scores import ALL, readout_of
from experiments.physics.tables import ScoreRow, Visibility
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from experiments.statistics.multiplicity import holm
from experiments.statistics.outcomes import CHANCE
from storage.terminal import count

Verdict = Literal["above every control", "so is a control", "below chance", "undecided"]

ALPHA = 0.05
"""Largest corrected p-value that decides."""


@dataclass(frozen=True, kw_only=True)
class ConceptClaim:
    """Whether a model knows a concept, and what that rests on: a row of claims.csv."""

    model: str
    """Name of the GPT or observer."""
    concept: str
    """What is violated; `all` for all concepts but `control` together."""
    visibility: Visibility
    """Whether events are visible or hidden."""
    measure: Measure
    """What is compared, as in scores.csv."""
    readout: str
    """The readout that the model chose on the other half of the scenes."""
    scenes: int
    """Scenes that it rests on."""
    value: float
    """Share of comparisons in which the impossible films are the more surprising."""
    low: float | None
    """Lower end of its 95 % interval over scenes; empty where scenes are fewer than two, or all alike."""
    high: float | None
    """Upper end of it."""
    p: float | None
    """Two-sided, that the share is one half: exact sign-flip test over scenes."""
    p_holm: float | None
    """`p` corrected for its family; empty of `control`."""
    control: str
    """The control with the largest share, of several the one that is hardest to tell apart; empty without controls."""
    control_value: float | None
    """Its share."""
    control_low: float | None
    """Lower end of the 95 % interval of that."""
    control_high: float | None
    """Upper end of it."""
    difference: float | None
    """Share of the model minus that of this control, on the same comparisons."""
    difference_low: float | None
    """Lower end of the 95 % interval of that over scenes; empty where scenes are fewer than two, or all alike."""
    difference_high: float | None
    """Upper end of it."""
    p_control: float | None
    """Largest of the p-values of paired comparisons with each control, two-sided, exact sign-flip test over scenes; 1
    where a control is as good or better."""
    p_control_holm: float | None = None
    """`p_control` corrected for its family; empty of `control`."""
    passing: str = ""
    """Controls that are above chance themselves, and that the model is not shown to be above."""
    not_compared: str = ""
    """Controls that have no comparison in common with the model, as they were given no number for these films; `every
    control` means the others."""
    verdict: Verdict | None = None
    """What holds; empty of `control`, where nothing is violated."""
    reason: str = ""
    """Why it is undecided."""


def claims(merged: Merged) -> list[ConceptClaim]:
    """Return what can be said of every GPT and observer, by each main measure that the set allows.

    Raises:
        ValueError: scores.csv of a run does not follow from its films.csv.
    """
    return [
        claim
        for measure in MAIN
        for model in merged.subjects
        for claim in _of_model(merged.controls(model), model, measure)
    ]


class _Rival(NamedTuple):
    """A control on the same comparisons."""

    name: str
    row: ScoreRow
    difference: Difference
    """Of the model from it."""

    @property
    def p(self) -> float:
        """That the model is above it: 1 where it is not ahead."""
        return self.difference.p if self.difference.value > 0 else 1.0


def _of_model(controls: Sequence[Model], model: Model, measure: Measure) -> list[ConceptClaim]:
    own = outcomes(model, measure)
    of_controls = {control.name: (control, outcomes(control, measure)) for control in controls}
    found = []
    for row in reported(model):
        if row.measure == measure and row.visibility != "both":
            subset = _subset(own, row)
            rivals = [
                _Rival(name, score, difference)
                for name, (control, theirs) in of_controls.items()
                if (difference := compare(subset, _subset(theirs, row))) is not None
                and (score := _same_score(control, row)) is not None
            ]
            missing = [name for name in of_controls if name not in {rival.name for rival in rivals}]
            found.append(_claim(model.name, row, rivals, missing))
    return [_decided(claim) for claim in corrected(found)]


def corrected(claims: Sequence[ConceptClaim]) -> list[ConceptClaim]:
    """Return the claims of a model and measure with p-values corrected in their families: concepts, and all together.

    Of `control` nothing is claimed, and no p-value is corrected.
    """
    chance = _holm([claim.p for claim in claims], claims)
    control = _holm([claim.p_control for claim in claims], claims)
    return [
        replace(claim, p_holm=p, p_control_holm=p_control)
        for claim, p, p_control in zip(claims, chance, control, strict=True)
    ]


def _holm(p_values: Sequence[float | None], claims: Sequence[ConceptClaim]) -> list[float | None]:
    """Return the p-values of claims, corrected in their families."""
    found: list[float | None] = [None] * len(claims)
    for pooled in (True, False):
        family = {
            index: p
            for index, (claim, p) in enumerate(zip(claims, p_values, strict=True))
            if p is not None and claim.concept != CONTROL and (claim.concept == ALL) == pooled
        }
        for index, p in zip(family, holm(list(family.values())), strict=True):
            found[index] = p
    return found


def _subset(of: Outcomes, row: ScoreRow) -> Outcomes:
    return {names: one for names, one in of.items() if in_subset(one.film, row.concept, row.visibility)}


def _same_score(control: Model, row: ScoreRow) -> ScoreRow | None:
    """Return the score of a control on what a score is on."""
    wanted = row.measure, row.concept, row.visibility
    return next((own for own in reported(control) if (own.measure, own.concept, own.visibility) == wanted), None)


def _claim(model: str, row: ScoreRow, rivals: Sequence[_Rival], missing: Sequence[str]) -> ConceptClaim:
    best = min(rivals, key=lambda rival: (rival.difference.value, -rival.p), default=None)
    passing = [rival.name for rival in rivals if _is_above(rival.row) and rival.p > ALPHA]
    difference = best.difference if best else None
    return ConceptClaim(
        model=model,
        concept=row.concept,
        visibility=row.visibility,
        measure=row.measure,
        readout=readout_of(row).name,
        scenes=row.scenes,
        value=row.value,
        low=row.low,
        high=row.high,
        p=row.p,
        p_holm=None,
        control=best.name if best else "",
        control_value=best.row.value if best else None,
        control_low=best.row.low if best else None,
        control_high=best.row.high if best else None,
        difference=difference.value if difference else None,
        difference_low=difference.low if difference else None,
        difference_high=difference.high if difference else None,
        p_control=max((rival.p for rival in rivals), default=None),
        passing=", ".join(passing),
        not_compared=", ".join(missing),
    )


def _is_above(row: ScoreRow) -> bool:
    """Whether a control is above chance; all concepts together have no correction of their own."""
    p = row.p if row.p_holm is None else row.p_holm
    return p is not None and p <= ALPHA and row.value > CHANCE


def _decided(claim: ConceptClaim) -> ConceptClaim:
    if claim.concept == CONTROL:
        return claim
    reason = _why_undecided(claim)
    if reason:
        return replace(claim, verdict="undecided", reason=reason)
    if claim.value < CHANCE:
        return replace(claim, verdict="below chance")
    above = claim.p_control_holm is not None and claim.p_control_holm <= ALPHA
    return replace(claim, verdict="above every control" if above else "so is a control")


def _why_undecided(claim: ConceptClaim) -> str:
    """Return why nothing can be said, or nothing where something can."""
    if claim.scenes < GROUPS_FOR_VERDICT:
        return f"only {count(claim.scenes, 'scene')}, a verdict takes {GROUPS_FOR_VERDICT}"
    if claim.p is None or claim.p_holm is None or claim.p_holm > ALPHA:
        return "not told apart from chance" + _uncorrected(claim.p, claim.p_holm)
    if claim.value < CHANCE or claim.passing:
        return ""
    if claim.p_control is None or claim.p_control_holm is None:
        there = "no control has the same films" if claim.not_compared else "there is no control to hold it against"
        return f"above chance, but {there}"
    if claim.p_control_holm > ALPHA:
        apart = _uncorrected(claim.p_control, claim.p_control_holm)
        return f"above chance, but not told apart from `{claim.control}`{apart}"
    return ""


def _uncorrected(p: float | None, p_holm: float | None) -> str:
    """Return in words that a p-value would do but for its correction."""
    if p is None or p_holm is None or p > ALPHA:
        return ""
    return f" (p = {p:.2g} is {p_holm:.2g} when corrected)"
