"""axe-core, which finds what people with disabilities could not use on a page: from npm, once for all tests."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from browser import REQUIRED

AXE = "axe-core@4.14.1"
UNREACHABLE = re.compile(
    r"E(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|HOSTUNREACH|NETUNREACH|RR_SOCKET_TIMEOUT)"
)
"""How npm says that it has not reached its registry."""


def npm() -> str:
    """The program to run; without one the test is skipped, or fails where browsers are required."""
    found = shutil.which("npm")
    if found is None and os.environ.get(REQUIRED):
        pytest.fail(f"npm is not installed, and {REQUIRED} is set")
    if found is None:
        pytest.skip("needs npm, which is not installed (Debian: apt-get install npm)")
    return found


def without_registry(said: str) -> None:
    """Skip the test if npm said that its registry cannot be reached; other complaints are the caller's."""
    if UNREACHABLE.search(said) and not os.environ.get(REQUIRED):
        pytest.skip(f"needs the registry of npm, which cannot be reached: {said[:200]}")


def install_axe(folder: Path) -> str:
    """The script that defines `axe`.

    Args:
        folder: for npm; what is there already is not installed again.
    """
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder.mkdir(exist_ok=True)
        command = [npm(), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), AXE]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(folder)
            without_registry(done.stderr)
            pytest.fail(done.stderr)
    return script.read_text(encoding="utf-8")


def look_script(axe: str) -> str:
    """The body of an asynchronous function that returns what axe-core finds wrong with what is on the screen."""
    frames = json.dumps({"iframes": False})
    return (
        f"{axe}; const {{violations}} = await axe.run(document, {frames});"
        "return violations.map((each) => `${each.id}: ${each.nodes[0].html.slice(0, 200)}`);"
    )
