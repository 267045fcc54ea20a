"""Put everything that is known of a ladder on one page: `secondsight scaling report`.

ladder/           runs.csv and losses.png: the trainings, losses against compute; rates.csv where rates were tried
law/              what `scaling fit` writes: all tables, and figures drawn from them
extrapolation/    what `scaling extrapolate` writes
tasks/            what `scaling tasks` writes
left_out.csv      what diverged, or was left out otherwise, and why
codebook.csv      what the columns of all tables are
methods.txt       how all was done, in words
index.html

Of several parts of a kind the second is in law_2, and so on. All figures are there as .pdf and .svg too.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.codebook import write_codebook
from experiments.methods import methods_section
from experiments.pages import Section, write_report
from experiments.scaling import extrapolate, fit_tables, tasks
from experiments.scaling.extrapolate import draw_extrapolation, extrapolation_sections
from experiments.scaling.extrapolation_page import lead as verdicts
from experiments.scaling.fit import draw_law, fit_scaling
from experiments.scaling.fit_page import law_paragraphs, law_sections
from experiments.scaling.ladder_plot import Ended, draw_losses
from experiments.scaling.options import ScalingFitOptions, ScalingTasksOptions
from experiments.scaling.rate_table import TriedRow
from experiments.scaling.report_left_out import LeftOutRow, left_out_rows, left_out_section
from experiments.scaling.report_options import ScalingReportOptions
from experiments.scaling.report_page import (
    as_sentence,
    ladder_notes,
    ladder_section,
    law_of,
    no_law_section,
    no_tasks_section,
    parts_in_words,
    rate_section,
)
from experiments.scaling.report_parts import (
    ExtrapolationPart,
    LadderPart,
    LawPart,
    Parts,
    TaskPart,
    check_units,
    not_in_law,
    read_law_part,
    read_parts,
    read_task_part,
)
from experiments.scaling.run_table import LadderRow
from experiments.scaling.table_sets import write_set
from experiments.scaling.task_page import lead as kinds_of_tasks
from experiments.scaling.tasks import classify_all, task_sections
from sampling.pages import facts_of
from storage.run_folder import recorded_command
from storage.tables import write_rows
from storage.terminal import count, visible
from training.progress import say_done, say_found

TABLES: dict[str, type] = {"left_out.csv": LeftOutRow}
"""The rows of the table of the report itself, for the codebook; those of its parts are theirs."""
METHODS = "methods.txt"


@dataclass
class _Report:
    """A report as far as it was put together."""

    out: Path
    sections: list[Section] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was made for the report, and what could not be, in sentences."""
    methods: list[str] = field(default_factory=list)
    kinds: dict[str, type] = field(default_factory=lambda: dict(TABLES))
    """Of rows, by the path of the table."""
    places: list[str] = field(default_factory=list)
    """Folders of parts."""
    made: list[Path] = field(default_factory=list)
    """Those of parts that were made for the report, which have all tables and figures."""

    def place(self, name: str) -> Path:
        """Return the folder of the next part of a kind, and remember it."""
        number = sum(place.partition("_")[0] == name for place in self.places) + 1
        self.places.append(name if number == 1 else f"{name}_{number}")
        return self.out / self.places[-1]

    def add(self, sections: list[Section], source: Path, several: bool, place: Path, kinds: dict[str, type]) -> None:
        """Add the sections of a part, its tables and how it was made.

        Args:
            sections: of the page.
            source: folder of the part.
            several: whether there are several of the kind, so that titles name the folder.
            place: folder of its tables in the report.
            kinds: of rows by the name of their table.
        """
        self.sections += [replace(one, title=f"{one.title}: {source}") if several else one for one in sections]
        self.kinds |= {f"{place.name}/{name}": kind for name, kind in kinds.items()}
        self.methods += list(_methods_of(source))


def report_scaling(options: ScalingReportOptions) -> Path:
    """Write the tables, figures and the page of all folders together, and return the folder.

    Raises:
        OSError: a table is not there.
        RunFolderError: a `config.json` is damaged, or of an older version.
        ValueError: a table is damaged, a ladder has no training that has ended, or laws are of different units.
    """
    parts = read_parts(options.folders)
    check_units(parts.laws)
    _say_found(parts)
    report = _Report(options.out)
    lawless = [section for ladder in parts.ladders for section in _complete_law(report, parts, ladder)]
    taskless = [section for ladder in parts.ladders for section in _complete_tasks(report, parts, ladder)]
    check_units(parts.laws)

    for ladder in parts.ladders:
        _add_ladder(report, ladder, len(parts.ladders) > 1)
    for law in parts.laws:
        _add_law(report, law, len(parts.laws) > 1)
    report.sections += lawless
    for curves in parts.extrapolations:
        _add_extrapolation(report, curves, len(parts.extrapolations) > 1)
    for task in parts.tasks:
        _add_tasks(report, task, len(parts.tasks) > 1)
    report.sections += taskless

    left_out = list(left_out_rows(parts))
    write_rows(options.out / "left_out.csv", left_out, LeftOutRow)
    write_codebook(options.out, report.kinds)
    methods = methods_section(options.out, report.methods, f"the {METHODS} of each part")
    report.sections += [left_out_section(left_out), methods]
    lead = _lead(parts, report.notes)
    write_report(options.out / "index.html", "Scaling", lead, report.sections, facts=facts_of(options))
    _print(parts, report.notes, left_out)
    say_done(options.out / "index.html", "open it in a browser")
    return options.out


def _say_found(parts: Parts) -> None:
    folders = {name: ", ".join(map(str, found)) for name, found in parts.folders().items() if found}
    say_found(**folders)


