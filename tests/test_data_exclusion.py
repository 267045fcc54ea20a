"""What is tagged is left out of training, encoding and subsets: counted, listed, and part of what a run was given."""

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import SHORT, make_images, make_store, make_videos

from data.clip_format import ClipFormat
from data.clips import _jitter
from data.errors import MediaError, TokenStoreError
from data.exclusion import Clip, Exclusion, Tagged, leave_out, read_exclusion
from data.items import Item, find_items, list_items, split_items
from data.options import ExclusionOptions, SubsetOptions
from data.sources import Source
from data.subset import make_subset
from data.tags import TagError
from data.tokens import TokenItem, TokenStore, write_shard, write_store
from storage.run_folder import RunFolderError
from vqgan.encode import encode
from vqgan.options import EncodeOptions, TrainOptions
from vqgan.train import train

FORM = ClipFormat(frames=8, fps=8.0, size=16)
"""Clips of a second."""


def tags(folder: Path, *rows: str, name: str = "tags.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(("source,start,seconds,tag", *rows)))
    return path


def read(path: Path, *names: str) -> Exclusion:
    options = ExclusionOptions(path, names) if names else ExclusionOptions(path)
    return read_exclusion(options, FORM.frames, FORM.fps)


def of_stretch(start: float, seconds: float = 1.0) -> Exclusion:
    return Exclusion("tags.csv", ("exclude",), (Tagged("film.mp4", start, seconds),), 1 / FORM.fps)


def skipped(folder: Path) -> list[tuple[str, str]]:
    with (folder / "skipped.csv").open(newline="") as file:
        return [(row["file"], row["reason"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"), count=3, frames=16)


@pytest.mark.parametrize(
    ("start", "seconds", "is_left_out"),
    [
        (4.0, 1.0, True),
        (3.0, 1.0, False),
        (5.0, 1.0, False),
        (3.5, 1.0, True),
        (4.5, 1.0, True),
        (3.06, 1.0, False),  # half a frame is rounding
        (3.125, 1.0, True),
        (0.0, 9.0, True),
        (4.5, 0.125, True),
        (5.0, 0.125, False),
    ],
)
def test_a_tag_is_one_on_the_stretch_and_all_that_share_a_part_of_it(
    start: float, seconds: float, is_left_out: bool
) -> None:
    assert of_stretch(4.0).covers(Clip("film.mp4", start, seconds)) is is_left_out
    assert not of_stretch(4.0).covers(Clip("other.mp4", start, seconds))


def test_a_short_stretch_counts_however_long_frames_are() -> None:
    assert of_stretch(4.0, 0.04).covers(Clip("film.mp4", 4.0, 1.0))


stretches = st.lists(st.tuples(st.floats(0, 9), st.floats(0.01, 3)), min_size=1, max_size=4)


@given(stretches, st.integers(0, 10**6))
def test_no_clip_that_training_draws_shares_a_part_of_a_tagged_stretch(
    found: list[tuple[float, float]], seed: int
) -> None:
    source = Source("film.mp4", Path("film.mp4"), "video", seconds=10.0)
    tagged = tuple(Tagged("film.mp4", start, seconds) for start, seconds in found)
    exclusion = Exclusion("tags.csv", ("exclude",), tagged, 1 / FORM.fps)
    items = [item for item in list_items([source], FORM)[0] if not exclusion.covers(Clip("film.mp4", item.start, 1.0))]
    for item in items:
        drawn = _jitter(item._replace(source=exclusion.narrow(source)), FORM, seed)
        assert not exclusion.covers(Clip("film.mp4", drawn, FORM.seconds))


def test_drawn_clips_still_reach_as_far_as_they_may() -> None:
    source = of_stretch(4.0).narrow(Source("film.mp4", Path("film.mp4"), "video", seconds=10.0))
    drawn = {_jitter(Item(source, 5.0, 1.0), FORM, seed) for seed in range(300)}
    assert (min(drawn), max(drawn)) == (5.0, 6.0 - 1 / FORM.fps)


def test_a_row_without_a_length_stands_for_a_clip_and_that_is_said(tmp_path: Path) -> None:
    exclusion = read(tags(tmp_path, "a.mp4,4,,exclude"))
    assert exclusion.tagged == (Tagged("a.mp4", 4.0, 1.0),)
    assert exclusion.notes == ("1 row without a length, taken as that of a clip, 1 s",)


def test_only_the_tags_asked_for_are_left_out(tmp_path: Path) -> None:
    path = tags(tmp_path, "a.mp4,4,1,exclude", "b.mp4,0,1,blurred", "c.mp4,,,keep")
    assert [one.source for one in read(path).tagged] == ["a.mp4"]
    assert [one.source for one in read(path, "Blurred", "exclude").tagged] == ["a.mp4", "b.mp4"]


def test_a_tag_that_is_nowhere_in_the_table_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TagError, match=r"no tag 'exclude'; there are exlude, keep; did you mean exlude\?"):
        read(tags(tmp_path, "a.mp4,4,1,exlude", "b.mp4,,,keep"))


def test_tags_without_a_table_are_refused() -> None:
    with pytest.raises(ValueError, match="--exclude-tag blurred needs --exclude"):
        ExclusionOptions(exclude_tag=("blurred",))


def test_the_split_is_that_of_all_the_data(tmp_path: Path) -> None:
    sources = [Source(f"{number}.mp4", Path(f"{number}.mp4"), "video", seconds=2.0) for number in range(30)]
    training, validation = split_items(list_items(sources, FORM)[0])
    gone = validation[0].source.name
    kept = leave_out(read(tags(tmp_path, f"{gone},,,exclude")), training, validation)
    assert [(item.source.name, item.start) for item in kept.training] == [
        (item.source.name, item.start) for item in training
    ]
    assert kept.validation == [item for item in validation if item.source.name != gone]


@pytest.mark.parametrize("side", ["training", "validation"])
def test_a_split_of_which_nothing_is_left_is_refused(side: str, videos: Path, tmp_path: Path) -> None:
    splits = dict(zip(("training", "validation"), split_items(find_items(videos, FORM)[0]), strict=True))
    rows = [f"{item.source.name},,,exclude" for item in splits[side]]
    with pytest.raises(MediaError, match=rf"tags\.csv leaves nothing for {side}"):
        leave_out(read(tags(tmp_path, *rows)), splits["training"], splits["validation"])


def test_a_table_of_other_data_is_refused(videos: Path, tmp_path: Path) -> None:
    exclusion = read(tags(tmp_path, "cat.mp4,,,exclude", "dog.mp4,,,exclude"))
    with pytest.raises(TagError, match=r"tags 2 files, such as cat\.mp4, and none of the data, such as film_0\.mp4"):
        leave_out(exclusion, *split_items(find_items(videos, FORM)[0]))


def test_names_that_are_unknown_are_counted_said_and_listed(videos: Path, tmp_path: Path) -> None:
    exclusion = read(tags(tmp_path, "film_0.mp4,0,1,exclude", "cat.mp4,,,exclude", "film_1.mp4,77,1,exclude"))
    kept = leave_out(exclusion, *split_items(find_items(videos, FORM)[0]))
    assert kept.words["excluded"] == "1 of 6 items, tagged exclude in tags.csv (see skipped.csv)"
    assert kept.words["beware"] == "2 tags of tags.csv left nothing out: cat.mp4, film_1.mp4 (see skipped.csv)"
    assert [(skip.file, skip.reason) for skip in kept.skipped] == [
        ("film_0.mp4", "excluded by tags.csv (the clip at 0 s)"),
        ("cat.mp4", "tagged in tags.csv, and not in the data"),
        ("film_1.mp4", "tagged in tags.csv (at 77 s), where no clip is"),
    ]


def encoding(tokenizer: Path, data: Path, out: Path, exclude: Path | None = None, **changes: Any) -> EncodeOptions:
    return EncodeOptions(tokenizer, data, out, exclusion=ExclusionOptions(exclude), workers=0, **changes)


def test_an_encoding_lacks_what_is_tagged_with_all_its_crops(videos: Path, tokenizer: Path, tmp_path: Path) -> None:
    every: dict[str, Any] = {"overlap": 2, "augment": "flip"}
    whole = TokenStore(encode(encoding(tokenizer, videos, tmp_path / "whole", **every)))
    source = whole.items[whole.split("train")[0]].source
    path = tags(tmp_path, f"{source},1,1,exclude")
    part = TokenStore(encode(encoding(tokenizer, videos, tmp_path / "part", path, **every)))
    expected = [item for item in whole.items if item.source != source or item.start + 1.0 <= 1.0]
    assert part.items == expected
    assert len(whole) - len(part) == 2 * 2
    assert (part.read(range(len(part))) == whole.read([whole.items.index(item) for item in expected])).all()
    assert skipped(part.folder) == [(source, f"excluded by tags.csv (the clip at {start} s)") for start in ("0.5", "1")]


def test_images_are_left_out_by_their_names(tokenizer: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", count=4)
    whole = TokenStore(encode(encoding(tokenizer, images, tmp_path / "whole")))
    gone = whole.items[whole.split("train")[0]].source
    part = TokenStore(encode(encoding(tokenizer, images, tmp_path / "part", tags(tmp_path, f"{gone},,,exclude"))))
    assert part.items == [item for item in whole.items if item.source != gone]
    assert skipped(part.folder) == [(gone, "excluded by tags.csv")]


def test_an_encoding_goes_on_with_the_same_tags_alone(videos: Path, tokenizer: Path, tmp_path: Path) -> None:
    path = tags(tmp_path, "film_0.mp4,0,1,exclude")
    encode(encoding(tokenizer, videos, tmp_path / "out", path))
    items = (tmp_path / "out" / "items.jsonl").read_bytes()
    moved = tags(tmp_path, "film_0.mp4,0,1,exclude", "film_1.mp4,0,1,keep", name="moved.csv")
    encode(encoding(tokenizer, videos, tmp_path / "out", moved, resume="auto"))
    assert (tmp_path / "out" / "items.jsonl").read_bytes() == items
    for other in (None, tags(tmp_path, "film_0.mp4,1,1,exclude", name="other.csv")):
        with pytest.raises(RunFolderError, match="--exclude leaves out other clips than before"):
            encode(encoding(tokenizer, videos, tmp_path / "out", other, resume="auto"))


def training(videos: Path, out: Path, exclude: Path | None, **changes: Any) -> TrainOptions:
    chosen = {"steps": 2, "batch": 2, "continuous_steps": 1, "warmup": 1, "save_every": 2, "log_every": 1}
    return TrainOptions.of(data=videos, out=out, exclude=exclude, **{**SHORT.flat(), **chosen, **changes})


def test_a_tokenizer_learns_from_the_rest_and_goes_on_with_the_same_tags_alone(videos: Path, tmp_path: Path) -> None:
    training_items, _ = split_items(find_items(videos, FORM)[0])
    source = training_items[0].source.name
    path = tags(tmp_path, f"{source},0,1,exclude")
    train(training(videos, tmp_path / "run", path))
    assert skipped(tmp_path / "run") == [(source, "excluded by tags.csv (the clip at 0 s)")]
    moved = tags(tmp_path, f"{source},0,1,exclude", name="moved.csv")
    train(training(videos, tmp_path / "run", moved, resume="auto"))
    for other in (None, tags(tmp_path, f"{source},0,0.5,exclude", name="other.csv")):
        with pytest.raises(RunFolderError, match="--exclude leaves out other clips than before"):
            train(training(videos, tmp_path / "run", other, steps=3, resume="auto"))


def make_film_store(folder: Path) -> Path:
    """Ten clips of a second, every half second of two films, of which the second is held out."""
    store = TokenStore(make_store(folder))
    places = [(film, index / 2) for film in ("a.mp4", "b.mp4") for index in range(6)]
    items = [TokenItem(film, start, "train" if film == "a.mp4" else "validation") for film, start in places]
    grids = store.read(range(12)).view(12, 2, 4, 4)
    write_store(folder, store.metadata, [write_shard(folder, 0, store.metadata, grids)], items)
    return folder


def test_a_subset_lacks_what_is_tagged_of_both_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make_film_store(tmp_path / "store")
    path = tags(tmp_path, "a.mp4,1,1,exclude", "b.mp4,0,1,exclude")
    out = make_subset(SubsetOptions(store, tmp_path / "out", exclusion=ExclusionOptions(path)))
    left = [(item.source, item.start) for item in TokenStore(out).items]
    assert left == [
        ("a.mp4", 0.0),
        ("a.mp4", 2.0),
        ("a.mp4", 2.5),
        *(("b.mp4", start) for start in (1.0, 1.5, 2.0, 2.5)),
    ]
    assert "excluded     5 of 12 items, tagged exclude in tags.csv (see skipped.csv)\n" in capsys.readouterr().err
    assert len(skipped(out)) == 5


def test_a_number_of_items_is_taken_of_what_is_left(tmp_path: Path) -> None:
    store = make_film_store(tmp_path / "store")
    exclusion = ExclusionOptions(tags(tmp_path, "a.mp4,1,1,exclude"))
    out = TokenStore(make_subset(SubsetOptions(store, tmp_path / "out", 2, exclusion)))
    assert {out.items[index].start for index in out.split("train")} < {0.0, 2.0, 2.5}
    with pytest.raises(TokenStoreError, match="has 3 training items: ask for 1 to 3, not 4"):
        make_subset(SubsetOptions(store, tmp_path / "more", 4, exclusion))


@pytest.mark.parametrize(("film", "split"), [("a.mp4", "train"), ("b.mp4", "validation")])
def test_a_subset_without_a_split_is_refused(film: str, split: str, tmp_path: Path) -> None:
    store = make_film_store(tmp_path / "store")
    exclusion = ExclusionOptions(tags(tmp_path, f"{film},,,exclude"))
    with pytest.raises(TokenStoreError, match=f"tags.csv leaves nothing for {split}"):
        make_subset(SubsetOptions(store, tmp_path / "out", exclusion=exclusion))


def test_a_subset_of_everything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give --items, or --exclude, or both"):
        SubsetOptions(tmp_path, tmp_path / "out")
