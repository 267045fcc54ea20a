"""Clips are a pure function of the draw, in the order of the draws, and a bad file never stops a run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from media import make_video, numbers
from PIL import Image

from data.clip_format import ClipFormat
from data.clips import ClipDataset, collate, stack_levels, training_loader
from data.errors import MediaError
from data.items import Item, list_items
from data.media import catalogue
from data.probe import probe_video
from data.sources import Source
from data.video import read_clip
from training.order import DataOrder, SampleIndex

FORM = ClipFormat(frames=8, fps=8, size=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 5 and 3 seconds and an image."""
    path = tmp_path_factory.mktemp("clips")
    make_video(path / "a.mp4", count=40)
    make_video(path / "b.mp4", count=24)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path / "c.png")
    return path


@pytest.fixture(scope="module")
def dataset(folder: Path) -> ClipDataset:
    """The eight clips of the two videos."""
    return ClipDataset(list_items(catalogue(folder).videos, FORM)[0], FORM)


@pytest.fixture(scope="module")
def still(folder: Path) -> ClipDataset:
    """The image alone."""
    return ClipDataset(list_items(catalogue(folder / "c.png").sources, FORM)[0], FORM)


def video(seconds: float) -> Source:
    return Source("video.mp4", Path("video.mp4"), "video", seconds=seconds)


# Listing


def test_a_video_is_cut_into_clips_end_to_end() -> None:
    items, skipped = list_items([video(3.5)], FORM)
    assert ([item.start for item in items], skipped) == ([0, 1, 2], [])


@pytest.mark.parametrize(("hop", "starts"), [(0.5, [0, 0.5, 1, 1.5, 2]), (1.5, [0, 1.5]), (2, [0, 2]), (9, [0])])
def test_clips_begin_a_hop_apart_as_long_as_they_fit(hop: float, starts: list[float]) -> None:
    assert [item.start for item in list_items([video(3)], FORM, hop)[0]] == starts


def test_a_video_shorter_than_a_clip_gives_none_however_long_the_hop_is() -> None:
    assert [len(found) for found in list_items([video(0.5)], FORM, hop=100)] == [0, 1]


def test_a_last_clip_may_lack_half_a_frame() -> None:
    assert len(list_items([video(2 - 0.06)], FORM)[0]) == 2
    assert len(list_items([video(2 - 0.07)], FORM)[0]) == 1


def test_every_listed_clip_can_be_read(dataset: ClipDataset) -> None:
    firsts = [numbers(dataset[index].clip)[0] for index in range(len(dataset))]
    assert firsts == [0, 8, 16, 24, 32, 0, 8, 16]


def test_a_video_shorter_than_a_clip_is_listed_with_both_lengths() -> None:
    items, skipped = list_items([video(0.5), video(1)], FORM)
    assert len(items) == 1
    assert [skip.reason for skip in skipped] == ["lasts 0.50 s, a clip 1.00 s"]


def test_an_image_is_one_clip_of_one_frame(still: ClipDataset) -> None:
    assert len(still) == 1
    assert still[0].clip.shape == (3, 1, 32, 32)


# Reading


def test_a_number_gives_the_items_own_clip(dataset: ClipDataset) -> None:
    sample = dataset[2]
    assert (numbers(sample.clip), sample.index, sample.skipped) == ([*range(16, 24)], 2, ())


def test_a_number_gives_the_centre_of_an_image(still: ClipDataset) -> None:
    assert torch.equal(still[0].clip, still.read(still.items[0]))


def test_the_same_draw_gives_the_same_clip(dataset: ClipDataset) -> None:
    assert torch.equal(dataset[SampleIndex(1, 5)].clip, dataset[SampleIndex(1, 5)].clip)


def test_other_draws_give_other_moments_within_one_clip_length(dataset: ClipDataset) -> None:
    firsts = {numbers(dataset[SampleIndex(2, seed)].clip)[0] for seed in range(20)}
    assert len(firsts) > 4
    assert min(firsts) >= 8
    assert max(firsts) <= 24


def test_a_moment_never_lies_outside_the_video(dataset: ClipDataset) -> None:
    for index in (0, 4):
        for seed in range(10):
            assert dataset[SampleIndex(index, seed)].skipped == ()


def test_other_draws_give_other_crops(still: ClipDataset) -> None:
    assert len({still[SampleIndex(0, seed)].clip.numpy().tobytes() for seed in range(6)}) > 1


