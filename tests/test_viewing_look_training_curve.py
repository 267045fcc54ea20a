"""What each step of a run was trained on is told exactly, or said not to be known; jumps of the loss are found."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import GPT_SHORT, SHORT, make_store, make_videos

from data.clip_format import ClipFormat
from data.clips import ClipDataset
from data.items import find_items
from data.tokens import TokenItem, TokenStore, write_shard, write_store
from gpt import train as training
from gpt import training_tokens
from gpt.options import TrainOptions as GPTOptions
from storage.run_folder import RunFolderError
from training.order import DataOrder, SampleIndex
from viewing.look import training_curve
from viewing.look.contents import Batch, Training
from viewing.look.training_curve import (
    ENOUGH,
    Places,
    Point,
    TrainingFound,
    find_jumps,
    read_gpt_training,
    read_tokenizer_training,
)
from vqgan.options import TrainOptions as TokenizerOptions
from vqgan.train import train as train_tokenizer

STEPS = 7
BATCH = 4


def options(store: Path, out: Path, **changes: Any) -> GPTOptions:
    chosen = {"steps": STEPS, "batch": BATCH, "warmup": 1, "log_every": 1, "save_every": 3}
    return GPTOptions.of(tokens=store, out=out, **{**GPT_SHORT.flat(), **chosen, **changes})


def make_cropped_store(folder: Path) -> Path:
    """Twelve grids: two crops of each of five clips to train on, and two held-out clips."""
    store = TokenStore(make_store(folder))
    crops = [TokenItem(f"film_{clip}.mp4", 1.0, "train", crop) for clip in range(5) for crop in ("centre", "flip")]
    items = [*crops[:4], TokenItem("held.mp4", 0.0, "validation"), *crops[4:], TokenItem("held.mp4", 1.0, "validation")]
    grids = store.read(range(12)).view(12, 2, 4, 4)
    write_store(folder, store.metadata, [write_shard(folder, 0, store.metadata, grids)], items)
    return folder


class Recorder:
    """Notes which items of a store every step really read, by their tokens."""

    def __init__(self, store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[list[int]] = []
        rows = store.read(range(len(store)))
        read = training_tokens.read_samples

        def reading(*arguments: Any) -> torch.Tensor:
            tokens = read(*arguments)
            found = [(rows.unfold(1, tokens.shape[1], tokens.shape[1]) == row).all(dim=2).any(dim=1) for row in tokens]
            self.steps.append([int(same.nonzero()) for same in found])
            return tokens

        monkeypatch.setattr(training, "read_samples", reading)


def known(found: TrainingFound) -> Training:
    assert found.training is not None
    return found.training


def by_step(found: TrainingFound) -> dict[int, list[int]]:
    return {batch.step: list(batch.items) for batch in known(found).batches}


@pytest.mark.parametrize("latent_frames", ["in-order", "single"])
def test_batches_are_those_that_were_read_over_epochs_and_a_resumption(
    latent_frames: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TokenStore(make_cropped_store(tmp_path / "store"))
    recorder = Recorder(store, monkeypatch)
    chosen = {"latent_frames": latent_frames, "grad_accumulation": 2, "seed": 3}
    for steps in (3, STEPS):
        training.train(
            options(store.folder, tmp_path / "run", steps=steps, resume="auto", schedule="constant", **chosen),
            lambda gpt, held, path: None,
        )
    assert len(recorder.steps) == STEPS
    found = read_gpt_training(tmp_path / "run", store, range(len(store)))
    assert by_step(found) == dict(enumerate(recorder.steps))
    assert [step for step, _ in known(found).curve] == list(range(STEPS))
    assert found.notes == ()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return TokenStore(make_cropped_store(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def run(store: TokenStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    training.train(options(store.folder, out), lambda gpt, held, path: None)
    return out


def test_crops_are_where_their_clip_is_and_what_is_not_on_the_page_is_counted(run: Path, store: TokenStore) -> None:
    whole = by_step(read_gpt_training(run, store, range(len(store))))
    centres = [index for index, item in enumerate(store.items) if item.crop == "centre" and item.source != "film_4.mp4"]
    clips = [store.items[index].source for index in centres]
    for batch in known(read_gpt_training(run, store, centres)).batches:
        sources = [store.items[index].source for index in whole[batch.step]]
        assert list(batch.items) == [clips.index(source) for source in sources if source != "film_4.mp4"]
        assert batch.elsewhere == sources.count("film_4.mp4")


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_all_processes_together_read_the_batch(items: int, processes: int, share: int, step: int) -> None:
    batch = processes * share
    orders = [DataOrder(items, batch, 5, 0, 100, rank, processes) for rank in range(processes)]
    read = [sample.index for order in orders for sample in order.samples(step)]
    places = Places({item: item for item in range(items)}, range(items))
    assert places.batch(DataOrder(items, batch, 5, 0, 100), step) == Batch(step, tuple(read), 0)


def test_the_curve_is_that_of_the_metrics(run: Path, store: TokenStore) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = known(read_gpt_training(run, store, range(len(store))))
    assert found.curve == tuple((line["step"], line["loss"]) for line in lines if "loss" in line)
    assert found.validation == tuple(
        (line["step"], line["validation_nll"]) for line in lines if "validation_nll" in line
    )
    assert found.unit == "nats per token"


def test_without_a_store_what_it_was_trained_on_is_not_known(run: Path) -> None:
    found = read_gpt_training(run, None, ())
    assert known(found).curve
    assert known(found).batches == ()
    assert found.notes == ("What each step was trained on is not known: the token store of the run is not at hand.",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda run: (run / "data.json").unlink(), "the run did not write down what its token store held"),
        (lambda run: (run / "data.json").write_text("{"), r"data\.json is damaged"),
    ],
)
def test_without_a_record_of_the_store_nothing_is_guessed(
    change: Any, reason: str, run: Path, store: TokenStore, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    change(tmp_path / "run")
    found = read_gpt_training(tmp_path / "run", store, range(len(store)))
    assert known(found).batches == ()
    (note,) = found.notes
    assert reason.replace("\\", "") in note


def test_of_a_store_that_changed_since_nothing_is_guessed(run: Path, tmp_path: Path) -> None:
    other = TokenStore(make_store(tmp_path / "store", items=13))
    found = read_gpt_training(run, other, range(13))
    assert known(found).batches == ()
    assert found.notes == ("What each step was trained on is not known: the token store of the run has changed since.",)


def test_damaged_lines_of_metrics_are_counted_and_half_a_line_is_not(
    run: Path, store: TokenStore, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99}\n[1]\n{"loss": 2.0}\n\0\n{"step": 100, "lo')
    found = read_gpt_training(tmp_path / "run", store, range(len(store)))
    assert found.notes == ("3 damaged lines of metrics.jsonl are left out.",)
    assert [step for step, _ in known(found).curve] == list(range(STEPS))


def test_a_folder_without_a_run_is_refused_and_a_run_without_metrics_has_no_curve(
    run: Path, store: TokenStore, tmp_path: Path
) -> None:
    with pytest.raises(RunFolderError, match="holds no run"):
        read_gpt_training(tmp_path, store, ())
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert read_gpt_training(tmp_path / "run", store, ()).training is None


def curve(values: Sequence[float]) -> list[Point]:
    return [Point(20 * index + 19, value) for index, value in enumerate(values)]


def falling(points: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """A loss that falls as a power of the step, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.05, points)
    return 2 + 4 * np.arange(1, points + 1) ** -0.4 + noise


