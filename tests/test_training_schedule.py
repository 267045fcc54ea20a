"""The learning rate is a pure function of the step."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.options import TrainingOptions
from training.schedule import (
    FLOORS,
    decay_start,
    kept_steps,
    learning_rate,
    rate_at,
    set_learning_rate,
    trunk_steps,
    wsd_rate,
)


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


def test_a_parameter_group_with_a_factor_of_its_own_gets_the_rate_times_it() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "rate_factor": factor} for factor in (0.25, 1.0)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.5]


# Warm-up, stable, decay


def test_a_decay_is_one_minus_the_root_of_how_far_it_is() -> None:
    rates = [wsd_rate(step, 20, 2.0, 2, decay_steps=4) for step in range(16, 21)]
    assert rates == pytest.approx([2.0, 1.0, 2 * (1 - 0.5**0.5), 2 * (1 - 0.75**0.5), 0.0])


def test_between_warm_up_and_decay_the_rate_is_the_peak() -> None:
    assert [wsd_rate(step, 20, 2.0, 2, decay_steps=4) for step in range(17)] == [1.0, *[2.0] * 16]


@pytest.mark.parametrize(("steps", "start"), [(1000, 900), (15, 14), (5, 4)])
def test_unless_it_is_said_the_decay_takes_a_tenth_of_the_steps(steps: int, start: int) -> None:
    assert decay_start(steps) == start
    assert wsd_rate(start, steps, 1.0, 0) == 1.0
    assert start + 1 == steps or wsd_rate(start + 1, steps, 1.0, 0) < 1.0


@given(warmup=st.integers(0, 50), decay=st.integers(1, 50), one=st.integers(100, 500), other=st.integers(100, 500))
def test_runs_of_different_lengths_have_the_rates_of_the_trunk_in_common(
    warmup: int, decay: int, one: int, other: int
) -> None:
    first, second = (
        TrainingOptions(steps=steps, warmup=warmup, schedule="wsd", decay_steps=decay) for steps in (one, other)
    )
    trunk = min(one, other) - decay
    assert all(rate_at(step, first) == rate_at(step, second) for step in range(trunk + 1))
    rates = [rate_at(step, first) for step in range(one + 1)]
    assert rates[-1] == 0
    assert all(after < before for before, after in itertools.pairwise(rates[trunk_steps(first) or 0 :]))


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_other_schedules_have_the_rates_that_they_had(schedule: str) -> None:
    options = TrainingOptions.of(steps=40, warmup=4, schedule=schedule)
    expected = [learning_rate(step, 40, 1e-3, 4, FLOORS[schedule]) for step in range(40)]
    assert [rate_at(step, options) for step in range(40)] == expected


def test_kept_are_the_steps_asked_for_and_the_one_where_a_decay_begins() -> None:
    assert kept_steps(TrainingOptions(steps=100, schedule="wsd", keep_at=(30, 60))) == {30, 60, 90}
    assert kept_steps(TrainingOptions(steps=100, keep_at=(30,))) == {30}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"decay_steps": 5}, "--decay-steps 5 needs --schedule wsd: cosine has no such end"),
        ({"trunk": "runs/a", "schedule": "constant"}, "--trunk runs/a needs --schedule wsd"),
        ({"steps": 10, "keep_at": (5, 12)}, "--keep-at 12 lies beyond --steps 10"),
        (
            {"steps": 60, "warmup": 55, "schedule": "wsd"},
            "--warmup 55 and a decay of 6, a tenth of the steps, do not fit",
        ),
        (
            {"steps": 60, "warmup": 0, "schedule": "wsd", "decay_steps": 61},
            "--warmup 0 and --decay-steps 61 do not fit into --steps 60",
        ),
        (
            {"steps": 60, "warmup": 0, "schedule": "wsd", "decay_steps": 60, "trunk": "runs/a"},
            "--decay-steps 60 of --steps 60 leave no trunk",
        ),
        ({"keep_at": (0,)}, "--keep-at 0 must be at least 1"),
    ],
)
def test_parts_of_a_schedule_that_do_not_fit_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingOptions.of(**values)
