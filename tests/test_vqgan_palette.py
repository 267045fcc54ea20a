"""The colour palette: one token per pixel, colours from k-means."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import make_clips, make_images, make_palette, make_videos

from data.errors import MediaError
from storage.model_paths import CheckpointError
from vqgan.options import PaletteOptions
from vqgan.palette import Palette, nearest_colour
from vqgan.palette_fit import make_palette as fit_folder


def distinct_pixels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_there_is_a_token_per_pixel() -> None:
    assert make_palette().encode(make_clips(2, 1, 8)).shape == (2, *make_palette().grid(1, 8, 8)) == (2, 1, 8, 8)


def test_a_token_is_the_nearest_colour() -> None:
    palette, clip = make_palette(), make_clips(1, 1, 8)
    pixels = clip[0, :, 0].flatten(1).T
    nearest = torch.cdist(pixels, palette.colours).argmin(dim=1)
    assert torch.equal(palette.encode(clip).flatten(), nearest)


WHITE_GROUND = torch.cat([torch.full((40, 3), 255.0), torch.tensor([[254.0] * 3, [250, 251, 252], [0, 0, 0]])])
"""Levels of an image on white."""


@pytest.mark.parametrize("gap", [1e-6, 1e-7, 1e-8, 1e-9])
@pytest.mark.parametrize("white", [1, 2])
def test_of_two_nearly_equal_whites_the_nearer_one_is_taken(gap: float, white: int) -> None:
    centres = torch.tensor([[0.0] * 3, [255.0] * 3, [255.0] * 3], dtype=torch.float64)
    centres[3 - white, 1] -= gap
    tokens = assert_nearest(WHITE_GROUND, centres)
    assert set(tokens[:40].tolist()) == {white}


def test_of_equal_colours_the_first_is_taken() -> None:
    colours = torch.tensor([[0.3] * 3, [1.0] * 3, [1.0] * 3, [1.0] * 3])
    assert set(nearest_colour(torch.ones(500, 3), colours).tolist()) == {1}


def test_of_colours_equally_far_on_two_sides_the_first_is_taken() -> None:
    for level in range(1, 255):
        centres = torch.tensor([[level + 1.0] * 3, [level - 1.0] * 3], dtype=torch.float64)
        assert assert_nearest(torch.full((1, 3), float(level)), centres).item() == 0


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    colours=st.integers(2, 40),
    copies=st.integers(0, 10),
    gap=st.sampled_from([0.0, 1e-9, 1e-7, 1e-5, 1e-3]),
    fractions=st.booleans(),
)
def test_a_token_is_the_nearest_colour_of_exact_arithmetic(
    seed: int, colours: int, copies: int, gap: float, fractions: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(256, (200, 3), generator=generator).float()
    if fractions:
        levels += torch.rand(200, 3, generator=generator) * 0.9 + 0.05
    centres = torch.rand(colours, 3, generator=generator, dtype=torch.float64) * 255
    centres[: colours // 2] = centres[: colours // 2].round()
    near = centres[torch.randint(colours, (copies,), generator=generator)]
    near = near + gap * torch.randn(copies, 3, generator=generator, dtype=torch.float64)
    assert_nearest(levels, torch.cat([centres, near]).clamp(0, 255))


def assert_nearest(levels: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Compare the tokens of (R, 3) levels with the smallest of all distances to (K, 3) colours in [0, 255]."""
    clip = (levels / 127.5 - 1).T[None, :, None, :, None]
    tokens = Palette(centres / 127.5 - 1, 4).encode(clip).flatten()
    whole = torch.equal(levels, levels.round())
    pixels = levels.double() if whole else (clip[0, :, 0, :, 0].T.double() + 1) * 127.5
    assert torch.equal(tokens, (pixels[:, None] - centres[None]).square().sum(dim=2).argmin(dim=1))
    return tokens


