"""Foreign checkpoints are read for their data; whatever else they hold never runs."""

import argparse
import os
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from storage.foreign import Settings, read_foreign, settings_of
from storage.model_folder import CheckpointError

WEIGHTS = {"layer.weight": torch.arange(6.0).view(2, 3)}


class Malicious:
    """Creates a file wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_tensors_come_back(tmp_path: Path) -> None:
    torch.save({"state_dict": OrderedDict(WEIGHTS)}, tmp_path / "a.ckpt")
    assert torch.equal(
        read_foreign(tmp_path / "a.ckpt")["state_dict"]["layer.weight"],
        WEIGHTS["layer.weight"],
    )


def test_safetensors_come_back(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    assert torch.equal(read_foreign(tmp_path / "a.safetensors")["layer.weight"], WEIGHTS["layer.weight"])


def test_a_namespace_becomes_inert_settings(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(n_codes=64)}, tmp_path / "a.ckpt")
    args = read_foreign(tmp_path / "a.ckpt")["args"]
    assert isinstance(args, Settings)
    assert settings_of(args) == {"n_codes": 64}


def test_settings_of_a_dictionary_are_its_entries() -> None:
    assert settings_of({"n_codes": 64}) == {"n_codes": 64}


@pytest.mark.parametrize("archive", [True, False])
def test_a_malicious_checkpoint_is_refused_and_named(tmp_path: Path, archive: bool) -> None:
    content = {"state_dict": WEIGHTS, "callbacks": Malicious(tmp_path / "made")}
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=archive)
    with pytest.raises(CheckpointError, match=r"a\.ckpt is refused: it would run (posix|nt)\.mkdir"):
        read_foreign(tmp_path / "a.ckpt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_never_runs(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"x": Malicious(tmp_path / "made")}, protocol))
    with pytest.raises(CheckpointError):
        read_foreign(tmp_path / "a.pt")
    assert not (tmp_path / "made").exists()


def test_the_unsafe_way_out_is_not_advised(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"x": Malicious(tmp_path / "made")}, 2))
    with pytest.raises(CheckpointError) as error:
        read_foreign(tmp_path / "a.pt")
    assert "weights_only" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no checkpoint file .*a\.pt"):
        read_foreign(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut short"])
def test_a_file_of_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.pt is damaged"):
        read_foreign(tmp_path / "a.pt")


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"a\.pt is damaged"):
        read_foreign(tmp_path / "a.pt")


def test_damaged_safetensors_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no header")
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged"):
        read_foreign(tmp_path / "a.safetensors")


def test_a_list_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save([WEIGHTS["layer.weight"]], tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds a list, not a dictionary"):
        read_foreign(tmp_path / "a.pt")


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has deprecated what many published files still are
        torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt is an archive, but none that torch\.save wrote"):
        read_foreign(tmp_path / "a.pt")
