"""Merge the trials of several memory runs into one table, one curve and one page."""

from __future__ import annotations

from pathlib import Path

from experiments.config import ReportOptions
from experiments.human import human_figures
from experiments.memory import print_accuracies
from experiments.plots import draw_memory_curve
from experiments.report import Section, embed, write_report
from experiments.statistics import Accuracy, accuracies, pooled, read_trials, write_accuracies, write_trials


def report_memory(options: ReportOptions) -> Path:
    """Write `trials.csv`, `accuracy.csv`, `curve.png` and `report.html` for the runs together.

    Raises:
        FileNotFoundError: a run has no `trials.csv` yet.
    """
    trials = [trial for run in options.runs for trial in read_trials(run / "trials.csv")]
    results = accuracies(trials)
    write_trials(options.out / "trials.csv", trials)
    write_accuracies(options.out / "accuracy.csv", results)
    draw_memory_curve(options.out / "curve.png", results)
    runs = ", ".join(run.name for run in options.runs)
    write_report(
        options.out / "report.html", "Recognition memory", f"Runs: {runs}.", [memory_section(options.out, results)]
    )
    print_accuracies(results)
    return options.out


def memory_section(folder: Path, results: list[Accuracy]) -> Section:
    """Return the page section on the memory curve in `folder/curve.png`."""
    people = human_figures()
    rows = [["condition", "exposures", "accuracy", "95 % interval", "people"]]
    for condition, curve in pooled(results).items():
        last = curve[-1]
        human = people.get(condition)
        rows.append(
            [
                condition,
                str(last.exposure),
                f"{100 * last.accuracy:.1f} %",
                f"{100 * last.low:.1f} to {100 * last.high:.1f} %",
                f"{100 * human.accuracy:.1f} ± {100 * human.sem:.1f} %" if human else "",
            ]
        )
    return Section(
        title="What it remembers",
        text="Each point is the share of pairs in which the model finds the picture it studied likelier than a foil it "
        "never saw, after that many passes over the study list; the band is the 95 % interval over picture pairs, the "
        f"dotted line chance. {_versions(results)} The grey band is what people reach after seeing 2,500 objects once "
        "(mean ± s.e.m., Brady et al. 2008): for other lists than theirs a landmark, not a competitor.",
        media=(embed(folder / "curve.png", "Recognition accuracy against exposures, one panel per condition"),),
        table=tuple(tuple(row) for row in rows),
    )


def _versions(results: list[Accuracy]) -> str:
    if any(result.version == "swapped" for result in results):
        return (
            "The list was run twice, with studied pictures and foils swapped, so that a model that has studied nothing "
            "stands at exactly one half."
        )
    return "The list was run as given only, so that a model may favour its studied pictures before any study."
