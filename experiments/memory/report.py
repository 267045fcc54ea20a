"""Merge the trials of several memory runs into tables, plots and one page.

trials.csv        all trials, with the name of the model
accuracy.csv      accuracy of each test condition at each moment, pooled and of each run
comparisons.csv   differences between readouts, models and changes, on the same items of the same runs
thresholds.csv    exposures to the human level
sensitivity.csv   d', ROC areas, and judgements by likelihood ratio
items.csv         what is remembered of each image
defects.csv       what was left out of the lists, if anything was
codebook.csv      what the columns of these tables are
responses.csv     with --people: the answers that count; people.csv, participants.csv and people_lags.csv what follows
                  from them, excluded.csv who and what was left out
methods.txt       how the runs were made, in words
curve.png, roc.png; readouts.png, changes.png, forgetting.png where there is something to draw; remembered.png and
maps_<number>.png where the images are at hand; all of them as .pdf and .svg too
report.html
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.codebook import write_codebook
from experiments.human import Landmarks
from experiments.memory.images import Drawing, read_maps, show_items, show_maps
from experiments.memory.merge import (
    LeftOut,
    RunFolder,
    differing_options,
    left_out,
    merge_trials,
    models_of,
    read_run_folders,
    seeds_of,
)
from experiments.memory.methods import memory_methods
from experiments.memory.notices import notices
from experiments.memory.options import ReportOptions
from experiments.memory.recall import RecallRow
from experiments.memory.sections import (
    comparison_section,
    defect_section,
    memory_section,
    people_section,
    recall_section,
    sensitivity_section,
    threshold_section,
)
from experiments.methods import methods_section
from experiments.pages import Medium, Section, embed, percent, write_report
from experiments.people.data_options import PeopleOptions
from experiments.people.reading import People, read_people
from experiments.people.sections import TABLES as PEOPLE_TABLES
from experiments.people.sections import (
    found_people,
    people_methods,
    people_sections,
    print_people,
    sensitivity_rows,
    write_people,
)
from experiments.plots import draw_changes, draw_forgetting, draw_memory_curve, draw_readouts, draw_roc
from experiments.statistics.accuracy import Accuracy, accuracies, pooled, write_accuracies
from experiments.statistics.comparison import Comparison, compare_all
from experiments.statistics.items import Item, items
from experiments.statistics.outcomes import Outcomes, collect
from experiments.statistics.signal_detection import Sensitivity, sensitivities
from experiments.statistics.thresholds import Threshold, thresholds
from experiments.statistics.trials import TrialRow, write_trials
from sampling.pages import Fact, facts_of
from storage.tables import write_rows
from storage.terminal import visible
from training.figures import save_figure
from training.progress import count, say_done, say_found

TABLES: dict[str, type] = {
    "trials.csv": TrialRow,
    "accuracy.csv": Accuracy,
    "comparisons.csv": Comparison,
    "thresholds.csv": Threshold,
    "sensitivity.csv": Sensitivity,
    "items.csv": Item,
    "defects.csv": LeftOut,
}
"""The rows of the tables, for the codebook."""


def report_memory(options: ReportOptions) -> Path:
    """Write the tables, plots and the page of the runs, and of people, together.

    Raises:
        OSError: a table of people cannot be read.
        ValueError: a folder holds no finished run, two hold the same, or a table of people cannot be used.
    """
    folders = read_run_folders(options.runs)
    trials = merge_trials(folders)
    people = read_people(options.data, trials)
    outcomes = collect(trials)
    defects = left_out(folders)
    say_found(**_found_runs(folders, trials, outcomes, defects), **({} if people is None else found_people(people)))
    remarks = [*notices(outcomes), *(people.remarks if people else ())]
    for remark in remarks:
        print(visible(remark), file=sys.stderr)

    out = options.out
    note = _note(defects)
    results = accuracies(outcomes)
    sections = [
        *(_model_sections(out, folders, trials, outcomes, results, people) if folders else ()),
        *(people_sections(out, people, options.data) if people else ()),
        people_section(),
        _methods(out, folders, people, options.data),
        *([defect_section(defects)] if defects else []),
    ]
    if people:
        write_people(out, people)
    write_codebook(out, {**(TABLES if folders else {}), **(PEOPLE_TABLES if people else {})})
    lead = " ".join(filter(None, [_sources(folders, options.data), note, *remarks]))
    write_report(out / "report.html", "Recognition memory", lead, sections, facts=_facts(options, folders))
    _print(results, note)
    if people:
        print_people(people)
    say_done(out / "report.html", "open it in a browser")
    return out


def _facts(options: ReportOptions, folders: Sequence[RunFolder]) -> tuple[Fact, ...]:
    """Return the header of the page."""
    return facts_of(options, models=models_of(folders), seeds=seeds_of(folders))


def _model_sections(
    out: Path,
    folders: Sequence[RunFolder],
    trials: Sequence[TrialRow],
    outcomes: Sequence[Outcomes],
    results: Sequence[Accuracy],
    people: People | None,
) -> list[Section]:
    """Write the tables and plots of models, and return the sections of the page on them."""
    beside = people.landmarks if people else None
    comparisons = compare_all(outcomes)
    crossings = thresholds(outcomes, beside)
    sensitivity = sensitivities(trials, outcomes, beside)
    by_item = items(trials)
    defects = left_out(folders)
    write_trials(out / "trials.csv", trials)
    write_accuracies(out / "accuracy.csv", results)
    write_rows(out / "comparisons.csv", comparisons, Comparison)
    write_rows(out / "thresholds.csv", crossings, Threshold)
    write_rows(out / "sensitivity.csv", sensitivity, Sensitivity)
    write_rows(out / "items.csv", by_item, Item)
    write_rows(out / "defects.csv", defects, LeftOut)
    note = _note(defects)
    draw_memory_curve(out / "curve.png", results, published=True, note=note, people=beside)
    draw_roc(out / "roc.png", trials, note, beside)
    return [
        memory_section(out, results, published=True, people=beside),
        *([threshold_section(crossings)] if crossings else []),
        *_comparisons(out, results, comparisons, note, beside),
        sensitivity_section(out, sensitivity, sensitivity_rows(people)),
        *_images(out, folders, by_item),
        *_recall(folders),
    ]


def _methods(out: Path, folders: Sequence[RunFolder], people: People | None, options: PeopleOptions) -> Section:
    """Return the section on how runs were made and people tested."""
    of_people = [people_methods(people, options)] if people else []
    if folders:
        return memory_methods(out, folders, of_people)
    return methods_section(out, of_people, "the tables of responses")


def _found_runs(
    folders: Sequence[RunFolder],
    trials: Sequence[TrialRow],
    outcomes: Sequence[Outcomes],
    defects: Sequence[LeftOut],
) -> dict[str, str]:
    """Return what is said of the runs before anything is computed."""
    if not folders:
        return {}
    readouts = sorted({trial.readout for trial in trials})
    return {
        "runs": ", ".join(str(folder.path) for folder in folders),
        "trials": f"{len(trials):,}, judged by {', '.join(readouts)}",
        "models": _describe_models(folders, outcomes),
        "left_out": count(len(defects), "defective trial"),
    }


def _sources(folders: Sequence[RunFolder], options: PeopleOptions) -> str:
    """Return what the page is made from."""
    runs = ", ".join(folder.path.name for folder in folders)
    people = ", ".join(path.name for path in options.people)
    return " ".join([*([f"Runs: {runs}."] if runs else []), *([f"People: {people}."] if people else [])])


def _describe_models(folders: Sequence[RunFolder], outcomes: Sequence[Outcomes]) -> str:
    """Return the number of models, and by what they are told apart and not pooled."""
    models = len({of_condition.tested.model for of_condition in outcomes})
    differing = [name.replace("_", " ") for name in differing_options(folders)]
    return f"{models:,}, which differ in {', '.join(differing)} and are not pooled" if differing else f"{models:,}"


def _comparisons(
    out: Path,
    results: Sequence[Accuracy],
    comparisons: Sequence[Comparison],
    note: str,
    people: Landmarks | None,
) -> Iterator[Section]:
    """Draw and describe what was compared: models, readouts, changes to the images, and forgetting."""
    between_models = _in(comparisons, "model", readout="weights", change="none")
    if between_models:
        text = "Models are named by the options in which they differ."
        yield comparison_section("Models compared", text, (), between_models)
    if draw_readouts(out / "readouts.png", results, note, people):
        text = (
            "`weights` judges by the model's NLL; `familiarity` by how near the image's features lie to what an "
            "episodic store has kept of the studied images; `familiarity:KEY` by how near it lies in the space "
            "of a key of pictures; `weights+store` by the NLL of model and store mixed."
        )
        media = embed(out / "readouts.png", "Accuracy of each readout against exposures")
        yield comparison_section("Readouts compared", text, (media,), _in(comparisons, "readout", change="none"))
    if draw_changes(out / "changes.png", results, note, people):
        text = (
            "The images are studied as they are, and changed at the test, studied ones and foils alike; `none` is "
            "without a change."
        )
        media = embed(out / "changes.png", "Accuracy on changed images against exposures, a row for each readout")
        yield comparison_section("Changed images", text, (media,), _in(comparisons, "change"))
    if draw_forgetting(out / "forgetting.png", results, note, people):
        text = "After the last exposure another list was studied, and the first was tested after each pass over it."
        yield Section("Forgetting", text, (embed(out / "forgetting.png", "Accuracy against passes over another list"),))


def _images(out: Path, folders: Sequence[RunFolder], by_item: Sequence[Item]) -> Iterator[Section]:
    """Show single images, as far as the stimuli are still there."""
    stimuli = {folder.stimuli.name: folder.stimuli for folder in folders if folder.stimuli}
    remembered = show_items(by_item, stimuli)
    if remembered:
        text = (
            "Ranked by how soon they are told from their foils: above each image the share of runs and exposures in "
            "which it was, and how much study has raised its log likelihood per token. items.csv has all of them."
        )
        medium = _saved(remembered, out / "remembered.png", "Remembered best and least")
        yield Section("Remembered best and least", text, (medium,))
    drawings = [drawing for folder in folders if (drawing := _maps_of_first_run(folder))]
    if drawings:
        text = (
            "How much study has lowered the NLL of every token, where it lies in the image: yellow, lighter than the "
            "grey of no change, has become likelier, blue, darker than it, less likely. From the studied image with "
            "the most to that with the least on average (the number above each), then images that were not studied: "
            "what is yellow there too was learned of all images."
        )
        media = tuple(
            _saved(drawing, out / f"maps_{number}.png", "Images, and NLL before study minus NLL after it")
            for number, drawing in enumerate(drawings, start=1)
        )
        yield Section("Where the memory lies", text, media)


def _saved(drawn: Drawing, path: Path, caption: str) -> Medium:
    return embed(save_figure(drawn.figure, path), caption, words=drawn.words)


def _maps_of_first_run(folder: RunFolder) -> Drawing | None:
    maps = read_maps(folder.runs[0]) if folder.runs else None
    return show_maps(maps, folder.stimuli) if maps and folder.stimuli else None


def _recall(folders: Sequence[RunFolder]) -> list[Section]:
    rows = [row for folder in folders for row in folder.rows("recall.csv", RecallRow)]
    return [recall_section(rows)] if rows else []


def _note(defects: Sequence[LeftOut]) -> str:
    if not defects:
        return ""
    lists = ", ".join(sorted({defect.list for defect in defects}))
    return f"Left out as defective: {count(len(defects), 'file')} of {lists}, see defects.csv."


def _in(comparisons: Sequence[Comparison], respect: str, **common: str) -> list[Comparison]:
    """Return the comparisons in a respect where the two have this in common."""
    return [
        line
        for line in comparisons
        if line.respect == respect and all(getattr(line, name) == value for name, value in common.items())
    ]


def _print(results: Sequence[Accuracy], note: str) -> None:
    models = sorted({result.model for result in results})
    for model in models:
        if len(models) > 1:
            print(f"== {visible(model)}")
        for condition, curve in pooled(results, model=model).items():
            last = curve[-1]
            interval = f"{percent(last.low_images)} to {percent(last.high_images)}"
            exposures = count(last.exposure, "exposure")
            print(f"{visible(condition)}: {percent(last.accuracy)} [{interval} over images] after {exposures}")
    if note:
        print(visible(note))
