"""`memory task`: the recognition test of a list for people, as a folder that any browser opens.

index.html             the page; its words stand in it
consent.html, debriefing.html   what people agree to, and what they read at the end
list.js, orders/, images/       what is shown
collector.js           where answers go
lib/                   jsPsych and its plugins, from npm
task.json              what it was made of and with
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data.skipping import describe_skipped, write_skipped
from data.stimuli.lists import StimulusList, read_stimuli, write_manifest
from experiments.people.options import TaskOptions
from experiments.people.task.content import Design, RepeatRow, describe_list, write_orders, write_script
from experiments.people.task.libraries import CDN, Library, install_libraries, write_libraries
from experiments.people.task.pictures import place_pictures
from experiments.people.task.plan import Plan
from experiments.people.task.texts import CONSENT, DEBRIEFING, has_gaps, write_text_page
from storage.command import command_line
from storage.files import to_json, write_text
from storage.tables import write_rows
from storage.templates import render_template
from storage.unfinished import replacing
from training.progress import count, say_done, say_found

PAGE = Path(__file__).parent / "page"
"""Folder of our own scripts and styles."""
BEFORE = ("list.js", "collector.js", "records.js")
AFTER = ("trials.js", "task.js")
"""Scripts of the page that are loaded before jsPsych, and after it."""
SECONDS_A_CHOICE = 4
"""For how long the test is said to take: about as long as people take for a choice."""


@dataclass(frozen=True)
class Script:
    """A script that the page loads."""

    source: str
    integrity: str = ""
    """What its content is checked against, where it comes from elsewhere."""


def make_task(options: TaskOptions) -> None:
    """Make the task that `options` ask for in `options.out`.

    Raises:
        FileExistsError: `out` holds something already.
        FileNotFoundError: npm is not installed.
        StimulusError: the list has defects.
        ValueError: npm could not install jsPsych, or a text is no UTF-8.
    """
    if options.out.exists() and any(options.out.iterdir()):
        raise FileExistsError(
            f"{options.out} is not empty: choose another --out (texts that you have written there can be taken over "
            "with --consent and --debriefing)"
        )
    with replacing(options.out, command_line(options)) as folder:
        design = read_design(options)
        write_task(folder, design, install_libraries(folder))
        gaps = [name for name in (CONSENT, DEBRIEFING) if has_gaps(folder, name)]
    if gaps:
        say_found(to_fill_in=", ".join(str(options.out / name) for name in gaps))
    say_done(options.out, "secondsight memory serve", options.out)


def read_design(options: TaskOptions) -> Design:
    """Read the list, and say what will be shown of it.

    Raises:
        StimulusError: the list has defects.
    """
    stimuli = read_stimuli(options.stimuli, options.exclude_defects)
    if options.fillers is not None:
        stimuli = stimuli.with_fillers(options.fillers)
    versions = {"as_given": stimuli}
    swapped = stimuli.counterbalanced()
    if swapped is not None:
        versions["swapped"] = swapped
    name = options.stimuli.name or options.stimuli.resolve().name
    design = Design(name, versions, options)
    _say_design(design)
    return design


def write_task(folder: Path, design: Design, libraries: Sequence[Library]) -> None:
    """Write the task of a design into an empty folder.

    Args:
        folder: to be filled.
        design: the list, and how it is shown.
        libraries: jsPsych and its plugins, in the order in which the page loads them.
    """
    options = design.options
    names = place_pictures(design.given.root, design.images.values(), folder / "images")
    said = describe_list(design, names)
    first = write_orders(design, folder / "orders")
    write_script(folder / "list.js", "list", said)
    write_script(folder / "collector.js", "collector", options.post)
    for path in PAGE.iterdir():
        shutil.copyfile(path, folder / path.name)
    if not options.cdn:
        write_libraries(folder, list(libraries))
    write_text_page(folder, CONSENT, options.consent)
    write_text_page(folder, DEBRIEFING, options.debriefing)
    _write_page(folder, design, first, libraries)
    _write_lists(folder, design.given, first)
    size = _script_bytes(folder, libraries)
    write_text(folder / "task.json", to_json(_record(said, design, libraries, size)) + "\n")
    of_others = sum(len(each.content) for each in libraries)
    say_found(
        stream=f"{len(first.stream):,} pictures, of which {sum(lag > 0 for lag in first.lags):,} are repeats",
        scripts=f"{size / 1000:.0f} kB in all, of which jsPsych {of_others / 1000:.0f}",
    )


def _say_design(design: Design) -> None:
    stimuli = design.given
    conditions = Counter(trial.condition for trial in stimuli.trials)
    trials = ", ".join(f"{number:,} {condition}" for condition, number in sorted(conditions.items()))
    lags = ", ".join(map(str, design.repeats)) or "none: no picture may be repeated (--fillers, --repeats)"
    left_out = sorted(set(design.options.lags) - design.repeats.keys())
    beyond = f"; none at {', '.join(map(str, left_out))}" if design.repeats and left_out else ""
    say_found(
        list=f"{count(len(stimuli.study), 'studied image')}" + (f"; trials: {trials}" if design.tested else ""),
        versions="as given, and with studied images and foils swapped" if len(design.versions) > 1 else "as given only",
        lags=f"{lags}{beyond}",
        skipped=describe_skipped(stimuli.skipped),
        defects=f"{count(len(stimuli.defects), 'defect')}, left out (see defects.csv)" if stimuli.defects else "none",
    )


def _write_page(folder: Path, design: Design, plan: Plan, libraries: Sequence[Library]) -> None:
    options = design.options
    seconds = len(plan.stream) * (options.show + options.blank) + len(plan.trials) * SECONDS_A_CHOICE
    loaded = [Script(each.address, each.integrity) if options.cdn else Script(each.path) for each in libraries]
    page = render_template(
        Path(__file__),
        "index.html.j2",
        html=True,
        policy=_policy(options),
        scripts=[*map(Script, BEFORE), *loaded, *map(Script, AFTER)],
        minutes=count(math.ceil(seconds / 60), "minute"),
        shown=f"{len(plan.stream):,}",
        repeated=any(plan.lags),
        tested=f"{design.tested:,}" if design.tested else "",
        seconds=f"{options.show:g}",
        post=options.post,
    )
    write_text(folder / "index.html", page)


def _policy(options: TaskOptions) -> str:
    """Return what the page may load, and whom it may tell."""
    scripts = f"'self' {CDN}" if options.cdn else "'self'"
    address = urlsplit(options.post)
    told = f"'self' {address.scheme}://{address.netloc}" if options.post else "'self'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        f"connect-src {told}; frame-src 'self'; base-uri 'none'; form-action 'none'"
    )


def _write_lists(folder: Path, stimuli: StimulusList, plan: Plan) -> None:
    """Write what is studied and tested, in the tables of `memory run`, and how often repeats come."""
    write_manifest(stimuli, folder)
    write_skipped(folder / "skipped.csv", stimuli.skipped)
    by_lag = Counter(lag for lag in plan.lags if lag)
    write_rows(folder / "repeats.csv", [RepeatRow(lag, by_lag[lag]) for lag in sorted(by_lag)], RepeatRow)


def _script_bytes(folder: Path, libraries: Sequence[Library]) -> int:
    """Return the bytes of all scripts that a participant's browser loads, wherever they lie."""
    own = [*BEFORE, *AFTER, "orders/000000.js"]
    return sum((folder / name).stat().st_size for name in own) + sum(len(each.content) for each in libraries)


def _record(said: dict[str, Any], design: Design, libraries: Sequence[Library], size: int) -> dict[str, Any]:
    return {
        "id": said["id"],
        "command": _public_command(design),
        "list": design.name,
        "task": design.options.task,
        "versions": list(design.versions),
        "orders": design.options.orders,
        "seed": design.options.seed,
        "settings": said["settings"],
        "repeats": said["repeats"],
        "libraries": {each.name: {"version": each.version, "integrity": each.integrity} for each in libraries},
        "script_bytes": size,
    }


def _public_command(design: Design) -> str:
    """Return the command with names in place of paths: the folder is made to be put on the web."""
    options = design.options
    paths = {name: getattr(options, name) for name in ("out", "consent", "debriefing")}
    names = {name: Path(path.resolve().name) for name, path in paths.items() if path is not None}
    return command_line(options.changed(stimuli=Path(design.name), **names))
