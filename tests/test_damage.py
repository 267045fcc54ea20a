"""A short damage test: a few attempts of every class, as `benchmarks/damage_test.py` makes a thousand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.timeout(600)
def test_damage_of_every_class_is_refused_or_said(tmp_path: Path) -> None:
    """In a process of its own: it forks, which one that has threads should not."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path), "PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, BENCHMARKS / "damage_test.py", "--cases", "26", "--seed", "0"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^26 attempts in \d+ s, 0 with faults$", ended.stdout, re.MULTILINE)
    assert not list(tmp_path.iterdir())
