"""Leakage: nothing from a causal tokenizer, something from one that looks ahead."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from looking_ahead import make_peeking, make_tats
from tiny import IMAGE, SHORT, VIDEO, make_clips, make_images, make_palette, make_tokenizer, make_videos
from torch import Tensor, nn

from vqgan.config import VQGANConfig
from vqgan.leakage import measure_leakage, prompt_changes
from vqgan.model import VQGAN
from vqgan.options import LeakageOptions


class LooksAhead(nn.Module):
    """An encoder in which every latent frame also sees the mean of all."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def exact_at_ends(self, clip: Tensor) -> Tensor:
        latents = self.encoder(clip)
        return latents + latents.mean(dim=1, keepdim=True)


def leaky_tokenizer() -> VQGAN:
    tokenizer = make_tokenizer(VIDEO)
    tokenizer.encoder = LooksAhead(tokenizer.encoder)
    return tokenizer


def peeks(latent_frames: int, count: int, frame: int) -> dict[tuple[int, int, int], tuple[int, int, int]]:
    """`count` tokens of each of so many latent frames, made of one pixel each of a frame."""
    return {(t, n // 4, n % 4): (frame, n, n) for t in range(latent_frames) for n in range(count)}


@pytest.mark.parametrize("count", [0, 1, 5, 16])
def test_exactly_the_tokens_that_look_at_what_is_not_given_are_counted(count: int) -> None:
    """`count` of 16 tokens of each of the two latent frames of a prompt look at the last frame."""
    changes = prompt_changes(make_peeking(VIDEO, peeks(2, count, frame=15)), make_clips(3))
    assert changes.sum(dim=(2, 3)).tolist() == [[count, count]] * 3
    assert float(changes.float().mean()) == pytest.approx(count / 16)


def test_tokens_that_look_at_what_is_given_are_not_counted() -> None:
    assert not prompt_changes(make_peeking(VIDEO, peeks(2, 16, frame=7)), make_clips(3)).any()


def test_looks_are_counted_in_the_latent_frame_that_looks() -> None:
    places = {(1, 0, n): (8, 0, n) for n in range(3)}
    per_latent_frame = prompt_changes(make_peeking(VIDEO, places), make_clips(4)).float().mean(dim=(0, 2, 3))
    assert per_latent_frame.tolist() == [0, pytest.approx(3 / 16)]


def test_of_three_latent_frames_one_is_given_and_all_that_follows_is_replaced() -> None:
    """As in a half-clip prompt, which is then four of twelve frames."""
    config = replace(VIDEO, frames=12)
    changes = prompt_changes(make_peeking(config, peeks(1, 5, frame=4)), make_clips(2, 12))
    assert changes.shape == (2, 1, 4, 4)
    assert changes.sum(dim=(1, 2, 3)).tolist() == [5, 5]


def test_of_three_rows_of_a_still_one_is_given_and_all_below_is_replaced() -> None:
    places = {(0, 0, n): (0, 4, n) for n in range(2)}
    changes = prompt_changes(make_peeking(IMAGE, places), make_clips(2, 1, 12)[:, :, :, :, :8])
    assert changes.shape == (2, 1, 1, 2)
    assert changes.sum(dim=(1, 2, 3)).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("config", "frames", "size"), [(VIDEO, 4, 16), (IMAGE, 1, 4)], ids=["one latent frame", "one row"]
)
def test_what_has_no_half_is_refused(config: VQGANConfig, frames: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"one (latent frame|row of tokens).*no half of it can be given"):
        prompt_changes(make_tokenizer(config), make_clips(2, frames, size))


def test_clips_of_one_latent_frame_end_in_one_line_and_no_file(tmp_path: Path) -> None:
    make_tokenizer(replace(VIDEO, frames=4)).save_pretrained(tmp_path / "tokenizer")
    videos = make_videos(tmp_path / "videos", 1)
    with pytest.raises(ValueError, match="one latent frame"):
        measure_leakage(LeakageOptions(tmp_path / "tokenizer", videos, tmp_path / "out"))
    assert not (tmp_path / "out" / "leakage.json").exists()


def test_the_share_is_over_all_items_however_they_are_batched(tmp_path: Path) -> None:
    """Five items in batches of two: every item counts alike, also that of the last batch."""
    make_tats(8).save_pretrained(tmp_path / "tokenizer")
    videos = make_videos(tmp_path / "videos", 5, frames=8)
    results = [
        measure_leakage(LeakageOptions(tmp_path / "tokenizer", videos, tmp_path / f"out{batch}", batch=batch))
        for batch in (2, 5)
    ]
    assert results[0]["prompt_tokens_changed"] > 0
    assert results[0] == results[1]


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
