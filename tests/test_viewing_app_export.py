"""The exported app: a folder that holds all it needs, nothing of this machine, and answers from any folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from app_models import save_pair
from tiny import SHORT

from gpt.model import GPT
from storage.options import OptionError
from viewing.app.export import export_space, requirements
from viewing.app.options import AppOptions
from vqgan.model import load_tokenizer

CARD = "---\nlibrary_name: secondsight\nlicense: cc-by-4.0\n---\n\n# A card\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A GPT and its tokenizer, in folders with cards, and with something that is nobody's business."""
    gpt, tokenizer = save_pair(tmp_path_factory.mktemp("private"), SHORT)
    (gpt / "README.md").write_text(CARD)
    (gpt / "LICENSE").write_text("of the weights")
    (gpt / "token.txt").write_text("hf_secret")
    (gpt / "training_state").mkdir()
    return gpt, tokenizer


@pytest.fixture(scope="module")
def space(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported app."""
    gpt, tokenizer = pair
    out = tmp_path_factory.mktemp("exported") / "space"
    return export_space(AppOptions(gpt=(gpt,), tokenizer=(tokenizer,), export="space", out=out))


def test_models_are_the_same_with_their_cards_and_nothing_else(pair: tuple[Path, Path], space: Path) -> None:
    folder = space / "models" / "gpt"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    model = {"config.json", "model.safetensors"}
    assert names == model | {f"tokenizer/{name}" for name in model} | {"README.md", "LICENSE"}
    gpt, tokenizer = GPT.from_pretrained(folder), load_tokenizer(folder / "tokenizer")
    assert gpt.config == GPT.from_pretrained(pair[0]).config
    assert tokenizer.fingerprint == load_tokenizer(pair[1]).fingerprint


def test_nothing_tells_of_this_machine(pair: tuple[Path, Path], space: Path) -> None:
    here = {str(pair[0].parent), str(space.parent), str(Path(sys.prefix)), str(Path(__file__).parents[1]), "hf_secret"}
    for path in space.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(place.encode() in content for place in here), path
    assert not list(space.rglob("direct_url.json"))
    assert not list(space.rglob("__pycache__"))


def test_the_card_says_what_a_space_needs(space: Path) -> None:
    card = (space / "README.md").read_text()
    front = dict(line.split(": ", 1) for line in card.split("---\n")[1].splitlines())
    assert front["sdk"] == "gradio"
    assert front["sdk_version"] == version("gradio")
    assert front["app_file"] == "app.py"
    assert front["license"] == "cc-by-4.0"


def test_every_requirement_is_pinned_to_what_is_installed(space: Path) -> None:
    lines = (space / "requirements.txt").read_text().splitlines()
    pins = dict(re.fullmatch(r"([\w.-]+)==([\w.]+)(?:;.*)?", line).groups() for line in lines)  # type: ignore[union-attr]
    assert pins["gradio"] == version("gradio")
    assert pins["torch"] == version("torch").partition("+")[0]
    assert "pymunk" in pins
    assert "resmem" not in pins
    assert lines == list(requirements(distribution("secondsight")))


def test_it_answers_from_any_folder_with_its_own_program(space: Path, tmp_path: Path) -> None:
    page = space / "secondsight" / "viewing" / "app" / "pages.py"
    page.write_text(page.read_text().replace('TITLE = "Secondsight"', 'TITLE = "The exported one"'))
    own = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": "0", "TMPDIR": str(tmp_path)}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(space / "app.py")]
    with subprocess.Popen(command, cwd=tmp_path, env=environment | own, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(found[0] for line in process.stdout if (found := re.search(r"http://127\S+", line)))
            with urllib.request.urlopen(address) as answer:
                assert "The exported one" in answer.read().decode()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(200)
    assert not list(tmp_path.glob("secondsight-app-*"))


def test_a_folder_with_something_in_it_is_kept(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="give a new folder"):
        export_space(AppOptions(gpt=(pair[0],), tokenizer=(pair[1],), export="space", out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"export": "space"}, "--export and --out belong together"),
        ({"out": Path("x")}, "--export and --out belong together"),
        ({"export": "space", "out": Path("x"), "input": (Path("films"),)}, "leave --input out"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises((ValueError, OptionError), match=said):
        AppOptions.of(gpt=(Path("a"),), tokenizer=(Path("b"),), **options)
