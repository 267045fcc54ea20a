"""Whose responses count, and that everybody else is listed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from memory_runs import make_trials
from people_responses import make_choices, make_repeats

from experiments.people.data_options import PeopleOptions, response_tables
from experiments.people.exclusions import exclude
from experiments.people.reading import People, read_people
from experiments.people.table import Response, write_responses
from experiments.statistics.trials import TrialRow


def read(folder: Path, rows: Sequence[Response], trials: Sequence[TrialRow] = (), **rules: float | None) -> People:
    write_responses(folder / "people.csv", rows)
    people = read_people(PeopleOptions.of(people=(folder / "people.csv",), **rules), trials)
    assert people is not None
    return people


def reasons(rows: Sequence[Response], expected: dict[str, int] | None = None, **rules: float | None) -> dict[str, str]:
    excluded = exclude(rows, PeopleOptions.of(**rules), expected or {})[1]
    return {each.participant: each.reason for each in excluded}


def test_who_meets_the_rules_counts() -> None:
    rows = make_choices() + make_repeats()
    kept, excluded = exclude(rows, PeopleOptions(), {})
    assert (set(kept), excluded) == (set(rows), [])


def test_missed_repeats_exclude() -> None:
    found = reasons(make_choices(participants=2) + make_repeats(hits=0.0, participants=1))
    assert found == {"p0": "detected 0 % of the repeats of the vigilance task, less than 50 %"}
    assert reasons(make_repeats(hits=0.0), least_hits=0.0) == {}


def test_false_alarms_exclude() -> None:
    found = reasons(make_repeats(false_alarms=1.0, participants=1))
    assert found == {"p0": "called 100 % of the new pictures of the vigilance task repeats, more than 50 %"}
    assert reasons(make_repeats(false_alarms=1.0), most_false_alarms=1.0) == {}


def test_low_sensitivity_excludes_if_asked() -> None:
    rows = make_repeats(hits=0.6, false_alarms=0.4, participants=1, per_lag=50)
    assert reasons(rows) == {}
    assert "d' of the vigilance task is" in reasons(rows, least_d_prime=2.0)["p0"]


def test_fast_choices_exclude() -> None:
    rows = [replace(row, reaction_time=0.1) if row.trial < 6 else row for row in make_choices(participants=1)]
    assert reasons(rows) == {"p0": "20 % of the choices took less than 0.2 s, more than 10 %"}
    assert reasons(rows, most_fast=0.3) == {}
    assert reasons(rows, fast_seconds=0.05) == {}


def test_incomplete_participants_are_excluded() -> None:
    rows = [row for row in make_choices(participants=2) if row.participant == "p0" or row.trial < 10]
    assert reasons(rows) == {"p1": "answered 10 of 30 trials, less than 80 %"}
    assert reasons(rows, least_answered=0.3) == {}


def test_trials_of_the_list_are_what_a_complete_participant_answers() -> None:
    assert reasons(make_choices(participants=1), {"list": 60}) == {"p0": "answered 30 of 60 trials, less than 80 %"}


def test_who_studied_and_never_chose_is_incomplete() -> None:
    rows = make_choices(participants=1) + make_repeats(participants=2)
    assert reasons(rows) == {"p1": "answered 0 of 30 trials, less than 80 %"}


def test_continuous_task_has_no_choices_to_answer() -> None:
    rows = make_choices(participants=1) + make_repeats(participants=2, task="continuous")
    assert reasons(rows, {"list": 30}) == {}


def test_vigilance_alone_is_not_incomplete() -> None:
    assert reasons(make_repeats(), {"list": 30}) == {}


def test_choices_that_were_not_made_are_not_answered() -> None:
    rows = [replace(row, response="", correct=None) if row.trial % 2 else row for row in make_choices(participants=1)]
    assert reasons(rows) == {"p0": "answered 15 of 30 trials, less than 80 %"}


def test_both_versions_exclude() -> None:
    rows = make_choices(participants=1)
    rows[5] = replace(rows[5], version="swapped")
    assert reasons(rows) == {"p0": "took both versions of the list, and so has seen studied images and foils"}


def test_all_rules_that_are_broken_are_named() -> None:
    rows = make_repeats(hits=0.0, false_alarms=1.0, participants=1)
    assert reasons(rows)["p0"].count(";") == 1


def test_who_is_left_out_of_one_list_may_count_on_another(tmp_path: Path) -> None:
    rows = make_choices(participants=1) + make_choices(participants=1, list_name="other")
    rows = [replace(row, reaction_time=0.1) if row.list == "other" else row for row in rows]
    people = read(tmp_path, rows)
    assert {row.list for row in people.rows} == {"list"}
    assert [(each.list, each.responses) for each in people.excluded] == [("other", 30)]
    assert [(each.list, bool(each.excluded)) for each in people.participants] == [("list", False), ("other", True)]


def test_nobody_left_is_refused_with_the_reason(tmp_path: Path) -> None:
    rows = [replace(row, reaction_time=0.1) for row in make_choices(participants=2)]
    with pytest.raises(
        ValueError, match=r"no response of .*people\.csv is left: 2 participants .* took less than 0\.2"
    ):
        read(tmp_path, rows)


def test_items_that_are_not_of_the_list_are_left_out_and_listed(tmp_path: Path) -> None:
    trials = make_trials(items=10, conditions=("novel", "exemplar", "state"), exposures=1)
    rows = make_choices()
    rows[3] = replace(rows[3], item="novel/unknown")
    rows[4] = replace(rows[4], condition="state")
    people = read(tmp_path, rows, trials)
    assert [(each.item, each.responses, each.reason) for each in people.excluded] == [
        ("novel/unknown", 1, "the list list of the models has no trial novel/unknown"),
        (rows[4].item, 1, "the trial is one of the condition novel, not state"),
    ]
    assert len(people.rows) == len(rows) - 2


def test_responses_of_another_list_are_not_set_beside_models(tmp_path: Path) -> None:
    people = read(tmp_path, make_choices(list_name="other"), make_trials(exposures=1))
    assert people.landmarks is None
    assert people.remarks[0].startswith("People answered the list other, which no model here has studied (list)")
    assert {line.list for line in people.accuracies} == {"pooled", "other"}


def test_landmarks_are_of_the_lists_that_models_studied(tmp_path: Path) -> None:
    rows = make_choices(1.0, conditions=("novel",)) + make_choices(0.0, conditions=("novel",), list_name="other")
    people = read(tmp_path, rows, make_trials(items=10, conditions=("novel",), exposures=1))
    assert people.landmarks is not None
    assert people.landmarks["novel"].accuracy == 1.0


def test_condition_that_nobody_took_is_said(tmp_path: Path) -> None:
    trials = make_trials(items=10, conditions=("novel", "state"), exposures=1)
    people = read(tmp_path, make_choices(conditions=("novel",)), trials, least_answered=0.4)
    assert "Nobody was tested in the condition state: there the models stand alone." in people.remarks
    assert people.landmarks is not None
    assert set(people.landmarks) == {"novel"}


def test_rules_without_grounds_are_said(tmp_path: Path) -> None:
    people = read(tmp_path, [replace(row, reaction_time=None) for row in make_choices(participants=3)])
    assert people.remarks == (
        "The rules on the vigilance task are not applied to 3 participants who had none.",
        "The rule on speed is not applied to 3 participants without reaction times.",
    )


def test_who_was_asked_about_no_repeats_had_no_vigilance_task(tmp_path: Path) -> None:
    unasked = [replace(row, response="", correct=None) for row in make_repeats(participants=3)]
    people = read(tmp_path, [*make_choices(participants=3), *unasked])
    assert "The rules on the vigilance task are not applied to 3 participants who had none." in people.remarks
    assert people.rates == ()


@pytest.mark.parametrize("code", ["ada@example.org", "Ada Lovelace"])
def test_names_are_noticed(tmp_path: Path, code: str) -> None:
    rows = [replace(row, participant=code) for row in make_choices(participants=1)]
    assert any("1 code of participants look like names" in remark for remark in read(tmp_path, rows).remarks)


def test_second_choice_about_an_item_is_left_out(tmp_path: Path) -> None:
    rows = make_choices(1.0, participants=1)
    again = replace(rows[0], trial=99, response="foil", correct=0.0)
    people = read(tmp_path, [again, *rows])
    assert [(each.item, each.reason) for each in people.excluded] == [
        (rows[0].item, "tested before: the first answer counts")
    ]
    assert all(line.accuracy == 1 for line in people.accuracies)


def test_tables_are_read_together(tmp_path: Path) -> None:
    rows = make_choices(participants=2)
    for name in ("p0", "p1"):
        write_responses(tmp_path / "data" / f"{name}.csv", [row for row in rows if row.participant == name])
    people = read_people(PeopleOptions(people=(tmp_path / "data",)), ())
    assert people is not None
    assert set(people.rows) == set(rows)


def test_same_table_twice_counts_once(tmp_path: Path) -> None:
    rows = make_choices(participants=1)
    for name in ("one", "two"):
        write_responses(tmp_path / f"{name}.csv", rows)
    people = read_people(PeopleOptions(people=(tmp_path / "one.csv", tmp_path / "two.csv")), ())
    assert people is not None
    assert len(people.rows) == len(rows)
    assert {each.reason for each in people.excluded} == {"there twice, word for word: counted once"}


def test_tables_that_differ_about_a_trial_are_refused(tmp_path: Path) -> None:
    rows = make_choices(1.0, participants=1)
    write_responses(tmp_path / "one.csv", rows)
    write_responses(tmp_path / "two.csv", [replace(rows[0], response="foil", correct=0.0)])
    with pytest.raises(ValueError, match=r"one\.csv and .*two\.csv hold different answers of p0 to trial 0"):
        read_people(PeopleOptions(people=(tmp_path / "one.csv", tmp_path / "two.csv")), ())


def test_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no CSV files"):
        response_tables(tmp_path)


def test_the_folder_of_a_test_is_refused_with_where_its_answers_are(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text("{}")
    (tmp_path / "repeats.csv").write_text("lag,repeats\n1,2\n")
    with pytest.raises(ValueError, match=r"is a test for people: give .*responses, where"):
        response_tables(tmp_path)


def test_no_people_is_no_people() -> None:
    assert read_people(PeopleOptions(), ()) is None
