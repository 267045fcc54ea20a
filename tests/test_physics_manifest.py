"""The manifest of a set of films: what is written is read again, and what is wrong is said."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.physics.manifest import (
    Box,
    Film,
    ManifestError,
    read_boxes,
    read_manifest,
    write_boxes,
    write_manifest,
)

FILM = Film(
    film="films/0_AB.mp4",
    scene="scene 0",
    quadruple="0",
    concept="permanence",
    hidden=True,
    possible=False,
    beginning="A",
    ending="B",
    event_s=1.5,
    occluded_from_s=1.0,
    occluded_to_s=2.0,
    camera="walking",
)
BOX = Box(film="films/0_AB.mp4", frame=3, object="object", left=0.1, top=0.2, right=0.4, bottom=0.6)
NAMES = st.text(st.characters(codec="ascii", exclude_categories=("C", "Z")), min_size=1, max_size=8)
TIMES = st.none() | st.floats(0, 1e4)


@given(
    st.builds(
        Film,
        film=NAMES,
        scene=NAMES,
        quadruple=NAMES | st.just(""),
        concept=NAMES,
        hidden=st.booleans(),
        possible=st.booleans(),
        beginning=st.sampled_from(["", "A", "B"]),
        ending=st.sampled_from(["", "A", "B"]),
        event_s=TIMES,
        occluded_from_s=TIMES,
        occluded_to_s=TIMES,
        camera=st.sampled_from(["", "fixed", "walking"]),
    )
)
def test_films_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, film: Film) -> None:
    path = tmp_path_factory.mktemp("set") / "manifest.csv"
    write_manifest(path, [film])
    assert read_manifest(path.parent) == read_manifest(path) == [film]


def test_boxes_are_read_as_they_were_written(tmp_path: Path) -> None:
    boxes = [BOX, replace(BOX, frame=4, left=0.0, right=1.0)]
    write_boxes(tmp_path / "boxes.csv", boxes)
    assert read_boxes(tmp_path) == boxes


def test_few_columns_in_any_case_and_order_suffice(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text("possible,film,hidden,concept,quadruple,scene,note\nTRUE,a.mp4,false,shape,q,s,x\n")
    assert read_manifest(path) == [Film("a.mp4", "s", "q", "shape", hidden=False, possible=True)]


def test_manifests_saved_by_spreadsheets_are_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("film,scene,quadruple,concept,hidden,possible\na.mp4,s,q,shape,FALSE,TRUE\n", encoding="utf-8-sig")
    assert read_manifest(path)[0].film == "a.mp4"


def test_versions_are_named_where_both_are_known() -> None:
    assert FILM.versions == "AB"
    assert replace(FILM, ending="").versions == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"film": ""}, "film '' is empty"),
        ({"hidden": "maybe"}, "hidden 'maybe' is neither true nor false"),
        ({"beginning": "C"}, "beginning 'C' is none of empty, A, B"),
        ({"event_s": "-1"}, "event_s '-1' is no time in seconds"),
        ({"event_s": "soon"}, "event_s 'soon' is no time in seconds"),
        ({"event_s": "inf"}, "event_s 'inf' is no time in seconds"),
        ({"camera": "flying"}, "camera 'flying' is none of empty, fixed, walking"),
    ],
)
def test_what_is_wrong_with_a_film_is_said_with_its_row(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    path = tmp_path / "manifest.csv"
    row = {"film": "a", "scene": "s", "quadruple": "q", "concept": "c", "hidden": "true", "possible": "true"} | changes
    path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    with pytest.raises(ManifestError, match="row 1: " + said):
        read_manifest(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frame": "1.5"}, "frame '1.5' is no index"),
        ({"left": "1.5"}, "left '1.5' is no number from 0 to 1"),
        ({"right": "nan"}, "right 'nan' is no number from 0 to 1"),
        ({"left": "0.9"}, "left < right .* left 0.9"),
    ],
)
def test_what_is_wrong_with_a_box_is_said_with_its_row(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    path = tmp_path / "boxes.csv"
    row = {"film": "a", "frame": "0", "object": "object", "left": "0", "top": "0", "right": "0.5", "bottom": "1"}
    row |= changes
    path.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    with pytest.raises(ManifestError, match="row 1: .*" + said):
        read_boxes(path)


def test_a_missing_manifest_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"manifest.csv does not exist: give the folder"):
        read_manifest(tmp_path)


def test_a_manifest_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"film\xff\n")
    with pytest.raises(ManifestError, match="no CSV in UTF-8"):
        read_manifest(tmp_path)


def test_a_missing_column_is_said_with_those_that_are_needed(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("film,scene\na,b\n")
    with pytest.raises(ManifestError, match=r"no column concept, hidden, possible, quadruple; .* are film, scene"):
        read_manifest(tmp_path)


def test_an_empty_manifest_is_said(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.csv", [])
    with pytest.raises(ManifestError, match="lists no film"):
        read_manifest(tmp_path)
