"""Groups are never divided between training and validation, and one long video is divided by time."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from media import grey, make_video

from data.clip_format import ClipFormat
from data.clips import ClipDataset, _jitter
from data.errors import MediaError
from data.items import Item, describe_items, find_items, list_items, split_items
from data.sources import Source, Stretch
from data.split import group_sources, halve_one_video, split_sources
from data.video import TIME_SLACK

CLIPS = ClipFormat(frames=16, fps=8, size=16)
STILLS = ClipFormat(frames=1, fps=8, size=16)


def video(name: str, seconds: float = 60.0, gaps: tuple[Stretch, ...] = ()) -> Source:
    return Source(name, Path(name), "video", seconds=seconds, gaps=gaps)


def names(children: int, sessions: int) -> list[Source]:
    return [video(f"child{c:02d}/session{s}.mp4") for c in range(children) for s in range(sessions)]


# Groups


@given(children=st.integers(2, 30), sessions=st.integers(1, 5))
def test_a_group_is_never_divided(children: int, sessions: int) -> None:
    training, validation = split_sources(group_sources(names(children, sessions), "^([^/]+)/"), 0.1)
    groups = [{source.name.split("/")[0] for source in side} for side in (training, validation)]
    assert groups[0].isdisjoint(groups[1])
    assert len(training) + len(validation) == children * sessions
    assert len(groups[1]) == max(1, round(0.1 * children))


def test_a_pattern_without_a_group_takes_what_it_matches() -> None:
    assert {source.group for source in group_sources(names(2, 2), r"session\d")} == {"session0", "session1"}


def test_without_a_pattern_each_file_is_on_its_own() -> None:
    sources = tuple(names(3, 3))
    assert group_sources(sources, None) == group_sources(sources, "") == sources


def test_names_that_do_not_match_are_counted_and_named() -> None:
    sources = [*names(1, 2), video("loose.mp4")]
    with pytest.raises(MediaError, match=r"does not match 1 of 3 names, such as loose\.mp4"):
        group_sources(sources, "child(..)")


def test_a_pattern_that_matches_nothing_of_a_name_is_refused_too() -> None:
    with pytest.raises(MediaError, match="does not match 2 of 2 names"):
        group_sources(names(1, 2), "(camera.)?")


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(MediaError, match="is no regular expression"):
        group_sources(names(1, 1), "(")


def test_one_group_leaves_nothing_for_validation() -> None:
    sources = group_sources([video("a.mp4"), Source("b.png", Path("b.png"), "image")], r"(\.)")
    with pytest.raises(MediaError, match=r"all 2 sources are in the group '\.'.* at least two groups"):
        split_items([Item(source, 0.0) for source in sources])


@pytest.mark.parametrize(("count", "message"), [(5, "all 5 sources are"), (1, "the only source is")])
def test_videos_of_one_group_are_not_cut_by_time(count: int, message: str) -> None:
    sources = group_sources([video(f"ann/{number}.mp4") for number in range(count)], "^([^/]+)/")
    with pytest.raises(MediaError, match=f"{message} in the group 'ann'.*, or another --group-by"):
        split_items(list_items(sources, CLIPS)[0])


def test_a_split_that_is_settled_is_kept() -> None:
    splits = ("train", "validation", "")
    sources = [replace(video(f"{number}.mp4"), split=split) for number, split in enumerate(splits)]
    training, validation = split_sources(sources, 0.1)
    assert [source.name for source in training] == ["0.mp4", "2.mp4"]
    assert [source.name for source in validation] == ["1.mp4"]


# One long video


@pytest.mark.parametrize("form", [CLIPS, STILLS, ClipFormat(4, 2, 16)])
def test_one_long_video_is_cut_by_time_with_a_margin(form: ClipFormat) -> None:
    items, _ = list_items([video("long.mp4", 600)], form)
    training, validation = split_items(items)
    assert max(item.start + form.seconds for item in training) <= 530
    assert min(item.start for item in validation) >= 540
    assert len(validation) == pytest.approx(len(items) / 10, abs=2)


def test_the_cut_does_not_depend_on_the_clips() -> None:
    splits = [split_items(list_items([video("long.mp4", 600)], form)[0]) for form in (CLIPS, STILLS)]
    windows = {side[0].source.windows for split in splits for side in split}
    assert windows == {(Stretch(0, 530),), (Stretch(540, 600),)}


def test_time_without_frames_does_not_count() -> None:
    halves = halve_one_video([video("gap.mp4", 1100, gaps=(Stretch(50, 1050),))])
    assert [(half.split, half.windows) for half in halves] == [
        ("train", (Stretch(0, 1085),)),
        ("validation", (Stretch(1090, 1100),)),
    ]


def test_a_joined_recording_is_cut_by_time_too() -> None:
    parts = [Source(f"a.ts@{n}", Path("a.ts"), "video", offset=n, size=9, seconds=100, group="a.ts") for n in (1, 2)]
    training, validation = split_items(list_items(parts, CLIPS)[0])
    assert {item.source.name for item in training} == {"a.ts@1", "a.ts@2"}
    assert {(item.source.name, item.source.windows) for item in validation} == {("a.ts@2", (Stretch(80, 100),))}


def test_random_clips_stay_on_their_side(tmp_path: Path) -> None:
    make_video(tmp_path / "long.mp4", count=400, gop=40, image=lambda number: grey(number % 50))
    form = ClipFormat(frames=8, fps=8, size=16)
    items, _ = find_items(tmp_path, form)
    for side in split_items(items):
        dataset = ClipDataset(side, form)
        for index in range(len(side)):
            for seed in range(5):
                start = _jitter(side[index], form, seed)
                (window,) = side[index].source.windows
                assert window.start <= start + TIME_SLACK
                assert start + form.seconds <= window.end + 0.5 / form.fps + TIME_SLACK
                assert start * form.fps == pytest.approx(round(start * form.fps))
        assert dataset[0].skipped == ()


def test_random_clips_of_a_video_with_as_many_frames_show_the_frame_at_the_moment_drawn() -> None:
    """The same draws as before clips began between two frames."""
    item = Item(video("a.mp4"), 20.0)
    for seed in range(50):
        shift = (2 * torch.rand((), generator=torch.Generator().manual_seed(seed)).item() - 1) * CLIPS.seconds
        assert _jitter(item, CLIPS, seed) == math.floor((20.0 + shift + TIME_SLACK) * 8) / 8


def test_too_short_a_video_says_what_is_missing() -> None:
    items, _ = list_items([video("short.mp4", 12)], CLIPS)
    with pytest.raises(
        MediaError, match=r"short.mp4 is the only video, and its last tenth, 1\.20 s .* clip of 2\.00 s"
    ):
        split_items(items)


def test_clips_too_far_apart_to_meet_the_last_tenth_are_told_as_such() -> None:
    items, _ = list_items([video("film.mp4", 300)], CLIPS, hop=60)
    with pytest.raises(
        MediaError, match=r"30\.00 s for validation, holds no whole clip of 2\.00 s, for they begin too far"
    ):
        split_items(items)


def test_the_parts_of_one_long_video_are_described_by_where_they_lie() -> None:
    training, validation = split_items(list_items([video("long.mp4", 600)], CLIPS)[0])
    assert describe_items(training) == "1 video, 265 clips, from 0.00 to 530.00 s"
    assert describe_items(validation) == "1 video, 30 clips, from 540.00 to 600.00 s"


# Stretches


def test_a_gap_longer_than_a_clip_divides_a_video() -> None:
    source = video("a.mp4", 30, gaps=(Stretch(4.1, 5.1), Stretch(10.05, 14.03)))
    starts = [item.start for item in list_items([source], CLIPS)[0]]
    assert starts == [0, 2, 4, 6, 8, 14.125, 16.125, 18.125, 20.125, 22.125, 24.125, 26.125]


def test_a_source_without_room_for_a_clip_is_listed_with_its_longest_stretch() -> None:
    source = video("a.mp4", 30, gaps=(Stretch(1.5, 28.7),))
    items, skipped = list_items([source], CLIPS)
    assert (items, [skip.reason for skip in skipped]) == (
        [],
        ["has no stretch of 2.00 s, a clip's length; the longest lasts 1.50 s"],
    )


def single_files(count: int) -> list[Source]:
    return [Source(f"{number:02d}.mp4", Path(f"{number:02d}.mp4"), "video") for number in range(count)]


@given(count=st.integers(2, 60), fraction=st.floats(0, 1))
def test_a_split_shares_no_source_and_leaves_none_out(count: int, fraction: float) -> None:
    training, validation = split_sources(single_files(count), fraction)
    assert training
    assert validation
    assert sorted(training + validation, key=lambda source: source.name) == sorted(
        single_files(count), key=lambda source: source.name
    )


@settings(max_examples=30)
@given(order=st.permutations(range(12)))
def test_a_split_does_not_depend_on_the_order_of_the_sources(order: list[int]) -> None:
    every = single_files(12)
    assert split_sources([every[place] for place in order], 0.3) == split_sources(every, 0.3)


def test_a_split_holds_out_the_fraction_asked_for() -> None:
    assert [len(part) for part in split_sources(single_files(40), 0.1)] == [36, 4]


def test_a_split_picks_other_places_than_the_first_names() -> None:
    held_out = [int(source.path.stem) for source in split_sources(single_files(40), 0.5)[1]]
    assert any(after - before > 1 for before, after in itertools.pairwise(held_out))


@pytest.mark.parametrize("count", [0, 1])
def test_one_source_cannot_be_split(count: int) -> None:
    with pytest.raises(MediaError, match="at least two files"):
        split_sources(single_files(count), 0.1)
