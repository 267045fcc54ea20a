"""The command `data look`: pages of films with planted duplicates and defects, of pictures, and refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from looking import asked, number, page_data, rows
from PIL import Image
from tiny import FPS, make_images, make_videos
from torch import Tensor
from torch.nn.functional import interpolate

from data.errors import MediaError
from data.playroom.make import render_clip
from data.tags import TagError
from data.video_writing import write_video
from storage.lock import FolderLock, FolderLockError
from storage.run_folder import RunFolderError
from viewing.look.look import look
from viewing.look.material import LookError
from viewing.look.options import LookOptions

PLANTED = 5
SIZE = 48


def altered(clip: Tensor) -> Tensor:
    """The same film scaled and made brighter."""
    scaled = interpolate(clip.transpose(0, 1), (64, 64), mode="bilinear", antialias=True).transpose(0, 1)
    return (scaled * 0.9 + 0.1).clamp(-1, 1)


def plant(folder: Path) -> Path:
    """Films of rooms, copies of five that are encoded again, scaled and brighter, a black film, and a damaged one."""
    make_videos(folder, PLANTED + 2, 8, SIZE)
    for index in range(PLANTED):
        write_video(folder / f"copy_{index}.mp4", altered(render_clip(0, index, SIZE, 8, FPS)), FPS)
    write_video(folder / "night.mp4", torch.full((3, 8, SIZE, SIZE), -1.0), FPS)
    whole = (folder / "film_0.mp4").read_bytes()
    (folder / "damaged.mp4").write_bytes(whole[: len(whole) // 3])
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A page of planted films, and what it holds."""
    folder = tmp_path_factory.mktemp("look")
    look(asked(plant(folder / "films"), folder / "page"))
    return folder / "page", page_data(folder / "page")


def test_planted_duplicates_are_the_first_groups(page: tuple[Path, dict[str, Any]]) -> None:
    _, data = page
    found = {tuple(data["names"][index] for index in group["items"]) for group in data["duplicates"][:PLANTED]}
    assert found == {(f"copy_{index}.mp4", f"film_{index}.mp4") for index in range(PLANTED)}


def test_duplicates_across_the_split_come_first(page: tuple[Path, dict[str, Any]]) -> None:
    out, data = page
    leaks = [group["leak"] for group in data["duplicates"]]
    assert leaks == sorted(leaks, reverse=True)
    assert leaks[0]
    assert {row["split"] for row in rows(out / "duplicates.csv") if row["duplicate_group"] == "1"} == {
        "train",
        "validation",
    }


def test_a_planted_black_film_is_the_first_of_its_flag_and_the_darkest(page: tuple[Path, dict[str, Any]]) -> None:
    _, data = page
    dark = data["names"].index("night.mp4")
    flags = {flag["key"]: flag["items"] for flag in data["flags"]}
    assert flags["black"] == [dark]
    assert flags["frozen"] == [dark]
    assert int(np.argmin(np.array(number(data, "brightness"), float))) == dark


def test_a_damaged_film_is_skipped_listed_and_counted(page: tuple[Path, dict[str, Any]]) -> None:
    out, data = page
    assert [name for name, _ in data["skipped"]] == ["damaged.mp4"]
    assert [row["file"] for row in rows(out / "skipped.csv")] == ["damaged.mp4"]
    assert json.loads((out / "look.json").read_text())["skipped"] == 1


def test_the_table_has_a_row_for_each_item_as_the_page_has_it(page: tuple[Path, dict[str, Any]]) -> None:
    out, data = page
    table = rows(out / "items.csv")
    assert [row["source"] for row in table] == data["names"]
    assert [float(row["motion"]) for row in table] == number(data, "motion")
    assert [row["is_black"] for row in table].count("True") == 1


def test_films_hold_their_frames_side_by_side(page: tuple[Path, dict[str, Any]]) -> None:
    out, data = page
    index = data["names"].index("film_6.mp4")
    with Image.open(out / f"films/{index:06d}.jpg") as strip:
        assert strip.size == (8 * 32, 32)
        film = np.asarray(strip, np.float32)
    clip = interpolate(render_clip(0, 6, SIZE, 8, FPS).transpose(0, 1), (32, 32), mode="bilinear", antialias=True)
    wanted = ((clip + 1) * 127.5).permute(2, 0, 3, 1).reshape(32, 8 * 32, 3).numpy()
    assert np.abs(film - wanted).mean() < 0.5 * np.abs(film - np.flip(wanted)).mean()


def test_sheets_have_the_middle_frame_of_item_i_in_cell_i(page: tuple[Path, dict[str, Any]]) -> None:
    out, data = page
    assert data["sheets"] == ["sprites/00000.jpg"]
    with Image.open(out / "sprites/00000.jpg") as sheet:
        assert sheet.size == (16 * 32, 32)
        cells = np.asarray(sheet, np.float32)
    for index in range(data["count"]):
        with Image.open(out / f"films/{index:06d}.jpg") as strip:
            middle = np.asarray(strip, np.float32)[:, 4 * 32 : 5 * 32]
        assert np.abs(cells[:, index * 32 : (index + 1) * 32] - middle).mean() < 4


