"""One thing at a time, seen while it is done, stopped, and never for too long; and each page's own."""

import threading
from pathlib import Path

import pytest

from viewing.app.jobs import Job, StoppedError, Worker
from viewing.app.saying import DEFECT, sentence_of
from viewing.app.sessions import MOST_SESSIONS, Sessions

LIMIT = 200.0


def counted(job: Job[int, str]) -> str:
    """Work that goes on until it is stopped."""
    for number in range(10**9):
        job.check()
        job.show(number)
    return "done"


def test_work_is_seen_and_its_result_returned() -> None:
    seen = threading.Event()

    def work(job: Job[str, int]) -> int:
        job.show("half")
        assert seen.wait(LIMIT)
        return 1

    job = Worker(LIMIT).start(work)
    looks = job.watch()
    assert next(looks) == "half"
    seen.set()
    assert list(looks) == []
    assert job.result() == 1


def test_what_is_stopped_ends_and_the_next_begins() -> None:
    worker = Worker(LIMIT)
    first = worker.start(counted)
    second = worker.start(lambda _: "second")
    next(first.watch())
    first.stop()
    with pytest.raises(StoppedError, match=r"^Stopped\.$"):
        first.result()
    assert second.result() == "second"


def test_what_waits_can_be_stopped_before_it_begins() -> None:
    worker = Worker(LIMIT)
    first, second = worker.start(counted), worker.start(counted)
    second.stop()
    first.stop()
    with pytest.raises(StoppedError, match="Stopped"):
        second.result()
    assert list(second.watch()) == []


def test_what_takes_too_long_is_given_up() -> None:
    job = Worker(0.01).start(counted)
    with pytest.raises(StoppedError, match=r"^Given up after 0.01 s: ask for less, or start"):
        job.result()


def test_what_is_being_done_ends_with_the_app() -> None:
    worker = Worker(LIMIT)
    job = worker.start(counted)
    next(job.watch())
    worker.close()
    with pytest.raises(StoppedError):
        job.result()


def test_an_error_of_the_work_is_that_of_the_result() -> None:
    def work(_: Job[int, int]) -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        Worker(LIMIT).start(work).result()


def test_a_page_that_asks_again_stops_what_it_had_asked(tmp_path: Path) -> None:
    worker, session = Worker(LIMIT), Sessions(tmp_path).find("a")
    first = worker.start(counted)
    session.begin(first)
    second = worker.start(lambda _: "second")
    session.begin(second)
    assert second.result() == "second"
    with pytest.raises(StoppedError):
        first.result()


def test_sessions_are_told_apart_and_end_with_their_files(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    first, second = sessions.find("../../a"), sessions.find("b")
    assert sessions.find("../../a") is first
    assert first.folder != second.folder
    assert first.folder.parent == tmp_path
    first.folder.mkdir()
    sessions.end("../../a")
    assert not first.folder.exists()
    assert sessions.find("../../a") is not first


def test_folders_of_sessions_cannot_be_guessed(tmp_path: Path) -> None:
    """Gradio gives whatever lies in its folder to whoever knows the path."""
    first, second = (Sessions(tmp_path).find("a").folder for _ in range(2))
    assert first != second
    assert len(first.name) >= 32


def test_the_oldest_session_goes_when_there_are_too_many(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    first = sessions.find("0")
    first.folder.mkdir()
    for number in range(1, MOST_SESSIONS + 1):
        sessions.find(str(number))
    assert not first.folder.exists()


def test_of_a_defect_only_the_terminal_is_told_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence_of(KeyError("secret")) == DEFECT
    assert "KeyError: 'secret'" in capsys.readouterr().err


def test_a_known_error_is_said_in_a_sentence() -> None:
    assert sentence_of(ValueError("the \u202efile is gone")) == "The \\u202efile is gone"
