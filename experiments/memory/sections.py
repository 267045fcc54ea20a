"""The sections of the page on recognition memory, each with a sentence on how to read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from experiments.cells import bracketed, number_range, p_value, share_range
from experiments.human import HumanResult, Landmarks, all_human_results, landmarks
from experiments.memory.merge import LeftOut
from experiments.memory.recall import RecallRow
from experiments.pages import Medium, Section, embed, percent, without_empty_columns
from experiments.published import NOISE, published_curves
from experiments.statistics.accuracy import Accuracy, pooled
from experiments.statistics.chance import chance_sentence
from experiments.statistics.comparison import Comparison
from experiments.statistics.outcomes import CHANCE
from experiments.statistics.signal_detection import Sensitivity
from experiments.statistics.thresholds import Threshold


def memory_section(
    folder: Path, results: Sequence[Accuracy], published: bool = False, people: Landmarks | None = None
) -> Section:
    """Return the section on the memory curve in `folder/curve.png`, beside people measured or published."""
    people = landmarks((result.condition for result in results), people)
    rows = [("model", "condition", "exposures", "runs", "accuracy", "images", "images and runs", "people")]
    last: list[Accuracy] = []
    for model in sorted({result.model for result in results}):
        for condition, curve in pooled(results, model=model).items():
            last.append(curve[-1])
            human = _with_error(people[condition]) if condition in people else ""
            intervals = (
                share_range(curve[-1].low_images, curve[-1].high_images),
                share_range(curve[-1].low, curve[-1].high),
            )
            place = (model, condition, str(curve[-1].exposure), str(curve[-1].runs))
            rows.append((*place, percent(curve[-1].accuracy), *intervals, human))
    others = _about_published(results) if published else ""
    several = any(point.runs > 1 for point in last)
    return Section(
        title="What it remembers",
        text="Each point is the share of pairs in which the model finds the image it studied likelier than a foil it "
        "never saw, after that many passes over the study list; the dark band is the 95 % interval over pairs of "
        f"images{', the light one that over images and runs' if several else ''}, the dotted line one half. "
        f"{_versions(results)}{_about_people(people)}{others} `Images` is the 95 % interval for other "
        f"images and these very runs{', `images and runs` that for other runs as well' if several else ''} (Student's "
        "t, with two images added that nobody has seen)."
        f"{_about_runs((point.model, point.runs) for point in last)}{_about_chance(last)}",
        media=(embed(folder / "curve.png", "Recognition accuracy against exposures, one panel per condition"),),
        table=without_empty_columns(rows),
    )


def threshold_section(thresholds: Sequence[Threshold]) -> Section:
    """Return the section on how many exposures it takes to do as well as people do after one."""
    rows = [("model", "readout", "condition", "people", "first at or above", "fitted", "images", "images and runs")]
    for line in thresholds:
        beyond = f"not within {line.exposures}"
        fitted = beyond if line.fitted is None else f"{line.fitted:.1f}"
        over_images = _exposures(line.low_images, line.high_images, beyond)
        over_runs = _exposures(line.low, line.high, beyond) if line.runs > 1 else ""
        first = beyond if line.first is None else str(line.first)
        people = percent(line.people) + bracketed(line.people_low, line.people_high)
        what = (line.model, line.readout, line.condition, people, first)
        rows.append((*what, fitted, over_images, over_runs))
    return Section(
        "Exposures to the level of people",
        "The first exposure whose accuracy, of all runs together, is at or above that of people; and where a smooth "
        "psychometric function (Weibull's, with chance at one half and a lapse rate; Wichmann and Hill 2001), fitted "
        "to all exposures by maximum likelihood, crosses their level. Its intervals hold the exposures at which that "
        "level lies inside the interval of the accuracy, over images, and over images and runs; "
        f"{_about_level(thresholds)}. Nothing is extrapolated beyond the exposures that were made."
        f"{_about_runs((line.model, line.runs) for line in thresholds)}",
        table=without_empty_columns(rows),
    )


def comparison_section(title: str, text: str, media: Sequence[Medium], comparisons: Iterable[Comparison]) -> Section:
    """Return a section on differences after the last exposure, before any interference."""
    before_interference = (line for line in comparisons if not line.interference)
    last = {(line.model, line.readout, line.condition, line.first, line.second): line for line in before_interference}
    rows = [
        (
            *("compared", "model", "readout", "condition", "exposures", "difference"),
            *("images", "p", "p (Holm)", "images and runs", "p", "p (Holm)"),
        )
    ]
    for (model, readout, condition, first, second), line in last.items():
        what = (f"{first} minus {second}", model, readout, condition, str(line.exposure), _points(line.difference))
        over_images = f"{_points(line.low_images)} to {_points(line.high_images)}"
        over_runs = "" if line.low is None or line.high is None else f"{_points(line.low)} to {_points(line.high)}"
        p_images = (p_value(line.p_images), p_value(line.p_images_holm))
        rows.append((*what, over_images, *p_images, over_runs, p_value(line.p), p_value(line.p_holm)))
    return Section(
        title,
        text + COMPARED + _about_runs((line.model, line.runs) for line in last.values()) + _about_trials(last.values()),
        tuple(media),
        without_empty_columns(rows),
    )


COMPARED = (
    " Differences in percentage points, on the same pairs of the same runs. `Images`: the 95 % interval and an exact "
    "sign-flip permutation test for other images and these very runs (of one run McNemar's test). `Images and runs`: "
    "interval and p for other runs as well. `Holm`: corrected for all comparisons of this kind after as many "
    "exposures. All exposures are in comparisons.csv."
)


def sensitivity_section(
    folder: Path, sensitivities: Iterable[Sensitivity], people: Sequence[tuple[str, ...]] = ()
) -> Section:
    """Return the section on d' and the ROC in `folder/roc.png`, after the last exposure and with unchanged images.

    Args:
        folder: of the page.
        sensitivities: of models.
        people: rows of the table, of people measured.
    """
    last: dict[tuple[str, ...], Sensitivity] = {}
    for line in sensitivities:
        if line.change == "none" and not line.interference:
            last[line.model, line.readout, line.condition] = line
    rows: list[tuple[str, ...]] = [
        (
            *("model", "readout", "condition", "accuracy", "p (chance)", "p (people)", "d'", "images"),
            *("images and runs", "d' old/new", "AUC", "by ratio", "AUC by ratio"),
        )
    ]
    for line in last.values():
        ratio = line.likelihood_ratio_accuracy
        area = line.likelihood_ratio_auc
        tested = (line.model, line.readout, line.condition, percent(line.accuracy))
        one_run = line.p_chance is None
        chance = line.p_chance_images if one_run else line.p_chance
        beside_people = line.p_people_images if one_run else line.p_people
        over_images = number_range(line.d_prime_low_images, line.d_prime_high_images)
        over_runs = "" if one_run else number_range(line.d_prime_low, line.d_prime_high)
        d_prime = (f"{line.d_prime:.2f}", over_images, over_runs, f"{line.d_prime_old_new:.2f}")
        by_ratio = ("" if ratio is None else percent(ratio), "" if area is None else f"{area:.3f}")
        rows.append((*tested, p_value(chance), p_value(beside_people), *d_prime, f"{line.auc:.3f}", *by_ratio))
    return Section(
        "Sensitivity",
        "d' is the distance between studied and new images on the scale of the readout in standard deviations: from "
        "the choice between two, sqrt(2) z(share correct), and from calling single images old or new with the median "
        "score as criterion. Ties count one half, and half a success and half a failure are added to every rate "
        "(Hautus 1995). Its intervals "
        "are those of the accuracy, over images, and over images and runs; an end at 100 % has no finite d'. "
        "p (chance) tests the accuracy against guessing, p (people) against that of people with its standard error, "
        "for other images and runs (of one run: for other images). The ROC shows hits against false alarms for every "
        "criterion; the area under it is the accuracy if every studied image were paired with every foil. `By ratio` "
        "judges by how much study has raised an image's likelihood, which takes away that some images are simple in "
        "themselves.",
        (embed(folder / "roc.png", "Hits against false alarms after the last exposure"),),
        without_empty_columns([*rows, *people]),
    )


def recall_section(rows: Sequence[RecallRow]) -> Section:
    """Return the section on what was recalled: means by condition over the rows of `recall.csv`."""
    groups: dict[tuple[str, str], list[RecallRow]] = defaultdict(list)
    for row in rows:
        groups[row.condition, row.studied].append(row)
    n = max((row.completions for row in rows), default=0)
    table: list[tuple[str, ...]] = [
        ("condition", "studied", "images", "distance", "best of 2", f"best of {n}", "identified")
    ]
    for (condition, studied), group in sorted(groups.items()):
        distances = (
            fmean(row.distance for row in group),
            fmean(row.best_of_2_distance for row in group),
            fmean(row.best_of_all_distance for row in group),
        )
        identified = fmean(row.identified for row in group)
        numbers = (f"{distance:.3f}" for distance in distances)
        table.append((condition, studied, str(len(group)), *numbers, percent(identified)))
    return Section(
        "Recall",
        "The model is given the upper half of an image and completes the lower several times. Distances are root mean "
        "square differences of pixels to the true lower half (0 the same, 1 black against white), of all completions "
        "on average and of the nearest of so many, which falls with their number; identified are completions nearer to "
        "their own image than to any other. What is recalled, and not guessed, is the advantage of studied images over "
        "foils.",
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


def _about_level(thresholds: Sequence[Threshold]) -> str:
    if any(line.people_low is not None for line in thresholds):
        return "the level of people may be anywhere in its own 95 % interval (in brackets)"
    return "the accuracy of people is taken as exact"


def _with_error(result: HumanResult) -> str:
    if result.low is not None:
        return percent(result.accuracy) + bracketed(result.low, result.high)
    return percent(result.accuracy) + (f" ± {percent(result.sem)}" if result.sem else "")


def _exposures(low: float | None, high: float | None, beyond: str) -> str:
    """Return an interval of exposures; None lies beyond those that were made."""
    if low is None:
        return beyond
    return " to ".join(beyond if end is None else f"{end:.1f}" for end in (low, high))


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _versions(results: Sequence[Accuracy]) -> str:
    """Return which models were run on both versions of the list."""
    models = {result.model for result in results}
    both = {result.model for result in results if result.version == "swapped"}
    chances = [result.chance for result in results if not result.exposure]
    level = "one half" if all(chance == CHANCE for chance in chances) else "chance, below one half where ties are wrong"
    swapped = (
        f"were run in two versions, with studied images and foils swapped, so that before study it stands at {level}"
    )
    given = "were run as given only, so that a model may favour its studied images before any study"
    if not both:
        return f"The lists {given}."
    if both == models:
        return f"The lists {swapped}."
    return f"The lists of {', '.join(sorted(both))} {swapped}; the others {given}."


def _about_runs(runs: Iterable[tuple[str, int]]) -> str:
    """Return what few runs leave unknown, of models and their numbers of runs."""
    fewest: dict[str, int] = {}
    for model, count in runs:
        fewest[model] = min(count, fewest.get(model, count))
    sentences = []
    for few, said in ((1, ONE_RUN), (2, TWO_RUNS)):
        models = sorted(model for model, count in fewest.items() if count == few)
        of = f"Of {', '.join(models)} there" if len(fewest) > len(models) else "There"
        if models:
            sentences.append(f" {of} {said}")
    return "".join(sentences)


ONE_RUN = (
    "is one run (the versions of a list under one seed share initial weights and order, and count as one): intervals "
    "allow for other images, and nothing is known about other runs. More of them: `--seeds`."
)
TWO_RUNS = "are two runs, which hardly tell how runs differ; what is said over runs is mostly very wide."


def _about_published(results: Sequence[Accuracy]) -> str:
    """Return what the published curves in the plot are of, if it has any."""
    conditions = {result.condition for result in results}
    if conditions == {NOISE}:
        material = "random sequences"
    elif conditions & {curve.condition for curve in published_curves()}:
        material = "the stimuli of Brady et al."
    else:
        return ""
    return (
        " Grey lines are published models, mean and standard error of four runs (Orhan 2022, arXiv 2204.13061; "
        f"Image GPT, 64 x 64 pixels, on {material})."
    )


def _about_people(people: Landmarks) -> str:
    measured = [result for result in people.values() if result.participants is not None]
    if measured:
        most = max(result.participants or 0 for result in measured)
        return (
            f" The grey band is what your participants ({most:,} of them) reach after one exposure, with its 95 % "
            "interval for other images and other people."
        )
    if not people:
        return (
            " No results of people are set beside it: the test conditions are those of no experiment, or of several, "
            "that people took part in."
        )
    study = next(iter(people.values())).study
    return (
        f" The grey band is what people reach after one exposure (mean ± s.e.m., {study}): for other lists than theirs "
        "a landmark, not a competitor."
    )


def _about_chance(last: Sequence[Accuracy]) -> str:
    """Name the models and conditions whose accuracy after study is not above chance."""
    low = [point for point in last if chance_sentence(point)]
    if len(low) == 1:
        return f" {chance_sentence(low[0])}."
    models = list(dict.fromkeys(point.model for point in low))
    several = len({point.model for point in last}) > 1
    conditions = {model: ", ".join(point.condition for point in low if point.model == model) for model in models}
    listed = "; ".join(f"{named} ({model})" if several else named for model, named in conditions.items())
    return f" Not above guessing after study, by their intervals over images: {listed}." if low else ""


def _about_trials(comparisons: Iterable[Comparison]) -> str:
    """Say how many trials were not compared because only one side has them."""
    left_out = max((line.left_out for line in comparisons), default=0)
    if not left_out:
        return ""
    return f" Up to {left_out:,} trials that only one side has are left out of a comparison (column left_out)."
