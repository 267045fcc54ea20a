"""The batch scripts pass on folders and options as they are, whatever they are called."""

import shutil
import subprocess
from pathlib import Path

import pytest

import secondsight
from gpt.options import TrainOptions
from vqgan.options import TrainOptions as TokenizerTrainOptions

BASH = shutil.which("bash")
SCRIPTS = Path(__file__).parent.parent / "slurm"
NAMES = ["a b", "$(touch harm)", "-x", "a'b\"c", "a;touch harm", "*"]

pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")


def make_program(path: Path, text: str) -> None:
    """A program in bash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def words_told(script: str, folder: Path, arguments: list[str], **variables: str) -> list[str]:
    """What a script has the launcher tell `secondsight`, in a folder where there is no Slurm."""
    make_program(folder / "bin" / "srun", 'while [[ $1 = --* ]]; do shift; done; exec "$@"')
    make_program(folder / "bin" / "scontrol", "echo node")
    make_program(folder / ".venv" / "bin" / "accelerate", "printf '%s\\0' \"$@\" > said")
    environment = {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_NODELIST": "node",
        "SLURM_NODEID": "0",
        "SLURM_NNODES": "1",
    }
    subprocess.run(
        [str(BASH), SCRIPTS / script, *arguments], cwd=folder, env={**environment, **variables}, check=True, timeout=60
    )
    words = (folder / "said").read_bytes().decode().split("\0")[:-1]
    return words[words.index(".venv/bin/secondsight") + 1 :]


@pytest.mark.parametrize("name", NAMES)
def test_a_gpt_is_trained_where_it_was_asked_for(name: str, tmp_path: Path) -> None:
    words = words_told("train_gpt.sbatch", tmp_path, ["--seed", "3"], TOKENS=name, RUN=f"{name}/run")
    assert secondsight.parse(words) == TrainOptions.of(tokens=Path(name), out=Path(name, "run"), seed=3, resume="auto")
    assert not list(tmp_path.glob("harm"))


@pytest.mark.parametrize("name", NAMES)
def test_a_tokenizer_is_trained_where_it_was_asked_for(name: str, tmp_path: Path) -> None:
    words = words_told("train_tokenizer.sbatch", tmp_path, ["--seed", "3"], DATA=name, RUN=f"{name}/run")
    assert secondsight.parse(words) == TokenizerTrainOptions.of(
        data=Path(name), out=Path(name, "run"), seed=3, resume="auto", workers=7
    )
    assert not list(tmp_path.glob("harm"))
