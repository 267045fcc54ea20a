"""Samples on the way: token grids from nothing and from halves, and a training that they do not disturb."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import GPT_LEGACY, GPT_SHORT, make_gpt, make_store

from gpt import config
from gpt.config import GPTConfig
from gpt.options import TrainOptions
from sampling.watch import draw_samples, train_and_watch

HELD = torch.randint(32, (6, 32), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [GPT_SHORT, GPT_LEGACY])
def test_grids_from_nothing_and_from_halves_are_drawn(shape: GPTConfig) -> None:
    grids = draw_samples(make_gpt(shape), HELD)
    assert grids.shape == (2, 4, 2, 4, 4)
    assert grids.min() >= 0
    assert grids.max() < 32


def test_the_first_half_of_a_clip_is_given() -> None:
    grids = draw_samples(make_gpt(), HELD)
    assert torch.equal(grids[1, :, :1].flatten(1), HELD[:4, :16])
    assert not torch.equal(grids[1, :, 1:].flatten(1), HELD[:4, 16:])


def test_the_upper_half_of_an_image_is_given() -> None:
    grids = draw_samples(make_gpt(replace(GPT_SHORT, grid=(1, 5, 4))), HELD[:, :20])
    assert torch.equal(grids[1, :, 0, :2].flatten(1), HELD[:4, :8])


def test_samples_are_the_same_each_time_and_leave_the_mode_as_it_was() -> None:
    model = make_gpt(replace(GPT_SHORT, dropout=0.5)).train()
    assert torch.equal(draw_samples(model, HELD), draw_samples(model, HELD))
    assert model.training


def test_drawing_samples_does_not_change_what_is_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config.PRESETS, "demo", replace(GPT_SHORT, dropout=0.1))
    store = make_store(tmp_path / "store")
    options = TrainOptions(store, tmp_path / "plain", preset="demo", steps=4, batch=2)
    plain = load_file(train_and_watch(options) / "model.safetensors")
    watched = replace(options, out=tmp_path / "watched", sample_every=1)
    found = load_file(train_and_watch(watched) / "model.safetensors")
    assert all(torch.equal(plain[name], found[name]) for name in plain)
    assert np.load(tmp_path / "watched" / "samples" / "000004.npy").shape == (2, 3, 2, 4, 4)
