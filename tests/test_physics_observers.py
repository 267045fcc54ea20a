"""Observers of anybody's, surprise that was computed elsewhere, and control GPTs in a physics run."""

import csv
import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from physics_films import EVENT, FRAMES, SIZE, Made, make_films_and_models, make_pictures, make_set
from tiny import GPT_SHORT, SHORT, make_store, make_tokenizer

from experiments.observers import ObserverError, load_observer
from experiments.physics.checks import check_set
from experiments.physics.controls import CONTROLS
from experiments.physics.experiment import run_physics
from experiments.physics.given import ScoresError
from experiments.physics.leak import LeakError
from experiments.physics.manifest import ManifestError
from experiments.physics.models import names_of
from experiments.physics.observers import NamedObserver, cells_of, describe_causality
from experiments.physics.options import PhysicsRunOptions
from experiments.physics.places import Scale
from experiments.physics.readers.manifest import read
from experiments.physics.tables import FilmRow, FrameRow, ModelRow, ScoreRow
from gpt import train as training
from gpt.options import LatentFrames, TrainOptions
from storage.tables import read_rows
from vqgan.tokenizer import Tokenizer

SCALE = Scale.of(make_tokenizer(SHORT), 4)
PAGE = Path(__file__).parents[1] / "docs" / "how_to" / "physics.md"