@pytest.mark.parametrize("at", [ENOUGH, 60, 199])
def test_a_planted_jump_is_found_at_its_step(at: int) -> None:
    values = falling(200)
    values[at : at + 12] += 3
    assert find_jumps(curve(values.tolist())) == [20 * at + 19]


def test_two_jumps_are_two(run: Path) -> None:
    values = falling(200)
    values[50] += 2
    values[52:90] += 2
    assert find_jumps(curve(values.tolist())) == [20 * 50 + 19, 20 * 52 + 19]


@given(st.integers(0, 2**32 - 1))
def test_noise_on_a_falling_loss_is_no_jump(seed: int) -> None:
    assert find_jumps(curve(falling(60, seed).tolist())) == []


def test_a_flat_loss_does_not_jump_by_rounding() -> None:
    assert find_jumps(curve([2.0] * 30 + [2.01] + [2.0] * 5)) == []


def test_of_a_long_training_points_and_batches_are_thinned_but_not_at_jumps(
    run: Path, store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run, tmp_path / "run")
    values = falling(200)
    values[150:] += 3
    lines = [json.dumps({"step": step, "loss": value}) for step, value in curve(values.tolist())]
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(training_curve, "MOST_POINTS", 20)
    monkeypatch.setattr(training_curve, "MOST_INDICES", 10 * BATCH)
    found = read_gpt_training(tmp_path / "run", store, range(len(store)))
    jump = 20 * 150 + 19
    assert known(found).jumps == (jump,)
    assert 20 <= len(known(found).curve) <= 22
    assert found.notes == (f"The curve shows {len(known(found).curve)} of 200 points, all jumps among them.",)
    steps = list(by_step(found))
    assert {jump - back for back in range(10)} <= set(steps)
    assert len(steps) <= 10 + 10


