"""JSON that every reader of JSON takes, and files that name themselves when the disk is full."""

import json
import math
from pathlib import Path

import pytest

from storage.files import to_json, write_text


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_become_null(number: float) -> None:
    text = to_json({"psnr_db": [number, 1.5]}, indent=None)
    assert json.loads(text, parse_constant=refuse) == {"psnr_db": [None, 1.5]}


def test_finite_numbers_keep_all_their_digits() -> None:
    assert json.loads(to_json([0.1 + 0.2, 1e-300, 2**60])) == [0.1 + 0.2, 1e-300, 2**60]


def test_what_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="Circular"):
        to_json(value)


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, size: int) -> None:
    resource = pytest.importorskip("resource")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    write_text(tmp_path / "file.txt", "before")
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, most))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/file\.txt'"):
            write_text(tmp_path / "file.txt", "x" * size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file.txt", "before")]
