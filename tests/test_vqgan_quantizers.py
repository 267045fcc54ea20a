"""The quantizer: nearest codes, gradients straight through, and codes that follow what they stand for."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqgan.quantizers import DEAD_SHARE, FiniteScalarQuantizer, VectorQuantizer, nearest_code


def make_quantizer(codes: int = 8, width: int = 4, decay: float = 0.9, started: bool = True) -> VectorQuantizer:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(codes, width, commitment=0.25, decay=decay)
    quantizer.initialised.fill_(started)
    return quantizer


def rows(count: int = 64, width: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def clusters(count: int = 200, spread: float = 0.01) -> Tensor:
    """Vectors around the four corners of a square of side 10."""
    corners = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    return corners[torch.arange(count) % 4] + spread * rows(count, 2)


def buffers(quantizer: VectorQuantizer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in quantizer.named_buffers()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), count=st.integers(1, 600), codes=st.integers(2, 40), width=st.integers(1, 8))
def test_nearest_code_is_the_one_at_the_least_distance(seed: int, count: int, codes: int, width: int) -> None:
    x, codebook = rows(count, width, seed), rows(codes, width, seed + 1)
    distance = torch.cdist(x.double(), codebook.double())
    chosen = distance.gather(1, nearest_code(x, codebook)[:, None])[:, 0]
    torch.testing.assert_close(chosen, distance.amin(dim=1), rtol=0, atol=1e-5)


def test_nearest_code_equals_the_argmin_of_cdist() -> None:
    x, codebook = rows(500), rows(32, seed=2)
    assert torch.equal(nearest_code(x, codebook), torch.cdist(x, codebook).argmin(dim=1))


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_the_chunk_size_does_not_change_the_codes(chunk: int) -> None:
    x, codebook = rows(500), rows(32, seed=2)
    assert torch.equal(nearest_code(x, codebook, chunk), nearest_code(x, codebook))


def test_the_output_is_the_nearest_code() -> None:
    quantizer, z = make_quantizer().eval(), rows()
    result = quantizer(z)
    torch.testing.assert_close(result.codes, quantizer.codebook[nearest_code(z, quantizer.codebook)])


def test_indices_have_the_shape_of_the_input_without_its_last_axis() -> None:
    assert make_quantizer().eval()(torch.zeros(2, 3, 5, 5, 4)).indices.shape == (2, 3, 5, 5)


def test_indices_lead_back_to_the_codes() -> None:
    quantizer = make_quantizer().eval()
    result = quantizer(rows())
    torch.testing.assert_close(quantizer.indices_to_codes(result.indices), result.codes)


def test_the_gradient_passes_straight_through() -> None:
    quantizer, z, weights = make_quantizer().eval(), rows().requires_grad_(), rows(seed=3)
    (quantizer(z).codes * weights).sum().backward()
    assert torch.equal(z.grad, weights)


def test_the_commitment_loss_is_the_weighted_squared_distance() -> None:
    quantizer, z = make_quantizer().eval(), rows()
    codes = quantizer.codebook[nearest_code(z, quantizer.codebook)]
    torch.testing.assert_close(quantizer(z).loss, 0.25 * (z - codes).square().mean())


def test_the_commitment_loss_pulls_the_input_towards_its_code() -> None:
    quantizer, z = make_quantizer().eval(), rows().requires_grad_()
    result = quantizer(z)
    result.loss.backward()
    torch.testing.assert_close(z.grad, 0.5 * (z - result.codes).detach() / z.numel())


def test_codes_become_the_means_of_what_they_stand_for() -> None:
    quantizer, z = make_quantizer(4, 2), clusters()
    quantizer.codebook.copy_(torch.tensor([[1.0, 1.0], [9.0, 1.0], [1.0, 9.0], [9.0, 9.0]]))
    for _ in range(100):
        quantizer(z)
    means = torch.stack([z[corner::4].mean(dim=0) for corner in range(4)])
    torch.testing.assert_close(quantizer.codebook, means, rtol=0, atol=1e-3)


def test_one_update_moves_a_code_by_the_moving_average() -> None:
    quantizer = make_quantizer(2, 1, decay=0.75)
    for name, values in (("codebook", [[0.0], [10.0]]), ("counts", [4.0, 4.0]), ("sums", [[0.0], [40.0]])):
        quantizer.get_buffer(name).copy_(torch.tensor(values))
    quantizer(torch.tensor([[1.0], [1.0], [11.0], [11.0]]))
    # Counts 0.75 * 4 + 0.25 * 2 = 3.5; sums 0.75 * 0 + 0.25 * 2 and 0.75 * 40 + 0.25 * 22.
    torch.testing.assert_close(quantizer.codebook, torch.tensor([[0.5 / 3.5], [35.5 / 3.5]]))


def test_the_first_batch_starts_the_codes_by_k_means() -> None:
    torch.manual_seed(3)
    quantizer, z = make_quantizer(16, 2, started=False), clusters()
    quantizer(z)
    assert (torch.cdist(z, quantizer.codebook).amin(dim=1) < 0.1).all()


def test_the_first_batch_in_training_marks_the_codes_as_started() -> None:
    quantizer = make_quantizer(started=False)
    quantizer(rows())
    assert quantizer.initialised


def test_the_start_happens_once() -> None:
    quantizer = make_quantizer(decay=0.999, started=False)
    quantizer(rows())
    before = quantizer.codebook.clone()
    quantizer(rows(seed=2) + 100)
    kept = (quantizer.codebook - before).norm(dim=1) < 50
    assert kept.any()


def test_a_code_that_nothing_uses_restarts_on_a_vector_of_the_batch() -> None:
    quantizer, z = make_quantizer(4, 2, decay=0.5), clusters(spread=0.0)
    quantizer.codebook[0] = 1e4
    quantizer.sums.copy_(quantizer.codebook)
    for _ in range(12):
        quantizer(z)
    assert (torch.cdist(quantizer.codebook[:1], z).amin() < 1e-3).all()


def test_a_code_in_use_does_not_restart() -> None:
    quantizer, z = make_quantizer(4, 2), clusters()
    quantizer.codebook.copy_(z[:4])
    quantizer.sums.copy_(z[:4])
    share = len(z) / 4
    for _ in range(50):
        quantizer(z)
    assert (quantizer.counts > DEAD_SHARE * share).all()
    assert torch.equal(quantizer.eval()(z).indices, torch.arange(200) % 4)


def test_a_nan_leaves_the_codes_alone() -> None:
    quantizer, z = make_quantizer(), rows()
    z[5] = torch.nan
    before = buffers(quantizer)
    quantizer(z)
    assert same(before, buffers(quantizer))


def test_the_codes_do_not_start_from_a_batch_with_a_nan() -> None:
    quantizer, z = make_quantizer(started=False), rows()
    z[5] = torch.nan
    quantizer(z)
    assert not quantizer.initialised
    assert torch.isfinite(quantizer.codebook).all()


def test_evaluation_changes_no_buffer() -> None:
    quantizer = make_quantizer(started=False).eval()
    before = buffers(quantizer)
    quantizer(rows())
    assert same(before, buffers(quantizer))


def test_a_loaded_state_goes_on_as_the_saved_one_would() -> None:
    quantizer, other = make_quantizer(started=False), make_quantizer(started=False)
    quantizer(rows())
    other.load_state_dict(quantizer.state_dict())
    for one in (quantizer, other):
        torch.manual_seed(4)
        one(rows(seed=2))
    assert other.initialised
    assert same(buffers(quantizer), buffers(other))


def train_in_process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(train_on(rank, 2).state_dict(), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def train_on(rank: int, processes: int) -> VectorQuantizer:
    """Ten updates on this process's part of batches of clusters that none of the codes leaves unused."""
    quantizer = make_quantizer(4, 2)
    quantizer.codebook.copy_(torch.tensor([[1.0, 1.0], [9.0, 1.0], [1.0, 9.0], [9.0, 9.0]]))
    torch.manual_seed(rank)
    for step in range(10):
        quantizer(clusters(80, spread=1 + step / 10).chunk(processes)[rank])
    return quantizer


