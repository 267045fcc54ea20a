"""Surprise is exact, counts every latent frame once, and never depends on what comes later."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import GPT_LEGACY, GPT_SHORT, make_gpt
from torch import Tensor

from experiments.physics.surprise import SurpriseMeter, describe_windows, to_bits, windows_over
from gpt.evaluate import item_nll
from gpt.model import GPT

WINDOW = replace(GPT_SHORT, grid=(4, 2, 2))
STILL = replace(GPT_SHORT, grid=(1, 2, 2))


def make_grid(latent_frames: int, seed: int = 0, side: int = 2) -> Tensor:
    """A token grid (latent_frames, side, side) of noise."""
    return torch.randint(32, (latent_frames, side, side), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def naive(gpt: GPT, grid: Tensor, overlap: int) -> Tensor:
    """The surprise of each token from the logits of a pass that ends with it, of the window that counts it."""
    t, h, w = grid.shape
    size = gpt.config.grid[0]
    nats = torch.empty(t, h, w)
    for latent_frame in range(t):
        windows_before = 0 if latent_frame < size else (latent_frame - size) // (size - overlap) + 1
        first = windows_before * (size - overlap)
        for place in range(h * w):
            seen = grid[first : latent_frame + 1].flatten()[: (latent_frame - first) * h * w + place]
            logits = gpt(gpt.with_bos(seen[None]))[0, -1]
            token = grid[latent_frame].flatten()[place]
            nats[latent_frame].view(-1)[place] = -logits.log_softmax(dim=-1)[token]
    return nats


def test_of_one_window_it_is_what_evaluation_of_the_gpt_says() -> None:
    gpt = make_gpt(WINDOW)
    grids = torch.stack([make_grid(4, seed) for seed in range(3)])
    surprise = torch.stack([SurpriseMeter(gpt).nats(grid) for grid in grids])
    torch.testing.assert_close(surprise.flatten(1).mean(dim=1), item_nll(gpt, grids.flatten(1), 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("latent_frames", "overlap"), [(9, None), (7, 1), (6, 3), (11, 2)])
def test_sliding_agrees_with_a_naive_run_token_for_token(latent_frames: int, overlap: int | None) -> None:
    gpt = make_gpt(WINDOW)
    grid = make_grid(latent_frames)
    expected = naive(gpt, grid, 2 if overlap is None else overlap)
    torch.testing.assert_close(SurpriseMeter(gpt, overlap).nats(grid), expected, atol=1e-5, rtol=1e-5)


@given(st.integers(1, 40), st.integers(2, 8), st.data())
@settings(max_examples=30)
def test_every_latent_frame_is_counted_once(latent_frames: int, window: int, data: st.DataObject) -> None:
    overlap = data.draw(st.none() | st.integers(1, window - 1))
    config = replace(GPT_SHORT, grid=(window, 1, 1))
    counted = [token for one in windows_over(config, latent_frames, overlap) for token in range(one.start, one.stop)]
    assert counted == list(range(latent_frames))
    context = window // 2 if overlap is None else overlap
    for one in list(windows_over(config, latent_frames, overlap))[1:]:
        assert one.start - one.first == context
        assert one.stop - one.first <= window


def test_films_with_the_same_beginning_have_the_same_surprise_there_bit_for_bit() -> None:
    gpt = make_gpt(WINDOW)
    first, second = make_grid(7, seed=1), make_grid(7, seed=2)
    second[:4] = first[:4]
    meter = SurpriseMeter(gpt)
    assert torch.equal(meter.nats(first)[:4], meter.nats(second)[:4])
    assert not torch.equal(meter.nats(first)[4:], meter.nats(second)[4:])


def test_a_gpt_of_single_latent_frames_reads_each_by_itself() -> None:
    gpt = make_gpt(STILL)
    grid = make_grid(3)
    expected = torch.cat([gpt.nll(frame.flatten()[None]) for frame in grid]).view(3, 2, 2).detach()
    torch.testing.assert_close(SurpriseMeter(gpt).nats(grid), expected)


def test_a_token_without_a_probability_has_none() -> None:
    gpt = make_gpt(replace(GPT_LEGACY, grid=(2, 2, 2)))
    nats = SurpriseMeter(gpt).nats(make_grid(5))
    assert torch.nonzero(nats.isnan()).tolist() == [[0, 0, 0]]


def test_an_overlap_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="--overlap 4 must lie in 1 to 3: the window has 4 latent frames"):
        SurpriseMeter(make_gpt(WINDOW), 4).nats(make_grid(9))


def test_bits_are_nats_by_the_logarithm_of_two() -> None:
    assert to_bits(torch.tensor([math.log(2), 0.0])).tolist() == [1.0, 0.0]


def test_windows_are_told_in_words() -> None:
    assert describe_windows(WINDOW, 4) == "4 latent frames in one window of 4"
    assert describe_windows(STILL, 4) == "4 latent frames, each by itself"
    said = "9 latent frames in 4 windows of 4, 2 of them context in later ones"
    assert describe_windows(WINDOW, 9) == said
