"""`secondsight scaling tasks`: tables in, kinds of curves out, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from figure_files import drawn_as
from PIL import Image

from experiments.scaling.options import ScalingTasksOptions
from experiments.scaling.task_rows import ClassRow, CurveFitRow
from experiments.scaling.tasks import TABLES, classify_all
from storage.tables import read_rows, write_table

Curve = Callable[[float], float]
LOGS = tuple(float(log) for log in np.linspace(15, 18.5, 8))
COUNTING: tuple[Curve, Curve] = (lambda u: 0.2 + 0.4 * (u > 17), lambda u: 6 - 0.3 * u)
"""Accuracy jumps, and NLL falls smoothly."""
NAMING: tuple[Curve, Curve] = (lambda u: 0.2 + 0.15 * (u - 15), lambda u: 6 - 0.3 * u)


def rows_of(
    task: str, curves: tuple[Curve, Curve], items: str = "", logs: Iterable[float] = LOGS, seeds: int = 3
) -> list[dict[str, object]]:
    chance = np.random.default_rng(0)
    return [
        {
            "task": task,
            "items": items,
            "flop": 10**log,
            "seed": seed,
            "accuracy": curves[0](log) + 0.01 * float(chance.normal()),
            "nll": curves[1](log) + 0.01 * float(chance.normal()),
        }
        for log in logs
        for seed in range(seeds)
    ]


def run(folder: Path, rows: list[dict[str, object]], **others: object) -> Path:
    write_table(folder / "tasks.csv", rows, list(rows[0]))
    values = {"draws": 99, "simulations": 0, **others}
    return classify_all(ScalingTasksOptions(table=folder / "tasks.csv", out=folder / "out", **values))


def classes(out: Path) -> dict[tuple[str, str, str], ClassRow]:
    return {(row.task, row.items, row.measure): row for row in read_rows(out / "classes.csv", ClassRow)}


@pytest.fixture(scope="module")
def two_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [*rows_of("counting", COUNTING), *rows_of("naming", NAMING, "few"), *rows_of("naming", NAMING, "many")]
    with drawn_as():
        return run(tmp_path_factory.mktemp("tasks"), rows, simulations=20)


def test_an_ability_that_jumps_in_accuracy_only_is_said_to(two_tasks: Path) -> None:
    found = classes(two_tasks)
    assert found["counting", "", "accuracy"].kind == "emergent"
    assert found["counting", "", "likelihood"].kind == "smooth"
    assert "a jump in accuracy only: the likelihood rises smoothly" in (two_tasks / "page.html").read_text()


def test_the_jump_is_found_where_it_is(two_tasks: Path) -> None:
    row = classes(two_tasks)["counting", "", "accuracy"]
    assert row.jump_after == pytest.approx(1e17)
    assert row.jump_before == pytest.approx(10**17.5)
    assert row.jump_size == pytest.approx(0.4, abs=0.05)


def test_groups_of_items_are_classified_by_themselves(two_tasks: Path) -> None:
    found = classes(two_tasks)
    assert found["naming", "few", "accuracy"].kind == found["naming", "many", "accuracy"].kind == "smooth"


def test_error_rates_are_simulated_for_every_task(two_tasks: Path) -> None:
    for row in classes(two_tasks).values():
        assert row.smooth_called_emergent is not None
        assert row.smooth_called_emergent <= 0.2
    assert (classes(two_tasks)["counting", "", "accuracy"].jumps_found or 0) >= 0.9


def test_p_values_are_corrected_for_the_number_of_tasks(two_tasks: Path) -> None:
    row = classes(two_tasks)["counting", "", "accuracy"]
    assert row.p_smooth_holm == pytest.approx(3 * (row.p_smooth or 0))


def test_the_legend_of_a_single_panel_is_not_cut_off(tmp_path: Path) -> None:
    rows = [{name: cell for name, cell in row.items() if name != "nll"} for row in rows_of("counting", COUNTING)]
    with Image.open(run(tmp_path, rows) / "tasks_1.png") as drawn:
        pixels = np.asarray(drawn.convert("L"))
    assert (pixels[:, [0, 1, 2, -3, -2, -1]] == 255).all()


def test_all_that_is_drawn_stands_in_tables(two_tasks: Path) -> None:
    fits = {(row.task, row.items, row.measure, row.fit) for row in read_rows(two_tasks / "fits.csv", CurveFitRow)}
    assert len(fits) == 3 * 2 * 3
    for ending in ("png", "pdf", "svg"):
        assert (two_tasks / f"tasks_1.{ending}").stat().st_size > 1000


def test_curves_of_losses_stand_as_the_table_has_them(two_tasks: Path) -> None:
    (last,) = [
        row.value
        for row in read_rows(two_tasks / "fits.csv", CurveFitRow)
        if (row.task, row.measure, row.fit) == ("counting", "likelihood", "smooth") and row.compute > 10**18.499
    ]
    assert last == pytest.approx(6 - 0.3 * 18.5, abs=0.05)


def test_the_codebook_knows_every_column(two_tasks: Path) -> None:
    with (two_tasks / "codebook.csv").open(newline="", encoding="utf-8") as file:
        described = {(row["table"], row["column"]) for row in csv.DictReader(file)}
    for table in TABLES:
        head = (two_tasks / table).read_text(encoding="utf-8").splitlines()[0].split(",")
        assert {(table, column) for column in head} <= described


def test_the_same_seed_gives_the_same_tables(tmp_path: Path) -> None:
    rows = rows_of("naming", NAMING)
    first = (run(tmp_path, rows) / "classes.csv").read_bytes()
    assert (run(tmp_path, rows) / "classes.csv").read_bytes() == first


def test_too_few_amounts_of_compute_leave_a_task_undecided(tmp_path: Path) -> None:
    row = classes(run(tmp_path, rows_of("naming", NAMING, logs=LOGS[:4])))["naming", "", "accuracy"]
    assert (row.kind, row.reason) == ("undecided", "4 different amounts of compute: 5 are needed")


def test_one_amount_of_compute_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="naming, few has one amount of compute only"):
        run(tmp_path, rows_of("naming", NAMING, "few", logs=LOGS[:1]))


def test_accuracy_alone_will_do(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("task", "flop", "accuracy")} for row in rows_of("counting", COUNTING)]
    out = run(tmp_path, rows)
    assert {measure for _, _, measure in classes(out)} == {"accuracy"}
    assert "a jump of one measure alone may be one of its axis" in (out / "page.html").read_text()


def test_accuracies_in_per_cent_are_shares(tmp_path: Path) -> None:
    rows = [
        {"task": "naming", "flop": row["flop"], "top1_percent": 100 * float(str(row["accuracy"]))}
        for row in rows_of("naming", NAMING)
    ]
    assert classes(run(tmp_path, rows))["naming", "", "accuracy"].change == pytest.approx(0.525, abs=0.03)


def test_a_likelihood_whose_direction_is_not_known_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "bits": row.pop("nll")} for row in rows_of("naming", NAMING)]
    with pytest.raises(ValueError, match=r"does not say whether more bits is better: add --likelihood-better"):
        run(tmp_path, rows, likelihood_column="bits")
    out = run(tmp_path, rows, likelihood_column="bits", likelihood_better="lower")
    assert classes(out)["naming", "", "likelihood"].kind == "smooth"


@pytest.mark.parametrize(
    ("head", "cells", "said"),
    [
        ("task,compute,accuracy", ("a", 1, 0.5), "does not say what compute is in: add --unit"),
        ("task,accuracy", ("a", 0.5), "has no column of compute: name it by --compute-column"),
        ("flop,accuracy", (1, 0.5), "has no column of tasks: name it by --task-column"),
        ("task,flop", ("a", 1), "has no column of accuracies: name it by --accuracy-column"),
        (
            "task,flop,accuracy",
            ("a", 1, 50),
            "values in per cent need a column named so, as accuracy_percent",
        ),
        ("task,flop,accuracy", ("a", -1, 0.5), "row 1: flop -1 must be positive"),
        ("task,flop,accuracy", ("a", 1e200, 0.5), "row 1: flop 1e+200 is too far from 1 to be fitted"),
        ("task,flop,accuracy,nll", ("a", 1, "", ""), "has no value in accuracy or nll"),
        ("task,flop,accuracy,nll", ("a", 1, 0.5, "x"), "row 1: nll 'x' is no finite number"),
    ],
)
def test_what_a_table_lacks_is_said(tmp_path: Path, head: str, cells: tuple[object, ...], said: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        run(tmp_path, [dict(zip(head.split(","), cells, strict=True))])
    assert said in str(error.value)


def test_a_table_of_too_many_rows_is_refused(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"task": "a", "flop": 1, "accuracy": 0.5}] * 10_001
    with pytest.raises(ValueError, match="has 10,001 rows, more than 10,000: give a row for each model"):
        run(tmp_path, rows)