@pytest.fixture(scope="module")
def trained_apart(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("processes")
    mp.spawn(train_in_process, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_end_with_identical_codes(trained_apart: list[dict[str, Tensor]]) -> None:
    assert same(*trained_apart)


def test_two_processes_learn_what_one_learns_from_the_joined_batch(trained_apart: list[dict[str, Tensor]]) -> None:
    torch.testing.assert_close(trained_apart[0], dict(train_on(0, 1).state_dict()))


# Codes of unit length


def make_normalised(codes: int = 8, width: int = 4) -> VectorQuantizer:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(codes, width, commitment=0.25, decay=0.9, normalised=True)
    quantizer.initialised.fill_(True)
    return quantizer


def lengths(codebook: Tensor) -> Tensor:
    return codebook.norm(dim=1)


def test_normalised_codes_begin_at_unit_length() -> None:
    torch.testing.assert_close(lengths(make_normalised().codebook), torch.ones(8))


def test_normalised_codes_keep_unit_length_in_training() -> None:
    quantizer = make_normalised()
    for seed in range(5):
        quantizer(5 * rows(seed=seed))
    torch.testing.assert_close(lengths(quantizer.codebook), torch.ones(8))


def test_normalised_codes_start_at_unit_length() -> None:
    quantizer = make_normalised()
    quantizer.initialised.fill_(False)
    quantizer(5 * rows())
    torch.testing.assert_close(lengths(quantizer.codebook), torch.ones(8))


@given(scale=st.floats(0.01, 100))
def test_length_does_not_matter_to_normalised_codes(scale: float) -> None:
    quantizer = make_normalised().eval()
    assert torch.equal(quantizer(rows()).indices, quantizer(scale * rows()).indices)


def test_normalised_codes_are_chosen_by_the_cosine() -> None:
    quantizer = make_normalised().eval()
    cosine = torch.cosine_similarity(rows()[:, None], quantizer.codebook[None], dim=2)
    assert torch.equal(quantizer(rows()).indices, cosine.argmax(dim=1))


# Finite scalar quantization

LEVELS = st.lists(st.integers(2, 9), min_size=1, max_size=4).map(tuple)


@given(levels=LEVELS)
def test_every_scalar_code_is_its_own_nearest(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    indices = torch.arange(int(torch.tensor(levels).prod()))
    codes = quantizer.indices_to_codes(indices)
    # Before the bounds are applied, a code stands where the inverse of the bound puts it.
    reached = (codes * (quantizer.levels // 2) + quantizer.offset) / quantizer.reach
    z = reached.atanh() - (quantizer.offset / quantizer.reach).atanh()
    assert torch.equal(quantizer(z).indices, indices)


@given(levels=LEVELS, scale=st.floats(0.01, 1000))
def test_scalar_indices_lead_back_to_the_codes(levels: tuple[int, ...], scale: float) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    result = quantizer(scale * rows(50, len(levels)))
    torch.testing.assert_close(quantizer.indices_to_codes(result.indices), result.codes)


@given(levels=LEVELS)
def test_all_scalar_codes_lie_between_minus_one_and_one(levels: tuple[int, ...]) -> None:
    codes = FiniteScalarQuantizer(levels)(100 * rows(200, len(levels))).codes
    assert codes.abs().max() <= 1 + 1e-6


def test_scalar_gradients_pass_the_rounding() -> None:
    z = (0.1 * rows()).requires_grad_()
    FiniteScalarQuantizer((5, 5, 5, 5))(z).codes.sum().backward()
    assert z.grad is not None
    assert z.grad.gt(0).all()


def test_a_scalar_that_is_no_number_gets_a_token_that_exists() -> None:
    indices = FiniteScalarQuantizer((8, 5))(torch.full((3, 2), torch.nan)).indices
    assert indices.ge(0).all()
    assert indices.lt(40).all()


def test_scalar_quantization_has_no_state() -> None:
    assert not FiniteScalarQuantizer((8, 5)).state_dict()
