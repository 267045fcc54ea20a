"""What all tests share."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from forked_program import SCRIPT, forked_program
from hypothesis import settings
from media import make_video
from tiny import SHORT, make_tokenizer

import secondsight
from training.figures import ENDINGS

# Hundreds of tiny models are trained, and to draw the curves of one takes longer than to train it. Of figures that
# pages show there is the PNG; `drawn_as` of `figure_files.py` has the others written where they are the question.
os.environ[ENDINGS] = "none"

if TYPE_CHECKING:
    from browsing import Chromium

# The models of the tests are so small that threads would only wait for each other.
torch.set_num_threads(1)

# No test may fail because the machine is busy, nor pass today and fail tomorrow.
# As the examples are the same every time, more of them would be more of the same.
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    # Libraries and the tests themselves are millions of objects that stay: looking through them again and again for
    # what can be freed would take a sixteenth of the time of the tests.
    gc.freeze()
    if "trainer" in sys.modules:
        sys.modules["trainer"].start_server()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the videos of a module."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """40 frames at 8 per second in one group of pictures with B-frames."""
    return make_video(folder / "plain.mp4")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a tiny tokenizer of clips."""
    model = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(SHORT).save_pretrained(model)
    return model


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The first words of commands that start at once, having imported everything; see `forked_program.py`."""
    with forked_program(tmp_path_factory.mktemp("python")) as program:
        yield (sys.executable, "-S", SCRIPT, str(program.with_name("socket")))


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Chromium]":
    """A headless browser."""
    from browsing import running_chromium  # here: most tests need neither a browser nor what drives it

    with running_chromium() as running:
        yield running


@pytest.fixture(scope="session")
def axe_script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, from npm."""
    from axe import install_axe

    return install_axe(tmp_path_factory.getbasetemp() / "axe")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs a command, which must fail, and returns what it says last."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stop:
            secondsight.main([str(argument) for argument in arguments])
        assert stop.value.code == 1
        return capsys.readouterr().err.splitlines()[-1]

    return run
