"""Checkpoints that are saved in parts, or in the background, are those that would be saved at once and whole."""

import json
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import GPT_SHORT, make_store, make_tokens
from trainer import Trainer, job, metrics, start_two

from gpt.model import GPT
from gpt.train import build_optimizer
from storage.checkpoints import check_checkpoint, newest_checkpoint
from storage.lock import FolderLock, FolderLockError
from storage.model_folder import load_model_folder
from storage.model_paths import CheckpointError
from storage.places import list_checkpoints
from storage.tensor_parts import load_whole
from training.inheritance import InitError, find_moments, load_parent
from training.options import TrainingOptions
from training.saving import CheckpointSaver
from training.snapshots import take_snapshot
from training.state import load_training_state
from training.writing import CheckpointWriteError, Together, write_checkpoint

BACKGROUND = TrainingOptions(save_in_background=True)
PARTS = TrainingOptions(checkpoints="sharded")
Learner = tuple[GPT, torch.optim.Optimizer]
FILES = (
    "config.json",
    "model.parts.json",
    "model.00000-of-00001.safetensors",
    "training_state/state.json",
    "training_state/tensors.parts.json",
    "training_state/tensors.00000-of-00001.safetensors",
)


def learner() -> Learner:
    torch.manual_seed(0)
    model = GPT(GPT_SHORT)
    return model, build_optimizer(model, 1e-2, 0.1)


def learn(model: GPT, optimizer: torch.optim.Optimizer) -> None:
    tokens = make_tokens()
    optimizer.zero_grad()
    model(model.with_bos(tokens[:, :-1]), targets=tokens[:, model.first_scored :]).backward()
    optimizer.step()


def contents(checkpoint: Path) -> dict[str, bytes]:
    return {str(path.relative_to(checkpoint)): path.read_bytes() for path in checkpoint.rglob("*") if path.is_file()}


def save_all(run: Path, training: TrainingOptions) -> list[dict[str, bytes]]:
    """What is saved after each of three steps."""
    model, optimizer = learner()
    with CheckpointSaver(run, training) as saver:
        for step in range(1, 4):
            learn(model, optimizer)
            saver.save(step, model, {"gpt": optimizer}, score=-step)
    return [contents(checkpoint) for checkpoint in list_checkpoints(run)]


class Gate:
    """What a save asks whether it may write; it waits here until it is let through."""

    def __init__(self, answer: Callable[[], object] = lambda: None) -> None:
        self._answer = answer
        self._open = threading.Event()

    def __call__(self) -> None:
        self._open.wait()
        self._answer()

    def open(self, after: float = 0) -> None:
        threading.Timer(after, self._open.set).start()


def check_until_it_fails(saver: CheckpointSaver) -> None:
    """What a training does whose steps take no time."""
    while True:
        saver.check()


def save_and_fail(saver: CheckpointSaver, each: Learner, error: BaseException, gate: Gate | None = None) -> None:
    """What a training does that ends while a checkpoint is being saved."""
    with saver:
        saver.save(1, each[0], {"gpt": each[1]})
        if gate is not None:
            gate.open(after=0.05)
        raise error


# In the background


def test_in_the_background_the_same_bytes_are_saved(tmp_path: Path) -> None:
    saved = save_all(tmp_path / "background", BACKGROUND)
    assert len(saved) == 3  # the two newest and the best
    assert saved == save_all(tmp_path / "at once", TrainingOptions())


def test_steps_that_are_taken_meanwhile_do_not_change_what_is_saved(tmp_path: Path) -> None:
    model, optimizer = learner()
    learn(model, optimizer)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gate = Gate()
    with CheckpointSaver(tmp_path, BACKGROUND, gate) as saver:
        saver.save(1, model, {"gpt": optimizer})
        learn(model, optimizer)
        assert list_checkpoints(tmp_path) == []
        gate.open()
    saved = GPT.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(saved[name], before[name]) for name in before)
    assert not all(torch.equal(saved[name], tensor) for name, tensor in model.state_dict().items())


