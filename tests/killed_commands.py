"""Commands that are killed just before one of their files appears under its name."""

import os
import subprocess
from pathlib import Path

RUN = """
import os, signal, sys

end = sys.argv[1]

def kill(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(end):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
import secondsight
secondsight.main(sys.argv[2:])
"""


def run_until(python: tuple[str, ...], appears: str, *words: object) -> None:
    """Run a command, which is killed before the file whose path ends so appears."""
    command = [*python, "-c", RUN, appears, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # as in the process of the tests: bits depend on it
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -9, ended.stderr
