"""Near duplicates: frames that show almost the same are found, others are not, and leaks are told."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from data.near_duplicates import NEAR, HashedFrame, InSplit, difference_hash, find_near_duplicates


def scene(seed: int, size: int = 96) -> Image.Image:
    """An image of soft blobs."""
    blobs = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((size, size), Image.Resampling.BICUBIC)


def hashed(name: str, digest: int, split: InSplit = "train", frame: str = "image") -> HashedFrame:
    return HashedFrame(name, frame, split, digest)  # type: ignore[arg-type]


def flipped(digest: int, *bits: int) -> int:
    for bit in bits:
        digest ^= 1 << bit
    return digest


def distance(one: Image.Image, other: Image.Image) -> int:
    first, second = difference_hash(one), difference_hash(other)
    assert first is not None
    assert second is not None
    return (first ^ second).bit_count()


def names(frames: list[HashedFrame]) -> list[tuple[str, str, int, bool]]:
    return [(pair.file, pair.other, pair.distance, pair.leak) for pair in find_near_duplicates(frames)]


# Hashes


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_that_was_scaled_compressed_or_brightened_has_almost_the_same_hash(seed: int) -> None:
    image = scene(seed)
    assert distance(image, image.resize((64, 64), Image.Resampling.BILINEAR)) <= NEAR
    assert distance(image, jpeg(image)) <= NEAR
    assert distance(image, ImageEnhance.Brightness(image).enhance(0.9)) <= NEAR


def test_other_images_have_other_hashes() -> None:
    assert min(distance(scene(one), scene(other)) for one, other in itertools.combinations(range(20), 2)) > 8


def test_each_bit_says_whether_a_place_is_brighter_than_the_one_on_its_left() -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 180, 20, dtype=np.uint8), (8, 1)))
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_colour_says_nothing(level: int) -> None:
    assert difference_hash(Image.new("RGB", (96, 96), (level, level, level))) is None


# Pairs


def test_hashes_that_differ_in_three_bits_are_near_and_in_four_are_not() -> None:
    frames = [hashed("a", 0x0123456789ABCDEF)]
    assert names([*frames, hashed("b", flipped(frames[0].digest, 0, 17, 63))]) == [("a", "b", 3, False)]
    assert names([*frames, hashed("b", flipped(frames[0].digest, 0, 17, 40, 63))]) == []


def test_every_three_bits_are_found() -> None:
    for bits in itertools.combinations(range(0, 64, 3), 3):
        assert names([hashed("a", 0), hashed("b", flipped(0, *bits))]) == [("a", "b", 3, False)], bits


def test_two_frames_of_one_file_are_no_duplicates() -> None:
    assert names([hashed("a", 5, frame="first"), hashed("a", 5, frame="middle")]) == []
    assert names([hashed("a", 5, frame="first"), hashed("a", 4, frame="middle")]) == []


def test_a_pair_is_listed_once_with_its_nearest_frames() -> None:
    frames = [
        hashed("a.mp4", 0, frame="first"),
        hashed("a.mp4", 2**40 - 1, frame="middle"),
        hashed("b.mp4", 1, frame="first"),
        hashed("b.mp4", 2**40 - 1, frame="middle"),
    ]
    (pair,) = find_near_duplicates(frames)
    assert (pair.file, pair.frame, pair.other, pair.other_frame, pair.distance) == (
        "a.mp4",
        "middle",
        "b.mp4",
        "middle",
        0,
    )


def test_a_pair_across_the_split_is_a_leak() -> None:
    frames = [hashed("a", 9, "validation"), hashed("b", 8, "train")]
    assert names(frames) == [("a", "b", 1, True)]


@pytest.mark.parametrize(("one", "other", "leak"), [("both", "both", True), ("train", "", False), ("", "", False)])
def test_a_file_in_both_splits_leaks_and_an_unused_one_does_not(one: InSplit, other: InSplit, leak: bool) -> None:
    assert names([hashed("a", 9, one), hashed("b", 9, other)]) == [("a", "b", 0, leak)]


def test_a_nearer_file_does_not_hide_a_leak() -> None:
    frames = [hashed("a", 0), hashed("b", 0), hashed("c", 7, "validation")]
    assert names(frames) == [("a", "c", 3, True), ("b", "c", 3, True)]


def test_many_equal_files_are_listed_once_each() -> None:
    frames = [hashed(f"{number:05d}", 77) for number in range(5000)]
    assert len(names(frames)) == 4999


def test_files_that_are_all_alike_are_listed_once_each() -> None:
    frames = [hashed(f"{one:02d} {other:02d}", flipped(0, one, other)) for one in range(64) for other in range(one)]
    assert len(names(frames)) <= len(frames)


def test_it_finds_what_comparing_all_pairs_finds() -> None:
    dice = np.random.default_rng(3)
    centres = dice.integers(0, 2**63, 40)
    frames = []
    for number in range(400):
        bits = dice.integers(0, 64, dice.integers(0, 4)).tolist()
        split: InSplit = "train" if dice.random() < 0.7 else "validation"
        frames.append(hashed(f"{number:03d}", flipped(int(centres[number % 40]), *bits), split))
    expected = {}
    for frame in frames:
        others = [
            (frame.split == other.split, (frame.digest ^ other.digest).bit_count())
            for other in frames
            if other is not frame
        ]
        near = [one for one in others if one[1] <= NEAR]
        if near:
            expected[frame.file] = not min(near)[0]
    found: dict[str, bool] = {}
    for pair in find_near_duplicates(frames):
        for name in (pair.file, pair.other):
            found[name] = found.get(name, False) or pair.leak
    assert found == expected


def test_no_frames_have_no_duplicates() -> None:
    assert find_near_duplicates([]) == []
