"""A CSV of stretches is a data set: only they are used, and what is wrong with it is said with the line."""

from pathlib import Path

import pytest
from media import make_video
from media_kinds import joined_streams
from PIL import Image

from data.clip_format import ClipFormat
from data.errors import MediaError
from data.items import find_items, split_items
from data.media import catalogue

FORM = ClipFormat(frames=8, fps=8, size=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 5 s and an image."""
    path = tmp_path_factory.mktemp("listed")
    make_video(path / "a.mp4", count=40)
    make_video(path / "b.mp4", count=40)
    Image.new("RGB", (8, 8)).save(path / "c.png")
    return path


def write(folder: Path, text: str) -> Path:
    path = folder / "clips.csv"
    path.write_text(text, encoding="utf-8")
    return path


def starts(path: Path) -> list[tuple[str, float]]:
    return [(item.source.name, item.start) for item in find_items(path, FORM)[0]]


def test_clips_lie_in_the_stretches(folder: Path) -> None:
    path = write(folder, "path,start,end\na.mp4,1,3.2\na.mp4,4,\nb.mp4,,2\n")
    assert starts(path) == [("a.mp4", 1), ("a.mp4", 2), ("a.mp4", 4), ("b.mp4", 0), ("b.mp4", 1)]


def test_a_clip_begins_at_the_next_frame_of_the_grid(folder: Path) -> None:
    assert starts(write(folder, "path,start,end\na.mp4,1.3,3\nb.mp4,0,5\n"))[0] == ("a.mp4", 1.375)


def test_a_file_without_times_is_used_whole(folder: Path) -> None:
    found = catalogue(write(folder, "path\na.mp4\nc.png\n"))
    assert [(source.name, source.kind, source.windows) for source in found.sources] == [
        ("a.mp4", "video", ()),
        ("c.png", "image", ()),
    ]


def test_a_column_says_what_the_split_keeps_together(folder: Path) -> None:
    path = write(folder, "path,start,end,group,session\na.mp4,0,2,x,1\nb.mp4,0,2,x,2\na.mp4,2,5,y,3\n")
    assert {source.group for source in catalogue(path).sources} == {"x", "y"}
    assert {source.group for source in catalogue(path, group_by="session").sources} == {"1", "2", "3"}
    training, validation = split_items(find_items(path, FORM)[0])
    assert {item.source.group for item in training}.isdisjoint(item.source.group for item in validation)


def test_a_missing_file_is_listed_with_its_line(folder: Path) -> None:
    found = catalogue(write(folder, "path,start,end\na.mp4,0,2\ngone.mp4,0,2\nb.mp4,0,2\n"))
    assert [(skip.file, skip.reason) for skip in found.skipped] == [("gone.mp4", "does not exist (line 3 of the list)")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,start,end\na.mp4,3,1\n", r"line 2: the stretch from 3 s to 1 s is reversed or empty"),
        ("path,start,end\na.mp4,0,2\nb.mp4,0,1\na.mp4,1,3\n", r"lines 2 and 4: stretches of a.mp4 overlap"),
        ("path,start,end,group\na.mp4,0,2,x\na.mp4,1,3,y\n", r"lines 2 and 3: stretches of a.mp4 overlap"),
        ("path,start,end\na.mp4,soon,2\n", r"line 2: start 'soon' is no number of seconds"),
        ("path,start,end\na.mp4,-1,2\n", r"start '-1' is no number of seconds"),
        ("path,start,end\na.mp4,1,nan\n", r"end 'nan' is no number of seconds"),
        ("path,start,end\na.mp4,1\n", r"line 2: 2 cells, but 3 columns"),
        ("path,start,end,group\na.mp4,1,2,\n", r"line 2: the column group is empty"),
        ("path,start,end\n,1,2\n", r"line 2: the path is missing"),
        ("file,start,end\na.mp4,1,2\n", r"has no column `path`"),
        ("path,start,end\n", r"lists no clip"),
        ("path,start,start\na.mp4,1,2\n", r"has two columns start"),
        ("path,start,end\na.mp4,0,2\n./a.mp4,1,3\n", r"lines 2 and 3: stretches of a.mp4 overlap"),
    ],
)
def test_a_mistake_is_named_with_its_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        catalogue(write(folder, text))


def test_a_second_name_of_a_file_is_no_second_file(folder: Path) -> None:
    (folder / "link.mp4").unlink(missing_ok=True)
    (folder / "link.mp4").symlink_to(folder / "a.mp4")
    with pytest.raises(MediaError, match=r"stretches of a\.mp4 and link\.mp4, the same file, overlap"):
        catalogue(write(folder, "path,start,end\na.mp4,0,2\nlink.mp4,1,3\n"))


def test_a_file_in_the_folder_has_one_name_however_its_path_is_written(folder: Path) -> None:
    path = write(folder, f"path,start,end\n./a.mp4,0,1\n{folder}/a.mp4,2,3\nx/../b.mp4,0,1\n")
    (folder / "x").mkdir(exist_ok=True)
    assert [(source.name, len(source.windows)) for source in catalogue(path).sources] == [("a.mp4", 2), ("b.mp4", 1)]


def test_a_file_elsewhere_is_called_as_it_is_written(folder: Path) -> None:
    (folder / "lists").mkdir(exist_ok=True)
    path = write(folder / "lists", "path,start,end\n../a.mp4,0,1\n")
    assert [source.name for source in catalogue(path).sources] == ["../a.mp4"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("c.png,1,2", "is an image, which has neither start nor end (line 3 of the list)"),
        ("gone.mp4,,", "does not exist (line 3 of the list)"),
        ("lists,,", "is no file (line 3 of the list)"),
        ("d.tar,,", "is no video or image (line 3 of the list): give shards themselves as the data"),
    ],
)
def test_a_line_that_cannot_be_used_is_listed(folder: Path, row: str, reason: str) -> None:
    (folder / "lists").mkdir(exist_ok=True)
    (folder / "d.tar").write_bytes(b"")
    skipped = catalogue(write(folder, f"path,start,end\na.mp4,0,2\n{row}\n")).skipped
    assert [skip.reason for skip in skipped] == [reason]


def test_a_list_that_is_no_text_is_refused(folder: Path) -> None:
    path = folder / "utf16.csv"
    path.write_text("path,start,end\na.mp4,0,2\n", encoding="utf-16")
    with pytest.raises(MediaError, match="cannot be read as a CSV in UTF-8"):
        catalogue(path)


def test_stretches_of_a_joined_recording_are_refused_and_the_whole_is_read(folder: Path) -> None:
    joined_streams(folder / "joined.ts")
    whole = catalogue(write(folder, "path,start,end,group\njoined.ts,,,x\n"))
    assert [(source.name, source.group) for source in whole.sources] == [("joined.ts", "x"), ("joined.ts@2", "x")]
    part = catalogue(write(folder, "path,start,end\njoined.ts,0,1\na.mp4,0,1\n"))
    assert [source.name for source in part.sources] == ["a.mp4"]
    assert "is 2 recordings in one" in part.skipped[0].reason


def test_a_stretch_behind_the_end_is_listed(folder: Path) -> None:
    found = catalogue(write(folder, "path,start,end\na.mp4,0,2\na.mp4,7,9\nb.mp4,3,60\n"))
    assert [source.windows[0].end for source in found.sources] == [2, 5]
    assert [(skip.file, skip.is_media) for skip in found.skipped] == [("a.mp4", True), ("b.mp4", False)]
    assert "lasts 5.00 s, but a stretch is wanted from 7 s on" in found.skipped[0].reason
    assert "the stretch up to 60 s ends there" in found.skipped[1].reason
