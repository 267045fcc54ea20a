"""Engines agree on what comes next, and fast layers compute what the model computes, with its parameters."""

import pytest
import torch
from tiny import GPT_IMAGEGPT, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_tokens
from torch import nn

from gpt.config import GPTConfig
from sampling.engine import CachedEngine, HalfLinear, PackedLinear, RecomputingEngine, with_fast_layers

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
@pytest.mark.parametrize("bias", [True, False])
def test_a_half_layer_is_the_layer_in_half_precision(bias: bool) -> None:
    linear, x = nn.Linear(24, 40, bias=bias), torch.randn(3, 1, 24, generator=torch.Generator().manual_seed(0))
    found = HalfLinear(linear)(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), linear(x), rtol=0.02, atol=0.02)


@torch.no_grad()
@VARIANTS
def test_a_fast_model_is_the_model(config: GPTConfig) -> None:
    gpt = make_gpt(config)
    tokens = gpt.with_bos(make_tokens(length=31))
    torch.testing.assert_close(with_fast_layers(gpt, 4)(tokens), gpt(tokens), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@VARIANTS
def test_a_model_computes_with_half_layers_from_end_to_end(config: GPTConfig) -> None:
    gpt, half = make_gpt(config), make_gpt(config)
    for module in list(half.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, HalfLinear(child))
    engine, exact = CachedEngine(gpt, 4), RecomputingEngine(gpt)
    engine.gpt = half
    tokens = make_tokens(2, 8)
    torch.testing.assert_close(engine.prefill(tokens, 2, 3).float(), exact.prefill(tokens, 2, 3), rtol=0.1, atol=0.3)
    torch.testing.assert_close(
        engine.step(tokens[:, :2].flatten()).float(), exact.step(tokens[:, :2].flatten()), rtol=0.1, atol=0.3
    )


def test_the_model_itself_stays_as_it_is() -> None:
    gpt = make_gpt().train()
    fast = with_fast_layers(gpt, 4)
    assert gpt.training
    assert not fast.training
    assert isinstance(gpt.head, nn.Linear)
    assert fast.embedding.weight is gpt.embedding.weight


@torch.no_grad()
def test_the_engines_agree() -> None:
    gpt, prompts, tokens = make_gpt(), make_tokens(2, 8), make_tokens(6, 5, seed=1)
    cached, recomputing = CachedEngine(gpt, 6), RecomputingEngine(gpt)
    logits = recomputing.prefill(prompts, 3, 6)
    torch.testing.assert_close(cached.prefill(prompts, 3, 6), logits, rtol=1e-5, atol=1e-5)
    for column in tokens.T:
        torch.testing.assert_close(cached.step(column), recomputing.step(column), rtol=1e-5, atol=1e-5)
