#!/usr/bin/env bash
# tyro 1.0.17: help on a terminal is coloured although NO_COLOR is set.
#
# Guess: a program that sets colours leaves them out where NO_COLOR is set and not empty (https://no-color.org), as rich
# does, with which tyro printed its help before version 1.
# Behaviour: tyro 1.0.17 prints help by code of its own. On a terminal it writes the same 100 escape sequences with and
# without NO_COLOR, and none with TERM=dumb.
# Output seen, Python 3.11 on Linux:
#     plain 100
#     NO_COLOR=1 100
#     TERM=dumb 0
# TERM=dumb around the call is a way to leave colours out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tyro==1.0.17

cat >"$folder/program.py" <<'PYTHON'
import tyro


def main(frames: int = 16) -> None:
    """Print nothing.

    Args:
        frames: Frames of a clip.
    """


tyro.cli(main)
PYTHON

cat >"$folder/count.py" <<'PYTHON'
import os
import pty
import sys


def escapes(program: str, **environment: str) -> int:
    """Return how many escape sequences the help of a program has on a terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, [sys.executable, program, "--help"], {**os.environ, **environment})
    output = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # on Linux the end of a terminal is an error
            break
        if not piece:
            break
        output += piece
    os.waitpid(process, 0)
    return output.count(b"\x1b[")


os.environ.pop("NO_COLOR", None)
os.environ["TERM"] = "xterm-256color"
plain = escapes(sys.argv[1])
without = escapes(sys.argv[1], NO_COLOR="1")
dumb = escapes(sys.argv[1], TERM="dumb")
print(f"plain {plain}\nNO_COLOR=1 {without}\nTERM=dumb {dumb}")
sys.exit(not (plain > 0 and without == plain and dumb == 0))
PYTHON
"$folder/venv/bin/python" "$folder/count.py" "$folder/program.py"
