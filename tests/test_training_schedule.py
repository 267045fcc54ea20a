"""The learning rate is a pure function of the step."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.schedule import FLOORS, learning_rate, set_learning_rate


def test_the_warm_up_is_linear_and_ends_at_the_peak() -> None:
    assert [learning_rate(step, 100, 1.0, 4) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_without_a_warm_up_the_first_step_has_the_peak() -> None:
    assert learning_rate(0, 100, 0.3, 0) == 0.3


def test_half_way_the_rate_is_half_way_between_peak_and_floor() -> None:
    assert learning_rate(60, 100, 1.0, 20, floor=0.2) == pytest.approx(0.6)


@pytest.mark.parametrize("step", [100, 101, 10_000])
def test_after_the_last_step_the_rate_stays_at_the_floor(step: int) -> None:
    assert learning_rate(step, 100, 2.0, 10) == pytest.approx(0.2)


def test_the_constant_schedule_stays_at_the_peak() -> None:
    rates = [learning_rate(step, 100, 2.0, 10, FLOORS["constant"]) for step in range(10, 120)]
    assert rates == pytest.approx([2.0] * 110)


def test_the_cosine_schedule_ends_at_a_tenth() -> None:
    assert learning_rate(100, 100, 2.0, 10, FLOORS["cosine"]) == pytest.approx(0.2)


@given(steps=st.integers(1, 300), warmup=st.integers(0, 300), floor=st.floats(0, 1))
def test_the_rate_rises_to_the_peak_and_never_rises_again(steps: int, warmup: int, floor: float) -> None:
    rates = [learning_rate(step, steps, 1.0, warmup, floor) for step in range(steps + 1)]
    assert all(0 <= rate <= 1 + 1e-12 for rate in rates)
    assert all(after > before for before, after in itertools.pairwise(rates[:warmup]))
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(rates[warmup:]))


def test_every_parameter_group_gets_the_rate() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 2.0)]
    optimizer = torch.optim.SGD(groups)
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
