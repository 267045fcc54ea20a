"""Pictures compared one by one: what is measured, what is found, and what is said of what cannot be."""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from figure_files import drawn_as
from item_memory import answers, learned, path_of, pictures_of, write_pictures
from memory_runs import make_run

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from items_against_people import Options, judge, simulate

from experiments.memory.items.comparison import compare, correct_for_number, reliabilities
from experiments.memory.items.complexity import edge_density, jpeg_kilobytes, read_square
from experiments.memory.items.figures import extremes, without_shared
from experiments.memory.items.models import BITS, GAIN, RATIO, RAW, RAW_BEFORE, SOONER, Model, read_models
from experiments.memory.items.options import ItemsOptions
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.report import compare_items
from experiments.memory.items.resampling import Sampling
from experiments.memory.items.sources import CORRECTED, FALSE_ALARMS, HITS, Source, people_sources
from experiments.memory.items.tables import NOTHING, POOLED
from experiments.people.data_options import PeopleOptions
from experiments.people.table import write_responses
from experiments.statistics.trials import TrialRow

ITEMS = 8
PICTURES = 4 * ITEMS
SAMPLING = Sampling(resamples=200, splits=20, seed=0)
RISING = np.linspace(0.05, 0.95, PICTURES)


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def model_of(trials: list[TrialRow]) -> tuple[Model, Pictures]:
    pictures = Pictures.of(trials)
    return read_models(trials, pictures)[0], pictures


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People and three runs that remember the same pictures."""
    root = tmp_path_factory.mktemp("items")
    stimuli = write_pictures(root / "list", ITEMS)
    run = make_run(root / "run", learned(RISING, ITEMS, seeds=3, noise=0.3), stimuli=stimuli)
    rows = answers(RISING, ITEMS, 20)
    late = next(number for number, row in enumerate(rows) if row.item == "novel/1")
    rows[late] = replace(rows[late], response="", correct=None)
    strange = replace(rows[0], participant="p000", trial=99, item="novel/none", response="foil", correct=0.0)
    write_responses(root / "people.csv", [*rows, strange])
    options = ItemsOptions(
        runs=(run,), out=root / "out", data=PeopleOptions(people=(root / "people.csv",)), resamples=200, splits=20
    )
    with drawn_as():
        return compare_items(options)


def test_report_writes_its_tables_and_plots(report: Path) -> None:
    tables = {"correlations", "reliability", "course", "memorability", "skipped", "codebook"}
    tables |= {"responses", "people", "participants", "excluded", "people_lags"}
    plots = {"correlations", "course", "scatter_1", "extremes_1"}
    drawn = {f"{name}.{ending}" for name in plots for ending in ("png", "pdf", "svg")}
    expected = {f"{name}.csv" for name in tables} | drawn | {"report.html", "methods.txt"}
    assert {path.name for path in report.iterdir()} == expected


def test_report_finds_that_both_remember_the_same(report: Path) -> None:
    rows = [
        row
        for row in read_table(report / "correlations.csv")
        if (row["measure"], row["source_measure"], row["condition"]) == (RATIO, CORRECTED, POOLED)
        and (row["coefficient"], row["partialled"]) == ("spearman", NOTHING)
    ]
    assert len(rows) == 1
    assert float(rows[0]["low_images"]) > 0.2
    assert float(rows[0]["low"]) > 0
    assert float(rows[0]["ceiling_of_runs"]) < float(rows[0]["ceiling"]) < 1


def test_complexity_is_partialled_out_one_by_one_and_together(report: Path) -> None:
    found = {row["partialled"] for row in read_table(report / "correlations.csv")}
    assert found == {NOTHING, "bits", "jpeg", "edges", "bits+jpeg+edges"}


def test_raw_margins_are_marked_and_have_no_corrected_p(report: Path) -> None:
    rows = read_table(report / "correlations.csv")
    assert {row["measure"] for row in rows if row["misleading"] == "True"} == {RAW, RAW_BEFORE}
    assert not any(row["p_holm"] for row in rows if row["misleading"] == "True")


def test_those_who_cannot_see_the_extremes_hear_which_pictures_they_are(report: Path) -> None:
    words = re.findall('<img src="[^"]*" alt="([^"]*)">', (report / "report.html").read_text())
    assert sum("novel: remembered by both: test/novel_" in each for each in words) == 1
    assert sum("; remembered by neither: test/" in each for each in words) == 1


def test_course_begins_with_the_raw_margin_alone(report: Path) -> None:
    before = [row["measure"] for row in read_table(report / "course.csv") if row["exposure"] == "0"]
    assert before == [RAW]


def test_page_warns_and_says_what_was_left_out(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert "Why raw margins mislead" in page
    assert "3 runs, which hardly tell how runs differ" in page
    assert [row["item"] for row in read_table(report / "excluded.csv")] == ["novel/none"]
    assert "novel/1" in [row["item"] for row in read_table(report / "skipped.csv")]


def test_memorability_has_every_measure_of_every_picture(report: Path) -> None:
    rows = read_table(report / "memorability.csv")
    by_people = [row for row in rows if row["kind"] == "people" and row["measure"] == HITS]
    assert sorted(row["path"] for row in by_people) == sorted(path_of(item, v) for _, item, v in pictures_of(ITEMS))
    soon = [float(row["value"]) for row in rows if row["measure"] == SOONER]
    assert min(soon) >= 1


def test_measures_count_from_exposure_0() -> None:
    """Every picture gains its own amount with each exposure, whatever its score was before."""
    gains = np.linspace(0.1, 1, PICTURES)
    model, pictures = model_of(learned(gains, ITEMS))
    measures = model.measures(2)
    known = dict(zip(pictures_of(ITEMS), gains, strict=True))
    by_path = {path_of(item, version): gain for (_, item, version), gain in known.items()}
    expected = [2 * by_path[picture.path] for picture in pictures.all]
    assert measures[RATIO].values == pytest.approx(expected)
    assert measures[GAIN].values == pytest.approx(expected)
    assert (measures[SOONER].values == -1).all()


def test_scores_that_are_no_likelihoods_are_no_bits() -> None:
    trials = learned(np.ones(PICTURES), ITEMS)
    model, _ = model_of(trials)
    assert BITS in model.measures(2)
    model, _ = model_of([replace(trial, bits_per_pixel_studied=None, bits_per_pixel_foil=None) for trial in trials])
    assert BITS not in model.measures(2)


def test_a_picture_that_is_lost_again_is_known_when_it_stays() -> None:
    trials = [
        replace(trial, nll_studied=score, nll_foil=3.0, exposure=exposure)
        for trial in learned([0.1] * 8, 2, exposures=0)
        for exposure, score in enumerate((3.0, 2.0, 4.0, 2.0))
    ]
    model, _ = model_of(trials)
    assert (model.measures(3)[SOONER].values == -3).all()


def test_a_picture_that_is_never_known_comes_after_the_last_exposure() -> None:
    model, _ = model_of(learned([-0.1] * 8, 2, exposures=3))
    assert (model.measures(3)[SOONER].values == -4).all()


def test_raw_margins_correlate_before_anything_was_learned() -> None:
    """People remember the pictures that are likely in themselves; the model has learned nothing."""
    model, pictures = model_of(learned([0.0] * PICTURES, ITEMS, before=1.0))
    margins = model.measures(0)[RAW].values
    source = Source("people", "people", {HITS: model.measures(0)[RAW_BEFORE]})
    rows = {row.measure: row for row in compare(model, 0, source, {}, pictures, SAMPLING) if row.condition == POOLED}
    assert np.ptp(margins) > 0
    assert rows[RAW].correlation == pytest.approx(1)
    assert rows[GAIN].correlation is None
    assert rows[GAIN].note == f"margin_gain: the same for all {PICTURES} pictures"


def test_hits_and_false_alarms_are_those_of_the_picture() -> None:
    """In the version as given all know the first picture; in the swapped one all take it for the other."""
    model_trials = learned([0.1] * 4, 1)
    pictures = Pictures.of(model_trials)
    rows = answers([1.0, 0.0, 1.0, 1.0], 1, 4)
    source = people_sources(rows, pictures)[0][0]
    first, second = (pictures.place("list", "novel/0", version) for version in ("as_given", "swapped"))
    assert source.measures[HITS].values[[first, second]].tolist() == [1.0, 0.0]
    assert source.measures[FALSE_ALARMS].values[[first, second]].tolist() == [1.0, 0.0]
    assert source.measures[CORRECTED].values[[first, second]].tolist() == [0.0, 0.0]


def test_repeats_are_hits_and_new_pictures_false_alarms() -> None:
    pictures = Pictures.of(learned([0.1] * 4, 1))
    item = path_of("novel/0", "as_given")
    base = replace(answers([1.0] * 4, 1, 1)[0], task="continuous", item=item, lag=None)
    rows = [
        replace(base, trial=0, condition="new", response="repeat", correct=0.0),
        replace(base, trial=1, condition="repeat", response="repeat", correct=1.0, lag=1),
    ]
    source = people_sources(rows, pictures)[0][0]
    place = pictures.place("list", "novel/0", "as_given")
    assert source.name == "people, continuous"
    assert (source.measures[HITS].values[place], source.measures[FALSE_ALARMS].values[place]) == (1.0, 1.0)


def test_no_answer_is_listed_and_counts_for_nothing() -> None:
    pictures = Pictures.of(learned([0.1] * 4, 1))
    rows = answers([1.0] * 4, 1, 2)
    rows[0] = replace(rows[0], response="", correct=None)
    sources, unused = people_sources(rows, pictures)
    assert [(each.item, each.reason) for each in unused] == [("novel/0", "no answer in time")]
    assert sources[0].participants == 2


def test_people_of_another_list_are_refused() -> None:
    pictures = Pictures.of(learned([0.1] * 4, 1))
    with pytest.raises(ValueError, match="people answered the list other, and the runs studied list"):
        people_sources(answers([1.0] * 4, 1, 2, list_name="other"), pictures)


def test_items_that_no_run_tested_are_refused_when_there_are_no_others() -> None:
    pictures = Pictures.of(learned([0.1] * 4, 1))
    rows = [replace(row, item="cat") for row in answers([1.0] * 4, 1, 2)]
    with pytest.raises(ValueError, match="no answer of people is to a picture that the runs studied and tested"):
        people_sources(rows, pictures)


def test_few_pictures_have_no_correlation_and_that_is_said() -> None:
    model, pictures = model_of(learned([0.1, 0.2, 0.3, 0.4] * 2, 2))
    source = Source("people", "people", {HITS: model.measures(2)[RATIO]})
    rows = compare(model, 2, source, {}, pictures, SAMPLING)
    assert {row.correlation for row in rows} == {None}
    assert {row.note for row in rows} == {"fewer than 5 pictures of a condition have all values"}


def test_one_participant_has_no_ceiling() -> None:
    pictures = Pictures.of(learned([0.1] * PICTURES, ITEMS))
    source = people_sources(answers(RISING, ITEMS, 1), pictures)[0][0]
    found = reliabilities("people", source.measures, source.groups, pictures, SAMPLING)
    assert {row.ceiling for row in found} == {None}


def test_an_exposure_that_was_not_made_is_refused() -> None:
    model, _ = model_of(learned([0.1] * 4, 1))
    with pytest.raises(ValueError, match="was not tested after 7 exposures, but after 0, 1, 2"):
        model.measures(7)


def test_without_exposure_0_there_is_the_raw_margin_alone() -> None:
    model, _ = model_of([trial for trial in learned([0.1] * 4, 1) if trial.exposure])
    assert set(model.measures(2)) == {RAW}


def test_the_same_seed_gives_the_same_intervals() -> None:
    model, pictures = model_of(learned(RISING, ITEMS, seeds=2, noise=0.2))
    source = people_sources(answers(RISING, ITEMS, 6), pictures)[0][0]
    first, second = (correct_for_number(compare(model, 2, source, {}, pictures, SAMPLING)) for _ in range(2))
    assert first == second


def test_nothing_to_compare_with_is_refused() -> None:
    with pytest.raises(ValueError, match="give what to compare with"):
        ItemsOptions(runs=(Path("run"),), out=Path("out")).check()


def test_more_stripes_are_more_complex(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, 4)
    few, many = (read_square(folder / path_of(item, "as_given"), 64) for item in ("novel/0", "state/3"))
    assert edge_density(few) < edge_density(many) <= 1
    assert jpeg_kilobytes(few) < jpeg_kilobytes(many)


def test_extremes_lie_at_the_corners_and_apart() -> None:
    points = np.random.default_rng(0).random((200, 2))
    chosen = points[extremes(points)]
    distances = np.abs(chosen[:, None] - chosen[None]).max(axis=2) + np.eye(len(chosen))
    assert len(chosen) == 16
    assert distances.min() >= 0.11
    assert np.abs(chosen - np.round(chosen)).max() < 0.4


@pytest.mark.parametrize("kind", ["people's", "noisy"])
def test_an_observer_with_the_scores_of_people_reaches_the_ceiling(kind: str) -> None:
    """As `benchmarks/items_against_people.py` does in 200 experiments; of a few the mean is less certain."""
    outcomes = simulate(Options(runs=6, resamples=100, splits=10), kind, "pearson")
    correlation = np.mean([outcome.correlation for outcome in outcomes])
    ceiling = np.mean([outcome.ceiling_of_runs if kind == "noisy" else outcome.ceiling for outcome in outcomes])
    assert correlation == pytest.approx(ceiling, abs=0.1)
    assert 0.4 < correlation < 0.95


def test_shuffled_scores_are_judged_by_their_standard_error() -> None:
    outcomes = simulate(Options(runs=6, resamples=100, splits=10), "shuffled", "spearman")
    assert abs(np.mean([outcome.correlation for outcome in outcomes])) < 0.15
    shifted = [replace(outcome, correlation=0.5 + outcome.correlation) for outcome in outcomes]
    assert not judge("shuffled", shifted)[1]


def test_what_all_lines_of_a_figure_share_is_said_once() -> None:
    lines = [("small", "known sooner", "people hits"), ("small", "margin gained", "people hits")]
    assert without_shared(lines) == (["known sooner", "margin gained"], "small and people hits")


def test_a_single_line_of_a_figure_keeps_its_names() -> None:
    assert without_shared([("", "known sooner", "people hits")]) == (["known sooner, people hits"], "")
