"""Readouts, comparisons of matched films, and the scores made of them."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from physics_films import VERSIONS

from experiments.physics.contrasts import Measure, area, judge
from experiments.physics.manifest import Film
from experiments.physics.printing import concept_lines, pooled_lines
from experiments.physics.readouts import READOUTS, Readout, frame_means, on_object, read_out
from experiments.physics.scores import score, split_scenes
from experiments.physics.tables import Half, ScoreRow
from experiments.statistics.signal_detection import area_under_roc

MEAN = Readout("all", "film", "mean")


def make_films(scenes: int = 4, concepts: tuple[str, ...] = ("permanence", "colour")) -> list[Film]:
    return [
        Film(
            film=f"{scene}_{concept}_{versions}",
            scene=f"scene {scene}",
            quadruple=f"{scene} {concept}",
            concept=concept,
            hidden=bool(scene % 2),
            possible=versions in ("AA", "BB"),
            beginning=versions[0],
            ending=versions[1],
        )
        for scene in range(scenes)
        for concept in concepts
        for versions in VERSIONS
    ]


def values_of(films: list[Film], seed: int = 0) -> dict[str, float]:
    """Surprise in quarters, so that there are ties."""
    chance = np.random.default_rng(seed)
    return {film.film: float(chance.integers(1, 9)) / 4 for film in films}


def halves_of(films: list[Film]) -> dict[str, Half]:
    return split_scenes(films, {film.film: film.film for film in films})


def scored(films: list[Film], values: dict[str, float]) -> list[ScoreRow]:
    return score("gpt", {MEAN: values}, films, halves_of(films))


def one(rows: list[ScoreRow], measure: Measure, concept: str = "all", half: Half = "all", **more: object) -> ScoreRow:
    named = {"measure": measure, "concept": concept, "half": half, "visibility": "both", **more}
    (row,) = [row for row in rows if all(getattr(row, name) == value for name, value in named.items())]
    return row


def surprise_of(versions: dict[str, float]) -> tuple[list[Film], dict[str, float]]:
    """A quadruple whose films have these surprises."""
    films = make_films(scenes=1, concepts=("permanence",))
    return films, {film.film: versions[film.versions] for film in films}


def test_a_readout_is_over_tokens_latent_frames_or_the_largest_of_these() -> None:
    surprise = torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]], [[0.0, 4.0]]])
    cells = torch.tensor([[[True, False]], [[False, True]], [[False, False]]])
    found = {readout.name: read_out(surprise, readout, cells, (1, 3)) for readout in READOUTS}
    assert found == {
        "film_mean": 20 / 6,
        "film_maximum": 6.0,
        "event_mean": 4.0,
        "event_maximum": 6.0,
        "object_film_mean": 4.0,
        "object_film_maximum": 7.0,
        "object_event_mean": 7.0,
        "object_event_maximum": 7.0,
    }


def test_there_is_no_number_without_event_or_object() -> None:
    surprise = torch.ones(2, 1, 1)
    nowhere = torch.zeros(2, 1, 1, dtype=torch.bool)
    found = {readout.name: read_out(surprise, readout, nowhere, None) for readout in READOUTS}
    assert {name for name, value in found.items() if value is not None} == {"film_mean", "film_maximum"}


def test_tokens_without_a_probability_count_nowhere() -> None:
    surprise = torch.tensor([[[torch.nan, 2.0]], [[torch.nan, torch.nan]]])
    assert frame_means(surprise).isnan().tolist() == [False, True]
    assert read_out(surprise, MEAN, torch.ones_like(surprise).bool(), None) == 2.0
    assert read_out(surprise, Readout("all", "film", "maximum"), surprise.bool(), None) == 2.0
    assert on_object(surprise, torch.zeros_like(surprise).bool()).isnan().all()


@pytest.mark.parametrize(
    ("versions", "quadruple", "same_ending", "same_beginning"),
    [
        ({"AA": 1, "BB": 1, "AB": 2, "BA": 2}, [1.0], [1.0, 1.0], [1.0, 1.0]),
        # What ends with B is likelier whatever came before: only pairs with the same beginning are misled.
        ({"AA": 3, "BB": 1, "AB": 2, "BA": 4}, [1.0], [1.0, 1.0], [0.0, 1.0]),
        # What begins with A is likelier: only pairs with the same ending are misled.
        ({"AA": 1, "BB": 3, "AB": 2, "BA": 4}, [1.0], [1.0, 0.0], [1.0, 1.0]),
        ({"AA": 1, "BB": 3, "AB": 2, "BA": 2}, [0.5], [1.0, 0.0], [1.0, 0.0]),
        ({"AA": 2, "BB": 2, "AB": 1, "BA": 1}, [0.0], [0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_matched_films_are_compared(
    versions: dict[str, float], quadruple: list[float], same_ending: list[float], same_beginning: list[float]
) -> None:
    films, values = surprise_of(versions)
    for measure, expected in (
        ("quadruple", quadruple),
        ("same_ending", same_ending),
        ("same_beginning", same_beginning),
        ("pair", []),
    ):
        assert [judgement.correct for judgement in judge(measure, values, films)] == expected  # type: ignore[arg-type]


def test_films_that_say_nothing_of_beginnings_are_compared_as_quadruples_and_pairs() -> None:
    films = [replace(film, beginning="", ending="") for film in make_films(1, ("permanence",))]
    values = {film.film: 1.0 + (not film.possible) for film in films}
    assert [judgement.correct for judgement in judge("quadruple", values, films)] == [1.0]
    assert judge("same_ending", values, films) == []
    assert [judgement.correct for judgement in judge("pair", values, films[:2])] == [1.0]


def test_a_difference_of_rounding_is_a_tie() -> None:
    films, values = surprise_of({"AA": 0.1, "BB": 0.2, "AB": 0.1 + 1e-9, "BA": 0.2})
    assert judge("quadruple", values, films)[0].correct == 0.5


def test_films_without_a_number_are_compared_with_nothing() -> None:
    films, values = surprise_of({"AA": 1, "BB": 1, "AB": 2, "BA": 2})
    del values[films[0].film]
    assert judge("quadruple", values, films) == []
    assert len(judge("same_ending", values, films)) == 1


@given(st.integers(0, 100))
@settings(max_examples=20)
def test_the_mean_of_pseudo_values_is_the_area_under_the_roc(seed: int) -> None:
    films = make_films()[: -1 - seed % 3]
    values = values_of(films, seed)
    found = area(values, films)
    assert found is not None
    sides = [np.array([values[film.film] for film in films if film.possible == side]) for side in (True, False)]
    assert found[0].mean() == pytest.approx(area_under_roc(*sides), abs=1e-12)
    assert len(found[0]) == len(found[1]) == len(films)


def test_pseudo_values_move_as_far_as_the_area_does() -> None:
    chance = np.random.default_rng(0)
    films = make_films(scenes=50, concepts=("permanence",))
    areas, variances = [], []
    for _ in range(300):
        values = {film.film: chance.normal() + (not film.possible) for film in films}
        found = area(values, films)
        assert found is not None
        areas.append(found[0].mean())
        variances.append(found[0].var(ddof=1) / len(films))
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_swapped_labels_give_exactly_what_is_missing_to_one(seed: int) -> None:
    films = make_films()
    values = values_of(films, seed)
    rows = scored(films, values)
    swapped = scored([replace(film, possible=not film.possible) for film in films], values)
    assert len(rows) == len(swapped) > 0
    for row, other in zip(rows, swapped, strict=True):
        assert (row.measure, row.concept, row.half, row.comparisons) == (
            other.measure,
            other.concept,
            other.half,
            other.comparisons,
        )
        assert other.value == pytest.approx(1 - row.value, abs=1e-14)
        assert (
            round(other.value * 2 * other.comparisons) == 2 * row.comparisons - round(row.value * 2 * row.comparisons)
            or row.measure == "auroc"
        )
        assert other.p == row.p
        if row.low is not None and row.high is not None:
            assert (other.low, other.high) == pytest.approx((1 - row.high, 1 - row.low), abs=1e-12)


def test_scores_are_told_per_concept_and_visibility_and_half() -> None:
    films = make_films(scenes=8)
    rows = [row for row in scored(films, values_of(films)) if row.measure == "quadruple"]
    kinds = {(row.concept, row.visibility, row.half) for row in rows}
    assert len(rows) == len(kinds) == 3 * 3 * 3
    assert one(rows, "quadruple").comparisons == 16
    assert one(rows, "quadruple", "colour", visibility="hidden").comparisons == 4
    assert one(rows, "quadruple", half="choosing").scenes == one(rows, "quadruple", half="reporting").scenes == 4


def test_control_films_are_not_pooled_with_concepts() -> None:
    films = make_films(concepts=("permanence", "control"))
    rows = scored(films, values_of(films))
    assert one(rows, "quadruple").comparisons == 4
    assert one(rows, "quadruple", "control").comparisons == 4
    assert one(rows, "quadruple", "control", visibility="hidden").p_holm is None


def test_scenes_are_observations_and_tested_exactly() -> None:
    films = make_films(scenes=6)
    values = {film.film: 1.0 + (not film.possible) for film in films}
    row = one(scored(films, values), "quadruple")
    assert (row.value, row.scenes, row.p) == (1.0, 6, 2 / 2**6)
    assert row.low is not None
    assert row.low < 0.9


def test_p_values_are_corrected_for_concepts_visible_and_hidden() -> None:
    films = make_films(scenes=12)
    values = {film.film: 1.0 + (not film.possible) for film in films}
    rows = scored(films, values)
    row = one(rows, "quadruple", "colour", visibility="hidden")
    assert row.p == 2 / 2**6
    assert row.p_holm == pytest.approx(4 * 2 / 2**6)
    assert one(rows, "quadruple").p_holm is None
    assert one(rows, "auroc", "colour", visibility="hidden").p is None


def test_the_readout_is_chosen_on_one_half_of_the_scenes() -> None:
    films = make_films(scenes=8)
    halves = halves_of(films)
    good = {film.film: 1.0 + (not film.possible) for film in films}
    bad = {film.film: 1.0 + film.possible for film in films}
    mixed = {film.film: (good if halves[film.scene] == "choosing" else bad)[film.film] for film in films}
    other = Readout("all", "event", "mean")
    rows = score("gpt", {MEAN: mixed, other: good}, films, halves)
    chosen = {(row.frames, row.half): row.value for row in rows if row.chosen and row.measure == "quadruple"}
    assert chosen["film", "choosing"] == 1.0
    assert chosen["film", "reporting"] == 0.0
    assert not any(frames == "event" for frames, _ in chosen)


def test_of_quadruples_no_maximum_is_chosen_of_pairs_of_films_it_may_be() -> None:
    films = make_films(scenes=8)
    good = {film.film: 1.0 + (not film.possible) for film in films}
    level = dict.fromkeys(good, 1.0)
    maximum = Readout("all", "film", "maximum")
    rows = score("gpt", {MEAN: level, maximum: good}, films, halves_of(films))
    chosen = {row.measure: row.statistic for row in rows if row.chosen}
    assert chosen["quadruple"] == "mean"
    assert chosen["same_ending"] == "maximum"


def test_halves_have_as_many_scenes_of_every_kind_and_do_not_depend_on_names() -> None:
    films = make_films(scenes=8)
    digests = {film.film: str(hash(film.film)) for film in films}
    halves = split_scenes(films, digests)
    for hidden in (False, True):
        of_kind = {film.scene for film in films if film.hidden == hidden}
        assert sorted(halves[scene] for scene in of_kind) == 2 * ["choosing"] + 2 * ["reporting"]
    renamed = [replace(film, film=f"x{film.film}", scene=f"x{film.scene}") for film in reversed(films)]
    again = split_scenes(renamed, {f"x{name}": digest for name, digest in digests.items()})
    assert again == {f"x{scene}": half for scene, half in halves.items()}


def test_all_scores_are_printed() -> None:
    films = make_films(scenes=8)
    rows = scored(films, {film.film: 1.0 + (not film.possible) for film in films})
    lines = pooled_lines(rows)
    assert lines[-1].split() == [
        *("gpt", "film_mean", "100.0", "/", "100.0*"),
        *("100.0", "/", "100.0*", "100.0", "/", "100.0*", "100.0", "/", "100.0*"),
    ]
    assert "quadruple" in lines[2]
    assert "pair" not in lines[2]
    told = concept_lines(rows)
    assert len(told) == 1 + 3 * 2
    assert told[3].split()[:6] == ["gpt", "quadruple", "colour", "visible", "100.0", "%"]
    assert "p 1, 2 scenes, film_mean" in told[3]
    assert set(get_args(Measure)) == {row.measure for row in rows} | {"pair"}
