"""What a report says that a model knows, and how runs are read for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from physics_runs import CONTROLS, SimulatedModel, errs, films_of, guesses, knows, make_run, mostly, ties

from experiments.physics.manifest import Film
from experiments.physics.readouts import READOUTS
from experiments.physics.reporting.accuracy import accuracies, concepts_of
from experiments.physics.reporting.claims import ConceptClaim, claims
from experiments.physics.reporting.curves import curves
from experiments.physics.reporting.kept import kept_rows
from experiments.physics.reporting.methods import physics_methods
from experiments.physics.reporting.runs import merge_runs
from experiments.physics.reporting.timecourse import aligned, before_event, timecourses
from experiments.physics.reporting.wording import lead, sentence
from experiments.physics.tables import FilmRow, ModelRow, ScoreRow
from experiments.statistics.multiplicity import holm
from storage.run_folder import RunFolderError
from storage.tables import read_rows, write_rows

GPT = SimulatedModel("gpt", knows)


def claim_of(
    folder: Path, *models: SimulatedModel, concept: str = "colour", hidden: bool = True, **of: object
) -> ConceptClaim:
    """The claim about the first model, on hidden events of a concept."""
    found = claims(merge_runs([make_run(folder / "run", *models, **of)]))  # type: ignore[arg-type]
    visibility = "hidden" if hidden else "visible"
    (claim,) = (
        claim
        for claim in found
        if (claim.model, claim.concept, claim.visibility) == (models[0].name, concept, visibility)
    )
    return claim


def test_a_model_that_is_always_right_is_above_controls_that_guess(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, GPT, *CONTROLS, scenes=40)
    assert claim.verdict == "above every control"
    assert (claim.value, claim.scenes, claim.measure, claim.readout) == (1.0, 20, "quadruple", "film_mean")
    assert claim.p == pytest.approx(2**-19)
    assert claim.p_holm == pytest.approx(4 * 2**-19)
    assert claim.difference_low
    assert claim.difference_low > 0


def test_what_a_control_passes_asks_for_no_knowledge(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, GPT, *CONTROLS, SimulatedModel("zero", knows, "control"), scenes=40)
    assert (claim.verdict, claim.passing, claim.control) == ("so is a control", "zero", "zero")
    said = "above chance (p = 7.6e-06), but so is `zero` (the best has 100.0 % [86, 100]): asks for no knowledge of col"
    assert said in sentence(claim)


def test_a_control_that_guesses_in_few_scenes_leaves_it_undecided(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, GPT, *CONTROLS, scenes=20)
    assert claim.verdict == "undecided"
    assert claim.reason.startswith("above chance, but not told apart from `untrained`")


@pytest.mark.parametrize(
    ("surprise", "verdict", "words"),
    [
        (ties, "undecided", "not told apart from chance"),
        (guesses, "undecided", "not told apart from chance"),
        (errs, "below chance", "what can happen is the more surprising"),
    ],
)
def test_what_is_not_above_chance(tmp_path: Path, surprise: object, verdict: str, words: str) -> None:
    claim = claim_of(tmp_path, SimulatedModel("gpt", surprise), *CONTROLS, scenes=20)  # type: ignore[arg-type]
    assert claim.verdict == verdict
    assert words in sentence(claim)


def test_few_scenes_give_no_verdict(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, GPT, *CONTROLS, scenes=10)
    assert (claim.verdict, claim.reason) == ("undecided", "only 5 scenes, a verdict takes 6")


def test_without_controls_nothing_is_above_them(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, GPT, scenes=20)
    assert claim.verdict == "undecided"
    assert claim.reason == "above chance, but there is no control to hold it against"


def test_a_p_value_that_correction_takes_away_is_said(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, GPT, *CONTROLS, scenes=12, concepts=("a", "b", "c"), concept="a")
    assert claim.p == pytest.approx(2**-5)
    assert claim.reason == "not told apart from chance (p = 0.031 is 0.19 when corrected)"


def test_of_films_in_which_nothing_is_violated_nothing_is_claimed(tmp_path: Path) -> None:
    claim = claim_of(tmp_path, GPT, *CONTROLS, concepts=("colour", "control"), scenes=16, concept="control")
    assert (claim.verdict, claim.p_holm) == (None, None)
    assert "nothing is violated in these films, and yet the changed ones are the more surprising" in sentence(claim)


def test_the_largest_p_value_of_all_controls_counts(tmp_path: Path) -> None:
    near = SimulatedModel("mostly", mostly, "control")
    alone = claim_of(tmp_path / "alone", GPT, near)
    both = claim_of(tmp_path / "both", GPT, *CONTROLS, near)
    assert both.control == alone.control == "mostly"
    assert both.p_control == alone.p_control


def test_visible_and_hidden_events_of_all_concepts_are_one_family(tmp_path: Path) -> None:
    found = claims(merge_runs([make_run(tmp_path / "run", SimulatedModel("gpt", mostly), *CONTROLS, scenes=20)]))
    family = [claim for claim in found if claim.concept != "all"]
    assert [claim.p_holm for claim in family] == pytest.approx(holm([claim.p or 0.0 for claim in family]))
    assert [claim.p_control_holm for claim in family] == pytest.approx(
        holm([claim.p_control or 0.0 for claim in family])
    )


def test_the_answer_names_concepts_by_their_verdicts(tmp_path: Path) -> None:
    surprise = SimulatedModel("gpt", lambda film: ties(film) if film.hidden else knows(film))
    said = lead(claims(merge_runs([make_run(tmp_path / "run", surprise, *CONTROLS, scenes=40)])), ["gpt"])
    assert "Above chance and above every control: visible colour and permanence. Undecided: hidden colour and" in said


def test_void_films_do_not_count(tmp_path: Path) -> None:
    void = [f"colour True {scene}" for scene in range(4)]
    merged = merge_runs([make_run(tmp_path / "run", GPT, *CONTROLS, void=void, scenes=20)])
    (claim,) = (one for one in claims(merged) if (one.concept, one.visibility) == ("colour", "hidden"))
    (row,) = (
        one
        for one in timecourses(merged)
        if (one.model, one.concept, one.visibility, one.after_event) == ("gpt", "colour", "hidden", 0)
    )
    assert claim.scenes < 10
    assert row.scenes == 16
    assert sum(one.void for one in kept_rows(merged)) == 4


def test_accuracies_are_those_of_the_chosen_readout_on_scenes_for_reporting(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SimulatedModel("gpt", mostly), *CONTROLS)
    scores = [row for row in read_rows(run / "scores.csv", ScoreRow) if row.chosen and row.half == "reporting"]
    found = accuracies(merge_runs([run]))
    assert [(row.model, row.measure, row.concept, row.visibility, row.value, row.low) for row in found] == [
        (row.model, row.measure, row.concept, row.visibility, row.value, row.low) for row in scores
    ]


def test_all_concepts_come_first_and_control_last(tmp_path: Path) -> None:
    rows = accuracies(merge_runs([make_run(tmp_path / "run", GPT, *CONTROLS, concepts=("control", "shape", "colour"))]))
    assert concepts_of(rows) == ["all", "colour", "shape", "control"]


def test_a_difference_over_time_begins_with_the_event(tmp_path: Path) -> None:
    rows = timecourses(merge_runs([make_run(tmp_path / "run", SimulatedModel("gpt", mostly), *CONTROLS, scenes=10)]))
    line = {
        row.after_event: row for row in rows if (row.model, row.concept, row.visibility) == ("gpt", "all", "hidden")
    }
    assert {after: row.mean for after, row in line.items()} == pytest.approx({-2: 0.0, -1: 0.0, 0: 0.8, 1: 0.8})
    assert line[0].low
    assert line[0].high
    assert line[0].low < 0.8 < line[0].high
    assert before_event(rows) == 0


def test_films_without_the_time_of_the_event_have_no_time_course(tmp_path: Path) -> None:
    assert timecourses(merge_runs([make_run(tmp_path / "run", GPT, *CONTROLS, event_first=None)])) == []


@given(
    st.integers(0, 9),
    st.lists(st.tuples(*[st.floats(-9, 9)] * 4), min_size=1, max_size=10),
    st.sets(st.integers(0, 9)),
)
def test_time_courses_are_impossible_minus_possible_at_their_place(
    event: int, frames: list[tuple[float, ...]], gaps: set[int]
) -> None:
    names = ("AA", "BB", "AB", "BA")
    surprise = {
        name: [None if index in gaps else values[place] for index, values in enumerate(frames)]
        for place, name in enumerate(names)
    }
    found = dict(aligned(surprise, {name: name in ("AA", "BB") for name in names}, event))
    assert set(found) == {index - event for index in range(len(frames)) if index not in gaps}
    for after, difference in found.items():
        aa, bb, ab, ba = frames[after + event]
        assert difference == pytest.approx((ab + ba) / 2 - (aa + bb) / 2)


def checkpoint(step: int, surprise: object = knows, **row: object) -> SimulatedModel:
    return SimulatedModel(f"{step:06}", surprise, row={"step": step, **row})  # type: ignore[arg-type]


def test_checkpoints_of_one_training_make_a_curve_over_steps(tmp_path: Path) -> None:
    models = [checkpoint(100, ties), checkpoint(200), checkpoint(50, errs)]
    paths = [f"runs/gpt/checkpoints/{model.name}" for model in models]
    merged = merge_runs([make_run(tmp_path / "run", *models, *CONTROLS, gpts=paths)])
    rows = [row for row in curves(merged) if (row.concept, row.visibility) == ("all", "hidden")]
    assert [(row.axis, row.curve, row.x, row.value) for row in rows] == [
        ("step", "runs/gpt", 50, 0.0),
        ("step", "runs/gpt", 100, 0.5),
        ("step", "runs/gpt", 200, 1.0),
    ]
    assert [model.name for model in merged.last] == ["000200"]


def test_a_gpt_that_is_a_control_takes_no_curve_from_the_others(tmp_path: Path) -> None:
    steps = [SimulatedModel(f"{step}", knows, row={"step": step}) for step in (1, 2)]
    shuffled = SimulatedModel("shuffled", ties, "control", {"parameters": 1000})
    gpts = ("small/checkpoints/1", "small/checkpoints/2", "shuffled")
    run = make_run(tmp_path / "run", *steps, shuffled, *CONTROLS, gpts=gpts)
    assert {row.curve for row in curves(merge_runs([run]))} == {"small"}


def test_hours_of_film_seen_take_the_place_of_steps(tmp_path: Path) -> None:
    models = [checkpoint(step, seen_hours=step / 10, film_hours=3.0) for step in (100, 200)]
    paths = [f"runs/gpt/checkpoints/{model.name}" for model in models]
    rows = curves(merge_runs([make_run(tmp_path / "run", *models, *CONTROLS, gpts=paths)]))
    assert {(row.axis, row.x) for row in rows} == {("seen_hours", 10.0), ("seen_hours", 20.0)}


def test_models_of_other_film_and_size_are_compared_over_runs(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / name, SimulatedModel(name, knows, row={"parameters": size, "film_hours": hours}), *CONTROLS)
        for name, size, hours in (("small", 10, 1.0), ("large", 1000, 8.0))
    ]
    rows = curves(merge_runs(runs))
    assert {(row.axis, row.model, row.x) for row in rows} == {
        *{("film_hours", "small", 1.0), ("film_hours", "large", 8.0)},
        *{("parameters", "small", 10.0), ("parameters", "large", 1000.0)},
    }


def test_one_model_makes_no_curve(tmp_path: Path) -> None:
    assert curves(merge_runs([make_run(tmp_path / "run", checkpoint(100), *CONTROLS)])) == []


def test_controls_that_are_the_same_in_two_runs_are_one(tmp_path: Path) -> None:
    others = [replace(CONTROLS[0]), SimulatedModel("untrained", errs, "control")]
    runs = [
        make_run(tmp_path / "a", GPT, *CONTROLS),
        make_run(tmp_path / "b", SimulatedModel("other", knows), *others),
    ]
    merged = merge_runs(runs)
    names = [model.name for model in merged.distinct]
    assert names == ["gpt", "other", "copy", "untrained (a)", "untrained (b)"]
    assert [model.name for model in merged.controls(merged.distinct[1])] == ["copy", "untrained (b)"]


def test_other_models_of_one_name_are_told_apart_by_their_runs(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, replace(GPT, row={"fingerprint": name}), *CONTROLS) for name in ("a", "b")]
    assert [model.name for model in merge_runs(runs).subjects] == ["gpt (a)", "gpt (b)"]


def test_a_model_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, GPT, *CONTROLS) for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"gpt in \S+/a and gpt in \S+/b are the same model, which would count twice"):
        merge_runs(runs)


def test_observers_without_a_fingerprint_are_the_same_if_they_say_the_same(tmp_path: Path) -> None:
    kinds = (("a", knows), ("b", errs), ("c", knows))
    a, b, c = (make_run(tmp_path / name, SimulatedModel("mine", of, "observer"), *CONTROLS) for name, of in kinds)
    assert [model.name for model in merge_runs([a, b]).subjects] == ["mine (a)", "mine (b)"]
    with pytest.raises(ValueError, match="are the same model"):
        merge_runs([a, c])


def test_runs_of_other_films_are_refused(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / name, SimulatedModel(name, knows), *CONTROLS, films=films_of((concept,), 4))
        for name, concept in (("a", "colour"), ("b", "shape"))
    ]
    with pytest.raises(ValueError, match=r"different sets of films: 32 films of \S+/a are not in the other \(colour_F"):
        merge_runs(runs)


def test_a_folder_without_scores_is_no_finished_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    (run / "frames.csv").unlink()
    with pytest.raises(
        ValueError, match=r"run holds no frames.csv: it is no finished run of `secondsight physics run`"
    ):
        merge_runs([run])


def test_a_run_of_another_command_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    config = (run / "config.json").read_text()
    (run / "config.json").write_text(config.replace("physics run", "memory run"))
    with pytest.raises(RunFolderError, match="holds a run of `memory run`, not of `physics run`"):
        merge_runs([run])


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new).encode())


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    rewrite(run / "films.csv", "0.9", "nine tenths")
    with pytest.raises(ValueError, match=r"films.csv, row 1: kept 'nine tenths' is no float"):
        merge_runs([run])


def test_a_table_that_names_an_unknown_model_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    rewrite(run / "models.csv", "copy,", "kopie,")
    with pytest.raises(ValueError, match=r"films.csv names copy, which models.csv does not: measure it again"):
        merge_runs([run])


def test_a_table_without_rows_of_a_model_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    rows = [row for row in read_rows(run / "films.csv", FilmRow) if row.model != "copy"]
    write_rows(run / "films.csv", rows, FilmRow)
    with pytest.raises(ValueError, match=r"films.csv has no row of copy, which models.csv names: measure it again"):
        merge_runs([run])


def test_a_control_without_any_number_is_no_control(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    silent = dict.fromkeys((readout.name for readout in READOUTS), None)
    films = read_rows(run / "films.csv", FilmRow)
    write_rows(run / "films.csv", [replace(row, **silent) if row.model == "copy" else row for row in films], FilmRow)
    scores = [row for row in read_rows(run / "scores.csv", ScoreRow) if row.model != "copy"]
    write_rows(run / "scores.csv", scores, ScoreRow)
    assert {claim.control for claim in claims(merge_runs([run]))} == {"untrained"}


def without_numbers(run: Path, model: str, concepts: tuple[str, ...]) -> Path:
    """The same run, in which films of some concepts have no number of a model."""
    silent: dict[str, Any] = dict.fromkeys((readout.name for readout in READOUTS), None)
    films = read_rows(run / "films.csv", FilmRow)
    of_model = [row.model == model and row.concept in concepts for row in films]
    changed = [replace(row, **silent) if gone else row for row, gone in zip(films, of_model, strict=True)]
    write_rows(run / "films.csv", changed, FilmRow)
    scores = read_rows(run / "scores.csv", ScoreRow)
    kept = [row for row in scores if row.model != model or row.concept not in (*concepts, "all")]
    write_rows(run / "scores.csv", kept, ScoreRow)
    return run


def test_a_control_without_comparisons_in_common_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=40)
    found = claims(merge_runs([without_numbers(run, "copy", ("colour",))]))
    by_concept = {claim.concept: claim for claim in found if claim.visibility == "hidden"}
    assert (by_concept["colour"].control, by_concept["colour"].not_compared) == ("untrained", "copy")
    assert "but for `copy`, which has no number for these films" in sentence(by_concept["colour"])
    others = [claim for claim in by_concept.values() if claim.concept not in ("colour", "all")]
    assert {claim.not_compared for claim in others} == {""}


def test_where_no_control_has_the_same_films_it_is_undecided(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, CONTROLS[0], scenes=40, concepts=("colour", "shape"))
    found = claims(merge_runs([without_numbers(run, CONTROLS[0].name, ("colour",))]))
    (claim,) = (one for one in found if (one.concept, one.visibility) == ("colour", "hidden"))
    assert claim.reason == "above chance, but no control has the same films"


def test_a_model_with_other_films_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    write_rows(run / "films.csv", read_rows(run / "films.csv", FilmRow)[:-1], FilmRow)
    with pytest.raises(ValueError, match=r"films.csv has other films of untrained than of gpt: measure it again"):
        merge_runs([run])


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    write_rows(run / "models.csv", [], ModelRow)
    with pytest.raises(ValueError, match=r"models.csv has no rows, and there is nothing to report: measure it again"):
        merge_runs([run])


def test_a_table_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    rewrite(run / "scores.csv", "comparisons", "number")
    with pytest.raises(ValueError, match=r"has no column comparisons: it was measured by an earlier version, measure"):
        merge_runs([run])


def test_scores_that_do_not_follow_from_films_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS)
    rows = [replace(row, film_mean=2.0 - row.film_mean) for row in read_rows(run / "films.csv", FilmRow)]  # type: ignore[operator]
    write_rows(run / "films.csv", rows, FilmRow)
    with pytest.raises(ValueError, match=r"scores.csv in \S+ does not follow from its films.csv \(gpt, quadruple, "):
        claims(merge_runs([run]))


def test_one_scene_leaves_nothing_to_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, films=films_of(("colour",), 1, (False,)))
    with pytest.raises(ValueError, match=r"has no scores on scenes for reporting: .* two scenes at least"):
        accuracies(merge_runs([run]))


def test_films_in_which_nothing_is_violated_choose_no_readout(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, concepts=("control",))
    with pytest.raises(ValueError, match="are of the concept control, in which nothing is violated"):
        accuracies(merge_runs([run]))


def test_concepts_keep_the_capitals_of_their_names(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, concepts=("objectPermanence2",))
    assert sentence(claims(merge_runs([run]))[-1]).startswith("ObjectPermanence2, ")


def test_hours_that_earlier_runs_do_not_say_are_not_known(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", GPT, *CONTROLS, scenes=2)
    lines = (run / "models.csv").read_text().splitlines()
    (run / "models.csv").write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))
    assert merge_runs([run]).subjects[0].row.step is None


def test_a_film_with_several_foils_is_compared_with_each(tmp_path: Path) -> None:
    films = [
        film
        for film in films_of(("block",), 16, (False,))
        if film.versions != "BB"  # AA with its foils AB and BA
    ]
    films = [replace(film, beginning="", ending="") for film in films]

    def knows_one(film: Film) -> float:
        return 2.0 if film.film.endswith("AB.mp4") else 1.5 if film.possible else 1.0

    run = make_run(tmp_path / "run", SimulatedModel("gpt", knows_one), *CONTROLS, films=films)
    found = claims(merge_runs([run]))
    assert {(claim.measure, claim.value, claim.scenes) for claim in found} == {("pair", 0.5, 8)}


def test_the_methods_of_a_run_without_gpts_speak_of_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SimulatedModel("mine", knows, "observer"), *CONTROLS)
    physics_methods(tmp_path, merge_runs([run]))
    words = " ".join((tmp_path / "methods.txt").read_text().split())
    assert "under" not in words.partition("Controls went")[0]
    assert "--scores" in words
