"""Fast layers compute what the model computes, with its parameters."""

import pytest
import torch
from tiny import GPT_IMAGEGPT, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_tokens
from torch import nn

from gpt.config import GPTConfig
from gpt.fast_layers import HalfLinear, PackedLinear, packs_bf16, with_fast_layers

VARIANTS = pytest.mark.parametrize(
    "config", [GPT_SHORT, GPT_LEGACY_START, GPT_IMAGEGPT], ids=["rotary", "legacy", "imagegpt"]
)


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 6, 64])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_is_the_layer(rows: int, bias: bool) -> None:
    linear, x = nn.Linear(24, 40, bias=bias), torch.randn(rows, 1, 24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(PackedLinear(linear, rows)(x), linear(x))


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 6, 64])
@pytest.mark.parametrize("bias", [True, False])
def test_a_half_layer_is_the_layer_in_half_precision(rows: int, bias: bool) -> None:
    linear, x = nn.Linear(24, 40, bias=bias), torch.randn(rows, 1, 24, generator=torch.Generator().manual_seed(0))
    found = HalfLinear(linear, rows)(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), linear(x), rtol=0.02, atol=0.02)


@torch.no_grad()
@pytest.mark.skipif(not packs_bf16(), reason="this processor multiplies no packed matrices in bf16")
@pytest.mark.parametrize("rows", [1, 6, 64])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_half_layer_is_torchs_own(rows: int, bias: bool) -> None:
    linear, x = nn.Linear(24, 40, bias=bias), torch.randn(rows, 1, 24, generator=torch.Generator().manual_seed(0))
    fast = HalfLinear(linear, rows)
    assert fast.weight.layout == torch._mkldnn
    torch.testing.assert_close(fast(x), linear.bfloat16()(x.bfloat16()), rtol=0.01, atol=0.01)


@torch.no_grad()
@pytest.mark.skipif(packs_bf16(), reason="this processor multiplies packed matrices in bf16")
def test_half_weights_lie_as_they_were_where_packed_ones_cannot_be_multiplied() -> None:
    linear = nn.Linear(24, 40)
    assert torch.equal(HalfLinear(linear, 6).weight, linear.weight.bfloat16())


@torch.no_grad()
@VARIANTS
def test_a_fast_model_is_the_model(config: GPTConfig) -> None:
    gpt = make_gpt(config)
    tokens = gpt.with_bos(make_tokens(length=31))
    torch.testing.assert_close(with_fast_layers(gpt, 4)(tokens), gpt(tokens), rtol=1e-4, atol=1e-5)


def test_the_model_itself_stays_as_it_is() -> None:
    gpt = make_gpt().train()
    fast = with_fast_layers(gpt, 4)
    assert gpt.training
    assert not fast.training
    assert isinstance(gpt.head, nn.Linear)
    assert fast.embedding.weight is gpt.embedding.weight


def test_in_bf16_the_blocks_are_half_and_the_head_is_whole() -> None:
    fast = with_fast_layers(make_gpt(), 4, half=True)
    halves = {name for name, module in fast.named_modules() if isinstance(module, HalfLinear)}
    linears = {name for name, module in make_gpt().named_modules() if isinstance(module, nn.Linear)}
    assert halves == linears - {"head"}
