"""Scores are the model's own, whatever layers compute them, and however many sequences are scored at a time."""

from dataclasses import replace

import pytest
import torch
from tiny import GPT_IMAGEGPT, GPT_LEGACY, GPT_SHORT, make_gpt, make_tokens
from torch import nn

from gpt.config import GPTConfig
from gpt.fast_layers import PackedLinear
from gpt.scoring import layers_for_scoring, score_tokens

VARIANTS = pytest.mark.parametrize(
    "config", [GPT_SHORT, GPT_LEGACY, GPT_IMAGEGPT], ids=["rotary", "legacy", "imagegpt"]
)
MANY = 2**10


@torch.no_grad()
@VARIANTS
@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
@pytest.mark.parametrize("batch", [None, 1, 5])
def test_scores_are_those_of_the_model(config: GPTConfig, capability: str, batch: int | None) -> None:
    gpt, tokens = make_gpt(config), make_tokens(MANY // 32)
    found = score_tokens(gpt, tokens, batch, capability)
    torch.testing.assert_close(found, gpt.nll(tokens), rtol=1e-5, atol=1e-5)


def test_processors_with_avx512_pack_the_layers() -> None:
    packed = layers_for_scoring(make_gpt(), MANY, MANY, "AVX512")
    assert isinstance(packed.head, PackedLinear)


@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT", "SVE256", "NO AVX"])
def test_others_keep_the_layers(capability: str) -> None:
    gpt = make_gpt()
    assert layers_for_scoring(gpt, MANY, MANY, capability) is gpt


def test_few_tokens_are_not_worth_packing() -> None:
    gpt = make_gpt()
    assert layers_for_scoring(gpt, MANY - 1, MANY - 1, "AVX512") is gpt


def test_a_model_that_computes_in_bf16_keeps_its_layers() -> None:
    gpt = make_gpt()
    with torch.autocast("cpu", torch.bfloat16):
        assert layers_for_scoring(gpt, MANY, MANY, "AVX512") is gpt


def test_a_model_whose_forward_pass_another_has_wrapped_keeps_its_layers() -> None:
    gpt = make_gpt()
    gpt.forward = nn.Module.forward  # type: ignore[method-assign]
    assert layers_for_scoring(gpt, MANY, MANY, "AVX512") is gpt


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_stays_as_it_was(training: bool) -> None:
    gpt = make_gpt(replace(GPT_SHORT, dropout=0.5)).train(training)
    tokens = make_tokens()
    assert torch.equal(score_tokens(gpt, tokens), score_tokens(gpt, tokens))
    assert gpt.training is training


def test_nothing_is_scored_of_nothing() -> None:
    assert score_tokens(make_gpt(), make_tokens(0)).shape == (0, 32)
