"""Images of every common kind become the same RGB, and what is no image is refused with a sentence."""

import hashlib
import importlib.util
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import chunk, empty_png, encode
from PIL import Image

from data.errors import MediaError
from data.frames import Crop, resize_and_crop
from data.images import IMAGE_SUFFIXES, clip_to_image, image_to_clip, load_image, pixel_digest, read_sides

HEIGHT, WIDTH = 48, 64


def blocks(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(height, width, 3) uint8 coarse coloured noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises this many one-bit pixels."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def png_with_text(letters: int) -> bytes:
    """A good PNG with a compressed text chunk that unpacks to this many letters."""
    good = encode(Image.fromarray(blocks()))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * letters))
    return good[:33] + text + good[33:]


def grey_levels(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "DIB", "TIFF", "WEBP", "PPM", "TGA", "PCX", "JPEG2000"])
def test_lossless_files_give_their_exact_pixels(kind: str) -> None:
    image = load_image(encode(Image.fromarray(blocks()), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), blocks())


def test_a_path_bytes_and_an_open_file_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(encode(Image.fromarray(blocks())))
    with path.open("rb") as opened:
        images = [load_image(path), load_image(path.read_bytes()), load_image(opened)]
    assert len({image.tobytes() for image in images}) == 1


def test_an_image_is_what_it_holds_whatever_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "image.JPG"
    path.write_bytes(encode(Image.fromarray(blocks())))
    np.testing.assert_array_equal(np.asarray(load_image(path)), blocks())


def test_an_exif_orientation_turns_the_image_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored row 0 is the right side of the image
    image = load_image(encode(Image.fromarray(blocks()), exif=exif))
    np.testing.assert_array_equal(np.asarray(image), np.rot90(blocks(), k=-1))


def test_sixteen_bit_grey_keeps_its_range() -> None:
    levels = np.linspace(0, 65535, WIDTH).astype(np.uint16)[None].repeat(HEIGHT, axis=0)
    image = load_image(encode(Image.fromarray(levels)))
    np.testing.assert_allclose(grey_levels(image), levels / 257, atol=0.51)


def test_dark_sixteen_bit_grey_stays_dark() -> None:
    image = load_image(encode(Image.fromarray(np.full((4, 4), 200, dtype=np.uint16))))
    assert grey_levels(image).max() == 1


@pytest.mark.parametrize("levels", [np.ones((4, 4), np.float32), np.full((4, 4), 70_000, np.int32)])
def test_grey_without_a_known_white_is_refused(levels: np.ndarray) -> None:
    with pytest.raises(MediaError, match="32-bit grey levels"):
        load_image(encode(Image.fromarray(levels), "TIFF"))


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_black_and_white_become_equal_channels(mode: str) -> None:
    stored = Image.fromarray(blocks()).convert(mode)
    np.testing.assert_array_equal(grey_levels(load_image(encode(stored))), np.asarray(stored.convert("L")))


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), (220, 30, 40))
    image = load_image(encode(red.convert("CMYK"), "JPEG", quality=95))
    np.testing.assert_allclose(np.asarray(image)[8, 8], [220, 30, 40], atol=8)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_show_white(mode: str) -> None:
    drawn = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    drawn.paste((0, 0, 0, 255), (0, 0, 8, 16))
    image = load_image(encode(drawn.convert(mode)))
    assert [image.getpixel((x, 8)) for x in (4, 12)] == [(0, 0, 0), (255, 255, 255)]


def test_a_transparent_colour_of_a_palette_shows_white() -> None:
    drawn = Image.new("P", (16, 16), 0)
    drawn.putpalette([10, 20, 30, 0, 0, 0])
    drawn.paste(1, (0, 0, 8, 16))
    image = load_image(encode(drawn, transparency=0))
    assert [image.getpixel((x, 8)) for x in (4, 12)] == [(0, 0, 0), (255, 255, 255)]


def test_a_moving_gif_gives_its_first_frame() -> None:
    red, blue = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    image = load_image(encode(red, "GIF", save_all=True, append_images=[blue], duration=100))
    assert image.getpixel((8, 8)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_every_orientation_is_turned_upright(kind: str, orientation: int) -> None:
    upright = Image.fromarray(blocks())
    turns = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_90,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_270,
    ]
    turn = turns[orientation - 1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = load_image(encode(upright if turn is None else upright.transpose(turn), kind, exif=exif))
    np.testing.assert_array_equal(np.asarray(image), blocks())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "P", "I;16"])
