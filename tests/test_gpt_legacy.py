"""The legacy variant: the parts of GPT-2, with and without a BOS token."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import (
    GPT_IMAGEGPT,
    GPT_LEGACY,
    GPT_LEGACY_START,
    GPT_SHORT,
    make_gpt,
    make_store,
    make_tokens,
    rewrite_config,
)

from gpt.config import PRESETS, GPTConfig
from gpt.evaluate import evaluate, item_nll, unigram_entropy
from gpt.model import GPT
from gpt.options import EvaluateOptions
from gpt.train import build_optimizer, train_step

BOTH = pytest.mark.parametrize(
    "config", [GPT_LEGACY, GPT_LEGACY_START, GPT_IMAGEGPT], ids=["no-start", "start", "imagegpt"]
)

# Preset, vocabulary, rows and columns, and the parameters of the published model.
PUBLISHED = [
    ("alef", 16384, 16, 110_417_664),
    ("bet", 16384, 16, 336_126_976),
    ("gimel", 16384, 16, 750_659_840),
    ("dalet", 16384, 16, 1_528_398_400),
    ("gimel", 8192, 32, 730_671_360),
    ("igpt-s", 512, 64, 78_279_168),
]


@pytest.mark.parametrize(("name", "vocabulary", "side", "parameters"), PUBLISHED)
def test_sizes_are_the_published_ones(name: str, vocabulary: int, side: int, parameters: int) -> None:
    config = replace(PRESETS[name], variant="legacy", bos=False, vocab_size=vocabulary, grid=(1, side, side))
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in GPT(config).parameters()) == parameters


@torch.no_grad()
@BOTH
@settings(max_examples=20)
@given(place=st.integers(0, 30), seed=st.integers(0, 100))
def test_logits_do_not_depend_on_later_tokens(config: GPTConfig, place: int, seed: int) -> None:
    model, tokens = make_gpt(config, seed), make_tokens(length=31, seed=seed)
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 1) % 32
    before, after = model(model.with_bos(tokens)), model(model.with_bos(changed))
    first = place + (1 if config.bos else 0)
    assert torch.equal(before[:, :first], after[:, :first])
    assert not torch.equal(before[:, first], after[:, first])


def test_without_a_start_token_a_sequence_begins_with_its_first_token() -> None:
    assert torch.equal(make_gpt(GPT_LEGACY).with_bos(make_tokens()), make_tokens())


@torch.no_grad()
def test_without_a_start_token_the_first_token_is_not_scored() -> None:
    nll = make_gpt(GPT_LEGACY).nll(make_tokens())
    assert nll.shape == (2, 32)
    assert not nll[:, 0].any()
    assert nll[:, 1:].all()


@torch.no_grad()
def test_nll_is_the_cross_entropy_written_out() -> None:
    model, tokens = make_gpt(GPT_LEGACY), make_tokens()
    probabilities = model(tokens[:, :-1]).softmax(dim=-1)
    expected = -probabilities.gather(2, tokens[:, 1:, None])[..., 0].log()
    torch.testing.assert_close(model.nll(tokens)[:, 1:], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_with_a_start_token_every_token_is_scored() -> None:
    model = make_gpt(GPT_LEGACY_START)
    assert model.nll(make_tokens()).all()
    assert model.with_bos(make_tokens())[:, 0].tolist() == [32, 32]


@torch.no_grad()
@BOTH
def test_positions_are_absolute(config: GPTConfig) -> None:
    """Guards against a table that is never read: equal tokens at other places get other logits."""
    logits = make_gpt(config)(torch.full((1, 31), 3))
    assert len(logits[0].unique(dim=0)) == 31


@BOTH
def test_more_tokens_than_positions_are_refused(config: GPTConfig) -> None:
    model = make_gpt(config)
    slots = 32 if config.bos else 31
    with pytest.raises(ValueError, match=f"{slots + 1} tokens does not fit the {slots} positions"):
        model(torch.zeros(1, slots + 1).long())


@BOTH
def test_the_gradient_reaches_every_parameter(config: GPTConfig) -> None:
    model = make_gpt(config)
    model.nll(make_tokens()).mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@BOTH
def test_a_saved_model_gives_the_same_likelihoods(config: GPTConfig, tmp_path: Path) -> None:
    make_gpt(config).save_pretrained(tmp_path)
    loaded = GPT.from_pretrained(tmp_path)
    assert loaded.config == config
    assert torch.equal(loaded.nll(make_tokens()), make_gpt(config).nll(make_tokens()))


def test_models_saved_before_there_were_flavours_load(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path)
    rewrite_config(tmp_path, "variant", "bos")
    assert torch.equal(GPT.from_pretrained(tmp_path).nll(make_tokens()), make_gpt().nll(make_tokens()))


@torch.no_grad()
def test_item_nll_is_the_mean_over_scored_tokens() -> None:
    model, tokens = make_gpt(GPT_LEGACY), make_tokens(5)
    torch.testing.assert_close(item_nll(model, tokens, 2), model.nll(tokens)[:, 1:].mean(dim=1))


def test_evaluate_leaves_the_first_token_out(tmp_path: Path) -> None:
    make_gpt(GPT_LEGACY).save_pretrained(tmp_path / "gpt")
    store = make_store(tmp_path / "store")
    result = evaluate(EvaluateOptions(tmp_path / "gpt", store))
    tokens = torch.randint(32, (12, 32), generator=torch.Generator().manual_seed(1))[9:]
    nll = make_gpt(GPT_LEGACY).nll(tokens).detach()
    assert result["gpt_nll"] == pytest.approx(float(nll[:, 1:].mean()), rel=1e-5)
    assert result["unigram_entropy"] == pytest.approx(unigram_entropy(tokens[:, 1:], 32))


@pytest.mark.parametrize("config", [GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT], ids=["no-start", "start", "rotary"])
def test_the_loss_is_the_mean_over_scored_tokens(config: GPTConfig) -> None:
    model, tokens = make_gpt(config), make_tokens()
    expected = float(item_nll(model, tokens, 2).mean())
    optimizer = build_optimizer(model, 0.0, 0.0)
    assert float(train_step(Accelerator(), model, optimizer, tokens, 0.0, 1.0)) == pytest.approx(expected, rel=1e-5)


@BOTH
def test_training_learns_a_sequence(config: GPTConfig) -> None:
    torch.manual_seed(0)
    model, tokens, accelerator = GPT(config), make_tokens(1), Accelerator()
    optimizer = build_optimizer(model, 1e-2, 0.0)
    losses = [float(train_step(accelerator, model, optimizer, tokens, 1e-2, 1.0)) for _ in range(60)]
    assert losses[0] == pytest.approx(math.log(32), abs=0.2)
    assert losses[-1] < 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bos": False, "variant": "rotary"}, "--no-bos needs --variant legacy or imagegpt"),
        ({"condition": 3}, "condition 3 without a BOS token"),
        ({"condition": -1}, "condition -1 must"),
        ({"variant": "modern"}, "variant 'modern' must be one of rotary, legacy, imagegpt"),
        ({"heads": 3}, "--width 16 must split into --heads 3"),
        ({"grid": (1, 1, 1)}, r"grid \(1, 1, 1\) without a BOS token leaves no token to predict"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(GPT_LEGACY, **change)