MOTION = """
import torch

class Motion:
    unit = "of 1"
    fingerprint = "motion 1"

    def surprise(self, film):
        change = torch.full(film.shape[1:], torch.nan)
        change[1:] = (film[:, 1:] - film[:, :-1]).abs().mean(dim=0) / 2
        return change
"""
"""What the control `pixel-difference` is, per pixel."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_films_and_models(tmp_path_factory.mktemp("physics"), scenes=2)


@pytest.fixture
def tokenizer(made: Made) -> Tokenizer:
    return make_tokenizer(SHORT)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, which is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    return tmp_path


NUMBERS = itertools.count()


def write_module(here: Path, text: str) -> str:
    """Write a module of a name that no test had before, and return it."""
    name = f"own_model_{next(NUMBERS)}"
    (here / f"{name}.py").write_text(text)
    return name


def run(made: Made, out: Path, **changes: Any) -> Path:
    chosen = {"least_kept": 0.0, **changes}
    return run_physics(PhysicsRunOptions.of(films=made.films, tokenizer=made.tokenizer, out=out, **chosen))


def models_of(out: Path) -> dict[str, ModelRow]:
    return {row.model: row for row in read_rows(out / "models.csv", ModelRow)}


def films_of(out: Path, model: str) -> list[FilmRow]:
    return [row for row in read_rows(out / "films.csv", FilmRow) if row.model == model]


def write_scores(path: Path, rows: list[Mapping[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def names(made: Made) -> list[str]:
    return [film.film for film in read(made.films).films]


def observer_of(surprise: Any) -> NamedObserver:
    """An observer whose method is a function."""
    return NamedObserver("mine", type("Mine", (), {"surprise": staticmethod(surprise)})())


# Loading


def test_an_observer_is_loaded_from_the_working_folder(here: Path) -> None:
    name = write_module(here, MOTION)
    assert load_observer(f"{name}:Motion", "surprise").fingerprint == "motion 1"


def test_a_function_may_make_an_observer(here: Path) -> None:
    name = write_module(here, MOTION + "\ndef make(size=3):\n    return Motion()\n")
    assert callable(load_observer(f"{name}:make", "surprise").surprise)


@pytest.mark.parametrize(
    ("text", "named", "message"),
    [
        (MOTION, "{}", "must name a module and a class in it, such as mymodel:MyObserver"),
        (MOTION, ":Motion", "must name a module and a class"),
        (MOTION, "nowhere_at_all:Motion", "there is no module nowhere_at_all in .* start from the folder"),
        (MOTION, "{}.deeper:Motion", "there is no module .*deeper in"),
        ("import not_installed_anywhere", "{}:Motion", "needs not_installed_anywhere, which is not installed"),
        ("1 +", "{}:Motion", r"cannot be imported \(SyntaxError: .*correct it first"),
        ("1 / 0", "{}:Motion", r"cannot be imported \(ZeroDivisionError"),
        (MOTION, "{}:Motoin", "no class in own_model_.* 'Motoin'; there are Motion; did you mean Motion?"),
        (MOTION + "\nnumber = 3", "{}:number", "is of type int: name a class, or a function that makes an observer"),
        ("class Needy:\n    def __init__(self, size): ...", "{}:Needy", "cannot be made without arguments .*'size'"),
        ("class Empty: ...", "{}:Empty", "has no method surprise"),
        ("exit('usage')", "{}:Motion", r"cannot be imported \(SystemExit: usage\)"),
        (
            "class Lost:\n    def __init__(self):\n        open('w.pt')",
            "{}:Lost",
            "cannot be made .*own_model.*, line 3",
        ),
    ],
)
def test_what_cannot_be_loaded_is_said_in_words(text: str, named: str, message: str, here: Path) -> None:
    name = write_module(here, text)
    with pytest.raises(ObserverError, match=message):
        load_observer(named.format(name), "surprise")


def test_a_file_in_the_working_folder_stands_for_no_installed_package(here: Path) -> None:
    (here / "pyarrow_or_json_of_mine.py").write_text("")
    (here / "colorsys.py").write_text("class Motion: ...")
    with pytest.raises(ObserverError, match="no class in colorsys 'Motion'"):
        load_observer("colorsys:Motion", "surprise")


# What an observer returns


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            lambda film: torch.zeros(3),
            r"shape \(3,\) for a film of \(3, 16, 16, 16\): it must be \(16,\).* or \(16, 16",
        ),
        (lambda film: torch.zeros(()), r"shape \(\)"),
        (lambda film: film, r"shape \(3, 16, 16, 16\)"),
        (lambda film: "much", "returned a str, no tensor"),
        (lambda film: torch.full((16,), torch.inf), "infinite surprise: give NaN"),
        (lambda film: 1j * film[0], "complex numbers: surprise is real"),
        (lambda film: {}["weights"], r"failed at a film of .* \(KeyError: 'weights'; test_physics_observers.py, line"),
        (lambda film: exit(3), r"\(SystemExit: 3; .*correct it first"),
    ],
)
def test_what_is_no_surprise_is_refused(returned: Any, message: str) -> None:
    with pytest.raises(ObserverError, match=message):
        observer_of(returned).judge(torch.zeros(3, 16, 16, 16))


def test_an_observer_may_return_an_array_and_change_its_film() -> None:
    film = torch.ones(3, 16, 4, 4)
    judged = observer_of(lambda film: film.zero_()[0, :, 0, 0].numpy().astype(np.float64)).judge(film)
    assert (judged.dtype, judged.tolist(), float(film.min())) == (torch.float32, [0.0] * 16, 1.0)


@given(st.integers(0, 10**6), st.floats(0, 0.9))
@settings(max_examples=20, deadline=None)
def test_of_pixels_the_mean_of_those_that_are_judged_is_that_of_a_token(seed: int, missing: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    judged = torch.rand(FRAMES, SIZE, SIZE, generator=chance)
    judged[torch.rand(judged.shape, generator=chance) < missing] = torch.nan
    cells = cells_of(SCALE, judged)
    t, h, w = cells.shape
    for latent_frame, row, column in itertools.product(range(t), range(h), range(w)):
        block = judged[4 * latent_frame : 4 * latent_frame + 4, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        known = block[~block.isnan()]
        expected = float(known.double().mean()) if len(known) else math.nan
        assert float(cells[latent_frame, row, column]) == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_of_frames_all_tokens_of_a_latent_frame_have_the_mean() -> None:
    judged = torch.arange(FRAMES).float()
    judged[0] = torch.nan
    assert cells_of(SCALE, judged)[:, 1, 2].tolist() == [2.0, 5.5, 9.5, 13.5]


# Causality


def sees_past(film: torch.Tensor) -> torch.Tensor:
    return film.mean(dim=(0, 2, 3)).cumsum(dim=0)


def sees_all(film: torch.Tensor) -> torch.Tensor:
    return film.mean(dim=(0, 2, 3)) - film.mean()


def test_an_observer_that_does_not_look_ahead_is_said_not_to(made: Made, tokenizer: Tokenizer) -> None:
    films = check_set(read(made.films)).films
    said = describe_causality(observer_of(sees_past), films, tokenizer, strict=True)
    assert said == "mine: on 4 films no surprise at a first half depended on the second half"


@pytest.mark.parametrize(
    ("surprise", "message"),
    [
        (sees_all, r"is not causal: 100.0 % of the surprise at first halves knows the second half"),
        (lambda film: torch.rand(film.shape[1]), "says another surprise when it sees the same film again"),
    ],
)
def test_an_observer_that_may_look_ahead_is_said_to_or_refused(
    surprise: Any, message: str, made: Made, tokenizer: Tokenizer
) -> None:
    films = check_set(read(made.films)).films
    assert re.search(message, describe_causality(observer_of(surprise), films, tokenizer, strict=False))
    with pytest.raises(LeakError, match=f"{message}.*leave out --strict"):
        describe_causality(observer_of(surprise), films, tokenizer, strict=True)


def test_only_the_share_that_looks_ahead_is_counted(made: Made, tokenizer: Tokenizer) -> None:
    def sees_next(film: torch.Tensor) -> torch.Tensor:
        means = film.mean(dim=(0, 2, 3))
        return torch.cat([means[1:], means[-1:]])

    films = check_set(read(made.films)).films
    said = describe_causality(observer_of(sees_next), films, tokenizer, strict=False)
    assert "12.5 % of the surprise at first halves" in said  # the last of eight frames


def test_of_films_of_one_latent_frame_it_is_not_known(tmp_path: Path, tokenizer: Tokenizer) -> None:
    make_set(tmp_path, scenes=1, frames=7)
    films = check_set(read(tmp_path)).films
    said = describe_causality(observer_of(sees_past), films, tokenizer, strict=False)
    assert "saw films of one latent frame, so that it cannot be measured" in said


# In a run


def test_an_observer_is_measured_as_a_gpt_is(made: Made, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = write_module(here, MOTION)
    done = run(made, here / "run", observer=(f"{name}:Motion",))
    row = models_of(done)["Motion"]
    assert (row.role, row.unit, row.fingerprint, row.parameters) == ("observer", "of 1", "motion 1", None)
    control = {film.film: film for film in films_of(done, "pixel-difference")}
    for film in films_of(done, "Motion"):
        assert film.film_mean == pytest.approx(control[film.film].film_mean, rel=1e-4)
        assert film.object_event_mean == pytest.approx(control[film.film].object_event_mean, rel=1e-4)
        assert film.nats_per_token is None
    assert list(models_of(done)) == ["Motion", *CONTROLS]
    assert "untrained left out: there is no GPT" in " ".join(capsys.readouterr().err.split())


def test_frames_alone_tell_nothing_of_the_object(made: Made, here: Path) -> None:
    text = "class Frames:\n    def surprise(self, film):\n        return film.mean(dim=(0, 2, 3))\n"
    done = run(made, here / "run", observer=(f"{write_module(here, text)}:Frames",))
    for film in films_of(done, "Frames"):
        assert film.object_film_mean is None
        assert film.event_mean is not None
    assert models_of(done)["Frames"].unit == "not stated"


def test_an_observer_of_one_kind_for_some_films_is_refused(made: Made, here: Path) -> None:
    text = (
        "class Both:\n    seen = 0\n    def surprise(self, film):\n        self.seen += 1\n"
        "        return film[0] if self.seen > 15 else film[0, :, 0, 0]\n"
    )
    with pytest.raises(ObserverError, match="a number for each frame of some films and for each pixel of others"):
        run(made, here / "run", observer=(f"{write_module(here, text)}:Both",))


def test_an_observer_that_judges_nothing_is_refused(made: Made, here: Path) -> None:
    text = "class Silent:\n    def surprise(self, film):\n        return film[0] * float('nan')\n"
    with pytest.raises(ObserverError, match="judged no frame of any film"):
        run(made, here / "run", observer=(f"{write_module(here, text)}:Silent",))


COUNTED = """
from pathlib import Path

