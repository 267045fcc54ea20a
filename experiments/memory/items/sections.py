"""The sections of the page on memory picture by picture, each with a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.cells import p_value
from experiments.memory.items.comparison import called
from experiments.memory.items.figures import LABELS
from experiments.memory.items.models import MEASURES, MISLEADING
from experiments.memory.items.sources import Unused
from experiments.memory.items.tables import COMPLEXITY, NOTHING, POOLED, Correlation, ReliabilityRow
from experiments.pages import Medium, Section, embed, without_empty_columns

MOST_ROWS = 40
"""Rows of a table of what is not used; skipped.csv has all of them."""

CORRELATIONS = (
    "Whether the pictures that a model remembers are those that people remember. Correlations of ranks, within the "
    "conditions of the test; `hits`, `false_alarms` and `corrected` (the one minus the other) are those of people. "
    "Of the model: how soon a picture is known (the first exposure from which on its margin stays above that of "
    "exposure 0), how much its margin over the foil has grown since exposure 0, and its likelihood ratio (how much "
    "study has lowered its NLL). `Ceiling` is the correlation that a measure without any noise could be expected to "
    "reach with so few people: the root of their reliability. `With runs` is what the model's own measure could "
    "reach, with the noise of its runs. `Pictures` is the 95 % interval for other pictures, `all` that for other "
    "pictures, runs and participants; p is that of the latter, and `Holm` its correction for all of these tests."
)
RAW_MARGINS = (
    "The margin as it is, the score of the foil minus that of the picture, is there before anything was learned: one "
    "of two pictures is likelier in itself, because it is simpler. Whatever it goes with at exposure 0 has nothing "
    "to do with memory, and it keeps going with that while the model learns. If people remember complex pictures "
    "better, or worse, a raw margin correlates with them in a model that has seen nothing. So these lines are no "
    "evidence, however far they are from 0; what study has changed is. In the figure the grey line begins at "
    "exposure 0, where the others cannot be."
)
PARTIALLED = (
    "A complex picture has more to be learned, and people may find it harder or easier for reasons of their own. "
    "What is left of the correlation of ranks, in all conditions together, when complexity is partialled out: `bits` "
    "(per token, of the model before study), `jpeg` (kilobytes of the square in the middle, 256 pixels a side, at "
    "quality 75), `edges` (share of its pixels on an edge), and all of them."
)
WITH_COMPLEXITY = (
    "How far measures of the model go with complexity itself (ranks, all conditions together). Raw margins do before "
    "study; likelihood ratios may, as complex pictures have more to be learned, and simple ones are learned sooner."
)
CEILING = (
    "Participants, and runs, are divided at random into halves, many times; `halves` is the mean correlation between "
    "what two halves say of the pictures, `reliability` what follows for all of them (Spearman and Brown), `ceiling` "
    "its root. Where reliability is near 0 nothing can correlate, however good the model."
)
EXTREMES = (
    "Ranks within conditions, and the pictures nearest to the corners: remembered by both (top right), by people and "
    "not by the model (top left), by the model and not by people (bottom right), by neither (bottom left)."
)


def correlation_section(out: Path, rows: Sequence[Correlation]) -> Section:
    """Return the section on correlations with measures of memory, by ranks, with nothing partialled out."""
    heads = ("model", "measure", "compared with", "condition", "pictures", "correlation", "ceiling", "with runs")
    table = [(*heads, "pictures, 95 %", "all, 95 %", "p", "Holm")]
    for row in _ranked(rows):
        if row.measure in MEASURES and row.partialled == NOTHING:
            numbers = (_number(row.correlation), _number(row.ceiling), _number(row.ceiling_of_runs))
            intervals = (_range(row.low_images, row.high_images), _range(row.low, row.high))
            table.append((*_names(row), row.condition, str(row.pictures), *numbers, *intervals, *_p(row)))
    medium = embed(out / "correlations.png", "Rank correlations with intervals, beside the noise ceiling")
    return Section("Do models remember what people remember", CORRELATIONS, (medium,), without_empty_columns(table))


def raw_section(out: Path, rows: Sequence[Correlation], drawn: bool) -> Section:
    """Return the section that warns of raw margins."""
    table = [("model", "measure", "compared with", "condition", "correlation", "pictures, 95 %")]
    for row in _ranked(rows):
        if row.measure in MISLEADING and row.partialled == NOTHING:
            interval = _range(row.low_images, row.high_images)
            table.append((*_names(row), row.condition, _number(row.correlation), interval))
    media = (embed(out / "course.png", "Rank correlations in the course of study"),) if drawn else ()
    return Section("Why raw margins mislead", RAW_MARGINS, media, tuple(table))


def partialled_section(rows: Sequence[Correlation]) -> Section:
    """Return the section on correlations without complexity."""
    chosen = [row for row in _ranked(rows) if row.measure in MEASURES and row.condition == pooled_condition(rows)]
    sets = list(dict.fromkeys(row.partialled for row in chosen))
    by_pair: dict[tuple[str, ...], dict[str, str]] = {}
    for row in chosen:
        by_pair.setdefault(_names(row), {})[row.partialled] = _number(row.correlation)
    table = [("model", "measure", "compared with", *sets)]
    table += [(*names, *(cells.get(name, "") for name in sets)) for names, cells in by_pair.items()]
    return Section("Without complexity", PARTIALLED, table=tuple(table))


def complexity_section(rows: Sequence[Correlation]) -> Section:
    """Return the section on how measures of models go with complexity."""
    chosen = [row for row in rows if row.kind == COMPLEXITY and row.condition == pooled_condition(rows)]
    measures = list(dict.fromkeys(row.source_measure for row in chosen))
    by_measure: dict[tuple[str, str], dict[str, str]] = {}
    for row in chosen:
        key = (called(row.model, row.readout), LABELS[row.measure])
        by_measure.setdefault(key, {})[row.source_measure] = _number(row.correlation)
    table = [("model", "measure", *measures)]
    table += [(*names, *(cells.get(name, "") for name in measures)) for names, cells in by_measure.items()]
    return Section("What goes with complexity", WITH_COMPLEXITY, table=tuple(table))


def ceiling_section(rows: Sequence[ReliabilityRow]) -> Section:
    """Return the section on how reliable people and runs are, by ranks."""
    table = [("of", "measure", "condition", "pictures", "participants or runs", "halves", "reliability", "ceiling")]
    for row in rows:
        if row.coefficient == "spearman":
            numbers = (_number(row.halves), _number(row.reliability), _number(row.ceiling))
            table.append((row.who, row.measure, row.condition, str(row.pictures), str(row.units), *numbers))
    return Section("The noise ceiling", CEILING, table=tuple(table))


def picture_section(media: Sequence[Medium]) -> Section:
    """Return the section that shows pictures."""
    return Section("Picture by picture", EXTREMES, tuple(media))


def unused_section(unused: Sequence[Unused]) -> Section:
    """Return the section on what was read and is not used."""
    table = [("in", "item", "answers", "reason")]
    table += [(each.source, each.item, str(each.answers), each.reason) for each in unused[:MOST_ROWS]]
    more = len(unused) - MOST_ROWS
    rest = f" {more:,} more are in skipped.csv." if more > 0 else ""
    return Section("Not used", f"These take no part in any number on this page.{rest}", table=tuple(table))


def pooled_condition(rows: Iterable[Correlation]) -> str:
    """Return the condition that stands for all: all of them together, or the only one."""
    conditions = [row.condition for row in rows]
    return POOLED if POOLED in conditions else conditions[0]


def _ranked(rows: Iterable[Correlation]) -> list[Correlation]:
    return [row for row in rows if row.coefficient == "spearman" and row.kind != COMPLEXITY]


def _names(row: Correlation) -> tuple[str, str, str]:
    return called(row.model, row.readout), LABELS[row.measure], f"{row.source}, {row.source_measure}"


def _p(row: Correlation) -> tuple[str, str]:
    return p_value(row.p), p_value(row.p_holm)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}".replace("+", "")


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
