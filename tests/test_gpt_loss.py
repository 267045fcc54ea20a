"""The chunked cross-entropy is cross-entropy, with its gradients, whatever the chunks."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from gpt.loss import cross_entropy, token_nll


def make_inputs(rows: int, width: int, vocab: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, width, generator=generator, dtype=dtype).requires_grad_()
    weight = torch.randn(vocab, width, generator=generator, dtype=dtype).requires_grad_()
    return hidden, weight, torch.randint(vocab, (rows,), generator=generator)


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(hidden @ weight.T, targets)


def nll(hidden: Tensor, weight: Tensor, targets: Tensor, at_once: int) -> Tensor:
    return token_nll(hidden, lambda part: F.linear(part, weight), targets, len(weight), at_once)


@settings(max_examples=50)
@given(rows=st.integers(1, 20), width=st.integers(1, 8), vocab=st.integers(2, 30), at_once=st.integers(1, 700))
def test_loss_and_gradients_are_those_of_cross_entropy(rows: int, width: int, vocab: int, at_once: int) -> None:
    hidden, weight, targets = make_inputs(rows, width, vocab)
    found = cross_entropy(hidden, weight, targets, at_once)
    expected = plain(hidden, weight, targets)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    gradients = torch.autograd.grad(3 * found, (hidden, weight)), torch.autograd.grad(3 * expected, (hidden, weight))
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-12)


@settings(max_examples=50)
@given(rows=st.integers(1, 20), width=st.integers(1, 8), vocab=st.integers(2, 30), at_once=st.integers(1, 700))
def test_the_nll_of_every_token_is_that_of_all_logits(rows: int, width: int, vocab: int, at_once: int) -> None:
    hidden, weight, targets = make_inputs(rows, width, vocab, torch.float32)
    expected = F.cross_entropy(hidden @ weight.T, targets, reduction="none")
    found = nll(hidden, weight, targets, at_once)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    gradients = torch.autograd.grad(found.sum(), weight), torch.autograd.grad(expected.sum(), weight)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_without_gradients_the_nll_of_every_token_is_the_same(scale: float) -> None:
    hidden, weight, targets = make_inputs(20, 8, 30, torch.float32)
    with torch.no_grad():
        found = nll(scale * hidden, weight, targets, 100)
    torch.testing.assert_close(found, nll(scale * hidden, weight, targets, 100).detach(), rtol=1e-5, atol=1e-6)


def test_without_gradients_what_is_not_a_number_stays_none() -> None:
    hidden, weight, targets = make_inputs(3, 8, 30, torch.float32)
    with torch.no_grad():
        assert nll(torch.full_like(hidden, torch.nan), weight, targets, 100).isnan().all()


def test_the_nll_of_every_token_is_fp32_under_autocast() -> None:
    hidden, weight, targets = make_inputs(64, 16, 100, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = nll(hidden, weight, targets, 1000)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.mean(), plain(hidden, weight, targets), rtol=1e-2, atol=1e-2)


def test_the_gradients_are_those_of_finite_differences() -> None:
    hidden, weight, targets = make_inputs(5, 3, 7)
    assert torch.autograd.gradcheck(lambda h, w: cross_entropy(h, w, targets, 14), (hidden, weight))


def test_a_second_derivative_is_refused_beside_other_terms_too() -> None:
    hidden, weight, targets = make_inputs(4, 8, 16)
    loss = cross_entropy(hidden, weight, targets) + hidden.pow(3).sum()
    with pytest.raises(RuntimeError, match="this gradient has no gradient of its own"):
        torch.autograd.grad(loss, hidden, create_graph=True)


def test_in_single_precision_it_agrees_to_a_millionth() -> None:
    hidden, weight, targets = make_inputs(64, 16, 100, torch.float32)
    found, expected = cross_entropy(hidden, weight, targets, 1000), plain(hidden, weight, targets)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(found, (hidden, weight)), torch.autograd.grad(expected, (hidden, weight))
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_very_unlikely_tokens_have_a_finite_loss() -> None:
    hidden, weight = torch.tensor([[1.0]]), torch.tensor([[0.0], [1000.0]])
    assert float(cross_entropy(hidden, weight, torch.tensor([0]))) == 1000.0


def test_autocast_multiplies_in_bf16_and_sums_in_fp32() -> None:
    hidden, weight, targets = make_inputs(64, 16, 100, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = cross_entropy(hidden, weight, targets, 1000)
    expected = plain(hidden, weight, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
    assert float(found.detach()) != float(expected.detach())
    gradients = torch.autograd.grad(found, (hidden, weight)), torch.autograd.grad(expected, (hidden, weight))
    torch.testing.assert_close(*gradients, rtol=0.05, atol=2e-3)


def test_no_gradients_are_made_where_none_are_wanted() -> None:
    hidden, weight, targets = make_inputs(8, 4, 10)
    with torch.no_grad():
        assert not cross_entropy(hidden, weight, targets).requires_grad


def peak_bytes(function: object, *inputs: Tensor) -> int:
    """The most memory that was held at a time, over what was held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        function(*inputs).backward()  # type: ignore[operator]
    held = peak = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.filterwarnings("ignore")
def test_it_holds_less_memory_than_all_logits() -> None:
    hidden, weight, targets = make_inputs(512, 8, 1000, torch.float32)
    logits = 512 * 1000 * 4
    assert peak_bytes(plain, hidden, weight, targets) >= 2 * logits
    chunked = peak_bytes(lambda *inputs: cross_entropy(*inputs, 32_000), hidden, weight, targets)
    assert 0 < chunked < logits / 2
