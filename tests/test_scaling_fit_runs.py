"""Anybody's table of runs: which column is what, what is refused, and what is left out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.scaling.laws import Law
from experiments.scaling.options import RunTableOptions, ScalingFitOptions
from experiments.scaling.runs import read_runs
from experiments.scaling.selecting import choose, count_apart, make_runs, seed_notes, sized, wants_repeats
from experiments.scaling.tables import RunRow
from storage.tables import write_rows, write_table

LAW = Law(1.8, 480.0, 2100.0, 0.35, 0.37)
NAMES = RunTableOptions()


def _write(path: Path, **columns: list[Any]) -> Path:
    count = len(next(iter(columns.values())))
    rows = [{name: values[index] for name, values in columns.items()} for index in range(count)]
    write_table(path / "runs.csv", rows, list(columns))
    return path / "runs.csv"


def _rows(**changed: Any) -> list[RunRow]:
    """Return runs of 4 sizes with 4 amounts of data."""
    return [
        replace(
            RunRow(
                run=f"run {size:g} {data:g}",
                seed=0,
                parameters=int(size),
                non_embedding_parameters=None,
                data=data,
                unique_data=None,
                compute=6 * size * data,
                loss=float(LAW.loss(size, data)),
                loss_unit="nats per token",
                source=f"{size:g} {data:g}",
                diverged=False,
            ),
            **changed,
        )
        for size in (1e6, 1e7, 1e8, 1e9)
        for data in (1e8, 1e9, 1e10, 1e11)
    ]


def _options(**changed: Any) -> ScalingFitOptions:
    return replace(ScalingFitOptions(Path("runs.csv"), Path("out")), **changed)


def test_a_table_of_parameters_flop_and_loss_is_enough(tmp_path: Path) -> None:
    table = read_runs(_write(tmp_path, params=[1e7, 2e7], flop=[6e18, 1.2e19], loss=[3.0, 2.9]), NAMES)
    assert [row.data for row in table.rows] == [1e11, 1e11]
    assert "No column of items seen: D = C / 6 N." in table.notes


def test_compute_follows_from_parameters_and_items(tmp_path: Path) -> None:
    table = read_runs(_write(tmp_path, parameters=[1e7], training_images=[1e9], val_loss=[3.0]), NAMES)
    assert table.rows[0].compute == pytest.approx(6e16)
    assert table.item == "images"


def test_a_table_of_our_own_is_read_back(tmp_path: Path) -> None:
    rows = _rows()
    write_rows(tmp_path / "runs.csv", rows, RunRow)
    assert read_runs(tmp_path / "runs.csv", NAMES).rows == rows


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = _write(tmp_path, size=[1e7], budget=[1.0], err=[3.0])
    options = RunTableOptions(
        parameters_column="size", compute_column="budget", loss_column="err", compute_unit="petaflop-days"
    )
    assert read_runs(path, options).rows[0].compute == pytest.approx(8.64e19)


def test_more_different_items_than_were_seen_are_as_many_as_were_seen(tmp_path: Path) -> None:
    path = _write(tmp_path, parameters=[1e7], tokens=[1e9], unique_tokens=[5e9], loss=[3.0])
    assert read_runs(path, NAMES).rows[0].unique_data == 1e9


@pytest.mark.parametrize("loss", ["", "nan", "inf"])
def test_a_loss_that_is_not_there_or_not_finite_has_diverged(tmp_path: Path, loss: str) -> None:
    path = _write(tmp_path, parameters=[1e7], tokens=[1e9], loss=[loss])
    assert read_runs(path, NAMES).rows[0].diverged


def test_bits_per_pixel_compare_tokenizers(tmp_path: Path) -> None:
    path = _write(
        tmp_path, parameters=[1e7, 1e7], tokens=[1e9, 2e9], bits_per_pixel=[0.3, 0.2], tokenizer=["one", "other"]
    )
    table = read_runs(path, NAMES)
    assert "Losses of 2 tokenizers are compared in bits per pixel." in table.notes


GOOD: dict[str, list[Any]] = {"parameters": [1e7, 1e8], "tokens": [1e9, 1e9], "loss": [3.0, 2.5]}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"parameters": [1e7], "compute": [1.0], "loss": [3.0]}, "does not say what compute is in: add --compute-unit"),
        ({"parameters": [1e7], "data": [1e9], "loss": [3.0]}, "does not say what data is in: add --data-unit"),
        ({"parameters": [1e7], "loss": [3.0]}, "neither a column of compute nor one of items seen"),
        ({"flop": [1e18], "loss": [3.0]}, "no column of parameters"),
        ({"parameters": [1e7], "flop": [1e18]}, "no column of losses"),
        ({**GOOD, "loss_unit": ["nats per token", "bits per pixel"]}, "do not compare: give one table for each"),
        ({**GOOD, "tokenizer": ["one", "other"]}, r"losses of several tokenizers \(one, other\)"),
        ({**GOOD, "seed": ["0", ""]}, "seed '' is no whole number: give every run its seed"),
        ({**GOOD, "diverged": ["no", "maybe"]}, "diverged 'maybe' must be True or False"),
        ({**GOOD, "flop": [6.0, 60.0]}, "one of the cells is in another unit than it seems"),
        ({**GOOD, "non_embedding_parameters": [2e7, 1e7]}, "is more than the 1e\\+07 parameters"),
        ({**GOOD, "tokens": [1e9, 1e308]}, "tokens 1e\\+308 is too far from 1 to be fitted"),
        ({**GOOD, "loss": [3.0, -2.0]}, "loss -2 must be positive"),
        ({**GOOD, "tokens": [1e9, "many"]}, "tokens 'many' is no finite number"),
        ({**GOOD, "parameters": [10, 100]}, "row 1: parameters 10 are too few for a model: give them one by one"),
        ({**GOOD, "flop": [6e16, 6e2]}, "row 2: 6e-15 FLOP per parameter and item"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, columns: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_runs(_write(tmp_path, **columns), NAMES)


def test_diverged_runs_are_left_out_and_said() -> None:
    rows = _rows()
    rows[3] = replace(rows[3], diverged=True, loss=math.nan)
    runs, left_out = choose(rows, _options())
    assert len(runs.rows) == 15
    assert left_out[3] == "diverged"


def test_the_highest_losses_are_left_out_by_rank() -> None:
    rows = _rows()
    _, left_out = choose(rows, _options(leave_out_highest=2))
    assert sorted(filter(None, left_out)) == ["highest loss 1 of 2", "highest loss 2 of 2"]
    assert left_out[0] == "highest loss 1 of 2"


def test_repeats_are_a_term_as_soon_as_a_run_saw_an_item_twice() -> None:
    rows = _rows()
    assert not wants_repeats(make_runs(rows, sized(rows, "total")), "auto")
    rows[5] = replace(rows[5], unique_data=rows[5].data / 2)
    assert wants_repeats(make_runs(rows, sized(rows, "total")), "auto")


def test_a_term_of_repeats_needs_repeats() -> None:
    with pytest.raises(ValueError, match="--repetition on needs runs that saw items twice"):
        choose(_rows(), _options(repetition="on"))


FIVE = {(1e6, 1e8), (1e7, 1e8), (1e8, 1e8), (1e6, 1e9), (1e6, 1e10)}


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (lambda row: row.parameters < 1e8, "there are 2 sizes"),
        (lambda row: row.data < 1e10, "there are 2 amounts of data"),
        (lambda row: round(math.log10(row.compute / 6)) == 17, "all 4 runs have one budget"),
        (lambda row: (row.parameters, row.data) in FIVE, "there are 5 combinations of size and data"),
    ],
)
def test_runs_that_cannot_tell_the_law_are_refused(kept: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choose([row for row in _rows() if kept(row)], _options())


def test_losses_that_rise_are_refused() -> None:
    rows = [replace(row, loss=1 + 0.1 * math.log(row.compute)) for row in _rows()]
    with pytest.raises(ValueError, match="losses do not fall with compute"):
        choose(rows, _options())


def test_a_table_in_which_all_diverged_is_refused() -> None:
    with pytest.raises(ValueError, match=r"all 16 rows of runs\.csv diverged"):
        choose(_rows(diverged=True), _options())


def test_leaving_out_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="--leave-out-highest 16 leaves nothing of the 16 rows"):
        choose(_rows(), _options(leave_out_highest=16))


def test_sizes_without_embeddings_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"--size non-embedding: .* give --non-embedding-column"):
        choose(_rows(), _options(size="non-embedding"))


def test_the_size_that_counts_is_the_one_asked_for() -> None:
    rows = [replace(row, non_embedding_parameters=row.parameters // 2) for row in _rows()]
    runs, _ = choose(rows, _options(size="non-embedding"))
    assert runs.parameters == pytest.approx([row.parameters / 2 for row in rows])


def test_missing_seeds_are_said() -> None:
    rows = [replace(row, seed=seed, source=f"{row.source} {seed}") for row in _rows() for seed in range(2)]
    said = seed_notes(make_runs(rows[:-1], np.array([row.parameters for row in rows[:-1]])))
    assert said == ["Seeds are missing: of 16 combinations of size and data 1 with 1 of 2 seeds."]


def test_a_single_seed_is_said() -> None:
    rows = _rows()
    (said,) = seed_notes(make_runs(rows, sized(rows, "total")))
    assert said.startswith("One seed of every combination")


def test_many_sizes_close_together_are_not_one() -> None:
    assert count_apart(np.geomspace(1e6, 1e9, 10_000)) > 500


def test_of_nothing_there_is_no_size() -> None:
    assert count_apart(np.zeros(0)) == 0


def test_rows_that_are_copies_of_others_are_said(tmp_path: Path) -> None:
    path = _write(tmp_path, parameters=[1e7, 1e8, 1e7], tokens=[1e9] * 3, loss=[3.0, 2.5, 3.0])
    said = "1 row is a copy of another, cell by cell: if it is no training of its own, intervals are too narrow."
    assert said in read_runs(path, NAMES).notes


def test_names_of_columns_are_known_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = _write(tmp_path, **{"Parameters": [1e7], "Training FLOP": [6e16], " Loss": [3.0]})
    assert read_runs(path, NAMES).rows[0].loss == 3


def test_whole_seeds_may_have_a_decimal_point(tmp_path: Path) -> None:
    path = _write(tmp_path, **GOOD, seed=["0.0", "1.0"])
    assert [row.seed for row in read_runs(path, NAMES).rows] == [0, 1]