class Counted:
    {fingerprint}

    def surprise(self, film):
        calls = Path("calls")
        calls.write_text(calls.read_text() + "." if calls.exists() else ".")
        if len(calls.read_text()) == {fails_at}:
            raise RuntimeError("the machine broke")
        return film[0]
"""
LOOKS = 3 * 4
"""Films that are shown to say whether an observer looks ahead."""


@pytest.mark.parametrize(("fingerprint", "anew"), [('fingerprint = "1"', 6), ("", 8)])
def test_an_interrupted_run_continues_within_an_observer(
    fingerprint: str, anew: int, made: Made, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write_module(here, COUNTED.format(fingerprint=fingerprint, fails_at=LOOKS + 3))
    with pytest.raises(ObserverError, match="the machine broke"):
        run(made, here / "run", observer=(f"{name}:Counted",))
    assert not (here / "run" / "scores.csv").exists()
    capsys.readouterr()
    run(made, here / "run", observer=(f"{name}:Counted",), resume="auto")
    assert len((here / "calls").read_text()) == LOOKS + 3 + LOOKS + anew
    assert ("Counted has no fingerprint" in capsys.readouterr().err) == (not fingerprint)
    whole = run(made, here / "whole", observer=(f"{name}:Counted",))
    assert (whole / "films.csv").read_bytes() == (here / "run" / "films.csv").read_bytes()


def test_another_fingerprint_is_measured_anew(made: Made, here: Path) -> None:
    name = write_module(here, MOTION)
    done = run(made, here / "run", observer=(f"{name}:Motion",))
    before = films_of(done, "Motion")
    module = load_observer(f"{name}:Motion", "surprise").__class__
    module.fingerprint = "motion 2"
    module.surprise = lambda self, film: film[0]
    run(made, here / "run", observer=(f"{name}:Motion",), resume="auto")
    assert films_of(done, "Motion")[0].film_mean != before[0].film_mean


def test_strict_refuses_an_observer_that_looks_ahead(made: Made, here: Path) -> None:
    text = "class Ahead:\n    def surprise(self, film):\n        return film[0].flip(0)\n"
    with pytest.raises(LeakError, match="observer Ahead is not causal"):
        run(made, here / "run", observer=(f"{write_module(here, text)}:Ahead",), strict=True)
    assert not (here / "run").exists()


def test_models_of_one_name_are_told_apart() -> None:
    found = names_of([Path("runs/a")], [Path("runs/b/a")], [Path("mine/a"), Path("mine/copy")])
    assert found == ["runs-a", "b-a", "mine-a", "mine-copy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([Path("a")], [Path("a")]), "--control-gpt a is given twice"),
        (([], [], [Path("a/B"), Path("a/B")]), "--observer a/B is given twice"),
    ],
)
def test_a_model_given_twice_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        names_of(*arguments)


def test_something_must_be_measured() -> None:
    paths = {"films": Path("films"), "tokenizer": Path("tokenizer"), "out": Path("out")}
    with pytest.raises(ValueError, match="--gpt, --observer or --scores must name at least one model"):
        PhysicsRunOptions.of(**paths, control_gpt=(Path("gpt"),))


# Surprise that was computed elsewhere


def scene_and_versions(film: str) -> tuple[int, str]:
    scene, versions = Path(film).stem.split("_")
    return int(scene), versions


def test_numbers_of_films_are_scored(made: Made, tmp_path: Path) -> None:
    rows = [{"film": film, "surprise": 1 + (film[-6] != film[-5])} for film in names(made)]
    done = run(made, tmp_path / "run", scores=(write_scores(tmp_path / "mine.csv", rows),))
    for film in films_of(done, "mine"):
        assert film.film_mean == 1 + (film.beginning != film.ending)
        assert film.film_maximum is film.event_mean is film.object_film_mean is None
    frames = [row for row in read_rows(done / "frames.csv", FrameRow) if row.model == "mine"]
    assert {row.surprise for row in frames} == {None}
    scores = [row for row in read_rows(done / "scores.csv", ScoreRow) if row.model == "mine"]
    assert {row.value for row in scores if row.measure == "quadruple"} == {1.0}
    assert {(row.tokens, row.frames, row.statistic) for row in scores} == {("all", "film", "mean")}
    assert models_of(done)["mine"].role == "observer"


def test_films_without_a_number_are_said(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = sorted(names(made))[0]
    rows = [{"film": film, "surprise": "" if film == silent else 1.0} for film in names(made)]
    done = run(made, tmp_path / "run", scores=(write_scores(tmp_path / "mine.csv", rows),))
    said = f"mine gives no surprise of 1 film; what is matched with that does not count in its scores: {silent}"
    assert said in capsys.readouterr().err
    compared = {
        row.model: row.comparisons
        for row in read_rows(done / "scores.csv", ScoreRow)
        if (row.measure, row.concept, row.visibility, row.half) == ("quadruple", "all", "both", "all")
    }
    assert compared["mine"] == compared["zero"] - 1


def test_numbers_of_frames_become_those_of_latent_frames(made: Made, tmp_path: Path) -> None:
    rows = [
        {"film": film, "frame": frame, "surprise": "" if frame == 1 else frame, "model": "V-JEPA/large"}
        for film in names(made)
        for frame in range(0, FRAMES - 4)
    ]
    done = run(made, tmp_path / "run", scores=(write_scores(tmp_path / "mine.csv", rows),))
    for film in films_of(done, "V-JEPA-large"):
        surprise = np.load(done / film.arrays)["surprise"]
        assert surprise[:, 0, 0].tolist() == pytest.approx([5 / 3, 5.5, 9.5, math.nan], nan_ok=True)
        assert film.event_mean == 9.5
        assert film.object_event_mean is None


def test_frames_of_a_film_of_another_rate_belong_to_when_they_are_shown(made: Made, tmp_path: Path) -> None:
    fast = made._replace(films=tmp_path / "films")
    make_set(fast.films, scenes=1, frames=34, fps=16)
    rows = [{"film": film, "frame": frame, "surprise": frame} for film in names(fast) for frame in range(34)]
    done = run(fast, tmp_path / "run", scores=(write_scores(tmp_path / "mine.csv", rows),))
    surprise = np.load(done / films_of(done, "mine")[0].arrays)["surprise"]
    assert surprise[:, 0, 0].tolist() == [3.5, 11.5, 19.5, 27.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: [*rows, {"film": "other.mp4", "frame": 0, "surprise": 1}],
            "of other.mp4, which the set .* not list",
        ),
        (lambda rows: [*rows, rows[0]], "films/0_AA.mp4, frame 0 is there twice"),
        (lambda rows: [{**row, "surprise": ""} for row in rows], "has no number of any film for mine: fill in"),
        (lambda rows: [{**rows[0], "surprise": "much"}], "row 1: surprise 'much' is no number"),
        (lambda rows: [{**rows[0], "surprise": "inf"}], "row 1: surprise 'inf' is not finite"),
        (lambda rows: [{**rows[0], "frame": "1.5"}], "row 1: frame '1.5' is no index"),
        (lambda rows: [*rows, {**rows[0], "frame": ""}], "says a frame in some rows and none in others"),
        (lambda rows: [*rows, {**rows[0], "frame": 16}], "frame 16 of films/0_AA.mp4, which has 16 frames, from 0 on"),
        (lambda rows: [{"film": "films/0_AA.mp4"}], "has no column surprise"),
        (lambda rows: [{**row, "model": "zero"} for row in rows], "surprise of zero, and another model or control"),
        (lambda rows: [{**row, "model": ".."} for row in rows], r"model '\.\.' is no name"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(change: Any, message: str, made: Made, tmp_path: Path) -> None:
    rows = [{"film": film, "frame": 0, "surprise": 1} for film in names(made)]
    table = write_scores(tmp_path / "mine.csv", change(rows))
    with pytest.raises(ScoresError, match=message):
        run(made, tmp_path / "run", scores=(table,))
    assert not (tmp_path / "run").exists()


def test_a_table_without_rows_is_refused(made: Made, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("film,surprise\n")
    with pytest.raises(ScoresError, match="says the surprise of no film"):
        run(made, tmp_path / "run", scores=(tmp_path / "mine.csv",))


def test_films_that_a_table_lacks_are_defects_by_name(made: Made, tmp_path: Path) -> None:
    rows = [{"film": film, "surprise": 1} for film in names(made) if film != "films/0_AB.mp4"]
    table = write_scores(tmp_path / "mine.csv", rows)
    with pytest.raises(ManifestError, match=r"1 defect: .*mine.csv says no surprise of films/0_AB.mp4 to mine"):
        run(made, tmp_path / "run", scores=(table,))
    done = run(made, tmp_path / "run", scores=(table,), exclude_defects=True)
    assert {film.scene for film in films_of(done, "zero")} == {"scene 1"}
    assert "says no surprise of films/0_AB.mp4" in (done / "defects.csv").read_text()


# Control GPTs


def trained(made: Made, folder: Path, latent_frames: LatentFrames) -> Path:
    """A GPT that learned for two steps."""
    fingerprint = make_tokenizer(SHORT).fingerprint
    store = make_store(folder / "tokens", tokenizer=fingerprint)
    chosen = {**GPT_SHORT.flat(), "steps": 2, "batch": 4, "warmup": 1, "save_every": 1}
    out = folder / f"of-{latent_frames}"
    training.train(
        TrainOptions.of(tokens=store, out=out, latent_frames=latent_frames, **chosen), lambda gpt, held, path: None
    )
    return out


def test_what_a_gpt_was_trained_on_stands_in_the_table(made: Made, tmp_path: Path) -> None:
    gpt = trained(made, tmp_path, "in-order")
    checkpoints = tuple(sorted((gpt / "checkpoints").iterdir()))
    rows = models_of(run(made, tmp_path / "run", gpt=checkpoints, control_gpt=(made.gpt,)))
    assert [(row.model, row.role, row.step) for row in list(rows.values())[:4]] == [
        *(("000001", "gpt", 1), ("000002", "gpt", 2), ("gpt", "control", None), ("untrained", "control", None))
    ]
    assert rows["000001"].seen_hours == pytest.approx(4 * 1.0 / 3600)
    assert rows["000002"].seen_hours == pytest.approx(8 * 1.0 / 3600)
    assert rows["000001"].film_hours == pytest.approx(4 * 1.0 / 3600)
    assert (rows["gpt"].film_hours, rows["untrained"].seen_hours) == (None, None)


@pytest.mark.parametrize("latent_frames", ["shuffled", "single"])
def test_a_gpt_that_learned_no_order_is_a_control_by_itself(
    latent_frames: LatentFrames, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpt = trained(made, tmp_path, latent_frames)
    rows = models_of(run(made, tmp_path / "run", gpt=(made.gpt, gpt)))
    assert [(row.model, row.role) for row in list(rows.values())[:2]] == [
        *(("gpt", "gpt"), (f"of-{latent_frames}", "control"))
    ]
    assert f"a control, as it learned {latent_frames} latent frames" in " ".join(capsys.readouterr().err.split())


# The page


def test_the_example_of_the_page_works(made: Made, here: Path) -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(text.splitlines()) <= 30
    name = write_module(here, text)
    (observer,) = re.findall(r"--observer mymodel:(\w+)", PAGE.read_text())
    done = run(made, here / "run", observer=(f"{name}:{observer}",), strict=True)
    for film in films_of(done, observer):
        assert film.film_mean is not None
        still = make_pictures(*scene_and_versions(film.film))
        moves = bool((still[EVENT] != still[EVENT - 1]).any())
        assert film.event_mean is not None
        assert (film.event_mean > 1) == moves
