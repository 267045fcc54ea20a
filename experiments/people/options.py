"""What the test for people can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from data.inputs import check_stimuli
from storage.options import LARGEST_SEED, MANY, Options, about, option

LAGS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Lags with the spacing of Brady et al. (2008, PNAS 105:14325), powers of two; 1 is immediately after."""
LARGEST_PORT = 65_535
TEXT_SUFFIXES = (".html", ".htm", ".md", ".txt")

Kind = Literal["2afc", "continuous"]


def check_text(path: Path) -> None:
    """Refuse a file that cannot be a text for participants.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no HTML, Markdown or plain text, by its name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: --consent and --debriefing are texts for participants")
    if path.suffix.lower() not in TEXT_SUFFIXES:
        raise ValueError(f"{path} must be a text for participants: {', '.join(TEXT_SUFFIXES)}")


def check_task(folder: Path) -> None:
    """Refuse a folder that `memory task` did not make.

    Raises:
        FileNotFoundError: it holds no task.
    """
    if not (folder / "task.json").is_file():
        raise FileNotFoundError(f"{folder} holds no task.json: make a test with `secondsight memory task`")


@dataclass(frozen=True)
class TaskOptions(Options):
    """Make the recognition test of a list for people: a page that opens from disk and from any web host."""

    command = "memory task"
    example = "secondsight memory task --stimuli LIST --fillers 40 --out runs/task"

    out: Path = field(metadata=about(identity="none"))
    """Folder for the page and all it needs; it must be empty or new."""
    stimuli: Path = field(metadata=about(must_hold=check_stimuli))
    """Folder of the list, in the study/test layout."""
    task: Kind = "2afc"
    """`2afc`: study, then a choice between a studied picture and a foil; `continuous`: each picture is judged new or
    seen before, in one stream."""
    fillers: int | None = option(None, at_least=0, at_most=MANY)
    """Studied images that are not tested; all of them if not given."""
    exclude_defects: bool = False
    """Leave out what is wrong with a list instead of refusing it; listed in defects.csv."""
    show: float = option(3.0, above=0, at_most=600)
    """Seconds that a picture is studied."""
    blank: float = option(0.8, at_least=0, at_most=600)
    """Seconds between two pictures that are studied."""
    limit: float | None = option(None, above=0, at_most=600)
    """Seconds within which a choice must be made; without one, people take their time."""
    repeats: float | None = option(None, at_least=0, at_most=1)
    """Share of the pictures that are shown twice: by default 0.16 while people study, who are to detect them, and 0.5
    in the continuous task. What is tested later is never repeated."""
    lags: tuple[int, ...] = option(LAGS, at_least=1, at_most=MANY)
    """Pictures from the first showing of a repeated picture to the second, 1 being immediately after; those beyond half
    of the stream are left out."""
    feedback: bool = True
    """Say of every answer in the stream whether it was right; in the test nothing is said."""
    break_every: int = option(250, at_least=1, at_most=MANY)
    """Pictures, or choices, from one break to the next."""
    image_size: int = option(400, at_least=16, at_most=4096)
    """Longer side of every picture on the screen, in CSS pixels; smaller where the screen is."""
    orders: int = option(100, at_least=1, at_most=100_000)
    """Random orders that are prepared; each participant gets one of them."""
    seed: int = option(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of the orders."""
    consent: Path | None = option(None, must_hold=check_text)
    """What people agree to, as .html, .md or .txt; without one, a form to fill in is written: consent.html."""
    debriefing: Path | None = option(None, must_hold=check_text)
    """What they read at the end, likewise; without one, debriefing.html is to be filled in."""
    post: str = ""
    """Address to which answers are sent at every break and at the end; without one, people save them as a file."""
    cdn: bool = False
    """Load jsPsych from jsdelivr.net, its content checked, instead of from the folder."""

    def check(self) -> None:
        """Check the address and the lags.

        Raises:
            ValueError: answers would go through the net unencrypted, the address is none, or there are no lags.
        """
        if not self.lags or len(set(self.lags)) < len(self.lags):
            raise ValueError("--lags needs at least one lag, each once, such as 1 2 4 8")
        if self.post:
            _check_address(self.post)


@dataclass(frozen=True)
class ServeOptions(Options):
    """Show a test to people on this machine, and collect their answers in its folder; Ctrl-C ends it."""

    command = "memory serve"
    example = "secondsight memory serve runs/task"

    folder: Path = field(metadata=about(positional=True, must_hold=check_task))
    """Folder that `secondsight memory task` made; answers go into its folder responses."""
    port: int = option(8000, at_least=0, at_most=LARGEST_PORT)
    """Port on 127.0.0.1, which no other machine reaches; 0 takes one that is free."""


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"--post {address!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host or any(each in address for each in " \t\r\n'\";,<>\\"):
        raise ValueError(f"--post {address!r} must be an address such as https://lab.example/answers")
    if parts.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError(f"--post {address!r} would send answers unencrypted: give an https address")
