"""How long the stages of a long run take."""

import json
from pathlib import Path

import pytest

from experiments.stopwatch import Stopwatch


def test_time_of_a_stopped_stage_counts(tmp_path: Path) -> None:
    (tmp_path / "seconds.json").write_text('{"gpt": 100.0}')
    stage = Stopwatch(tmp_path / "seconds.json")
    with pytest.raises(KeyboardInterrupt), stage("gpt"):
        raise KeyboardInterrupt
    assert json.loads((tmp_path / "seconds.json").read_text())["gpt"] >= 100.0
