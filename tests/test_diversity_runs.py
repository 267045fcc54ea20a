"""The runs of a report: merged tables, and the rows that stand for images and for clips."""

from dataclasses import replace
from pathlib import Path

import pytest
from diversity_tables import BOTH, Simulated, items_of, make_run

from experiments.diversity.reporting.runs import PLAIN, choose, describe_setting, latest, merge_runs
from experiments.diversity.tables import RunRow
from storage.tables import read_rows, write_rows


def test_main_comparison_takes_the_best_trained_model_and_half_of_the_tokens() -> None:
    hot = (0.8, 0, 1.0, 0.0)
    rows = items_of(Simulated(model="small", training_items=16, settings=(hot,)))
    rows += items_of(Simulated(model="early", training_items=64, exposures=None, settings=(hot,)))
    rows += items_of(Simulated(model="late", training_items=64, exposures=25.0, settings=(hot, PLAIN)))
    choice = choose(rows)["clip"]
    assert (choice.model, choice.given_share, choice.setting) == ("late", 0.5, PLAIN)
    assert choose([row for row in rows if row.model == "early"])["clip"].setting == hot


def test_smaller_share_is_taken_of_two_as_near_to_one_half() -> None:
    assert choose(items_of(Simulated(given=(3, 1))))["clip"].given == 1


def test_each_training_set_is_shown_after_most_exposures() -> None:
    rows = (
        items_of(Simulated(exposures=5.0))
        + items_of(Simulated(exposures=50.0))
        + items_of(Simulated(training_items=64, exposures=None))
    )
    assert {(row.training_items, row.exposures) for row in latest(rows)} == {(16, 50.0), (64, None)}


def test_settings_are_described_by_what_they_do() -> None:
    assert describe_setting(PLAIN) == "temperature 1"
    assert describe_setting((0.8, 100, 0.9, 0.05)) == "temperature 0.8, top-k 100, top-p 0.9, min-p 0.05"


@pytest.mark.parametrize("name", ["run.csv", "items.csv", "positions.csv", "audit.csv", "redundancy.csv", "images.csv"])
def test_folder_that_lacks_a_table_is_named(tmp_path: Path, name: str) -> None:
    folder = make_run(tmp_path, Simulated(items=3))
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"clip-16 holds no {name}: it is no finished run"):
        merge_runs([folder])


def test_table_without_items_is_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path, Simulated(items=0))
    with pytest.raises(ValueError, match=r"items\.csv has no rows"):
        merge_runs([folder])


def test_image_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path, Simulated(items=3))
    (folder / "images" / "new.png").unlink()
    with pytest.raises(ValueError, match=r"clip-16 lacks images/new\.png"):
        merge_runs([folder])


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, Simulated(items=3)) for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"a/clip-16 and .*b/clip-16 are both called clip-16"):
        merge_runs(folders)


@pytest.mark.parametrize(("column", "value"), [("perceptual", "lpips"), ("features", "none")])
def test_runs_measured_by_other_networks_are_refused(tmp_path: Path, column: str, value: str) -> None:
    folders = [make_run(tmp_path, run) for run in BOTH]
    change(folders[1], column, value)
    message = rf"clip-16 and image-16 differ in {column} \(efficientnet-lite0 and {value}\).*report them apart"
    with pytest.raises(ValueError, match=message):
        merge_runs(folders)


@pytest.mark.parametrize("column", ["tokenizer", "grid", "frames", "size"])
def test_runs_of_one_kind_with_other_tokens_are_refused(tmp_path: Path, column: str) -> None:
    folders = [make_run(tmp_path, Simulated(model=name, items=3)) for name in ("one", "other")]
    change(folders[1], column, "32")
    with pytest.raises(ValueError, match=rf"one and other differ in {column} \(.* and 32\)"):
        merge_runs(folders)


def test_runs_may_differ_in_what_is_compared(tmp_path: Path) -> None:
    runs = [Simulated(model="one", items=3), Simulated(model="other", items=4, n=2, training_items=64, given=(1,))]
    assert len(merge_runs([make_run(tmp_path, run) for run in runs]).run) == 2


def change(folder: Path, column: str, value: str) -> None:
    """Write run.csv with another value in a column."""
    (row,) = read_rows(folder / "run.csv", RunRow)
    kind = type(getattr(row, column))
    write_rows(folder / "run.csv", [replace(row, **{column: kind(value)})], RunRow)
