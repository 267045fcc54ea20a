"""The sections of the page on recognition memory, each with a sentence on how to read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from experiments.human import HumanResult, all_human_results, human_results
from experiments.memory.merge import LeftOut
from experiments.memory.recall import RecallRow
from experiments.pages import Medium, Section, embed, percent, without_empty_columns
from experiments.statistics.accuracy import Accuracy, pooled
from experiments.statistics.comparison import Comparison
from experiments.statistics.signal_detection import Sensitivity
from experiments.statistics.thresholds import Threshold


def memory_section(folder: Path, results: Sequence[Accuracy], published: bool = False) -> Section:
    """Return the section on the memory curve in `folder/curve.png`."""
    people = human_results()
    rows = [("model", "condition", "exposures", "accuracy", "95 % interval", "people")]
    for model in sorted({result.model for result in results}):
        for condition, curve in pooled(results, model=model).items():
            last = curve[-1]
            interval = f"{percent(last.low)} to {percent(last.high)}"
            human = _with_error(people[condition]) if condition in people else ""
            rows.append((model, condition, str(last.exposure), percent(last.accuracy), interval, human))
    others = (
        " Grey lines are published models, mean and standard error of four runs (Orhan 2022, arXiv 2204.13061; "
        "Image GPT, 64 x 64 pixels, on the stimuli of Brady et al.)."
    )
    return Section(
        title="What it remembers",
        text="Each point is the share of pairs in which the model finds the image it studied likelier than a foil it "
        "never saw, after that many passes over the study list; the band is the 95 % interval over pairs of images "
        f"and over runs, the dotted line chance. {_versions(results)} The grey band is what people reach after seeing "
        "2,500 objects once (mean ± s.e.m., Brady et al. 2008): for other lists than theirs a landmark, not a "
        f"competitor.{others if published else ''}",
        media=(embed(folder / "curve.png", "Recognition accuracy against exposures, one panel per condition"),),
        table=without_empty_columns(rows),
    )


def threshold_section(thresholds: Sequence[Threshold]) -> Section:
    """Return the section on how many exposures it takes to do as well as people do after one."""
    rows = [("model", "readout", "condition", "people", "first at or above", "fitted", "95 % interval")]
    for line in thresholds:
        beyond = f"not within {line.exposures}"
        fitted = beyond if line.fitted is None else f"{line.fitted:.1f}"
        sides = (beyond if side is None else f"{side:.1f}" for side in (line.low, line.high))
        interval = beyond if line.low is None else " to ".join(sides)
        first = beyond if line.first is None else str(line.first)
        rows.append((line.model, line.readout, line.condition, percent(line.people), first, fitted, interval))
    return Section(
        "Exposures to the level of people",
        "The first exposure whose accuracy, of all runs together, is at or above that of people; and where a smooth "
        "psychometric function (Weibull's, with chance at one half and a lapse rate; Wichmann and Hill 2001), fitted "
        "to all exposures by maximum likelihood, crosses their level. Its interval allows for other images and other "
        "runs, and takes the accuracy of people as exact. Nothing is extrapolated beyond the exposures that were made.",
        table=without_empty_columns(rows),
    )


def comparison_section(title: str, text: str, media: Sequence[Medium], comparisons: Iterable[Comparison]) -> Section:
    """Return a section on differences after the last exposure, before any interference."""
    before_interference = (line for line in comparisons if not line.interference)
    last = {(line.model, line.readout, line.condition, line.first, line.second): line for line in before_interference}
    rows = [("model", "readout", "condition", "exposures", "compared", "difference", "95 % interval", "p")]
    for (model, readout, condition, first, second), line in last.items():
        difference = f"{100 * line.difference:+.1f}"
        interval = f"{100 * line.low:+.1f} to {100 * line.high:+.1f}"
        compared = f"{first} minus {second}"
        rows.append((model, readout, condition, str(line.exposure), compared, difference, interval, p_value(line.p)))
    note = (
        " Differences in percentage points, on the same pairs of the same runs, with 95 % bootstrap intervals; p from "
        "an exact sign-flip permutation test over pairs (for one run McNemar's), not corrected for how many are made. "
        "All exposures are in comparisons.csv."
    )
    return Section(title, text + note, tuple(media), without_empty_columns(rows))


def sensitivity_section(folder: Path, sensitivities: Iterable[Sensitivity]) -> Section:
    """Return the section on d' and the ROC in `folder/roc.png`, after the last exposure and with unchanged images."""
    last: dict[tuple[str, ...], Sensitivity] = {}
    for line in sensitivities:
        if line.change == "none" and not line.interference:
            last[line.model, line.readout, line.condition] = line
    rows: list[tuple[str, ...]] = [
        ("model", "readout", "condition", "accuracy", "d'", "d' old/new", "AUC", "by ratio", "AUC by ratio")
    ]
    for line in last.values():
        ratio = line.likelihood_ratio_accuracy
        area = line.likelihood_ratio_auc
        tested = (line.model, line.readout, line.condition)
        measures = (percent(line.accuracy), f"{line.d_prime:.2f}", f"{line.d_prime_old_new:.2f}", f"{line.auc:.3f}")
        by_ratio = ("" if ratio is None else percent(ratio), "" if area is None else f"{area:.3f}")
        rows.append((*tested, *measures, *by_ratio))
    return Section(
        "Sensitivity",
        "d' is the distance between studied and new images on the scale of the readout in standard deviations: from "
        "the choice between two, sqrt(2) z(share correct), and from calling single images old or new with the median "
        "score as criterion. The ROC shows hits against false alarms for every criterion; the area under it is the "
        "accuracy if every studied image were paired with every foil. `By ratio` judges by how much study has "
        "raised an image's likelihood, which takes away that some images are simple in themselves.",
        (embed(folder / "roc.png", "Hits against false alarms after the last exposure"),),
        without_empty_columns(rows),
    )


