"""Some of the attempts of which `benchmarks/damage_test.py` makes a thousand; and its judge finds what is a fault."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CLASSES = ("pickles", "safetensors", "models", "configs", "yaml", "runs", "states", "stores", "tars", "tables")
CLASSES += ("options", "names", "publish")
EACH = 2
"""Attempts of each class."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


SCRIPT = """
import runpy, sys, tempfile
from pathlib import Path
del sys.argv[0]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
tempfile.tempdir = None  # the process that this one is forked from may know another
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_alone(python: tuple[str, ...], folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run a script in a process of its own: it forks, which one that has threads should not."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    command = [*python, "-c", SCRIPT, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def damaged(python: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """What some attempts of every class came to."""
    folder = tmp_path_factory.mktemp("damage")
    ended = run_alone(
        python, folder, ROOT / "benchmarks" / "damage_test.py", "--cases", EACH * len(CLASSES), "--seed", 0
    )
    assert re.search(rf"^{EACH * len(CLASSES)} attempts in ", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr
    assert not list(folder.iterdir())
    return ended


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", CLASSES)
def test_damage_is_refused_or_said(kind: str, damaged: "subprocess.CompletedProcess[str]") -> None:
    tried = re.search(rf"^{kind} +([0-9]+) ", damaged.stdout, re.MULTILINE)
    assert tried is not None
    assert int(tried[1]) == EACH
    assert f"--only {kind} " not in damaged.stdout, damaged.stdout


@pytest.mark.timeout(600)
def test_all_classes_are_tried(damaged: "subprocess.CompletedProcess[str]") -> None:
    table = damaged.stdout.split("\nall ")[0].splitlines()
    assert [line.split()[0] for line in table if not line.startswith("class ")] == list(CLASSES)
    assert damaged.returncode == 0, damaged.stdout


@pytest.fixture(scope="module")
def judged(python: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The kinds of fault that are found with processes that do what no command may."""
    folder = tmp_path_factory.mktemp("judged")
    ended = run_alone(python, folder, ROOT / "tests" / "judged_processes.py", folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize(
    ("deed", "faults"),
    [
        ("behave", []),
        ("refuse", []),
        ("give_another_result_and_say_so", []),
        ("write_outside", ["write"]),
        ("fail_with_a_traceback", ["traceback"]),
        ("give_another_result", ["silent"]),
        ("run_a_program", ["code"]),
        ("ask_the_network", ["network", "traceback"]),
        ("wait_for_ever", ["time"]),
        ("refuse_with_another_code", ["exit code"]),
        ("refuse_in_many_words", ["lines"]),
        ("leave_something_unfinished", ["unfinished"]),
    ],
)
def test_the_judge_finds_faults_and_nothing_else(deed: str, faults: list[str], judged: Any) -> None:
    assert judged[deed] == faults
