"""The sections of the page, each with a sentence or two on how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.diversity.reporting.runs import select
from experiments.pages import Medium, Section, embed, without_empty_columns
from experiments.physics.people import PeopleRow
from experiments.physics.reporting.accuracy import AccuracyRow, concepts_of
from experiments.physics.reporting.claims import ALPHA, ConceptClaim
from experiments.physics.reporting.curves import AccuracyCurveRow
from experiments.physics.reporting.extremes import ExtremeRow, Extremes
from experiments.physics.reporting.runs import Merged
from experiments.physics.reporting.timecourse import TimecourseRow, before_event
from experiments.physics.reporting.wording import points, share, verdict
from experiments.statistics.grouped import GROUPS_FOR_VERDICT

TINY = 1e-12
"""Differences below are 0 but for the order in which means were summed."""


def claim_section(folder: Path, claims: Sequence[ConceptClaim], models: Sequence[str]) -> Section:
    """Return the section on accuracies, and on what they say."""
    shown = [claim for claim in claims if claim.model in models]
    several = len({claim.measure for claim in shown}) > 1
    rows: list[tuple[str, ...]] = [
        ("concept", "events", "model", "measure", "scenes", "share", "best control", "difference", "so it is")
    ]
    for claim in shown:
        control = share(claim.control_value, claim.control_low, claim.control_high)
        difference = points(claim.difference, claim.difference_low, claim.difference_high)
        named = f"`{claim.control}` {control}" if claim.control else ""
        found = share(claim.value, claim.low, claim.high)
        which = (claim.model if len(models) > 1 else "", claim.measure if several else "")
        what = (claim.concept, claim.visibility, *which, str(claim.scenes))
        rows.append((*what, found, named, difference, verdict(claim)))
    return Section(
        "What it knows",
        "The share of comparisons in which what cannot happen is the more surprising, a tie counting one half, with "
        "95 % intervals over scenes in brackets; the dotted line is chance. Each model and control is judged by the "
        "readout that it chose on one half of the scenes, on the other half. A `quadruple` compares two impossible "
        "films with two possible ones that are made of the same frames, a `pair` one with one.\n\n"
        "Controls know nothing of what can happen, and what they pass asks for no knowledge. A model is `above chance` "
        "where an exact sign-flip test over scenes says so, and `above every control` where it is ahead of each of "
        "them on the same comparisons and the largest of these paired tests is small; both p-values are corrected for "
        f"all concepts, visible and hidden (Holm 1979), and small means at most {ALPHA:g}. With fewer than "
        f"{GROUPS_FOR_VERDICT} scenes all is undecided. Where scenes are all alike there is no interval. Of several "
        "checkpoints of a training the last is shown. claims.csv and accuracy.csv have all numbers.",
        (embed(folder / "accuracy.png", "Accuracy by concept, visible and hidden, beside controls"),),
        without_empty_columns(rows),
    )


def measure_section(
    folder: Path, rows: Sequence[AccuracyRow], models: Sequence[str], measures: Sequence[str]
) -> Section:
    """Return the section on the measures that claims do not rest on."""
    table = [("concept", "events", *(f"{measure}, {model}" for measure in measures for model in models))]
    for concept in concepts_of(rows):
        for visibility in ("visible", "hidden"):
            found = [
                select(rows, concept=concept, visibility=visibility, measure=measure, model=model)
                for measure in measures
                for model in models
            ]
            if any(found):
                cells = (share(of[0].value, of[0].low, of[0].high) if of else "" for of in found)
                table.append((concept, visibility, *cells))
    return Section(
        "By other measures",
        "`same_ending` compares films that end alike and begin otherwise, so that likelier beginnings count; "
        "`same_beginning` films that begin alike, so that likelier endings count, as emptier pictures are; `auroc` "
        "every impossible film with every possible one, so that likelier scenes count. No claims are made by them.",
        (embed(folder / "measures.png", "Accuracy by other measures, beside controls"),),
        without_empty_columns(table),
    )


def curve_section(title: str, plots: Sequence[Path], rows: Sequence[AccuracyCurveRow]) -> Section:
    """Return a section on accuracy against training or size."""
    table = [(rows[0].axis.replace("_", " "), "model", "training", "measure", "events", "all concepts", "scenes")]
    for row in rows:
        if row.concept == "all":
            found = share(row.value, row.low, row.high)
            where = (row.model, row.curve, row.measure, row.visibility)
            table.append((f"{row.x:,.4g}", *where, found, str(row.scenes)))
    return Section(
        title,
        "Accuracy with 95 % intervals over scenes; grey is the best control of each point, the dotted line chance. "
        "Each point has the readout that its model chose on the other half of the scenes. Points of one training, and "
        "all points on the same films, share their luck: intervals say how other films would come out, not whether two "
        "points differ. curve.csv has all concepts.",
        tuple(embed(plot, f"{title}, {plot.stem.rpartition('_')[2]}") for plot in plots),
        without_empty_columns(table),
    )


def timecourse_section(plots: Sequence[tuple[Path, str]], rows: Sequence[TimecourseRow]) -> Section:
    """Return the section on surprise over time.

    Args:
        plots: files, and what each shows.
        rows: time courses of what they show.
    """
    return Section(
        "Surprise over time",
        "How much more surprising the impossible films of a quadruple or pair are than the possible ones, latent frame "
        "by latent frame, aligned at the one in which the event begins: mean over scenes with 95 % intervals, all "
        "scenes that count, no readout. A film that begins as another does has the same tokens there, if the tokenizer "
        f"is causal and the films are stored without loss, and their difference is 0. {_before(rows)} Hidden events "
        "may show only when the occluder is gone. Intervals over fewer than six scenes are not drawn; timecourse.csv "
        "has them, and all models and controls.",
        tuple(embed(path, caption) for path, caption in plots),
    )


def extreme_section(folder: Path, extremes: Extremes) -> Section:
    """Return the section on films with their surprise."""
    text = (
        "Of each concept the matched films with the largest difference between impossible and possible ones, and those "
        "with the smallest, of all scenes that count: above the films, from the event on with a green border if they "
        "can happen and a red one if they cannot; below the surprise of every token, on a scale that the films share. "
        "They are chosen by the outcome: look at what the model attends to, and conclude nothing about how often."
    )
    media = [medium for row in extremes.rows for medium in _drawn(folder, row)]
    return Section("The clearest and the worst", "\n\n".join([text, *extremes.missing]), tuple(media))


def people_section(people: Sequence[PeopleRow]) -> Section:
    """Return the section on what people reach on sets of this kind."""
    rows: list[tuple[str, ...]] = [("concept", "events", "asked", "share correct", "people", "status", "source")]
    for row in people:
        found = share(row.value, row.low, row.high)
        number = "" if row.people is None else f"{row.people:,}"
        rows.append((row.concept, row.visibility, row.measure, found, number, row.status, row.source))
    return Section(
        "People",
        "What people reached on films of this kind, in all of the set and by its own question: a landmark, not a "
        "competitor. `confirmed` in the publication, `digitised` from its plots, or known at `second-hand`.",
        table=without_empty_columns(rows),
    )


def model_section(merged: Merged, rows: Sequence[AccuracyRow]) -> Section:
    """Return the section on the models and controls."""
    table: list[tuple[str, ...]] = [
        (
            *("model", "role", "run", "unit", "parameters", "window", "hours of film", "hours seen", "steps"),
            *("readout chosen", "all concepts, visible", "hidden"),
        )
    ]
    for model in merged.distinct:
        row = model.row
        numbers = (row.parameters, row.window, row.film_hours, row.seen_hours, row.step)
        own = select(rows, model=model.name, concept="all")
        first = own[0].measure if own else ""
        pooled = [select(own, measure=first, visibility=visibility) for visibility in ("visible", "hidden")]
        shares = [share(of[0].value, of[0].low, of[0].high) if of else "" for of in pooled]
        readout = f"{own[0].readout} ({first})" if own else ""
        cells = ("" if number is None else f"{number:,.6g}" for number in numbers)
        table.append((model.name, row.role, str(model.run.folder), row.unit, *cells, readout, *shares))
    return Section(
        "Models and controls",
        "All that was measured. Controls that are the same in several runs are listed once, and each model is held "
        "against those of its own run.",
        table=without_empty_columns(table),
    )


def _before(rows: Sequence[TimecourseRow]) -> str:
    largest = before_event(rows)
    if largest is None:
        return "No latent frame lies before an event here."
    if largest <= TINY:
        return "Here all differences before the event are 0."
    return (
        f"Here differences before the event reach {largest:.3g}: beware, either tokens know what follows or films "
        "differ before it (`physics run` says at its beginning which)."
    )


def _drawn(folder: Path, row: ExtremeRow) -> Iterator[Medium]:
    events = "hidden" if row.hidden else "visible"
    caption = (
        f"{row.concept}, {events}, {row.which} difference: {row.difference:+.3g} {row.unit} per token ({row.readout}) "
        f"of {row.quadruple}, `{row.model}`"
    )
    video = folder / row.video
    films = (
        f"Matched films side by side above their surprise, with green borders, or red ones where impossible: {caption}."
    )
    yield embed(video, caption, poster=video.with_suffix(".png"), words=films)
    yield embed(folder / row.strip, f"{row.quadruple}: latent frames around the event, films and their surprise")
