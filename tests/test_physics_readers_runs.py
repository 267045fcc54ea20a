"""Published sets from end to end, with tiny models; and what sets need that no manifest does."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from physics_films import FPS, SIZE
from physics_sets import INTPHYS_FRAMES, make_adept, make_inflevel, make_intphys, make_likephys
from tiny import GPT_SHORT, SHORT, make_gpt, make_tokenizer

from experiments.physics.checks import check_set
from experiments.physics.contrasts import judge
from experiments.physics.encoding import encode_films, notices
from experiments.physics.erasure import Shown, least_kept
from experiments.physics.experiment import run_physics
from experiments.physics.manifest import Film
from experiments.physics.options import PhysicsRunOptions, SetKind
from experiments.physics.readers.any import read_set
from experiments.physics.readers.layout import NOT_SAID
from experiments.physics.tables import FilmRow, ScoreRow
from storage.tables import read_rows


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = make_tokenizer(SHORT)
    tokenizer.save_pretrained(folder / "tokenizer")
    make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint)).save_pretrained(folder / "gpt")
    return folder


def run(models: Path, films: Path, kind: SetKind, out: Path) -> Path:
    return run_physics(
        PhysicsRunOptions.of(
            films=films, kind=kind, tokenizer=models / "tokenizer", gpt=(models / "gpt",), out=out, least_kept=0.0
        )
    )


def test_a_set_of_images_is_measured(models: Path, tmp_path: Path) -> None:
    out = run(models, make_intphys(tmp_path / "dev", {"O1": 2}), "intphys", tmp_path / "run")
    rows = [row for row in read_rows(out / "films.csv", FilmRow) if row.model == "gpt"]
    assert len(rows) == 8
    assert {(row.fps, row.width, row.frames) for row in rows} == {(15.0, SIZE, INTPHYS_FRAMES * FPS // 15)}
    assert all(row.event_mean is not None for row in rows)
    assert all(row.object_tokens > 0 for row in rows)
    scores = read_rows(out / "scores.csv", ScoreRow)
    assert {row.measure for row in scores} == {"quadruple", "same_ending", "same_beginning", "auroc"}
    assert {row.concept for row in scores} == {"all", "object permanence"}


def test_a_set_of_videos_with_foils_is_measured(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(models, make_likephys(tmp_path / "set"), "likephys", tmp_path / "run")
    assert NOT_SAID in capsys.readouterr().err
    scores = read_rows(out / "scores.csv", ScoreRow)
    assert {row.measure for row in scores} == {"pair", "auroc"}
    pairs = [row for row in scores if row.measure == "pair" and row.half == "all" and row.visibility == "both"]
    assert {(row.concept, row.comparisons, row.scenes) for row in pairs} == {
        ("all", 8, 4),
        ("ball_drop", 4, 2),
        ("pendulum", 4, 2),
    }


def test_films_of_unequal_length_are_cut_at_their_end_and_it_is_said(models: Path, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(SHORT)
    plain, longer = (
        check_set(read_set(make_inflevel(tmp_path / name, longer=frames), "inflevel"))
        for name, frames in (("plain", 0), ("longer", 4))
    )
    assert not any("unequal" in notice for notice in notices(plain, tokenizer))
    said = "4 groups of matched films of unequal length: the longer are cut at their end"
    assert said in list(notices(longer, tokenizer))
    encoded = {
        film.film.film: film for films in (plain, longer) for film in encode_films(films, tokenizer, tmp_path / "kept")
    }
    assert {film.scale.grid for film in encoded.values()} == {(4, 4, 4)}
    shown = {film.film.film: film.tokens for film in encode_films(plain, tokenizer, tmp_path / "kept")}
    assert all(torch.equal(film.tokens, shown[name]) for name, film in encoded.items())


@pytest.mark.parametrize("make", ["adept", "likephys"])
def test_a_film_is_compared_with_each_of_its_foils(tmp_path: Path, make: SetKind) -> None:
    films = read_set((make_adept if make == "adept" else make_likephys)(tmp_path), make).films
    impossible_higher = {film.film: 0.0 if film.possible else 1.0 for film in films}
    judged = judge("pair", impossible_higher, films)
    assert {judgement.correct for judgement in judged} == {1.0}
    expected = {"block": 1, "create": 3} if make == "adept" else {"ball_drop": 4, "pendulum": 4}
    assert Counter(judgement.film.concept for judgement in judged) == expected
    assert judge("quadruple", impossible_higher, films) == []


def test_of_two_films_that_can_happen_and_a_foil_each_is_held_against_the_foil() -> None:
    grey, same, other = (torch.full((3, 2, 4, 4), level) for level in (0.5, 0.5, 0.9))
    films = [Film(str(index), "s", "q", "c", False, possible) for index, possible in enumerate((True, True, False))]
    shown = [Shown(film, pixels, pixels / 2) for film, pixels in zip(films, (grey, same, other), strict=True)]
    assert least_kept(shown, torch.zeros(2, 4, 4, dtype=torch.bool), None) == pytest.approx(0.5)
