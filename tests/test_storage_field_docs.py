"""The sentences under fields are found: they are the help of options and the meaning of columns."""

import dataclasses
from dataclasses import dataclass

import pytest

import secondsight
from storage.field_docs import field_docs
from storage.options import leaves


@dataclass(frozen=True)
class Parent:
    """A parent."""

    first: int
    """What comes
    first."""
    silent: int = 0


@dataclass(frozen=True)
class Child(Parent):
    """A child."""

    second: int = 0
    """What comes second."""


def test_sentences_are_on_one_line_and_inherited() -> None:
    assert field_docs(Child) == {"first": "What comes first.", "second": "What comes second."}


@pytest.mark.parametrize("command", secondsight.COMMANDS)
def test_every_option_of_every_command_has_its_sentence(command: str) -> None:
    kind = secondsight.COMMANDS[command][0]
    silent = [name for name, leaf in leaves(kind).items() if not field_docs(leaf.owner).get(name)]
    assert silent == []
    assert dataclasses.is_dataclass(kind)