def test_an_unreadable_item_is_replaced_by_the_next_and_reported(dataset: ClipDataset, tmp_path: Path) -> None:
    gone = Item(Source("gone.mp4", tmp_path / "gone.mp4", "video", seconds=9), 0.0)
    sample = ClipDataset([dataset.items[0], gone, dataset.items[3]], FORM)[1]
    assert (numbers(sample.clip)[0], sample.index) == (24, 2)
    assert [skip.file for skip in sample.skipped] == ["gone.mp4"]
    assert "does not exist" in sample.skipped[0].reason


def test_the_item_after_the_last_is_the_first(dataset: ClipDataset, tmp_path: Path) -> None:
    gone = Item(Source("gone.mp4", tmp_path / "gone.mp4", "video", seconds=9), 0.0)
    assert ClipDataset([dataset.items[0], gone], FORM)[1].index == 0


def test_too_many_unreadable_items_stop_the_run(tmp_path: Path) -> None:
    gone = [Item(Source(f"{i}.mp4", tmp_path / f"{i}.mp4", "video", seconds=9), 0.0) for i in range(3)]
    with pytest.raises(MediaError, match=r"3 files in a row cannot be read; the last: .*does not exist"):
        ClipDataset(gone, FORM)[0]


def test_a_data_set_can_be_gone_through(dataset: ClipDataset) -> None:
    assert [sample.index for sample in dataset] == list(range(8))


# Loading


def test_a_batch_stacks_clips_and_joins_what_was_skipped(dataset: ClipDataset, tmp_path: Path) -> None:
    gone = Item(Source("gone.mp4", tmp_path / "gone.mp4", "video", seconds=9), 0.0)
    broken = ClipDataset([gone, dataset.items[3]], FORM)
    batch = collate([broken[1], broken[0]])
    assert batch.clips.shape == (2, 3, 8, 32, 32)
    assert batch.indices == (1, 1)
    assert [skip.file for skip in batch.skipped] == ["gone.mp4"]


def test_batches_come_in_the_order_of_the_draws(dataset: ClipDataset) -> None:
    order = DataOrder(len(dataset), batch=2, seed=1, first_step=0, last_step=3)
    batches = list(training_loader(dataset, order, workers=0))
    assert [batch.indices for batch in batches] == [tuple(draw.index for draw in draws) for draws in order]
    for batch, draws in zip(batches, order, strict=True):
        assert torch.equal(batch.clips, torch.stack([dataset[draw].clip for draw in draws]))


def test_clips_of_videos_travel_as_bytes_with_the_same_values(dataset: ClipDataset) -> None:
    (batch,) = training_loader(dataset, DataOrder(len(dataset), batch=2, seed=1, first_step=0, last_step=1), workers=0)
    assert batch.levels.dtype == torch.uint8
    assert torch.equal(batch.clips, batch.levels.float() / 127.5 - 1)


def test_what_is_read_of_a_video_is_its_clip(dataset: ClipDataset) -> None:
    item = dataset.items[1]
    info = probe_video(item.source.path)
    assert torch.equal(dataset.read(item), read_clip(info, item.start, FORM.frames, FORM.fps, FORM.size))


def test_stills_travel_unrounded(still: ClipDataset) -> None:
    assert collate([still[0]]).levels.dtype == torch.float32
    assert torch.equal(collate([still[0]]).clips[0], still[0].clip)


def test_a_batch_of_bytes_and_others_is_one_of_clips(still: ClipDataset) -> None:
    bright = torch.full((3, 1, 32, 32), 255, dtype=torch.uint8)
    levels = stack_levels([bright, still[0].levels])
    assert torch.equal(levels, torch.stack([torch.ones(3, 1, 32, 32), still[0].clip]))


# Python 3.12 warns of the decoders' threads when it forks the workers.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_give_the_same_batches(dataset: ClipDataset) -> None:
    order = DataOrder(len(dataset), batch=2, seed=1, first_step=0, last_step=4)
    alone, helped = (list(training_loader(dataset, order, workers)) for workers in (0, 2))
    assert [batch.indices for batch in alone] == [batch.indices for batch in helped]
    assert all(torch.equal(one.clips, two.clips) for one, two in zip(alone, helped, strict=True))


def test_loading_leaves_the_global_random_state_alone(still: ClipDataset) -> None:
    before = torch.get_rng_state()
    list(training_loader(still, DataOrder(1, batch=1, seed=0, first_step=0, last_step=2), workers=0))
    assert torch.equal(torch.get_rng_state(), before)
