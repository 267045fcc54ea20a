"""Small things side by side: in their order, each in one thread, and ended by an error."""

import threading
import time

import pytest
import torch

from training.parallel import cores, one_thread, side_by_side

CPU = torch.device("cpu")


def test_results_come_in_the_order_of_inputs() -> None:
    def late(number: int) -> int:
        time.sleep(0.01 * (number % 3))
        return number

    assert list(side_by_side(late, range(9), CPU, at_most=3)) == list(range(9))


def test_each_computes_in_one_thread_and_afterwards_there_are_as_many_as_before() -> None:
    before = torch.get_num_threads()
    assert set(side_by_side(lambda _: torch.get_num_threads(), range(6), CPU)) == {1}
    assert torch.get_num_threads() == before


def test_as_many_are_called_at_once_as_torch_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    together = threading.Barrier(3, timeout=20)
    assert sorted(side_by_side(lambda _: together.wait(), range(3), CPU)) == [0, 1, 2]


def test_not_more_than_asked_for_are_called_at_once() -> None:
    names = set(side_by_side(lambda _: threading.current_thread().name, range(8), CPU, at_most=1))
    assert len(names) == 1


def test_on_other_devices_one_comes_after_another_in_this_thread() -> None:
    names = set(side_by_side(lambda _: threading.current_thread().name, range(4), torch.device("meta")))
    assert names == {threading.current_thread().name}


def test_an_error_ends_it_and_threads_are_as_before() -> None:
    begun = []

    def fail(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("one")
        time.sleep(0.01)
        return number

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="one"):
        list(side_by_side(fail, range(200), CPU, at_most=1))
    assert len(begun) < 200
    assert torch.get_num_threads() == before


def test_one_thread_ends_where_it_began() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    assert cores() >= 1
