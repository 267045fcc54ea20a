"""Settings of observers, as people type them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.observer_settings import arguments_of, parse_settings


class Typed:
    def __init__(
        self, count: int = 1, rate: float = 0.1, on: bool = False, folder: Path | None = None, some: int | None = None
    ) -> None: ...


def plain(count=1, rate=0.1, on=False, name=None):  # type: ignore[no-untyped-def]
    """A function without annotations."""


def anything(**settings: Any) -> None:
    """Takes what it is given."""


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=8), st.text("ab=, 1.", max_size=8)))
def test_settings_are_what_was_typed(settings: dict[str, str]) -> None:
    assert parse_settings([f"{name}={value}" for name, value in settings.items()]) == settings


@pytest.mark.parametrize(
    ("made", "settings", "arguments"),
    [
        (Typed, {"count": "3", "rate": "1e-3", "on": "yes"}, {"count": 3, "rate": 0.001, "on": True}),
        (Typed, {"folder": "here", "some": "2"}, {"folder": Path("here"), "some": 2}),
        (Typed, {"folder": "", "some": "none"}, {"folder": None, "some": None}),
        (
            plain,
            {"count": "3", "rate": "2", "on": "no", "name": "x"},
            {"count": 3, "rate": 2.0, "on": False, "name": "x"},
        ),
        (anything, {"rate": "2"}, {"rate": "2"}),
    ],
)
def test_a_setting_has_the_type_of_its_argument(made: Any, settings: dict[str, str], arguments: dict[str, Any]) -> None:
    assert arguments_of(made, settings, {}) == arguments


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": "1.5"}, "--settings count=1.5 must be a whole number"),
        ({"rate": "fast"}, "--settings rate=fast must be a number"),
        ({"on": "maybe"}, "--settings on=maybe must be yes or no"),
        ({"some": "x"}, "--settings some=x must be a whole number"),
        ({"cuont": "1"}, "there is no setting 'cuont'; there are count, rate, on, folder, some; did you mean count"),
    ],
)
def test_what_an_argument_does_not_take_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arguments_of(Typed, settings, {})


def test_what_is_offered_is_taken_where_there_is_room_for_it() -> None:
    assert arguments_of(Typed, {}, {"count": 7, "seed": 3}) == {"count": 7}
    assert arguments_of(Typed, {"count": "5"}, {"count": 7}) == {"count": 5}
