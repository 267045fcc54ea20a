"""Options know their ranges, what they tell apart, and how they are built from names."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.options import (
    OptionError,
    Options,
    Range,
    about,
    find_preset,
    leaves,
    option,
    preset_name,
    presets_of,
    unknown_name,
)


@dataclass(frozen=True)
class Shape(Options):
    """An architecture."""

    width: int = option(8, at_least=1)
    sizes: tuple[int, ...] = option((1, 2), at_least=1)
    tokenizer: str = option("", asked=False)


@dataclass(frozen=True)
class Schedule(Options):
    """How long."""

    steps: int = option(10, at_least=1)
    share: float = option(0.5, above=0, at_most=1)
    save_every: int = option(5, identity="none")


SHAPES = {"small": Shape(), "large": Shape(width=64, sizes=(4,))}


@dataclass(frozen=True)
class Train(Options):
    """Train something."""

    command = "something train"

    out: Path = field(metadata=about(identity="none"))
    model: Shape = option(SHAPES["large"], presets=SHAPES)
    schedule: Schedule = Schedule(steps=20)
    seed: int = 0

    def check(self) -> None:
        if self.seed > self.schedule.steps:
            raise ValueError(f"--seed {self.seed} exceeds --steps {self.schedule.steps}")


OUT = Path("out")


def test_options_of_nested_classes_are_named_without_prefixes() -> None:
    names = ["out", "width", "sizes", "steps", "share", "save_every", "seed"]
    assert list(leaves(Train)) == names


def test_defaults_of_a_nested_value_hold_where_it_is_nested() -> None:
    defaults = {name: leaf.default for name, leaf in leaves(Train).items()}
    assert (defaults["width"], defaults["steps"], defaults["share"]) == (64, 20, 0.5)


def test_what_is_not_asked_for_is_no_option() -> None:
    assert "tokenizer" not in leaves(Train)
    with pytest.raises(OptionError, match="there is no option 'tokenizer'"):
        Train.of(out=OUT, tokenizer="abc")


def test_every_option_says_what_it_tells_apart() -> None:
    found = {name: leaf.identity for name, leaf in leaves(Train).items()}
    assert {name for name, identity in found.items() if identity == "none"} == {"out", "save_every"}
    assert found["width"] == "model"


def test_options_are_built_from_flat_names() -> None:
    built = Train.of(out=OUT, width=3, steps=7)
    assert (built.model.width, built.model.sizes, built.schedule.steps, built.schedule.share) == (3, (4,), 7, 0.5)


def test_flat_options_build_the_same_again() -> None:
    built = Train.of(out=OUT, width=3, steps=7, seed=2)
    assert Train.of(**built.flat()) == built


@given(width=st.integers(1, 99), steps=st.integers(1, 99), share=st.floats(0.01, 1))
def test_changed_options_are_those_built_with_the_change(width: int, steps: int, share: float) -> None:
    assert Train.of(out=OUT).changed(width=width, steps=steps, share=share) == Train.of(
        out=OUT, width=width, steps=steps, share=share
    )


def test_a_change_keeps_what_is_not_asked_for() -> None:
    changed = Train(OUT, Shape(tokenizer="abc")).changed(width=3)
    assert changed.model.tokenizer == "abc"


def test_a_missing_option_is_named() -> None:
    with pytest.raises(OptionError, match="--out is missing"):
        Train.of(steps=3)


@pytest.mark.parametrize("build", [lambda: Train.of(out=OUT, setps=3), lambda: Train(OUT).changed(setps=3)])
def test_an_unknown_option_is_named_with_the_nearest(build: Any) -> None:
    with pytest.raises(OptionError, match=r"there is no option 'setps'; there are .*did you mean steps\?"):
        build()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "--steps 0 must be at least 1"),
        ({"save_every": 3, "width": 0}, "--width 0 must be at least 1"),
        ({"sizes": (3, 0)}, "--sizes 0 must be at least 1"),
        ({"share": 0.0}, r"--share 0 must lie in \(0, 1\]"),
        ({"share": 1.5}, r"--share 1.5 must lie in \(0, 1\]"),
        ({"share": math.nan}, "--share nan must be a finite number"),
        ({"share": math.inf}, "--share inf must be a finite number"),
        ({"seed": 99}, "--seed 99 exceeds --steps 20"),
    ],
)
def test_values_out_of_range_are_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Train.of(out=OUT, **values)


def test_options_of_the_same_name_are_a_mistake() -> None:
    @dataclass(frozen=True)
    class Twice(Options):
        seed: int = 0
        train: Train = Train(OUT)

    with pytest.raises(TypeError, match="Twice has the option seed twice"):
        leaves(Twice)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Range(at_least=0), "not be negative"),
        (Range(at_least=2), "be at least 2"),
        (Range(above=0), "be positive"),
        (Range(above=2), "be above 2"),
        (Range(at_least=0, below=1), "lie in [0, 1)"),
        (Range(above=0, at_most=1), "lie in (0, 1]"),
    ],
)
def test_a_range_says_what_a_number_must_do(bounds: Range, words: str) -> None:
    assert bounds.describe() == words


@given(number=st.floats(-3, 3))
def test_a_range_holds_the_numbers_that_it_says(number: float) -> None:
    assert Range(at_least=0, below=1).holds(number) == (0 <= number < 1)
    assert Range(above=0, at_most=1).holds(number) == (0 < number <= 1)


# Presets


def test_the_field_with_presets_is_found() -> None:
    assert presets_of(Train) == ("model", SHAPES)
    assert presets_of(Schedule) is None


def test_a_preset_is_found_by_its_name() -> None:
    assert find_preset("small", SHAPES) == Shape()


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"there is no preset 'smal'; there are small, large; did you mean small\?"):
        find_preset("smal", SHAPES)


@pytest.mark.parametrize(
    ("value", "name"), [(Shape(), "small"), (Shape(tokenizer="abc"), "small"), (Shape(width=9), None)]
)
def test_a_preset_is_known_by_what_is_asked_for(value: Shape, name: str | None) -> None:
    assert preset_name(value, SHAPES) == name


def test_an_unknown_name_lists_the_known_ones_and_suggests_the_nearest() -> None:
    assert (
        unknown_name("GPU", "h20O", ["a100", "h200"])
        == "there is no GPU 'h20O'; there are a100, h200; did you mean h200?"
    )


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert unknown_name("preset", "zzz", ["demo"]) == "there is no preset 'zzz'; there are demo"
