"""A failed start leaves nothing behind; a run that is resumed says what changed, and refuses what must not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import GPT_SHORT, SHORT, make_images, make_store, make_videos

from data.errors import MediaError, TokenStoreError
from gpt import train as gpt_training
from gpt.model import GPT
from gpt.options import TrainOptions as GPTTrainOptions
from storage.files import temporary_path
from storage.lock import FolderLockError
from storage.metrics_log import log_metrics
from storage.model_paths import find_model
from storage.places import list_checkpoints
from storage.run_folder import RunFolderError, open_run, read_options
from vqgan.options import TrainOptions as TokenizerTrainOptions
from vqgan.train import train as train_tokenizer

SCHEDULE = {"steps": 4, "batch": 4, "warmup": 1, "log_every": 1, "save_every": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def finished(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT's run of four steps; tests take copies of it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    train(options(store, run))
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def options(store: Path, out: Path, **changes: Any) -> GPTTrainOptions:
    return GPTTrainOptions.of(tokens=store, out=out, **{**GPT_SHORT.flat(), **SCHEDULE, **changes})


def tokenizer_options(data: Path, out: Path, **changes: Any) -> TokenizerTrainOptions:
    chosen = {**replace(SHORT, codes=256).flat(), **SCHEDULE, "batch": 2, "continuous_steps": 1}
    return TokenizerTrainOptions.of(data=data, out=out, **{**chosen, **changes})


def train(options: GPTTrainOptions) -> Path:
    return gpt_training.train(options, lambda gpt, held, path: None)


def steps(run: Path) -> list[int]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [line["step"] for line in map(json.loads, lines) if "loss" in line]


def same_weights(first: Path, second: Path) -> bool:
    one, other = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    return all(torch.equal(one[name], other[name]) for name in one)


# A failed start


@pytest.mark.parametrize("resume", ["no", "auto"])
def test_a_mistyped_store_leaves_no_folder(tmp_path: Path, resume: str) -> None:
    with pytest.raises(TokenStoreError):
        train(options(tmp_path / "mistyped", tmp_path / "a" / "run", resume=resume))
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_training_items_leaves_no_folder(tmp_path: Path) -> None:
    empty = make_store(tmp_path / "store", items=2, held_out=2)
    with pytest.raises(TokenStoreError):
        train(options(empty, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("resume", ["no", "auto"])
def test_mistyped_data_leave_no_folder(tmp_path: Path, resume: str) -> None:
    with pytest.raises(MediaError):
        train_tokenizer(tokenizer_options(tmp_path / "mistyped", tmp_path / "a" / "run", resume=resume))
    assert list(tmp_path.iterdir()) == []


def test_too_few_data_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        train_tokenizer(tokenizer_options(make_videos(tmp_path / "videos", 1), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_missing_weights_of_the_perceptual_loss_leave_no_folder(videos: Path, tmp_path: Path) -> None:
    missing = f"timm:resnet18:{tmp_path / 'missing.safetensors'}"
    with pytest.raises((ValueError, OSError), match="missing"):
        train_tokenizer(tokenizer_options(videos, tmp_path / "run", perceptual=missing))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_gets_nothing(store: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "environment.json").mkdir(parents=True)
    with pytest.raises(OSError, match="environment"):
        train(options(store, tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["environment.json"]


def test_a_failed_start_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(MediaError):
        train_tokenizer(tokenizer_options(make_videos(tmp_path / "videos", 1), tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_the_right_data_start_where_an_older_version_had_failed(store: Path, tmp_path: Path) -> None:
    open_run(tmp_path / "run", options(tmp_path / "mistyped", tmp_path / "run"))
    assert train(options(store, tmp_path / "run")).exists()


def test_a_run_killed_before_its_first_checkpoint_is_started_again_as_if_it_had_not_been(
    store: Path, finished: Path, tmp_path: Path
) -> None:
    open_run(tmp_path / "run", options(store, tmp_path / "run"))
    log_metrics(tmp_path / "run", step=0, loss=1.0)
    train(options(store, tmp_path / "run"))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()


def test_a_finished_run_is_not_started_again(store: Path, run: Path) -> None:
    with pytest.raises(RunFolderError, match="already holds a run"):
        train(options(store, run))


def test_overwriting_waits_until_everything_is_checked(tmp_path: Path, run: Path) -> None:
    with pytest.raises(TokenStoreError):
        train(options(tmp_path / "mistyped", run, overwrite=True))
    assert (run / "final" / "model.safetensors").exists()
    assert len(list_checkpoints(run)) == 2


def test_what_killed_processes_left_half_written_is_removed(store: Path, run: Path) -> None:
    left = temporary_path(run / "samples" / "000002.npy")
    left.parent.mkdir()
    left.write_bytes(b"ha")
    train(options(store, run, resume="auto"))
    assert not left.exists()
    assert not (run / "writing.lock").exists()


def test_overwriting_leaves_no_picture_of_the_run_before(store: Path, run: Path) -> None:
    (run / "samples").mkdir()
    for path in (run / "samples" / "000009.png", run / "samples" / "000009.npy", run / "notes.txt"):
        path.touch()
    (run / "loss.png").write_bytes(b"old")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gpt_training.train(options(store, run, sample_every=1, overwrite=True), stop)
    assert not (run / "samples").exists()
    assert not list(run.glob("loss.*"))
    assert (run / "notes.txt").exists()


def test_overwriting_leaves_the_pictures_that_people_put_there(store: Path, run: Path) -> None:
    (run / "samples").mkdir()
    for name in ("000009.png", "000009.txt", "mine.png"):
        (run / "samples" / name).touch()
    train(options(store, run, overwrite=True))
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["000009.txt", "mine.png"]


# More steps


def test_more_steps_at_a_constant_rate_end_where_one_run_of_so_many_does(store: Path, tmp_path: Path) -> None:
    whole = train(options(store, tmp_path / "whole", steps=6, schedule="constant"))
    train(options(store, tmp_path / "run", schedule="constant"))
    longer = train(options(store, tmp_path / "run", steps=6, schedule="constant", resume="auto"))
    assert same_weights(longer, whole)
    assert steps(tmp_path / "run") == list(range(6))


def test_more_steps_are_said_with_what_the_learning_rate_does(
    store: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = options(store, run, steps=6, resume="auto")
    train(longer)
    said = capsys.readouterr().err
    assert "changed since the run began: --steps 4 -> 6\n" in said
    before = gpt_training.rate_at(3, options(store, run))
    now = gpt_training.rate_at(4, longer)
    assert (
        "the learning rate rises again, as it follows the schedule of 6 steps from here on: "
        f"it was {before:.3g} and is {now:.3g} at step 4\n" in said
    )
    assert read_options(run, GPTTrainOptions).training.steps == 6


def test_a_rate_that_does_not_rise_is_not_said_to(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(options(store, tmp_path / "run", schedule="constant"))
    train(options(store, tmp_path / "run", schedule="constant", steps=6, resume="auto"))
    assert "the learning rate follows the schedule of 6 steps from here on: it was 0.001" in capsys.readouterr().err


def test_a_run_that_goes_on_is_its_newest_checkpoint_until_it_ends(store: Path, run: Path) -> None:
    found = []

    def look(gpt: GPT, held: torch.Tensor, path: Path) -> None:
        found.append(find_model(run).name)

    gpt_training.train(options(store, run, steps=6, sample_every=5, resume="auto"), look)
    assert found == ["000004"]
    assert find_model(run).name == "final"


def test_fewer_steps_than_are_done_are_refused_with_what_to_give(store: Path, run: Path) -> None:
    expected = r"--steps 3 is less than the 4 steps .*: give --steps 4 or more, .*--overwrite, .*--out"
    with pytest.raises(RunFolderError, match=expected):
        train(options(store, run, steps=3, resume="auto"))
    assert read_options(run, GPTTrainOptions).training.steps == 4


def test_fewer_steps_than_were_asked_for_end_the_run_earlier(store: Path, run: Path) -> None:
    shutil.rmtree(run / "checkpoints" / "000004")
    train(options(store, run, steps=3, resume="auto"))
    assert steps(run) == [0, 1, 2]


def test_a_final_model_without_a_checkpoint_is_not_begun_anew(store: Path, run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunFolderError, match="no checkpoint from which"):
        train(options(store, run, resume="auto"))


# What else may change, and what may not


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grad_accumulation": 2}, "--grad-accumulation 1 -> 2"),
        ({"activation_checkpointing": True}, "--no-activation-checkpointing -> --activation-checkpointing"),
        ({"validation_items": 2}, "--validation-items 256 -> 2"),
        ({"save_every": 1}, "--save-every 2 -> 1"),
    ],
)
def test_a_run_goes_on_with_changes_that_it_says(
    store: Path, run: Path, change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "checkpoints" / "000004")
    train(options(store, run, resume="auto", **change))
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("changed")]
    assert told == [f"changed since the run began: {said}"]
    assert read_options(run, GPTTrainOptions) == options(store, run, resume="auto", **change)
    assert steps(run) == [0, 1, 2, 3]


def test_another_number_of_workers_is_said_and_changes_no_bit(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train_tokenizer(tokenizer_options(videos, tmp_path / "whole"))
    train_tokenizer(tokenizer_options(videos, tmp_path / "run"))
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "000004")
    parts = train_tokenizer(tokenizer_options(videos, tmp_path / "run", workers=1, resume="auto"))
    assert "changed since the run began: --workers 0 -> 1\n" in capsys.readouterr().err
    assert same_weights(parts, whole)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch": 2}, "--batch 4 -> 2"),
        ({"learning_rate": 0.5}, r"--learning-rate 0\.001 -> 0\.5"),
        ({"seed": 3}, "--seed 0 -> 3"),
        ({"schedule": "constant"}, "--schedule cosine -> constant"),
        ({"layers": 3}, "--layers 2 -> 3"),
    ],
)
def test_what_must_not_change_is_refused_by_name(store: Path, run: Path, change: dict[str, Any], named: str) -> None:
    expected = rf"\({named}\): give the old ones, begin anew with --overwrite, or choose another --out"
    with pytest.raises(RunFolderError, match=expected):
        train(options(store, run, resume="auto", **change))


# Where the data lie


def test_a_store_spelt_otherwise_is_the_same(store: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spelt = store / ".." / store.name
    train(options(spelt, run, resume="auto"))
    assert f"changed since the run began: --tokens {store} -> {spelt}\n" in capsys.readouterr().err


def test_a_store_that_was_moved_is_the_same(store: Path, run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(store, tmp_path / "moved"))
    train(options(moved, run, steps=6, resume="auto"))
    assert read_options(run, GPTTrainOptions).tokens == moved


@pytest.mark.parametrize(("items", "told"), [(12, "which holds other items"), (13, "then 12 items -> .*, 13 items")])
def test_another_store_is_refused(store: Path, run: Path, tmp_path: Path, items: int, told: str) -> None:
    other = make_store(tmp_path / "other", items=items, held_out=4)
    with pytest.raises(RunFolderError, match=rf"--tokens {store}.*{told}"):
        train(options(other, run, resume="auto"))


def test_another_store_under_the_old_name_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    train(options(store, tmp_path / "run"))
    shutil.rmtree(store)
    make_store(store, items=13)
    with pytest.raises(RunFolderError, match=r"--tokens .*12 items -> .*13 items.*--overwrite"):
        train(options(store, tmp_path / "run", resume="auto"))


def test_a_run_of_an_older_version_goes_on_with_its_store(store: Path, run: Path) -> None:
    (run / "data.json").unlink()
    train(options(store, run, steps=6, resume="auto"))


def test_of_a_run_of_an_older_version_a_moved_store_cannot_be_told(store: Path, run: Path, tmp_path: Path) -> None:
    (run / "data.json").unlink()
    moved = Path(shutil.copytree(store, tmp_path / "moved"))
    with pytest.raises(RunFolderError, match=rf"--tokens {store} -> {moved}, and what the first held was not written"):
        train(options(moved, run, resume="auto"))


def test_data_that_were_moved_are_the_same_and_others_are_not(tmp_path: Path) -> None:
    data = make_images(tmp_path / "images", 4)
    run = tmp_path / "run"
    train_tokenizer(tokenizer_options(data, run, steps=1))
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    shutil.rmtree(data)
    train_tokenizer(tokenizer_options(moved, run, steps=2, resume="auto"))
    assert read_options(run, TokenizerTrainOptions).data == moved
    make_images(moved, 5)
    with pytest.raises(RunFolderError, match=r"--data .*4 items -> .*5 items"):
        train_tokenizer(tokenizer_options(moved, run, steps=3, resume="auto"))


# The lock


def test_a_training_that_lost_its_folder_ends_and_writes_nothing_more(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def take_folder(gpt: GPT, held: torch.Tensor, path: Path) -> None:
        (run / "writing.lock").write_text(json.dumps({"host": "node", "process": 7, "since": "now", "id": "abc"}))

    with pytest.raises(FolderLockError, match=r"process 7 on node .*nothing more is written"):
        gpt_training.train(options(store, run, steps=6, sample_every=3), take_folder)
    assert [checkpoint.name for checkpoint in list_checkpoints(run)] == ["000002"]
    assert steps(run) == [0, 1, 2]
    assert json.loads((run / "writing.lock").read_text())["process"] == 7


def test_a_training_whose_folder_was_deleted_ends(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RunFolderError, match="was removed"):
        gpt_training.train(options(store, run, sample_every=1), lambda gpt, held, path: shutil.rmtree(run))
    assert not run.exists()


def test_a_folder_that_is_held_is_not_touched(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "writing.lock").write_text(json.dumps({"host": "node", "process": 7, "since": "now", "id": "abc"}))
    with pytest.raises(FolderLockError, match=f"secondsight unlock {run} --owner node:7"):
        train(options(store, run))
    assert [path.name for path in run.iterdir()] == ["writing.lock"]