def test_an_optimizer_waits_until_its_weights_are_copied(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = GPT(replace(GPT_SHORT, width=512))
    optimizer = build_optimizer(model, 1e-2, 0.1)
    learn(model, optimizer)
    with CheckpointSaver(tmp_path, BACKGROUND) as saver:
        for step in range(1, 5):
            expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            saver.save(step, model, {"gpt": optimizer})
            optimizer.step()  # with the gradients of before: there is no time to copy in
            saver.wait()
            saved = load_file(tmp_path / "checkpoints" / f"{step:06d}" / "model.safetensors")
            assert all(torch.equal(saved[name], tensor) for name, tensor in expected.items())


def test_weights_that_no_optimizer_steps_are_copied_at_once(tmp_path: Path) -> None:
    model, optimizer = learner()
    learn(model, optimizer)
    average, _ = learner()
    before = average.head.weight.clone()
    gate = Gate()
    with CheckpointSaver(tmp_path, BACKGROUND, gate) as saver:
        saver.save(1, average, {"gpt": optimizer})
        with torch.no_grad():
            average.head.weight.zero_()
        gate.open()
    assert torch.equal(GPT.from_pretrained(tmp_path).head.weight, before)


def test_optimizers_are_held_back_no_longer_than_the_saver_is_there(tmp_path: Path) -> None:
    model, optimizer = learner()
    with CheckpointSaver(tmp_path, BACKGROUND) as saver:
        saver.save(1, model, {"gpt": optimizer})
        assert optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_pre_hooks


def test_a_save_waits_for_the_one_before(tmp_path: Path) -> None:
    model, optimizer = learner()
    gate = Gate()
    with CheckpointSaver(tmp_path, BACKGROUND, gate) as saver:
        saver.save(1, model, {"gpt": optimizer})
        gate.open(after=0.05)
        saver.save(2, model, {"gpt": optimizer})
        assert (tmp_path / "checkpoints" / "000001").is_dir()


def test_a_save_can_be_waited_for(tmp_path: Path) -> None:
    model, optimizer = learner()
    with CheckpointSaver(tmp_path, BACKGROUND) as saver:
        saver.save(1, model, {"gpt": optimizer}, wait=True)
        assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000001"


def test_a_full_disk_is_told_at_a_step_that_follows(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    model, optimizer = learner()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with CheckpointSaver(tmp_path, BACKGROUND) as saver:
        saver.save(1, model, {"gpt": optimizer}, wait=True)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
            saver.save(2, model, {"gpt": optimizer})
            with pytest.raises(CheckpointWriteError, match=r"step 2 cannot be written .* continue with --resume auto"):
                check_until_it_fails(saver)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000001"]


def test_numbers_that_are_not_finite_are_told_at_the_end(tmp_path: Path) -> None:
    model, optimizer = learner()
    with torch.no_grad():
        model.head.weight[0, 0] = torch.nan
    with (
        pytest.raises(FloatingPointError, match=r"after step 1, head\.weight is not finite"),
        CheckpointSaver(tmp_path, BACKGROUND) as saver,
    ):
        saver.save(1, model, {"gpt": optimizer})
    assert not (tmp_path / "checkpoints").exists()


def save_at_once(run: Path, step: int, each: Learner, check: Callable[[], object]) -> None:
    with CheckpointSaver(run, TrainingOptions(), check) as saver:
        saver.save(step, each[0], {"gpt": each[1]})


def save_in_background(run: Path, step: int, each: Learner, check: Callable[[], object]) -> None:
    with CheckpointSaver(run, BACKGROUND, check) as saver:
        saver.save(step, each[0], {"gpt": each[1]})


def save_in_parts(run: Path, step: int, each: Learner, check: Callable[[], object] = lambda: None) -> None:
    """Save a learner in the parts that a process would write which shares it with none."""
    snapshot = take_snapshot(step, each[0], {"gpt": each[1]}, in_parts=True)
    write_checkpoint(run, snapshot, keep=2, together=Together(), check=check)


@pytest.mark.parametrize("save", [save_at_once, save_in_parts, save_in_background])
def test_a_folder_that_was_taken_meanwhile_gets_no_checkpoint(tmp_path: Path, save: Callable[..., None]) -> None:
    others = tmp_path / "checkpoints" / "000007.other-1-0123abcd.tmp"
    asked = 0
    with FolderLock(tmp_path) as lock:

        def check() -> None:
            nonlocal asked
            asked += 1
            if asked == 2:  # before it gets its name
                (tmp_path / "writing.lock").unlink()
                others.mkdir()
            lock.check()

        with pytest.raises(FolderLockError, match="no longer held by this process"):
            save(tmp_path, 1, learner(), check)
    assert list((tmp_path / "checkpoints").iterdir()) == [others]


def test_an_error_of_the_training_waits_for_what_is_being_saved(tmp_path: Path) -> None:
    gate = Gate()
    with pytest.raises(ValueError, match="of the training"):
        save_and_fail(CheckpointSaver(tmp_path, BACKGROUND, gate), learner(), ValueError("of the training"), gate)
    assert newest_checkpoint(tmp_path) is not None


def test_what_is_lost_beside_an_error_of_the_training_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, optimizer = learner()
    with torch.no_grad():
        model.head.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="of the training"):
        save_and_fail(CheckpointSaver(tmp_path, BACKGROUND), (model, optimizer), ValueError("of the training"))
    assert "that was being written is lost: after step 1, head.weight is not finite" in capsys.readouterr().err


def test_who_presses_ctrl_c_twice_does_not_wait_for_a_checkpoint(tmp_path: Path) -> None:
    gate = Gate()
    with pytest.raises(KeyboardInterrupt):
        save_and_fail(CheckpointSaver(tmp_path, BACKGROUND, gate), learner(), KeyboardInterrupt(), gate)
    assert not list((tmp_path / "checkpoints").glob("*"))


# In parts


def in_parts(run: Path) -> Learner:
    """A learner that was saved in parts after each of two steps."""
    model, optimizer = learner()
    for step in (1, 2):
        learn(model, optimizer)
        save_in_parts(run, step, (model, optimizer))
    return model, optimizer


def test_what_no_process_holds_a_part_of_is_saved_whole(tmp_path: Path) -> None:
    assert save_all(tmp_path / "parts", PARTS) == save_all(tmp_path / "whole", TrainingOptions())


def test_a_checkpoint_in_parts_is_loaded_as_a_whole_one_is(tmp_path: Path) -> None:
    model, optimizer = in_parts(tmp_path)
    checkpoint = tmp_path / "checkpoints" / "000002"
    assert sorted(contents(checkpoint)) == sorted(FILES)
    found = GPT.from_pretrained(checkpoint).train()
    again = build_optimizer(found, 1e-2, 0.1)
    assert load_training_state(checkpoint, {"gpt": again}) == 2
    for each in ((model, optimizer), (found, again)):
        learn(*each)
    assert all(map(torch.equal, model.state_dict().values(), found.state_dict().values()))


def test_a_run_whose_checkpoints_are_in_parts_can_be_sampled_from(tmp_path: Path) -> None:
    model, _ = in_parts(tmp_path)
    found = GPT.from_pretrained(tmp_path)
    assert all(map(torch.equal, model.state_dict().values(), found.state_dict().values()))


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        *((part, damage) for part in FILES for damage in ("missing", "half")),
        *((part, "of another step") for part in FILES[1:]),
    ],
)
def test_going_on_falls_back_from_a_damaged_part_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, damage: str
) -> None:
    in_parts(tmp_path)
    older, newest = list_checkpoints(tmp_path)
    content = (newest / part).read_bytes()
    (newest / part).unlink()
    if damage == "half":
        (newest / part).write_bytes(content[: len(content) // 2])
    elif damage == "of another step":
        shutil.copy(older / part, newest / part)
    assert newest_checkpoint(tmp_path) == older
    first, last = capsys.readouterr().err.splitlines()
    assert "000002" in first
    assert last == f"Going on from {older}, the newest that is whole"


def test_a_damaged_part_is_refused_as_a_model_and_another_checkpoint_is_named(tmp_path: Path) -> None:
    in_parts(tmp_path)
    older, newest = list_checkpoints(tmp_path)
    (newest / "model.00000-of-00001.safetensors").unlink()
    with pytest.raises(CheckpointError, match=f"no part of a weights file .*; {older} is whole and can be given"):
        GPT.from_pretrained(newest)


def test_a_checkpoint_whose_index_is_lost_is_refused_with_another(tmp_path: Path) -> None:
    in_parts(tmp_path)
    older, newest = list_checkpoints(tmp_path)
    (newest / "model.parts.json").unlink()
    message = f"{newest} is damaged: there is no {newest}/model.parts.json, the index .*; {older} is whole and can be"
    with pytest.raises(CheckpointError, match=message):
        GPT.from_pretrained(newest)
    shutil.rmtree(older)
    with pytest.raises(
        CheckpointError, match=r"there is no .*/model\.parts\.json, the index .*; give another checkpoint"
    ):
        GPT.from_pretrained(tmp_path)


def test_a_missing_part_of_the_moments_is_refused_with_what_to_do(tmp_path: Path) -> None:
    _, optimizer = in_parts(tmp_path)
    newest = list_checkpoints(tmp_path)[-1]
    (newest / "training_state" / "tensors.00000-of-00001.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"there is no part of a weights file .* with --resume auto"):
        load_training_state(newest, {"gpt": optimizer})


# By several processes


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def runs(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, and those of two that share a GPT, saved whole, in parts, and in both ways, or do not."""
    folder = tmp_path_factory.mktemp("runs")
    one = Trainer([job("gpt", store, folder / "one", save_in_background=True)], folder / "one.log")
    sharded = {"sharded": True, "checkpoints": "sharded"}
    two = start_two(
        [
            job("gpt", store, folder / "whole", sharded=True, save_in_background=True),
            job("gpt", store, folder / "parts", **sharded),
            job("gpt", store, folder / "background", **sharded, save_in_background=True),
            job("gpt", store, folder / "replicas", checkpoints="sharded"),
        ],
        folder / "two.log",
    )
    for trainer in (one, *two):
        trainer.finish()
    return folder


def interrupted(run: Path, copy: Path) -> Path:
    """The same run as it was after three of its six steps."""
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "final")
    shutil.rmtree(copy / "checkpoints" / "000006")
    config = copy / "config.json"
    config.write_text(config.read_text().replace(str(run), str(copy)))
    return copy


def assert_same_metrics(run: Path, other: Path) -> None:
    for one, two in zip(metrics(run), metrics(other), strict=True):
        assert one == pytest.approx(two, rel=1e-5), one["step"]


def same_weights(run: Path, other: Path) -> bool:
    one, two = (load_file(each / "final" / "model.safetensors") for each in (run, other))
    return all(torch.equal(one[name], two[name]) for name in one)


def test_processes_write_what_they_hold(runs: Path) -> None:
    checkpoint = runs / "parts" / "checkpoints" / "000006"
    check_checkpoint(checkpoint)
    files = contents(checkpoint)
    assert sorted(name for name in files if name.endswith("safetensors")) == [
        *(f"model.0000{process}-of-00002.safetensors" for process in range(2)),
        *(f"training_state/tensors.0000{process}-of-00002.safetensors" for process in range(2)),
    ]
    sizes = [len(files[f"model.0000{process}-of-00002.safetensors"]) for process in range(2)]
    assert sizes[1] > 0.8 * sizes[0]


def test_processes_that_share_no_model_write_it_whole(runs: Path) -> None:
    files = contents(runs / "replicas" / "checkpoints" / "000006")
    assert sorted(name for name in files if "parts" in name or name.endswith("safetensors")) == [
        "model.safetensors",
        "training_state/tensors.safetensors",
    ]


def test_parts_of_several_processes_are_joined_to_what_is_saved_whole(runs: Path) -> None:
    whole, parts = (runs / run / "checkpoints" / "000006" for run in ("whole", "parts"))
    moments = "training_state/tensors.safetensors"
    for one, other in (
        (load_model_folder(whole)[1], load_model_folder(parts)[1]),
        (load_whole(whole / moments), load_whole(parts / moments)),
    ):
        assert set(one) == set(other)
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_parts_are_the_same_when_they_are_saved_in_the_background(runs: Path) -> None:
    one, other = (contents(runs / run / "checkpoints" / "000006") for run in ("parts", "background"))
    assert one == other


def test_a_training_begins_with_moments_that_are_in_parts(runs: Path, store: Path, tmp_path: Path) -> None:
    begun = job("gpt", store, tmp_path / "run", init=str(runs / "parts"), init_optimizer=True, steps=3)
    assert "moments of " in Trainer([begun], tmp_path / "log").finish()
    moments = [
        load_whole(checkpoint / "training_state" / "tensors.safetensors")["optimizer.gpt.0.step"]
        for checkpoint in (runs / "parts" / "checkpoints" / "000006", tmp_path / "run" / "checkpoints" / "000003")
    ]
    assert float(moments[1]) == float(moments[0]) + 3


@pytest.mark.parametrize("where", ["final", "copied"])
def test_moments_in_parts_are_found_by_equal_weights_alone(runs: Path, tmp_path: Path, where: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "parts", run)
    checkpoint = run / "checkpoints" / "000006"
    model = run / where
    if where == "copied":
        shutil.copytree(checkpoint, model, ignore=shutil.ignore_patterns("training_state"))
    assert find_moments(load_parent(model, "gpt", "gpt train")) == checkpoint
    other = GPT.from_pretrained(model)
    with torch.no_grad():
        other.head.weight[0, 0] += 1
    other.save_pretrained(model)
    with pytest.raises(InitError, match="has no optimizer state"):
        find_moments(load_parent(model, "gpt", "gpt train"))


def test_parts_that_cannot_be_compared_are_named_with_what_to_do(runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "parts", run)
    (run / "checkpoints" / "000006" / "model.parts.json").unlink()
    with pytest.raises(
        InitError, match=r"000006 cannot be read: there is no .*model\.parts\.json.*; give another check"
    ):
        find_moments(load_parent(run / "final", "gpt", "gpt train"))


def test_the_final_model_is_always_whole(runs: Path) -> None:
    assert same_weights(runs / "parts", runs / "whole")


def test_one_process_goes_on_from_the_parts_of_two_and_says_so(runs: Path, store: Path, tmp_path: Path) -> None:
    run = interrupted(runs / "parts", tmp_path / "run")
    said = Trainer([job("gpt", store, run, resume="auto")], tmp_path / "log").finish()
    assert "was saved by 2 processes, whose parts are joined, and 1 go on: they read the same samples" in said
    assert_same_metrics(run, runs / "one")


def test_two_processes_go_on_from_their_parts_to_the_same_bits(runs: Path, store: Path, tmp_path: Path) -> None:
    run = interrupted(runs / "parts", tmp_path / "run")
    again = job("gpt", store, run, resume="auto", sharded=True, checkpoints="sharded", save_in_background=True)
    for trainer in start_two([again], tmp_path / "log"):
        assert "joined" not in trainer.finish()
    assert same_weights(run, runs / "parts")
    assert metrics(run) == metrics(runs / "parts")


def test_two_processes_go_on_from_what_one_saved(runs: Path, store: Path, tmp_path: Path) -> None:
    run = interrupted(runs / "one", tmp_path / "run")
    again = job("gpt", store, run, resume="auto", sharded=True, checkpoints="sharded")
    first, _ = start_two([again], tmp_path / "log")
    assert "was saved by 1 processes and 2 go on" in first.finish()
    assert_same_metrics(run, runs / "one")


def test_what_one_process_cannot_write_ends_both_and_the_first_says_so(store: Path, tmp_path: Path) -> None:
    run, hold = tmp_path / "run", tmp_path / "hold"
    hold.touch()
    options = {"sharded": True, "checkpoints": "sharded", "save_in_background": True, "hold_saving": str(hold)}
    trainers = start_two([job("gpt", store, run, **options)], tmp_path / "log")
    assert trainers[0].wait_for(lambda: any(run.glob("checkpoints/*.tmp/training_state")))
    (folder,) = run.glob("checkpoints/*.tmp")
    (folder / "model.00001-of-00002.safetensors").mkdir()
    hold.unlink()
    assert [trainer.end() for trainer in trainers] == [1, 1]
    said = trainers[0].said()
    assert "the checkpoint of step 3 cannot be written to" in said
    assert "model.00001-of-00002.safetensors" in said
    assert "Traceback" not in trainers[1].said()
    assert list((run / "checkpoints").iterdir()) == []


def test_a_signal_waits_for_what_is_saved_in_the_background(store: Path, tmp_path: Path) -> None:
    run, hold = tmp_path / "run", tmp_path / "hold"
    hold.touch()
    trainer = Trainer(
        [job("gpt", store, run, save_in_background=True, save_every=1, hold=str(hold), hold_after=2)], tmp_path / "log"
    )
    assert trainer.wait_for(lambda: (run / "checkpoints" / "000002").exists())
    trainer.send(signal.SIGTERM)
    hold.unlink()
    assert "Stopped by SIGTERM after step 3, which is saved" in trainer.finish()
    assert newest_checkpoint(run) == run / "checkpoints" / "000003"


def test_a_run_of_before_these_options_goes_on(runs: Path, store: Path, tmp_path: Path) -> None:
    run = interrupted(runs / "one", tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    old = {name: value for name, value in config.items() if name not in ("checkpoints", "save_in_background")}
    assert len(old) == len(config) - 2
    (run / "config.json").write_text(json.dumps(old))
    Trainer([job("gpt", store, run, resume="auto")], tmp_path / "log").finish()
    assert same_weights(run, runs / "one")
