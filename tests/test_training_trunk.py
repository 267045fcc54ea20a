"""Several ends from one trunk: each is, bit for bit, the run of its length made in one go."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import GPT_SHORT, SHORT, make_store, make_videos
from trainer import Trainer, job

from gpt import train as gpt_training
from gpt.options import TrainOptions as GPTTrainOptions
from storage.places import list_checkpoints
from storage.run_folder import RunFolderError
from training.schedule import rate_at
from vqgan.options import TrainOptions as TokenizerTrainOptions
from vqgan.train import train as train_tokenizer

SCHEDULE = {"steps": 12, "batch": 4, "warmup": 1, "log_every": 1, "save_every": 5, "keep": 1}
WSD = {**SCHEDULE, "schedule": "wsd", "decay_steps": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def trunk(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT's run of 12 steps, the last two of them a decay, which kept step 6 too."""
    run = tmp_path_factory.mktemp("trunk") / "run"
    train(options(store, run, keep_at=(6,)))
    return run


@pytest.fixture(scope="module")
def short(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of 8 steps that is made in one go."""
    run = tmp_path_factory.mktemp("short") / "run"
    train(options(store, run, steps=8))
    return run


def options(store: Path, out: Path, **changes: Any) -> GPTTrainOptions:
    architecture = replace(GPT_SHORT, dropout=0.1).flat()
    return GPTTrainOptions.of(tokens=store, out=out, **{**architecture, **WSD, **changes})


def train(options: GPTTrainOptions) -> Path:
    return gpt_training.train(options, lambda gpt, held, path: None)


def steps(run: Path) -> list[int]:
    return [int(path.name) for path in list_checkpoints(run)]


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def rates(run: Path) -> list[float]:
    return [line["learning_rate"] for line in metrics(run) if "learning_rate" in line]


def assert_same_end(first: Path, second: Path, end: int) -> None:
    """Two runs have the same final model, and the same state of training behind it."""
    for name in ("final/model.safetensors", f"checkpoints/{end:06d}/training_state/tensors.safetensors"):
        one, other = load_file(first / name), load_file(second / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


# What is kept


def test_the_checkpoint_before_a_decay_is_kept_beside_those_asked_for(trunk: Path) -> None:
    assert steps(trunk) == [6, 10, 12]


def test_the_rates_of_a_run_are_those_of_its_schedule(store: Path, trunk: Path) -> None:
    training = options(store, trunk).training
    assert rates(trunk) == [rate_at(step, training) for step in range(12)]
    assert rates(trunk)[1:11] == [1e-3] * 10
    assert rates(trunk)[11] < 1e-3


def test_what_is_kept_for_good_stays_when_a_run_goes_on_without_being_told_again(store: Path, tmp_path: Path) -> None:
    constant = {"schedule": "constant", "decay_steps": 0, "save_every": 2}
    train(options(store, tmp_path / "run", **constant, steps=4, keep_at=(1,)))
    train(options(store, tmp_path / "run", **constant, steps=6, keep_at=(4,), resume="auto"))
    train(options(store, tmp_path / "run", **constant, steps=8, resume="auto"))
    assert steps(tmp_path / "run") == [1, 4, 8]


def test_where_a_decay_began_is_kept_when_the_run_ends_otherwise(store: Path, trunk: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "run", steps=8, trunk=trunk))
    train(options(store, tmp_path / "run", resume="auto"))
    assert steps(tmp_path / "run") == [6, 10, 12]


def test_a_checkpoint_of_a_trunk_is_kept_though_it_was_not_there(store: Path, short: Path, tmp_path: Path) -> None:
    constant = {"schedule": "constant", "decay_steps": 0, "steps": 6}
    train(options(store, tmp_path / "trunk", **constant))
    train(options(store, tmp_path / "run", steps=8, trunk=tmp_path / "trunk"))
    train(options(store, tmp_path / "run", resume="auto"))
    assert steps(tmp_path / "run") == [6, 10, 12]


# Another end


def test_an_end_from_a_trunk_is_that_of_the_run_made_in_one_go(
    store: Path, trunk: Path, short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path / "run", steps=8, trunk=trunk))
    assert f"begins with step 6 of {trunk}, and decays from here on\n" in capsys.readouterr().err
    assert_same_end(tmp_path / "run", short, 8)
    assert metrics(tmp_path / "run") == metrics(short)
    assert steps(tmp_path / "run") == [6, 8]


def test_of_a_trunk_nothing_is_changed(store: Path, trunk: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in trunk.rglob("*") if path.is_file()}
    train(options(store, tmp_path / "run", steps=8, trunk=trunk))
    assert {path: path.read_bytes() for path in trunk.rglob("*") if path.is_file()} == before


def test_a_run_at_a_constant_rate_is_a_trunk_too(store: Path, short: Path, tmp_path: Path) -> None:
    constant = {"schedule": "constant", "decay_steps": 0, "steps": 7, "keep_at": (6,)}
    train(options(store, tmp_path / "trunk", **constant))
    train(options(store, tmp_path / "run", steps=8, trunk=tmp_path / "trunk"))
    assert_same_end(tmp_path / "run", short, 8)


def test_an_end_that_was_interrupted_goes_on_by_itself(store: Path, trunk: Path, short: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(trunk, tmp_path / "trunk"))
    train(options(store, tmp_path / "run", steps=8, trunk=copied))
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "000008")
    shutil.rmtree(copied)
    train(options(store, tmp_path / "run", steps=8, trunk=copied, resume="auto"))
    assert_same_end(tmp_path / "run", short, 8)
    assert metrics(tmp_path / "run") == metrics(short)


def test_an_end_of_a_tokenizer_is_that_of_the_run_made_in_one_go(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos")
    chosen = {**replace(SHORT, codes=256).flat(), **WSD, "batch": 2, "continuous_steps": 1}
    adversary = {"adversarial_weight": 0.5, "adversarial_start": 2, "adversarial_ramp": 2}
    chosen = {**chosen, **adversary, "discriminator_width": 4, "discriminator_layers": 2, "data": videos}
    train_tokenizer(TokenizerTrainOptions.of(out=tmp_path / "trunk", **chosen, keep_at=(6,)))
    short = {**chosen, "steps": 8}
    train_tokenizer(TokenizerTrainOptions.of(out=tmp_path / "run", **short, trunk=tmp_path / "trunk"))
    train_tokenizer(TokenizerTrainOptions.of(out=tmp_path / "short", **short))
    assert_same_end(tmp_path / "run", tmp_path / "short", 8)
    assert metrics(tmp_path / "run") == metrics(tmp_path / "short")


def test_a_process_of_its_own_begins_with_a_trunk(store: Path, trunk: Path, short: Path, tmp_path: Path) -> None:
    chosen = options(store, tmp_path / "run", steps=8, trunk=trunk)
    flat = {name: str(value) if isinstance(value, Path) else value for name, value in chosen.flat().items()}
    flat = {name: value for name, value in flat.items() if name not in ("tokens", "out")}
    Trainer([job("gpt", store, tmp_path / "run", **flat)], tmp_path / "log").finish()
    assert_same_end(tmp_path / "run", short, 8)


# A trunk that cannot be used


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 9}, r"no checkpoint of step 7, .* there are: 6, 10, 12\. .*train the trunk with --keep-at 7"),
        ({"steps": 14}, "began to decay at step 10, and this run does at step 12: .* that differ by 10 at most"),
        ({"steps": 8, "batch": 2}, r"trained with other options \(--batch 4 -> 2\): give the same ones"),
        ({"steps": 8, "layers": 3, "seed": 1}, r"\(--layers 2 -> 3; --seed 0 -> 1\)"),
    ],
)
def test_a_trunk_that_does_not_fit_is_refused(
    store: Path, trunk: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunFolderError, match=message):
        train(options(store, tmp_path / "run", trunk=trunk, **changes))
    assert not (tmp_path / "run").exists()


def test_a_cosine_has_no_trunk(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path / "cosine", schedule="cosine", decay_steps=0, steps=2))
    with pytest.raises(
        RunFolderError, match="with --schedule cosine, whose rate falls from the warm-up on: name a run"
    ):
        train(options(store, tmp_path / "run", trunk=tmp_path / "cosine"))


def test_a_trunk_of_other_data_is_refused(trunk: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", items=13)
    with pytest.raises(RunFolderError, match=f"--trunk {trunk} did not learn from --tokens {other}"):
        train(options(other, tmp_path / "run", steps=8, trunk=trunk))


def test_a_damaged_trunk_is_refused(store: Path, trunk: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(trunk, tmp_path / "trunk"))
    (copied / "checkpoints" / "000006" / "model.safetensors").unlink()
    with pytest.raises(RunFolderError, match=f"--trunk {copied} cannot be gone on from: .*000006"):
        train(options(store, tmp_path / "run", steps=8, trunk=copied))


@pytest.mark.parametrize("name", ["checkpoints/000006", "checkpoints", "final", "final/model.safetensors"])
def test_what_lies_in_a_trunk_is_not_the_trunk(store: Path, trunk: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match=f"--trunk {trunk / name} lies in a run: give the run, {trunk}$"):
        train(options(store, tmp_path / "run", steps=8, trunk=trunk / name))


@pytest.mark.parametrize(("name", "message"), [("run", "is --out itself"), ("nothing", "holds no run")])
def test_a_trunk_must_be_another_run(store: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(RunFolderError, match=message):
        train(options(store, tmp_path / "run", steps=8, trunk=tmp_path / name))


# Going on to another end in the same folder


def test_a_finished_run_goes_on_from_before_its_decay(
    store: Path, short: Path, trunk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(short, tmp_path / "run"))
    train(options(store, run, keep_at=(6,), resume="auto"))
    assert (
        "the run ends otherwise (it decayed from step 6 to 8, and is to from step 10 to 12): it goes on from step 6"
        in capsys.readouterr().err
    )
    assert_same_end(run, trunk, 12)
    assert [line for line in metrics(run) if "loss" in line] == [line for line in metrics(trunk) if "loss" in line]
    assert steps(run) == [6, 10, 12]


def test_a_run_that_was_stopped_before_its_decay_is_not_said_to_have_decayed(
    store: Path, trunk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(trunk, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints" / "000012")
    train(options(store, run, steps=14, decay_steps=4, resume="auto"))
    assert (
        "the run ends otherwise (it was to decay from step 10 to 12, and is to from step 10 to 14): it goes on from "
        "step 10, before a decay began\n" in capsys.readouterr().err
    )


def test_what_is_replaced_of_a_run_that_did_not_decay_is_said(
    store: Path, trunk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(trunk, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints" / "000012")
    train(options(store, run, decay_steps=4, resume="auto"))
    said = capsys.readouterr().err
    assert "(it was to decay from step 10 to 12, and is to from step 8 to 12): it goes on from step 6, before" in said
    assert "and what came after is replaced; to keep both ends" in said


def test_samples_from_after_another_end_go_with_it(store: Path, short: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(short, tmp_path / "run"))
    (run / "samples").mkdir()
    for name in ("000004.png", "000008.png", "000008.npy", "mine.png"):
        (run / "samples" / name).touch()
    train(options(store, run, resume="auto"))
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["000004.png", "mine.png"]


def test_a_longer_decay_goes_on_from_before_it_began(store: Path, trunk: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trunk, tmp_path / "run"))
    train(options(store, run, decay_steps=5, resume="auto"))
    train(options(store, tmp_path / "whole", decay_steps=5))
    assert_same_end(run, tmp_path / "whole", 12)


def test_a_run_that_is_still_in_its_trunk_goes_on_from_the_newest_checkpoint(
    store: Path, trunk: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trunk, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints" / "000012")
    train(options(store, run, steps=14, resume="auto"))
    train(options(store, tmp_path / "whole", steps=14))
    assert_same_end(run, tmp_path / "whole", 14)


def test_a_run_killed_before_it_saves_again_does_not_go_on_from_the_end_before(
    store: Path, short: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(short, tmp_path / "run"))

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gpt_training.train(options(store, run, sample_every=7, resume="auto"), kill)
    assert steps(run) == [6]
    train(options(store, run, resume="auto"))
    train(options(store, tmp_path / "whole"))
    assert_same_end(run, tmp_path / "whole", 12)


def test_a_run_without_a_checkpoint_from_before_its_decay_is_refused(store: Path, short: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(short, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints" / "000006")
    with pytest.raises(
        RunFolderError, match=r"cannot end otherwise .* of step 6 or before, and the oldest is .* step 8"
    ):
        train(options(store, run, resume="auto"))
    assert (run / "final").exists()


def test_the_same_end_said_in_another_way_is_no_other(store: Path, tmp_path: Path) -> None:
    train(options(store, tmp_path, steps=10, decay_steps=0))
    before = (tmp_path / "final" / "model.safetensors").read_bytes()
    train(options(store, tmp_path, steps=10, decay_steps=1, resume="auto"))
    assert (tmp_path / "final" / "model.safetensors").read_bytes() == before
    assert steps(tmp_path) == [9, 10]
