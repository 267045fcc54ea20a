"""Tensors that several processes wrote in parts are whole again when they are read, or refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from storage.checked_files import DamageError
from storage.places import index_path, is_in_parts, is_there, part_path
from storage.records import SEAL, seal
from storage.tensor_files import save_tensors
from storage.tensor_parts import Part, Piece, load_whole, whole_digest, write_index

CONFIG = {"kind": "net", "width": 8}


def piece_of(tensor: Tensor, process: int, processes: int) -> Piece | None:
    """What a process holds of a tensor whose rows are shared out; of a number the first process holds all."""
    if tensor.ndim == 0:
        return Piece.whole(tensor) if process == 0 else None
    shares = tensor.tensor_split(processes)
    first = sum(len(share) for share in shares[:process])
    offsets = (first, *[0] * (tensor.ndim - 1))
    return Piece(shares[process].contiguous(), tuple(tensor.shape), offsets) if len(shares[process]) else None


def write(path: Path, tensors: dict[str, Tensor], processes: int, config: object = CONFIG) -> str:
    """Write tensors as several processes would that share their rows."""
    parts = []
    for process in range(processes):
        held = {name: piece_of(tensor, process, processes) for name, tensor in tensors.items()}
        pieces = {name: piece for name, piece in held.items() if piece is not None}
        file = part_path(path, process, processes)
        digest = save_tensors(file, {name: piece.tensor for name, piece in pieces.items()}) if pieces else None
        parts.append(Part(digest, {name: piece.place for name, piece in pieces.items()}))
    return write_index(path, parts, config)


def tensors(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"weight": torch.randn(5, 3, generator=generator), "step": torch.tensor(7.0 + seed)}


def edit(path: Path, **values: object) -> None:
    """Write an index with other entries, sealed anew."""
    content = {**json.loads(index_path(path).read_text()), **values}
    index_path(path).write_text(json.dumps(seal({name: content[name] for name in content if name != SEAL})))


@given(
    length=st.integers(1, 9),
    processes=st.integers(1, 12),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool]),
)
def test_what_processes_shared_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, length: int, processes: int, dtype: torch.dtype
) -> None:
    path = tmp_path_factory.mktemp("parts") / "model.safetensors"
    written = {"a": torch.arange(3 * length).view(length, 3).to(dtype), "b": torch.tensor(3.0)}
    digest = write(path, written, processes)
    read = load_whole(path, CONFIG, digest)
    assert {name: (tensor.dtype, tensor.tolist()) for name, tensor in read.items()} == {
        name: (tensor.dtype, tensor.tolist()) for name, tensor in written.items()
    }


def test_columns_and_boxes_are_put_where_they_belong(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    whole = torch.arange(24.0).view(4, 6)
    boxes = [(0, 0), (0, 3), (2, 0), (2, 3)]
    parts = []
    for process, (row, column) in enumerate(boxes):
        piece = Piece(whole[row : row + 2, column : column + 3].contiguous(), (4, 6), (row, column))
        digest = save_tensors(part_path(path, process, 4), {"w": piece.tensor})
        parts.append(Part(digest, {"w": piece.place}))
    write_index(path, parts)
    assert torch.equal(load_whole(path)["w"], whole)


def test_a_process_that_held_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, {"w": torch.ones(2, 2)}, 3)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "model.00000-of-00003.safetensors",
        "model.00001-of-00003.safetensors",
        "model.parts.json",
    ]
    assert torch.equal(load_whole(path)["w"], torch.ones(2, 2))


def test_a_whole_file_is_read_before_parts_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert not is_there(path)
    write(path, tensors(), 2)
    assert is_there(path)
    assert is_in_parts(path)
    save_tensors(path, {"other": torch.ones(1)})
    assert not is_in_parts(path)
    assert list(load_whole(path)) == ["other"]


def test_parts_have_one_digest(tmp_path: Path) -> None:
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    assert write(one, tensors(), 2) == whole_digest(one)
    assert write(other, tensors(1), 2) != whole_digest(one)


@pytest.mark.parametrize(
    "name", ["model.parts.json", "model.00000-of-00002.safetensors", "model.00001-of-00002.safetensors"]
)
@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "of another save"])
def test_a_damaged_part_is_named_in_one_line(tmp_path: Path, name: str, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    digest = write(path, tensors(), 2)
    content = bytearray((tmp_path / name).read_bytes())
    if damage == "of another save":
        write(path, tensors(1), 2)
        other = (tmp_path / name).read_bytes()
        write(path, tensors(), 2)
        content = bytearray(other)
    elif damage == "flipped":
        content[-5] ^= 1
    (tmp_path / name).write_bytes(
        {"empty": b"", "half": bytes(content[: len(content) // 2])}.get(damage, bytes(content))
    )
    with pytest.raises(DamageError, match=name) as refused:
        load_whole(path, CONFIG, digest)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("process", [0, 1])
def test_a_missing_part_is_named(tmp_path: Path, process: int) -> None:
    path = tmp_path / "model.safetensors"
    write(path, tensors(), 2)
    part_path(path, process, 2).unlink()
    with pytest.raises(DamageError, match=f"there is no part of a weights file .*model.0000{process}-of-00002"):
        load_whole(path)


@pytest.mark.parametrize("read", [load_whole, whole_digest])
def test_parts_whose_index_is_lost_are_told_from_no_tensors(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(DamageError, match=r"there is no weights file .*model\.safetensors"):
        read(path)
    write(path, tensors(), 2)
    index_path(path).unlink()
    message = r"there is no .*/model\.parts\.json, the index that joins the parts there, such as model\.00000-of-00002"
    with pytest.raises(DamageError, match=message):
        read(path)


def test_another_config_beside_parts_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, tensors(), 2)
    with pytest.raises(DamageError, match=r"config\.json is not as written"):
        load_whole(path, {**CONFIG, "width": 9})


@pytest.mark.parametrize(
    "values",
    [
        {"parts": 3},
        {"parts": [3, None]},
        {"tensors": []},
        {"tensors": {"w": 3}},
        {"tensors": {"w": {"shape": [-1], "pieces": {}}}},
        {"tensors": {"w": {"shape": [2], "pieces": {"0": ["0"]}}}},
        {"tensors": {"w": {"shape": [True], "pieces": {}}}},
        {"digest": None},
    ],
)
def test_an_index_of_wrong_types_is_refused(tmp_path: Path, values: dict[str, object]) -> None:
    path = tmp_path / "model.safetensors"
    write(path, tensors(), 2)
    edit(path, **values)
    with pytest.raises(DamageError, match=r"parts\.json is damaged: it does not say how parts lie"):
        load_whole(path)


@pytest.mark.parametrize("content", ["[]", "3", "null", "{", "[" * 100_000])
def test_an_index_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "model.safetensors"
    index_path(path).write_text(content)
    with pytest.raises(DamageError, match=r"model\.parts\.json"):
        load_whole(path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"shape": [10**12, 10**6], "pieces": {"0": [0, 0], "1": [3, 0]}}, "do not make up weight"),
        ({"shape": [4, 3], "pieces": {"0": [0, 0], "1": [3, 0]}}, "does not say where weight of process 1 belongs"),
        ({"shape": [5, 3], "pieces": {"0": [0, 0]}}, "does not say where weight of process 1 belongs"),
        ({"shape": [6, 3], "pieces": {"0": [0, 0], "1": [3, 0]}}, "do not make up weight"),
        ({"shape": [5], "pieces": {"0": [0], "1": [3]}}, "does not say where weight of process 0 belongs"),
    ],
)
def test_pieces_that_make_up_no_tensor_are_refused(tmp_path: Path, entry: dict[str, object], message: str) -> None:
    path = tmp_path / "model.safetensors"
    write(path, {"weight": tensors()["weight"]}, 2)
    edit(path, tensors={"weight": entry})
    with pytest.raises(DamageError, match=message):
        load_whole(path)
