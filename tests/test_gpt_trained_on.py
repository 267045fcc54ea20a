"""Steps and hours of film are read from the run of a GPT, and are empty where they are not known."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_SHORT, make_gpt, make_store

from data.tokens import TokenItem, TokenStore, write_shard, write_store
from gpt import train as training
from gpt.options import TrainOptions
from gpt.trained_on import TrainedOn, covered_seconds, trained_on
from training.order import epoch_order

SECONDS = 1.0
"""Of a clip of `make_store`."""


def options(store: Path, out: Path, **changes: Any) -> TrainOptions:
    chosen = {**GPT_SHORT.flat(), "steps": 6, "batch": 4, "warmup": 1, "save_every": 1, "keep": 9}
    return TrainOptions.of(tokens=store, out=out, **{**chosen, **changes})


def train(options: TrainOptions) -> Path:
    return training.train(options, lambda gpt, held, path: None)


def make_film_store(folder: Path) -> Path:
    """Twelve clips of a second, of which nine are learned: every half second of one film."""
    store = TokenStore(make_store(folder))
    items = [TokenItem("film.mp4", index / 2, "train" if index < 9 else "validation") for index in range(12)]
    grids = store.read(range(12)).view(12, 2, 4, 4)
    write_store(folder, store.metadata, [write_shard(folder, 0, store.metadata, grids)], items)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    train(options(store, out))
    return out


def naive(starts: list[float], seconds: float) -> float:
    """Thousandths of a second that are covered."""
    covered = {place for start in starts for place in range(round(start * 1000), round((start + seconds) * 1000))}
    return len(covered) / 1000


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3000)), max_size=12), st.integers(1, 1500))
@settings(max_examples=60)
def test_what_several_stretches_cover_counts_once(stretches: list[tuple[str, int]], length: int) -> None:
    sources = [source for source, _ in stretches]
    starts = np.array([start / 1000 for _, start in stretches])
    expected = sum(naive([start / 1000 for of, start in stretches if of == source], length / 1000) for source in "ab")
    assert covered_seconds(sources, starts, length / 1000) == pytest.approx(expected, abs=1e-9)


def test_checkpoints_of_a_training_make_a_rising_curve(run: Path) -> None:
    known = trained_on(sorted((run / "checkpoints").iterdir()))
    assert [of.step for of in known] == [1, 2, 3, 4, 5, 6]
    assert [of.seen_hours for of in known] == pytest.approx([4 * step * SECONDS / 3600 for step in range(1, 7)])
    order = epoch_order(9, 0, 0).tolist()
    films = [naive([index / 2 for index in order[: 4 * step]], SECONDS) for step in range(1, 7)]
    assert [of.film_hours for of in known] == pytest.approx([film / 3600 for film in films])
    assert films[0] < films[1] <= films[2] == films[5] == 5.0


def test_the_final_model_is_that_of_the_checkpoint_with_its_weights(run: Path, tmp_path: Path) -> None:
    assert trained_on([run, run / "final"]) == 2 * trained_on([run / "checkpoints" / "000006"])
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "000006")
    assert trained_on([tmp_path / "run" / "final"])[0].step is None


def test_a_run_that_goes_on_has_a_final_model_of_before(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "run", steps=2, schedule="constant"))
    shutil.copytree(tmp_path / "run" / "final", tmp_path / "before")
    train(options(store, tmp_path / "run", steps=3, schedule="constant", resume="auto"))
    shutil.rmtree(tmp_path / "run" / "final")
    shutil.copytree(tmp_path / "before", tmp_path / "run" / "final")
    assert trained_on([tmp_path / "run" / "final"])[0].step == 2


def test_of_single_latent_frames_each_lasts_its_part_of_a_clip(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, steps=1, latent_frames="single"))
    (known,) = trained_on([tmp_path])
    assert (known.latent_frames, known.step) == ("single", 1)
    assert known.seen_hours == pytest.approx(4 * SECONDS / 2 / 3600)


def test_of_a_model_outside_a_run_nothing_is_known(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "gpt")
    assert trained_on([tmp_path / "gpt"]) == [TrainedOn()]


def test_of_a_gpt_that_began_from_another_only_its_own_steps_are_known(store: Path, run: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, steps=2, init=run / "final"))
    assert trained_on([tmp_path]) == [TrainedOn(step=2, latent_frames="in-order")]


@pytest.mark.parametrize("what", ["gone", "another"])
def test_without_the_tokens_of_the_run_hours_are_not_known(what: str, tmp_path: Path) -> None:
    train(options(make_film_store(tmp_path / "store"), tmp_path / "run", steps=1))
    shutil.rmtree(tmp_path / "store")
    if what == "another":
        make_store(tmp_path / "store", items=13)
    assert trained_on([tmp_path / "run"]) == [TrainedOn(step=1, latent_frames="in-order")]


def test_stills_are_no_film(tmp_path: Path) -> None:
    train(options(make_store(tmp_path / "store", grid=(1, 4, 4)), tmp_path / "run", steps=1))
    (known,) = trained_on([tmp_path / "run"])
    assert (known.step, known.film_hours, known.seen_hours) == (1, None, None)