def test_a_large_image_becomes_what_its_parts_become(mode: str) -> None:
    drawn = Image.fromarray(blocks(height=1_200, width=1_600))
    if mode == "I;16":
        drawn = Image.fromarray(np.asarray(drawn.convert("L")).astype(np.uint16) * 250)
    elif mode in ("RGBA", "LA"):
        alpha = drawn.getchannel("G")
        drawn = drawn.convert(mode)
        drawn.putalpha(alpha)
    else:
        drawn = drawn.convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    whole = np.asarray(load_image(encode(drawn, kind)))
    corner = np.asarray(load_image(encode(drawn.crop((900, 700, 1_600, 1_200)), kind)))
    np.testing.assert_array_equal(whole[700:, 900:], corner)


HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None


@pytest.mark.skipif(HAS_HEIF, reason="the package is installed")
def test_a_photo_of_a_phone_asks_for_the_package_that_reads_it() -> None:
    head = struct.pack(">I", 28) + b"ftypheic" + bytes(4) + b"mif1heicmiaf"
    with pytest.raises(MediaError, match=r"HEIC image.*pip install pillow-heif"):
        load_image(head + bytes(100))


@pytest.mark.skipif(not HAS_HEIF, reason="pillow-heif is not installed")
def test_a_photo_of_a_phone_is_read_upright() -> None:
    importlib.import_module("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = Image.fromarray(blocks()).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, (0, 0, 8, 6))
    image = load_image(encode(smooth, "HEIF", quality=95, exif=exif.tobytes()))
    np.testing.assert_allclose(np.asarray(image).mean(axis=2), np.rot90(np.asarray(smooth), k=-1).mean(axis=2), atol=20)


def test_the_suffixes_are_lower_case_and_cover_real_stimulus_folders() -> None:
    assert {".jpg", ".jpe", ".jfif", ".tif", ".webp", ".avif", ".heic", ".ppm", ".jp2", ".tga"} <= IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


GOOD_PNG = encode(Image.fromarray(blocks()))
GOOD_JPEG = encode(Image.fromarray(blocks()), "JPEG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty"),
        (b"<!DOCTYPE html><html>404</html>", "holds a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "holds a web page or other text"),
        (b"just words", "is not an image"),
        (GOOD_PNG[: len(GOOD_PNG) // 2], "damaged or cut short"),
        (GOOD_JPEG[: len(GOOD_JPEG) // 2], "damaged or cut short"),
        (png_claiming(20, 20), "damaged or cut short"),
        (png_claiming(9_000, 9_000), "9000x9000 pixels, over the limit of 64,000,000"),
        (png_claiming(12_000, 12_000), "12000x12000 pixels, over the limit"),
        (png_claiming(200_000, 200_000), "more pixels than Pillow"),
        (png_with_text(2_000_000), "damaged"),
    ],
    ids=[
        "empty",
        "html",
        "svg",
        "words",
        "cut png",
        "cut jpeg",
        "no data",
        "large",
        "warned",
        "bomb",
        "long text",
    ],
)
def test_an_unusable_file_is_named_with_its_defect(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message) as caught:
        load_image(path)
    assert str(path) in str(caught.value)


def test_bytes_are_called_the_image() -> None:
    with pytest.raises(MediaError, match=r"^the image is empty"):
        load_image(b"")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        load_image(tmp_path / "none.png")
    with pytest.raises(MediaError, match="is a folder"):
        load_image(tmp_path)


def test_the_pixel_limit_can_be_set() -> None:
    assert load_image(GOOD_PNG, max_pixels=HEIGHT * WIDTH).size == (WIDTH, HEIGHT)
    with pytest.raises(MediaError, match="over the limit of 3,071"):
        load_image(GOOD_PNG, max_pixels=HEIGHT * WIDTH - 1)


@settings(max_examples=150)
@given(st.sampled_from([GOOD_PNG, GOOD_JPEG]), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_gives_an_image_or_a_media_error(data: bytes, place: int, bit: int) -> None:
    flipped = bytearray(data)
    flipped[place % len(data)] ^= 1 << bit
    try:
        image = load_image(bytes(flipped))
    except MediaError:
        return
    assert image.mode == "RGB"


def test_every_damaged_pixel_byte_of_a_png_is_noticed() -> None:
    start = GOOD_PNG.index(b"IDAT") + 4
    length = int.from_bytes(GOOD_PNG[start - 8 : start - 4], "big")
    for place in range(start + 2, start + length, 5):
        damaged = bytearray(GOOD_PNG)
        damaged[place] ^= 0x10
        with pytest.raises(MediaError, match="damaged"):
            load_image(bytes(damaged))


# Memory


def test_a_thread_of_pixels_becomes_a_clip() -> None:
    image = load_image(empty_png(1, 200_000))
    assert image.size == (1, 200_000)
    assert image_to_clip(image, 96).unique().tolist() == [-1.0]


def test_more_rows_than_memory_is_worth_are_refused_from_the_header() -> None:
    with pytest.raises(MediaError, match="1x60000000 pixels, over the limit of 2,000,000 rows"):
        load_image(png_claiming(1, 60_000_000))


@pytest.mark.parametrize("kind", ["WEBP", "JPEG2000"])
def test_kinds_whose_decoders_take_much_memory_have_a_limit_of_their_own(kind: str) -> None:
    data = encode(Image.new("RGB", (8_000, 4_100)), kind, **({"method": 0} if kind == "WEBP" else {}))
    with pytest.raises(MediaError, match="8000x4100 pixels, over the limit of 32,000,000"):
        load_image(data)


MEMORY = """
import sys
from pathlib import Path
from data.images import image_to_clip, load_image, pixel_digest

def peak() -> int:
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))

before = peak()
image = load_image(Path(sys.argv[1]))
pixel_digest(image)
image_to_clip(image, 64)
print((peak() - before) * 1024 / (image.width * image.height))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is told by Linux alone")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_a_large_image_takes_less_than_fourteen_bytes_a_pixel(
    tmp_path: Path, mode: str, python: tuple[str, ...]
) -> None:
    pixels = np.zeros((8_000, 5_000, len(mode)), np.uint8) if mode != "I;16" else np.zeros((8_000, 5_000), np.uint16)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path, compress_level=1)
    found = subprocess.run([*python, "-c", MEMORY, path], capture_output=True, text=True, check=True).stdout
    # Four bytes are a pixel of Pillow's; the plain way takes 16 to 24, this one 8 to 11 and what bands take once.
    assert float(found) < 14


# Digests


def test_a_digest_is_that_of_all_pixels_and_their_shape() -> None:
    for pixels in (
        blocks(),
        blocks()[..., 0],
        np.zeros((1, 3_000_000, 3), np.uint8),
        blocks(height=1_600, width=1_000),
    ):
        expected = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
        assert pixel_digest(Image.fromarray(pixels)) == expected


def test_a_copy_in_another_format_has_the_same_digest_and_another_shape_has_not() -> None:
    stored = [load_image(encode(Image.fromarray(blocks()), kind)) for kind in ("PNG", "BMP", "TIFF")]
    assert len({pixel_digest(image) for image in stored}) == 1
    assert pixel_digest(Image.new("RGB", (8, 2))) != pixel_digest(Image.new("RGB", (4, 4)))


# Clips of images


def test_a_square_of_the_asked_size_keeps_its_exact_pixels() -> None:
    clip = image_to_clip(Image.fromarray(blocks()), HEIGHT)
    middle = (WIDTH - HEIGHT) // 2
    assert clip.shape == (3, 1, HEIGHT, HEIGHT)
    assert clip.dtype == torch.float32
    np.testing.assert_array_equal(np.asarray(clip_to_image(clip)), blocks()[:, middle : middle + HEIGHT])


def test_black_and_white_are_minus_one_and_one() -> None:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4] = 255
    assert image_to_clip(Image.fromarray(pixels), 8).unique().tolist() == [-1.0, 1.0]


def test_shrinking_averages_so_that_fine_stripes_become_grey() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::4] = 255
    assert (image_to_clip(Image.fromarray(stripes), 8)[..., 2:-2] + 0.5).abs().max() < 0.1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 32), st.integers(0, 2**31), st.booleans())
@settings(max_examples=60)
def test_any_shape_becomes_the_square_in_range(height: int, width: int, size: int, seed: int, random: bool) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    clip = image_to_clip(Image.fromarray(pixels), size, "random" if random else "centre", seed)
    assert clip.shape == (3, 1, size, size)
    assert clip.min() >= -1
    assert clip.max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1_500, 1_900), (3_000, 800), (4_000, 500)])
@pytest.mark.parametrize("crop", ["centre", "random"])
def test_the_clip_of_a_large_image_is_that_of_its_pixels(height: int, width: int, crop: Crop) -> None:
    image = Image.fromarray(blocks(height=64, width=64)).resize((width, height))
    pixels = torch.from_numpy(np.array(image))[None]
    assert (image_to_clip(image, 40, crop, 5) - resize_and_crop(pixels, 40, crop, 5)).abs().max() < 1e-5


@pytest.mark.parametrize("shape", [(3, 2, 8, 8), (1, 8, 8), (8, 8)])
def test_only_one_rgb_frame_becomes_an_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="clip must be"):
        clip_to_image(torch.zeros(shape))


def test_values_out_of_range_are_clipped_not_wrapped() -> None:
    image = clip_to_image(torch.tensor([-3.0, 0.0, 3.0])[:, None, None])
    assert image.getpixel((0, 0)) == (0, 128, 255)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_sides_of_an_image_are_read_from_its_header(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    assert read_sides(path) == (20, 30)
    assert read_sides(path.read_bytes()) == (20, 30)


def test_sides_of_what_is_no_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("<html>")
    with pytest.raises(MediaError, match=r"photo.jpg holds a web page"):
        read_sides(tmp_path / "photo.jpg")
