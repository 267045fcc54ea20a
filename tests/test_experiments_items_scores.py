"""Published tables of scores in their own layouts, and how pictures are found in them."""

import json
from pathlib import Path

import numpy as np
import pytest
from item_memory import learned, path_of

from experiments.memory.items.joining import score_sources
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.score_tables import ScoreTable, read_score_tables
from experiments.memory.items.sources import SCORE

LAYOUTS = {
    "THINGS memorability": (
        "things.csv",
        "file_path,cr,extra\nimages/cat/cat_01b.jpg,0.8,1\nimages/dog/dog_02s.jpg,0.5,2\n",
    ),
    "MemCat": (
        "memcat.csv",
        ",image_file,category,subcategory,memorability_w_fa_correction,memorability_wo_fa_correction\n"
        "0,1.jpg,animal,cat,0.8,0.9\n1,2.jpg,animal,dog,0.5,0.6\n",
    ),
    "LaMem": ("train_1.txt", "00003352.jpg 0.8\n00003353.jpg 0.5\n"),
    "Memento10k": (
        "memento.json",
        json.dumps([{"filename": "a.mp4", "mem_score": 0.8}, {"filename": "b.mp4", "mem_score": 0.5}]),
    ),
    "scores": ("any.csv", "\ufeffpath;score\na.png;0,8\nb.png;0,5\n"),
}
NAMES = {
    "THINGS memorability": ["images/cat/cat_01b.jpg", "images/dog/dog_02s.jpg"],
    "MemCat": ["animal/cat/1.jpg", "animal/dog/2.jpg"],
    "LaMem": ["00003352.jpg", "00003353.jpg"],
    "Memento10k": ["a.mp4", "b.mp4"],
    "scores": ["a.png", "b.png"],
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def table(**scores: float) -> ScoreTable:
    return ScoreTable(
        "scores", (Path("scores.csv"),), {name.replace("__", "/") + ".jpg": of for name, of in scores.items()}
    )


def values_of(scores: ScoreTable, pictures: Pictures) -> dict[str, float]:
    source = score_sources([scores], pictures)[0][0]
    return {
        picture.path: value
        for picture, value in zip(pictures.all, source.measures[SCORE].values.tolist(), strict=True)
        if np.isfinite(value)
    }


@pytest.fixture
def pictures() -> Pictures:
    return Pictures.of(learned([0.1] * 8, 2))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_known_by_their_content(tmp_path: Path, layout: str) -> None:
    found = read_score_tables([write(tmp_path, *LAYOUTS[layout])])
    assert [each.name for each in found] == [layout]
    assert dict(found[0].scores) == dict(zip(NAMES[layout], (0.8, 0.5), strict=True))


def test_splits_of_one_data_set_become_one_table(tmp_path: Path) -> None:
    first = write(tmp_path, "train_1.txt", "a.jpg 0.8\nb.jpg 0.5\n")
    second = write(tmp_path, "test_1.txt", "b.jpg 0.5\nc.jpg 0.6\n")
    assert dict(read_score_tables([first, second])[0].scores) == {"a.jpg": 0.8, "b.jpg": 0.5, "c.jpg": 0.6}


def test_two_scores_of_a_picture_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path, "train_1.txt", "a.jpg 0.8\n")
    second = write(tmp_path, "test_1.txt", "a.jpg 0.5\n")
    with pytest.raises(ValueError, match=r"different scores of a.jpg, 0.8 and 0.5"):
        read_score_tables([first, second])
    with pytest.raises(ValueError, match=r"two scores of a.jpg, 0.8 and 0.5"):
        read_score_tables([write(tmp_path, "both.txt", "a.jpg 0.8\na.jpg 0.5\n")])


@pytest.mark.parametrize("text", ["path,score\na.png,nan\nb.png,\nc.png,inf\nd.png,0.5\n"])
def test_scores_that_are_none_are_listed(tmp_path: Path, text: str) -> None:
    found = read_score_tables([write(tmp_path, "any.csv", text)])[0]
    assert found.without == ("a.png", "b.png", "c.png")
    assert dict(found.scores) == {"d.png": 0.5}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("any.csv", "name,value\na,1\n", "is no table of scores that is known, its columns are name, value"),
        ("any.csv", "path,score\na.png,high\n", "row 1: score 'high' is no"),
        ("any.csv", "path,score\na.png,nan\n", "has no scores"),
        ("a.json", '[{"filename": "a.mp4"}]', "is no JSON list of videos with filename and mem_score"),
        ("a.json", "[", "is no JSON list of videos"),
        ("lamem.txt", "a.jpg 0.5\nb.jpg\n", "line 2: 'b.jpg' is no path and score"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("[", r"\[")):
        read_score_tables([write(tmp_path, name, text)])


def test_how_a_table_was_read_is_said(tmp_path: Path) -> None:
    notes = read_score_tables([write(tmp_path, *LAYOUTS["scores"])])[0].notes
    assert any("semicolons" in note for note in notes)
    assert any("decimal commas" in note for note in notes)


def test_pictures_are_found_whatever_case_and_ending(pictures: Pictures) -> None:
    found = values_of(table(images__NOVEL_SEEN__Novel_1=0.7), pictures)
    assert found == {path_of("novel/1", "as_given"): 0.7}


def test_folders_decide_between_pictures_of_one_name(pictures: Pictures) -> None:
    found = values_of(
        table(x__novel_seen__novel_1=0.7, x__novel_unseen__novel_1=0.2, x__state_seen__state_0=0.4), pictures
    )
    assert found == {
        path_of("novel/1", "as_given"): 0.7,
        path_of("novel/1", "swapped"): 0.2,
        path_of("state/0", "as_given"): 0.4,
    }


def test_what_is_not_found_is_listed_with_the_reason(pictures: Pictures) -> None:
    scores = ScoreTable(
        "scores", (Path("s.csv"),), {"novel_seen/novel_0.jpg": 0.5, "novel_1.jpg": 0.1}, ("state_0.jpg",)
    )
    _, unused = score_sources([scores], pictures)
    reasons = {each.item: each.reason for each in unused}
    assert reasons[path_of("novel/1", "as_given")] == "several pictures or entries have this name"
    assert reasons[path_of("state/0", "as_given")] == "it has no finite score"
    assert reasons[path_of("state/1", "as_given")] == "it is not in the table"
    assert path_of("novel/0", "as_given") not in reasons


def test_a_table_of_other_pictures_is_refused(pictures: Pictures) -> None:
    with pytest.raises(ValueError, match="has the score of none of the 8 pictures"):
        score_sources([table(cat=0.5)], pictures)
