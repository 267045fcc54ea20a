"""The sections of the page on continuations, each with a sentence or two on how to read it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import get_args

from experiments.diversity.conditions import Group, Kind
from experiments.diversity.reporting.answers import cell, judged, measure, pivot, statement
from experiments.diversity.reporting.claims import RELATIVE
from experiments.diversity.reporting.context import Context
from experiments.diversity.reporting.estimates import MetricRow, redundancies
from experiments.diversity.reporting.runs import Chosen, Merged, describe_encoding, in_order, select, training
from experiments.diversity.reporting.verdicts import ALPHA, ClaimRow
from experiments.diversity.tables import DISTANCES, MODEL, ImageRow, RedundancyRow, RunRow
from experiments.pages import Medium, Section, Table, embed, percent, without_empty_columns
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from training.progress import count

MATCHED = {
    "gpt_parameters": "parameters",
    "layers": "layers",
    "width": "width",
    "vocab_size": "vocabulary",
    "tokens": "tokens per item",
    "generated": "generated tokens",
    "training_items": "training items",
    "exposures": "exposures",
    "training_tokens": "training tokens",
}
"""Heads of the table of models, by quantity."""


def claim_section(claims: Sequence[ClaimRow]) -> Section:
    """Return the section on what holds."""
    return Section(
        "What holds",
        "Items of one source, or of one group of --group-by, are alike; so each group counts as one observation, and "
        "95 % intervals, in brackets, are over groups. p is that of the threshold, corrected for all claims of the "
        f"same kind on this page (Holm 1979). A claim holds where the metric is on the right side of its threshold and "
        f"p is at most {ALPHA:g}, fails where it is on the wrong side with as small a p, and is undecided otherwise: "
        "where the interval, which is of one claim alone, straddles the threshold, where the claim does not survive "
        f"the correction, and wherever there are fewer than {GROUPS_FOR_VERDICT} groups. Of one group nothing is known "
        "of how groups differ, and there is no interval; nor is there one for a mean or ratio of groups that agree "
        "exactly, where p is that of so many coin flips that all fall alike. "
        "Studied items were trained on, new ones were not; `alone` says that the prompt was encoded by itself, `full` "
        "that it was cut out of the tokens of the whole, so that it may contain the future. How much continuations "
        "differ is a ratio; relative to other items, each side is first divided by how much originals of different "
        "items differ, as blurred images all differ less. Closeness is a difference of distances to the truth, "
        "negative where the model is nearer; context is a difference of shares of tokens, +∞ where only the smaller "
        "training set is ever retrieved. "
        "claims.csv has all of it in sentences, with groups and p-values, and the metrics for information.",
        table=pivot(judged(claims), ("claim", "measured by"), lambda row: (statement(row), measure(row))),
    )


def size_section(claims: Sequence[ClaimRow]) -> Section:
    """Return the section on how identification and determinism depend on the size of the training set."""
    head = ("training items", "claim", "measured by")
    first: dict[tuple[str, bool], str] = {}
    for row in claims:
        first.setdefault((row.metric.split("_")[0], row.metric.endswith(RELATIVE)), row.metric)
    rows = [row for row in claims if row.metric in first.values()]
    table = pivot(rows, head, lambda row: (str(row.training_items), statement(row), measure(row)))
    return Section(
        "What holds for which size of training set",
        "The same for the models of each size, after most exposures, as far as both kinds were measured: small "
        "training sets are learned by heart, large ones have to be understood. p is corrected for all claims of a kind "
        "over all sizes. sizes.csv has all metrics.",
        table=table,
    )


def model_section(tables: Merged, chosen: Chosen) -> Section:
    """Return the section on the models, and on what is not matched between those compared."""
    runs = sorted(tables.run, key=lambda run: (get_args(Kind).index(run.kind), training(run)))
    quantities = {run.model: _quantities(run, tables) for run in runs}
    rows = [("model", *MATCHED.values())]
    rows += [(model, *(_written(of_model[name]) for name in MATCHED)) for model, of_model in quantities.items()]
    return Section("Models", _matching(quantities, chosen), table=without_empty_columns(rows))


def distance_section(folder: Path) -> Section:
    """Return the section on distances."""
    return Section(
        "How varied, how near",
        "Above: mean distance between two continuations of one prompt. Below: mean distance of continuations to what "
        "really followed. Baselines are the last given row or frame copied, the truths of other items, what followed "
        "in the training item with the most similar prompt (for studied items mostly they themselves), and the "
        "tokenizer's reconstruction of the truth, below which no continuation can be expected. Bars are 95 % "
        "intervals over groups of sources.",
        (embed(folder / "distances.png", "Distances, images beside clips, studied and new"),),
    )


def entropy_section(folder: Path, means: Sequence[MetricRow], chosen: Chosen) -> Section:
    """Return the section on entropy along the generated part, and on bits by token and by pixel."""
    return Section(
        "Where it is uncertain",
        "Entropy is how many bits the model itself leaves open at each token; the surprise is how many bits the truth "
        "costs. A model that knows what follows has little of both; one that is sure and wrong has little entropy and "
        "much surprise. Means over the tokens of a row; the bands are means of the intervals of single positions. "
        "Tokens of different tokenizers stand for different numbers of pixels: only bits per pixel compare them. "
        "Pixels are those of the original that the generated tokens stand for, frames x rows x columns at the size "
        "that the tokenizer is given; what a tokenizer loses of them costs no bits.",
        (embed(folder / "entropy.png", "Bits per token along the generated part"),),
        _bits_table(means, chosen),
    )


def best_section(means: Sequence[MetricRow], chosen: Chosen) -> Section:
    """Return the section on the distance of the best of several continuations to the truth."""
    rows = [row for row in means if row.metric.startswith("best_")]
    main = [row for choice in chosen.values() for row in select(rows, **choice.continuations(MODEL))]
    sizes = sorted({_best_of(row) for row in main})
    encoding = main[0].encoding
    table = [("items", "distance", *(f"best of {size}" for size in sizes))]
    for choice, group in product(chosen.values(), get_args(Group)):
        of_group = select(rows, **choice.continuations(MODEL), group=group, encoding=encoding)
        for distance in DISTANCES:
            cells = [select(of_group, metric=f"best_{distance}_of_{size}") for size in sizes]
            if any(cells):
                texts = [cell[0].estimate.text(cell[0].metric) if cell else "" for cell in cells]
                table.append((f"{group} {choice.kind}s, {_groups(of_group)}", distance, *texts))
    return Section(
        "The best of several",
        "Distance to the truth of the nearest of n continuations, expected over which n of those that were drawn they "
        "are. The more one may choose from, the nearer is the best: compare models by the same n only, and with "
        "baselines, of which there is one continuation, by the best of 1. "
        f"{describe_encoding(encoding).capitalize()}; best.csv has all items and baselines.",
        table=tuple(table),
    )


def context_section(folder: Path, contexts: Sequence[Context]) -> Section:
    """Return the section on the share of the tokens that retrieval takes."""
    return Section(
        "How much context it takes",
        "Retrieved are continuations that have at least 90 % of the truth's tokens. The table says which share of the "
        "tokens must be given until half of them are retrieved, linear between the shares that were given: never, if "
        "the largest is not enough, at most the smallest, if that is enough already.",
        (embed(folder / "context.png", "Metrics of the main models against the share of tokens given"),),
        _context_table(contexts),
    )


def training_section(folder: Path) -> Section:
    """Return the section on what a larger training set and more exposures do."""
    return Section(
        "Does knowing more take more context?",
        "If a model that knows more items needs more context to tell which one is meant, the lines rise. Each size of "
        "training set is shown after its most exposures; where those differ, size and exposures cannot be told apart.",
        (
            embed(folder / "conjecture.png", "Context that half retrieval takes against the size of the training set"),
            embed(folder / "training.png", "Retrieval against the size of the training set, and against exposures"),
        ),
    )


def leakage_section(claims: Sequence[ClaimRow]) -> Section:
    """Return the section on what prompts cut out of the whole add."""
    rows = select(claims, claim="leakage")
    columns = in_order((row.group, row.kind) for row in rows)
    table = [("metric", *(f"{group} {kind}s" for group, kind in columns))]
    for metric in in_order(row.metric for row in rows):
        found = [select(rows, metric=metric, group=group, kind=kind) for group, kind in columns]
        table.append((metric.replace("_", " "), *map(cell, found)))
    return Section(
        "Prompts that contain the future",
        "As was long customary, the prompt may be cut out of the tokens of the whole, so that it may know what "
        "follows. Shown is what that adds to each metric of the same items, encoded alone; it helps (holds) where "
        "more is identified and retrieved, truths cost fewer bits, and continuations are more alike."
        if rows
        else "Prompts were encoded in one way only: there is nothing to compare.",
        table=tuple(table) if rows else (),
    )


def redundancy_section(folder: Path, redundancy: Sequence[RedundancyRow], chosen: Chosen) -> Section:
    """Return the section on what a compressor knows from the prompt."""
    table: list[tuple[str, ...]] = [("items", "groups", "pixels", "tokens")]
    for choice, group in product(chosen.values(), get_args(Group)):
        rows = select(redundancy, model=choice.model, given=choice.given, group=group)
        if rows:
            found = redundancies(rows).values()
            groups = str(len({row.group_name for row in rows}))
            table.append((f"{group} {choice.kind}s", groups, *(share.text("redundancy") for share in found)))
    return Section(
        "How redundant the rest is",
        "Bits that a general-purpose compressor (LZMA) needs for the rest when it knows the given part, in those that "
        "it needs without: 1 says that the prompt tells it nothing, 0 that it tells it everything. No model is asked. "
        "It learns how often values occur from the given part, too, so that some per cent are saved even of noise.",
        (embed(folder / "redundancy.png", "What a compressor knows of the rest from the prompt"),),
        tuple(table),
    )


def copy_section(folder: Path, claims: Sequence[ClaimRow]) -> Section:
    """Return the section on continuations that are training items."""
    rows = select(claims, claim="memorisation")
    return Section(
        "Copies of training items",
        "Each continuation is compared with all training items at the generated positions. Exact copies agree in every "
        "token, near-copies in at least 90 %. What the truths have in common with other training items says what "
        "agreement is worth without any copying.",
        (embed(folder / "audit.png", "Tokens in common with the training item that is most like it"),),
        pivot(rows, ("continuations", "share"), lambda row: (f"{row.kind}s", measure(row))),
    )


def setting_section(folder: Path) -> Section:
    """Return the section on sampling settings."""
    return Section(
        "Sampling settings",
        "Each point is a sampling setting of the main model: to the left is nearer to the truth, below more alike.",
        (embed(folder / "settings.png", "Distance between continuations against distance to the truth"),),
    )


def image_sections(tables: Merged, chosen: Chosen) -> Iterator[Section]:
    """Yield a section of images for each kind and group of the main models."""
    for choice, group in product(chosen.values(), get_args(Group)):
        rows = select(tables.images, kind=choice.kind, model=choice.model, group=group)
        media = [_picture(tables.folders[row.model] / row.file, row) for row in rows]
        if media:
            text = f"The extremes among the {group} {choice.kind}s that {choice.model} continued, not typical ones."
            yield Section(f"Behind the metrics: {group} {choice.kind}s", text, tuple(media))


def _picture(path: Path, row: ImageRow) -> Medium:
    caption = f"{row.reason.capitalize()}: {row.source} from {row.start:g} s, {describe_encoding(row.encoding)}"
    return embed(path, caption, words=f"{caption}. The original, the prompt, and what the model made of it.")


def all_metrics_sections(means: Sequence[MetricRow], chosen: Chosen) -> Iterator[Section]:
    """Yield a table of all metrics of each main model."""
    for choice in chosen.values():
        rows = select(means, **choice.continuations(MODEL))
        columns = in_order((row.group, row.encoding) for row in rows)
        heads = [select(rows, group=group, encoding=encoding) for group, encoding in columns]
        table = [("metric", *(f"{found[0].group}, {found[0].encoding}, {_groups(found)}" for found in heads))]
        for metric in in_order(row.metric for row in rows):
            found = [select(rows, metric=metric, group=group, encoding=encoding) for group, encoding in columns]
            table.append((metric, *(row[0].estimate.text(metric) if row else "" for row in found)))
        text = (
            f"Means over items, with 95 % intervals over groups of sources, of {choice.model}, "
            f"{percent(choice.given_share)} given. Columns of items.csv, and of best.csv; metrics.csv has those of all "
            "models, prompt lengths, settings and baselines."
        )
        yield Section(f"All metrics: {choice.kind}s", text, table=tuple(table))


def _bits_table(means: Sequence[MetricRow], chosen: Chosen) -> Table:
    """Return entropy and surprise by token and by pixel of the main models."""
    units = ("token", "pixel")
    kinds = {"entropy": "entropy", "truth": "surprise"}
    table = [("items", "prompt", *(f"{name}, bits per {unit}" for name in kinds.values() for unit in units))]
    for choice, group in product(chosen.values(), get_args(Group)):
        rows = select(means, **choice.continuations(MODEL), group=group)
        for encoding in in_order(row.encoding for row in rows):
            of_encoding = select(rows, encoding=encoding)
            cells = [select(of_encoding, metric=f"{kind}_bits_per_{unit}") for kind in kinds for unit in units]
            texts = [cell[0].estimate.text(cell[0].metric) if cell else "" for cell in cells]
            table.append((f"{group} {choice.kind}s, {_groups(of_encoding)}", encoding, *texts))
    return without_empty_columns(table)


def _groups(rows: Sequence[MetricRow]) -> str:
    """Return how many groups of sources means are over, in words."""
    return count(rows[0].groups, "group")


def _best_of(row: MetricRow) -> int:
    """Return how many continuations a metric is the best of."""
    return int(row.metric.rpartition("_")[2])


def _context_table(contexts: Sequence[Context]) -> Table:
    columns = in_order((context.group, context.encoding) for context in contexts)
    table = [("model", "training items", "exposures", *(f"{group}, {encoding}" for group, encoding in columns))]
    by_kind = sorted(contexts, key=lambda context: get_args(Kind).index(context.kind))
    for model in in_order(context.model for context in by_kind):
        rows = select(contexts, model=model)
        cells = [select(rows, group=group, encoding=encoding) for group, encoding in columns]
        first = (model, str(rows[0].training_items), _written(rows[0].exposures))
        table.append((*first, *(found[0].text() if found else "" for found in cells)))
    return without_empty_columns(table)


def _quantities(run: RunRow, tables: Merged) -> dict[str, float | None]:
    """Return what may be matched between models, by name."""
    items = select(tables.items, model=run.model)
    nearest = min(items, key=lambda row: (abs(row.given_share - 0.5), row.given_share))
    tokens = math.prod(int(length) for length in run.grid.split("x"))
    of_item = {"tokens": tokens, "generated": nearest.generated_tokens}
    return {name: getattr(run, name, None) for name in MATCHED} | of_item


def _matching(quantities: Mapping[str, Mapping[str, float | None]], chosen: Chosen) -> str:
    """Return what is not matched between the two models that are compared, in a sentence."""
    if len(chosen) < 2:
        return "There are no images and clips to match."
    image = quantities[chosen["image"].model]
    clip = quantities[chosen["clip"].model]
    unlike = [
        f"{head} ({_written(image[name])} and {_written(clip[name])})"
        for name, head in MATCHED.items()
        if image[name] != clip[name]
    ]
    models = f"Between the models compared, {chosen['image'].model} and {chosen['clip'].model},"
    return f"{models} {', '.join(unlike) or 'nothing'} {'is' if len(unlike) < 2 else 'are'} not matched."


def _written(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
