"""Nothing that a terminal would obey is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import secondsight
from storage.terminal import visible, visible_lines

ESCAPES = "\x1b[31mred\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name, with blanks", "plain name, with blanks"),
        ("Grüße 日本 אב", "Grüße 日本 אב"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc\0", r"a\nb\r\tc\x00"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x9b31m", r"\x9b31m"),
        ("a\udcff", r"a\udcff"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_what_is_hidden_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_any_text_becomes_one_line_that_can_be_stored(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown
    shown.encode("utf-8")


def test_lines_stay_lines() -> None:
    assert visible_lines("a\x1b\nb") == "a\\x1b\nb"


def test_the_line_of_an_error_holds_no_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        secondsight.main(["gpt", "eval", "--gpt", f"{tmp_path}/{ESCAPES}\nx", "--tokens", str(tmp_path / "none")])
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert "\x1b" not in said
    assert r"\x1b[31mred" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        [f"--st{ESCAPES}", "1"],
        [ESCAPES],
        ["--steps", ESCAPES],
        ["--config", ESCAPES],
        ["--preset", ESCAPES],
    ],
)
def test_no_word_of_a_command_is_printed_raw(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        secondsight.parse(["gpt", "train", "--tokens", "a", "--out", "b", *words])
    said = "".join(capsys.readouterr())
    assert stop.value.code == 2
    assert "\x1b[31mred" not in said
    assert r"\x1b[31mred" in said
