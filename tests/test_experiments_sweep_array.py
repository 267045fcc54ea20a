"""Scripts of a sweep mean the sweep, whatever its folders are called: to Slurm, to bash, and to the program."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import secondsight
from experiments.memory.options import MemoryOptions, SweepOptions
from experiments.memory.sweep import sweep_cells
from experiments.memory.sweep_array import write_array

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")

HOSTILE = [
    "a b",
    'a"b',
    "a'b",
    "$(touch harm)",
    "`touch harm`",
    "a;touch harm",
    "%a",
    "%%j",
    "-x",
    "#x",
    "*",
    "~",
    "!x",
]
NAMES = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="/\0\\", exclude_categories=["C", "Zl", "Zp", "Zs"]), min_size=1, max_size=8
).filter(lambda name: name not in (".", "..") and "packjob" not in name.lower())


def make_door(folder: Path) -> Path:
    """A program that writes down its arguments and does nothing else."""
    door = folder / "door"
    door.write_text(f"#!/bin/bash\nprintf '%s\\0' \"$@\" > '{folder}/said'\n")
    door.chmod(0o755)
    return door


def make_cells(out: Path, stimuli: Path) -> list[MemoryOptions]:
    """Two cells over one list."""
    return sweep_cells(SweepOptions.of(out=out, stimuli=(stimuli,), presets=("tiny",), batches=(1, 2)))


def directives(script: Path) -> dict[str, str]:
    """The options that Slurm reads in a script.

    By its rules: one argument a line; quotes of both kinds group, a backslash takes the next character as it stands, an
    unquoted # begins a comment.
    """
    found = {}
    for line in script.read_text(encoding="utf-8").split("\n"):
        if line.startswith("#SBATCH"):
            name, _, value = _argument(line.removeprefix("#SBATCH").strip()).partition("=")
            found[name] = value
    return found


def _argument(line: str) -> str:
    word, quote, escaped = "", "", False
    for character in line:
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = True
        elif quote:
            word, quote = (word, "") if character == quote else (word + character, quote)
        elif character in "\"'":
            quote = character
        elif character == "#" or character.isspace():
            break
        else:
            word += character
    return word


@needs_bash
@given(name=NAMES, stimuli=NAMES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_task_carries_out_its_cell_and_nothing_else(
    name: str, stimuli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / name / "sweep"
    cells = make_cells(out, Path(stimuli))
    script = write_array(cells, out, make_door(tmp_path))
    subprocess.run([str(BASH), script], check=True, env={"SLURM_ARRAY_TASK_ID": "1", "PATH": "/usr/bin:/bin"})
    words = (tmp_path / "said").read_bytes().decode().split("\0")[:-1]
    assert secondsight.parse(words) == cells[1]
    assert not list(tmp_path.rglob("harm"))


@given(name=NAMES, folder=NAMES)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slurm_reads_the_folders_as_they_are(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / folder
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    read = directives(write_array(make_cells(Path(name), Path("list")), Path(name)))
    assert read["--chdir"] == str(here)
    assert read["--output"] == f"{str(here / name).replace('%', '%%')}/logs/%a.log"
    assert read["--array"] == "0-1"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\nb", "a character that cannot be printed"),
        ("a\x1bb", "a character that cannot be printed"),
        ("a\\b", "a backslash"),
        ("Packjob", "the word packjob"),
    ],
)
def test_a_folder_that_slurm_cannot_be_told_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, reason: str
) -> None:
    out = tmp_path / name
    with pytest.raises(ValueError, match=rf"--out .* has {reason}, which no line of a Slurm script can name") as error:
        write_array(make_cells(out, Path("list")), out)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@needs_bash
def test_a_list_of_any_name_stays_on_its_line(tmp_path: Path) -> None:
    cells = make_cells(tmp_path / "out", Path("a\nb"))[:1]
    cells = [cells[0].changed(out=tmp_path / "cell")]
    script = write_array(cells, tmp_path / "out", make_door(tmp_path))
    assert len((tmp_path / "out" / "cells.txt").read_text().splitlines()) == 1
    subprocess.run([str(BASH), script], check=True, env={"SLURM_ARRAY_TASK_ID": "0", "PATH": "/usr/bin:/bin"})
    words = (tmp_path / "said").read_bytes().decode().split("\0")[:-1]
    assert secondsight.parse(words) == cells[0]
