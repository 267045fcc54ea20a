"""A broken loss stops the run."""

import pytest
import torch

from training.loop import LossWatch, check_finite
from training.order import DataOrder


def test_finite_value_passes() -> None:
    assert check_finite(1.5, 3) == 1.5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_other_value_stops_and_names_the_step(value: float) -> None:
    with pytest.raises(FloatingPointError, match=r"at step 3.*--learning-rate"):
        check_finite(value, 3)


def watch_of(order: DataOrder) -> LossWatch:
    return LossWatch(order, lambda index: f"item {index}", torch.device("cpu"))


def test_finite_losses_pass() -> None:
    watch = watch_of(DataOrder(10, 2, 0, 0, 5))
    for step in range(5):
        watch.note(torch.tensor(float(step)), step)
    watch.check()


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_the_first_step_without_a_finite_loss_is_named_with_what_was_read(value: float) -> None:
    order = DataOrder(10, 2, seed=0, first_step=2, last_step=9)
    watch = watch_of(order)
    for step in range(2, 9):
        watch.note(torch.tensor(value if step >= 4 else 1.0), step)
    first, second = (sample.index for sample in list(order)[2])
    with pytest.raises(FloatingPointError, match=f"at step 4, on item {first}, item {second}; the last checkpoint is"):
        watch.check()


def test_of_a_large_batch_some_items_are_named() -> None:
    watch = watch_of(DataOrder(100, 50, 0, 0, 5))
    watch.note(torch.tensor(torch.nan), 0)
    with pytest.raises(FloatingPointError) as caught:
        watch.check()
    assert str(caught.value).count("item ") == 16
    assert "and 34 more" in str(caught.value)
