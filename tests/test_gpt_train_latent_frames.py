"""GPTs that learn shuffled or single latent frames: controls, which resume as others do and say what they are."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny import GPT_SHORT, make_store

from data.latent_frames import SingleFrames, shuffle_latent_frames
from data.tokens import TokenStore
from gpt import train as training
from gpt.evaluate import item_nll
from gpt.model import GPT
from gpt.options import LatentFrames, TrainOptions
from gpt.training_tokens import open_tokens, read_held_out, read_samples
from storage.run_folder import RunFolderError, read_options
from training.order import DataOrder

GRID = (4, 4, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"), grid=GRID)


def options(store: Path, out: Path, latent_frames: LatentFrames, **changes: Any) -> TrainOptions:
    chosen = {**GPT_SHORT.flat(), "steps": 6, "batch": 4, "warmup": 1, "log_every": 1, "save_every": 3}
    return TrainOptions.of(tokens=store, out=out, latent_frames=latent_frames, **{**chosen, **changes})


def train(options: TrainOptions) -> Path:
    return training.train(options, lambda gpt, held, path: None)


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@given(latent_frames=st.integers(1, 6), places=st.integers(1, 5), seeds=st.lists(st.integers(0, 2**64), min_size=1))
@settings(max_examples=30)
def test_shuffling_keeps_every_latent_frame_whole(latent_frames: int, places: int, seeds: list[int]) -> None:
    tokens = torch.arange(len(seeds) * latent_frames * places).view(len(seeds), -1)
    shuffled = shuffle_latent_frames(tokens, (latent_frames, places, 1), seeds)
    for before, after in zip(tokens, shuffled, strict=True):
        frames = before.view(latent_frames, places).tolist()
        assert sorted(after.view(latent_frames, places).tolist()) == frames


def test_all_orders_of_latent_frames_are_equally_likely() -> None:
    tokens = torch.arange(3).expand(6000, 3)
    orders = shuffle_latent_frames(tokens, (3, 1, 1), range(6000))
    counts = orders.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 6
    assert 900 < int(counts.min()) <= int(counts.max()) < 1100


def test_the_order_of_a_seed_is_the_same_for_ever() -> None:
    orders = shuffle_latent_frames(torch.arange(5).expand(3, 5), (5, 1, 1), [0, 1, 2**40])
    assert orders.tolist() == [[4, 2, 3, 1, 0], [2, 0, 1, 4, 3], [3, 1, 0, 4, 2]]


def test_another_epoch_shuffles_an_item_in_another_way(store: Path) -> None:
    whole = open_tokens(store, "shuffled")
    items = whole.split("train")
    seen: dict[int, set[tuple[int, ...]]] = {}
    for samples in DataOrder(len(items), batch=9, seed=0, first_step=0, last_step=8):
        for sample in samples:
            (tokens,) = read_samples(whole, items, [sample], "shuffled")
            seen.setdefault(sample.index, set()).add(tuple(tokens.tolist()))
    assert {len(orders) >= 4 for orders in seen.values()} == {True}


def test_a_sample_does_not_depend_on_what_is_read_with_it(store: Path) -> None:
    whole = open_tokens(store, "shuffled")
    items = whole.split("train")
    samples = DataOrder(len(items), batch=6, seed=3, first_step=0, last_step=1).samples(0)
    together = read_samples(whole, items, samples, "shuffled")
    alone = torch.cat([read_samples(whole, items, [sample], "shuffled") for sample in reversed(samples)])
    assert torch.equal(together, alone.flip(0))


def test_held_out_clips_are_shuffled_alike_every_time(store: Path) -> None:
    first = read_held_out(open_tokens(store, "shuffled"), "shuffled", 10)
    assert torch.equal(first, read_held_out(open_tokens(store, "shuffled"), "shuffled", 10))
    in_order = read_held_out(open_tokens(store, "in-order"), "in-order", 10)
    assert not torch.equal(first, in_order)
    assert torch.equal(first.sort().values, in_order.sort().values)


def test_single_latent_frames_are_the_tokens_of_the_clips(store: Path) -> None:
    whole, single = TokenStore(store), SingleFrames(store)
    assert (len(single), single.metadata.grid, single.clips) == (4 * len(whole), (1, 4, 4), whole.metadata)
    assert torch.equal(single.read(range(len(single))).view(len(whole), -1), whole.read(range(len(whole))))
    assert single.split("validation") == [4 * clip + index for clip in whole.split("validation") for index in range(4)]
    assert [item.start for item in single.items[:5]] == [0.0, 0.5, 1.0, 1.5, 0.0]


def test_of_held_out_clips_all_latent_frames_are_taken(store: Path) -> None:
    whole, single = TokenStore(store), open_tokens(store, "single")
    held = whole.split("validation")
    assert torch.equal(read_held_out(single, "single", 100).view(3, -1), whole.read(held))
    assert torch.equal(read_held_out(single, "single", 9).view(2, -1), whole.read([held[0], held[1]]))


@pytest.mark.parametrize("latent_frames", ["shuffled", "single"])
def test_a_resumed_run_ends_with_the_same_weights_and_metrics(
    latent_frames: LatentFrames, store: Path, tmp_path: Path
) -> None:
    whole = train(options(store, tmp_path / "whole", latent_frames, dropout=0.1))
    train(options(store, tmp_path / "parts", latent_frames, dropout=0.1))
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "000006")
    parts = train(options(store, tmp_path / "parts", latent_frames, dropout=0.1, resume="auto"))
    first, second = load_file(whole / "model.safetensors"), load_file(parts / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_a_gpt_of_single_latent_frames_has_their_grid_and_nll(store: Path, tmp_path: Path) -> None:
    gpt = GPT.from_pretrained(train(options(store, tmp_path, "single", steps=3)))
    assert gpt.config.grid == (1, 4, 4)
    held = read_held_out(open_tokens(store, "single"), "single", 256)
    line = metrics(tmp_path)[-1]
    assert line["validation_nll"] == pytest.approx(float(item_nll(gpt, held, 8).mean()), rel=1e-6)
    bits_of_a_clip = line["validation_nll"] / torch.log(torch.tensor(2.0)).item() * 64
    assert line["validation_bits_per_pixel"] == pytest.approx(bits_of_a_clip / (16 * 16 * 16))


def test_shuffled_clips_are_other_batches_than_those_in_order(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "in-order", "in-order", steps=1))
    train(options(store, tmp_path / "shuffled", "shuffled", steps=1))
    losses = [metrics(tmp_path / name)[0]["loss"] for name in ("in-order", "shuffled")]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_what_a_control_learns_is_said_and_recorded(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path, "shuffled", steps=1))
    assert "shuffled, in a random order, another one each time: the GPT is a control" in capsys.readouterr().err
    assert read_options(tmp_path, TrainOptions).latent_frames == "shuffled"


def test_a_run_does_not_go_on_with_other_latent_frames(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, "in-order", steps=3))
    with pytest.raises(RunFolderError, match="--latent-frames in-order -> shuffled"):
        train(options(store, tmp_path, "shuffled", steps=6, resume="auto"))


@pytest.mark.parametrize("latent_frames", ["shuffled", "single"])
def test_stills_have_no_latent_frames_to_shuffle_or_part(latent_frames: LatentFrames, tmp_path: Path) -> None:
    make_store(tmp_path / "stills", grid=(1, 4, 4))
    with pytest.raises(ValueError, match=f"--latent-frames {latent_frames} is for clips of several latent frames"):
        train(options(tmp_path / "stills", tmp_path / "run", latent_frames))
    assert not (tmp_path / "run" / "config.json").exists()


def test_old_tokens_are_seen_as_the_new_ones_are(store: Path, tmp_path: Path) -> None:
    first = train(options(store, tmp_path / "first", "single", steps=1))
    train(options(store, tmp_path / "second", "single", steps=1, init=first, old_tokens=store))
    line = metrics(tmp_path / "second")[-1]
    assert line["old_validation_nll"] == line["validation_nll"]


def test_unless_asked_latent_frames_are_in_order() -> None:
    assert TrainOptions.of(tokens=Path("tokens"), out=Path("out")).latent_frames == "in-order"


def test_shuffled_tokens_are_not_those_in_the_store(store: Path) -> None:
    whole = open_tokens(store, "shuffled")
    items = whole.split("train")
    samples = DataOrder(len(items), batch=9, seed=0, first_step=0, last_step=1).samples(0)
    in_order = read_samples(whole, items, samples, "in-order")
    assert torch.equal(in_order, whole.read([items[sample.index] for sample in samples]))
    assert not torch.equal(read_samples(whole, items, samples, "shuffled"), in_order)
