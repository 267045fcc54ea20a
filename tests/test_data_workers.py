"""Workers answer in order; one that hangs, dies or fails costs its own input alone."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from data.errors import MediaError
from data.workers import WorkerError, Workers


def double(values: Sequence[int]) -> Iterator[int]:
    """Stands for the reading of files; some numbers are files that cannot be read."""
    for value in values:
        yield read(value)


def read(value: int) -> int:
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


def die_once(markers: Sequence[Path]) -> Iterator[str]:
    for marker in markers:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield marker.name


class Unready:
    """What cannot be brought into another process."""

    def __call__(self, values: Sequence[int]) -> Sequence[int]:
        return values

    def __setstate__(self, state: object) -> None:
        os._exit(3)

    def __getstate__(self) -> object:
        return {"any": "state"}


def answers(values: list[int], count: int, timeout: float = 60.0, batch: int = 1) -> list[int | str]:
    batches = [values[first : first + batch] for first in range(0, len(values), batch)]
    with Workers(double, count, timeout) as workers:
        return [str(answer) if isinstance(answer, MediaError) else answer for answer in workers.map(batches)]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("count", [0, 2])
def test_answers_come_in_order(count: int, batch: int) -> None:
    assert answers(list(range(20, 40)), count, batch=batch) == list(range(40, 80, 2))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("count", [0, 1])
def test_what_cannot_be_read_is_answered_with_the_reason(count: int, batch: int) -> None:
    expected = [2, "three is damaged", "it cannot be read: [Errno 2] No such file: 'four'", 4]
    assert answers([1, 3, 4, 2], count, batch=batch) == expected


@pytest.mark.parametrize("batch", [1, 3])
def test_a_worker_that_hangs_costs_one_input(batch: int) -> None:
    expected = [2, "reading it took more than 0.5 s, 2 times", 4]
    assert answers([1, 5, 2], count=1, timeout=0.5, batch=batch) == expected


@pytest.mark.parametrize("batch", [1, 3])
def test_a_worker_that_dies_costs_one_input(batch: int) -> None:
    expected = [2, "the process that read it died of SIGSEGV, 2 times", 4]
    assert answers([1, 6, 2], count=1, batch=batch) == expected


def test_two_inputs_of_a_batch_may_cost_a_process_each() -> None:
    lost = "the process that read it died of SIGSEGV, 2 times"
    assert answers([6, 1, 6, 2], count=1, batch=4) == [lost, 2, lost, 4]


def test_a_worker_that_was_killed_for_another_reason_costs_nothing(tmp_path: Path) -> None:
    with Workers(die_once, 1, 60.0) as workers:
        assert list(workers.map([[tmp_path / "one", tmp_path / "two"]])) == ["one", "two"]


def process_of(values: Sequence[int]) -> list[int]:
    return [os.getpid() for _ in values]


def test_a_worker_that_is_killed_while_it_waits_costs_nothing() -> None:
    with Workers(process_of, 1, 60.0) as workers:
        (first,) = workers.map([[1]])
        assert isinstance(first, int)
        os.kill(first, signal.SIGKILL)
        (second,) = workers.map([[2]])
    assert isinstance(second, int)
    assert second != first


@pytest.mark.parametrize("count", [0, 1])
def test_an_error_of_another_kind_is_raised(count: int) -> None:
    with pytest.raises(KeyError, match="seven"):
        answers([1, 7], count)


def test_processes_that_do_not_start_say_so() -> None:
    with Workers(Unready(), 1, 60.0) as workers, pytest.raises(WorkerError, match=r"does not start: it ended .* 3"):
        list(workers.map([[1]]))


def test_leaving_does_not_wait_for_what_hangs() -> None:
    began = time.monotonic()
    with Workers(double, 2, 600.0) as workers:
        assert next(workers.map([[1, 5], [5], [5]])) == 2
    assert time.monotonic() - began < 60
