"""The order of the data is a pure function of seed and step, however the run is cut or shared out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from storage.options import LARGEST_SEED
from training.order import DataOrder, SampleIndex, epoch_order

SIZES = {"items": st.integers(1, 40), "batch": st.integers(1, 12), "seed": st.integers(0, 10_000)}


def flat(order: DataOrder) -> list[SampleIndex]:
    return [draw for draws in order for draw in draws]


@given(**SIZES, steps=st.integers(0, 12))
def test_the_same_numbers_give_the_same_order(items: int, batch: int, seed: int, steps: int) -> None:
    first, second = (DataOrder(items, batch, seed, 0, steps) for _ in range(2))
    assert list(first) == list(second)
    assert list(first) == list(first)


def test_the_largest_seed_has_an_order() -> None:
    assert sorted(epoch_order(9, LARGEST_SEED, 3).tolist()) == list(range(9))
    assert flat(DataOrder(9, 3, LARGEST_SEED, 0, 2))


@given(**SIZES, epochs=st.integers(1, 4))
def test_each_epoch_visits_every_item_once(items: int, batch: int, seed: int, epochs: int) -> None:
    steps = -(-items * epochs // batch)
    stream = [draw.index for draw in flat(DataOrder(items, batch, seed, 0, steps))]
    for epoch in range(epochs):
        assert sorted(stream[epoch * items : (epoch + 1) * items]) == list(range(items))


@given(**SIZES, cut=st.integers(0, 9))
def test_beginning_at_a_step_gives_the_tail(items: int, batch: int, seed: int, cut: int) -> None:
    whole, tail = DataOrder(items, batch, seed, 0, 9), DataOrder(items, batch, seed, cut, 9)
    assert list(tail) == list(whole)[cut:]


@given(items=SIZES["items"], seed=SIZES["seed"], share=st.integers(1, 4), processes=st.integers(1, 5))
def test_processes_share_out_the_global_batch(items: int, seed: int, share: int, processes: int) -> None:
    batch = share * processes
    parts = [DataOrder(items, batch, seed, 2, 6, rank, processes) for rank in range(processes)]
    joined = [[draw for part in step for draw in part] for step in zip(*parts, strict=True)]
    assert joined == list(DataOrder(items, batch, seed, 2, 6))


def test_no_two_draws_have_the_same_seed() -> None:
    seeds = [draw.seed for draw in flat(DataOrder(5, 4, seed=3, first_step=0, last_step=10))]
    assert len(set(seeds)) == len(seeds)


def test_the_seed_and_the_epoch_change_the_order() -> None:
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_global_random_state_plays_no_part() -> None:
    before = torch.get_rng_state()
    first = list(DataOrder(7, 3, 0, 0, 5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert list(DataOrder(7, 3, 0, 0, 5)) == first


@pytest.mark.parametrize(("first", "last"), [(0, 5), (3, 5), (5, 5)])
def test_the_length_is_the_number_of_steps(first: int, last: int) -> None:
    order = DataOrder(7, 3, 0, first, last)
    assert len(order) == len(list(order)) == last - first


@pytest.mark.parametrize(("batch", "processes", "nearest"), [(10, 4, 8), (11, 4, 12), (1, 4, 4), (0, 2, 2)])
def test_a_batch_that_cannot_be_shared_is_refused_with_the_nearest(batch: int, processes: int, nearest: int) -> None:
    with pytest.raises(ValueError, match=rf"--batch {batch} .* {processes} processes; the nearest is {nearest}$"):
        DataOrder(10, batch, 0, 0, 1, processes=processes)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="the data set is empty"):
        DataOrder(0, 4, 0, 0, 1)
