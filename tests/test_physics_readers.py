"""Readers of published sets: films, how they are matched, and what is said of what is laid out otherwise."""

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from physics_films import make_pictures, make_set, square_of, write_film
from physics_sets import (
    INTPHYS_FRAMES,
    INTPHYS_ORDER,
    MAKERS,
    make_adept,
    make_grasp,
    make_inflevel,
    make_intphys,
    make_intphys2,
    make_likephys,
    write_movie,
)

from experiments.physics.checks import FilmSet, check_set, manifest_defects
from experiments.physics.manifest import Box, Film, ManifestError
from experiments.physics.options import SetKind
from experiments.physics.readers import intphys2
from experiments.physics.readers.adept import VIOLATIONS
from experiments.physics.readers.any import READERS, read_set
from experiments.physics.readers.intphys import ASSUMED
from experiments.physics.readers.layout import NAMES, NOT_SAID, looks_like

KINDS: tuple[SetKind, ...] = get_args(SetKind)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A stand-in of every published set, by kind."""
    folder = tmp_path_factory.mktemp("sets")
    return {kind: make(folder / kind) for kind, make in MAKERS.items()}


def by_name(films: FilmSet) -> dict[str, Film]:
    return {film.film: film for film in films.films}


def groups(films: FilmSet) -> dict[str, list[Film]]:
    found: dict[str, list[Film]] = defaultdict(list)
    for film in films.films:
        found[film.quadruple].append(film)
    return dict(found)


def test_there_is_a_reader_and_a_name_of_every_kind() -> None:
    assert tuple(READERS) == tuple(NAMES) == KINDS
    assert set(MAKERS) == set(KINDS) - {"manifest"}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_stand_in_is_a_sound_set(made: dict[str, Path], kind: SetKind) -> None:
    films = read_set(made[kind], kind)
    assert len(check_set(films).films) == len(films.films) > 0
    assert all((films.root / film.film).exists() for film in films.films)


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: SetKind) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match=f"file is no folder: --kind {kind} needs the folder of {NAMES[kind]}"):
        read_set(tmp_path / "file", kind)


@pytest.mark.parametrize("kind", MAKERS)
def test_an_empty_folder_is_refused(tmp_path: Path, kind: SetKind) -> None:
    with pytest.raises(ManifestError, match=f"is not laid out as {NAMES[kind]} is: there (is no|are no films)"):
        read_set(tmp_path, kind)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("asked", KINDS)
def test_what_looks_like_another_set_is_said(made: dict[str, Path], kind: SetKind, asked: SetKind) -> None:
    assert looks_like(made[kind]) == kind
    if asked != kind:
        with pytest.raises(ManifestError, match=f"; this looks like {NAMES[kind]}: give --kind {kind}$"):
            read_set(made[kind], asked)


def test_a_set_with_a_manifest_is_known_as_well(tmp_path: Path) -> None:
    make_set(tmp_path, scenes=1)
    assert read_set(tmp_path, "manifest").films
    with pytest.raises(ManifestError, match=r"this looks like a set with a manifest: give --kind manifest$"):
        read_set(tmp_path, "grasp")


@pytest.mark.parametrize("kind", MAKERS)
def test_a_folder_above_says_where_the_set_is(made: dict[str, Path], tmp_path: Path, kind: SetKind) -> None:
    (tmp_path / "inner").symlink_to(made[kind])
    with pytest.raises(
        ManifestError, match=f"; {tmp_path / 'inner'} looks like it: give --films {tmp_path / 'inner'}$"
    ):
        read_set(tmp_path, kind)


def test_films_of_intphys_are_matched_by_their_frames(made: dict[str, Path]) -> None:
    films = by_name(read_set(made["intphys"], "intphys"))
    assert len(films) == 12
    scene = [films[f"O1/01/{movie}/scene"] for movie in (1, 2, 3, 4)]
    assert [film.possible for film in scene] == [False, True, True, False]
    # Of the two that can happen the first counts as AA, whatever its name was when it was made.
    assert [film.versions for film in scene] == list(INTPHYS_ORDER)
    assert {film.event_s for film in scene} == {INTPHYS_FRAMES / 2 / 15}
    assert {film.concept for film in films.values()} == {"object permanence", "spatio-temporal continuity"}
    assert {film.scene for film in films.values()} == {"O1/01", "O1/02", "O3/01"}


def test_occluders_in_a_status_of_intphys_hide_the_event(made: dict[str, Path]) -> None:
    films = read_set(made["intphys"], "intphys")
    assert {film.scene: film.hidden for film in films.films} == {"O1/01": False, "O1/02": True, "O3/01": False}
    assert films.notes == (ASSUMED,)


@pytest.mark.parametrize(("block", "hidden"), [("O1_test_occluded_static", True), ("O1_test_visible_static", False)])
def test_the_name_of_a_block_of_intphys_says_whether_it_is_hidden(tmp_path: Path, block: str, hidden: bool) -> None:
    make_intphys(tmp_path, {"O1": 1}, frames=False)
    for status in tmp_path.glob("O1/01/*/status.json"):
        content = json.loads(status.read_text())
        content["header"]["block_name"] = block
        status.write_text(json.dumps(content))
    films = read_set(tmp_path, "intphys")
    assert {film.hidden for film in films.films} == {hidden}
    assert films.notes == (ASSUMED,)


def test_intphys_with_labels_alone_is_read_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    films = read_set(make_intphys(tmp_path, {"O1": 1}, frames=False), "intphys")
    assert films.notes == (ASSUMED, NOT_SAID)
    assert check_set(films).notes == (ASSUMED, NOT_SAID)
    assert films.boxes == ()
    assert {film.hidden for film in films.films} == {False}


def test_masks_of_intphys_say_where_a_single_object_is(made: dict[str, Path]) -> None:
    films = read_set(made["intphys"], "intphys")
    ends = (end / 16 for end in square_of(0))
    assert films.boxes[0] == Box("O1/01/1/scene", INTPHYS_FRAMES // 2, "object", *ends)
    assert Counter(box.film for box in films.boxes)["O1/01/2/scene"] == INTPHYS_FRAMES
    assert "O1/01/3/scene" not in {box.film for box in films.boxes}


def test_of_several_objects_of_intphys_none_is_taken_for_that_of_the_event(tmp_path: Path) -> None:
    make_intphys(tmp_path, {"O1": 1})
    status = tmp_path / "O1/01/1/status.json"
    status.write_text(status.read_text().replace("object_1", "object_2"))
    assert read_set(tmp_path, "intphys").boxes == ()


def test_another_block_of_intphys_is_its_own_concept(tmp_path: Path) -> None:
    films = read_set(make_intphys(tmp_path, {"O4": 1}), "intphys")
    assert {film.concept for film in films.films} == {"O4"}


def test_an_incomplete_quadruple_of_intphys_is_left_to_the_checks(tmp_path: Path) -> None:
    make_intphys(tmp_path, {"O1": 2})
    shutil.rmtree(tmp_path / "O1/01/2")
    films = read_set(tmp_path, "intphys")
    with pytest.raises(ManifestError, match="quadruple O1/01 has 3 films"):
        check_set(films)
    assert {film.film.scene for film in check_set(films, exclude_defects=True).films} == {"O1/02"}


def test_a_film_of_intphys_without_images_is_left_to_the_checks(tmp_path: Path) -> None:
    make_intphys(tmp_path, {"O1": 1})
    shutil.rmtree(tmp_path / "O1/01/2/scene")
    (tmp_path / "O1/01/2/scene").mkdir()
    with pytest.raises(ManifestError, match="O1/01/2/scene holds no images"):
        check_set(read_set(tmp_path, "intphys"))


def test_test_films_of_intphys_are_refused(tmp_path: Path) -> None:
    make_intphys(tmp_path, {"O1": 1})
    (tmp_path / "O1/01/3/status.json").unlink()
    with pytest.raises(ManifestError, match=r"3/status.json does not exist: .* as those of dev have; test has none"):
        read_set(tmp_path, "intphys")


@pytest.mark.parametrize("content", ["[]", '{"header": 1}', '{"header": {"is_possible": "yes"}}', "{}"])
def test_a_status_of_intphys_without_a_label_is_refused(tmp_path: Path, content: str) -> None:
    write_movie(tmp_path / "O1/01/1", 0, "AA", "O1")
    (tmp_path / "O1/01/1/status.json").write_text(content)
    with pytest.raises(ManifestError, match=r"status.json does not say in its header whether the film is_possible"):
        read_set(tmp_path, "intphys")


def test_a_damaged_status_of_intphys_is_refused(tmp_path: Path) -> None:
    write_movie(tmp_path / "O1/01/1", 0, "AA", "O1")
    (tmp_path / "O1/01/1/status.json").write_text("{")
    with pytest.raises(ManifestError, match="status of a film of IntPhys"):
        read_set(tmp_path, "intphys")


def test_rows_of_intphys_2_are_films(made: dict[str, Path]) -> None:
    films = read_set(made["intphys2"], "intphys2")
    assert len(films.films) == 8
    first, second, *_ = films.films
    assert first == Film("Videos/0AA.mp4", "124_0", "124_0", "permanence", False, True, camera="fixed")
    assert (second.film, second.possible) == ("Videos/0AB.mp4", False)
    assert {film.camera for film in groups(films)["124_1"]} == {"walking"}
    assert {film.concept for film in groups(films)["124_1"]} == {"solidity"}
    assert films.notes == (NOT_SAID,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "3_Possible"}, "row 1: type '3_Possible' is none of 1_Possible, 1_Impossible, 2_Possible"),
        ({"SceneIndex": " "}, "row 1: SceneIndex is empty: give it a name"),
        ({"condition": ""}, "row 1: condition is empty: give it a name"),
        ({"file_name": "../x.mp4"}, "names the film '../x.mp4': give paths that stay in"),
        ({"file_name": "/x.mp4"}, "names the film '/x.mp4': give paths that stay in"),
        ({"file_name": "..\\x.mp4"}, "give paths that stay in"),
        ({"file_name": ""}, "names the film '': give paths that stay in"),
    ],
)
def test_what_is_wrong_with_a_row_of_intphys_2_is_said(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    make_intphys2(tmp_path, 1, **changes)
    with pytest.raises(ManifestError) as error:
        read_set(tmp_path, "intphys2")
    assert said in str(error.value)


def test_a_link_out_of_intphys_2_is_refused(tmp_path: Path) -> None:
    make_intphys2(tmp_path / "Main", 1, file_name="Videos/link.mp4")
    write_film(tmp_path / "elsewhere.mp4", make_pictures(0, "AA"))
    (tmp_path / "Main/Videos/link.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    with pytest.raises(ManifestError, match=r"names the film 'Videos/link.mp4': give paths that stay in"):
        read_set(tmp_path / "Main", "intphys2")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (",".join(intphys2.COLUMNS) + "\n", "lists no film: give the folder of a part as it is published"),
        ("filename,type\na,b\n", r"is no table of IntPhys 2: .* has no column .*SceneIndex.*; it needs SceneIndex"),
        ("", "is no table of IntPhys 2"),
    ],
)
def test_another_table_is_refused(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "metadata.csv").write_text(table)
    with pytest.raises(ManifestError, match=said):
        read_set(tmp_path, "intphys2")


def test_a_folder_in_place_of_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").mkdir()
    with pytest.raises(ManifestError, match=r"table of IntPhys 2 .*metadata.csv is a folder"):
        read_set(tmp_path, "intphys2")


def test_held_out_films_of_intphys_2_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Videos").mkdir()
    with pytest.raises(ManifestError, match=r"there is no metadata.csv, without which, as in HeldOut, nothing says"):
        read_set(tmp_path, "intphys2")


def test_types_of_inflevel_are_beginnings_and_endings(made: dict[str, Path]) -> None:
    films = read_set(made["inflevel"], "inflevel")
    said = {
        film.film.split("__")[4].removesuffix(".mp4"): (film.versions, film.possible)
        for film in films.films
        if film.concept != "solidity"
    }
    assert said == {
        **{"vv": ("AA", True), "ii": ("BB", True), "vi": ("AB", False), "iv": ("BA", False)},
        **{"ui": ("AA", True), "cv": ("BB", True), "uv": ("AB", False), "ci": ("BA", False)},
    }
    assert Counter(map(len, groups(films).values())) == {4: 4, 2: 1}


def test_cameras_of_inflevel_are_of_one_scene(made: dict[str, Path]) -> None:
    films = read_set(made["inflevel"], "inflevel")
    assert {film.scene for film in films.films} == {
        "continuity cup duck",
        "gravity cup duck",
        "solidity cup egg",
    }
    assert "continuity center cup duck LR" in groups(films)
    assert "gravity left cup duck" in groups(films)


def test_films_of_inflevel_may_differ_by_half_a_second(tmp_path: Path) -> None:
    assert check_set(read_set(make_inflevel(tmp_path / "near", longer=4), "inflevel"))
    with pytest.raises(ManifestError, match="have different frames"):
        check_set(read_set(make_inflevel(tmp_path / "far", longer=5), "inflevel"))


@pytest.mark.parametrize("name", ["x", "center__gravity__cup__duck__vv", "center__solidity__cup__duck__ui"])
def test_another_name_of_inflevel_is_refused(tmp_path: Path, name: str) -> None:
    write_film(tmp_path / f"gravity/{name}.mp4", make_pictures(0, "AA"))
    with pytest.raises(
        ManifestError, match=rf"{name}.mp4 is not named as films of InfLevel are, .* ui, cv, uv, ci: take"
    ):
        read_set(tmp_path, "inflevel")


def test_films_of_grasp_of_one_number_are_a_pair(made: dict[str, Path]) -> None:
    films = read_set(made["grasp"], "grasp")
    assert len(groups(films)) == 6
    pair = groups(films)["ObjectPermanence2 001"]
    assert {film.film: film.possible for film in pair} == {
        "P_ObjectPermanence2/001.mp4": True,
        "IP_ObjectPermanence2/001.mp4": False,
    }
    hidden = {film.concept: film.hidden for film in films.films}
    assert hidden == {"Gravity": False, "ObjectPermanence2": True, "Collision": False}
    assert films.notes == (NOT_SAID,)  # Collision is not described


def test_described_tests_of_grasp_need_no_note(made: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(made["grasp"], tmp_path, dirs_exist_ok=True)
    for folder in ("P_Collision", "IP_Collision"):
        shutil.rmtree(tmp_path / folder)
    (tmp_path / "notes").mkdir()
    assert read_set(tmp_path, "grasp").notes == ()


def test_films_of_grasp_without_their_like_are_left_to_the_checks(tmp_path: Path) -> None:
    make_grasp(tmp_path)
    (tmp_path / "IP_Gravity/001.mp4").unlink()
    with pytest.raises(ManifestError, match="quadruple Gravity 001 has 1 film"):
        check_set(read_set(tmp_path, "grasp"))


@pytest.mark.parametrize("videos", [False, True])
def test_films_of_adept_are_compared_as_published(tmp_path: Path, videos: bool) -> None:
    films = read_set(make_adept(tmp_path, videos), "adept")
    said = {name: sorted((film.film, film.possible) for film in group) for name, group in groups(films).items()}
    end = ".mp4" if videos else "/imgs"
    assert said == {
        "block cube": [(f"human_block_cube_0{end}", True), (f"human_block_cube_1{end}", False)],
        "create bowling_pin": [(f"human_disappear_bowling_pin_{index}{end}", index != 2) for index in (0, 2, 3, 4)],
    }
    assert {film.concept for film in films.films} == {"block", "create"}
    assert {checked.footage.fps for checked in check_set(films).films} == {25.0}


def test_no_film_of_adept_is_in_two_groups() -> None:
    named = [(case, index) for case, wrong, right in VIOLATIONS.values() for index in (wrong, *right)]
    assert len(named) == len(set(named)) == 22


def test_what_is_no_film_of_adept_is_left_out(tmp_path: Path) -> None:
    make_adept(tmp_path, videos=True)
    shutil.copy(tmp_path / "human_block_cube_0.mp4", tmp_path / "train_00201.mp4")
    assert len(read_set(tmp_path, "adept").films) == 6


@pytest.mark.parametrize("place", ["", "data"])
def test_films_of_likephys_are_compared_with_the_valid_one(tmp_path: Path, place: str) -> None:
    make_likephys(tmp_path / place)
    films = read_set(tmp_path, "likephys")
    group = groups(films)["pendulum subgroup_001"]
    assert sorted((Path(film.film).name, film.possible) for film in group) == [
        ("teleportation_00.mp4", False),
        ("temporal_disorder_00.mp4", False),
        ("valid_00.mp4", True),
    ]
    assert {film.concept for film in films.films} == {"ball_drop", "pendulum"}


@pytest.mark.parametrize("make", [make_likephys, make_adept])
def test_a_group_with_two_of_each_is_no_film_with_foils(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    films = read_set(make(tmp_path), "likephys" if make is make_likephys else "adept")
    group = max(groups(films).values(), key=len)[:3]
    more = [*group, Film("more.mp4", group[0].scene, group[0].quadruple, group[0].concept, group[0].hidden, True)]
    more += [Film("other.mp4", group[0].scene, group[0].quadruple, group[0].concept, group[0].hidden, False)]
    (defect,) = manifest_defects(more, foils=True)
    assert "of the 5 films of" in defect.reason
    assert defect.reason.endswith("cannot: it must be one of them, and one or several of the others")
    assert manifest_defects(group, foils=True) == []


def test_litter_of_operating_systems_is_passed_over(made: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(made["grasp"], tmp_path, dirs_exist_ok=True)
    (tmp_path / "P_Gravity/._000.mp4").write_bytes(b"")
    (tmp_path / ".git").mkdir()
    assert read_set(tmp_path, "grasp") == FilmSet(tmp_path, read_set(made["grasp"], "grasp").films, notes=(NOT_SAID,))
