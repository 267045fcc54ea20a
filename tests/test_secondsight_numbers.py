"""Every number that a command takes has a range, and what lies outside is refused in one line that names it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import secondsight
from storage.options import LARGEST_SEED, Leaf, OptionError, Options, leaves, number_type

Number = tuple[str, Leaf]

NUMBERS: list[Number] = [
    (command, leaf)
    for command, (kind, _) in secondsight.COMMANDS.items()
    for leaf in leaves(kind).values()
    if number_type(leaf.annotation)
]
FROM_FILES = [each for each in NUMBERS if secondsight.COMMANDS[each[0]][0].takes_config]
GIGANTIC = 10**400
"""An integer that no float holds."""


def named(number: Number) -> str:
    return f"{number[0]} {number[1].flag}"


def one_of_each_kind(numbers: list[Number]) -> list[Number]:
    """A number of each type that numbers have: words and files become numbers by their types."""
    return list({str(leaf.annotation): (command, leaf) for command, leaf in numbers}.values())


def outside(leaf: Leaf) -> Iterator[float]:
    """Values that an option refuses: beside each end of its range, and those that no range holds."""
    bounds = leaf.metadata["range"]
    whole = number_type(leaf.annotation) is int
    least = bounds.above if bounds.above is not None else bounds.at_least
    low = least if bounds.above is not None else least - (1 if whole else max(1e-9, abs(least) / 1000))
    high = bounds.below if bounds.below is not None else bounds.at_most * (1 if whole else 1.001) + (1 if whole else 0)
    yield from (low, high)
    if least >= 0:
        yield -1
    yield from (GIGANTIC, -GIGANTIC) if whole else (math.nan, math.inf, 1e300)


def shaped(leaf: Leaf, value: Any) -> Any:
    """A value in the shape that an option has: alone, or in tuples."""
    text = str(leaf.annotation)
    if text.startswith("tuple[tuple"):
        return ((value, value),) * len(leaf.default)
    if text.startswith("tuple"):
        return (value,) * (1 if get_args(leaf.annotation)[-1] is Ellipsis else len(get_args(leaf.annotation)))
    return value


def words(leaf: Leaf, value: Any) -> list[str]:
    """What is typed to give an option a value."""
    if isinstance(value, tuple):
        return [leaf.flag, *(str(each) for part in value for each in (part if isinstance(part, tuple) else (part,)))]
    return [f"{leaf.flag}={value}"]


def example(command: str) -> list[str]:
    """The words of a command's example, behind its name."""
    return shlex.split(secondsight.COMMANDS[command][0].example)[1:]


def without(leaf: Leaf, arguments: list[str]) -> list[str]:
    """Arguments in which an option is not given."""
    if leaf.flag not in arguments:
        return arguments
    begin = arguments.index(leaf.flag)
    following = [index for index in range(begin + 1, len(arguments)) if arguments[index].startswith("--")]
    return arguments[:begin] + arguments[min(following, default=len(arguments)) :]


