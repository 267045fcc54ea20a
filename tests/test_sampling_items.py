"""What is kept of finished items: the file of each, also one that an earlier version wrote, and the tables of all."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from completions import first_half, make_completion, nothing
from hypothesis import given
from hypothesis import strategies as st
from media import HEIGHT, WIDTH, make_video, rotated
from tiny import make_videos

from data.clip_format import ClipFormat
from sampling.completion import distances_to_truth
from sampling.items import (
    CompletionItem,
    are_grey,
    choose_items,
    finished_path,
    gallery_item,
    read_clips,
    read_finished,
    write_arrays,
    write_finished,
)
from storage.run_folder import RunFolderError

ITEM = CompletionItem(7, None)


def kept_arrays() -> dict[str, np.ndarray]:
    """What a file of before this day holds, of two continuations on a grid of 2x1x1."""
    return {
        "tokens": np.array([[3, 5], [3, 6]]).reshape(2, 2, 1, 1),
        "log_probability": np.array([[np.nan, -1], [np.nan, -2]], np.float32).reshape(2, 2, 1, 1),
        "entropy": np.array([[np.nan, math.log(2)], [np.nan, 2 * math.log(2)]], np.float32).reshape(2, 2, 1, 1),
        "distances_to_truth": np.array([0.25, 0.5]),
        "prompt_tokens_changed": np.array([4]),
    }


def keep(out: Path, arrays: dict[str, np.ndarray]) -> None:
    (out / "items").mkdir()
    np.savez_compressed(out / "items" / "item_007.npz", **arrays)


def test_an_item_is_finished_when_its_file_is_there(tmp_path: Path) -> None:
    other = CompletionItem(8, None)
    assert read_finished(tmp_path, [ITEM, other]) == []
    keep(tmp_path, kept_arrays())
    assert [kept.item for kept in read_finished(tmp_path, [ITEM, other])] == [ITEM]


def test_files_of_before_are_read(tmp_path: Path) -> None:
    keep(tmp_path, kept_arrays())
    (kept,) = read_finished(tmp_path, [ITEM])
    assert kept.sampled.tokens.flatten().tolist() == [3, 5, 3, 6]
    assert torch.equal(kept.sampled.log_probability[:, 1].flatten(), torch.tensor([-1.0, -2.0]))
    assert (kept.distances, kept.prompt_tokens_changed, kept.entropy_bits) == ((0.25, 0.5), 4, pytest.approx(1.5))


@pytest.mark.parametrize("missing", ["tokens", "entropy", "distances_to_truth", "prompt_tokens_changed"])
def test_files_that_lack_something_are_refused_in_one_line(tmp_path: Path, missing: str) -> None:
    arrays = kept_arrays()
    arrays.pop(missing)
    keep(tmp_path, arrays)
    with pytest.raises(RunFolderError, match=f"of an older version .*{missing}.*begin anew with --overwrite") as caught:
        read_finished(tmp_path, [ITEM])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:100], lambda content: b"x" + content])
def test_damaged_files_are_refused(tmp_path: Path, damage: object) -> None:
    keep(tmp_path, kept_arrays())
    path = finished_path(tmp_path, ITEM)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunFolderError, match=r"item_007\.npz is damaged"):
        read_finished(tmp_path, [ITEM])


@pytest.mark.parametrize("changed", [None, 3])
def test_what_is_written_is_read(tmp_path: Path, changed: int | None) -> None:
    completion = make_completion(first_half(), grid=(2, 2, 2))
    (tmp_path / "items").mkdir()
    write_finished(finished_path(tmp_path, ITEM), completion, changed)
    (kept,) = read_finished(tmp_path, [ITEM])
    assert torch.equal(kept.sampled.tokens, completion.sampled.tokens)
    assert torch.equal(kept.sampled.entropy.nan_to_num(-1), completion.sampled.entropy.nan_to_num(-1))
    assert kept.distances == pytest.approx(tuple(distances_to_truth(completion)))
    assert kept.prompt_tokens_changed == changed


def test_without_a_truth_there_is_no_distance(tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    write_finished(finished_path(tmp_path, ITEM), make_completion(nothing()), None)
    entry = gallery_item(read_finished(tmp_path, [ITEM])[0], video=False)
    assert (entry.name, entry.stem, entry.source) == ("imagined", "item_007", "")
    assert entry.distance_to_truth is entry.best_distance is None


def test_arrays_have_a_row_per_item_in_raster_order(tmp_path: Path) -> None:
    keep(tmp_path, kept_arrays())
    write_arrays(tmp_path, read_finished(tmp_path, [ITEM]) * 3)
    assert np.load(tmp_path / "tokens.npy").tolist() == [[[3, 5], [3, 6]]] * 3
    assert np.load(tmp_path / "entropies.npy").shape == np.load(tmp_path / "log_probabilities.npy").shape == (3, 2, 2)


def test_items_are_spread_over_videos_however_long_these_are(tmp_path: Path) -> None:
    """One video of eight clips and three of one clip each, 16 px and 8 frames per second."""
    long = make_videos(tmp_path / "long", 1, frames=64, size=16)
    short = make_videos(tmp_path / "short", 4, frames=8, size=16)
    (short / "film_0.mp4").unlink()
    (long / "film_0.mp4").rename(short / "film_0.mp4")
    form = ClipFormat(frames=8, fps=8, size=16)

    def chosen(count: int) -> list[tuple[str, float]]:
        items, _ = choose_items([short], form, count)
        return [(item.found.source.name, item.found.start) for item in items if item.found]

    assert [name for name, _ in chosen(4)] == [f"film_{index}.mp4" for index in range(4)]
    assert chosen(5)[:2] == [("film_0.mp4", 0.0), ("film_0.mp4", 4.0)]
    assert [name for name, _ in chosen(2)] == ["film_0.mp4", "film_2.mp4"]
    assert len(chosen(99)) == 11


def test_of_a_portrait_video_the_middle_square_is_taken_upright(tmp_path: Path) -> None:
    """A phone turns it a quarter clockwise: the white left edge is shown on top, the black right one below."""
    levels = np.full((HEIGHT, WIDTH, 3), 128, dtype=np.uint8)
    levels[:, :16] = 255
    levels[:, -16:] = 0
    stored = make_video(tmp_path / "stored.mp4", count=8, image=lambda _: levels)
    (tmp_path / "phone").mkdir()
    rotated(stored, tmp_path / "phone" / "turned.mp4")
    form = ClipFormat(frames=8, fps=8, size=48)
    items, _ = choose_items([tmp_path / "phone"], form, 1)
    _, clips = read_clips(items, form, [])
    assert clips is not None
    rows = clips[0, 0, 0].mean(dim=1)
    assert [float(rows[row]) for row in (3, 24, 44)] == pytest.approx([1, 0, -1], abs=0.1)
    assert (rows > 0.5).sum() == (rows < -0.5).sum() == 8


@given(shift=st.integers(-3, 3), level=st.integers(3, 252))
def test_films_that_are_grey_but_for_rounding_are_grey(shift: int, level: int) -> None:
    clip = torch.full((1, 3, 1, 4, 4), float(level))
    clip[:, 0] += shift
    assert are_grey(clip / 127.5 - 1).tolist() == [True]


def test_one_coloured_corner_is_no_grey_film() -> None:
    clip = torch.zeros(1, 3, 1, 16, 16)
    clip[:, 0, :, :8, :8] = 0.5
    assert are_grey(clip).tolist() == [False]
