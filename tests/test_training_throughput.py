"""Speed is what was done since the last report; MFU is the share of the peak of known GPUs."""

import pytest
import torch

from training.throughput import Throughput


def test_the_speed_is_that_of_the_steps_since_the_last_report() -> None:
    speed = Throughput(samples=4, tokens=32, first=100)
    speed.began -= 10
    found = speed.measure(110)
    assert found["samples/s"] == pytest.approx(4, rel=0.01)
    assert found["tokens/s"] == pytest.approx(128, rel=0.01)
    speed.began -= 1
    assert speed.measure(111)["samples/s"] == pytest.approx(4, rel=0.05)


def test_what_is_not_known_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Throughput(samples=1).measure(1).keys() == {"samples/s", "waiting"}


def test_mfu_is_known_on_gpus_of_amd_which_torch_calls_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "AMD Instinct MI300X")
    assert Throughput(samples=1, tokens=1, flops=1).peak == 1307.4e12


def test_time_before_a_restart_does_not_count() -> None:
    speed = Throughput(samples=1)
    speed.began -= 1000
    speed.restart(5)
    speed.began -= 1
    assert speed.measure(6)["samples/s"] == pytest.approx(1, rel=0.05)


def test_mfu_is_the_share_of_the_peak_of_all_devices() -> None:
    speed = Throughput(samples=8, tokens=1000, flops=10**9, devices=2)
    speed.peak = 1e12
    speed.began -= 1
    assert speed.measure(1)["MFU"] == pytest.approx(8 * 1000 * 1e9 / 2e12, rel=0.05)
