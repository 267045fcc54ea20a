"""What all pages share: who made them, what a browser may load for them, and their looks (`page_parts.html.j2`).

A template imports the parts by name, wherever it lies, if it is filled by `render_page`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from storage.command import command_line
from storage.config_file import OF_ONE_RUN
from storage.options import Options, leaves, value_at
from storage.templates import render_template
from storage.terminal import visible

OUT = Path("OUT")
"""Stands in a page's command for the folder that was written: a page is the same in whatever folder it lies."""
FINGERPRINT_DIGITS = 8
"""Of a fingerprint, as many as tell models apart at a glance; records hold all of them."""
MOST_NAMED = 6
"""Models and seeds that a header names; more are counted, and the tables beside the page have them all."""
NO_SETTINGS = frozenset({"seed", *OF_ONE_RUN})
"""Options that are no settings: the seed has a line of its own, the others say where a page is, not what."""
BESIDE = "'self' file:"
"""Addresses of the files beside a page, on a server and in a folder."""
Media = Literal["inside", "beside"]


@dataclass(frozen=True)
class Fact:
    """One line of a page's header."""

    name: str
    value: str
    code: bool = False
    """Whether it is to be typed: a command."""


def facts_of(options: Options, *, left_out: Sequence[str] = (), **facts: str) -> tuple[Fact, ...]:
    """Return the header of a page: what was looked at, how, and the command that makes the page again.

    Args:
        options: of the command that writes the page. Its seed is a line, and what has not its default, nor is a path,
            are the settings, unless `facts` has lines of that name.
        left_out: names of options that change nothing on the page, which is the same whatever they are.
        facts: the first lines by name, in their order; an underscore stands for a space. Empty ones are left out.

    Raises:
        KeyError: there is no option that is to be left out.
    """
    defaults = {name: leaves(type(options))[name].default for name in left_out}
    asked = options.changed(out=OUT, **defaults)
    seed = asked.flat().get("seed")
    lines = {**facts, "seed": facts.get("seed") or ("" if seed is None else str(seed))}
    lines["settings"] = facts.get("settings") or ", ".join(_settings(asked))
    known = [Fact(name.replace("_", " "), visible(value)) for name, value in lines.items() if value]
    return (*known, *_command(asked))


def named(names: Sequence[str]) -> str:
    """Return names for a header: all of a few, of many the first and how many there are."""
    shown = list(dict.fromkeys(names))
    more = [f"and {len(shown) - MOST_NAMED:,} more"] if len(shown) > MOST_NAMED else []
    return ", ".join([*shown[:MOST_NAMED], *more])


def with_fingerprint(name: object, fingerprint: str) -> str:
    """Return a model's name with the beginning of its fingerprint, if it has one."""
    return f"{name} ({fingerprint[:FINGERPRINT_DIGITS]})" if fingerprint else str(name)


def page_policy(*scripts: str, media: Media = "inside", chunks: bool = False) -> str:
    """Return the Content-Security-Policy of a page: what its browser may run and load, and nothing else.

    Args:
        scripts: inside the page, that may run, letter by letter.
        media: whether images and videos are inside the page, or files beside it.
        chunks: whether scripts that are files beside the page may run too.
    """
    digests = [f"'sha256-{_digest(script)}'" for script in scripts]
    may_run = [*digests, *([BESIDE] if chunks else [])]
    loaded = "data:" if media == "inside" else f"{BESIDE} data:"
    script_rule = [f"script-src {' '.join(may_run)}"] if may_run else []
    rules = [
        "default-src 'none'",
        *script_rule,
        "style-src 'unsafe-inline'",
        f"img-src {loaded}",
        f"media-src {loaded}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(rules)


def inline_scripts(package_file: Path, name: str) -> list[str]:
    """Return what stands between `<script>` and `</script>` of a template, as its page holds it."""
    text = package_file.with_name(name).read_text(encoding="utf-8")
    return re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)


def render_page(package_file: Path, name: str, /, **values: Any) -> str:
    """Return the HTML of a page from the template beside the caller, which may import `page_parts.html.j2`.

    Args:
        package_file: the caller's `__file__`.
        name: of the template's file.
        values: what the template names.
    """
    return render_template(package_file, name, html=True, shared=(Path(__file__).parent,), **values)


def _command(options: Options) -> Iterator[Fact]:
    """Yield what to type; nothing where a text cannot be typed, for which nobody should lose a page."""
    try:
        yield Fact("command", command_line(options), code=True)
    except ValueError:
        return


def _settings(options: Options) -> Iterator[str]:
    """Yield the options that are neither their default nor a path, as they are typed, without dashes."""
    for name, leaf in leaves(type(options)).items():
        value = value_at(options, leaf.path)
        if name not in NO_SETTINGS and value != leaf.default and not _is_path(value):
            said = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            yield f"{leaf.flag.removeprefix('--')} {said}"


def _is_path(value: object) -> bool:
    return isinstance(value, Path) or (isinstance(value, tuple) and any(map(_is_path, value)))


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
