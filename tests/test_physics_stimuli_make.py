"""`physics stimuli`: lossless films, what is written of them, and folders that are continued and grow."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from data.probe import probe_video
from data.video import decode_clip, read_clip
from experiments.physics.manifest import Box, Film, read_boxes, read_manifest
from experiments.physics.options import StimuliOptions
from experiments.physics.stimuli.make import make_stimuli
from experiments.physics.stimuli.quadruples import make_quadruple

SMALL = {"concepts": ("permanence", "control"), "size": 32, "frames": 8, "distractors": 0, "workers": 0}


def small(out: Path, **options: Any) -> StimuliOptions:
    return StimuliOptions(out, **{"scenes": 2, **SMALL, **options})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def decoded(path: Path) -> Tensor:
    """(3, 8, 32, 32) uint8."""
    return decode_clip(probe_video(path), 0.0, 8, 8.0, 32).levels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stimuli")
    make_stimuli(small(folder))
    return folder


@pytest.fixture(scope="module")
def films(made: Path) -> list[Film]:
    return read_manifest(made)


def named(films: list[Film], quadruple: str) -> dict[str, Film]:
    return {film.versions: film for film in films if film.quadruple == quadruple}


def test_every_concept_has_four_films_of_every_scene(films: list[Film]) -> None:
    for concept in SMALL["concepts"]:
        for scene in range(2):
            four = named(films, f"{concept}_{scene:05d}")
            assert set(four) == {"AA", "AB", "BA", "BB"}
            assert {film.scene for film in four.values()} == {f"scene_{scene:05d}"}
            assert {versions for versions, film in four.items() if film.possible} == {"AA", "BB"}
    assert len(films) == 16


def test_decoded_films_are_the_rendered_ones_bit_for_bit(made: Path, films: list[Film]) -> None:
    for number in range(2):
        drawn = make_quadruple(small(made), "permanence", number)
        for versions, film in named(films, drawn.name).items():
            assert torch.equal(decoded(made / film.film), drawn.film(*versions)[0])


def test_every_frame_of_an_impossible_film_is_one_of_a_possible_film(made: Path, films: list[Film]) -> None:
    for quadruple in sorted({film.quadruple for film in films}):
        four = named(films, quadruple)
        clips = {versions: decoded(made / film.film) for versions, film in four.items()}
        event = round(8 * (four["AB"].event_s or 0))
        for beginning, ending in ("AB", "BA"):
            mixed = clips[beginning + ending]
            assert torch.equal(mixed[:, :event], clips[2 * beginning][:, :event])
            assert torch.equal(mixed[:, event:], clips[2 * ending][:, event:])


def test_times_of_hidden_events_surround_them(films: list[Film]) -> None:
    for film in films:
        if film.hidden:
            assert None not in (film.occluded_from_s, film.event_s, film.occluded_to_s)
            assert film.occluded_from_s < film.event_s < film.occluded_to_s  # type: ignore[operator]
        else:
            assert film.occluded_from_s is film.occluded_to_s is None


def test_boxes_are_where_the_object_is(made: Path, films: list[Film]) -> None:
    four = named(films, "permanence_00000")
    boxes = {box.frame: box for box in read_boxes(made) if box.film == four["AA"].film}
    assert set(boxes) == set(range(8))
    changed = (decoded(made / four["AA"].film) != decoded(made / four["BB"].film)).any(0)
    for frame, box in boxes.items():
        rows, columns = (changed[frame].any(dim).nonzero()[:, 0] / 32 for dim in (1, 0))
        assert abs(box.top - rows.min()) < 1.5 / 32  # below and beside the object is its shadow
        assert columns.min() - 1e-6 <= box.left < box.right <= columns.max() + 1 / 32 + 1e-6
        assert box.bottom <= rows.max() + 1 / 32 + 1e-6


def test_where_there_is_no_object_there_is_no_box(made: Path, films: list[Film]) -> None:
    four = named(films, "permanence_00000")
    of_film: dict[str, list[Box]] = {film.film: [] for film in four.values()}
    for box in read_boxes(made):
        of_film.get(box.film, []).append(box)
    event = round(8 * (four["AB"].event_s or 0))
    assert [box.frame for box in of_film[four["AB"].film]] == list(range(event))
    assert [box.frame for box in of_film[four["BA"].film]] == list(range(event, 8))
    assert of_film[four["BB"].film] == []


def test_each_quadruple_is_a_set_by_itself(made: Path, films: list[Film]) -> None:
    folder = made / "films" / "control_00001"
    assert [film.film for film in read_manifest(folder)] == ["AA.mp4", "AB.mp4", "BA.mp4", "BB.mp4"]
    assert all((folder / film.film).exists() for film in read_manifest(folder))


def test_a_sheet_shows_the_films_and_marks_the_event(made: Path, films: list[Film]) -> None:
    sheet = np.asarray(Image.open(made / "sheets" / "permanence.png"))
    assert sheet.shape[0] > 8 * 128
    assert sheet.shape[1] > 8 * 128
    red = (sheet == (220, 30, 30)).all(-1)
    first = min(round(8 * (film.event_s or 0)) for film in films if film.concept == "permanence")
    assert red.any(0).nonzero()[0].min() == 6 + first * (128 + 6) - 2  # margin, frames before, border
    assert (sheet == (0, 150, 60)).all(-1).any()


def test_films_to_look_at_show_all_four_side_by_side(made: Path) -> None:
    info = probe_video(made / "look" / "control.mp4")
    assert (info.width, info.height) == (4 * 140, 2 * 140)
    clip = read_clip(info, 0.0, 8, 8.0, 280)
    assert clip.shape[1] == 8


def test_what_was_lost_is_made_again_and_what_is_there_is_kept(made: Path, tmp_path: Path) -> None:
    before = contents(made)
    for name, content in before.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for lost in ("manifest.csv", "films/permanence_00001/manifest.csv", "films/permanence_00001/AB.mp4"):
        (tmp_path / lost).unlink()
    kept = tmp_path / "films" / "control_00000" / "AA.mp4"
    written = kept.stat().st_mtime_ns
    make_stimuli(small(tmp_path))
    assert contents(tmp_path) == before
    assert kept.stat().st_mtime_ns == written


def test_a_folder_grows_and_never_shrinks(tmp_path: Path) -> None:
    options = {"concepts": ("inertia",), "size": 16}
    make_stimuli(small(tmp_path, scenes=1, **options))
    first = contents(tmp_path / "films")
    make_stimuli(small(tmp_path, scenes=2, **options))
    make_stimuli(small(tmp_path, scenes=1, **options))
    assert len(read_manifest(tmp_path)) == 8
    assert contents(tmp_path / "films").items() >= first.items()
    expected = {"scenes": 2, "concepts": ["inertia"], "events": "both", "camera": "both", "distractors": 0}
    assert json.loads((tmp_path / "stimuli.json").read_text()).items() >= expected.items()


def test_processes_render_the_same_films(made: Path, tmp_path: Path) -> None:
    make_stimuli(small(tmp_path, scenes=4, workers=2))
    films = contents(tmp_path / "films")
    assert len(films) == 4 * 2 * 6  # films, boxes and manifest
    assert contents(made / "films").items() <= films.items()


def test_films_to_train_on_are_the_possible_ones_alone(made: Path, tmp_path: Path) -> None:
    make_stimuli(small(tmp_path, scenes=1, concepts=("permanence",), outcomes="possible"))
    films = read_manifest(tmp_path)
    assert [(film.versions, film.possible) for film in films] == [("AA", True), ("BB", True)]
    assert sorted(path.name for path in (tmp_path / "films").rglob("*.mp4")) == ["AA.mp4", "BB.mp4"]
    for film in films:
        assert (tmp_path / film.film).read_bytes() == (made / film.film).read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("seed", 6, "seed=0, not 6"), ("size", 34, "size=32, not 34"), ("concepts", ("shape",), "other concepts")],
)
def test_a_folder_of_other_options_is_refused(made: Path, name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"holds films made with {said}: choose another --out"):
        make_stimuli(small(made, **{name: value}))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"concepts": ()}, "--concepts needs at least one"),
        ({"concepts": ("shape", "shape")}, "--concepts shape shape names one twice"),
        ({"size": 33}, "--size 33 must be even"),
        ({"frames": 7}, "--frames 7 must be at least 8"),
        ({"scenes": 0}, "--scenes 0 must be at least 1"),
        ({"fps": 0.5}, "--fps 0.5 must be at least 1"),
    ],
)
def test_options_that_make_no_films_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(Path("out"), **wrong)


def test_without_pymunk_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymunk", None)
    with pytest.raises(ValueError, match=r"pip install '\.\[physics\]'"):
        make_stimuli(small(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
