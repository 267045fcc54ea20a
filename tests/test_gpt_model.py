"""The GPT: it never sees ahead, its likelihoods are what they say, its cache changes nothing."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny import GPT_SHORT, make_gpt, make_tokens, rewrite_config
from torch import Tensor

from gpt.config import PRESETS, GPTConfig
from gpt.model import GPT, Attention, rotary_angles
from gpt.written_gradients import rotate
from storage.model_paths import CheckpointError

# Layers, heads and width as published: GPT-2's four sizes, and Image GPT's small one.
PUBLISHED = {
    "alef": (12, 12, 768),
    "bet": (24, 16, 1024),
    "gimel": (36, 20, 1280),
    "dalet": (48, 25, 1600),
    "igpt-mini": (6, 2, 512),
    "igpt-s": (24, 8, 512),
}


@pytest.fixture(scope="module")
def model() -> GPT:
    return make_gpt()


def test_logits_are_one_per_token_of_the_vocabulary(model: GPT) -> None:
    assert model(model.with_bos(make_tokens())).shape == (2, 33, 32)


def test_the_start_token_comes_first(model: GPT) -> None:
    assert model.with_bos(make_tokens())[:, 0].tolist() == [32, 32]


@torch.no_grad()
@settings(max_examples=20)
@given(place=st.integers(0, 31), seed=st.integers(0, 100))
def test_logits_do_not_depend_on_later_tokens(place: int, seed: int) -> None:
    model, tokens = make_gpt(seed=seed), make_tokens(seed=seed)
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 1) % 32
    before, after = model(model.with_bos(tokens)), model(model.with_bos(changed))
    assert torch.equal(before[:, : place + 1], after[:, : place + 1])
    assert not torch.equal(before[:, place + 1], after[:, place + 1])


def test_nll_is_the_cross_entropy_written_out(model: GPT) -> None:
    tokens = make_tokens()
    probabilities = model(model.with_bos(tokens))[:, :-1].softmax(dim=-1)
    expected = -probabilities.gather(2, tokens[..., None])[..., 0].log()
    torch.testing.assert_close(model.nll(tokens), expected, rtol=1e-4, atol=1e-4)


def test_nll_scores_every_token(model: GPT) -> None:
    assert model.nll(make_tokens()).shape == (2, 32)


def test_nll_of_an_untrained_model_is_near_the_logarithm_of_the_vocabulary() -> None:
    torch.manual_seed(0)
    nll = GPT(GPT_SHORT).nll(make_tokens(8)).detach()
    assert float(nll.mean()) == pytest.approx(math.log(32), abs=0.1)


@torch.no_grad()
def test_attention_is_its_formula(model: GPT) -> None:
    layer, x = Attention(GPT_SHORT), torch.randn(2, 33, 16, generator=torch.Generator().manual_seed(0))
    q, k, v = (part.unflatten(2, (2, 8)).transpose(1, 2) for part in layer.qkv(x).chunk(3, dim=-1))
    q, k = (rotate(part, *model.positions.rotation(torch.arange(33))) for part in (q, k))
    scores = (q @ k.transpose(2, 3) / 8**0.5).masked_fill(torch.ones(33, 33).triu(1).bool(), -torch.inf)
    expected = layer.out((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))
    found = layer(x, model.positions.rotation(torch.arange(33)), cache=None, layer=0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def slot(t: int, h: int, w: int) -> int:
    """The place of a grid position of (4, 4, 4) in the sequence, behind the BOS token."""
    return 1 + 16 * t + 4 * h + w


@settings(max_examples=50)
@given(
    query=st.tuples(*[st.integers(0, 3)] * 3),
    key=st.tuples(*[st.integers(0, 3)] * 3),
    shift=st.tuples(*[st.integers(-3, 3)] * 3),
)
def test_rotary_scores_depend_on_the_offset_alone(
    query: tuple[int, ...], key: tuple[int, ...], shift: tuple[int, ...]
) -> None:
    moved = [tuple(a + b for a, b in zip(place, shift, strict=True)) for place in (query, key)]
    if any(not 0 <= coordinate < 4 for place in moved for coordinate in place):
        return
    angles = rotary_angles(GPTConfig(layers=1, heads=1, width=32, grid=(4, 4, 4)))
    q, k = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))

    def score(a: tuple[int, ...], b: tuple[int, ...]) -> Tensor:
        turned = [rotate(x, angles[slot(*place)].cos(), angles[slot(*place)].sin()) for x, place in ((q, a), (k, b))]
        return turned[0] @ turned[1]

    torch.testing.assert_close(score(query, key), score(*moved), rtol=1e-4, atol=1e-4)


def test_no_two_slots_have_the_same_angles() -> None:
    assert len(rotary_angles(GPT_SHORT).unique(dim=0)) == 33


def test_rotation_keeps_lengths() -> None:
    angles, x = rotary_angles(GPT_SHORT), torch.randn(33, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rotate(x, angles.cos(), angles.sin()).norm(dim=-1), x.norm(dim=-1))


def test_more_tokens_than_the_window_are_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match="a sequence of 34 tokens does not fit the 33 positions of the GPT"):
        model(model.with_bos(make_tokens(length=33)))


def test_dropout_acts_in_training_only() -> None:
    model = make_gpt(replace(GPT_SHORT, dropout=0.5))
    tokens = make_tokens()
    assert torch.equal(model.nll(tokens), model.nll(tokens))
    model.train()
    assert not torch.equal(model.nll(tokens), model.nll(tokens))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, "layers 0 must be at least 1"),
        ({"heads": 0}, "heads 0 must be at least 1"),
        ({"heads": 3}, "--width 16 must split into --heads 3"),
        ({"width": 18}, "--width 18 must split into --heads 2 of even size"),
        ({"width": 8}, "heads of 4 dimensions, too narrow for the three axes"),
        ({"grid": (4, 4)}, "must be three positive numbers"),
        ({"grid": (0, 4, 4)}, "must be three positive numbers"),
        ({"vocab_size": 1}, "--vocab-size 1 must be at least 2"),
        ({"dropout": 1.0}, r"--dropout 1 must lie in \[0, 1\)"),
        ({"dropout": -0.1}, r"--dropout -0.1 must lie in \[0, 1\)"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(GPT_SHORT, **change)


def test_an_architecture_takes_grid_and_vocabulary_of_the_tokenizer() -> None:
    config = PRESETS["tiny"].for_tokens((1, 4, 4), 32, "abc")
    assert (config.layers, config.grid, config.vocab_size, config.tokenizer) == (6, (1, 4, 4), 32, "abc")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_scores_its_grid(name: str) -> None:
    config = PRESETS[name]
    with torch.device("meta"):
        assert GPT(config).nll(torch.zeros(1, config.window, dtype=torch.int64)).shape == (1, config.window)


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_have_the_published_sizes(name: str) -> None:
    config = PRESETS[name]
    assert (config.layers, config.heads, config.width) == PUBLISHED[name]


@pytest.mark.parametrize("name", PRESETS)
def test_blocks_have_twelve_squares_of_the_width_in_parameters(name: str) -> None:
    config = PRESETS[name]
    with torch.device("meta"):
        found = sum(parameter.numel() for parameter in GPT(config).blocks.parameters())
    assert found == pytest.approx(12 * config.layers * config.width**2, rel=0.1)


def test_a_saved_model_gives_the_same_likelihoods(model: GPT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert torch.equal(GPT.from_pretrained(tmp_path).nll(make_tokens()), model.nll(make_tokens()))


def test_a_saved_model_has_the_same_config(model: GPT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert GPT.from_pretrained(tmp_path).config == model.config


def test_a_loaded_model_is_in_evaluation_mode(tmp_path: Path) -> None:
    GPT(GPT_SHORT).save_pretrained(tmp_path)
    assert not GPT.from_pretrained(tmp_path).training


def test_missing_weights_are_named(model: GPT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["norm.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"norm\.weight is missing"):
        GPT.from_pretrained(tmp_path)


def test_weights_of_nothing_are_named(model: GPT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({**tensors, "extra": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="extra is not part of the model"):
        GPT.from_pretrained(tmp_path)


def test_misshapen_weights_are_named(model: GPT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    rewrite_config(tmp_path, vocab_size=40)
    with pytest.raises(CheckpointError, match=r"head\.weight has shape \(32, 16\), not \(40, 16\)"):
        GPT.from_pretrained(tmp_path)


def test_the_gradient_reaches_every_parameter() -> None:
    model = make_gpt()
    F.cross_entropy(model(model.with_bos(make_tokens()[:, :-1])).flatten(0, 1), make_tokens().flatten()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
