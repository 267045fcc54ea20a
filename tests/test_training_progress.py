"""People see a bar, log files a line now and then."""

import io
import sys
from pathlib import Path

import pytest

from training.progress import Progress, say_done, say_found


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_file_gets_a_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Training", 3) as progress:
        for done in (1, 2, 3):
            progress.show(done, loss=1 / done)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Training: 3/3 (")
    assert lines[0].endswith(" loss 0.3333")


def test_a_log_file_gets_a_line_after_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Training", 100) as progress:
        progress.show(1)
        progress.printed -= 11
        progress.show(2)
        progress.show(3)
    assert [line.split(" (")[0] for line in capsys.readouterr().err.splitlines()] == ["Training: 2/100"]


def test_the_newest_of_every_value_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Training", 2) as progress:
        progress.show(1, loss=3.0, psnr_db=20.0)
        progress.show(2, loss=2.0)
    assert capsys.readouterr().err.strip().endswith("loss 2, psnr db 20")


def test_a_resumed_run_counts_only_its_own_steps_into_its_speed(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Training", 110, first=100) as progress:
        progress.began -= 10
        progress.show(110)
    assert "110/110 (1.00/s)" in capsys.readouterr().err


def test_a_log_file_tells_how_long_it_will_take(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Training", 4) as progress:
        progress.began -= 60
        progress.printed -= 60
        progress.show(1)
    assert "1/4 (0.02/s, 0:03:00 left)" in capsys.readouterr().err


def test_large_numbers_are_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Training", 1) as progress:
        progress.show(1, **{"tokens/s": 1234567.8, "MFU": 0.4321987})
    assert capsys.readouterr().err.strip().endswith("tokens/s 1,234,568, MFU 0.4322")


def test_other_processes_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Training", 1, visible=False) as progress:
        progress.show(1, loss=1.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("visible", [True, False])
def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, visible: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("Training", 4, visible=visible) as progress:
        progress.show(4, loss=0.5)
    assert ("4/4" in terminal.getvalue()) == visible
    assert ("loss 0.5" in terminal.getvalue()) == visible


def test_the_bar_is_closed_when_the_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = Progress("Training", 4)
    with pytest.raises(RuntimeError, match="out of memory"), progress:
        raise RuntimeError("out of memory")
    assert progress.bar is not None
    assert not progress.bar.live.is_started


def test_names_are_said_without_what_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    say_found(data="a\x1b[2J\nb")
    say_done(Path("out\x1b[31m"), "look at \u202ex")
    assert capsys.readouterr().err.splitlines() == [
        r"data         a\x1b[2J\nb",
        r"out\x1b[31m is ready; next: look at \u202ex",
    ]


def test_a_bar_shows_a_title_and_values_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("a[/x]\x1b]0;b", 4) as progress:
        progress.show(4, **{"[/y]": 0.5})
    assert r"a[/x]\x1b]0;b" in terminal.getvalue()
    assert "[/y] 0.5" in terminal.getvalue()


def test_folders_are_quoted_in_the_command_that_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    say_done(Path("out"), "secondsight gpt train --tokens", Path("-my $(tokens)"), "--out GPT")
    assert capsys.readouterr().err == "out is ready; next: secondsight gpt train --tokens './-my $(tokens)' --out GPT\n"
