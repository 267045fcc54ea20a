"""A broken loss stops the run."""

import pytest

from training.finite import check_finite


def test_finite_value_passes() -> None:
    assert check_finite(1.5, 3) == 1.5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_other_value_stops_and_names_the_step(value: float) -> None:
    with pytest.raises(FloatingPointError, match=r"at step 3.*--learning-rate"):
        check_finite(value, 3)
