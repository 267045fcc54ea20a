"""Tiny seeded runs give the recorded results; `golden.py` says how to record them anew."""

from pathlib import Path

import pytest
from golden import RUNS, check


# The demo takes long: its figures are compared where a finished one is at hand, in test_experiments_demo.py.
@pytest.mark.parametrize("run", sorted(RUNS.keys() - {"demo_summary"}))
def test_results_are_those_recorded(run: str, tmp_path: Path) -> None:
    check(run, RUNS[run](tmp_path))
