"""Accuracies that are no better than guessing, said in words."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.statistics.accuracy import Accuracy, pooled
from training.progress import count


def chance_sentences(results: Iterable[Accuracy], model: str | None = None) -> list[str]:
    """Return a sentence for every condition whose accuracy after study is not above chance.

    Judged are all runs together by the weights alone, on unchanged images, after the last exposure and before any
    interference. Of results without an exposure nothing is said.

    Args:
        results: of one model or several.
        model: of which of them; not needed where there is one.
    """
    curves = pooled(results, model=model)
    sentences = (chance_sentence(curve[-1]) for curve in curves.values())
    return [sentence for sentence in sentences if sentence]


def chance_sentence(result: Accuracy) -> str | None:
    """Return a sentence for people where an accuracy after study is not above chance; None where it is.

    It is above chance when all of its interval over images is: what these very runs remember.
    """
    if not result.exposure or result.low_images > result.chance:
        return None
    guessing = f"{100 * result.chance:.3g} %"
    number = f"{result.condition}: {100 * result.accuracy:.1f} % correct after {count(result.exposure, 'exposure')}"
    if result.high_images < result.chance:
        return f"{number} is worse than guessing ({guessing}): study has made the studied images the less likely ones"
    if result.accuracy <= result.chance:
        return f"{number} is no better than guessing ({guessing}): the test shows no memory"
    interval = f"{100 * result.low_images:.1f} to {100 * result.high_images:.1f} %"
    return f"{number} is not told apart from guessing ({guessing}): the 95 % interval over images is {interval}"
