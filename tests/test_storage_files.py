"""JSON that every reader of JSON takes."""

import json
import math

import pytest

from storage.files import to_json


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
