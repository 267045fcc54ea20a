"""Model folders are found wherever people point, and weights that do not fit are refused."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from storage.model_folder import config_from_dict, load_model_folder, load_weights, save_model_folder
from storage.model_paths import CheckpointError, find_model


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))


def make_checkpoint(run: Path, step: int) -> Path:
    return model_folder(run / "checkpoints" / f"{step:06d}")


def weights(model: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


def model_folder(path: Path, value: float = 0.0) -> Path:
    save_model_folder(path, {"kind": "net", "width": 3}, {"weight": torch.full((2, 3), value)})
    return path


# Finding


def test_a_model_folder_means_itself(tmp_path: Path) -> None:
    assert find_model(model_folder(tmp_path)) == tmp_path


def test_a_finished_run_means_its_final_model(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 5)
    model_folder(tmp_path / "final")
    assert find_model(tmp_path) == tmp_path / "final"


def test_an_unfinished_run_means_its_newest_checkpoint(tmp_path: Path) -> None:
    for step in (5, 10):
        make_checkpoint(tmp_path, step)
    assert find_model(tmp_path).name == "000010"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_half_a_model_is_none(tmp_path: Path, name: str) -> None:
    (model_folder(tmp_path) / name).unlink()
    with pytest.raises(CheckpointError, match=r"holds no model: expected config\.json and model\.safetensors"):
        find_model(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_of_a_model_is_refused_with_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=f"{name} is a file of a model: give the folder it lies in, {tmp_path}$"):
        find_model(model_folder(tmp_path) / name)


# Loading


def test_a_model_folder_gives_back_config_and_weights(tmp_path: Path) -> None:
    config, tensors = load_model_folder(model_folder(tmp_path, 0.5))
    assert config == {"kind": "net", "width": 3}
    assert torch.equal(tensors["weight"], torch.full((2, 3), 0.5))


def test_weights_need_not_be_contiguous_to_be_saved(tmp_path: Path) -> None:
    turned = torch.arange(6.0).reshape(2, 3).T
    save_model_folder(tmp_path, {"kind": "net"}, {"weight": turned})
    assert torch.equal(load_model_folder(tmp_path)[1]["weight"], turned)


@pytest.mark.parametrize("config", ["{}", '{"kind": 3}', "[]"])
def test_a_config_without_a_kind_is_refused(tmp_path: Path, config: str) -> None:
    (model_folder(tmp_path) / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match='has no "kind"'):
        load_model_folder(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("length", [0, 20])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, length: int) -> None:
    path = model_folder(tmp_path) / name
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_model_folder(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": None}, "0.weight is missing"),
        ({"extra": torch.zeros(1)}, "extra is not part of the model"),
        ({"0.bias": torch.zeros(3)}, r"0.bias has shape \(3,\), not \(8,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: dict[str, Tensor | None], message: str) -> None:
    model = build()
    before = weights(model)
    changed = {name: tensor for name, tensor in (model.state_dict() | change).items() if tensor is not None}
    with pytest.raises(CheckpointError, match=f"here disagree: {message}"):
        load_weights(model, changed, "here")
    assert weights(model) == before


def test_of_many_defects_ten_are_named() -> None:
    extra = {f"extra {number}": torch.zeros(1) for number in range(30)}
    model = build()
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grdi": [1, 2]}, "there is no field 'grdi'.*did you mean grid"),
        ({"grid": [1, 2], "width": True}, "width cannot be True: a whole number is needed"),
        ({"grid": [1, 2], "width": "4"}, "width cannot be '4': a whole number is needed"),
        ({"grid": [1, 2], "width": 4.0}, "width cannot be 4.0: a whole number is needed"),
        ({"grid": [1, 2], "width": None}, "width cannot be None"),
        ({"grid": [1, 2], "width": [4]}, r"width cannot be \[4\]"),
        ({"grid": [1, 2], "width": {"a": 4}}, "width cannot be {'a': 4}"),
        ({"grid": [1, 2], "width": 2**63}, "beyond all numbers that a model has"),
        ({"grid": [1, 2], "width": 10**5000}, "beyond all numbers that a model has"),
        ({"grid": [1, 2, 3]}, r"grid cannot be \[1, 2, 3\]"),
        ({"grid": 3}, "grid cannot be 3: a list"),
        ({"grid": "12"}, "grid cannot be '12'"),
        ({"grid": [1, [2]]}, r"grid cannot be \[1, \[2\]\]"),
        ({"grid": [1, 2], "levels": [[1]] * 1001}, "levels has a length of 1,001"),
        ({"grid": [1, 2], "rate": float("inf")}, "rate inf must be a finite number"),
        ({"grid": [1, 2], "rate": float("nan")}, "rate nan must be a finite number"),
        ({"grid": [1, 2], "rate": "fast"}, "rate cannot be 'fast': a number is needed"),
        ({"grid": [1, 2], "name": "x" * 1001}, "name has a length of 1,001"),
        ({"grid": [1, 2], "name": 3}, "name cannot be 3: a text is needed"),
        ({"grid": [1, 2], "wide": 1}, "wide cannot be 1: true or false is needed"),
        ({"grid": [1, 2], "colour": "blue"}, "colour cannot be 'blue': one of red, green is needed"),
    ],
)
def test_values_of_a_config_are_of_its_types(values: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        config_from_dict(Typed, values, "here")
    assert str(caught.value).startswith("here does not describe a Typed: ")
    assert str(caught.value).endswith("Take the config.json that was saved with the weights")
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Typed(Config):
    """One field of every type."""

    rate: float = 1.0
    name: str = ""
    wide: bool = False
    colour: Literal["red", "green"] = "red"


def test_numbers_of_a_config_stay_as_they_were_written() -> None:
    assert isinstance(config_from_dict(Typed, {"grid": [1, 2], "rate": 8}).rate, int)


@dataclass(frozen=True)
class OfOnesOwn:
    """A config with a type that is not known here."""

    table: dict[str, int]


def test_types_that_are_not_known_are_left_to_the_class() -> None:
    assert config_from_dict(OfOnesOwn, {"table": {"a": 1}}).table == {"a": 1}


# Numbers


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused_and_named(value: float, dtype: torch.dtype) -> None:
    model = build()
    before = weights(model)
    bad = model.state_dict()["1.bias"].to(dtype, copy=True)
    bad[2] = value
    with pytest.raises(CheckpointError, match=r"here hold numbers that are NaN or infinite, in 1\.bias: .*earlier"):
        load_weights(model, model.state_dict() | {"1.bias": bad}, "here")
    assert weights(model) == before


def test_weights_that_are_too_large_for_the_model_are_refused() -> None:
    model = build()
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        load_weights(model, model.state_dict() | {"1.bias": torch.full((4,), 1e300, dtype=torch.float64)}, "here")


def test_large_weights_whose_sum_is_not_finite_are_loaded() -> None:
    model = build()
    large = torch.tensor([3e38, 3e38, 3e38, -3e38])
    load_weights(model, model.state_dict() | {"1.bias": large}, "here")
    assert torch.equal(model.state_dict()["1.bias"], large)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_weights_of_another_type_are_refused_and_named(dtype: torch.dtype) -> None:
    model = build()
    with pytest.raises(CheckpointError, match=rf"1\.bias is of type {str(dtype)[6:]}, not float32"):
        load_weights(model, model.state_dict() | {"1.bias": torch.zeros(4).to(dtype)}, "here")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_other_precision_are_loaded(dtype: torch.dtype) -> None:
    model = build()
    values = torch.tensor([0.5, 1, -2, 0]).to(dtype)
    load_weights(model, model.state_dict() | {"1.bias": values}, "here")
    assert torch.equal(model.state_dict()["1.bias"], values.float())


def test_counters_of_another_type_are_refused() -> None:
    model = nn.BatchNorm1d(2)
    with pytest.raises(CheckpointError, match="num_batches_tracked is of type float32, not int64"):
        load_weights(model, model.state_dict() | {"num_batches_tracked": torch.tensor(0.0)}, "here")


# What is no file


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_in_a_model_folder_is_refused_without_waiting(tmp_path: Path, name: str) -> None:
    path = model_folder(tmp_path) / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match=r"is damaged: .* is a named pipe, and only files are read"):
        load_model_folder(tmp_path)


@pytest.mark.parametrize("text", ["[" * 5000, '{"kind": "net", "kind": "net"}', '{"kind": NaN}'])
def test_an_odd_config_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (model_folder(tmp_path) / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="is damaged: ") as caught:
        load_model_folder(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_may_be_read_by_whoever_may_read_the_config(tmp_path: Path) -> None:
    folder = model_folder(tmp_path)
    assert (folder / "model.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode


# Damage


def flip(path: Path, position: int) -> None:
    """Change one bit of a file, at a position from its end if that is negative."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("position", range(-24, 0, 5))
