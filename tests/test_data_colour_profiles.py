"""Embedded colour profiles are converted to sRGB, and pixels that are sRGB already stay what they are."""

import io

import numpy as np
import pytest
from image_files import P3_COLUMNS, SRGB_COLUMNS, cmyk_profile, encode, grey_profile, p3_to_srgb, rgb_profile
from PIL import Image, ImageCms

from data.images import load_image

COLOUR = (224, 80, 60)
P3 = rgb_profile(P3_COLUMNS)


def noise(mode: str) -> Image.Image:
    levels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    return Image.fromarray(levels).convert(mode)


def converted(image: Image.Image, profile: bytes) -> np.ndarray:
    """What littleCMS makes of the whole image."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"))


def test_display_p3_becomes_srgb_by_the_formula() -> None:
    image = load_image(encode(Image.new("RGB", (4, 4), COLOUR), icc_profile=P3))
    np.testing.assert_allclose(image.getpixel((1, 1)), p3_to_srgb(COLOUR), atol=1)
    assert max(abs(p3_to_srgb(COLOUR) - COLOUR)) > 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_the_profile_of_every_kind_of_file_counts(kind: str) -> None:
    image = load_image(encode(Image.new("RGB", (16, 16), COLOUR), kind, icc_profile=P3, quality=95))
    np.testing.assert_allclose(image.getpixel((8, 8)), p3_to_srgb(COLOUR), atol=4)


@pytest.mark.parametrize(
    ("mode", "profile"), [("RGB", P3), ("L", grey_profile(1.0)), ("CMYK", cmyk_profile())], ids=["RGB", "L", "CMYK"]
)
def test_colours_grey_and_inks_are_what_littlecms_makes_of_them(mode: str, profile: bytes) -> None:
    image = load_image(encode(noise(mode), "TIFF", icc_profile=profile))
    np.testing.assert_array_equal(np.asarray(image), converted(noise(mode), profile))
    assert np.abs(np.asarray(image).astype(int) - noise(mode).convert("RGB")).max() > 20


def test_a_large_image_is_converted_like_a_small_one() -> None:
    large = noise("RGB").resize((1_500, 1_000), Image.Resampling.NEAREST)
    image = load_image(encode(large, icc_profile=P3, compress_level=1))
    np.testing.assert_array_equal(np.asarray(image), converted(large, P3))


def test_a_palette_has_the_profile_of_its_colours() -> None:
    drawn = Image.new("P", (4, 4), 0)
    drawn.putpalette(COLOUR)
    image = load_image(encode(drawn, icc_profile=P3))
    np.testing.assert_allclose(image.getpixel((1, 1)), p3_to_srgb(COLOUR), atol=1)


def test_sixteen_bit_grey_is_scaled_and_then_converted() -> None:
    levels = np.arange(256, dtype=np.uint16)[None] * 257
    image = load_image(encode(Image.fromarray(levels), icc_profile=grey_profile(1.0)))
    narrow = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    np.testing.assert_array_equal(np.asarray(image), converted(narrow, grey_profile(1.0)))


def test_a_profile_leaves_transparent_parts_white() -> None:
    drawn = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    drawn.paste((*COLOUR, 255), (0, 0, 8, 16))
    image = load_image(encode(drawn, icc_profile=P3))
    np.testing.assert_allclose(image.getpixel((4, 8)), p3_to_srgb(COLOUR), atol=1)
    assert image.getpixel((12, 8)) == (255, 255, 255)


@pytest.mark.parametrize(
    "profile", [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), rgb_profile(SRGB_COLUMNS)]
)
def test_the_pixels_of_an_srgb_image_stay_exactly_what_they_are(profile: bytes) -> None:
    image = load_image(encode(noise("RGB"), icc_profile=profile))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(noise("RGB")))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("profile", [b"x", bytes(200), P3[:300], P3.replace(b"curv", b"junk")])
def test_a_broken_profile_is_ignored(mode: str, profile: bytes) -> None:
    image = load_image(encode(noise(mode), "TIFF", icc_profile=profile))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(noise(mode).convert("RGB")))


@pytest.mark.parametrize(("mode", "profile"), [("L", P3), ("CMYK", P3), ("RGB", grey_profile(1.0))])
def test_a_profile_of_other_colours_is_ignored(mode: str, profile: bytes) -> None:
    image = load_image(encode(noise(mode), "TIFF", icc_profile=profile))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(noise(mode).convert("RGB")))


def test_a_loaded_image_passes_no_profile_on() -> None:
    image = load_image(encode(noise("RGB"), icc_profile=P3))
    assert "icc_profile" not in Image.open(io.BytesIO(encode(image))).info


def test_the_colours_of_cielab_become_rgb() -> None:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    stored = ImageCms.profileToProfile(Image.new("RGB", (4, 4), COLOUR), srgb, lab, outputMode="LAB")
    np.testing.assert_allclose(load_image(encode(stored, "TIFF")).getpixel((1, 1)), COLOUR, atol=3)
