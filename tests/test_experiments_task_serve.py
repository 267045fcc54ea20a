"""The server that shows a task and collects answers, asked over real sockets."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_tasks import make_small_task, perfect_answers

from experiments.people.options import ServeOptions
from experiments.people.table import Response, read_responses, write_responses
from experiments.people.task import serve
from experiments.people.task.collecting import Collector, RefusedError, read_task
from experiments.people.task.content import Design
from experiments.people.task.serve import TaskServer, make_server, serve_task
from storage.lock import FolderLock, FolderLockError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Design]:
    return make_small_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def server(made: tuple[Path, Design]) -> Iterator[TaskServer]:
    with make_server(made[0], 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def text_of(rows: list[Response], folder: Path) -> str:
    write_responses(folder / "rows.csv", rows)
    return (folder / "rows.csv").read_text(encoding="utf-8")


def body_of(rows: list[Response], folder: Path, **others: Any) -> bytes:
    said = {"participant": rows[0].participant, "responses": text_of(rows, folder), "record": {"order": 0}}
    return json.dumps({**said, **others}).encode()


def ask(server: TaskServer, method: str, path: str, body: bytes = b"", **headers: str | None) -> tuple[int, bytes]:
    """The status and the content of an answer; headers are those of a page of the server unless others are given."""
    sent = {"Host": server.hosts[0], "Origin": f"http://{server.hosts[0]}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Content-Length": str(len(body)), **sent}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def send(server: TaskServer, body: bytes, **headers: str | None) -> tuple[int, Any]:
    status, content = ask(server, "POST", "/responses", body, **headers)
    return status, json.loads(content)


def test_answers_are_kept_in_a_file_of_the_participant(
    server: TaskServer, made: tuple[Path, Design], tmp_path: Path
) -> None:
    folder, design = made
    rows = perfect_answers(design, "kept", "swapped")
    assert send(server, body_of(rows, tmp_path)) == (200, {"kept": len(rows)})
    assert list(read_responses(folder / "responses" / "kept.csv").rows) == rows
    assert json.loads((folder / "responses" / "kept.json").read_text()) == {"order": 0}


def test_answers_that_go_on_take_the_place_of_those_before(
    server: TaskServer, made: tuple[Path, Design], tmp_path: Path
) -> None:
    folder, design = made
    rows = perfect_answers(design, "more")
    assert send(server, body_of(rows[:5], tmp_path))[0] == 200
    assert send(server, body_of(rows, tmp_path))[0] == 200
    assert send(server, body_of(rows, tmp_path))[0] == 200
    assert len(read_responses(folder / "responses" / "more.csv").rows) == len(rows)


def test_other_answers_of_the_same_participant_are_refused_and_the_first_stay(
    server: TaskServer, made: tuple[Path, Design], tmp_path: Path
) -> None:
    folder, design = made
    first = perfect_answers(design, "twice")
    assert send(server, body_of(first, tmp_path))[0] == 200
    status, said = send(server, body_of(perfect_answers(design, "twice", order=1), tmp_path))
    assert status == 409
    assert "other answers of this participant" in said["error"]
    assert send(server, body_of(first[:3], tmp_path))[0] == 409
    assert list(read_responses(folder / "responses" / "twice.csv").rows) == first


@pytest.mark.parametrize(
    "participant",
    ["", ".", "..", "../up", "a/b", "a\\b", "/etc/passwd", "a b", "a\0", "NUL", "Responses", "x" * 65, "-a", 7, None],
)
def test_a_participant_is_a_code_and_no_path(
    participant: Any, server: TaskServer, made: tuple[Path, Design], tmp_path: Path
) -> None:
    before = sorted(made[0].parent.rglob("*"))
    status, said = send(server, body_of(perfect_answers(made[1], "p"), tmp_path, participant=participant))
    said_so = said["error"].startswith("participant must be a code of letters, digits, - and _")
    assert (status, said_so) == (400, True)
    assert sorted(made[0].parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"list": "another"}, "row 1: list 'another' is not 'list'"),
        ({"participant": "other"}, "row 1: participant 'other' is not p"),
        ({"item": "study/none.png"}, "row 1: item 'study/none.png' is not of the list"),
        ({"task": "continuous"}, "row 1: task 'continuous' is not 2afc or vigilance"),
        ({"correct": 0.0}, "responses, row 1: correct is 0, where"),
        ({"lag": 0}, "responses, row 1: lag 0 must be at least 1"),
    ],
)
def test_answers_to_something_else_are_refused(
    change: dict[str, Any], said: str, server: TaskServer, made: tuple[Path, Design], tmp_path: Path
) -> None:
    first, *others = perfect_answers(made[1], "p")
    rows = [Response(**{**vars(first), **change}), *others]
    status, answer = send(server, body_of(rows, tmp_path, participant="p"))
    assert status == 400
    assert answer["error"].startswith(said)
    assert not (made[0] / "responses" / "p.csv").exists()


def test_a_choice_of_another_condition_is_refused(made: tuple[Path, Design], tmp_path: Path) -> None:
    *others, last = perfect_answers(made[1], "p")
    rows = [*others, Response(**{**vars(last), "condition": "exemplar"})]
    with pytest.raises(RefusedError, match="is not of the list's condition 'exemplar'"):
        Collector(made[0]).keep(body_of(rows, tmp_path))


ANYTHING = st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.just("p") | st.just({})
NAMES = ("participant", "responses", "record")


@given(
    st.binary(max_size=99)
    | ANYTHING.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANYTHING)).map(lambda said: json.dumps(said).encode())
)
@settings(max_examples=100, deadline=None)
def test_whatever_else_is_sent_is_refused(made: tuple[Path, Design], body: bytes) -> None:
    with pytest.raises(RefusedError):
        Collector(made[0]).keep(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"record": ' * 20_000, b"9" * 9_000])
def test_what_no_parser_can_take_is_refused(body: bytes, made: tuple[Path, Design]) -> None:
    with pytest.raises(RefusedError):
        Collector(made[0]).keep(body)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": None}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Length": None}, 411),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "9" * 30}, 413),
        ({"Content_Length": str(serve.LARGEST_BODY + 1)}, 413),
    ],
)
def test_other_pages_cannot_send_and_nobody_too_much(
    headers: dict[str, str | None], status: int, server: TaskServer, made: tuple[Path, Design], tmp_path: Path
) -> None:
    answer, said = send(server, body_of(perfect_answers(made[1], "foreign"), tmp_path), **headers)
    assert answer == status
    assert said["error"]
    assert not (made[0] / "responses" / "foreign.csv").exists()


def test_answers_go_to_their_address_only(server: TaskServer) -> None:
    assert ask(server, "POST", "/index.html")[0] == 404


def test_the_page_is_given_and_told_where_answers_go(server: TaskServer) -> None:
    assert ask(server, "GET", "/")[0] == 200
    assert b'Secondsight.collector = "responses"' in ask(server, "GET", "/collector.js?x=1")[1]
    assert ask(server, "HEAD", "/")[1] == b""


@pytest.mark.parametrize(
    "path",
    [
        "/responses/kept.csv",
        "/responses/kept.json",
        "/task.json",
        "/manifest.csv",
        "/../list/study/filler_0.png",
        "/%2e%2e/list/study/filler_0.png",
        "/..%2flist/study/filler_0.png",
        "//etc/passwd",
        "/images/",
        "/link.png",
        "/%00",
        "/a%0ab",
    ],
)
def test_answers_and_what_lies_elsewhere_are_not_given(
    path: str, server: TaskServer, made: tuple[Path, Design]
) -> None:
    outside = made[0].parent / "list" / "study" / "filler_0.png"
    if not (made[0] / "link.png").is_symlink():
        (made[0] / "link.png").symlink_to(outside)
    assert outside.exists()
    assert ask(server, "GET", path)[0] == 404


def test_a_picture_is_given_to_pages_of_this_server_only(server: TaskServer, made: tuple[Path, Design]) -> None:
    picture = next((made[0] / "images").iterdir())
    assert ask(server, "GET", f"/images/{picture.name}") == (200, picture.read_bytes())
    assert ask(server, "GET", f"/images/{picture.name}", Host="evil.example")[0] == 403


def test_only_this_machine_can_reach_it(server: TaskServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_said(made: tuple[Path, Design]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=re.escape(f"--port {port} is in use by another program: give another")):
            make_server(made[0], port)


def test_two_servers_do_not_collect_into_one_folder(made: tuple[Path, Design]) -> None:
    with FolderLock(made[0] / "responses"), pytest.raises(FolderLockError, match="is being written into by"):
        serve_task(ServeOptions(folder=made[0], port=0))


def test_a_damaged_task_is_named(made: tuple[Path, Design], tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is damaged .*: make the task again"):
        read_task(tmp_path)
