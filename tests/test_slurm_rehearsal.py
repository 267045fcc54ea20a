"""A sweep as jobs that are interrupted five times ends with the same tables as without jobs.

`benchmarks/rehearse_slurm.py` does the same with a study.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked_program import forked_program
from memory_lists import make_list
from slurm_rehearsal import check_same, logs, rehearse

pytestmark = [
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
    pytest.mark.skipif(
        "SECONDSIGHT_REHEARSE" not in os.environ,
        reason="beside other work its short jobs end before they are interrupted: SECONDSIGHT_REHEARSE=1 runs it",
    ),
    pytest.mark.timeout(900),  # many processes, which wait for one another where others compute, too
]
SWEEP = "--stimuli list --presets demo --batches 1 2 --colours 8 --size 4 --exposures 10 --learning-rates 3e-3"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with forked_program(tmp_path_factory.mktemp("program")) as path:
        yield path


def test_a_sweep_that_is_interrupted_five_times_ends_with_the_same_tables(program: Path, tmp_path: Path) -> None:
    slurm = rehearse(
        program,
        tmp_path,
        f"memory sweep {SWEEP} --save-every 1",
        lambda folder: make_list(folder / "list", items=1, fillers=0),
        "cells/*/runs/*/state/checkpoints/*",
    )
    assert {job.state for job in slurm.jobs} == {"COMPLETED"}, logs(slurm)
    report = [program, "memory", "report", "out", "--out", "out/report"]
    subprocess.run(report, cwd=tmp_path / "whole", check=True, capture_output=True, timeout=600)
    check_same(tmp_path)
