"""What is wrong with a set of films is said before anything is computed with it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from physics_films import EVENT, FPS, FRAMES, boxes_of, changed, make_pictures, make_set, write_film
from PIL import Image

from experiments.physics.checks import FilmSet, check_set, manifest_defects, shared_pictures
from experiments.physics.footage import open_footage
from experiments.physics.manifest import Box, Film, ManifestError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FilmSet:
    folder = tmp_path_factory.mktemp("set")
    films = make_set(folder, scenes=2)
    return FilmSet(folder, tuple(films), tuple(boxes_of(films)))


def reasons(films: FilmSet, folder: Path, **written: object) -> str:
    """What is said of a set of which some films are written anew, by name."""
    shutil.copytree(films.root, folder, dirs_exist_ok=True)
    for name, pictures in written.items():
        write_film(folder / f"films/{name.removeprefix('_')}.mp4", pictures)
    with pytest.raises(ManifestError) as error:
        check_set(replace(films, root=folder))
    return str(error.value)


def test_a_sound_set_is_read_in_an_order_that_does_not_depend_on_names(made: FilmSet, tmp_path: Path) -> None:
    renamed = [replace(film, film=f"{9 - index}.mp4") for index, film in enumerate(made.films)]
    for film, before in zip(renamed, made.films, strict=True):
        shutil.copy(made.root / before.film, tmp_path / film.film)
    known = check_set(made)
    other = check_set(FilmSet(tmp_path, tuple(reversed(renamed))))
    assert len(known.films) == 8
    assert [film.digest for film in known.films] == [film.digest for film in other.films]
    assert [film.film.versions for film in known.films] == [film.film.versions for film in other.films]


def test_all_frames_of_impossible_films_occur_in_possible_ones(made: FilmSet) -> None:
    assert shared_pictures(check_set(made)) == 1.0


def test_frames_that_occur_in_no_possible_film_are_counted(made: FilmSet, tmp_path: Path) -> None:
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    pictures = make_pictures(0, "AB")
    pictures[:4] = 255
    write_film(tmp_path / "films/0_AB.mp4", pictures)
    assert shared_pictures(check_set(replace(made, root=tmp_path))) == 1 - 4 / (4 * FRAMES)


def test_a_quadruple_of_three_is_refused(made: FilmSet) -> None:
    (defect,) = manifest_defects(made.films[1:])
    assert defect.reason == "quadruple quadruple 0 has 3 films: a quadruple has four, a pair two"
    assert defect.films == tuple(film.film for film in made.films[1:4])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"possible": True}, "of the 4 films of quadruple quadruple 0, 3 can happen: half of them must"),
        ({"scene": "other"}, "the films of quadruple quadruple 0 differ in scene: other, scene 0"),
        ({"hidden": True}, "the films of quadruple quadruple 0 differ in hidden: False, True"),
        ({"ending": "A"}, "say AA, AA, BA, BB of beginning and ending: name each once, or none"),
        ({"ending": ""}, "say nothing, AA, BA, BB of beginning and ending: name each once, or none"),
        ({"occluded_from_s": 1.0}, "says only one of occluded_from_s and occluded_to_s: give both or none"),
        ({"occluded_from_s": 1.0, "occluded_to_s": 0.5}, "is occluded from 1 to 0.5 s, which is no time"),
        ({"film": "films/0_AA.mp4"}, "films/0_AA.mp4 is listed twice"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(made: FilmSet, changes: dict[str, object], said: str) -> None:
    assert said in " ".join(defect.reason for defect in manifest_defects(changed(made.films, "AB", **changes)))


def test_a_concept_that_is_called_as_all_together_is_refused(made: FilmSet) -> None:
    defects = manifest_defects([replace(film, concept="all") for film in made.films[:4]])
    assert len(defects) == 4
    assert defects[0].reason == "the concept of films/0_AA.mp4 is all, as scores call all together: rename it"


def test_films_that_can_happen_by_their_versions_must_be_said_to(made: FilmSet) -> None:
    swapped = [replace(film, possible=not film.possible) for film in made.films]
    said = [defect.reason for defect in manifest_defects(swapped)]
    assert "films/0_AB.mp4 is AB and is said to be what can happen: AA and BB can, AB and BA cannot" in said
    assert len(said) == 8


def test_pairs_and_single_films_are_taken(made: FilmSet) -> None:
    pair = [replace(film, beginning="", ending="") for film in made.films[:2]]
    alone = [replace(film, quadruple="", beginning="", ending="") for film in made.films[4:]]
    assert len(check_set(replace(made, films=(*pair, *alone), boxes=())).films) == 6


@pytest.mark.parametrize(("possible", "lacking"), [(True, "impossible"), (False, "possible")])
def test_a_set_without_anything_to_compare_is_refused(made: FilmSet, possible: bool, lacking: str) -> None:
    films = tuple(replace(film, quadruple="") for film in made.films if film.possible == possible)
    with pytest.raises(ManifestError, match=f"no film is {lacking}, .* give {lacking} films as well"):
        check_set(replace(made, films=films, boxes=()))


def test_another_length_is_refused(made: FilmSet, tmp_path: Path) -> None:
    said = reasons(made, tmp_path, _0_AB=make_pictures(0, "AB")[:-1])
    assert "quadruple 0 have different frames (films/0_AA.mp4 16, films/0_AB.mp4 15," in said


def test_another_encoding_is_refused(made: FilmSet, tmp_path: Path) -> None:
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    write_film(tmp_path / "films/0_AB.mp4", make_pictures(0, "AB"), codec="mpeg4")
    with pytest.raises(ManifestError, match=r"different encodings .*0_AB.mp4 mpeg4.* could be told apart"):
        check_set(replace(made, root=tmp_path))


def test_another_rate_is_refused(made: FilmSet, tmp_path: Path) -> None:
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    write_film(tmp_path / "films/0_AB.mp4", make_pictures(0, "AB"), fps=10)
    with pytest.raises(ManifestError, match=r"different rates .*0_AB.mp4 10"):
        check_set(replace(made, root=tmp_path))


def test_a_copy_under_another_name_is_refused(made: FilmSet, tmp_path: Path) -> None:
    said = reasons(made, tmp_path, _0_BB=make_pictures(0, "AA"))
    assert "films/0_AA.mp4 and films/0_BB.mp4 show the same" in said


def test_a_missing_film_is_refused_with_advice(made: FilmSet, tmp_path: Path) -> None:
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "films/0_AB.mp4").unlink()
    with pytest.raises(ManifestError, match=r"1 defect: .*0_AB.mp4 does not exist \(correct them, or leave them out"):
        check_set(replace(made, root=tmp_path))


@pytest.mark.parametrize("time", [0.0, FRAMES / FPS, 100.0])
def test_an_event_outside_the_film_is_refused(made: FilmSet, time: float) -> None:
    films = tuple(changed(made.films, "AB", event_s=time))
    with pytest.raises(ManifestError, match=f"lasts 2.00 s, and its event_s is {time:g}: give a time inside"):
        check_set(replace(made, films=films))


def test_boxes_of_unknown_films_and_frames_are_refused(made: FilmSet) -> None:
    box = Box("films/9.mp4", 0, "object", 0, 0, 1, 1)
    late = Box("films/0_AA.mp4", FRAMES, "object", 0, 0, 1, 1)
    with pytest.raises(ManifestError, match=r"boxes.csv names films/9.mp4, which the manifest does not list"):
        check_set(replace(made, boxes=(box,)))
    with pytest.raises(ManifestError, match=r"frame 16 of films/0_AA.mp4, which has 16 frames, from 0 on"):
        check_set(replace(made, boxes=(late,)))


def test_what_has_defects_can_be_left_out_with_what_is_matched_with_it(made: FilmSet, tmp_path: Path) -> None:
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "films/0_AB.mp4").write_bytes(b"")
    kept = check_set(replace(made, root=tmp_path), exclude_defects=True)
    assert {film.film.scene for film in kept.films} == {"scene 1"}
    assert {box.film for box in kept.boxes} <= {film.film.film for film in kept.films}
    (defect,) = kept.defects
    assert defect.films == ("films/0_AB.mp4",)


def test_a_set_of_which_nothing_is_left_is_refused(made: FilmSet) -> None:
    films = tuple(replace(film, event_s=100.0) for film in made.films)
    with pytest.raises(ManifestError, match="no film is without defects"):
        check_set(replace(made, films=films), exclude_defects=True)


def test_a_folder_of_images_is_a_film_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("RGB", (20, 10), (20 * number, 0, 0)).save(tmp_path / f"scene_{number + 1}.png")
    footage = open_footage(tmp_path, image_fps=6)
    assert [int(picture[0, 0, 0]) for picture in footage.pictures()] == [20 * number for number in range(12)]
    assert (footage.frames, footage.width, footage.height, footage.duration) == (12, 20, 10, 2.0)
    assert footage.encoding == "png"
    assert footage.clip(4, 2, 10)[0, :, 0, 0].tolist() == [0, 60, 120, 180]


def test_a_folder_of_images_needs_a_rate(tmp_path: Path, made: FilmSet) -> None:
    (tmp_path / "film").mkdir()
    films = tuple(changed(made.films, "AB", film="film"))
    with pytest.raises(ManifestError, match="film is a folder: give each film as a video"):
        check_set(FilmSet(tmp_path, films))


def test_an_event_at_a_frame_lies_inside(made: FilmSet) -> None:
    assert made.films[0].event_s == EVENT / FPS
    assert isinstance(check_set(made).films[0].film, Film)