def _complete_law(report: _Report, parts: Parts, ladder: LadderPart) -> list[Section]:
    """Find the law of a ladder, or fit it with default options; where that cannot be, return what says why."""
    law = law_of(ladder, parts.laws)
    if law is None:
        nearby = ladder.folder / "law"
        if recorded_command(nearby) == ScalingFitOptions.command:
            law = law_of(ladder, [read_law_part(nearby)])
        if law is None or not_in_law(ladder, law):
            place = report.place("law")
            try:
                law = read_law_part(fit_scaling(ScalingFitOptions(table=ladder.table, out=place)))
            except ValueError as error:
                report.places.remove(place.name)
                report.notes.append(f"No law could be fitted to `{ladder.table}`: {as_sentence(str(error))}")
                return [no_law_section(ladder, str(error))]
            report.made.append(place)
            report.notes.append(f"The law of `{ladder.folder}` was fitted for this report, with default options.")
        parts.laws.append(law)
    behind = not_in_law(ladder, law)
    if behind:
        report.notes.append(
            f"The law in `{law.folder}` knows nothing of {count(len(behind), 'cell')} of `{ladder.folder}` that ended "
            "after it was fitted: fit it again."
        )
    return []


def _complete_tasks(report: _Report, parts: Parts, ladder: LadderPart) -> list[Section]:
    """Classify the tasks of a ladder, if any were measured; where that cannot be, return what says why."""
    known = any(task.options.table.resolve() == ladder.tasks.resolve() for task in parts.tasks)
    if known or not ladder.tasks.is_file():
        return []
    place = report.place("tasks")
    try:
        parts.tasks.append(read_task_part(classify_all(ScalingTasksOptions(table=ladder.tasks, out=place))))
    except ValueError as error:
        report.places.remove(place.name)
        report.notes.append(f"The tasks in `{ladder.tasks}` could not be classified: {as_sentence(str(error))}")
        return [no_tasks_section(ladder, str(error))]
    report.made.append(place)
    report.notes.append(f"The tasks of `{ladder.folder}` were classified for this report, with default options.")
    return []


def _add_ladder(report: _Report, ladder: LadderPart, several: bool) -> None:
    place = report.place("ladder")
    write_rows(place / "runs.csv", ladder.rows, LadderRow)
    ended = [Ended(row.parameters, row.source, row.compute, row.loss, row.diverged) for row in ladder.rows]
    draw_losses(place / "losses.png", ended, ladder.rows[0].loss_unit)
    sections = [ladder_section(place, ladder)]
    kinds: dict[str, type] = {"runs.csv": LadderRow}
    if ladder.trials:
        write_rows(place / "rates.csv", ladder.trials, TriedRow)
        sections.append(rate_section(ladder))
        kinds["rates.csv"] = TriedRow
    report.add(sections, ladder.folder, several, place, kinds)


def _add_law(report: _Report, law: LawPart, several: bool) -> None:
    place = law.folder
    if place not in report.made:
        place = report.place("law")
        law.tables.write(place)
        draw_law(place, law.tables)
        _copy_words(law.folder, place)
    report.add(law_sections(place, law.tables), law.folder, several, place, fit_tables.TABLES)


def _add_extrapolation(report: _Report, curves: ExtrapolationPart, several: bool) -> None:
    place = report.place("extrapolation")
    write_set(place, curves.tables, extrapolate.TABLES)
    draw_extrapolation(place, curves.tables, curves.options)
    _copy_words(curves.folder, place)
    sections = extrapolation_sections(place, curves.tables, curves.options)
    report.add(sections, curves.folder, several, place, extrapolate.TABLES)


def _add_tasks(report: _Report, task: TaskPart, several: bool) -> None:
    place = task.folder
    if place not in report.made:
        place = report.place("tasks")
        write_set(place, task.tables, tasks.TABLES)
        _copy_words(task.folder, place)
    report.add(task_sections(place, task.tables, task.options), task.folder, several, place, tasks.TABLES)


def _copy_words(source: Path, place: Path) -> None:
    """Copy what is no table, so that a part of a report can be reported itself."""
    for name in ("config.json", METHODS):
        if (source / name).is_file():
            shutil.copyfile(source / name, place / name)


def _methods_of(source: Path) -> Iterator[str]:
    """Yield the paragraphs of the methods of a part, the first of which names it."""
    try:
        text = (source / METHODS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        yield f"`{source}`: not described, as it has no {METHODS}; that of a ladder is written at its end."
        return
    for number, paragraph in enumerate(text.split("\n\n")):
        joined = " ".join(paragraph.split()).replace("`", "")
        yield f"`{source}`: {joined}" if number == 0 else joined


def _lead(parts: Parts, notes: list[str]) -> str:
    """Return the first paragraphs: where all is from, what was made, and what each part comes to."""
    paragraphs = [parts_in_words(parts), " ".join(notes)]
    paragraphs += [" ".join(ladder_notes(ladder)) for ladder in parts.ladders]
    paragraphs += [text for law in parts.laws for text in law_paragraphs(law.tables)]
    paragraphs += [
        f"`{curves.folder}`: {as_sentence(verdicts(curves.tables.agreements))}"
        for curves in parts.extrapolations
        if curves.tables.agreements  # which there are none of without intervals
    ]
    paragraphs += [f"`{task.folder}`: {kinds_of_tasks(task.tables.classes, task.options)}" for task in parts.tasks]
    return "\n\n".join(filter(None, paragraphs))


def _print(parts: Parts, notes: list[str], left_out: list[LeftOutRow]) -> None:
    """Print what was made, and what each part comes to."""
    lines = [_lead(parts, notes).replace("`", "").replace("\n\n", "\n")]
    lines += [f"left out of {row.folder}: {row.name}, {row.reason}" for row in left_out]
    for line in "\n".join(lines).splitlines():
        print(visible(line))
