"""Digests change with whatever changes, and with nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from storage.checksums import digest_of_tensors, is_known
from storage.records import digest_of

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool)


def tensors_of(sizes: list[int], dtype: torch.dtype) -> dict[str, Tensor]:
    numbers = np.random.default_rng(0)
    return {
        f"t{index}": torch.from_numpy(numbers.integers(0, 2, size)).to(dtype).reshape(-1, 1)
        for index, size in enumerate(sizes)
    }


@given(st.lists(st.integers(0, 40), max_size=5), st.sampled_from(DTYPES))
def test_the_order_of_tensors_and_how_they_lie_in_memory_do_not_count(sizes: list[int], dtype: torch.dtype) -> None:
    tensors = tensors_of(sizes, dtype)
    turned = {name: tensors[name].T.contiguous().T for name in reversed(tensors)}
    assert digest_of_tensors(turned, {"a": 1, "b": 2}) == digest_of_tensors(tensors, {"b": 2, "a": 1})


@given(st.data(), st.integers(1, 5000))
def test_a_flipped_bit_changes_the_digest(data: st.DataObject, size: int) -> None:
    tensor = torch.zeros(size, dtype=torch.uint8)
    before = digest_of_tensors({"weight": tensor})
    tensor[data.draw(st.integers(0, size - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert digest_of_tensors({"weight": tensor}) != before


@pytest.mark.parametrize(
    "other",
    [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.zeros(2, 3), "b": torch.zeros(0)},
        {},
    ],
)
def test_names_shapes_and_dtypes_count(other: dict[str, Tensor]) -> None:
    assert digest_of_tensors(other) != digest_of_tensors({"a": torch.zeros(2, 3)})


def test_what_is_beside_the_tensors_counts() -> None:
    assert digest_of_tensors({}, {"heads": 2}) != digest_of_tensors({}, {"heads": 4})


def test_a_scalar_has_a_digest() -> None:
    assert digest_of_tensors({"step": torch.tensor(3.0)}) != digest_of_tensors({"step": torch.tensor(4.0)})


def test_json_is_what_it_means_not_how_it_is_spelt() -> None:
    assert digest_of({"a": [1, 2], "b": None}) == digest_of({"b": None, "a": (1, 2)})


@pytest.mark.parametrize("digest", ["sha999:00", "", 3, None])
def test_digests_of_other_versions_are_not_known(digest: object) -> None:
    assert not is_known(digest)
    assert is_known(digest_of_tensors({}))
