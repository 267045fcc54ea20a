"""The app's server: what it refuses to begin with, whom it answers, and what its page may do."""

import socket
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from app_models import make_models, save_pair
from gradio.queueing import Queue
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tiny import SHORT

from viewing.app import serve
from viewing.app.completing import Asked, CompletionTab
from viewing.app.examples import NOTHING
from viewing.app.guard import POLICY, Guard
from viewing.app.jobs import Worker
from viewing.app.models import Models, unique_names
from viewing.app.options import AppOptions
from viewing.app.serve import listen
from viewing.app.sessions import Sessions


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"), SHORT)


def test_a_port_in_use_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    gpt, tokenizer = save_pair(tmp_path, SHORT)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused("app", "--gpt", gpt, "--tokenizer", tokenizer, "--port", port)
    assert said == f"secondsight: --port {port} is in use by another program: give another, or 0 for one that is free"


def test_the_app_listens_on_this_machine_alone() -> None:
    with listen(0) as server:
        assert server.getsockname()[0] == "127.0.0.1"


def test_nobody_else_gets_the_port_while_models_are_loaded() -> None:
    with listen(0) as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=f"--port {port} is in use by another program"):
            listen(port)


def test_without_gradio_it_is_said_how_to_install_it(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpt, tokenizer = save_pair(tmp_path, SHORT)
    monkeypatch.setattr(serve, "find_spec", lambda _: None)
    said = refused("app", "--gpt", gpt, "--tokenizer", tokenizer)
    assert said == (
        "secondsight: the app needs the package gradio: pip install '.[app]' in the folder of Secondsight's source"
    )


@pytest.mark.parametrize(
    ("gpts", "tokenizers", "said"),
    [
        (0, 1, "--gpt takes one model, or 2 to compare, not 0"),
        (3, 3, "--gpt takes one model, or 2 to compare, not 3"),
        (1, 2, "--tokenizer names 2 for 1 of --gpt"),
    ],
)
def test_models_must_be_one_or_two_with_their_tokenizers(gpts: int, tokenizers: int, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        AppOptions(gpt=(Path("a"),) * gpts, tokenizer=(Path("b"),) * tokenizers)


def test_one_tokenizer_is_enough_for_two_models() -> None:
    options = AppOptions(gpt=(Path("a"), Path("b")), tokenizer=(Path("c"),))
    assert options.pairs == [(Path("a"), Path("c")), (Path("b"), Path("c"))]


def test_models_of_the_same_name_are_told_apart() -> None:
    assert unique_names([Path("runs/a"), Path("b")]) == ["a", "b"]
    assert unique_names([Path("/home/me/x/final"), Path("/home/me/y/final")]) == ["1: final", "2: final"]


def test_a_model_in_the_working_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert unique_names([Path(), Path("../here")]) == ["1: here", "2: here"]


HOSTS = ("127.0.0.1:7860", "localhost:7860")


def asked(host: str, hosts: Collection[str] | None = HOSTS, **headers: str) -> tuple[int, dict[str, str]]:
    """The status of an answer to a request under a name, and its headers."""
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"), methods=["GET", "POST"])])
    answer = TestClient(Guard(app, hosts)).post("/", headers={"Host": host, **headers})
    return answer.status_code, dict(answer.headers)


def test_requests_under_another_name_are_refused() -> None:
    assert asked("127.0.0.1:7860")[0] == asked("localhost:7860")[0] == 200
    assert asked("evil.example")[0] == asked("127.0.0.1:7861")[0] == 403


def test_requests_of_pages_of_other_servers_are_refused() -> None:
    """A browser sends an upload to anybody without asking first; it says only whose page sends it."""
    assert asked(HOSTS[0], Origin="http://127.0.0.1:7860")[0] == 200
    assert asked(HOSTS[0], Origin="https://evil.example")[0] == 403
    assert asked(HOSTS[0], Origin="http://127.0.0.1:7861")[0] == 403
    assert asked(HOSTS[0], Origin="null")[0] == 403


def test_an_exported_app_answers_under_any_name() -> None:
    assert asked("somebody.example", hosts=None, Origin="https://somebody.example")[0] == 200


def test_pages_may_ask_this_server_alone() -> None:
    assert asked("127.0.0.1:7860")[1]["content-security-policy"] == POLICY
    assert "http" not in POLICY


def test_what_cannot_be_asked_is_refused_in_a_sentence(models: Models, tmp_path: Path) -> None:
    name = models.pairs[0].name
    tab = CompletionTab(models, {name: []}, Sessions(tmp_path), Worker(1.0))
    session = tab.sessions.find("a")
    good = Asked(name, NOTHING.name, "none", 1, 2, 1.0, 0, 1.0, 0.0, 3)
    assert tab.question(good, session).seed == 3
    for changes, said in (
        ({"n": 9}, "there can be 1 to 8 continuations, not 9"),
        ({"seed": None}, "a field is empty"),
        ({"seed": -1}, "seed"),
        ({"temperature": -1.0}, "temperature"),
        ({"kind": "rows"}, "rows cannot be given of this"),
        ({"model": "other"}, "there is no such model"),
        ({"example": "other"}, "there is no such example"),
    ):
        with pytest.raises(ValueError, match=said):
            tab.question(good._replace(**changes), session)


def test_gradio_can_be_told_how_often_to_look_for_work() -> None:
    """Guards the setting, which has no public name: under another it would do nothing."""
    assert "sleep_when_free" in Queue.__init__.__code__.co_names
