"""Foreign checkpoints are read for their data; whatever else they hold never runs."""

import argparse
import io
import os
import pickle
import pickletools
import socket
import struct
import warnings
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_pickles import bare, flip, legacy, rebuilt, repack, write_archive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from storage.foreign.checkpoint import Settings, check_weights, read_foreign, say_converted, settings_of
from storage.foreign.pickles import PickleError, read_pickle
from storage.model_paths import CheckpointError

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


# Archives


def saved(path: Path, value: object = WEIGHTS) -> Path:
    torch.save(value, path)
    return path


def entry_start(path: Path, name: str) -> int:
    """Where the content of an entry begins."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
    header = path.read_bytes()[info.header_offset : info.header_offset + 30]
    return info.header_offset + 30 + sum(struct.unpack("<2H", header[26:30]))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_checkpoint_that_was_packed_again_is_read_right(tmp_path: Path, method: int) -> None:
    weights = {"w": torch.randn(33, 7), "h": torch.randn(5).half(), "empty": torch.zeros(0, 3)}
    path = repack(saved(tmp_path / "a.pt", weights), tmp_path / "b.pt", method)
    found = read_foreign(path)
    assert all(torch.equal(found[name], weights[name]) for name in weights)


@pytest.mark.parametrize("name", ["a/data.pkl", "a/data/0"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_flipped_byte_is_noticed(tmp_path: Path, name: str, method: int) -> None:
    path = repack(saved(tmp_path / "a.pt", {"w": torch.randn(100)}), tmp_path / "b.pt", method)
    flip(path, entry_start(path, name) + 20)
    with pytest.raises(CheckpointError, match=r"b\.pt is damaged.*Get the file again"):
        read_foreign(path)


def test_a_file_without_checksums_is_read_and_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        saved(tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(read_foreign(tmp_path / "a.pt")["layer.weight"], WEIGHTS["layer.weight"])
    assert "holds no checksums" in capsys.readouterr().out


def test_data_after_the_end_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt")
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(CheckpointError, match="cut short, or has data after its end"):
        read_foreign(path)


def test_an_entry_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.pt", bare({}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(tmp_path / "a.pt", "a") as archive:
            archive.writestr("a/data/0", b"other numbers   ")
    with pytest.raises(CheckpointError, match="has the entry 'a/data/0' twice"):
        read_foreign(tmp_path / "a.pt")


def directory_record(content: bytes, name: bytes) -> int:
    """Where the record of an entry begins in the directory of an archive."""
    return content.rindex(name) - 46


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (24, 17, "contradict each other"),
        (20, 2**31, "contradict each other"),
        (42, 5, "is where none begins"),
        (42, 2**31, "cannot be read|where none begins"),
    ],
)
def test_a_directory_that_claims_otherwise_is_refused(tmp_path: Path, field: int, value: int, message: str) -> None:
    path = write_archive(tmp_path / "a.pt", bare({}))
    content = bytearray(path.read_bytes())
    at = directory_record(content, b"a/data/0") + field
    content[at : at + 4] = struct.pack("<L", value)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_foreign(path)


def test_sizes_that_follow_an_entry_cannot_reach_into_the_next(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt")  # its headers leave the sizes to the directory
    content = bytearray(path.read_bytes())
    at = directory_record(content, b"a/data/0") + 20
    content[at : at + 8] = struct.pack("<2L", 4000, 4000)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="'a/data/0' reaches into what follows it"):
        read_foreign(path)


def test_compressed_entries_cannot_unpack_to_many_times_the_file(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", bare({}), {"data/0": bytes(200_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="claim to unpack to 200,0"):
        read_foreign(path)


def test_a_compressed_entry_of_another_size_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", rebuilt(b"K\x04\x85", b"K\x01\x85"), method=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    for at in (content.index(b"a/data/0") - 8, directory_record(content, b"a/data/0") + 24):
        content[at : at + 4] = struct.pack("<L", 12)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"unpacks to another size|in 'a/data/0', of 12 bytes"):
        read_foreign(path)


def test_numbers_of_other_processors_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", bare({}))
        archive.writestr("a/byteorder", b"big")
    with pytest.raises(CheckpointError, match="in the order of other processors"):
        read_foreign(tmp_path / "a.pt")


# What tensors claim

PAIR = b"K\x02K\x02\x86"


def test_a_tensor_within_its_storage_is_read(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.pt", rebuilt(PAIR, b"K\x01K\x02\x86"))
    assert read_foreign(tmp_path / "a.pt")["w"].tolist() == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "message"),
    [
        (b"K\x05\x85", b"K\x01\x85", b"K\x00", "reaches beyond its numbers"),
        (b"K\x02\x85", b"K\x04\x85", b"K\x00", "reaches beyond its numbers"),
        (b"K\x04\x85", b"K\x01\x85", b"K\x01", "reaches beyond its numbers"),
        (b"K\x09\x85", b"K\x00\x85", b"K\x00", "made of 1 numbers"),
        (b"K\x09K\x02\x86", b"K\x00K\x01\x86", b"K\x00", "made of 2 numbers"),
        (b"K\x04\x85", b"K\x01K\x01\x86", b"K\x00", "which is none"),
        (b"J\xff\xff\xff\xff\x85", b"K\x01\x85", b"K\x00", "which is none"),
        (b"\x88\x85", b"K\x01\x85", b"K\x00", "which is none"),
        (b"X\x01\x00\x00\x004\x85", b"K\x01\x85", b"K\x00", "which is none"),
        (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00\x85", b"K\x01\x85", b"K\x00", "which is none"),
        (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", b"K\x01\x85", b"K\x00", "reaches beyond"),
    ],
)
def test_a_tensor_that_is_more_than_its_storage_is_refused(
    tmp_path: Path, shape: bytes, strides: bytes, offset: bytes, message: str
) -> None:
    write_archive(tmp_path / "a.pt", rebuilt(shape, strides, offset))
    with pytest.raises(CheckpointError, match=message):
        read_foreign(tmp_path / "a.pt")


@pytest.mark.parametrize("numbers", [3, 5])
def test_a_storage_of_another_size_than_its_entry_is_refused(tmp_path: Path, numbers: int) -> None:
    write_archive(tmp_path / "a.pt", rebuilt(b"K\x03\x85", b"K\x01\x85", numbers=numbers))
    with pytest.raises(CheckpointError, match=f"claims {numbers} numbers of float32 in 'a/data/0', of 16 bytes"):
        read_foreign(tmp_path / "a.pt")


def test_an_expanded_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"shape \(1000, 4\) made of 4 numbers"):
        read_foreign(saved(tmp_path / "a.pt", {"w": torch.zeros(1, 4).expand(1000, 4)}))


def test_a_tensor_of_a_part_of_a_storage_is_read(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    found = read_foreign(saved(tmp_path / "a.pt", {"w": whole[1:], "v": whole.T}))
    assert torch.equal(found["w"], whole[1:])
    assert torch.equal(found["v"], whole.T)


def test_weights_that_use_the_same_numbers_over_and_over_are_refused(tmp_path: Path) -> None:
    shared = torch.zeros(10)
    with pytest.raises(CheckpointError, match=r"a\.pt makes 1,200 bytes of weights out of 40"):
        check_weights({f"blocks.{number}": shared for number in range(30)}, tmp_path / "a.pt")


def test_tied_weights_are_read(tmp_path: Path) -> None:
    tied = torch.zeros(10)
    check_weights(read_foreign(saved(tmp_path / "a.pt", {"in": tied, "out": tied})), tmp_path / "a.pt")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_of_eight_bits_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    with pytest.raises(CheckpointError, match=r"has 'w' in float8.*ask for the weights in float32"):
        check_weights({"w": torch.zeros(2).to(dtype)}, tmp_path / "a.pt")


def test_a_weight_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has a weight with the name 3, which is no text"):
        check_weights({3: torch.zeros(2)}, tmp_path / "a.pt")


def test_converted_types_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    say_converted({"a": torch.zeros(1).half(), "b": torch.zeros(1).double(), "c": torch.zeros(1), "d": torch.ones(1)})
    assert capsys.readouterr().out == "Converted to float32: weights 1 in float16, 1 in float64.\n"


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8),
        lambda: torch.eye(2).to_sparse(),
        lambda: torch.eye(2).to_sparse_csr(),
        lambda: torch.zeros(2, device="meta"),
    ],
    ids=["quantized", "sparse", "rows", "meta"],
)
def test_tensors_that_are_not_plain_numbers_are_refused(tmp_path: Path, make: Callable[[], torch.Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to drop some of these
        saved(tmp_path / "a.pt", {"w": make()})
    with pytest.raises(CheckpointError, match=r"tensors that are not plain numbers.*Ask for the weights in float32"):
        read_foreign(tmp_path / "a.pt")


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64, torch.int32, torch.bfloat16, torch.uint8, torch.uint16])
def test_tensors_of_all_plain_types_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    value = torch.tensor([0, 1]).to(dtype)
    found = read_foreign(saved(tmp_path / "a.pt", {"w": value}))["w"]
    assert found.dtype == dtype
    assert torch.equal(found, value)


def test_parameters_and_modules_of_layers_are_read_as_tensors(tmp_path: Path) -> None:
    noted = torch.zeros(3)
    noted.note = "an attribute"  # type: ignore[attr-defined]
    content = {"p": torch.nn.Parameter(torch.ones(2)), "state": torch.nn.Linear(2, 2).state_dict(), "noted": noted}
    found = read_foreign(saved(tmp_path / "a.pt", content))
    assert torch.equal(found["p"], torch.ones(2))
    assert list(found["state"]) == ["weight", "bias"]
    assert torch.equal(found["noted"], noted)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_checkpoints_of_every_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    content = {"w": torch.ones(2), "steps": [1, 2.5, None, True, b"bytes", (1, "two"), {"three"}], "big": 2**80}
    torch.save(content, tmp_path / "a.pt", pickle_protocol=protocol)
    found = read_foreign(tmp_path / "a.pt")
    assert torch.equal(found["w"], torch.ones(2))
    assert found["steps"][:6] == [1, 2.5, None, True, b"bytes", (1, "two")]
    assert found["big"] == 2**80


# Files from before torch 1.6


def test_an_old_checkpoint_is_read(tmp_path: Path) -> None:
    content = {"w": torch.randn(3, 5), "h": torch.ones(2).half(), "args": argparse.Namespace(n=3)}
    found = read_foreign(legacy(tmp_path / "a.pt", content))
    assert torch.equal(found["w"], content["w"])
    assert torch.equal(found["h"], content["h"])
    assert settings_of(found["args"]) == {"n": 3}


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_an_old_checkpoint_that_is_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = legacy(tmp_path / "a.pt", {"w": torch.randn(10)})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(CheckpointError, match=r"a\.pt is damaged"):
        read_foreign(path)


def test_an_old_checkpoint_cannot_claim_more_numbers_than_it_holds(tmp_path: Path) -> None:
    path = legacy(tmp_path / "a.pt", {"w": torch.randn(10)})
    content = path.read_bytes()
    claim = content.index(b"cpu") + 3  # the memo's opcode, then the number
    at = content.index(b"K\x0a", claim)
    path.write_bytes(content[:at] + b"J" + struct.pack("<l", 2**30) + content[at + 2 :])
    with pytest.raises(CheckpointError, match="claims more numbers than the file can hold"):
        read_foreign(path)


# Odd pickles, of which every one ends in one line


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no checkpoint that torch.save wrote"),
        (b"\x80\x02}", "pickle exhausted"),
        (b"\x80\x02\xff.", "opcode"),
        (b"\x80\x02X\x04\x00\x00\x00\xff\xff\xff\xff.", "UnicodeDecodeError"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "expected 2147483647 bytes"),
        (b"\x80\x02h\x07.", "refers to a value 7 that it never made"),
        (b"\x80\x02t.", "a mark that it never set"),
        (b"\x80\x020.", "an empty stack"),
        (b"\x80\x02K\x01K\x02a.", "which is no list"),
        (b"\x80\x02}(K\x01u.", "a key without a value"),
        (b"\x80\x02}]K\x01s.", r"the key \[\]"),
        (b"\x80\x02}K\x01\x85\x85\x85K\x01s.", "neither a text nor a number"),
        (b"\x80\x02}}b.", "a dictionary of weights|holds"),
        (b"\x80\x02]}b.", "sets attributes of a list"),
        (b"\x80\x02K\x01)R.", "it calls a int"),
        (b"\x80\x02X\x01\x00\x00\x00xQ.", "no storage of numbers"),
        (b"\x80\x02P1\n.", "instruction PERSID"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x02(X\x06\x00\x00\x00moduleNNNtQ.", "no storage of numbers"),
        (b"I" + b"9" * 5000 + b"\n.", "ValueError"),
        (b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".", "whole number of 2,0"),
        (b"\x80\x02ctorch\nSize\nK\x03\x85R.", "a shape that is no list"),
        (b"\x80\x02ccollections\nOrderedDict\n]K\x01a\x85R.", "no entries"),
        (b"\x80\x02c_codecs\nencode\nK\x03\x85R.", "made of no text"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))tR.", "a tensor without numbers"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "TypeError"),
        (b"\x80\x02ctorch._utils\n_rebuild_parameter\n)R.", "no tensor"),
        (b"\x80\x02K\x05.", "holds a int, not a dictionary"),
    ],
)
def test_an_odd_pickle_ends_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    write_archive(tmp_path / "a.pt", data)
    if message.startswith("a dictionary of weights"):
        assert read_foreign(tmp_path / "a.pt") == {}
        return
    with pytest.raises(CheckpointError, match=message) as caught:
        read_foreign(tmp_path / "a.pt")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "a.pt") in str(caught.value)


def test_deep_nesting_is_read_and_refused_for_what_it_is(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.pt", b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".")
    with pytest.raises(CheckpointError, match="holds a list, not a dictionary"):
        read_foreign(tmp_path / "a.pt")


def test_a_value_that_holds_itself_is_read(tmp_path: Path) -> None:
    content: dict[str, object] = {"w": torch.ones(1)}
    content["self"] = content
    assert read_foreign(saved(tmp_path / "a.pt", content))["self"]["self"]["w"].item() == 1


def test_a_pickle_of_too_many_instructions_is_refused() -> None:
    with pytest.raises(PickleError, match="more than 10 instructions"):
        read_pickle(io.BytesIO(b"\x80\x02" + b"N0" * 20 + b"N."), {}, lambda name: False, id, most_steps=10)


def test_names_with_escapes_are_shown_harmlessly(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.pt", b"\x80\x02cos\n\x1b[31mred\n.")
    with pytest.raises(CheckpointError, match=r"it would run os\.\\x1b\[31mred when opened"):
        read_foreign(tmp_path / "a.pt")


def outcome_of(path: Path) -> dict[str, torch.Tensor] | CheckpointError:
    """What a checkpoint holds, or the one error that it may end in."""
    try:
        return read_foreign(path)
    except CheckpointError as error:
        return error


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(OPCODES) | st.binary(max_size=4), max_size=30))
def test_any_pickle_ends_in_one_line_or_in_a_dictionary(tmp_path: Path, parts: list[bytes]) -> None:
    write_archive(tmp_path / "a.pt", b"\x80\x02}" + b"".join(parts) + b".")
    outcome = outcome_of(tmp_path / "a.pt")
    assert isinstance(outcome, dict) or "\n" not in str(outcome)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_byte_is_noticed_or_without_effect(tmp_path: Path, data: st.DataObject) -> None:
    path = saved(tmp_path / "a.pt", {"w": torch.arange(8.0)})
    flip(path, data.draw(st.integers(0, path.stat().st_size - 1)))
    outcome = outcome_of(path)
    assert isinstance(outcome, CheckpointError) or torch.equal(outcome["w"], torch.arange(8.0))


# What lies beside weights in valid files


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
@pytest.mark.parametrize("protocol", [1, 2, 4])
@pytest.mark.parametrize(
    "value",
    [
        *(np.float64(0.1), np.float32(0.5), np.float16(2), np.int64(-3), np.uint8(200), np.int32(-7), np.bool_(True)),
        *(np.complex64(1 + 2j), np.str_("näme"), np.str_("")),
        *(np.array(0.1, ">f8")[()], np.array(77, ">i4")[()], np.array("ab", ">U2")[()]),
    ],
    ids=lambda value: f"{value.dtype.str}-{value!r}",
)
def test_scalars_of_numpy_become_plain_values(tmp_path: Path, value: np.generic, protocol: int, archive: bool) -> None:
    content = {"best": value, **WEIGHTS}
    torch.save(content, tmp_path / "a.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
    found = read_foreign(tmp_path / "a.pt")
    assert found["best"] == value.item()
    assert type(found["best"]) is type(value.item())
    assert torch.equal(found["layer.weight"], WEIGHTS["layer.weight"])


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_scalars_of_every_version_of_numpy_are_read(tmp_path: Path, module: str) -> None:
    number = (
        f"c{module}\nscalar\n(cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR(K\x03X\x01\x00\x00\x00<NNNtb".encode()
    )
    data = b"\x80\x03}X\x01\x00\x00\x00n" + number + b"C\x08" + struct.pack("<d", 2.5) + b"tRs."
    assert read_foreign(write_archive(tmp_path / "a.pt", data)) == {"n": 2.5}


@pytest.mark.parametrize("value", [np.datetime64("2020-01-01"), np.arange(3), np.zeros(2, [("a", "f4")])[0], np.eye(2)])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_other_values_of_numpy_are_inert(tmp_path: Path, value: object, protocol: int) -> None:
    torch.save({"other": value, **WEIGHTS}, tmp_path / "a.pt", pickle_protocol=protocol)
    found = read_foreign(tmp_path / "a.pt")
    assert isinstance(found["other"], Settings)
    assert torch.equal(found["layer.weight"], WEIGHTS["layer.weight"])


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
@pytest.mark.parametrize("factory", [int, float, list, dict, None])
@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_dictionaries_with_defaults_become_plain_ones(
    tmp_path: Path, factory: type | None, protocol: int, archive: bool
) -> None:
    content = {"counts": defaultdict(factory, {"steps": 3, 4: [5]}), **WEIGHTS}
    torch.save(content, tmp_path / "a.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
    found = read_foreign(tmp_path / "a.pt")
    assert found["counts"] == {"steps": 3, 4: [5]}
    assert type(found["counts"]) is dict


def test_a_function_of_others_behind_a_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save({"counts": defaultdict(os.getcwd), **WEIGHTS}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt is refused: it would run (posix|nt)\.getcwd"):
        read_foreign(tmp_path / "a.pt")


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
@pytest.mark.parametrize("protocol", [1, 2, 4])
def test_a_namespace_of_every_protocol_is_read(tmp_path: Path, protocol: int, archive: bool) -> None:
    inner = argparse.Namespace(rate=np.float64(0.5), names=["a"])
    content = {"args": argparse.Namespace(n_codes=64, inner=inner), **WEIGHTS}
    torch.save(content, tmp_path / "a.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
    found = read_foreign(tmp_path / "a.pt")
    assert settings_of(found["args"])["n_codes"] == 64
    assert settings_of(settings_of(found["args"])["inner"]) == {"rate": 0.5, "names": ["a"]}
    assert torch.equal(found["layer.weight"], WEIGHTS["layer.weight"])


def test_a_namespace_that_python_2_wrote_is_read(tmp_path: Path) -> None:
    made = b"ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR}U\x01nK\x03sb"
    path = write_archive(tmp_path / "a.pt", b"\x80\x02}U\x04args" + made + b"s.")
    assert settings_of(read_foreign(path)["args"]) == {"n": 3}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"cnumpy\ndtype\nK\x03\x85R", "a type of numpy with the name 3"),
        (b"cnumpy.core.multiarray\nscalar\nK\x03C\x01a\x86R", "a number of numpy without a type"),
        (b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00f8\x85RC\x01a\x86R", "f8 made of b'a'"),
        (b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00U1\x85RC\x01a\x86R", "UnicodeDecodeError"),
        (b"ccopyreg\n_reconstructor\n(K\x01K\x02NtR", "an object of what is no class"),
        (b"ccopyreg\n_reconstructor\n(cos\nPathLike\nc__builtin__\nobject\nNtR", r"it would run os\.PathLike"),
        (b"ccollections\ndefaultdict\nN]K\x01a\x86R", "no entries"),
    ],
)
def test_odd_values_beside_weights_end_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = write_archive(tmp_path / "a.pt", b"\x80\x03}X\x01\x00\x00\x00n" + data + b"s.")
    with pytest.raises(CheckpointError, match=message) as caught:
        read_foreign(path)
    assert "\n" not in str(caught.value)


NAMES = (
    *("numpy dtype", "numpy.core.multiarray scalar", "numpy._core.multiarray _reconstruct", "numpy ndarray"),
    *("collections defaultdict", "copyreg _reconstructor", "builtins int", "builtins object", "argparse Namespace"),
)
PARTS = st.sampled_from(
    [
        *(b"c" + name.replace(" ", "\n").encode() + b"\n" for name in NAMES),
        *(b")", b"]", b"}", b"N", b"K\x05", b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00U3", b"C\x08abcdefgh"),
        *(b"(", b"t", b"R", b"R", b"\x85", b"\x86", b"\x87", b"b", b"s", b"u", b"0", b"2", b"\x81"),
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PARTS, max_size=20))
def test_any_use_of_known_names_ends_in_one_line_or_in_a_dictionary(tmp_path: Path, parts: list[bytes]) -> None:
    write_archive(tmp_path / "a.pt", b"\x80\x03}X\x01\x00\x00\x00n" + b"".join(parts) + b"s.")
    outcome = outcome_of(tmp_path / "a.pt")
    assert isinstance(outcome, dict) or "\n" not in str(outcome)


# Safetensors


def raw_safetensors(path: Path, header: bytes, data: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    entry = b'"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    raw_safetensors(tmp_path / "a.safetensors", b"{" + entry + b"," + entry + b"}", bytes(4))
    with pytest.raises(CheckpointError, match="header has 'w' 2 times"):
        read_foreign(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10) + b"{}",
        struct.pack("<Q", 2000) + b"[" * 2000,
        struct.pack("<Q", 2) + b"\xff\xff",
        struct.pack("<Q", 4) + b"null",
    ],
)
def test_an_odd_safetensors_header_ends_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged") as caught:
        read_foreign(tmp_path / "a.safetensors")
    assert "\n" not in str(caught.value)


# What is no file


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"a{suffix}")
    with pytest.raises(CheckpointError, match=f"a{suffix} is a named pipe, and only files are read"):
        read_foreign(tmp_path / f"a{suffix}")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a folder, and only files are read"):
        read_foreign(tmp_path)


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (["config.json"], "give the path of a file$"),
        (["config.json", "model.safetensors"], "give the path of a file: model.safetensors in it$"),
        (["pytorch_model.bin", "training_args.bin"], "give the path of a file: pytorch_model.bin in it$"),
        (
            ["model.safetensors", "pytorch_model.bin"],
            "the path of a file: model.safetensors or pytorch_model.bin in it$",
        ),
        (["last.ckpt", "a.pt", "notes.txt"], "give the path of a file: a.pt or last.ckpt in it$"),
        ([f"{index}.pt" for index in range(8)], "0.pt or 1.pt or 2.pt or 3.pt or 4.pt or one of 3 more in it$"),
        (["a\nb.pt"], "a file: a b.pt in it$"),
    ],
)
def test_of_a_folder_the_weights_files_in_it_are_named(tmp_path: Path, files: list[str], advice: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(CheckpointError, match=f"is a folder, and only files are read: .*{advice}"):
        read_foreign(tmp_path)


def test_a_device_is_refused() -> None:
    with pytest.raises(CheckpointError, match="/dev/zero is a device"):
        read_foreign(Path("/dev/zero"))


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(CheckpointError, match="is a socket"):
            read_foreign(tmp_path / "s")
