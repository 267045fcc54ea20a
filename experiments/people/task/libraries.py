"""jsPsych from npm: installed by npm itself, in the versions that the task was written for, without running scripts.

Of each package one file is taken, which stands in the task's folder below `lib/`, or is loaded from a network that
mirrors npm and must have the same content (subresource integrity, https://www.w3.org/TR/SRI/).
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from storage.files import to_json, write_text

PACKAGES: Mapping[str, str] = {
    "jspsych": "8.3.0",
    "@jspsych/plugin-html-button-response": "2.1.0",
    "@jspsych/plugin-preload": "2.1.0",
}
"""Names on npm, with versions. jsPsych: de Leeuw, Gilbert and Luchterhandt (2023), doi 10.21105/joss.05351; MIT."""
FILE = "dist/index.browser.min.js"
CDN = "https://cdn.jsdelivr.net"
PATIENCE = 600.0
"""Seconds after which npm is taken to hang."""


@dataclass(frozen=True)
class Library:
    """The file of a package that a page loads."""

    name: str
    """Of the package on npm."""
    version: str
    licence: str
    homepage: str
    content: bytes

    @property
    def path(self) -> str:
        """Of the file in the task's folder."""
        return f"lib/{self.name.removeprefix('@').replace('/', '-')}.js"

    @property
    def address(self) -> str:
        """Of the same file on a network that mirrors npm."""
        return f"{CDN}/npm/{self.name}@{self.version}/{FILE}"

    @property
    def integrity(self) -> str:
        """What a browser checks its content against."""
        return f"sha384-{base64.b64encode(hashlib.sha384(self.content).digest()).decode('ascii')}"


def install_libraries(folder: Path) -> list[Library]:
    """Have npm install the packages, and return what pages load of them, in the order in which they do.

    Args:
        folder: gets npm's package.json and package-lock.json, which say what was installed.

    Raises:
        FileNotFoundError: npm is not installed.
        ValueError: npm could not install them.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(
            "jsPsych is installed with npm, which is not there: install Node.js (https://nodejs.org; Debian: apt-get "
            "install npm) and try again"
        )
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_text(
            work / "package.json",
            to_json({"name": "memory-task", "private": True, "dependencies": dict(PACKAGES)}) + "\n",
        )
        _install(npm, work)
        for file in ("package.json", "package-lock.json"):
            shutil.copyfile(work / file, folder / file)
        return [_read_library(work / "node_modules" / package, package) for package in PACKAGES]


def write_libraries(folder: Path, libraries: list[Library]) -> None:
    """Write the files, and whose they are, below `folder`/lib."""
    lines = ["These files are the work of others, as npm has them:", ""]
    for library in libraries:
        (folder / library.path).parent.mkdir(exist_ok=True)
        (folder / library.path).write_bytes(library.content)
        whose = f"{library.name} {library.version}, licence {library.licence}, {library.homepage}"
        lines.append(f"{Path(library.path).name}: {whose}")
    write_text(folder / "lib" / "README.txt", "\n".join([*lines, ""]))


def _install(npm: str, folder: Path) -> None:
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
    # The lock file goes public: a laboratory's own mirror of npm is not named in it.
    command.append("--omit-lockfile-registry-resolved")
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"npm has not installed jsPsych within {PATIENCE:.0f} s: is there a network?") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise ValueError(f"npm could not install jsPsych: {' '.join(said[:3]) or 'it did not say why'}")


def _read_library(package: Path, name: str) -> Library:
    said = json.loads((package / "package.json").read_text(encoding="utf-8"))
    return Library(
        name=name,
        version=said["version"],
        licence=str(said.get("license", "not stated")),
        homepage=str(said.get("homepage", "")),
        content=(package / FILE).read_bytes(),
    )
