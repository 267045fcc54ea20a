"""Leakage: nothing from a causal tokenizer, something from one that looks ahead."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import IMAGE, SHORT, VIDEO, make_clips, make_images, make_palette, make_tokenizer, make_videos
from torch import Tensor, nn

from vqgan.leakage import measure_leakage, prompt_changes
from vqgan.model import VQGAN
from vqgan.options import LeakageOptions


class LooksAhead(nn.Module):
    """An encoder in which every latent frame also sees the mean of all."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, clip: Tensor) -> Tensor:
        latents = self.encoder(clip)
        return latents + latents.mean(dim=1, keepdim=True)


def leaky_tokenizer() -> VQGAN:
    tokenizer = make_tokenizer(VIDEO)
    tokenizer.encoder = LooksAhead(tokenizer.encoder)
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(SHORT).save_pretrained(folder)
    return folder


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_causal_tokenizer_leaks_nothing(seed: int) -> None:
    assert not prompt_changes(make_tokenizer(VIDEO, seed), make_clips(3, seed=seed)).any()


def test_a_tokenizer_that_looks_ahead_leaks() -> None:
    assert prompt_changes(leaky_tokenizer(), make_clips(3)).any()


def test_changes_are_reported_for_the_first_half() -> None:
    assert prompt_changes(leaky_tokenizer(), make_clips(3)).shape == (3, 2, 4, 4)


def test_a_still_leaks_where_the_halves_meet_and_nowhere_else() -> None:
    tokenizer = make_tokenizer(IMAGE)
    changes = torch.cat([prompt_changes(tokenizer, make_clips(4, 1, 64, seed)) for seed in range(4)])
    per_row = changes.float().mean(dim=(0, 1, 3))
    assert per_row[-1] > 0
    assert not per_row[:-3].any()


def test_a_palette_leaks_nothing() -> None:
    assert not prompt_changes(make_palette(), make_clips(2, 1, 8)).any()


def test_one_item_is_enough() -> None:
    assert prompt_changes(leaky_tokenizer(), make_clips(1)).any()


def test_videos_are_measured_per_latent_frame(tokenizer: Path, tmp_path: Path) -> None:
    result = measure_leakage(LeakageOptions(tokenizer, make_videos(tmp_path / "videos", 2), tmp_path / "out"))
    assert result == {"prompt_tokens_changed": 0.0, "per_latent_frame": [0.0], "items": 4}


def test_the_result_is_written(tokenizer: Path, tmp_path: Path) -> None:
    result = measure_leakage(LeakageOptions(tokenizer, make_videos(tmp_path / "videos", 2), tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "leakage.json").read_text()) == result


def test_stills_are_measured_per_row(tmp_path: Path) -> None:
    make_tokenizer(IMAGE).save_pretrained(tmp_path / "tokenizer")
    images = make_images(tmp_path / "images")
    result = measure_leakage(LeakageOptions(tmp_path / "tokenizer", images, tmp_path / "out"))
    assert len(result["per_row"]) == 2


def test_stills_are_measured_per_row_by_a_tokenizer_of_clips(tokenizer: Path, tmp_path: Path) -> None:
    result = measure_leakage(LeakageOptions(tokenizer, make_images(tmp_path / "images"), tmp_path / "out"))
    assert len(result["per_row"]) == 2