@pytest.mark.parametrize(("every", "since"), [(1, 1), (20, 20), (500, 100)])
def test_at_a_jump_there_are_all_steps_since_the_point_before(
    every: int, since: int, run: Path, store: TokenStore, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    values = falling(60)
    values[30:] += 3
    lines = [json.dumps({"step": every * index, "loss": value}) for index, value in enumerate(values.tolist())]
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    found = read_gpt_training(tmp_path / "run", store, range(len(store)))
    jump = 30 * every
    assert known(found).jumps == (jump,)
    assert [step for step in by_step(found) if jump - every < step <= jump] == list(range(jump - since + 1, jump + 1))


def test_of_a_tokenizer_the_items_are_those_whose_clips_were_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = make_videos(tmp_path / "videos", count=3, frames=24)
    read: list[tuple[str, float]] = []
    original = ClipDataset.__getitem__

    def reading(self: ClipDataset, key: Any) -> Any:
        if isinstance(key, SampleIndex):
            read.append((self.items[key.index].source.name, self.items[key.index].start))
        return original(self, key)

    monkeypatch.setattr(ClipDataset, "__getitem__", reading)
    chosen = {"steps": 4, "batch": 2, "warmup": 1, "log_every": 1, "save_every": 4, "continuous_steps": 1}
    train_tokenizer(TokenizerOptions.of(data=videos, out=tmp_path / "run", **{**SHORT.flat(), **chosen}))
    items = [(item.source.name, item.start) for item in find_items(videos, ClipFormat(8, 8.0, 16))[0]][1:]
    names, starts = zip(*items, strict=True)
    found = read_tokenizer_training(tmp_path / "run", names, starts)
    for batch in known(found).batches:
        expected = read[2 * batch.step : 2 * batch.step + 2]
        assert [items[index] for index in batch.items] == [item for item in expected if item in items]
        assert len(batch.items) + batch.elsewhere == 2
    assert [batch.step for batch in known(found).batches] == list(range(4))
    assert found.notes == ("Codes are used from step 1 on.",)
    (videos / "film_0.mp4").unlink()
    found = read_tokenizer_training(tmp_path / "run", names, starts)
    assert known(found).batches == ()
    assert found.notes[0] == "What each step was trained on is not known: the data of the run has changed since."
