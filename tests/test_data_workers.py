"""Workers answer in order; one that hangs, dies or fails costs its own input alone."""

import os
import signal
import time
from pathlib import Path

import pytest

from data.errors import MediaError
from data.workers import WorkerError, Workers


def double(value: int) -> int:
    """Stands for the reading of a file; some numbers are files that cannot be read."""
    if value == 3:
        raise MediaError("three is damaged")
    if value == 4:
        raise FileNotFoundError(2, "No such file", "four")
    if value == 5:
        time.sleep(600)
    if value == 6:
        os.kill(os.getpid(), signal.SIGSEGV)
    if value == 7:
        raise KeyError("seven")
    return 2 * value


def die_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "read"


class Unready:
    """What cannot be brought into another process."""

    def __call__(self, value: int) -> int:
        return value

    def __setstate__(self, state: object) -> None:
        os._exit(3)

    def __getstate__(self) -> object:
        return {"any": "state"}


def answers(values: list[int], count: int, timeout: float = 60.0) -> list[int | str]:
    with Workers(double, count, timeout) as workers:
        return [str(answer) if isinstance(answer, MediaError) else answer for answer in workers.map(values, ahead=4)]


@pytest.mark.parametrize("count", [0, 2])
def test_answers_come_in_order(count: int) -> None:
    assert answers(list(range(20, 40)), count) == list(range(40, 80, 2))


@pytest.mark.parametrize("count", [0, 1])
def test_what_cannot_be_read_is_answered_with_the_reason(count: int) -> None:
    expected = [2, "three is damaged", "it cannot be read: [Errno 2] No such file: 'four'", 4]
    assert answers([1, 3, 4, 2], count) == expected


def test_a_worker_that_hangs_costs_one_input() -> None:
    assert answers([1, 5, 2], count=1, timeout=0.5) == [2, "reading it took more than 0.5 s, 2 times", 4]


def test_a_worker_that_dies_costs_one_input() -> None:
    assert answers([1, 6, 2], count=1) == [2, "the process that read it died of SIGSEGV, 2 times", 4]


def test_a_worker_that_was_killed_for_another_reason_costs_nothing(tmp_path: Path) -> None:
    with Workers(die_once, 1, 60.0) as workers:
        assert list(workers.map([tmp_path / "marker"], ahead=1)) == ["read"]


def process_of(value: int) -> int:
    return os.getpid()


def test_a_worker_that_is_killed_while_it_waits_costs_nothing() -> None:
    with Workers(process_of, 1, 60.0) as workers:
        (first,) = workers.map([1], ahead=1)
        assert isinstance(first, int)
        os.kill(first, signal.SIGKILL)
        (second,) = workers.map([2], ahead=1)
    assert isinstance(second, int)
    assert second != first


@pytest.mark.parametrize("count", [0, 1])
def test_an_error_of_another_kind_is_raised(count: int) -> None:
    with pytest.raises(KeyError, match="seven"):
        answers([1, 7], count)


def test_processes_that_do_not_start_say_so() -> None:
    with Workers(Unready(), 1, 60.0) as workers, pytest.raises(WorkerError, match=r"does not start: it ended .* 3"):
        list(workers.map([1], ahead=1))


def test_leaving_does_not_wait_for_what_hangs() -> None:
    began = time.monotonic()
    with Workers(double, 2, 600.0) as workers:
        assert next(workers.map([1, 5, 5, 5], ahead=3)) == 2
    assert time.monotonic() - began < 60
