"""Grey of more than 8 bits, white stored as zero and transparent levels become the RGB that they mean."""

import struct

import numpy as np
import PIL
import pytest
from image_files import chunk, encode, png, tiff
from PIL import Image

from data.colours import boxes
from data.errors import MediaError
from data.images import load_image

RAMP = np.array([[0, 1_000, 20_000, 40_000, 65_535]])
DEEP_RAMP = np.array([[0, 1, 700, 2_047, 4_095]])


def grey(data: bytes) -> np.ndarray:
    """(W,) levels of the first row of a grey image."""
    pixels = np.asarray(load_image(data))
    assert (pixels == pixels[..., :1]).all()
    return pixels[0, :, 0]


def rounded(levels: np.ndarray, white: int) -> np.ndarray:
    return (levels[0] * 255 / white).round()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 8, 12, 16])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_grey_of_a_tiff_is_right_whatever_it_stores_as_white(order: str, bits: int, white_is_zero: bool) -> None:
    white = 2**bits - 1
    levels = np.array([[0, white, white // 3, 0, 0, white, 0, white]])
    shown = white - levels if white_is_zero else levels
    found = grey(tiff(levels, bits, white_is_zero=white_is_zero, order=order))
    np.testing.assert_array_equal(found, rounded(shown, white))


def test_white_is_zero_in_a_compressed_tiff_too() -> None:
    stored = Image.fromarray(RAMP.astype(np.uint16))
    data = encode(stored, "TIFF", compression="tiff_lzw", tiffinfo={262: 0})
    np.testing.assert_array_equal(grey(data), rounded(65_535 - RAMP, 65_535))


def test_a_sensor_depth_in_a_tiff_is_its_white() -> None:
    np.testing.assert_array_equal(
        grey(tiff(DEEP_RAMP, 16, white_is_zero=False, highest=4_095)), rounded(DEEP_RAMP, 4_095)
    )


@pytest.mark.parametrize("highest", [40_000, 4_000, 4_095])
def test_the_brightest_pixel_of_a_tiff_is_not_its_white(highest: int) -> None:
    np.testing.assert_array_equal(grey(tiff(RAMP, 16, white_is_zero=False, highest=highest)), rounded(RAMP, 65_535))


def test_twelve_bits_kept_as_they_are_in_a_png_reach_white() -> None:
    np.testing.assert_array_equal(grey(png(DEEP_RAMP, sBIT=b"\x0c")), rounded(DEEP_RAMP, 4_095))


def test_twelve_bits_of_colours_kept_as_they_are_reach_white() -> None:
    colours = np.stack([DEEP_RAMP, DEEP_RAMP[:, ::-1], DEEP_RAMP], axis=2)
    found = np.asarray(load_image(png(colours, sBIT=b"\x0c\x0c\x0c")))
    np.testing.assert_array_equal(found, (colours * 255 / 4_095).round())


@pytest.mark.parametrize("scaled", [DEEP_RAMP << 4, DEEP_RAMP << 4 | DEEP_RAMP >> 8, np.rint(DEEP_RAMP * 65535 / 4095)])
@pytest.mark.parametrize("brightest", [65_535, 700])
def test_twelve_bits_scaled_as_png_demands_are_not_scaled_again(scaled: np.ndarray, brightest: int) -> None:
    kept = np.where(scaled <= brightest, scaled, 0).astype(int)
    np.testing.assert_array_equal(grey(png(kept, sBIT=b"\x0c")), rounded(kept, 65_535))


def test_wide_colours_are_those_of_pillow_whatever_is_said_of_their_depth() -> None:
    colours = np.random.default_rng(0).integers(0, 65_536, (4, 6, 3))
    for chunks in ({}, {"sBIT": b"\x0c\x0c\x0c"}, {"tRNS": bytes(6)}):
        np.testing.assert_array_equal(np.asarray(load_image(png(colours, **chunks))), colours >> 8)


def test_grey_says_nothing_of_its_depth_and_gamma_is_left_alone() -> None:
    gamma = struct.pack(">I", 100_000)
    np.testing.assert_array_equal(grey(png(DEEP_RAMP, gAMA=gamma)), rounded(DEEP_RAMP, 65_535))
    np.testing.assert_array_equal(grey(png(np.array([[0, 9, 255]]), 8, gAMA=gamma)), [0, 9, 255])


def test_the_transparent_level_of_sixteen_bits_is_white_and_its_neighbours_are_not() -> None:
    found = grey(png(np.array([[1_000, 1_001, 999, 0]]), tRNS=struct.pack(">H", 1_000)))
    np.testing.assert_array_equal(found, [255, 4, 4, 0])


def test_the_transparent_colour_of_sixteen_bits_is_white_and_its_neighbours_are_not() -> None:
    colours = np.array([[[1_000, 2_000, 3_000], [1_001, 2_000, 3_000], [1_000, 2_000, 40_000]]])
    found = np.asarray(load_image(png(colours, tRNS=struct.pack(">3H", 1_000, 2_000, 3_000))))
    np.testing.assert_allclose(found, [[[255] * 3, [4, 8, 12], [4, 8, 156]]], atol=1)


@pytest.mark.parametrize(("depth", "levels"), [(1, [0, 255]), (2, [0, 85, 170]), (4, [0, 17, 119]), (8, [0, 9, 200])])
def test_the_transparent_level_of_few_bits_is_white(depth: int, levels: list[int]) -> None:
    stored = np.array([levels]) * (2**depth - 1) // 255
    found = grey(png(stored, depth, tRNS=struct.pack(">H", stored[0, 1])))
    np.testing.assert_array_equal(found, [levels[0], 255, *levels[2:]])


@pytest.mark.parametrize("alpha", [0, 65_535])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_with_alpha_are_shown_on_white(alpha: int, channels: int) -> None:
    samples = np.array([[[*[30_000] * channels, alpha]]])
    np.testing.assert_allclose(grey(png(samples)), [255 if alpha == 0 else 117], atol=1)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_that_is_multiplied_in_is_taken_out(mode: str) -> None:
    if mode == "LA" and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow before 13 does not read grey images of this kind: they are refused")
    bands = [Image.new("L", (2, 2), 120 if band == "A" else 60) for band in mode]
    data = encode(Image.merge(mode, bands), "TIFF")
    separate, multiplied = (struct.pack("<HHIHH", 338, 3, 1, kind, 0) for kind in (2, 1))
    assert separate in data
    np.testing.assert_allclose(grey(data.replace(separate, multiplied)), 60 + 255 - 120, atol=2)


def test_adobe_inks_stored_inverted_give_their_colour() -> None:
    inks = Image.new("RGB", (16, 16), (220, 30, 40)).convert("CMYK")
    data = encode(inks, "JPEG", quality=95)
    assert b"Adobe" in data
    np.testing.assert_allclose(load_image(data).getpixel((8, 8)), (220, 30, 40), atol=8)


@pytest.mark.parametrize("maxval", [4_095, 65_535])
def test_a_portable_greymap_is_scaled_by_its_own_white(maxval: int) -> None:
    levels = np.array([[0, maxval // 3, maxval]])
    data = b"P5 3 1 %d\n" % maxval + levels.astype(">u2").tobytes()
    np.testing.assert_array_equal(grey(data), rounded(levels, maxval))


def test_wide_colours_with_transparency_that_are_too_large_are_refused() -> None:
    small = png(np.zeros((1, 3, 3), int), tRNS=bytes(6))
    header = struct.pack(">IIBBBBB", 6_000, 6_000, 16, 2, 0, 0, 0)
    with pytest.raises(MediaError, match="6000x6000 pixels of 16-bit colours, over the limit of 32,000,000"):
        load_image(small[:8] + chunk(b"IHDR", header) + small[33:])


@pytest.mark.parametrize(("width", "height", "pixels"), [(7, 5, 100), (7, 5, 14), (7, 5, 7), (7, 2, 3), (1, 9, 4)])
def test_boxes_make_up_the_image_in_order(width: int, height: int, pixels: int) -> None:
    indices = np.arange(width * height).reshape(height, width)
    parts = [indices[top:bottom, left:right] for left, top, right, bottom in boxes(width, height, pixels)]
    assert np.concatenate([part.ravel() for part in parts]).tolist() == indices.ravel().tolist()
    assert max(part.size for part in parts) <= pixels
