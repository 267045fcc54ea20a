"""Compare memory picture by picture: what models remember of each, beside what people do.

correlations.csv    every correlation, with intervals, ceiling and p-values
reliability.csv     how far halves of the participants, and of the runs, agree
course.csv          correlations in the course of study
memorability.csv    every measure of every picture
skipped.csv         what was read and is not used
responses.csv       with --people: the answers that count; people.csv, participants.csv and people_lags.csv what follows
                    from them, excluded.csv who and what was left out
codebook.csv        what the columns of these tables are
methods.txt         how the runs and numbers were made, in words
correlations.png, course.png, scatter_<number>.png; extremes_<number>.png, which shows stimuli, where the images are at
hand; all of them as .pdf and .svg too
report.html
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.codebook import write_codebook
from experiments.memory.items.comparison import (
    called,
    compare,
    complexity_of,
    correct_for_number,
    course,
    reliabilities,
    with_ceilings,
)
from experiments.memory.items.complexity import measure_complexity
from experiments.memory.items.figures import draw_correlations, draw_course, draw_extremes, draw_scatter
from experiments.memory.items.joining import score_sources
from experiments.memory.items.methods import items_methods
from experiments.memory.items.models import BITS, GAIN, RATIO, SOONER, Model, read_models
from experiments.memory.items.notices import item_notices
from experiments.memory.items.options import ItemsOptions
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.resampling import Sampling
from experiments.memory.items.score_tables import read_score_tables
from experiments.memory.items.sections import (
    ceiling_section,
    complexity_section,
    correlation_section,
    partialled_section,
    picture_section,
    pooled_condition,
    raw_section,
    unused_section,
)
from experiments.memory.items.sources import Source, Unused, people_sources
from experiments.memory.items.tables import COMPLEXITY, NOTHING, Correlation, CourseRow, MemorabilityRow, ReliabilityRow
from experiments.memory.merge import RunFolder, merge_trials, read_run_folders, seeds_of
from experiments.pages import Medium, embed, write_report
from experiments.people.reading import People, read_people
from experiments.people.sections import TABLES as PEOPLE_TABLES
from experiments.people.sections import people_methods, write_people
from experiments.statistics.correlation import Measure
from experiments.statistics.outcomes import Floats
from sampling.pages import facts_of, named
from storage.tables import write_rows
from storage.terminal import visible
from training.progress import Progress, count, say_done, say_found

TABLES: dict[str, type] = {
    "correlations.csv": Correlation,
    "reliability.csv": ReliabilityRow,
    "course.csv": CourseRow,
    "memorability.csv": MemorabilityRow,
    "skipped.csv": Unused,
}
"""The rows of the tables, for the codebook."""


@dataclass(frozen=True)
class Material:
    """All that is compared."""

    pictures: Pictures
    models: Sequence[Model]
    exposures: Sequence[int]
    """After which each model is measured."""
    sources: Sequence[Source]
    people: People | None
    """None without --people."""
    complexity: Mapping[str, Measure]
    folders: Mapping[str, Path]
    """Of the lists, by name, as far as they are there."""
    unused: Sequence[Unused]
    notes: Sequence[str]
    """How tables were read."""


def compare_items(options: ItemsOptions) -> Path:
    """Write the tables, plots and the page.

    Raises:
        OSError: a table cannot be read.
        ValueError: a folder holds no finished run, a table is damaged or of another list, or nothing is in common.
    """
    runs = read_run_folders(options.runs)
    material = read_material(options, runs)
    sampling = Sampling(options.resamples, options.splits, options.seed)
    correlations, found, in_course = _compute(material, sampling)
    remarks = item_notices(material.models, material.sources, material.complexity, correlations, material.unused)
    if material.people:
        remarks = [*material.people.remarks, *remarks]
    for remark in [*material.notes, *remarks]:
        print(visible(remark), file=sys.stderr)

    out = options.out
    write_rows(out / "correlations.csv", correlations, Correlation)
    write_rows(out / "reliability.csv", found, ReliabilityRow)
    write_rows(out / "course.csv", in_course, CourseRow)
    write_rows(out / "memorability.csv", _memorability(material), MemorabilityRow)
    write_rows(out / "skipped.csv", material.unused, Unused)
    if material.people:
        write_people(out, material.people)
    write_codebook(out, TABLES | (dict(PEOPLE_TABLES) if material.people else {}))

    draw_correlations(out / "correlations.png", [row for row in correlations if row.kind != COMPLEXITY])
    drawn = draw_course(out / "course.png", in_course)
    about_people = [people_methods(material.people, options.data)] if material.people else []
    sections = [
        correlation_section(out, correlations),
        raw_section(out, correlations, drawn),
        partialled_section(correlations),
        complexity_section(correlations),
        ceiling_section(found),
        picture_section(list(_draw_pictures(out, material))),
        *([unused_section(material.unused)] if material.unused else []),
        items_methods(out, runs, material.sources, sampling, about_people),
    ]
    names = ", ".join(folder.path.name for folder in runs)
    lead = " ".join([f"Runs: {names}.", *material.notes, *remarks])
    models = named([model.name for model in material.models])
    facts = facts_of(options, models=models, seeds_of_runs=seeds_of(runs))
    write_report(out / "report.html", "Memory picture by picture", lead, sections, facts=facts)
    _print(correlations)
    say_done(out / "report.html", "open it in a browser")
    return out


def read_material(options: ItemsOptions, runs: Sequence[RunFolder]) -> Material:
    """Return what is compared.

    Raises:
        OSError, ValueError: see `compare_items`.
    """
    trials = merge_trials(runs)
    pictures = Pictures.of(trials)
    models = read_models(trials, pictures)
    exposures = [model.last_common() if options.exposure is None else options.exposure for model in models]
    for model, exposure in zip(models, exposures, strict=True):
        model.measures(exposure)  # refuses an exposure that it does not have, before pictures are read
    folders = find_lists(runs, options.stimuli, pictures)
    people = read_people(options.data, trials)
    sources, unused, notes = _read_sources(options, people, pictures, folders)
    _say_found(runs, pictures, models, exposures, sources)
    complexity, unreadable = measure_complexity(pictures, folders)
    return Material(pictures, models, exposures, sources, people, complexity, folders, [*unused, *unreadable], notes)


def find_lists(runs: Sequence[RunFolder], given: Sequence[Path], pictures: Pictures) -> dict[str, Path]:
    """Return the folders of lists by name, those of the runs as far as they are there, and those that are given.

    Raises:
        ValueError: a folder that is given is none, or no run studied a list of its name.
    """
    folders = {folder.trials[0].list: folder.stimuli for folder in runs if folder.stimuli and folder.trials}
    for folder in given:
        name = folder.resolve().name
        if not folder.is_dir():
            raise ValueError(f"--stimuli {folder} is no folder")
        if name not in pictures.lists:
            raise ValueError(f"--stimuli {folder}: no run studied a list {name}, but {', '.join(pictures.lists)}")
        folders[name] = folder
    return folders


def _read_sources(
    options: ItemsOptions, people: People | None, pictures: Pictures, folders: Mapping[str, Path]
) -> tuple[list[Source], list[Unused], list[str]]:
    sources: list[Source] = []
    unused: list[Unused] = []
    notes: list[str] = []
    if people is not None:
        sources, unused = people_sources(people.rows, pictures)
        notes = [f"{note}." for note in people.notes]
    if options.scores:
        score_tables = read_score_tables(options.scores)
        found, without = score_sources(score_tables, pictures)
        sources += found
        unused += without
        notes += [f"{note}." for table in score_tables for note in table.notes]
    if options.resmem:
        from experiments.memory.items.resmem import predict  # here, as torchvision takes a second

        predicted, unreadable = predict(pictures, folders)
        sources.append(predicted)
        unused += unreadable
    return sources, unused, notes


def _say_found(
    runs: Sequence[RunFolder],
    pictures: Pictures,
    models: Sequence[Model],
    exposures: Sequence[int],
    sources: Sequence[Source],
) -> None:
    described = [
        f"{called(model.name, model.readout)} ({count(model.runs, 'run')}, after {count(exposure, 'exposure')})"
        for model, exposure in zip(models, exposures, strict=True)
    ]
    known = [
        f"{source.name} ({count(source.participants, 'participant')})" if source.participants else source.name
        for source in sources
    ]
    say_found(
        runs=", ".join(str(folder.path) for folder in runs),
        pictures=f"{len(pictures):,} of {', '.join(pictures.lists)}; conditions: {', '.join(pictures.conditions)}",
        models="; ".join(described),
        compared_with="; ".join(known),
    )


def _compute(material: Material, sampling: Sampling) -> tuple[list[Correlation], list[ReliabilityRow], list[CourseRow]]:
    """Return correlations with their ceilings, reliabilities, and correlations in the course of study."""
    pictures = material.pictures
    rows: list[Correlation] = []
    found: list[ReliabilityRow] = []
    in_course: list[CourseRow] = []
    for source in material.sources:
        if source.participants:
            found += reliabilities(source.name, source.measures, source.groups, pictures, sampling)
    with Progress("Comparing", len(material.models)) as progress:
        for number, (model, exposure) in enumerate(zip(material.models, material.exposures, strict=True), start=1):
            covariates = complexity_of(model, exposure, material.complexity)
            for source in material.sources:
                rows += compare(model, exposure, source, covariates, pictures, sampling)
                in_course += course(model, source, pictures, sampling)
            if covariates:
                as_source = Source(COMPLEXITY, "complexity", covariates)
                rows += compare(model, exposure, as_source, {}, pictures, sampling, ("spearman",))
            lists = [of_list for of_list, _ in model.units]
            measures = {name: each for name, each in model.measures(exposure).items() if name != BITS}
            found += reliabilities(called(model.name, model.readout), measures, lists, pictures, sampling)
            progress.show(number)
    return correct_for_number(with_ceilings(rows, found)), found, in_course


def _memorability(material: Material) -> Iterator[MemorabilityRow]:
    """Yield every measure of every picture."""
    for model, exposure in zip(material.models, material.exposures, strict=True):
        for name, measure in model.measures(exposure).items():
            values = -measure.values if name == SOONER else measure.values
            yield from _rows_of(called(model.name, model.readout), "model", name, values, material.pictures)
    for source in material.sources:
        for name, measure in source.measures.items():
            yield from _rows_of(source.name, source.kind, name, measure.values, material.pictures)
    for name, measure in material.complexity.items():
        yield from _rows_of(COMPLEXITY, COMPLEXITY, name, measure.values, material.pictures)


def _rows_of(who: str, kind: str, measure: str, values: Floats, pictures: Pictures) -> Iterator[MemorabilityRow]:
    for picture, value in zip(pictures.all, values.tolist(), strict=True):
        if np.isfinite(value):
            yield MemorabilityRow(
                who=who,
                kind=kind,
                list=picture.list,
                condition=picture.condition,
                item=picture.item,
                path=picture.path,
                measure=measure,
                value=value,
            )


def _draw_pictures(out: Path, material: Material) -> Iterator[Medium]:
    """Draw pictures as points, and the extremes as thumbnails, of each model."""
    chosen = {source.name: (source, source.main_measure) for source in material.sources}
    memorability = {f"{name}, {measure}": source.measures[measure].values for name, (source, measure) in chosen.items()}
    for number, (model, exposure) in enumerate(zip(material.models, material.exposures, strict=True), start=1):
        measures = {name: measure.values for name, measure in model.measures(exposure).items()}
        name = called(model.name, model.readout)
        if GAIN not in measures:
            continue
        draw_scatter(out / f"scatter_{number}.png", measures, memorability, material.pictures)
        yield embed(out / f"scatter_{number}.png", f"{name}: every picture, its measures against those of others")
        source, measure = chosen[material.sources[0].name]
        of_model = RATIO if source.kind == "scores" else GAIN
        path = out / f"extremes_{number}.png"
        values = (measures[of_model], source.measures[measure].values)
        words = draw_extremes(path, *values, material.pictures, material.folders, (name, f"{source.name}, {measure}"))
        if words:
            caption = f"{name}: the extremes, {of_model} against {measure} of {source.name}"
            yield embed(path, caption, words=f"{caption}. {words}")


def _print(rows: Sequence[Correlation]) -> None:
    """Print the rank correlations with measures of memory, of all conditions together."""
    condition = pooled_condition(rows)
    for row in rows:
        shown = (row.coefficient, row.partialled, row.condition) == ("spearman", NOTHING, condition)
        if shown and not row.misleading and row.kind != COMPLEXITY:
            name = f"{called(row.model, row.readout)} {row.measure} and {row.source} {row.source_measure}"
            if row.correlation is None or row.low is None or row.high is None:
                print(visible(f"{name}: {row.note}"))
            else:
                ceiling = "" if row.ceiling is None else f", ceiling {row.ceiling:.2f}"
                print(visible(f"{name}: {row.correlation:.2f} [{row.low:.2f} to {row.high:.2f}]{ceiling}"))
