"""Files that others may have made are opened only if they are files, and read up to a size and a depth."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.checked_files import DEEPEST, RefusedFileError, on_one_line, open_file, read_json, read_text, shortly


def written(folder: Path, text: str) -> Path:
    (folder / "a.json").write_text(text, encoding="utf-8")
    return folder / "a.json"


def test_json_comes_back(tmp_path: Path) -> None:
    assert read_json(written(tmp_path, '{"a": [1, 2.5, null, "x"]}'), "config") == {"a": [1, 2.5, None, "x"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ('{"a": 1, "a": 2}', "it has the entry 'a' twice"),
        ("{", "damaged, or no JSON"),
        ("", "damaged, or no JSON"),
        ("9" * 5000, "damaged, or no JSON"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"nested deeper than {DEEPEST} levels"),
        ("[" * 3000, f"nested deeper than {DEEPEST} levels"),
    ],
)
def test_odd_json_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RefusedFileError, match=message) as caught:
        read_json(path, "config")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_of_the_deepest_is_read(tmp_path: Path) -> None:
    text = "[" * DEEPEST + "]" * DEEPEST
    assert read_json(written(tmp_path, text), "config") == json.loads(text)


def test_a_larger_file_than_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFileError, match="larger than 10 bytes"):
        read_json(written(tmp_path, " " * 11), "config", at_most=10)


def test_text_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RefusedFileError, match="is no UTF-8 text"):
        read_text(tmp_path / "a.json", "config", at_most=10)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedFileError, match=r"there is no config .*a\.json"):
        open_file(tmp_path / "a.json", "config")


def test_a_path_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(RefusedFileError, match="cannot be read"):
        open_file(Path("a\0b"), "config")


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(RefusedFileError, match="is a named pipe, and only files are read"):
        read_json(tmp_path / "a.json", "config")


def test_a_device_is_refused() -> None:
    with pytest.raises(RefusedFileError, match="/dev/zero is a device"):
        read_json(Path("/dev/zero"), "config")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(written(tmp_path, "3"))
    assert read_json(tmp_path / "link", "config") == 3


def test_long_and_deep_values_are_shown_shortly() -> None:
    value: object = 0
    for _ in range(40):
        value = [value] * 2  # written out, 2 to the power of 40 numbers
    assert len(shortly(value)) < 1000
    assert len(shortly("x" * 10_000)) < 200
    assert "\n" not in shortly(np.zeros((9, 9)))
    assert shortly([1, "a"]) == "[1, 'a']"
    assert shortly(10**5000) == "a int too long to be written"


def test_text_of_others_is_on_one_line_without_escapes() -> None:
    assert on_one_line("a\n\x1b[31mb") == "a \\x1b[31mb"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    try:
        read_json(tmp_path / "a.json", "config")
    except RefusedFileError:
        return
    json.loads(content)
