"""Signals set a flag and nothing else, and the scripts that send them are sound."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from training.stopping import SIGNALS, Stopping, ignore_signals

SCRIPTS = sorted((Path(__file__).parent.parent / "slurm").glob("*.sbatch"))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_the_step_goes_on(number: int) -> None:
    with Stopping() as stopping:
        assert not stopping.agreed()
        os.kill(os.getpid(), number)
        assert stopping.agreed()


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Stopping():
        os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_who_presses_ctrl_c_twice_does_not_wait() -> None:
    with Stopping():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_saved_run_ends_well_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit) as left:
            stopping.leave(7, visible=True)
    assert left.value.code == 0
    said = "Stopped by SIGTERM after step 7, which is saved: --resume auto continues\n"
    assert capsys.readouterr().err == said


def test_readers_ignore_signals() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        ignore_signals(0)
        for number in SIGNALS:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_batch_scripts_can_be_read_by_the_shell(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


def test_there_is_a_batch_script_for_trainings_and_one_for_the_rest() -> None:
    assert [script.name for script in SCRIPTS] == ["run.sbatch", "train.sbatch"]