def test_the_same_command_gives_the_same_page(page: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, _ = page
    look(asked(out.parent / "films", tmp_path / "again", workers=1))
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.name != "config.json":
            assert (tmp_path / "again" / path.relative_to(out)).read_bytes() == path.read_bytes(), path.name


def test_nothing_of_the_page_names_this_machine(page: tuple[Path, dict[str, Any]]) -> None:
    out, _ = page
    for name in ("items.csv", "skipped.csv", "duplicates.csv", "look.json"):
        assert str(out.parent) not in (out / name).read_text()


# Folders


def test_a_page_is_replaced_only_when_asked_to(page: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    films = make_videos(tmp_path / "films", 2, 8, 16)
    out = tmp_path / "page"
    shutil.copytree(page[0], out)
    (out / "tags.csv").write_text("source,start,tag\n")
    with pytest.raises(RunFolderError, match="already holds a page: replace it with --overwrite"):
        look(asked(films, out))
    look(asked(films, out, overwrite=True))
    assert page_data(out)["count"] == 2
    assert len(list((out / "films").iterdir())) == 2
    assert (out / "tags.csv").exists()


def test_a_page_that_was_not_finished_is_made_anew(page: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "page"
    shutil.copytree(page[0], out)
    (out / "index.html").unlink()
    look(asked(make_videos(tmp_path / "films", 2, 8, 16), out))
    assert page_data(out)["count"] == 2


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    films = make_videos(tmp_path / "films", 2, 8, 16)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(RunFolderError, match=r"holds other files, such as thesis\.txt"):
            look(asked(films, tmp_path / "mine", overwrite=overwrite))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_page_may_not_lie_in_its_data(tmp_path: Path) -> None:
    films = make_videos(tmp_path / "films", 2, 8, 16)
    with pytest.raises(LookError, match="would be found as data"):
        look(asked(films, films / "page"))


def test_two_do_not_write_into_one_folder(tmp_path: Path) -> None:
    films = make_videos(tmp_path / "films", 1, 8, 16)
    with FolderLock(tmp_path / "page"), pytest.raises(FolderLockError, match="is being written into"):
        look(asked(films, tmp_path / "page"))


# Kinds of data


def test_images_are_stills_without_films(tmp_path: Path) -> None:
    look(asked(make_images(tmp_path / "images", 3), tmp_path / "page"))
    data = page_data(tmp_path / "page")
    assert (data["frames"], data["starts"]) == ([1, 1, 1], [None] * 3)
    assert number(data, "seconds") == [0.0] * 3
    assert not (tmp_path / "page" / "films").exists()


def test_images_beside_videos_are_shown_and_are_in_no_split(tmp_path: Path) -> None:
    make_images(make_videos(tmp_path / "both", 2, 8, 16), 1)
    look(asked(tmp_path / "both", tmp_path / "page"))
    data = page_data(tmp_path / "page")
    split = next(word for word in data["words"] if word["key"] == "split")
    assert dict(zip(data["names"], split["values"], strict=True))["image_0.png"] is None
    assert any("1 image beside the videos" in note for note in data["notes"])


def test_one_file_has_no_split_and_the_page_says_why(tmp_path: Path) -> None:
    films = make_videos(tmp_path / "films", 1, 8, 16)
    look(asked(films / "film_0.mp4", tmp_path / "page"))
    assert "no split into training and validation" in page_data(tmp_path / "page")["notes"][0]


def test_of_many_items_those_shown_are_counted(tmp_path: Path) -> None:
    look(asked(make_images(tmp_path / "images", 6), tmp_path / "page", items=4))
    data = page_data(tmp_path / "page")
    assert data["count"] == 4
    assert any("4 of 6 items are shown" in note for note in data["notes"])


def test_names_that_look_like_markup_stay_text(tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)>&\u202e.png"
    make_images(tmp_path / "images", 1)
    (tmp_path / "images" / "image_0.png").rename(tmp_path / "images" / name.replace("/", "\u2215"))
    look(asked(tmp_path / "images", tmp_path / "page"))
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert page_data(tmp_path / "page")["names"] == [name.replace("/", "\u2215")]


def test_nothing_to_look_at_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="holds no video"):
        look(asked(tmp_path / "empty", tmp_path / "page"))
    assert not (tmp_path / "page").exists()


def test_videos_without_room_for_a_clip_are_said(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"a clip 8\.00 s"):
        look(asked(make_videos(tmp_path / "films", 1, 8, 16), tmp_path / "page", frames=64))


def test_strips_longer_than_a_jpeg_are_refused() -> None:
    with pytest.raises(ValueError, match="--size of at most 65"):
        LookOptions(Path("films"), Path("page"), frames=1000, size=96)


# Tags


def test_tags_of_a_page_before_are_on_the_new_one(
    page: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = page[0].parent / "films"
    table = tmp_path / "tags.csv"
    table.write_text("source;start;seconds;tag\nfilm_1.mp4;0;1;Exclude\nfilm_2.mp4;;;odd\nnobody.mp4;0;;odd\n")
    look(asked(films, tmp_path / "page", tags=table))
    data = page_data(tmp_path / "page")
    assert [(data["names"][index], tag) for index, tag in data["tags"]["given"]] == [
        ("film_1.mp4", "exclude"),
        ("film_2.mp4", "odd"),
    ]
    assert data["tags"]["known"] == ["exclude", "keep", "odd"]
    assert any("1 tag of tags.csv found no item" in note and "nobody.mp4" in note for note in data["notes"])
    assert "nobody.mp4" in [row["file"] for row in rows(tmp_path / "page" / "skipped.csv")]
    assert "2 files or tags skipped (see skipped.csv)" in capsys.readouterr().out


def test_a_table_that_is_none_is_refused(page: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TagError, match=r"tags\.csv"):
        look(asked(page[0].parent / "films", tmp_path / "page", tags=tmp_path / "tags.csv"))


def test_how_a_table_was_read_is_said(page: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    table = tmp_path / "tags.csv"
    table.write_text("source;start;tag;colour\nfilm_1.mp4;0;exclude;red\n")
    look(asked(page[0].parent / "films", tmp_path / "page", tags=table))
    assert any(note.startswith("tags.csv: ") and "colour" in note for note in page_data(tmp_path / "page")["notes"])
