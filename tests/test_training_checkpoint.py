"""Checkpoints appear whole, resume to the bit, and refuse weights that do not fit."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.checkpoint import (
    CheckpointError,
    config_from_dict,
    find_model,
    list_checkpoints,
    load_model_folder,
    load_training_state,
    load_weights,
    newest_checkpoint,
    save_checkpoint,
    save_model_folder,
)


def build() -> tuple[nn.Module, torch.optim.AdamW]:
    """A network that needs the random state (dropout) and an optimizer with two groups."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), fused=True)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        batch = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
        loss = (model(batch) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def save(run: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, keep: int = 2) -> Path:
    return save_checkpoint(
        run,
        step,
        lambda folder: save_model_folder(folder, {"kind": "net"}, model.state_dict()),
        {"model": optimizer},
        keep=keep,
    )


def weights(model: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


def model_folder(path: Path, value: float = 0.0) -> Path:
    save_model_folder(path, {"kind": "net", "width": 3}, {"weight": torch.full((2, 3), value)})
    return path


# Resuming


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, optimizer = build()
    train(model, optimizer, 0, 3)
    checkpoint = save(tmp_path, 3, model, optimizer)
    train(model, optimizer, 3, 6)

    torch.manual_seed(123)
    resumed, resumed_optimizer = build()
    _, tensors = load_model_folder(checkpoint, "net")
    load_weights(resumed, tensors, checkpoint)
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


# Appearing


def test_the_oldest_checkpoints_are_pruned(tmp_path: Path) -> None:
    parts = build()
    for step in (5, 10, 15, 20):
        save(tmp_path, step, *parts, keep=2)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["000015", "000020"]


def test_steps_beyond_a_million_are_newer_than_those_before(tmp_path: Path) -> None:
    parts = build()
    for step in (999_000, 1_000_000):
        save(tmp_path, step, *parts)
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == "1000000"


def test_without_a_checkpoint_there_is_no_newest(tmp_path: Path) -> None:
    assert (list_checkpoints(tmp_path), newest_checkpoint(tmp_path)) == ([], None)


def test_a_checkpoint_whose_writing_failed_is_never_listed(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError("disk full")

    model, optimizer = build()
    save(tmp_path, 5, model, optimizer)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path, 10, fail, {"model": optimizer})
    assert [path.name for path in list_checkpoints(tmp_path)] == ["000005"]
    assert find_model(tmp_path).name == "000005"


def test_a_step_whose_writing_failed_can_be_written_again(tmp_path: Path) -> None:
    litter = tmp_path / "checkpoints" / "000005.tmp" / "litter"
    litter.mkdir(parents=True)
    final = save(tmp_path, 5, *build())
    assert sorted(path.name for path in final.iterdir()) == ["config.json", "model.safetensors", "training_state"]
    assert list_checkpoints(tmp_path) == [final]


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    model, optimizer = build()
    save(tmp_path, 5, model, optimizer)
    train(model, optimizer, 0, 1)
    _, tensors = load_model_folder(save(tmp_path, 5, model, optimizer), "net")
    assert torch.equal(tensors["0.weight"], model.state_dict()["0.weight"])


# Finding


def test_a_model_folder_means_itself(tmp_path: Path) -> None:
    assert find_model(model_folder(tmp_path)) == tmp_path


def test_a_finished_run_means_its_final_model(tmp_path: Path) -> None:
    save(tmp_path, 5, *build())
    model_folder(tmp_path / "final")
    assert find_model(tmp_path) == tmp_path / "final"


def test_an_unfinished_run_means_its_newest_checkpoint(tmp_path: Path) -> None:
    parts = build()
    for step in (5, 10):
        save(tmp_path, step, *parts)
    assert find_model(tmp_path).name == "000010"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_half_a_model_is_none(tmp_path: Path, name: str) -> None:
    (model_folder(tmp_path) / name).unlink()
    with pytest.raises(CheckpointError, match=r"holds no model: expected config\.json and model\.safetensors"):
        find_model(tmp_path)


# Loading


def test_a_model_folder_gives_back_config_and_weights(tmp_path: Path) -> None:
    config, tensors = load_model_folder(model_folder(tmp_path, 0.5), "other", "net")
    assert config == {"kind": "net", "width": 3}
    assert torch.equal(tensors["weight"], torch.full((2, 3), 0.5))


def test_weights_need_not_be_contiguous_to_be_saved(tmp_path: Path) -> None:
    turned = torch.arange(6.0).reshape(2, 3).T
    save_model_folder(tmp_path, {"kind": "net"}, {"weight": turned})
    assert torch.equal(load_model_folder(tmp_path, "net")[1]["weight"], turned)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a 'net', not a vqgan or palette"):
        load_model_folder(model_folder(tmp_path), "vqgan", "palette")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("length", [0, 20])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, length: int) -> None:
    path = model_folder(tmp_path) / name
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_model_folder(tmp_path, "net")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": None}, "0.weight is missing"),
        ({"extra": torch.zeros(1)}, "extra is not part of the model"),
        ({"0.bias": torch.zeros(3)}, r"0.bias has shape \(3,\), not \(8,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: dict[str, Tensor | None], message: str) -> None:
    model, _ = build()
    before = weights(model)
    changed = {name: tensor for name, tensor in (model.state_dict() | change).items() if tensor is not None}
    with pytest.raises(CheckpointError, match=f"here disagree: {message}"):
        load_weights(model, changed, "here")
    assert weights(model) == before


def test_of_many_defects_ten_are_named() -> None:
    extra = {f"extra {number}": torch.zeros(1) for number in range(30)}
    model, _ = build()
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, model.state_dict() | extra, "here")
    assert str(caught.value).count("extra") == 10


# Configs


@dataclass(frozen=True)
class Config:
    """Like that of a model."""

    grid: tuple[int, int]
    levels: tuple[tuple[int, ...], ...] = ()
    width: int = 4

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be positive, not {self.width}")


def test_a_config_survives_json() -> None:
    written = json.dumps({"kind": "net", "grid": (2, 3), "levels": ((1,), (2, 3))})
    assert config_from_dict(Config, json.loads(written)) == Config((2, 3), ((1,), (2, 3)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grid": [1, 2], "depth": 3}, "depth"),
        ({}, "grid"),
        ({"grid": [1, 2], "width": 0}, "width must be positive"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=f"does not describe a Config: .*{message}"):
        config_from_dict(Config, values)


def test_weights_may_be_read_by_whoever_may_read_the_config(tmp_path: Path) -> None:
    folder = model_folder(tmp_path)
    assert (folder / "model.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode
