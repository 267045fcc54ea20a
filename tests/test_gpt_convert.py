"""Translating the weights of other GPTs: the same logits, and nothing passed over in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mingpt import make_mingpt, make_tats, mingpt_logits
from safetensors.torch import load_file
from tiny import GPT_LEGACY, GPT_LEGACY_START, GPT_SHORT, make_gpt, make_tokenizer
from torch import Tensor

from gpt.config import GPTConfig
from gpt.convert import convert_mingpt, convert_tats
from gpt.model import GPT
from storage.foreign.checkpoint import read_foreign
from storage.model_folder import load_weights
from storage.model_paths import CheckpointError

FIXTURES = Path(__file__).parent / "fixtures"


def build(config: GPTConfig, weights: dict[str, Tensor]) -> GPT:
    model = GPT(config).eval()
    load_weights(model, weights, "the test")
    return model


def make_tokens(batch: int = 2, length: int = 32) -> Tensor:
    return torch.randint(32, (batch, length), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize(("name", "vocabulary"), [("vqgan_gpt_tiny", 64), ("igpt_tiny", 32)])
def test_logits_of_real_checkpoints_come_back(name: str, vocabulary: int) -> None:
    weights = convert_mingpt(read_foreign(FIXTURES / f"{name}.pt")["model_state_dict"])
    config = GPTConfig(2, 2, 32, (1, 8, 8), vocabulary, variant="legacy", bos=False)
    model, expected = build(config, weights), load_file(FIXTURES / f"{name}_expected.safetensors")
    torch.testing.assert_close(model(expected["tokens"][:, :-1]), expected["logits"], rtol=0, atol=1e-3)
    nll = model.nll(expected["tokens"])[:, 1:].mean(dim=1)
    torch.testing.assert_close(nll, expected["mean_nll"], rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_mingpt_has_its_logits() -> None:
    state, tokens = make_mingpt(), make_tokens(length=31)
    model = build(GPT_LEGACY, convert_mingpt(state))
    torch.testing.assert_close(model(tokens), mingpt_logits(state, tokens, heads=2), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("conditions", [0, 1, 5])
def test_a_transformer_of_tats_has_its_logits(conditions: int) -> None:
    state, tokens = make_tats(conditions=conditions), make_tokens()
    model = build(GPT_LEGACY_START, convert_tats(state, 32))
    plain = {name.removeprefix("transformer."): weight for name, weight in state.items()}
    read = torch.cat([torch.zeros(2, 1).long(), conditions + tokens[:, :-1]], dim=1)
    expected = mingpt_logits(plain, read, heads=2)[:, :, conditions:]
    torch.testing.assert_close(model(model.with_bos(tokens[:, :-1])), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_positions_of_a_whole_grid_of_latents_are_added() -> None:
    state, tokens = make_tats(), make_tokens()
    extra = torch.randn(1, 2, 4, 4, 16, generator=torch.Generator().manual_seed(1))
    model = build(GPT_LEGACY_START, convert_tats({**state, "transformer.vtokens_pos_emb": extra}, 32))
    plain = {name.removeprefix("transformer."): weight for name, weight in state.items()}
    plain["pos_emb"] = plain["pos_emb"] + extra.flatten(1, 3)
    expected = mingpt_logits(plain, torch.cat([torch.zeros(2, 1).long(), tokens[:, :-1]], dim=1), heads=2)
    torch.testing.assert_close(model(model.with_bos(tokens[:, :-1])), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_become_float32(kind: torch.dtype) -> None:
    converted = convert_mingpt({name: weight.to(kind) for name, weight in make_mingpt().items()})
    assert {weight.dtype for weight in converted.values()} == {torch.float32}


def test_masks_may_be_missing() -> None:
    state = {name: weight for name, weight in make_mingpt().items() if not name.endswith("mask")}
    assert convert_mingpt(state).keys() == GPT(GPT_LEGACY).state_dict().keys()


def test_the_state_dict_stays_as_it_was() -> None:
    state = make_tats(conditions=2)
    before = {name: weight.clone() for name, weight in state.items()}
    convert_tats(state, 32)
    assert all(torch.equal(state[name], weight) for name, weight in before.items())


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {name: weight for name, weight in state.items() if name not in names}


def having(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {**state, **{name.replace("__", "."): value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("blocks.1.attn.key.bias"), r"blocks\.1\.attn\.key\.bias is missing"),
        (having(extra=torch.zeros(1)), "extra does not belong to it"),
        (having(blocks__4__ln1__weight=torch.zeros(16)), r"blocks\.2\.ln1\.weight is missing.*and \d+ more"),
        (having(ln_f__bias=torch.zeros(3)), r"ln_f\.bias has shape \(3,\), not \(16,\)"),
        (having(head__weight=torch.zeros(30, 16)), r"head\.weight has shape \(30, 16\), not \(32, 16\)"),
        (having(ln_f__bias=torch.zeros(16).long()), r"ln_f\.bias is no tensor of floating-point numbers"),
        (having(ln_f__bias="zero"), r"ln_f\.bias is no tensor of floating-point numbers"),
        (having(blocks__0__attn__mask=torch.ones(1, 1, 31, 31)), r"blocks\.0\.attn\.mask is not causal"),
        (having(blocks__0__attn__mask=torch.ones(3)), r"blocks\.0\.attn\.mask is not causal"),
        (without("tok_emb.weight"), r"there is no matrix tok_emb\.weight"),
        (having(tok_emb__weight=torch.zeros(3)), r"there is no matrix tok_emb\.weight"),
        (without("pos_emb"), "there is no pos_emb of three axes"),
        (without("ln_f.weight"), "They are close to one: the file may be cut short"),
    ],
)
def test_faults_of_a_mingpt_are_named(change: Callable[[dict[str, Any]], dict[str, Any]], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        convert_mingpt(change(make_mingpt()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (having(other=torch.zeros(1)), "not of the transformer: other does not belong to it"),
        (without("transformer.ln_f.weight"), r"ln_f\.weight is missing"),
        (
            having(transformer__vtokens_pos_emb=torch.zeros(1, 4, 8, 8, 16)),
            "4x8x8 latents, of which every clip of 32 saw",
        ),
        (
            having(transformer__vtokens_pos_emb=torch.zeros(1, 32, 16)),
            r"has shape \(1, 32, 16\), not \(1, T, H, W, 16\)",
        ),
    ],
)
def test_faults_of_a_transformer_of_tats_are_named(
    change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        convert_tats(change(make_tats()), 32)


def test_more_codes_than_tokens_are_refused() -> None:
    with pytest.raises(CheckpointError, match="has 32 tokens, fewer than the tokenizer's 40 codes"):
        convert_tats(make_tats(), 40)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (make_tats(), "look like those of TATS: try --kind tats"),
        (make_tokenizer().state_dict(), "look like a tokenizer: try secondsight vqgan import"),
        (make_gpt(GPT_SHORT).state_dict(), "look like a GPT of Secondsight, which needs no import"),
        ({}, "The checkpoint holds no weights"),
        ({"epoch": 3}, "The checkpoint holds epoch"),
    ],
)
def test_weights_of_something_else_are_recognised(state: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        convert_mingpt(state)


def test_a_mingpt_taken_for_tats_is_recognised() -> None:
    with pytest.raises(CheckpointError, match=r"They look like a minGPT: try --kind vqgan-gpt"):
        convert_tats(make_mingpt(), 32)


def test_a_tokenizer_taken_for_tats_is_recognised() -> None:
    with pytest.raises(CheckpointError, match=r"look like a tokenizer: try secondsight vqgan import"):
        convert_tats(make_tokenizer().state_dict(), 32)
