"""Engines agree on what comes next."""

from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tiny import GPT_IMAGEGPT, GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_tokens
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gpt.config import GPTConfig
from gpt.fast_layers import HalfLinear
from sampling.decode import sample
from sampling.engine import CachedEngine, RecomputingEngine
from sampling.options import SamplingPrecision
from sampling.parallel import DecodingCounts
from sampling.sampled import FREE, Sampled
from training.precision import forget_earlier_trainings

VARIANTS = pytest.mark.parametrize(
    "config", [GPT_SHORT, GPT_LEGACY_START, GPT_IMAGEGPT], ids=["rotary", "legacy", "imagegpt"]
)


@torch.no_grad()
@VARIANTS
def test_a_model_computes_with_half_layers_from_end_to_end(config: GPTConfig) -> None:
    gpt, half = make_gpt(config), make_gpt(config)
    for module in list(half.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, HalfLinear(child, 4))
    engine, exact = CachedEngine(gpt, 4), RecomputingEngine(gpt)
    engine.gpt = half
    tokens = make_tokens(2, 8)
    torch.testing.assert_close(engine.prefill(tokens, 2, 3).float(), exact.prefill(tokens, 2, 3), rtol=0.1, atol=0.3)
    torch.testing.assert_close(
        engine.step(tokens[:, :2].flatten()).float(), exact.step(tokens[:, :2].flatten()), rtol=0.1, atol=0.3
    )


@torch.no_grad()
def test_the_engines_agree() -> None:
    gpt, prompts, tokens = make_gpt(), make_tokens(2, 8), make_tokens(6, 5, seed=1)
    cached, recomputing = CachedEngine(gpt, 6), RecomputingEngine(gpt)
    logits = recomputing.prefill(prompts, 3, 6)
    torch.testing.assert_close(cached.prefill(prompts, 3, 6), logits, rtol=1e-5, atol=1e-5)
    for column in tokens.T:
        torch.testing.assert_close(cached.step(column), recomputing.step(column), rtol=1e-5, atol=1e-5)


# Lower precision


class Softmaxes(TorchDispatchMode):
    """Notes in which numbers softmaxes are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if "softmax" in func._schema.name:
            self.found.add(result.dtype)
        return result


@torch.no_grad()
@VARIANTS
def test_logits_and_the_softmax_of_attention_keep_the_digits_of_fp32(config: GPTConfig) -> None:
    engine = CachedEngine(make_gpt(config), 4, "bf16")
    logits = engine.prefill(make_tokens(2, 8), 2, 3)
    with Softmaxes() as softmaxes:
        following = engine.step(make_tokens(2, 8)[:, :2].flatten())
    assert (logits.dtype, following.dtype, softmaxes.found) == (torch.float32, torch.float32, {torch.float32})


@torch.no_grad()
@VARIANTS
def test_no_two_codes_are_equally_likely_for_want_of_digits(config: GPTConfig) -> None:
    logits = CachedEngine(make_gpt(config), 64, "bf16").prefill(make_tokens(64, 8), 1, 3)
    assert all(len(row.unique()) == len(row) for row in logits)
    assert any(len(row.unique()) < len(row) for row in logits.bfloat16())


@torch.no_grad()
@VARIANTS
def test_greedy_tokens_in_bf16_are_mostly_those_in_fp32(config: GPTConfig) -> None:
    gpt, prompts = make_gpt(config, scale=2.0), make_tokens(64, 8)
    whole, half = (CachedEngine(gpt, 64, name).prefill(prompts, 1, 3).argmax(dim=-1) for name in ("fp32", "bf16"))
    assert (whole == half).float().mean() > 0.9


@torch.no_grad()
def test_fp32_is_what_a_cpu_samples_in_by_itself() -> None:
    tokens = make_tokens(2, 8)
    asked, unasked = (CachedEngine(make_gpt(), 4, name).prefill(tokens, 2, 3) for name in ("fp32", None))
    assert torch.equal(asked, unasked)


@torch.no_grad()
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpt_that_is_trained_in_bf16_is_sampled_from_as_any_other(precision: SamplingPrecision) -> None:
    forget_earlier_trainings()
    gpt, trained, tokens = make_gpt(), make_gpt(), make_tokens(2, 8)
    Accelerator(cpu=True, mixed_precision="bf16").prepare(trained)
    forget_earlier_trainings()
    engines = [CachedEngine(model, 4, precision) for model in (gpt, trained)]
    assert torch.equal(*(engine.prefill(tokens, 2, 3) for engine in engines))
    assert torch.equal(*(engine.step(tokens[:, :2].flatten()) for engine in engines))


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY], ids=["bos", "no bos"])
def test_who_watches_sees_every_pass_and_changes_no_token(config: GPTConfig, window: int) -> None:
    gpt, given = make_gpt(config), torch.full((2, 32), FREE)
    given[:, :8] = make_tokens(2, 8)
    if not config.bos:
        given[:] = FREE
    seen: list[Sampled] = []
    counts = DecodingCounts()
    unseen = sample(gpt, given, 2, seed=3, window=window)
    watched = sample(
        gpt, given, 2, seed=3, window=window, counts=counts, watch=lambda rows: seen.append(rows.map(torch.clone))
    )
    naive = sample(gpt, given, 2, seed=3, engine=RecomputingEngine(gpt))
    assert torch.equal(watched.tokens, unseen.tokens)
    assert torch.equal(watched.tokens, naive.tokens)
    assert len(seen) <= counts.passes
    drawn = [int((look.tokens != FREE).sum()) for look in seen]
    assert drawn == sorted(set(drawn))
    assert torch.equal(seen[-1].tokens, watched.tokens.flatten(0, 1))
    assert all(((look.tokens == FREE) | (look.tokens == seen[-1].tokens)).all() for look in seen)


def test_an_error_of_who_watches_ends_the_sampling() -> None:
    def stop(_: Sampled) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        sample(make_gpt(), torch.full((1, 32), FREE), watch=stop)
