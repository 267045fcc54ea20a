"""The codebook: every column of every table with its type, unit, range and meaning.

Type and meaning are those of the dataclass whose fields are the columns: its annotations, and the sentences under its
fields. Units and ranges follow from the names of columns (`SCALES`): a name that several tables have means the same in
all of them, unless `EXCEPTIONS` says otherwise. A column of numbers whose name no rule knows is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from storage.field_docs import field_docs
from storage.tables import write_rows

TYPES = {str: "text", int: "whole number", float: "number", bool: "True or False"}


class Scale(NamedTuple):
    """What the numbers of a column are in, and between which ends they lie."""

    unit: str
    low: float = -math.inf
    high: float = math.inf

    @property
    def range(self) -> str:
        """In words; empty for any number."""
        if math.isinf(self.low):
            return "" if math.isinf(self.high) else f"at most {self.high:g}"
        return f"at least {self.low:g}" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"


SHARE = Scale("share", 0, 1)
DIFFERENCE = Scale("share", -1, 1)
PIXELS_APART = Scale("of 1, from black to white", 0, 1)
PASSES = Scale("passes", 0)
OF_METRIC = Scale("that of the metric")
WITHOUT = Scale("none", 0)
CORRELATION = Scale("none", -1, 1)

SCALES: tuple[tuple[str, Scale], ...] = (
    (
        r"accuracy|chance|accuracy_over_exposures|likelihood_ratio_accuracy|people(_low|_high)?|hits|false_alarms|lapse|correct",
        SHARE,
    ),
    (r"auc|likelihood_ratio_auc|identified(_\w+)?|retrieved|exact|given_share|(truth_)?matching", SHARE),
    (r"(pairwise|truth|best)_token|top_p|min_p|codebook_usage", SHARE),
    (
        r"(pairwise|truth|between|best)_pixel(_low|_high)?|distance|best_distance|best_of_\w+_distance|distance_to_truth",
        PIXELS_APART,
    ),
    (r"(pairwise|truth|between|best)_(perceptual|feature)(_low|_high)?|perceptual|temperature|slope|seed", WITHOUT),
    (r"spread_\w+", Scale("of 1, as diverse as natural", 0)),
    (r"energy(_low|_high)?", Scale("none")),
    (r"rate|too_fast|sem", SHARE),
    (r"remembered(_low|_high)?", DIFFERENCE),
    (r"(least_|most_)?lag", Scale("pictures", 1)),
    (r"repeats", Scale("pictures", 0)),
    (r"participants", Scale("participants", 1)),
    (r"behind", Scale("standard errors", 0)),
    (r"ssim", Scale("none", -1, 1)),
    (r"chroma(_error)?", Scale("CIELAB", 0)),
    (r"gradient", Scale("of 1, from black to white, per pixel", 0)),
    (r"saturation_kept|sharpness_ratio", Scale("of 1, the original's", 0)),
    (r"p(_\w+)?", Scale("probability", 0, 1)),
    (r"difference", DIFFERENCE),
    (r"nll_(studied|foil)", Scale("nats per token; of familiarity none")),
    (r"nll_\w+|\w+_nll|unigram_entropy", Scale("nats per token", 0)),
    (r"likelihood_ratio", Scale("nats per token")),
    (r"bits_per_pixel(_\w+)?", Scale("bits per pixel")),
    (r"(entropy|truth)_(bits|low|high)|(pixel|token)_bits_\w+", Scale("bits", 0)),
    (r"(object_)?(film|event)_(mean|maximum)|(object_)?surprise", Scale("that of the model")),
    (r"nats_per_token", Scale("nats per token", 0)),
    (r"object_error", Scale("of 1, from black to white", 0, 1)),
    (r"kept", Scale("share", -math.inf, math.inf)),
    (r"(event|occluded)_\w*s", Scale("seconds", 0)),
    (r"psnr_db", Scale("dB", 0)),
    (r"d_prime(_\w+)?", Scale("standard deviations")),
    (r"exposures?|interference|first|fitted|scale", PASSES),
    (
        r"seconds|reaction_time|usable_seconds|longest_gap|start|nearest_start|(event|occluded_from|occluded_to)_s",
        Scale("seconds", 0),
    ),
    (r"(gpt_)?cpu_minutes", Scale("minutes", 0)),
    (r"(decay_)?steps?", Scale("optimizer steps", 0)),
    (r"budget|added_compute", Scale("FLOP", 0)),
    (r"(film|seen|expected)_hours|hours_of_film", Scale("hours", 0)),
    (r"epochs", PASSES),
    (r"batch", Scale("sequences", 1)),
    (r"learning_rate", WITHOUT),
    (r"data_available", Scale("tokens", 0)),
    (r"fps", Scale("frames per second", 0)),
    (r"width|height|size|augment_size|generated_pixels", Scale("pixels", 0)),
    (r"rotation", Scale("degrees", -360, 360)),
    (r"quality", Scale("of JPEG", 0, 100)),
    (r"peak_memory_gb", Scale("GB", 0)),
    (r"trials|left_out|answered|unanswered|responses", Scale("trials", 0)),
    (r"(\w+_)?groups", Scale("groups of sources", 0)),
    (r"(\w+_)?items", Scale("items", 0)),
    (r"n|best_of|completions", Scale("continuations", 1)),
    (r"training_tokens|generated_tokens|prompt_tokens_changed|object_tokens", Scale("tokens", 0)),
    (r"given", Scale("latent frames of clips, rows of tokens of images", 1)),
    (r"top_k|vocab_size", Scale("codes", 0)),
    (r"(gpt_)?parameters", Scale("parameters", 1)),
    (r"window|latent_frames", Scale("latent frames", 1)),
    (r"comparisons", Scale("comparisons", 1)),
    (r"scenes", Scale("scenes", 1)),
    (r"left|right|top|bottom", SHARE),
    (r"weight|reaching", SHARE),
    (r"(waking_)?years(_low|_high)?", Scale("years", 0)),
    (r"between|within", Scale("decades", 0)),
    (r"factor|farthest", Scale("of the largest amount that was tried", 0)),
    (r"rungs|points|fit_parameters", Scale("none", 1)),
    (r"smooth_called_emergent|jumps_found", SHARE),
    (r"compute|jump_(after|before)", Scale("that of the table", 0)),
    (r"change(_low|_high)?|noise|jump_size|rmse_\w+|likelihood", Scale("that of the measure")),
    (r"amount(_low|_high)?|held_out", Scale("that of the table", 0)),
    (r"(foretold|target|ceiling)(_low|_high)?|seen|rmse|score", Scale("that of the measure")),
    (r"non_embedding_parameters|law_parameters|parameters_(low|high)", Scale("parameters", 0)),
    (r"(unique_)?data(_low|_high)?", Scale("items", 0)),
    (r"loss(_low|_high)?|predicted(_low|_high)?|floor", Scale("that of the loss", 0)),
    (r"alpha|beta|size_exponent|residual|error", Scale("none")),
    (r"(parameters|data)_scale", Scale("that of the loss at one parameter or item", 0)),
    (r"objective|next_objective|repeats|beyond|centre|bias", WITHOUT),
    (r"converged|reached", SHARE),
    (r"starts", Scale("starts", 1)),
    (r"sizes", Scale("sizes", 1)),
    (r"draw", Scale("index", 0)),
    (r"item|trial|latent_frame|row|column|continuation_index|defect|frame|event_first|event_end", Scale("index", 0)),
    *((name, Scale(name, 0)) for name in ("clips", "frames", "gaps", "images", "rows", "runs", "tracks", "videos")),
    (r"pictures", Scale("pictures", 0)),
    *((name, Scale(name, 1)) for name in ("heads", "layers")),
)
"""Regular expressions of names of columns of numbers, and their scales; the first that fits holds."""

EXCEPTIONS: tuple[tuple[str, str, Scale], ...] = (
    *((owner, r"(low|high)(_\w+)?", SHARE) for owner in ("Accuracy", "PeopleAccuracy", "LagRate")),
    *((owner, r"(low|high)_images|mistaken", SHARE) for owner in ("KeyRow", "ComputeRow")),
    ("ComputeRow", r"flops", Scale("FLOP", 0)),
    ("ComputeRow", r"tokens|colours", Scale("of an image", 1)),
    *((owner, r"value|low|high", SHARE) for owner in ("ScoreRow", "AccuracyRow", "AccuracyCurveRow")),
    ("ConceptClaim", r"(control_)?(value|low|high)", SHARE),
    ("ConceptClaim", r"difference_(low|high)", DIFFERENCE),
    ("AccuracyCurveRow", r"x", Scale("that of the axis", 0)),
    *(
        (owner, r"correlation|ceiling(_of_runs)?|(low|high)(_images)?", CORRELATION)
        for owner in ("Correlation", "CourseRow")
    ),
    ("Correlation", r"standard_error", Scale("none", 0)),
    ("Correlation", r"participants", Scale("participants", 0)),
    ("ReliabilityRow", r"halves|reliability|ceiling", Scale("none", -math.inf, 1)),
    ("ReliabilityRow", r"units", Scale("participants or runs", 1)),
    ("MemorabilityRow", r"value", Scale("that of the measure")),
    ("Unused", r"answers", Scale("answers or scores", 0)),
    ("TimecourseRow", r"mean|low|high", Scale("that of the model")),
    ("TimecourseRow", r"largest", Scale("that of the model", 0)),
    ("TimecourseRow", r"after_event", Scale("latent frames")),
    ("ExtremeRow", r"difference", Scale("that of the model")),
    ("Box", r"left|top|right|bottom", SHARE),
    ("Comparison", r"(low|high)(_\w+)?", DIFFERENCE),
    ("Threshold", r"(low|high)(_\w+)?", PASSES),
    ("MetricRow", r"mean|low|high", OF_METRIC),
    ("ClaimRow", r"value|low|high|threshold", OF_METRIC),
    ("ImageRow", r"value", OF_METRIC),
    ("RunRow", r"width", Scale("numbers in a vector", 1)),
    ("NearDuplicate", r"distance", Scale("bits of 64", 0, 64)),
    ("DuplicateRow", r"distance", Scale("bits of 64", 0, 64)),
    *((kind, r"duplicate_group", Scale("none", 1)) for kind in ("LookRow", "DuplicateRow")),
    ("LookRow", r"brightness|contrast|motion", Scale("of 1, from black to white", 0, 1)),
    ("LookRow", r"sharpness|stillness|black", SHARE),
    ("LookRow", r"cut", Scale("half of 1 less the correlation", 0, 1)),
    ("LookRow", r"frames", Scale("frames", 1)),
    ("LookRow", r"bits", Scale("bits per token", 0)),
    ("LookRow", r"bits_above_split|fall", Scale("bits per token")),
    ("PreparedVideo", r"first", Scale("index", 0)),
    ("DemoSummary", r"prompt_tokens_changed", SHARE),
    ("FitRow", r"value|low|high|exact", Scale("that of the parameter")),
    *((kind, r"lag", Scale("pictures", 1)) for kind in ("LagRow", "StreamRow", "Response")),
    *((kind, r"trial", Scale("index", 0)) for kind in ("StreamRow", "Response")),
    ("Response", r"reaction_time", Scale("seconds", 0)),
    ("LagRow", r"repeats", Scale("pictures", 0)),
    ("LagRow", r"(hits|false_alarms|auc)_\w+", SHARE),
    ("StreamRow", r"score|criterion", Scale("that of the observer")),
    ("ImageScore", r"score", Scale("that of the observer")),
    *(
        (kind, pattern, scale)
        for kind in ("PlanRow", "LadderRow", "PlannedTrialRow", "TriedRow")
        for pattern, scale in (
            (r"width|rate_at_width", Scale("numbers in a vector", 0)),
            (r"compute", Scale("FLOP", 0)),
            (r"data|unique_data", Scale("tokens", 0)),
        )
    ),
    *((kind, r"loss", Scale("nats per token", 0)) for kind in ("LadderRow", "TriedRow")),
    ("MeasuredRow", r"value", Scale("that of value_unit")),
    ("MeasuredRow", r"likelihood", Scale("nats per token")),
    ("MeasuredRow", r"observations", Scale("none", 1)),
    ("MeasuredRow", r"width", Scale("numbers in a vector", 1)),
    ("MeasuredRow", r"compute", Scale("FLOP", 0)),
    *((kind, r"data", Scale("tokens", 0)) for kind in ("MeasuredRow", "TaskCurveRow")),
    ("LineRow", r"x|y(_low|_high)?", Scale("that of the axis", 0)),
    *(
        (kind, r"compute", Scale("FLOP", 0))
        for kind in ("BudgetRow", "GridBiasRow", "OptimumRow", "LimitedRow", "ResidualRow", "HeldOutRow", "NewcomerRow")
    ),
    *((kind, r"width", Scale("none", 1)) for kind in ("BudgetRow", "GridBiasRow")),
    *(
        (kind, r"value|low|high", Scale("that of the measure"))
        for kind in ("CurveRow", "CurveFitRow", "FanRow", "PredictionRow", "TaskCurveRow")
    ),
)
"""Dataclasses, regular expressions of fields in which they differ from that, and the scales of these."""


@dataclass(frozen=True)
class Column:
    """A column of a table: a row of codebook.csv."""

    table: str
    """Name of the file."""
    column: str
    """Name of the column."""
    type: str
    """text, whole number, number or `True or False`; `or empty` where there may be no value."""
    unit: str
    """What numbers are in; empty for text."""
    range: str
    """Between which ends numbers lie, or which texts there are; empty where any may be."""
    meaning: str
    """What the column says."""


def columns(table: str, kind: type) -> Iterator[Column]:
    """Yield the columns of a table whose rows are instances of a dataclass.

    Raises:
        ValueError: the unit of a column of numbers is not known.
    """
    docs = field_docs(kind)
    annotations = get_type_hints(kind)
    for field in fields(kind):
        annotation, empty = _without_none(annotations[field.name])
        scale = scale_of(kind, field.name) if annotation in (int, float) else None
        choices = ", ".join(get_args(annotation)).strip(" ,") if get_origin(annotation) is Literal else ""
        yield Column(
            table=table,
            column=field.name,
            type=TYPES.get(annotation, "text" if choices else "JSON") + (" or empty" if empty else ""),
            unit=scale.unit if scale else "",
            range=scale.range if scale else choices,
            meaning=docs[field.name],
        )


def scale_of(kind: type, name: str) -> Scale:
    """Return the scale of a column of numbers.

    Raises:
        ValueError: it is not known.
    """
    rules = [(pattern, scale) for owner, pattern, scale in EXCEPTIONS if owner == kind.__name__]
    for pattern, scale in (*rules, *SCALES):
        if re.fullmatch(pattern, name):
            return scale
    raise ValueError(
        f"column {name} of {kind.__name__} has no unit: add its name to SCALES, or to EXCEPTIONS, "
        "in experiments/codebook.py"
    )


def write_codebook(folder: Path, tables: Mapping[str, type]) -> None:
    """Write `codebook.csv` on tables of a folder, itself included.

    Args:
        folder: of the tables.
        tables: the dataclass of the rows of each, by the name of its file.
    """
    described = {**tables, "codebook.csv": Column}
    rows = [row for name, kind in described.items() for row in columns(name, kind)]
    write_rows(folder / "codebook.csv", rows, Column)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return an annotation without None, and whether it had it."""
    choices = [choice for choice in get_args(annotation) if choice is not NoneType]
    empty = NoneType in get_args(annotation)
    return (choices[0], True) if empty and len(choices) == 1 else (annotation, empty)