def test_colours_that_are_equal_in_float32_stay_apart_in_a_saved_palette(tmp_path: Path) -> None:
    colours = torch.tensor([[-1.0] * 3, [-1 + 1e-9] * 3], dtype=torch.float64)
    Palette(colours, 4).save_pretrained(tmp_path)
    loaded = Palette.from_pretrained(tmp_path)
    assert torch.equal(loaded.colours, colours)
    assert loaded.decode(torch.zeros(1, 1, 4, 4).long()).dtype == torch.float32


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), frames=st.integers(1, 3), size=st.integers(1, 20))
def test_decoded_tokens_are_encoded_to_themselves(seed: int, frames: int, size: int) -> None:
    palette = make_palette()
    tokens = torch.randint(16, (2, frames, size, size), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(palette.encode(palette.decode(tokens)), tokens)


def test_an_upper_half_encoded_alone_has_the_tokens_of_the_whole() -> None:
    palette, clip = make_palette(), make_clips(1, 1, 8)
    assert torch.equal(palette.encode(clip[:, :, :, :4]), palette.encode(clip)[:, :, :4])


def test_decoded_colours_stay_in_range() -> None:
    decoded = Palette(torch.full((2, 3), 1.5), 4).decode(torch.zeros(1, 1, 4, 4).long())
    assert decoded.max() == 1


def test_fit_finds_the_colours_that_are_there() -> None:
    colours = distinct_pixels(5)
    palette = Palette.fit(colours.repeat(20, 1), 5, size=4)
    assert torch.cdist(colours, palette.colours).amin(dim=1).max() < 1e-6


def test_fit_gives_as_many_colours_as_asked_for() -> None:
    assert Palette.fit(distinct_pixels(500), 64, size=4).vocab_size == 64


def test_fit_is_the_same_under_the_same_seed() -> None:
    first, second = (Palette.fit(distinct_pixels(200), 8, size=4, seed=3) for _ in range(2))
    assert torch.equal(first.colours, second.colours)


def test_fit_brings_every_pixel_nearer_than_random_colours_do() -> None:
    pixels = distinct_pixels(2000)
    fitted, random = Palette.fit(pixels, 16, size=4).colours, make_palette(16).colours
    assert torch.cdist(pixels, fitted).amin(dim=1).mean() < 0.9 * torch.cdist(pixels, random).amin(dim=1).mean()


def test_fit_survives_a_colour_that_loses_its_last_pixel() -> None:
    # Under this seed a cluster of k-means runs empty on its way.
    generator = np.random.default_rng(145)
    count, colours = int(generator.integers(20, 400)), 66
    generator.integers(2, count // 2)
    pixels = torch.from_numpy(generator.integers(0, 256, (count, 3)) / 127.5 - 1)
    assert all(torch.isfinite(Palette.fit(pixels, colours, 4, seed).colours).all() for seed in range(40))


def test_more_colours_than_the_images_have_are_refused() -> None:
    with pytest.raises(ValueError, match="--colours 6 is more than the 5 colours of the images"):
        Palette.fit(distinct_pixels(5).repeat(20, 1), 6, size=4)


def test_a_saved_palette_gives_the_same_tokens(tmp_path: Path) -> None:
    palette, clip = make_palette(), make_clips(1, 1, 8)
    palette.save_pretrained(tmp_path)
    assert torch.equal(Palette.from_pretrained(tmp_path).encode(clip), palette.encode(clip))


def test_a_saved_palette_has_the_same_fingerprint(tmp_path: Path) -> None:
    palette = make_palette()
    palette.save_pretrained(tmp_path)
    assert Palette.from_pretrained(tmp_path).fingerprint == palette.fingerprint


def test_a_palette_for_another_size_has_another_fingerprint() -> None:
    assert make_palette(size=8).fingerprint != make_palette(size=4).fingerprint


def test_a_folder_without_a_palette_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        Palette.from_pretrained(tmp_path)


def test_a_folder_of_images_gives_a_palette(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 2)
    out = fit_folder(PaletteOptions(tmp_path / "images", tmp_path / "out", colours=8, size=8))
    assert Palette.from_pretrained(out).vocab_size == 8


def test_a_folder_of_videos_gives_a_palette(tmp_path: Path) -> None:
    make_videos(tmp_path / "videos", 1)
    out = fit_folder(PaletteOptions(tmp_path / "videos", tmp_path / "out", colours=8, size=8))
    assert Palette.from_pretrained(out).size == 8


def test_a_palette_made_from_a_folder_holds_its_colours(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[4:] = 255
    Image.fromarray(pixels).save(tmp_path / "images" / "black_and_white.png")
    out = fit_folder(PaletteOptions(tmp_path / "images", tmp_path / "out", colours=2, size=8))
    assert sorted(Palette.from_pretrained(out).colours[:, 0].tolist()) == [-1, 1]


def test_the_images_it_was_made_from_are_listed(tmp_path: Path) -> None:
    out = fit_folder(PaletteOptions(make_images(tmp_path / "images", 2), tmp_path / "out", colours=8, size=8))
    listed = (out / "training_images.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in listed] == ["image_0.png", "image_1.png"]


def test_unreadable_images_are_listed(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 2)
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    out = fit_folder(PaletteOptions(tmp_path / "images", tmp_path / "out", colours=4, size=8))
    assert "broken.png" in (out / "skipped.csv").read_text()


def test_a_folder_of_mostly_unreadable_images_is_refused(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 1)
    for number in range(2):
        (tmp_path / "images" / f"broken_{number}.png").write_bytes(b"no image")
    with pytest.raises(MediaError, match="2 of 3 files"):
        fit_folder(PaletteOptions(tmp_path / "images", tmp_path / "out", colours=4, size=8))


@pytest.mark.parametrize(("option", "value"), [("colours", 1), ("size", 0)])
def test_options_out_of_range_are_refused(option: str, value: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--{option} {value} must be at least"):
        PaletteOptions(tmp_path, tmp_path, **{option: value})
