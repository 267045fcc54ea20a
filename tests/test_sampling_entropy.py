"""Entropies and likelihoods of a GPT whose distributions are known, by hand and through the commands."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from known_gpt import entropy_bits, halving, make_known_gpt
from tiny import make_images, make_palette, make_store
from torch import Tensor

from data.tokens import TokenStore, write_shard, write_store
from gpt.evaluate import evaluate
from gpt.model import GPT
from gpt.options import EvaluateOptions
from sampling.complete import complete
from sampling.decode import sample
from sampling.items import CompletionItem, FinishedItem
from sampling.options import CompleteOptions, SamplingOptions
from sampling.sampled import FREE
from storage.tables import read_table

GRID = (2, 2, 2)
BITS = [3, 0, 1, 2, 3, 3, 0, 1]
CODES = 8
UNEVEN = torch.tensor([0.5, 0.25, 0.125, 0.125, 0, 0, 0, 0], dtype=torch.float64)
"""1.75 bits."""


@pytest.fixture(scope="module")
def gpt() -> GPT:
    return make_known_gpt(halving(BITS, CODES), GRID)


def free(prompt: int, length: int = 8) -> Tensor:
    return torch.tensor([[0] * prompt + [FREE] * (length - prompt)])


@torch.no_grad()
def test_the_model_predicts_what_it_was_made_to_predict(gpt: GPT) -> None:
    tokens = torch.randint(CODES, (5, 8), generator=torch.Generator().manual_seed(0))
    shares = gpt(gpt.with_bos(tokens[:, :-1])).softmax(dim=-1)
    torch.testing.assert_close(shares.double(), halving(BITS, CODES).expand(5, -1, -1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("options", [SamplingOptions(), SamplingOptions(temperature=2.0, top_k=3)], ids=["plain", "k"])
def test_entropy_at_each_position_is_the_closed_form(gpt: GPT, options: SamplingOptions) -> None:
    entropy = sample(gpt, free(0), 4, options).entropy / math.log(2)
    torch.testing.assert_close(entropy, torch.tensor(BITS).expand(1, 4, -1).float(), atol=1e-4, rtol=1e-4)


def test_entropy_of_uneven_shares_is_the_closed_form() -> None:
    shares = UNEVEN.expand(8, -1)
    assert entropy_bits(UNEVEN) == pytest.approx(1.75)
    entropy = sample(make_known_gpt(shares, GRID), free(0), 3).entropy / math.log(2)
    torch.testing.assert_close(entropy, torch.full((1, 3, 8), 1.75), atol=1e-4, rtol=1e-4)


def test_log_probabilities_of_what_was_drawn_are_the_closed_form(gpt: GPT) -> None:
    sampled = sample(gpt, free(0), 4)
    bits = -sampled.log_probability / math.log(2)
    torch.testing.assert_close(bits, torch.tensor(BITS).expand(1, 4, -1).float(), atol=1e-4, rtol=1e-4)
    assert bool((sampled.tokens < 2 ** torch.tensor(BITS)).all())


@given(prompt=st.integers(0, 7))
def test_bits_of_an_item_are_the_sum_over_what_is_not_given(prompt: int) -> None:
    gpt = make_known_gpt(halving(BITS, CODES), GRID)
    sampled = sample(gpt, free(prompt), 3)[0].unflatten(GRID)
    mask = (torch.arange(8) < prompt).unflatten(0, GRID)
    kept = FinishedItem(CompletionItem(0, None), sampled.hide_scores(mask), (), None)
    assert kept.entropy_bits == pytest.approx(sum(BITS[prompt:]), rel=1e-4, abs=1e-3)


@torch.no_grad()
def test_nll_is_the_sum_of_known_bits(gpt: GPT) -> None:
    """Token 0 is among the likely ones at every position; the last code only where all eight are."""
    zeros = gpt.nll(torch.zeros(1, 8, dtype=torch.int64)) / math.log(2)
    assert float(zeros.sum()) == pytest.approx(sum(BITS), rel=1e-4)
    sevens = gpt.nll(torch.full((1, 8), 7))[0] / math.log(2)
    assert [float(sevens[i]) for i in (0, 4, 5)] == pytest.approx([3.0, 3.0, 3.0], rel=1e-4)
    assert float(sevens[[1, 2, 3, 6, 7]].min()) > 50


def test_gpt_eval_is_the_closed_form(gpt: GPT, tmp_path: Path) -> None:
    """13 bits for 8 tokens of clips of 8 frames of 16 pixels a side."""
    gpt.save_pretrained(tmp_path / "gpt")
    store = TokenStore(make_store(tmp_path / "store", grid=GRID, vocab_size=CODES))
    drawn = sample(gpt, free(0), 12, seed=1).tokens[0].unflatten(1, GRID)
    write_store(store.folder, store.metadata, [write_shard(store.folder, 0, store.metadata, drawn)], store.items)
    result = evaluate(EvaluateOptions(tmp_path / "gpt", store.folder))
    assert result["gpt_nll"] == pytest.approx(sum(BITS) / 8 * math.log(2), rel=1e-4)
    assert result["bits_per_token"] == pytest.approx(sum(BITS) / 8, rel=1e-4)
    assert result["bits_per_pixel"] == pytest.approx(sum(BITS) / (8 * 16 * 16), rel=1e-4)


def test_complete_writes_the_closed_form(tmp_path: Path) -> None:
    """A palette of 16 colours, images of 8x8 pixels, the upper half given: 1.75 bits for each pixel below."""
    palette = make_palette()
    palette.save_pretrained(tmp_path / "tokenizer")
    shares = torch.nn.functional.pad(UNEVEN, (0, 8)).expand(64, -1)
    make_known_gpt(shares, (1, 8, 8), palette.fingerprint).save_pretrained(tmp_path / "gpt")
    options = CompleteOptions.of(
        gpt=tmp_path / "gpt",
        tokenizer=tmp_path / "tokenizer",
        input=(make_images(tmp_path / "images", 2),),
        out=tmp_path / "out",
        prompt="half-image",
        n=3,
        items=2,
    )
    complete(options)
    bits = [float(row["entropy_bits"]) for row in read_table(options.out / "items.csv")]
    assert bits == pytest.approx([32 * 1.75] * 2, rel=1e-4)
    entropies = np.load(options.out / "entropies.npy") / math.log(2)
    assert np.isnan(entropies[..., :32]).all()
    assert entropies[..., 32:] == pytest.approx(1.75, rel=1e-4)
