"""Accuracy and intervals from trials."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_runs import make_trials

from experiments.human import all_human_results, human_results
from experiments.statistics.accuracy import POOLED, accuracies, pooled, write_accuracies
from experiments.statistics.outcomes import collect
from experiments.statistics.trials import TrialRow, correctness, read_trials, write_trials


def make_trial(version: str, item: str, exposure: int, correct: float, condition: str = "novel") -> TrialRow:
    return TrialRow(
        list="list",
        version=version,
        seed=0,
        readout="weights",
        change="none",
        item=item,
        condition=condition,
        exposure=exposure,
        interference=0,
        studied="0",
        foil="0",
        nll_studied=0.0,
        nll_foil=0.0,
        correct=correct,
    )


def test_trials_of_before_there_were_bits_per_pixel_are_read(tmp_path: Path) -> None:
    trial = make_trial("as_given", "0", 1, 1.0)
    write_trials(tmp_path / "trials.csv", [trial])
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    assert lines[0].endswith(",model,bits_per_pixel_studied,bits_per_pixel_foil")
    old = "\n".join([lines[0].removesuffix(",bits_per_pixel_studied,bits_per_pixel_foil"), lines[1][:-2], ""])
    (tmp_path / "old.csv").write_text(old)
    assert read_trials(tmp_path / "old.csv") == [trial]


def test_lower_nll_of_the_studied_image_is_correct() -> None:
    assert correctness(1.0, 2.0) == 1.0


def test_higher_nll_of_the_studied_image_is_wrong() -> None:
    assert correctness(2.0, 1.0) == 0.0


def test_tie_counts_one_half() -> None:
    assert correctness(1.5, 1.5) == 0.5


def test_accuracy_is_the_mean_of_correctness() -> None:
    trials = [make_trial("as_given", str(item), 3, correct) for item, correct in enumerate((1.0, 0.5, 0.0, 1.0))]
    assert accuracies(collect(trials))[0].accuracy == 0.625


def test_versions_are_pooled() -> None:
    trials = [make_trial("as_given", "a", 0, 1.0), make_trial("swapped", "a", 0, 0.0)]
    point = pooled(accuracies(collect(trials)))["novel"][0]
    assert (point.version, point.accuracy, point.trials) == (POOLED, 0.5, 2)


def test_every_run_has_its_own_accuracy() -> None:
    results = accuracies(collect(make_trials(items=3, exposures=1, conditions=("novel",), seeds=(0, 1))))
    runs = {(result.list, result.version, result.seed) for result in results}
    assert runs == {(POOLED, POOLED, None)} | {("list", v, s) for v in ("as_given", "swapped") for s in (0, 1)}


def test_runs_are_pooled_where_all_of_them_were_tested() -> None:
    short = make_trials(exposures=1, seeds=(0,), conditions=("novel",))
    long = make_trials(exposures=3, seeds=(1,), conditions=("novel",))
    results = accuracies(collect(short + long))
    assert {result.exposure for result in results if result.version == POOLED} == {0, 1}
    assert {result.exposure for result in results if result.seed == 1} == {0, 1, 2, 3}


def test_counterbalanced_list_is_at_one_half_before_study_whatever_its_runs_are() -> None:
    trials = [make_trial("as_given", "a", 0, 1.0), make_trial("swapped", "a", 0, 0.0)]
    by_version = {result.version: result.accuracy for result in accuracies(collect(trials))}
    assert by_version == {"as_given": 1.0, "swapped": 0.0, POOLED: 0.5}


def test_interval_without_an_error_has_width() -> None:
    trials = [make_trial("as_given", str(item), 0, 1.0) for item in range(20)]
    point = pooled(accuracies(collect(trials)))["novel"][0]
    assert point.low_images < 0.9
    assert point.high_images == 1.0


def test_one_run_has_an_interval_over_images_alone() -> None:
    point = accuracies(collect(make_trials()))[0]
    assert (point.low, point.high, point.runs) == (None, None, 1)
    assert point.low_images < point.high_images


def test_several_runs_have_an_interval_over_runs() -> None:
    point = pooled(accuracies(collect(make_trials(seeds=(0, 1)))))["novel"][-1]
    assert point.low is not None
    assert point.low <= point.low_images
    assert (point.runs, point.images, point.trials) == (2, 6, 24)


def test_ties_that_count_as_wrong_lower_chance() -> None:
    trials = [make_trial("as_given", str(item), 1, 0.0) for item in range(4)]  # the scores of all are equal
    assert accuracies(collect(trials))[0].chance == 0.0


def test_same_trials_same_accuracies() -> None:
    assert accuracies(collect(make_trials())) == accuracies(collect(make_trials()))


@given(order=st.permutations(range(24)))
def test_order_of_the_trials_does_not_matter(order: list[int]) -> None:
    trials = make_trials(items=2, exposures=2)
    assert accuracies(collect([trials[index] for index in order])) == accuracies(collect(trials))


def test_test_conditions_are_kept_apart() -> None:
    trials = make_trials(readouts=("weights", "familiarity"), changes=("none", "mirror"), interference=2)
    tested = {(result.readout, result.change, result.interference) for result in accuracies(collect(trials))}
    assert tested == set(product(("weights", "familiarity"), ("none", "mirror"), (0, 1, 2)))


def test_curve_is_of_the_weights_on_unchanged_images_before_interference() -> None:
    trials = make_trials(readouts=("weights", "familiarity"), changes=("none", "mirror"), interference=2)
    assert [point.exposure for point in pooled(accuracies(collect(trials)))["novel"]] == [0, 1, 2, 3, 4]


def test_curve_is_in_order_of_exposure() -> None:
    trials = [make_trial("as_given", "a", exposure, 1.0) for exposure in (10, 2, 0)]
    assert [point.exposure for point in pooled(accuracies(collect(trials)))["novel"]] == [0, 2, 10]


def test_trials_survive_the_file(tmp_path: Path) -> None:
    trials = [make_trial("as_given", "a", 0, 1.0)]
    write_trials(tmp_path / "trials.csv", trials)
    assert read_trials(tmp_path / "trials.csv") == trials


def test_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("list,version\n")
    with pytest.raises(ValueError, match=r"no column .*nll_foil"):
        read_trials(tmp_path / "trials.csv")


def test_accuracy_table_has_rows_for_all_runs_and_for_each(tmp_path: Path) -> None:
    results = accuracies(collect([make_trial("as_given", "a", 0, 1.0), make_trial("swapped", "a", 0, 0.0)]))
    write_accuracies(tmp_path / "accuracy.csv", results)
    lines = (tmp_path / "accuracy.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["version", POOLED, "as_given", "swapped"]


BRADY = ("novel", "exemplar", "state")
KONKLE = ("novel", "1_exemplar", "2_exemplar", "4_exemplar", "8_exemplar", "16_exemplar")


def test_human_results_are_those_of_brady_2008() -> None:
    results = {name: (result.accuracy, result.sem) for name, result in human_results(BRADY).items()}
    assert results["novel"] == pytest.approx((0.925, 0.016))
    assert results["exemplar"] == pytest.approx((0.876, 0.018))
    assert results["state"] == pytest.approx((0.872, 0.018))


def test_novel_foils_of_another_experiment_are_not_those_of_brady() -> None:
    assert {name: result.accuracy for name, result in human_results(KONKLE).items()} == {
        "1_exemplar": 0.89,
        "16_exemplar": 0.82,
    }


@pytest.mark.parametrize("conditions", [("novel",), ("novel", "state", "16_exemplar"), ("noise",), ()])
def test_people_are_not_set_beside_lists_of_an_uncertain_experiment(conditions: tuple[str, ...]) -> None:
    assert human_results(conditions) == {}


def test_rates_of_single_images_are_no_landmarks_for_choices_between_two() -> None:
    assert {result.measure for result in human_results(BRADY).values()} == {"2AFC"}
    assert {result.measure for result in all_human_results()} == {"2AFC", "hit rate", "false alarm rate"}


def test_every_human_result_has_a_source_and_a_status() -> None:
    assert all(result.source for result in all_human_results())
    assert {result.status for result in all_human_results()} == {"confirmed", "digitised", "second-hand"}
