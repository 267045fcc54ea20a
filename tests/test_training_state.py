"""Checkpoints of a training appear whole, resume to the bit, and are pruned, but never the best."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from storage.checkpoints import best_checkpoint, newest_checkpoint, read_state, state_text
from storage.model_folder import load_model_folder
from storage.model_paths import CheckpointError
from storage.places import list_checkpoints
from storage.pretrained import Pretrained
from storage.records import SEAL
from training.order import seed_step
from training.state import load_training_state, save_checkpoint
from training.writing import CheckpointWriteError


@dataclass(frozen=True)
class NetConfig:
    """Like that of a model."""

    width: int = 8


class Net(Pretrained):
    """A network that needs random numbers (dropout)."""

    kind = "net"
    config_class = NetConfig

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.Sequential(nn.Linear(4, config.width), nn.Dropout(0.5), nn.Linear(config.width, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


"""The number of no process."""

Parts = tuple[Net, torch.optim.AdamW]


def build(width: int = 8) -> Parts:
    """A network and an optimizer with two groups."""
    model = Net(NetConfig(width))
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), fused=True)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        seed_step(0, step)
        batch = torch.randn(6, 4)
        loss = (model(batch) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def save(
    run: Path,
    step: int,
    model: Net,
    optimizer: torch.optim.Optimizer,
    score: float | None = None,
    keep_at: tuple[int, ...] = (),
) -> Path:
    return save_checkpoint(run, step, model, {"model": optimizer}, score=score, keep_at=keep_at)


def weights(model: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


def edit_state(checkpoint: Path, *left_out: str, **values: object) -> None:
    """Write a state with other values, or without some, sealed anew."""
    path = checkpoint / "training_state" / "state.json"
    state = {**json.loads(path.read_text()), **values}
    path.write_text(state_text({name: value for name, value in state.items() if name not in (*left_out, SEAL)}))


def as_before_digests(checkpoint: Path) -> None:
    """Write a checkpoint anew as versions did that knew no digests."""
    path = checkpoint / "training_state" / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({name: state[name] for name in ("step", "score", "processes", "param_groups")}))
    for file in (checkpoint / "model.safetensors", checkpoint / "training_state" / "tensors.safetensors"):
        save_file(load_file(file), file)


def flip(path: Path, position: int = -1) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def trained(run: Path, *steps: int, seed: int = 0) -> Parts:
    """A network that was trained and saved after each of these steps, and its optimizer."""
    torch.manual_seed(seed)
    model, optimizer = build()
    for first, last in zip((0, *steps), steps, strict=False):
        train(model, optimizer, first, last)
        save_checkpoint(run, last, model, {"model": optimizer}, keep=9)
    return model, optimizer


PARTS = (
    "config.json",
    "model.safetensors",
    "training_state/state.json",
    "training_state/tensors.safetensors",
)


def names(run: Path) -> list[str]:
    return [path.name for path in list_checkpoints(run)]


# Resuming


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, optimizer = build()
    train(model, optimizer, 0, 3)
    checkpoint = save(tmp_path, 3, model, optimizer)
    train(model, optimizer, 3, 6)

    torch.manual_seed(123)
    resumed, resumed_optimizer = build()
    resumed.load_state_dict(Net.from_pretrained(checkpoint).state_dict())
    first = load_training_state(checkpoint, {"model": resumed_optimizer})
    train(resumed, resumed_optimizer, first, 6)
    assert weights(resumed) == weights(model)


def test_saving_does_not_change_the_course_of_a_run(tmp_path: Path) -> None:
    ends = []
    for saves in (False, True):
        torch.manual_seed(0)
        model, optimizer = build()
        for step in range(4):
            train(model, optimizer, step, step + 1)
            if saves:
                save(tmp_path, step, model, optimizer)
        ends.append(weights(model))
    assert ends[0] == ends[1]


def test_the_settings_of_the_optimizer_come_back(tmp_path: Path) -> None:
    model, optimizer = build()
    train(model, optimizer, 0, 1)
    optimizer.param_groups[1]["lr"] = 0.1 / 3
    checkpoint = save(tmp_path, 1, model, optimizer)
    _, fresh = build()
    assert load_training_state(checkpoint, {"model": fresh}) == 1
    assert [group["lr"] for group in fresh.param_groups] == [1e-2, 0.1 / 3]
    assert [group["weight_decay"] for group in fresh.param_groups] == [0.1, 0.0]


def test_before_the_first_step_there_is_no_moment_to_save(tmp_path: Path) -> None:
    checkpoint = save(tmp_path, 0, *build())
    assert load_training_state(checkpoint, {"model": build()[1]}) == 0


def test_the_numbers_of_a_step_do_not_depend_on_those_before() -> None:
    drawn = []
    for before in (0, 5):
        torch.rand(before)
        seed_step(1, 7)
        drawn.append(torch.rand(4))
    assert torch.equal(*drawn)


def test_seeds_steps_and_processes_draw_other_numbers() -> None:
    drawn = set()
    for seed, step, process in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0)]:
        seed_step(seed, step, process)
        drawn.add(float(torch.rand(())))
    assert len(drawn) == 5


def test_another_number_of_processes_is_said_to_change_the_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, optimizer = build()
    checkpoint = save(tmp_path, 5, model, optimizer)
    load_training_state(checkpoint, {"model": optimizer})
    assert capsys.readouterr().err == ""
    edit_state(checkpoint, processes=2)
    load_training_state(checkpoint, {"model": optimizer})
    assert "was saved by 2 processes and 1 go on" in capsys.readouterr().err


def test_another_number_of_threads_is_said_to_change_the_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, optimizer = build()
    checkpoint = save(tmp_path, 5, model, optimizer)
    threads = torch.get_num_threads()
    load_training_state(checkpoint, {"model": optimizer})
    assert capsys.readouterr().err == ""
    edit_state(checkpoint, threads=threads + 2)
    load_training_state(checkpoint, {"model": optimizer})
    assert f"was computed with {threads + 2} threads and {threads} go on" in capsys.readouterr().err


def test_a_checkpoint_that_says_nothing_of_threads_goes_on_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, optimizer = build()
    checkpoint = save(tmp_path, 5, model, optimizer)
    edit_state(checkpoint, "threads")
    assert load_training_state(checkpoint, {"model": optimizer}) == 5
    assert capsys.readouterr().err == ""


# Appearing


def test_the_oldest_checkpoints_are_pruned(tmp_path: Path) -> None:
    parts = build()
    for step in (5, 10, 15, 20):
        save(tmp_path, step, *parts)
    assert names(tmp_path) == ["000015", "000020"]


def test_what_is_kept_for_good_stays_where_later_saves_do_not_name_it(tmp_path: Path) -> None:
    parts = build()
    save(tmp_path, 5, *parts, keep_at=(5,))
    for step in (10, 15, 20):
        save(tmp_path, step, *parts)
    assert names(tmp_path) == ["000005", "000015", "000020"]


def test_checkpoints_of_versions_before_are_not_kept_for_good(tmp_path: Path) -> None:
    parts = build()
    save(tmp_path, 5, *parts, keep_at=(5,))
    state = read_state(tmp_path / "checkpoints" / "000005")
    del state["kept"]
    (tmp_path / "checkpoints" / "000005" / "training_state" / "state.json").write_text(state_text(state))
    for step in (10, 15, 20):
        save(tmp_path, step, *parts)
    assert names(tmp_path) == ["000015", "000020"]


def test_the_best_checkpoint_is_kept_until_there_is_a_better(tmp_path: Path) -> None:
    parts = build()
    for step, score in [(1, -3.0), (2, -1.0), (3, -2.0), (4, -1.0), (5, None)]:
        save(tmp_path, step, *parts, score=score)
    assert names(tmp_path) == ["000002", "000004", "000005"]
    assert best_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000002"
    save(tmp_path, 6, *parts, score=-0.5)
    assert names(tmp_path) == ["000005", "000006"]


def test_a_run_that_was_never_validated_has_no_best(tmp_path: Path) -> None:
    save(tmp_path, 1, *build())
    assert best_checkpoint(tmp_path) is None


def test_steps_beyond_a_million_are_newer_than_those_before(tmp_path: Path) -> None:
    parts = build()
    for step in (999_000, 1_000_000):
        save(tmp_path, step, *parts)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "1000000"


def test_without_a_checkpoint_there_is_no_newest(tmp_path: Path) -> None:
    assert (list_checkpoints(tmp_path), newest_checkpoint(tmp_path)) == ([], None)


def test_a_full_disk_leaves_the_checkpoints_before_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    model, optimizer = build(width=4000)
    train(model, optimizer, 0, 1)
    whole = save(tmp_path, 5, model, optimizer)
    before = weights(model)
    train(model, optimizer, 1, 2)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (whole / "model.safetensors").stat().st_size
    try:
        for limit in (0, size // 2, size + 1000):  # in the model, and in the moments of the optimizer
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
            with pytest.raises(CheckpointWriteError, match=r"step 6 cannot be written .* continue with --resume auto"):
                save(tmp_path, 6, model, optimizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000005"]
    assert weights(Net.from_pretrained(tmp_path)) == before
    assert load_training_state(whole, {"model": build(width=4000)[1]}) == 5


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    model, optimizer = build()
    save(tmp_path, 5, model, optimizer)
    with torch.no_grad():
        model.layers[0].weight[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"after step 6, layers\.0\.weight is not finite"):
        save(tmp_path, 6, model, optimizer)
    assert names(tmp_path) == ["000005"]


def test_what_a_killed_run_left_unfinished_is_removed(tmp_path: Path) -> None:
    for name in ("000004.tmp", "000005.tmp", "000003.old.tmp", "000006.node-7-1-0123abcd.tmp"):
        (tmp_path / "checkpoints" / name / "litter").mkdir(parents=True)
    assert list_checkpoints(tmp_path) == []
    final = save(tmp_path, 5, *build())
    assert sorted(path.name for path in final.iterdir()) == ["config.json", "model.safetensors", "training_state"]
    assert list((tmp_path / "checkpoints").iterdir()) == [final]


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    model, optimizer = build()
    save(tmp_path, 5, model, optimizer)
    train(model, optimizer, 0, 1)
    _, tensors = load_model_folder(save(tmp_path, 5, model, optimizer))
    assert torch.equal(tensors["layers.0.weight"], model.state_dict()["layers.0.weight"])


def test_moments_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    model, optimizer = build()
    train(model, optimizer, 0, 1)
    optimizer.state[model.layers[0].weight]["exp_avg_sq"][0, 0] = torch.inf
    with pytest.raises(FloatingPointError, match=r"after step 6, optimizer\.model\.0\.exp_avg_sq is not finite"):
        save(tmp_path, 6, model, optimizer)
    assert names(tmp_path) == []


# Damage


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "flipped", "a folder"])
def test_going_on_falls_back_to_the_newest_whole_checkpoint_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, damage: str
) -> None:
    trained(tmp_path, 1, 2, 3)
    path = tmp_path / "checkpoints" / "000003" / part
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "flipped": content}[damage])
        if damage == "flipped":
            flip(path, content.index(b"n") if part.endswith("json") else -1)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000002"
    first, last = capsys.readouterr().err.splitlines()
    assert str(path) in first
    assert last == f"Going on from {tmp_path}/checkpoints/000002, the newest that is whole"


def test_a_whole_checkpoint_is_not_talked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(tmp_path, 1, 2)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000002"
    assert capsys.readouterr().err == ""


def test_if_no_checkpoint_is_whole_it_is_said_what_to_do(tmp_path: Path) -> None:
    trained(tmp_path, 1, 2)
    for step in ("000001", "000002"):
        flip(tmp_path / "checkpoints" / step / "model.safetensors")
    with pytest.raises(ValueError, match=r"no checkpoint in .* is whole .*000002/model.*begin anew with --overwrite"):
        newest_checkpoint(tmp_path)


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_part_of_another_step_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str) -> None:
    trained(tmp_path, 1, 2, 3)
    checkpoints = tmp_path / "checkpoints"
    shutil.copy(checkpoints / "000001" / part, checkpoints / "000003" / part)
    assert newest_checkpoint(tmp_path) == checkpoints / "000002"
    assert "000003" in capsys.readouterr().err


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_part_of_another_run_is_noticed(tmp_path: Path, part: str) -> None:
    trained(tmp_path / "run", 1, 2)
    trained(tmp_path / "other", 1, 2, seed=1)
    shutil.copy(
        tmp_path / "other" / "checkpoints" / "000002" / part, tmp_path / "run" / "checkpoints" / "000002" / part
    )
    assert newest_checkpoint(tmp_path / "run") == tmp_path / "run" / "checkpoints" / "000001"


def test_a_checkpoint_under_the_name_of_another_step_is_noticed(tmp_path: Path) -> None:
    trained(tmp_path, 1, 2)
    os.replace(tmp_path / "checkpoints" / "000001", tmp_path / "checkpoints" / "000007")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000002"


def test_checkpoints_of_before_there_were_digests_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, _ = trained(tmp_path, 3)
    checkpoint = tmp_path / "checkpoints" / "000003"
    as_before_digests(checkpoint)
    assert newest_checkpoint(tmp_path) == checkpoint
    assert weights(Net.from_pretrained(checkpoint)) == weights(model)
    assert load_training_state(checkpoint, {"model": build()[1]}) == 3
    assert capsys.readouterr().err == ""


def test_weights_that_another_program_wrote_anew_go_on(tmp_path: Path) -> None:
    trained(tmp_path, 3)
    file = tmp_path / "checkpoints" / "000003" / "model.safetensors"
    save_file(load_file(file), file)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000003"


@pytest.mark.parametrize(
    "values",
    [
        {"step": "3"},
        {"step": None},
        {"step": True},
        {"step": -3},
        {"score": "good"},
        {"score": float("nan")},
        {"processes": 0},
        {"param_groups": []},
        {"param_groups": {"model": 3}},
        {"param_groups": {"model": []}},
        {"param_groups": {}},
        {"digests": 3},
        {"kept": 1},
    ],
)
def test_a_state_of_wrong_types_is_refused(tmp_path: Path, values: dict[str, object]) -> None:
    trained(tmp_path, 3)
    checkpoint = tmp_path / "checkpoints" / "000003"
    as_before_digests(checkpoint)
    edit_state(checkpoint, **values)
    with pytest.raises(CheckpointError, match="000003"):
        load_training_state(checkpoint, {"model": build()[1]})


@pytest.mark.parametrize("content", ["[]", "3", "null", '"state"', "[" * 100_000])
def test_a_state_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    trained(tmp_path, 3)
    path = tmp_path / "checkpoints" / "000003" / "training_state" / "state.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=r"state\.json is (damaged|nested deeper)"):
        load_training_state(path.parent.parent, {"model": build()[1]})


@pytest.mark.parametrize("setting", ["lr", "betas", "weight_decay", "params"])
def test_settings_of_an_optimizer_of_wrong_types_are_refused(tmp_path: Path, setting: str) -> None:
    trained(tmp_path, 3)
    checkpoint = tmp_path / "checkpoints" / "000003"
    as_before_digests(checkpoint)
    groups = json.loads((checkpoint / "training_state" / "state.json").read_text())["param_groups"]
    groups["model"][0][setting] = "much"
    edit_state(checkpoint, param_groups=groups)
    with pytest.raises(CheckpointError, match="000003"):
        load_training_state(checkpoint, {"model": build()[1]})


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_moments_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    trained(tmp_path, 1, 3)
    checkpoint = tmp_path / "checkpoints" / "000003"
    as_before_digests(checkpoint)
    file = checkpoint / "training_state" / "tensors.safetensors"
    tensors = load_file(file)
    tensors["optimizer.model.0.exp_avg"][0, 0] = value
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match=r"tensors\.safetensors holds NaN or infinite numbers, in optimizer\.mod"):
        load_training_state(checkpoint, {"model": build()[1]})
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000001"


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer.model.0.exp_avg": torch.zeros(3, 3)},
        {"optimizer.model.99.exp_avg": torch.zeros(3)},
        {"optimizer.model.first.exp_avg": torch.zeros(3)},
        {"optimizer.model.0": torch.zeros(3)},
    ],
)
def test_moments_of_other_weights_are_refused(tmp_path: Path, change: dict[str, Tensor]) -> None:
    trained(tmp_path, 3)
    checkpoint = tmp_path / "checkpoints" / "000003"
    as_before_digests(checkpoint)
    file = checkpoint / "training_state" / "tensors.safetensors"
    save_file(load_file(file) | change, file)
    with pytest.raises(CheckpointError, match="training_state does not fit"):
        load_training_state(checkpoint, {"model": build()[1]})


def test_a_damaged_older_checkpoint_does_not_end_a_run_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = build()
    for step in (1, 2):
        save(tmp_path, step, *parts, score=-step)
    (tmp_path / "checkpoints" / "000002" / "training_state" / "state.json").write_text("")
    save(tmp_path, 3, *parts)
    assert best_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000001"
    said = capsys.readouterr().err
    assert said.count("000002/training_state/state.json is damaged") == 1
    save(tmp_path, 4, *parts)
    assert names(tmp_path) == ["000001", "000003", "000004"]


def test_damaged_checkpoints_ahead_of_a_resumed_run_give_way_to_its_own(tmp_path: Path) -> None:
    parts = trained(tmp_path, 1, 8, 9)
    for step in ("000008", "000009"):
        flip(tmp_path / "checkpoints" / step / "model.safetensors")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "000001"
    save_checkpoint(tmp_path, 2, parts[0], {"model": parts[1]}, keep=1)
    assert names(tmp_path) == ["000002"]
