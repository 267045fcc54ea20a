"""Draw what physics runs measured: tables, claims, curves, surprise over time, films of extremes, and one page.

accuracy.csv       accuracies of the chosen readouts on scenes for reporting, people among them
claims.csv         what each model knows of each concept, held against controls
curve.csv          accuracy against training and size, where there are several models
timecourse.csv     surprise over time, aligned at the event
extremes.csv       films that are drawn; extremes/ has them
kept.csv           how much of what matched films differ in the tokenizer keeps
codebook.csv       what the columns of these tables are
methods.txt        how the runs were made, in words
accuracy.png, measures.png, timecourse*.png; curve_*.png where there is something to draw; all as .pdf and .svg too
report.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from experiments.codebook import write_codebook
from experiments.diversity.reporting.runs import in_order, select
from experiments.pages import Section, write_report
from experiments.physics.contrasts import Measure
from experiments.physics.options import PhysicsReportOptions
from experiments.physics.people import PeopleRow, people_of
from experiments.physics.printing import MAIN
from experiments.physics.readouts import Tokens
from experiments.physics.reporting.accuracy import AccuracyRow, accuracies, measures_of, people_accuracies
from experiments.physics.reporting.claims import ConceptClaim, claims
from experiments.physics.reporting.curves import AccuracyCurveRow, curves
from experiments.physics.reporting.extremes import ExtremeRow, draw_extremes
from experiments.physics.reporting.kept import KeptRow, kept_rows, left_out_section
from experiments.physics.reporting.methods import physics_methods
from experiments.physics.reporting.plots import draw_accuracy, draw_curve, draw_timecourse
from experiments.physics.reporting.runs import Merged, merge_runs
from experiments.physics.reporting.sections import (
    claim_section,
    curve_section,
    extreme_section,
    measure_section,
    model_section,
    people_section,
    timecourse_section,
)
from experiments.physics.reporting.timecourse import TimecourseRow, timecourses
from experiments.physics.reporting.wording import lead, sentence
from sampling.pages import Fact, facts_of, named, with_fingerprint
from storage.tables import write_rows
from storage.terminal import count, visible
from training.progress import say_done, say_found

TABLES: dict[str, type] = {
    "accuracy.csv": AccuracyRow,
    "claims.csv": ConceptClaim,
    "curve.csv": AccuracyCurveRow,
    "timecourse.csv": TimecourseRow,
    "extremes.csv": ExtremeRow,
    "kept.csv": KeptRow,
}
"""The rows of the tables, for the codebook."""
CURVES = {
    "seen_hours": "Accuracy over hours of film seen",
    "step": "Accuracy over steps of training",
    "film_hours": "Accuracy against different hours of film",
    "parameters": "Accuracy against size",
}
"""Titles of sections on curves, by their axis."""


def report_physics(options: PhysicsReportOptions) -> Path:
    """Write the tables, plots and the page of the runs together, and return the folder.

    Raises:
        RunFolderError: a folder holds a run of another command, or of an older version.
        ValueError: a folder holds no finished run, or a table that is damaged; two runs are of different films, or
            hold the same model.
    """
    merged = merge_runs(options.runs)
    people = _people(merged)
    found = accuracies(merged)
    stated = claims(merged)
    over_training = curves(merged)
    over_time = timecourses(merged)
    _say_found(merged)

    out = options.out
    rows = [*found, *people_accuracies(people)]
    drawn = draw_extremes(out, merged, options.extremes)
    kept = kept_rows(merged)
    written: tuple[tuple[str, Sequence[object]], ...] = (
        ("accuracy.csv", rows),
        ("claims.csv", stated),
        ("curve.csv", over_training),
        ("timecourse.csv", over_time),
        ("extremes.csv", drawn.rows),
        ("kept.csv", kept),
    )
    for name, content in written:
        write_rows(out / name, content, TABLES[name])
    write_codebook(out, TABLES)

    models = [model.name for model in merged.last]
    sections = [
        *_accuracies(out, merged, rows, stated),
        *_curves(out, over_training, stated),
        *_timecourses(out, merged, over_time),
        *([extreme_section(out, drawn)] if drawn.rows or drawn.missing else []),
        *([people_section(people)] if people else []),
        model_section(merged, found),
        left_out_section(merged, kept),
        physics_methods(out, merged),
    ]
    facts = _facts(options, merged)
    write_report(out / "report.html", "What cannot happen", lead(stated, models), sections, facts=facts)
    _print(stated, models)
    say_done(out / "report.html", "open it in a browser")
    return out


def _facts(options: PhysicsReportOptions, merged: Merged) -> tuple[Fact, ...]:
    """Return the header of the page."""
    return facts_of(
        options,
        models=named([with_fingerprint(model.name, model.row.fingerprint) for model in merged.subjects]),
        tokenizers=named([str(run.options.tokenizer) for run in merged.runs]),
        seeds=named([str(run.options.seed) for run in merged.runs]),
    )


def _people(merged: Merged) -> list[PeopleRow]:
    """Return what people reach on sets of the kinds of the runs."""
    return [row for kind in in_order(run.options.kind for run in merged.runs) for row in people_of(kind)]


def _say_found(merged: Merged) -> None:
    films = merged.runs[0].any_films
    say_found(
        runs=", ".join(str(run.folder) for run in merged.runs),
        films=f"{count(len(films), 'film')} of {count(len({row.scene for row in films}), 'scene')}",
        models=", ".join(model.name for model in merged.subjects) or "controls alone",
    )


def _accuracies(
    out: Path, merged: Merged, rows: Sequence[AccuracyRow], stated: Sequence[ConceptClaim]
) -> Iterator[Section]:
    """Draw and describe accuracies by the main measures, then by the others."""
    shown = [model.name for model in merged.shown]
    last = [model.name for model in merged.last]
    main = measures_of(rows, MAIN)
    others = measures_of(rows, [measure for measure in get_args(Measure) if measure not in MAIN])
    if main:
        draw_accuracy(out / "accuracy.png", rows, shown, main)
        yield claim_section(out, stated, last)
    if others:
        pooled = [row for row in rows if row.concept == "all" and row.role != "people"]
        draw_accuracy(out / "measures.png", pooled, shown, others)
        yield measure_section(out, rows, last, others)


def _curves(out: Path, rows: Sequence[AccuracyCurveRow], stated: Sequence[ConceptClaim]) -> Iterator[Section]:
    for axis, title in CURVES.items():
        on_axis = select(rows, axis=axis)
        plots = []
        for measure in in_order(row.measure for row in on_axis):
            plots.append(out / f"curve_{axis}_{measure}.png")
            draw_curve(plots[-1], select(on_axis, measure=measure), stated)
        if plots:
            yield curve_section(title, plots, on_axis)


def _timecourses(out: Path, merged: Merged, rows: Sequence[TimecourseRow]) -> Iterator[Section]:
    """Draw surprise over time: a plot for each unit of models, of all tokens and of the object's.

    Of controls those are drawn that are GPTs.
    """
    plots = []
    shown = [model for model in merged.shown if model.row.role != "control" or model.row.parameters]
    names = [model.name for model in shown]
    for number, unit in enumerate(in_order(model.row.unit for model in shown), start=1):
        for tokens in get_args(Tokens):
            ending = "" if number == 1 else f"_{number}"
            path = out / f"timecourse_{tokens}{ending}.png"
            if draw_timecourse(path, rows, names, unit, tokens):
                words = "all tokens" if tokens == "all" else "the object's tokens"
                plots.append((path, f"Impossible minus possible, {words}, {unit} per token"))
    if plots:
        yield timecourse_section(plots, [row for row in rows if row.model in names])


def _print(stated: Sequence[ConceptClaim], models: Sequence[str]) -> None:
    """Print the claims as sentences."""
    for claim in stated:
        if claim.model in models:
            print(visible(f"{claim.model}: {sentence(claim)}".replace("`", "")))
