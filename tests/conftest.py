"""What all tests share."""

from pathlib import Path

import pytest
import torch
from hypothesis import settings
from media import make_video
from tiny import SHORT, make_tokenizer

# The models of the tests are so small that threads would only wait for each other.
torch.set_num_threads(1)

# No test may fail because the machine is busy, nor pass today and fail tomorrow.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


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