def test_a_flipped_bit_in_the_weights_is_noticed(tmp_path: Path, position: int) -> None:
    flip(model_folder(tmp_path, 0.5) / "model.safetensors", position)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not as written; .*download it again"):
        load_model_folder(tmp_path)


def test_a_config_that_was_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    config = model_folder(tmp_path) / "config.json"
    config.write_text(json.dumps({"kind": "net", "width": 4}))
    with pytest.raises(CheckpointError, match=r"config\.json is not as written with the weights"):
        load_model_folder(tmp_path)


def test_a_config_may_be_spelt_otherwise(tmp_path: Path) -> None:
    config = model_folder(tmp_path) / "config.json"
    config.write_text('{"width":3, "kind":"net"}\n\n')
    assert load_model_folder(tmp_path)[0] == {"kind": "net", "width": 3}


def test_weights_of_other_programs_and_of_versions_before_have_no_digest_and_open(tmp_path: Path) -> None:
    path = model_folder(tmp_path) / "model.safetensors"
    for metadata in (None, {"format": "pt"}, {"digest": "of another version"}):
        save_file({"weight": torch.full((2, 3), 0.25)}, path, metadata=metadata)
        assert float(load_model_folder(tmp_path)[1]["weight"].mean()) == 0.25


def test_the_same_model_is_written_with_the_same_bytes(tmp_path: Path) -> None:
    files = [(model_folder(tmp_path / str(number)) / "model.safetensors").read_bytes() for number in range(8)]
    assert len(set(files)) == 1


def test_of_a_run_whose_newest_checkpoint_is_damaged_the_whole_one_is_named(tmp_path: Path) -> None:
    for step in (5, 10):
        make_checkpoint(tmp_path, step)
    flip(tmp_path / "checkpoints" / "000010" / "model.safetensors", -1)
    with pytest.raises(CheckpointError, match=r"000010/model\.safetensors is not as written; .*/000005 is whole"):
        load_model_folder(tmp_path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"kind": 1' + "0" * 5000 + "}", '{"kind": "\ud800"}'])
def test_a_config_that_json_cannot_read_is_refused(tmp_path: Path, content: str) -> None:
    (model_folder(tmp_path) / "config.json").write_text(content, errors="surrogatepass")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_model_folder(tmp_path)


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, most))
    try:
        with pytest.raises(OSError, match=r"File too large.*model\.safetensors"):
            model_folder(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert list(tmp_path.iterdir()) == []
