"""What has its gradients written out gives what the plain formula gives, and the gradients of finite differences."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_IMAGEGPT, GPT_SHORT, make_gpt, make_tokens
from torch import Tensor, nn

from gpt import model as gpt_model
from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.written_gradients import RMSNorm, gated, rotate, split, split_and_rotate

VARIANTS = pytest.mark.parametrize("config", [GPT_SHORT, GPT_IMAGEGPT], ids=["rotary", "imagegpt"])


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def norm(width: int, dtype: torch.dtype = torch.float64) -> RMSNorm:
    layer = RMSNorm(width, eps=1e-6, dtype=dtype)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    return layer


def rotation(length: int, size: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    angles = random(length, size // 2, dtype=dtype, seed=2).detach()
    return angles.cos(), angles.sin()


def plain_norm(layer: RMSNorm, x: Tensor) -> Tensor:
    return F.rms_norm(x, (len(layer.weight),), layer.weight, layer.eps)


def plain_gated(x: Tensor) -> Tensor:
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


def plain_split_and_rotate(qkv: Tensor, heads: int, angles: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    q, k, v = split(qkv, heads)
    return rotate(q, *angles), rotate(k, *angles), v


def assert_alike(found: Sequence[Tensor], expected: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
    """The values agree, and so do the gradients of the inputs."""
    torch.testing.assert_close(tuple(found), tuple(expected), rtol=1e-11, atol=1e-11)
    given = [torch.randn_like(x) for x in expected]
    gradients = (torch.autograd.grad(side, inputs, given) for side in (found, expected))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


@settings(max_examples=30)
@given(shape=st.lists(st.integers(1, 5), max_size=2), width=st.integers(1, 70))
def test_the_norm_is_the_norm(shape: list[int], width: int) -> None:
    layer, x = norm(width), random(*shape, width)
    assert_alike([layer(x)], [plain_norm(layer, x)], [x, layer.weight])


@settings(max_examples=30)
@given(shape=st.lists(st.integers(1, 5), max_size=2), width=st.integers(1, 70))
def test_the_gate_is_the_gate(shape: list[int], width: int) -> None:
    x = random(*shape, 2 * width)
    assert_alike([gated(x)], [plain_gated(x)], [x])


@settings(max_examples=30)
@given(batch=st.integers(1, 3), length=st.integers(1, 9), heads=st.integers(1, 3), pairs=st.integers(1, 9))
def test_queries_keys_and_values_are_those_of_the_formula(batch: int, length: int, heads: int, pairs: int) -> None:
    qkv, angles = random(batch, length, 3 * heads * 2 * pairs), rotation(length, 2 * pairs)
    assert_alike(split_and_rotate(qkv, heads, angles), plain_split_and_rotate(qkv, heads, angles), [qkv])


def test_every_sequence_may_have_angles_of_its_own() -> None:
    qkv, angles = random(2, 3, 12), [rotation(3, 4), tuple(-x for x in rotation(3, 4))]
    both = (torch.stack([a[0] for a in angles]), torch.stack([a[1] for a in angles]))
    found = split_and_rotate(qkv, 1, both)
    each = [plain_split_and_rotate(row[None], 1, (a[0], a[1])) for row, a in zip(qkv, angles, strict=True)]
    torch.testing.assert_close(found, tuple(torch.cat(parts) for parts in zip(*each, strict=True)))


FUNCTIONS: dict[str, tuple[Callable[[Tensor], object], Tensor]] = {
    "norm": (norm(6), random(2, 3, 6)),
    "gate": (gated, random(2, 3, 8)),
    "rotation": (lambda x: split_and_rotate(x, 2, rotation(3, 4)), random(2, 3, 24)),
}
EACH = pytest.mark.parametrize(("function", "x"), FUNCTIONS.values(), ids=FUNCTIONS)


@EACH
def test_the_gradients_are_those_of_finite_differences(function: Callable[[Tensor], object], x: Tensor) -> None:
    assert torch.autograd.gradcheck(function, x)


def test_the_gradient_of_the_weight_is_that_of_finite_differences() -> None:
    layer, x = norm(6), random(2, 3, 6)
    assert torch.autograd.gradcheck(lambda w: torch.func.functional_call(layer, {"weight": w}, x), layer.weight)


@EACH
def test_there_are_no_gradients_of_gradients(function: Callable[[Tensor], object], x: Tensor) -> None:
    found = function(x)
    first = found[0] if isinstance(found, tuple) else found
    assert isinstance(first, Tensor)
    with pytest.raises(RuntimeError, match="this gradient has no gradient of its own: take it without create_graph"):
        torch.autograd.grad(first.sum() + x.pow(3).sum(), x, create_graph=True)


def test_a_gradient_that_lies_otherwise_in_memory_is_read_right() -> None:
    layer, x, gradient = norm(6), random(3, 4, 6), random(4, 3, 6).detach().transpose(0, 1)
    (found,) = torch.autograd.grad(layer(x), x, gradient)
    torch.testing.assert_close(found, torch.autograd.grad(plain_norm(layer, x), x, gradient)[0])


@pytest.mark.parametrize(("shape", "affine"), [((4, 6), True), ((6,), False), ((4, 6), False)])
def test_a_norm_over_several_axes_or_without_weights_is_the_norm(shape: tuple[int, ...], affine: bool) -> None:
    x = random(3, 4, 6)
    written, plain = (kind(shape, 1e-6, affine, dtype=torch.float64) for kind in (RMSNorm, nn.RMSNorm))
    assert_alike([written(x)], [plain(x)], [x])


@pytest.mark.parametrize("frozen", ["weight", "input"])
def test_what_is_frozen_has_no_gradient(frozen: str) -> None:
    layer, x = norm(6), random(3, 6)
    (layer.weight if frozen == "weight" else x).requires_grad_(False)
    plain = plain_norm(layer, x)
    wanted = x if frozen == "weight" else layer.weight
    torch.testing.assert_close(*(torch.autograd.grad(y.sum(), wanted) for y in (layer(x), plain)))


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 64])
def test_without_gradients_the_values_are_those_of_the_formulas(rows: int) -> None:
    x, angles = random(rows, 1, 48).detach(), rotation(1, 8)
    layer = norm(48)
    assert torch.equal(layer(x), plain_norm(layer, x))
    torch.testing.assert_close(gated(x), plain_gated(x))
    torch.testing.assert_close(split_and_rotate(x, 2, angles), plain_split_and_rotate(x, 2, angles))


# In a model


def plain_model(config: GPTConfig, monkeypatch: pytest.MonkeyPatch, scale: float = 8.0) -> GPT:
    """A GPT that computes by the plain formulas; so do all others from then on."""
    monkeypatch.setattr(gpt_model, "split_and_rotate", plain_split_and_rotate)
    monkeypatch.setattr(gpt_model, "gated", plain_gated)
    monkeypatch.setattr(RMSNorm, "forward", nn.RMSNorm.forward)
    return make_gpt(config, scale=scale)


def gradients(model: GPT, autocast: bool = False) -> list[Tensor]:
    tokens = make_tokens()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model(model.with_bos(tokens[:, :-1]), targets=tokens)
    loss.backward()
    return [loss.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]


@VARIANTS
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_model_learns_what_it_would_by_the_formulas(
    config: GPTConfig, checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_gpt(config)
    model.activation_checkpointing = checkpointing
    found = gradients(model)
    expected = gradients(plain_model(config, monkeypatch))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_model_learns_in_bf16_what_it_would_by_the_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gradients(make_gpt(scale=2.0), autocast=True)
    expected = gradients(plain_model(GPT_SHORT, monkeypatch, scale=2.0), autocast=True)
    torch.testing.assert_close(found, expected, rtol=0.03, atol=0.003)


def test_queries_and_keys_stay_in_bf16() -> None:
    qkv = random(2, 3, 24, dtype=torch.bfloat16)
    parts = split_and_rotate(qkv, 2, rotation(3, 4, torch.float32))
    assert {part.dtype for part in parts} == {torch.bfloat16}
    assert torch.autograd.grad(parts[0].sum(), qkv)[0].dtype == torch.bfloat16


def test_a_copy_of_a_model_learns_as_it_does() -> None:
    model = make_gpt()
    torch.testing.assert_close(gradients(copy.deepcopy(model)), gradients(model), rtol=0, atol=0)


def test_a_compiler_gets_the_plain_formulas_in_one_graph() -> None:
    model, tokens = make_gpt(replace(GPT_SHORT, layers=1)), make_tokens()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    inputs = model.with_bos(tokens[:, :-1])
    torch.testing.assert_close(compiled(inputs), model(inputs), rtol=1e-4, atol=1e-5)


def test_the_names_of_the_weights_stay() -> None:
    names = set(make_gpt(replace(GPT_SHORT, layers=1)).state_dict())
    assert {"blocks.0.attention_norm.weight", "blocks.0.feed_forward_norm.weight", "norm.weight"} <= names
    assert len(names) == 9
