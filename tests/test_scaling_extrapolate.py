"""`secondsight scaling extrapolate`: tables in, families with intervals and a verdict out, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from figure_files import drawn_as
from scaling_points import log_linear, write_points

from experiments.scaling.extrapolate import TABLES, extrapolate
from experiments.scaling.extrapolation_agreement import AgreementRow
from experiments.scaling.extrapolation_tables import ALL, FamilyRow, FanRow, PredictionRow, TargetRow
from experiments.scaling.options import ScalingExtrapolateOptions
from storage.tables import read_rows, write_table

FEW = 200


def run(table: Path, *target: float, **others: object) -> Path:
    options = ScalingExtrapolateOptions(
        table=table, target=target or (0.9,), out=table.parent / "out", draws=FEW, **others
    )
    return extrapolate(options)


def targets(out: Path) -> dict[str, TargetRow]:
    return {row.family: row for row in read_rows(out / "targets.csv", TargetRow)}


def agreement(out: Path) -> AgreementRow:
    (row,) = read_rows(out / "agreement.csv", AgreementRow)
    return row


def write(path: Path, head: str, rows: Iterable[Iterable[object]]) -> Path:
    names = head.split(",")
    write_table(path, [dict(zip(names, row, strict=True)) for row in rows], names)
    return path


def bare_points(path: Path) -> Path:
    """Four points of a straight line, one at each amount."""
    return write_points(path, log_linear, runs=1, noise=0)


# Top-5 accuracy of two protocols in per cent, three runs at each amount but the last: made up, and shaped so that what
# is known of log-linear and logit-linear fits holds for them.
PROTOCOLS = {"few_shot": (20.7, 30.6, 34.9, 42.6), "probe": (24.0, 44.2, 54.6, 66.7)}
HOURS = (1.3, 13.0, 130.0, 1300.0)


@pytest.fixture(scope="module")
def two_protocols(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        (protocol, amount, value + moved)
        for protocol, values in PROTOCOLS.items()
        for amount, value in zip(HOURS, values, strict=True)
        for moved in (-0.9, 0.1, 0.8)
    ]
    table = write(tmp_path_factory.mktemp("two") / "points.csv", "protocol,hours,top5_percent", rows)
    with drawn_as():
        return run(table, 0.95)


def by_hand(values: tuple[float, ...], logit: bool) -> float:
    """Years of 24 hours to 95 %, by a regression on the logarithm of hours."""
    shares = np.repeat(np.array(values) / 100, 3) + np.tile([-0.009, 0.001, 0.008], 4)
    scores = np.log(shares / (1 - shares)) if logit else shares
    slope, level = np.polyfit(np.log10(np.repeat(HOURS, 3)), scores, 1)
    return 10 ** (((np.log(19) if logit else 0.95) - level) / slope) / 8760


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("family", ["log-linear", "logit-linear"])
def test_years_are_those_of_a_regression_by_hand(two_protocols: Path, protocol: str, family: str) -> None:
    rows = read_rows(two_protocols / "targets.csv", TargetRow)
    (row,) = [row for row in rows if (row.group, row.family) == (protocol, family)]
    assert row.years == pytest.approx(by_hand(PROTOCOLS[protocol], family == "logit-linear"), rel=1e-6)
    assert row.waking_years == pytest.approx(2 * (row.years or 0))


def test_families_that_disagree_get_no_verdict(two_protocols: Path) -> None:
    rows = read_rows(two_protocols / "agreement.csv", AgreementRow)
    assert [row.agree for row in rows] == [False, False]
    assert all(row.verdict.startswith("no verdict: ") for row in rows)


def test_all_that_is_drawn_stands_in_tables(two_protocols: Path) -> None:
    fan = read_rows(two_protocols / "fan.csv", FanRow)
    families = [row for row in read_rows(two_protocols / "families.csv", FamilyRow) if not row.left_out]
    assert {(row.group, row.family) for row in fan} == {(row.group, row.family) for row in families}
    for ending in ("png", "pdf", "svg"):
        assert (two_protocols / f"extrapolation.{ending}").stat().st_size > 1000


def test_the_codebook_knows_every_column(two_protocols: Path) -> None:
    with (two_protocols / "codebook.csv").open(newline="", encoding="utf-8") as file:
        described = {(row["table"], row["column"]) for row in csv.DictReader(file)}
    for table in TABLES:
        head = (two_protocols / table).read_text(encoding="utf-8").splitlines()[0].split(",")
        assert {(table, column) for column in head} <= described


def test_a_family_with_more_parameters_than_amounts_is_left_out_and_said(
    two_protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_rows(two_protocols / "families.csv", FamilyRow)
    left_out = {row.family: row.left_out for row in rows if row.left_out}
    assert left_out == {"broken power law": "4 different amounts, 5 parameters"}
    run(bare_points(tmp_path / "points.csv"))
    assert "broken power law   left out: 4 different amounts, 5 parameters" in capsys.readouterr().out


def test_methods_state_the_hours_awake(two_protocols: Path) -> None:
    assert "365 days of 12 hours awake" in " ".join((two_protocols / "methods.txt").read_text().split())


def test_years_of_waking_life_are_marked(two_protocols: Path) -> None:
    marks = {row.mark: row.amount for row in read_rows(two_protocols / "predictions.csv", PredictionRow)}
    assert marks == {"1 year of waking life": 4380, "10 years of waking life": 43800}


def test_weights_add_up_and_rule_out_what_is_far_off(two_protocols: Path) -> None:
    rows = [row for row in read_rows(two_protocols / "families.csv", FamilyRow) if row.group == "few_shot"]
    weights = {row.family: row.weight for row in rows if row.weight is not None}
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["linear"] < 0.01 < weights["log-linear"]


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    table = write_points(tmp_path / "points.csv", log_linear)
    first = {path.name: path.read_bytes() for path in run(table).iterdir()}
    assert {path.name: path.read_bytes() for path in run(table).iterdir()} == first


def test_families_agree_near_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    amounts = tuple(np.logspace(0, 3, 10))
    out = run(write_points(tmp_path / "points.csv", log_linear, amounts, noise=0.002), 0.51)
    assert agreement(out).agree
    assert "the target takes" in capsys.readouterr().out


def test_values_that_fall_reach_nothing_and_are_said_to(tmp_path: Path) -> None:
    out = run(write_points(tmp_path / "points.csv", lambda x: 0.8 - 0.1 * float(np.log10(x))))
    assert all(row.amount is None for name, row in targets(out).items() if name != ALL)
    assert agreement(out).verdict.startswith("no verdict: the measure does not get better as the amount grows")


def test_a_loss_is_carried_down_to_its_floor(tmp_path: Path) -> None:
    def law(x: float) -> float:
        return 2 + x**-0.5

    table = write_points(
        tmp_path / "points.csv", law, (1, 4, 16, 64, 256, 1024), noise=1e-4, amount="tokens", value="loss"
    )
    rows = targets(run(table, 2.01))
    assert rows["power law"].amount == pytest.approx(1e4, rel=0.1)
    assert targets(run(table, 1.9))["power law"].note == "never reaches the target"
    assert "logit-linear" not in rows


def test_a_curve_that_hardly_rises_is_not_said_never_to_get_there(tmp_path: Path) -> None:
    out = run(write_points(tmp_path / "points.csv", lambda x: 0.5 + 1e-4 * float(np.log10(x)), noise=0))
    assert targets(out)["log-linear"].note == "does not reach the target within 1e+300"
    assert "log-linear" in agreement(out).never
    assert "not within 1e+300 hours" in agreement(out).verdict


def test_copies_of_rows_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ((1, 0.3), (10, 0.4), (10, 0.4), (100, 0.52))
    out = run(write(tmp_path / "points.csv", "hours,accuracy", rows), 0.6)
    said = "1 row is a copy of another, cell by cell: if it is no training of its own, intervals are too narrow."
    assert said in capsys.readouterr().out
    assert said in (out / "page.html").read_text(encoding="utf-8")


def test_amounts_that_are_no_time_have_no_years(tmp_path: Path) -> None:
    out = run(write_points(tmp_path / "points.csv", log_linear, amount="tokens"), at=(1e5,))
    assert {row.years for row in targets(out).values()} == {None}
    assert {row.mark for row in read_rows(out / "predictions.csv", PredictionRow)} == {"100000 tokens"}


def test_a_table_of_this_project_says_everything_itself(tmp_path: Path) -> None:
    rows = [
        (x, "hours of film", "accuracy", log_linear(x) + e, 0, 1, "a", s)
        for x in (1, 10, 99)
        for s, e in enumerate((0, 0.01))
    ]
    out = run(write(tmp_path / "curve.csv", "amount,unit,measure,value,low,high,group,seed", rows))
    assert targets(out)["log-linear"].unit == "hours of film"
    assert {row.interval_from for row in read_rows(out / "families.csv", FamilyRow) if not row.left_out} == {"seeds"}


def test_a_number_far_out_without_its_interval_is_refused(tmp_path: Path) -> None:
    table = bare_points(tmp_path / "points.csv")
    with pytest.raises(ValueError, match=r"1e\+04 times as far out .* means nothing without its interval"):
        run(table, 0.9, intervals="none", bare_factor=5.0)
    with pytest.raises(ValueError, match=r"linear at 5000 hours 5 times as far out"):
        run(table, 0.45, intervals="none", at=(5000.0,), bare_factor=4.0)


def test_a_number_near_by_may_stand_without_its_interval(tmp_path: Path) -> None:
    rows = targets(run(bare_points(tmp_path / "points.csv"), 0.45, intervals="none"))
    assert rows["log-linear"].amount == pytest.approx(10**2.5)
    assert rows["log-linear"].amount_low is None


def test_a_family_without_an_interval_gives_no_number_far_out(tmp_path: Path) -> None:
    table = write_points(tmp_path / "points.csv", log_linear, (1, 100), runs=1, noise=0)
    row = targets(run(table))["log-linear"]
    assert row.amount is None
    assert row.note.startswith("too few points for an interval")


def refused(tmp_path: Path, head: str, *rows: tuple[object, ...], **others: object) -> str:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        run(write(tmp_path / "points.csv", head, rows), **others)
    return str(error.value)


def test_one_amount_only_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "hours,accuracy", (5, 0.2), (5, 0.3))
    assert said == "the points have one amount only: a curve needs at least two"


def test_amounts_without_a_unit_are_refused(tmp_path: Path) -> None:
    assert "does not say what amount is in: add --unit" in refused(tmp_path, "amount,accuracy", (1, 0.2), (5, 0.3))


def test_a_measure_without_a_unit_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "hours,value", (1, 0.2), (5, 0.3))
    assert "does not say what value is in: add --measure accuracy" in said


def test_a_table_without_a_measure_is_refused(tmp_path: Path) -> None:
    assert "no column of the measure: name it by --value-column" in refused(tmp_path, "hours,x", (1, 0.2), (5, 0.3))


def test_several_columns_that_may_be_meant_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "hours,tokens,accuracy", (1, 2, 0.2), (5, 6, 0.3))
    assert "several columns of amounts (hours, tokens): choose by --amount-column" in said


def test_per_cent_that_are_called_shares_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "hours,accuracy", (1, 0.2), (5, 30))
    assert "row 2: accuracy must lie in [0, 1]; values in per cent need" in said


def test_amounts_of_nothing_are_refused(tmp_path: Path) -> None:
    assert "row 1: hours 0 must be positive" in refused(tmp_path, "hours,accuracy", (0, 0.2), (5, 0.3))


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    assert "row 2: accuracy 'nan' is no finite number" in refused(tmp_path, "hours,accuracy", (1, 0.2), (5, "nan"))


def test_several_units_are_refused(tmp_path: Path) -> None:
    rows = ((1, "hours", 0.2), (5, "days", 0.3))
    assert "amounts in days, hours: give one table for each unit" in refused(tmp_path, "amount,unit,accuracy", *rows)


def test_several_measures_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "hours,measure,value", (1, "accuracy", 0.2), (5, "other", 0.3))
    assert "row 2: another measure than accuracy" in said


@pytest.mark.parametrize("target", [1.0, 0.0, 1.5])
def test_a_target_outside_the_range_of_the_link_is_refused(tmp_path: Path, target: float) -> None:
    with pytest.raises(ValueError, match=rf"--target {target:g} must lie between --floor 0 and --ceiling 1"):
        run(write_points(tmp_path / "points.csv", log_linear), target)


def test_a_target_beyond_the_lower_ceiling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--target 0.97 must lie between --floor 0 and --ceiling 0.95"):
        run(write_points(tmp_path / "points.csv", log_linear), 0.97, ceiling=(0.95, 1.0))


def test_a_loss_below_its_floor_is_refused_as_a_target(tmp_path: Path) -> None:
    table = write_points(tmp_path / "points.csv", lambda x: 2 + 1 / x, amount="tokens", value="loss")
    with pytest.raises(ValueError, match=r"--target 1 is not above the least possible loss, --floor 1.5"):
        run(table, 1.0, floor=1.5)
    with pytest.raises(ValueError, match=r"--ceiling is for accuracies"):
        run(table, 2.5, ceiling=(3.0,))


def test_ends_of_an_accuracy_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--floor 0.9 and --ceiling 0.8 of an accuracy must lie in"):
        run(write_points(tmp_path / "points.csv", log_linear), 0.85, floor=0.9, ceiling=(0.8,))


@pytest.mark.parametrize("target", [(), (0.1, 0.2, 0.3)])
def test_targets_are_one_or_two(tmp_path: Path, target: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="--target takes one value, or the two ends"):
        ScalingExtrapolateOptions(table=tmp_path, target=target, out=tmp_path)


def test_ceilings_are_two_at_most(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--ceiling takes one value, or the two ends"):
        ScalingExtrapolateOptions(table=tmp_path, target=(0.5,), out=tmp_path, ceiling=(0.1, 0.2, 0.3))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"points.csv is no table that can be read"):
        run(tmp_path / "points.csv")
    (tmp_path / "points.csv").write_text("hours,accuracy\n")
    with pytest.raises(ValueError, match=r"points.csv has no rows"):
        run(tmp_path / "points.csv")


def test_a_column_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no column days \(--amount-column\); there are hours, accuracy"):
        run(write_points(tmp_path / "points.csv", log_linear), amount_column="days")


def test_a_family_without_an_interval_stands_with_no_number_in_the_verdict(tmp_path: Path) -> None:
    rows = ((1, 0.5), (10, 0.6))
    said = agreement(run(write(tmp_path / "points.csv", "hours,accuracy", rows)))
    assert said.verdict.startswith("no verdict: linear, log-linear and logit-linear have no interval")
    assert said.between is None
    assert said.farthest is None


def test_a_target_that_the_smallest_amount_reaches_is_said_to_be_reached(tmp_path: Path) -> None:
    rows = ((1, 0.5), (2, 0.55), (3, 0.6), (4, 0.66), (5, 0.7))
    found = agreement(run(write(tmp_path / "points.csv", "hours,accuracy", rows), 0.3))
    assert found.verdict == "no verdict: the smallest amount that was tried reaches the target: nothing is carried on"
    assert found.never == ""


def test_shares_that_are_called_per_cent_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "hours,accuracy_percent", (1, 0.2), (5, 0.3))
    assert "all accuracy_percent lie in [0, 1], as shares do: rename the column" in said


def test_a_target_in_per_cent_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--target 95 .*targets are shares from 0 to 1, also of values in per cent"):
        run(write_points(tmp_path / "points.csv", log_linear), 95)


def test_values_beyond_what_the_measure_can_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0.5 lies above --ceiling 0.45, the greatest value"):
        run(write(tmp_path / "points.csv", "hours,accuracy", ((1, 0.3), (5, 0.5))), 0.4, ceiling=(0.45,))
    with pytest.raises(ValueError, match=r"2 lies below --floor 2.5, the least loss"):
        run(write(tmp_path / "points.csv", "hours,loss", ((1, 3), (5, 2))), 2.7, floor=2.5)


def test_bits_are_a_loss(tmp_path: Path) -> None:
    rows = ((1e6, 4), (1e7, 3), (1e8, 2.5))
    assert agreement(run(write(tmp_path / "points.csv", "tokens,bits_per_byte", rows), 2.4)).counted


def test_cells_between_semicolons_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("hours;accuracy\n1;0,5\n")
    with pytest.raises(ValueError, match="has semicolons between its cells: save it with commas"):
        run(tmp_path / "points.csv")


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("hours,accuracy,accuracy\n1,.5,.6\n")
    with pytest.raises(ValueError, match="has several columns accuracy: rename or drop"):
        run(tmp_path / "points.csv")


def test_blank_rows_at_the_end_are_none(tmp_path: Path) -> None:
    rows = ((1, 0.5), (10, 0.6), ("", ""))
    assert agreement(run(write(tmp_path / "points.csv", "hours,accuracy", rows))).counted
