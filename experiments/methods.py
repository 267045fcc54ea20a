"""Methods in words: sentences about each run, said once where the runs agree, and per run where they differ."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.pages import Section
from storage.files import write_text
from storage.options import Options, leaves, value_at
from storage.terminal import visible
from training.figures import shown_formats

Facts = Mapping[str, str]
"""Sentences about a run, by what they are about."""

WIDTH = 100
"""Characters of a line of methods.txt."""
PACKAGES = {"secondsight": "Secondsight", "torch": "PyTorch", "numpy": "NumPy"}
"""How packages are called in a sentence; others by their own names."""


def compose(by_run: Mapping[str, Facts]) -> list[str]:
    """Return paragraphs on runs: one of what all have in common, then one for each thing in which they differ.

    Args:
        by_run: the sentences on each run, by its name; runs with the same sentence on one thing are named together.
    """
    common: list[str] = []
    differing: list[str] = []
    for topic in dict.fromkeys(topic for facts in by_run.values() for topic in facts):
        names: dict[str, list[str]] = {}
        for name, facts in by_run.items():
            names.setdefault(facts.get(topic, ""), []).append(name)
        if len(names) == 1:
            common += names
        else:
            differing.append(" ".join(f"{listed(runs)}: {said}" for said, runs in names.items() if said))
    begin = ["In what follows the runs differ."] if differing else []
    return [*([" ".join(common)] if common else []), *begin, *differing]


def methods_section(
    out: Path, paragraphs: Sequence[str], source: str = "the options and versions that the runs recorded"
) -> Section:
    """Write `out/methods.txt`, without markup, and return the section of the page that says the same.

    Args:
        out: folder of the page.
        paragraphs: of the text.
        source: from what it was written.
    """
    bare = [visible(paragraph.replace("`", "")) for paragraph in paragraphs]
    plain = [textwrap.fill(paragraph, WIDTH, break_on_hyphens=False) for paragraph in bare]
    write_text(out / "methods.txt", "\n\n".join(plain) + "\n")
    drawn = " and ".join(f".{ending}" for ending in shown_formats() if ending != "png")
    plots = f"Every plot of this page lies beside it as {drawn}, and " if drawn else ""
    note = (
        f"Written from {source}; methods.txt has the same text. {plots}codebook.csv says what the columns of the "
        "tables are."
    )
    return Section("Methods", "\n\n".join([*paragraphs, note]))


def software(run: Path) -> str:
    """Return a sentence on the versions that the `environment.json` of a run names."""
    path = run / "environment.json"
    if not path.exists():
        return "The versions of the software are not recorded."
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    packages = {name: version for name, version in known["packages"].items() if version}
    named = [f"{PACKAGES.get(name, name)} {version}" for name, version in packages.items()]
    if known.get("commit") and named:
        named[0] += f" (commit {known['commit'][:10]})"
    hub = ", ".join(f"{name} (commit {commit})" for name, commit in known.get("hub", {}).items())
    models = f" Models were taken from the Hugging Face hub: {hub}." if hub else ""
    return f"Software: {', '.join([*named, 'Python ' + known['python']])}; device: {known['device']}.{models}"


def further_options(options: Options, worded: frozenset[str]) -> str:
    """Return a sentence on the options that tell runs apart, have not their default, and are in no other sentence.

    Args:
        options: of a run.
        worded: names of the options that other sentences are about.
    """
    others = [
        f"`{leaf.flag} {describe(value)}`"
        for name, leaf in leaves(type(options)).items()
        if leaf.identity != "none" and name not in worded
        if (value := value_at(options, leaf.path)) != leaf.default
    ]
    return f"Further options were {listed(others)}." if others else ""


def describe(value: Any) -> str:
    """Return the value of an option in words."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def listed(words: Sequence[str]) -> str:
    """Return words with commas between them, and `and` before the last."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
