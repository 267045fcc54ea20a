"""The films of the app: as surprising as `physics run` finds them, and shown with what it does not mean."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from app_models import make_models
from physics_films import make_pictures, write_film
from tiny import IMAGE, SHORT

from data.errors import MediaError
from experiments.physics.experiment import run_physics
from experiments.physics.manifest import Film, write_manifest
from experiments.physics.options import PhysicsRunOptions
from experiments.physics.tables import FilmRow, FrameRow
from storage.tables import read_rows
from viewing.app.jobs import Worker
from viewing.app.models import Models, Pair
from viewing.app.physics_tab import Shown, films_html, surprise_html
from viewing.app.surprising import FilmPair, Measured, films_as_given, longest_film, measure, render_films
from viewing.app.uploads import read_film


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A tiny model of clips."""
    return make_models(tmp_path_factory.mktemp("models"), SHORT)


def measured(pair: Pair, films: FilmPair) -> Measured:
    """Return how surprising films are."""
    worker = Worker(300)
    job = worker.start(lambda job: measure(pair, films, job))
    assert list(job.watch())[-1:] in ([], [2])
    worker.close()
    return job.result()


def test_films_are_as_surprising_as_the_command_line_finds_them(models: Models, tmp_path: Path) -> None:
    pair = models.pairs[0]
    rows = []
    for version in ("AA", "AB"):
        write_film(tmp_path / "films" / f"{version}.mp4", make_pictures(0, version))
        rows.append(
            Film(
                film=f"{version}.mp4",
                scene="scene",
                quadruple="pair",
                concept="permanence",
                hidden=False,
                possible=version == "AA",
            )
        )
    write_manifest(tmp_path / "films" / "manifest.csv", rows)
    run_physics(
        PhysicsRunOptions.of(
            films=tmp_path / "films",
            tokenizer=pair.tokenizer_path,
            gpt=(pair.gpt_path,),
            out=tmp_path / "run",
            least_kept=0,
        )
    )
    found = {row.film: row for row in read_rows(tmp_path / "run" / "films.csv", FilmRow) if row.model == "gpt"}
    frames = [row for row in read_rows(tmp_path / "run" / "frames.csv", FrameRow) if row.model == "gpt"]
    levels = [read_film(tmp_path / "films" / row.film, longest_film(pair.clip_format)) for row in rows]
    ours = measured(pair, films_as_given(levels))
    assert ours.means == (found["AA.mp4"].film_mean, found["AB.mp4"].film_mean)
    for name, curve in zip(("AA.mp4", "AB.mp4"), ours.curves, strict=True):
        assert curve == [row.surprise for row in frames if row.film == name]
    assert list(ours.starts) == [row.start for row in frames if row.film == "AA.mp4"]


def test_the_longer_film_is_cut(models: Models) -> None:
    pair = models.pairs[0]
    film = torch.randint(256, (3, 17, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    alike = measured(pair, FilmPair((film, film[:, :9])))
    assert alike.more_surprising is None
    assert alike.seconds == pair.tokenizer.frames_of(2) / 8


def test_a_model_of_still_images_reads_each_latent_frame_by_itself(tmp_path: Path) -> None:
    pair = make_models(tmp_path, IMAGE).pairs[0]
    film = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = measured(pair, FilmPair((film, film.flip(1))))
    assert ours.curves[0] == pytest.approx(ours.curves[1][::-1])


def test_films_that_are_too_short_or_too_few_are_refused(models: Models) -> None:
    film = torch.zeros(3, 2, 16, 16, dtype=torch.uint8)
    with pytest.raises(MediaError, match="take longer films"):
        measured(models.pairs[0], FilmPair((film, film)))
    with pytest.raises(MediaError, match="add one"):
        films_as_given([film])


def test_a_rendered_scene_has_one_beginning_and_two_endings(models: Models) -> None:
    pair = models.pairs[0]
    films = render_films(pair, "permanence", 1, 0, hidden=False)
    first, second = films.levels
    assert films.event_s is not None
    event = round(films.event_s * 8)
    assert torch.equal(first[:, :event], second[:, :event])
    assert not torch.equal(first[:, event:], second[:, event:])
    again = render_films(pair, "permanence", 1, 0, hidden=False)
    assert torch.equal(again.levels[0], first)
    assert again.impossible == films.impossible


def test_what_is_shown_names_the_film_the_guess_and_the_limits(tmp_path: Path) -> None:
    film = torch.zeros(3, 8, 16, 16, dtype=torch.uint8)
    bits = (torch.full((2, 4, 4), 1.0), torch.full((2, 4, 4), 2.0))
    bits[1][0, 0, 0] = torch.nan
    found = Measured(bits, (0.0, 0.5), 1.0, "2 latent frames in one window of 2")
    shown = Shown("<b>model</b>", FilmPair((film, film), impossible=1, event_s=0.5), 8.0)
    html = surprise_html(shown, found, "the first")
    assert "<b>model" not in html
    assert "the second film surprises it more" in html
    assert "You guessed the first: it is the other." in html
    assert "it is the more surprising one" in html
    assert "What it does not mean" in html
    assert "nan" not in html
    assert films_html(shown).count("data:video/mp4") == 2


def test_equal_films_surprise_alike_and_no_guess_is_judged() -> None:
    film = torch.zeros(3, 8, 16, 16, dtype=torch.uint8)
    bits = torch.full((2, 4, 4), 3.0)
    html = surprise_html(
        Shown("m", FilmPair((film, film)), 8.0), Measured((bits, bits), (0.0, 0.5), 1.0, ""), "the first"
    )
    assert "surprise it alike" in html
    assert "You guessed" not in html


def test_a_curve_is_drawn_within_its_axes() -> None:
    bits = (torch.rand(30, 2, 2) * 7, torch.rand(30, 2, 2) * 0.3)
    found = Measured(bits, tuple(number / 4 for number in range(30)), 7.5, "")
    html = surprise_html(Shown("m", FilmPair((torch.zeros(3, 1, 1, 1), torch.zeros(3, 1, 1, 1))), 8.0), found, "")
    points = [point.split(",") for line in html.split('points="')[1:] for point in line.split('"')[0].split()]
    assert len(points) == 60
    assert all(50 <= float(x) <= 630 and 20 <= float(y) <= 214 for x, y in points)
    assert not math.isnan(found.means[0])
