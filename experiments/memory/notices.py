"""What a reader of a report has to know about its trials before any result: a sentence each, for page and terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from experiments.statistics.comparison import incomparable
from experiments.statistics.outcomes import Outcomes
from experiments.statistics.trials import TestCondition
from training.progress import count


def notices(outcomes: Sequence[Outcomes]) -> list[str]:
    """Return the sentences, none where there is nothing unusual.

    Args:
        outcomes: of all models.
    """
    found = (_shorter_runs(outcomes), _single_images(outcomes), _all_ties(outcomes), _unpaired_models(outcomes))
    return list(dict.fromkeys(sentence for sentences in found for sentence in sentences))


def _shorter_runs(outcomes: Sequence[Outcomes]) -> Iterator[str]:
    for of_condition in outcomes:
        common = of_condition.common_moments()
        if len(common) == len(of_condition.moments):
            continue
        last = max((moment.exposure for moment in common), default=None)
        pooled = "are not pooled, because no exposure is common to them" if last is None else f"are pooled up to {last}"
        longest = max(moment.exposure for moment in of_condition.moments)
        model = _model(of_condition.tested)
        yield f"{model}: some runs were tested after {longest} exposures, others not; they {pooled}."


def _single_images(outcomes: Sequence[Outcomes]) -> Iterator[str]:
    for of_condition in outcomes:
        if len(of_condition.items) == 1:
            yield (
                f"{_model(of_condition.tested)}: there is one trial in the condition {of_condition.tested.condition}, "
                "from which nothing follows for other images."
            )


def _all_ties(outcomes: Sequence[Outcomes]) -> Iterator[str]:
    for of_condition in outcomes:
        last = of_condition.at(of_condition.moments[-1:])
        if last.moments[0].exposure and (np.isnan(last.correct) | (last.correct == last.guessed)).all():
            tested = of_condition.tested
            yield (
                f"{_model(tested)}: all {count(int(last.counts[0]), 'trial')} in the condition {tested.condition} "
                f"after {count(last.moments[0].exposure, 'exposure')} are ties by {tested.readout}, whose scores do "
                "not tell these images apart."
            )


def _unpaired_models(outcomes: Sequence[Outcomes]) -> Iterator[str]:
    for first, second in incomparable(outcomes):
        yield (
            f"{first.tested.model} and {second.tested.model} share no trial of the same list, version and seed, "
            "and are not compared: run both on the same lists with the same seeds."
        )


def _model(tested: TestCondition) -> str:
    return tested.model or "this model"
