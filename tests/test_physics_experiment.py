"""A physics run from end to end, with tiny models and films."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from holder import held_by_another
from looking_ahead import make_tats
from physics_films import FPS, Made, boxes_of, make_films_and_models, make_set
from tiny import GPT_SHORT, SHORT, make_gpt, make_tokenizer

import secondsight
from data.tokens import StoreMetadata, TokenItem, write_shard, write_store
from experiments.physics.checks import check_set
from experiments.physics.controls import CONTROLS
from experiments.physics.encoding import encode_films
from experiments.physics.experiment import ErasedError, find_void, run_physics
from experiments.physics.leak import LeakError
from experiments.physics.manifest import ManifestError, write_boxes, write_manifest
from experiments.physics.models import names_of
from experiments.physics.options import PhysicsRunOptions
from experiments.physics.readers.manifest import read
from experiments.physics.tables import FilmRow, FrameRow, ModelRow, ScoreRow
from gpt.config import MismatchError
from gpt.evaluate import evaluate
from gpt.options import EvaluateOptions
from storage.lock import FolderLockError
from storage.run_folder import RunFolderError
from storage.tables import read_rows
from vqgan.model import load_tokenizer

TABLES = ("models.csv", "films.csv", "frames.csv", "scores.csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_films_and_models(tmp_path_factory.mktemp("physics"), scenes=4)


def options_of(made: Made, out: Path, **changes: Any) -> PhysicsRunOptions:
    chosen = {"least_kept": 0.0, **changes}
    return PhysicsRunOptions.of(**{**made._asdict(), "gpt": (made.gpt,), "out": out, **chosen})


@pytest.fixture(scope="module")
def run(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_physics(options_of(made, tmp_path_factory.mktemp("runs") / "run"))


def films_of(run: Path, model: str = "gpt") -> list[FilmRow]:
    return [row for row in read_rows(run / "films.csv", FilmRow) if row.model == model]


def tables(run: Path) -> dict[str, str]:
    return {name: (run / name).read_text() for name in TABLES}


def test_there_is_a_row_for_every_model_and_film(run: Path) -> None:
    models = read_rows(run / "models.csv", ModelRow)
    assert [row.model for row in models] == ["gpt", "untrained", *CONTROLS]
    assert [row.role for row in models].count("gpt") == 1
    assert [len(films_of(run, row.model)) for row in models] == len(models) * [16]


def test_surprise_is_kept_as_arrays_without_pickle(run: Path) -> None:
    for row in films_of(run):
        with np.load(run / row.arrays, allow_pickle=False) as arrays:
            surprise = arrays["surprise"]
        assert surprise.shape == (row.latent_frames, 4, 4) == (4, 4, 4)
        assert row.film_mean == pytest.approx(surprise.mean(), rel=1e-6)
        assert row.film_maximum == pytest.approx(surprise.mean(axis=(1, 2)).max(), rel=1e-6)
        assert (row.event_first, row.event_end) == (2, 4)
        assert row.event_mean == pytest.approx(surprise[2:4].mean(), rel=1e-6)
        assert row.nats_per_token == pytest.approx(row.film_mean * math.log(2), rel=1e-6)


def test_of_one_window_it_is_what_evaluation_of_the_gpt_says(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    make_set(folder, scenes=1, frames=8)
    rows = films_of(run_physics(options_of(made._replace(films=folder), tmp_path / "run")))
    tokenizer = load_tokenizer(made.tokenizer)
    (kept,) = (tmp_path / "run" / "encoded").iterdir()
    grids = torch.from_numpy(np.stack([np.load(kept)[f"tokens_{index}"] for index in range(4)]))
    metadata = StoreMetadata((2, 4, 4), 32, tokenizer.fingerprint, FPS, 8, 16)
    items = [TokenItem(f"{index}.mp4", 0.0, "validation") for index in range(len(grids))]
    write_store(tmp_path / "tokens", metadata, [write_shard(tmp_path / "tokens", 0, metadata, grids)], items)
    evaluated = evaluate(EvaluateOptions.of(gpt=made.gpt, tokens=tmp_path / "tokens"))["gpt_nll"]
    assert np.mean([row.nats_per_token for row in rows]) == pytest.approx(evaluated, abs=1e-5)


def test_the_same_beginning_has_the_same_surprise_bit_for_bit(run: Path) -> None:
    rows = films_of(run)
    compared = 0
    for first in rows:
        for second in rows:
            if (first.quadruple, first.beginning) == (second.quadruple, second.beginning) and first != second:
                one, other = (np.load(run / row.arrays)["surprise"] for row in (first, second))
                assert np.array_equal(one[:2], other[:2])
                assert not np.array_equal(one[2:], other[2:])
                compared += 1
    assert compared == 16


def test_frames_tell_where_event_and_object_are(run: Path) -> None:
    rows = [row for row in read_rows(run / "frames.csv", FrameRow) if row.model == "gpt"]
    assert len(rows) == 16 * 4
    assert {(row.latent_frame, row.event, row.start) for row in rows} == {
        *((0, False, 0.0), (1, False, 0.5), (2, True, 1.0), (3, True, 1.5))
    }
    assert {row.object_tokens for row in rows} == {4}
    for row in rows:
        (film,) = [film for film in films_of(run) if film.film == row.film]
        surprise = np.load(run / film.arrays)["surprise"][row.latent_frame]
        assert row.surprise == pytest.approx(surprise.mean(), rel=1e-6)
        assert row.object_surprise is not None
        assert surprise.min() - 1e-6 <= row.object_surprise <= surprise.max() + 1e-6


def test_controls_are_what_they_say(run: Path) -> None:
    copied = {row.film: np.load(run / row.arrays)["surprise"] for row in films_of(run, "copy")}
    moved = {row.film: np.load(run / row.arrays)["surprise"] for row in films_of(run, "pixel-difference")}
    for film, copy in copied.items():
        assert np.isnan(copy[0]).all()
        still = film.removesuffix(".mp4")[-1] == film.removesuffix(".mp4")[-2]
        assert (copy[1:].max() == 0) == still
        assert (moved[film].max() == 0) == still
    compressed = {row.film: row for row in films_of(run, "compressor")}
    assert all(row.object_film_mean is None and row.film_mean is not None for row in compressed.values())


def test_zero_prediction_ties_where_films_are_of_the_same_frames(run: Path) -> None:
    rows = [row for row in read_rows(run / "scores.csv", ScoreRow) if row.measure == "quadruple"]
    zero = [row for row in rows if (row.model, row.statistic) == ("zero", "mean")]
    assert {row.value for row in zero} == {0.5}
    moving = [row.value for row in rows if (row.model, row.frames, row.statistic) == ("copy", "film", "mean")]
    assert set(moving) == {1.0}


def test_renaming_and_reordering_changes_no_result(made: Made, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    films = make_set(folder, scenes=4)
    names = {film.film: f"{97 - index}.mp4" for index, film in enumerate(films)}
    for before, name in names.items():
        shutil.move(folder / before, folder / name)
    write_manifest(folder / "manifest.csv", [replace(film, film=names[film.film]) for film in reversed(films)])
    write_boxes(folder / "boxes.csv", [replace(box, film=names[box.film]) for box in boxes_of(films)])
    again = run_physics(options_of(made._replace(films=folder), tmp_path / "run"))
    assert (again / "scores.csv").read_text() == (run / "scores.csv").read_text()
    text = (run / "films.csv").read_text()
    for before, name in names.items():
        text = text.replace(before, name)
    assert (again / "films.csv").read_text() == text


def test_swapped_labels_give_exactly_what_is_missing_to_one(made: Made, run: Path, tmp_path: Path) -> None:
    shutil.copytree(made.films, tmp_path / "films")
    films = read(made.films).films
    # Without the words for beginnings and endings, which say what can happen.
    swapped = [replace(film, possible=not film.possible, beginning="", ending="") for film in films]
    write_manifest(tmp_path / "films" / "manifest.csv", swapped)
    again = run_physics(options_of(made._replace(films=tmp_path / "films"), tmp_path / "run"))
    kinds = ("model", "tokens", "frames", "statistic", "measure", "concept", "visibility", "half")
    before, after = (
        {tuple(getattr(row, kind) for kind in kinds): row for row in read_rows(folder / "scores.csv", ScoreRow)}
        for folder in (run, again)
    )
    compared = [(row, after[kind]) for kind, row in before.items() if row.measure in ("quadruple", "auroc")]
    assert len(compared) > 500
    for row, other in compared:
        assert other.value == pytest.approx(1 - row.value, abs=0 if row.measure == "quadruple" else 1e-12)
        assert other.p == row.p


def test_of_an_untrained_gpt_the_interval_contains_a_half_for_every_concept(made: Made, tmp_path: Path) -> None:
    make_set(tmp_path / "films", scenes=12)
    done = run_physics(options_of(made._replace(films=tmp_path / "films"), tmp_path / "run"))
    counted = ("untrained", "quadruple", "mean", "all", "both", "all")
    rows = [
        row
        for row in read_rows(done / "scores.csv", ScoreRow)
        if (row.model, row.measure, row.statistic, row.half, row.visibility, row.tokens) == counted
    ]
    assert {row.concept for row in rows} == {"all", "permanence", "colour"}
    for row in rows:
        assert row.low is not None
        assert row.high is not None
        assert row.low <= 0.5 <= row.high
        assert row.high - row.low < 0.9


def test_an_interrupted_run_continues(made: Made, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    for name in TABLES:
        (tmp_path / "run" / name).unlink()
    kept = sorted((tmp_path / "run" / "surprise" / "gpt").iterdir())
    kept[0].unlink()
    kept[1].write_bytes(b"damaged")
    before = kept[2].stat().st_mtime_ns
    with pytest.raises(RunFolderError, match="continue it with --resume auto"):
        run_physics(options_of(made, tmp_path / "run"))
    run_physics(options_of(made, tmp_path / "run", resume="auto"))
    assert tables(tmp_path / "run") == tables(run)
    assert kept[2].stat().st_mtime_ns == before


def test_other_options_are_refused_when_a_run_goes_on(made: Made, run: Path) -> None:
    with pytest.raises(RunFolderError, match="seed"):
        run_physics(options_of(made, run, resume="auto", seed=1))


def test_a_run_replaces_another_if_asked(made: Made, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    run_physics(options_of(made, tmp_path / "run", overwrite=True, seed=1))
    assert films_of(tmp_path / "run") == films_of(run)
    assert films_of(tmp_path / "run", "untrained") != films_of(run, "untrained")


def test_a_folder_that_is_written_into_is_refused(made: Made, tmp_path: Path) -> None:
    with held_by_another(tmp_path / "run"), pytest.raises(FolderLockError):
        run_physics(options_of(made, tmp_path / "run"))


def test_films_are_encoded_once_for_several_gpts(made: Made, run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_gpt(replace(GPT_SHORT, tokenizer=load_tokenizer(made.tokenizer).fingerprint), seed=5).save_pretrained(other)
    done = run_physics(options_of(made, tmp_path / "run", gpt=(made.gpt, other)))
    assert films_of(done) == films_of(run)
    assert films_of(done, "other") != films_of(run)
    assert len(list((done / "encoded").iterdir())) == 4


def test_runs_share_encoded_films(made: Made, run: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "encoded").iterdir()}
    done = run_physics(options_of(made, tmp_path / "run", encoded=run / "encoded"))
    assert films_of(done) == films_of(run)
    assert not (done / "encoded").exists()
    assert {path: path.stat().st_mtime_ns for path in (run / "encoded").iterdir()} == before


def test_films_whose_object_is_erased_are_left_out(made: Made, tmp_path: Path) -> None:
    films = encode_films(check_set(read(made.films)), load_tokenizer(made.tokenizer), tmp_path / "encoded")
    kept = {"quadruple 0": 0.2, "quadruple 1": 0.3, "quadruple 2": -1.0, "quadruple 3": 0.25}
    known = [replace(film, kept=kept[film.film.quadruple]) for film in films]
    void = find_void(known, 0.25)
    assert {film.film.quadruple for film in known if film.film.film in void} == {"quadruple 0", "quadruple 2"}
    assert find_void(known, 0.0) == set()
    assert find_void([replace(film, kept=None) for film in films], 0.25) == set()


def test_a_tokenizer_that_erases_every_object_is_refused(made: Made, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(SHORT)
    with torch.no_grad():
        tokenizer.quantizer.codebook.zero_()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    make_gpt(GPT_SHORT).save_pretrained(tmp_path / "gpt")
    blind = made._replace(tokenizer=tmp_path / "tokenizer", gpt=tmp_path / "gpt")
    with pytest.raises(ErasedError, match=r"of no film does the tokenizer keep 0.25 .* --least-kept 0"):
        run_physics(options_of(blind, tmp_path / "run", least_kept=0.25))


def test_the_leak_of_a_tokenizer_that_looks_ahead_is_said_or_refused(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tats().save_pretrained(tmp_path / "tokenizer")
    make_gpt(replace(GPT_SHORT, grid=(4, 4, 4))).save_pretrained(tmp_path / "gpt")
    ahead = made._replace(tokenizer=tmp_path / "tokenizer", gpt=tmp_path / "gpt")
    with pytest.raises(LeakError, match=r"not causal: .* % of the tokens of first halves .* leave out --strict"):
        run_physics(options_of(ahead, tmp_path / "run", strict=True))
    run_physics(options_of(ahead, tmp_path / "run"))
    assert "so that surprise may come before the event" in capsys.readouterr().err


def test_what_is_not_taken_as_it_is_is_said(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "films"
    make_set(folder, scenes=1, frames=18, fps=16, size=8, boxes=False)
    run_physics(options_of(made._replace(films=folder), tmp_path / "run"))
    said = capsys.readouterr().err
    assert "4 films of 16 frames a second, resampled to the tokenizer's 8" in said
    assert "4 films of 8x8 pixels, smaller than the tokenizer's 16: enlarged" in said
    assert "4 films with up to 1 frame at the end that fill no latent frame" in said
    assert "100 % of the frames of matched impossible films are frames of possible ones" in said


def test_a_causal_tokenizer_shows_no_difference_before_the_event(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_physics(options_of(made, tmp_path / "run"))
    said = capsys.readouterr()
    assert f"0 of {4 * 2 * 2 * 16} tokens before the event differ between films of the same beginning" in said.err
    assert "gpt: 2 layers, 2 heads, 16 wide; 4 latent frames in 3 windows of 2, 1 of them context" in said.err
    assert "film_mean" in said.out
    assert "object_event_maximum" in said.out


def test_films_with_defects_are_refused_or_left_out(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.films, tmp_path / "films")
    (tmp_path / "films" / "films" / "0_AB.mp4").unlink()
    broken = made._replace(films=tmp_path / "films")
    with pytest.raises(ManifestError, match=r"0_AB.mp4 does not exist .* --exclude-defects"):
        run_physics(options_of(broken, tmp_path / "run"))
    done = run_physics(options_of(broken, tmp_path / "run", exclude_defects=True))
    assert len(films_of(done)) == 12
    assert "0_AB.mp4 does not exist" in (done / "defects.csv").read_text()


def test_a_gpt_of_other_tokens_is_refused_before_anything_is_written(made: Made, tmp_path: Path) -> None:
    make_gpt(replace(GPT_SHORT, vocab_size=16)).save_pretrained(tmp_path / "gpt")
    with pytest.raises(MismatchError, match=r"gpt: the GPT knows 16 tokens, these are of 32"):
        run_physics(options_of(made._replace(gpt=tmp_path / "gpt"), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("runs/a",), ["a"]),
        (("runs/a/checkpoints/10", "runs/a/checkpoints/20"), ["10", "20"]),
        (("runs/a/final", "runs/b/final"), ["a-final", "b-final"]),
        (("runs/copy", "hf:owner/name"), ["runs-copy", "name"]),
        (("b/c", "d/c", "b-c"), ["b-c-1", "d-c", "b-c-3"]),
        (("runs/people",), ["runs-people"]),
    ],
)
def test_gpts_are_named_by_the_end_of_their_paths(paths: tuple[str, ...], names: list[str]) -> None:
    assert names_of([Path(path) for path in paths]) == names


def test_a_gpt_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="--gpt runs/a is given twice"):
        names_of([Path("runs/a"), Path("runs/a")])


def test_the_command_line_runs_it(made: Made, tmp_path: Path) -> None:
    models = ["--tokenizer", made.tokenizer, "--gpt", made.gpt, "--least-kept", 0]
    words = ["physics", "run", "--films", made.films / "manifest.csv", *models, "--out", tmp_path / "run"]
    secondsight.main([str(word) for word in words])
    assert (tmp_path / "run" / "scores.csv").exists()
