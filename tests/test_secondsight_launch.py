"""The one door: the console script from any folder, alone and under the launcher."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import SHORT, make_tokenizer, make_videos

from vqgan.encode import encode
from vqgan.options import EncodeOptions

SECONDSIGHT = Path(sys.executable).with_name("secondsight")


LAUNCH = ("--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no")
LAUNCH += ("--dynamo_backend", "no", "--main_process_port", "0")


def done_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Carry out a command in a folder, without a GPU."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer and the tokens of videos in one folder."""
    folder = tmp_path_factory.mktemp("encoded")
    make_tokenizer(SHORT).save_pretrained(folder / "tokenizer")
    encode(EncodeOptions(folder / "tokenizer", make_videos(folder / "videos"), folder / "tokens", workers=0))
    return folder


def training_of(encoded: Path, out: Path, *arguments: str) -> list[str]:
    architecture = ["--layers", "2", "--heads", "2", "--width", "16"]
    schedule = ["--steps", "2", "--batch", "2", "--warmup", "1"]
    return [
        "gpt",
        "train",
        "--tokens",
        str(encoded / "tokens"),
        "--out",
        str(out),
        *architecture,
        *schedule,
        *arguments,
    ]


@pytest.fixture(scope="module", params=[1, 2])
def run_among_namesakes(
    request: pytest.FixtureRequest, encoded: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, Path]:
    """A number of processes, and what they wrote from a folder with files called like our packages."""
    folder = tmp_path_factory.mktemp("namesakes")
    (folder / "data.py").write_text("raise SystemExit('this is not our data')")
    (folder / "training").mkdir()
    (folder / "training" / "__init__.py").write_text("raise SystemExit('this is not our training')")
    training = training_of(encoded, folder / "run", "--sample-every", "1")
    # The console script itself: what it imports from where is the question.
    launcher = (str(SECONDSIGHT.with_name("accelerate")), "launch", *LAUNCH) if request.param > 1 else ()
    done = done_in(folder, *launcher, str(SECONDSIGHT), *training)
    assert done.returncode == 0, done.stderr
    return request.param, folder / "run"


def test_files_of_the_working_folder_are_not_taken_for_ours(run_among_namesakes: tuple[int, Path]) -> None:
    processes, run = run_among_namesakes
    assert (run / "final" / "model.safetensors").exists()
    state = json.loads((run / "checkpoints" / "000002" / "training_state" / "state.json").read_text())
    assert state["processes"] == processes


def test_samples_and_images_of_them_are_written_under_every_launcher(run_among_namesakes: tuple[int, Path]) -> None:
    samples = run_among_namesakes[1] / "samples"
    names = sorted(path.name for path in samples.iterdir())
    assert names == ["000001.npy", "000001.png", "000002.npy", "000002.png"]
    assert np.load(samples / "000002.npy").shape[2:] == (2, 4, 4)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_mistake_is_told_in_one_line_under_every_launcher(
    processes: int, tmp_path: Path, python: tuple[str, ...]
) -> None:
    launcher = (*python, "launch", *LAUNCH, *python[2:]) if processes > 1 else python
    done = done_in(tmp_path, *launcher, "secondsight", "gpt", "train", "--tokens", "nowhere", "--out", "run")
    assert done.returncode != 0
    own = [line for line in done.stderr.splitlines() if line.startswith("secondsight: ")]
    assert set(own) == {
        "secondsight: nowhere is no token store (no metadata.json): write one with `secondsight vqgan encode`"
    }
