"""A config.json is read back as the options it was written from, and what is wrong with one is said in a line."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.config_file import config_of, read_config_file, values_of
from storage.options import OptionError, Options, option


@dataclass(frozen=True)
class Shape(Options):
    """An architecture."""

    width: int = option(8, at_least=1)
    strides: tuple[tuple[int, int], ...] = ((2, 2),)


@dataclass(frozen=True)
class Make(Options):
    """Make something."""

    command = "something make"

    data: Path
    out: Path
    shape: Shape = Shape()
    rate: float = 0.5
    crop: int | None = None
    kind: Literal["fast", "slow"] = "fast"
    mirror: bool = False
    overwrite: bool = False


MAKE = Make(Path("data"), Path("out"))


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_config_holds_the_command_and_flat_options() -> None:
    assert config_of(MAKE) == {
        "command": "something make",
        "data": "data",
        "out": "out",
        "width": 8,
        "strides": [[2, 2]],
        "rate": 0.5,
        "crop": None,
        "kind": "fast",
        "mirror": False,
        "overwrite": False,
    }


@given(
    width=st.integers(1, 99),
    strides=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=3).map(tuple),
    rate=st.floats(0, 1),
    crop=st.none() | st.integers(1, 9),
    kind=st.sampled_from(["fast", "slow"]),
    mirror=st.booleans(),
)
def test_options_come_back_from_their_config(**values: Any) -> None:
    options = MAKE.changed(**values)
    content = json.loads(json.dumps(config_of(options)))
    content.pop("command")
    assert Make.of(**values_of(content, Make)) == options


def test_another_run_does_not_take_over_where_the_first_one_is(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", config_of(MAKE.changed(overwrite=True)))
    values = read_config_file(path, Make)
    assert not values.keys() & {"out", "overwrite", "resume"}
    assert values["data"] == Path("data")


def test_a_file_of_some_options_will_do(tmp_path: Path) -> None:
    assert read_config_file(write(tmp_path / "mine.json", {"rate": 1}), Make) == {"rate": 1.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"widht": 3}, r"mine\.json: there is no option 'widht'; .*did you mean width\?"),
        ({"command": "something bake"}, "holds options of `something bake`, not of `something make`"),
        ({"width": "wide"}, r"mine\.json: width cannot be 'wide': a whole number is needed"),
        ({"width": 3.5}, "width cannot be 3.5: a whole number is needed"),
        ({"width": True}, "width cannot be True: a whole number is needed"),
        ({"mirror": 1}, "mirror cannot be 1: true or false is needed"),
        ({"rate": "fast"}, "rate cannot be 'fast': a number is needed"),
        ({"kind": "medium"}, "kind cannot be 'medium': one of fast, slow is needed"),
        ({"crop": "all"}, "crop cannot be 'all': a whole number or nothing is needed"),
        ({"strides": 2}, "strides cannot be 2: a list"),
        ({"strides": [[1, 2, 3]]}, "strides cannot be"),
        ({"data": None}, "data cannot be None: a path is needed"),
        ([1, 2], "holds a list, not options by name"),
        ("{", "or no JSON"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_line(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        read_config_file(write(tmp_path / "mine.json", content), Make)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"there is no file of --config .*none\.json"):
        read_config_file(tmp_path / "none.json", Make)
