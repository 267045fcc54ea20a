"""What people name as data stands for paths: itself, those between braces, and those that are there by that name."""

from pathlib import Path

import pytest
from PIL import Image

from data.errors import MediaError
from data.inputs import check_data, named_paths
from data.media import catalogue

FILES = ("a-0.png", "a-1.png", "a-10.png", "b-0.png", "[x].png", ".hidden.png", "sub/a-0.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for level, name in enumerate(FILES):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (level, level, level)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-*.png", ["a-0.png", "a-1.png", "a-10.png"]),
        ("a-?.png", ["a-0.png", "a-1.png"]),
        ("{b,a}-?.png", ["b-0.png", "a-0.png", "a-1.png"]),
        ("a-1*.png::*-?.png", ["a-1.png", "a-10.png", "a-0.png", "b-0.png"]),
        ("[x].*", ["[x].png"]),
        ("s*", ["sub"]),
        ("*/a-*.png", ["sub/a-0.png"]),
        ("a-{0..1}.png", ["a-0.png", "a-1.png"]),
    ],
)
def test_a_pattern_stands_for_what_is_there(folder: Path, pattern: str, names: list[str]) -> None:
    asked = "::".join(str(folder / part) for part in pattern.split("::"))
    assert [str(path.relative_to(folder)) for path in named_paths(Path(asked))] == names


def test_a_star_in_a_name_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    for name in ("a*.png", "ab.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert named_paths(tmp_path / "a*.png") == [tmp_path / "a*.png"]
    assert named_paths(tmp_path / "{a*,ab}.png") == [tmp_path / "a*.png", tmp_path / "ab.png"]


def test_a_pattern_that_nothing_is_called_by_is_refused(folder: Path) -> None:
    with pytest.raises(MediaError, match=r"z\*\.tar stands for no file and no folder that is there"):
        check_data(folder / "z*.tar")


@pytest.mark.parametrize("rest", ["x" * 300, "x" * 5000])
def test_a_pattern_with_names_that_are_too_long_is_refused(folder: Path, rest: str) -> None:
    with pytest.raises(MediaError, match=r"stands for no file|cannot be looked for"):
        check_data(folder / "s*" / rest)


def test_a_pattern_is_relative_to_the_folder_it_is_given_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "sub")
    assert named_paths(Path("../b-*.png")) == [Path("../b-0.png")]


def test_items_of_a_pattern_are_named_as_those_of_braces(folder: Path) -> None:
    given = [catalogue(folder / pattern).sources for pattern in ("a-?.png", "a-{0..1}.png")]
    assert [[source.name for source in sources] for sources in given] == [["a-0.png", "a-1.png"]] * 2
