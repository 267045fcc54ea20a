"""The modules of the starters' room on the command line: what cannot be done is said in one line."""

import subprocess
from pathlib import Path

import pytest

CASES = {
    "first_person": (["--maps", "MAP99"], "first_person: freedoom2 has no map 'MAP99': it has MAP01 to MAP32"),
    "colour_study": (["--data", ".", "--held-out", "."], "colour_study: --data and --held-out are both .:"),
    "tokenizer_study": (["--data", ".", "--held-out", "."], "tokenizer_study: --data and --held-out are both .:"),
}
"""Options that ask for what there is not, and how the error begins."""
MODULE = "import runpy, sys; del sys.argv[0]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
"""What `python -m` does."""


@pytest.mark.parametrize("module", CASES)
def test_errors_are_one_line(module: str, tmp_path: Path, python: tuple[str, ...]) -> None:
    words, expected = CASES[module]
    command = [*python, "-c", MODULE, f"starter.{module}", *words, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(expected)