def recall_section(rows: Sequence[RecallRow]) -> Section:
    """Return the section on what was recalled: means by condition over the rows of `recall.csv`."""
    groups: dict[tuple[str, str], list[RecallRow]] = defaultdict(list)
    for row in rows:
        groups[row.condition, row.studied].append(row)
    table = [("condition", "studied", "images", "distance", "of the best", "identified")]
    for (condition, studied), group in sorted(groups.items()):
        distance = fmean(row.distance for row in group)
        best = fmean(row.best_distance for row in group)
        identified = fmean(row.identified for row in group)
        table.append((condition, studied, str(len(group)), f"{distance:.3f}", f"{best:.3f}", percent(identified)))
    return Section(
        "Recall",
        "The model is given the upper half of an image and completes the lower several times. Distances are root mean "
        "square differences of pixels to the true lower half (0 the same, 1 black against white), of all completions "
        "and of the nearest; identified are completions nearer to their own image than to any other. What is "
        "recalled, and not guessed, is the advantage of studied images over foils.",
        table=tuple(table),
    )


def people_section() -> Section:
    """Return the section with all human results and how far each can be relied on."""
    rows = [("study", "condition", "measure", "value", "status", "source")]
    for result in all_human_results():
        rows.append((result.study, result.condition, result.measure, _with_error(result), result.status, result.source))
    return Section(
        "What people remember",
        "Results for orientation: `confirmed` in the publication, `digitised` from its plots by others, or known at "
        "`second-hand`. 2AFC: the share of correct choices between a studied image and a foil.",
        table=tuple(rows),
    )


def defect_section(left_out: Sequence[LeftOut]) -> Section:
    """Return the section on what was left out of the lists."""
    rows = [("list", "file", "reason")]
    rows += [(each.list, each.file, each.reason) for each in left_out]
    return Section(
        "Left out as defective",
        "These images, and the trials they belong to, are in none of the results on this page.",
        table=tuple(rows),
    )


def p_value(p: float) -> str:
    """Return a p-value for a table."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _with_error(result: HumanResult) -> str:
    return percent(result.accuracy) + (f" ± {percent(result.sem)}" if result.sem else "")


def _versions(results: Sequence[Accuracy]) -> str:
    if any(result.version == "swapped" for result in results):
        return (
            "The list was run twice, with studied images and foils swapped, so that a model that has studied nothing "
            "stands at exactly one half."
        )
    return "The list was run as given only, so that a model may favour its studied images before any study."