def refusal(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The line with which arguments are refused."""
    with pytest.raises(SystemExit) as stop:
        secondsight.parse(arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert len(said) < 500
    return said


@pytest.mark.parametrize("number", NUMBERS, ids=named)
def test_a_number_has_a_range_with_both_ends(number: Number) -> None:
    bounds = number[1].metadata["range"]
    assert (bounds.at_least is None) != (bounds.above is None)
    assert (bounds.at_most is None) != (bounds.below is None)


# All values are tried where it costs little, in Python and for each type; a parser of all options takes its time.


@pytest.mark.parametrize("number", NUMBERS, ids=named)
def test_a_number_outside_is_a_mistake_of_usage(number: Number, capsys: pytest.CaptureFixture[str]) -> None:
    check_usage(number, next(outside(number[1])), capsys)


@pytest.mark.parametrize("number", one_of_each_kind(NUMBERS), ids=named)
def test_every_number_outside_is_a_mistake_of_usage(number: Number, capsys: pytest.CaptureFixture[str]) -> None:
    for value in outside(number[1]):
        check_usage(number, value, capsys)


def check_usage(number: Number, value: float, capsys: pytest.CaptureFixture[str]) -> None:
    command, leaf = number
    said = refusal(capsys, [*example(command), *words(leaf, shaped(leaf, value))])
    assert f"{leaf.flag} " in said
    assert leaf.metadata["range"].describe() in said


@pytest.mark.parametrize("number", FROM_FILES, ids=named)
def test_a_number_of_a_config_file_is_held_to_the_same(
    number: Number, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_file(number, next(outside(number[1])), tmp_path, capsys)


@pytest.mark.parametrize("number", one_of_each_kind(FROM_FILES), ids=named)
def test_every_number_of_a_config_file_is_held_to_the_same(
    number: Number, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in outside(number[1]):
        check_file(number, value, tmp_path, capsys)


def check_file(number: Number, value: float, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, leaf = number
    (folder / "config.json").write_text(json.dumps({leaf.name: shaped(leaf, value)}))
    said = refusal(capsys, [*without(leaf, example(command)), "--config", str(folder / "config.json")])
    assert f"{leaf.flag} " in said


@pytest.mark.parametrize("number", NUMBERS, ids=named)
def test_a_number_given_in_python_is_held_to_the_same(number: Number) -> None:
    leaf = number[1]
    for value in outside(leaf):
        with pytest.raises(OptionError, match=f"{leaf.flag} "):
            _of_owner(leaf, shaped(leaf, value))


def _of_owner(leaf: Leaf, value: Any) -> Options:
    required = {name: Path("a") for name, each in leaves(leaf.owner).items() if each.required}
    return leaf.owner.of(**{**required, leaf.name: value})


SEEDS = [each for each in NUMBERS if each[1].name == "seed"]


def test_all_seeds_have_one_range() -> None:
    assert {leaf.metadata["range"][:4] for _, leaf in SEEDS} == {(0, None, LARGEST_SEED, None)}


@pytest.mark.parametrize("number", SEEDS, ids=named)
@pytest.mark.parametrize("seed", [0, 2**32, LARGEST_SEED - 2])
def test_a_seed_of_63_bits_is_taken(number: Number, seed: int) -> None:
    assert secondsight.parse([*example(number[0]), f"--seed={seed}"]).flat()["seed"] == seed


EXTRAPOLATE = ["scaling", "extrapolate", "points.csv", "--out", "out"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--target", "50%"],
            "--target 50%: numbers have no commas and no sign of per cent: write 50, or as a share 0.5",
        ),
        (
            ["--target", ".5", "--draws", "1,000"],
            "--draws 1,000: numbers have no commas and no sign of per cent: write 1000",
        ),
        (
            ["--target", ".5", "--draws=1,000,000"],
            "--draws 1,000,000: numbers have no commas and no sign of per cent: write 1000000",
        ),
        (["--target", "0,25"], "--target 0,25: numbers have no commas and no sign of per cent: write 0.25"),
        (["--target", "0,125"], "--target 0,125: numbers have no commas and no sign of per cent: write 0.125"),
        (
            ["--target", ".5", ".9", "--at", "1e3", "2,5"],
            "--at 2,5: numbers have no commas and no sign of per cent: write 2.5",
        ),
        (
            ["--target", "12,5 %"],
            "--target 12,5 %: numbers have no commas and no sign of per cent: write 12.5, or as a share 0.125",
        ),
    ],
)
def test_numbers_with_commas_and_signs_are_refused_with_how_to_write_them(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert refusal(capsys, [*EXTRAPOLATE, *words]) == f"secondsight: {said}\n"


def test_of_several_values_between_commas_no_number_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        secondsight.parse(["gpt", "plan", "--grid", "4,16,16"])
    assert "no commas" not in capsys.readouterr().err


def test_a_text_may_have_commas_and_signs() -> None:
    assert secondsight.parse([*EXTRAPOLATE, "--target", ".5", "--unit", "50%"]).flat()["unit"] == "50%"
