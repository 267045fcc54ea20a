"""What a reader of a comparison of pictures has to know before any number: a sentence each, for page and terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from experiments.memory.items.comparison import called
from experiments.memory.items.models import Model
from experiments.memory.items.sources import SCORE, Source, Unused
from experiments.memory.items.tables import COMPLEXITY, NOTHING, Correlation
from experiments.statistics.correlation import FEWEST, Measure
from training.progress import count

FEW_PICTURES = 30
"""Pictures of a condition up to which intervals are so wide that it is said."""


def item_notices(
    models: Sequence[Model],
    sources: Sequence[Source],
    complexity: Mapping[str, Measure],
    rows: Sequence[Correlation],
    unused: Sequence[Unused],
) -> list[str]:
    """Return the sentences."""
    found = (
        *_about_sources(sources),
        *_about_models(models),
        *_about_pictures(rows),
        *_about_variance(rows),
        *([] if complexity else [NO_IMAGES]),
        *_about_unused(unused),
    )
    return list(dict.fromkeys(found))


NO_IMAGES = (
    "The images of the lists are not where they were: JPEG size and edge density are unknown, and there are no "
    "thumbnails (give the folders with --stimuli)."
)


def _about_sources(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        if source.kind == "people" and source.participants == 1:
            yield f"{source.name}: there is one participant, so that no noise ceiling is known, nor how people differ."
        if source.kind == "scores":
            yield f"{source.name}: the table has no single participants, so that no noise ceiling is known."
        if source.kind == "predictor":
            values = source.measures[SCORE].values
            known = values[np.isfinite(values)]
            yield (
                f"{source.name}: what is compared are predictions of a network. Its authors say that it predicts "
                f"nothing below about .41; here its predictions lie between {known.min():.2f} and {known.max():.2f}, "
                f"with a standard deviation of {known.std():.2f}."
            )


def _about_models(models: Sequence[Model]) -> Iterator[str]:
    for model in models:
        name = called(model.name, model.readout) or "the model"
        if model.runs == 1:
            yield f"{name}: there is one run, and nothing is known about other runs (more of them: --seeds)."
        elif model.runs <= 3:
            yield f"{name}: there are {model.runs} runs, which hardly tell how runs differ: intervals are wide."
        if model.exposures[0] != 0:
            yield (
                f"{name}: it was not tested before study, so that there is only its raw margin, which misleads: record "
                "exposure 0 as well."
            )


def _about_pictures(rows: Sequence[Correlation]) -> Iterator[str]:
    few: dict[tuple[str, int], dict[str, None]] = {}
    for row in rows:
        if row.pictures < FEW_PICTURES and row.kind != COMPLEXITY:
            few.setdefault((row.source, row.pictures), {})[row.condition] = None
    for (source, number), conditions in few.items():
        pictures = f"fewer than {FEWEST} pictures of a condition" if number < FEWEST else count(number, "picture")
        yield (
            f"{source}, in {' and '.join(conditions)}: {pictures} have both a value of it and of the model, from which "
            "little follows."
        )


def _about_variance(rows: Sequence[Correlation]) -> Iterator[str]:
    for row in rows:
        if row.partialled == NOTHING and row.correlation is None and row.pictures >= FEWEST:
            yield f"{row.source}, in {row.condition}: there is no correlation, {row.note}."


def _about_unused(unused: Sequence[Unused]) -> Iterator[str]:
    reasons: dict[tuple[str, str], int] = {}
    for each in unused:
        key = (each.source, each.reason.split(":")[0])
        reasons[key] = reasons.get(key, 0) + 1
    for (source, reason), number in sorted(reasons.items()):
        yield f"{source}: {count(number, 'item')} not used, {reason} (skipped.csv lists them)."
