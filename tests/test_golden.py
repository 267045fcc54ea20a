"""Tiny seeded runs give the recorded results; `golden.py` says how to record them anew."""

import json
from pathlib import Path

import pytest
from golden import RECORDED, RUNS


@pytest.mark.parametrize("run", RUNS)
def test_results_are_those_recorded(run: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))[run]
    # The demo takes long; in the folder of a finished one it only finds what is there.
    found = RUNS[run](request.getfixturevalue("finished_demo") if run == "demo_summary" else tmp_path)
    assert found.keys() == recorded.keys()
    for name, values in found.items():
        assert values == pytest.approx(recorded[name], rel=1e-5, abs=1e-5), name
