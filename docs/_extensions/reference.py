"""The reference pages that are made of the code itself: commands, presets, tables and the Python interface.

They are written into `docs/reference/generated` whenever the documentation is built.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from sphinx.application import Sphinx
from written_files import files_page  # beside this file

import secondsight
from gpt.config import PRESETS as GPTS
from storage.field_docs import field_docs
from storage.options import Leaf, Options, leaves, presets_of
from vqgan.config import PRESETS as TOKENIZERS

ROOMS = ("storage", "training", "data", "vqgan", "gpt", "sampling", "experiments", "viewing", "release", "starter")


def setup(app: Sphinx) -> dict[str, bool]:
    """Have the pages written before Sphinx reads any, and docstrings made fit for it."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", mark_literal_blocks)
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    """Write all pages."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"commands": commands_page(), "presets": presets_page(), "files": files_page()}
    pages |= {f"python_{room}": room_page(room) for room in ROOMS}
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def commands_page() -> str:
    """Return the page of all commands with their options."""
    lines = ["# Commands", "", "Options that have no default must be given.", ""]
    for name, (kind, _) in secondsight.COMMANDS.items():
        lines += [f"## {name}", "", plain(kind.__doc__ or ""), "", "```bash", kind.example, "```", ""]
        lines += [*_option_table(kind), ""]
    return "\n".join(lines)


def _option_table(kind: type[Options]) -> Iterator[str]:
    yield "| option | default | meaning |"
    yield "|---|---|---|"
    presets = presets_of(kind)
    if presets:
        names = ", ".join(f"`{name}`" for name in presets[1])
        yield f"| `--preset NAME` | | One of the [presets](presets.md): {names}. |"
    if kind.takes_config:
        yield "| `--config PATH` | | `config.json` of another run of this command, whose options are taken. |"
    for leaf in leaves(kind).values():
        yield f"| {_flag(leaf)} | {_default(leaf)} | {_meaning(leaf)} |"


def _flag(leaf: Leaf) -> str:
    values = _values(leaf.annotation)
    flag = leaf.name.upper() if leaf.metadata.get("positional") else leaf.flag
    return f"`{flag}{'' if values is None else ' ' + values}`"


def _meaning(leaf: Leaf) -> str:
    text = cell(field_docs(leaf.owner).get(leaf.name, ""))
    choices = _choices(leaf.annotation)
    return f"{text} One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else text


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Return the values of which an option takes one, or some; none if it takes any."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return arguments
    return next((choices for argument in arguments if (choices := _choices(argument))), ())


def _values(annotation: Any) -> str | None:
    """Return what stands behind an option."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is bool:
        return None
    if origin in (Union, UnionType):
        return _values(next(each for each in arguments if each is not NoneType))
    if origin is Literal:
        return "NAME"
    if origin is tuple:
        return f"{_values(arguments[0])} ..."
    return {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}.get(annotation, "")


def _default(leaf: Leaf) -> str:
    if leaf.required:
        return "*required*"
    if leaf.default is None or leaf.default == () or leaf.default == "":
        return ""
    if isinstance(leaf.default, bool):
        return "on" if leaf.default else "off"
    return f"`{' '.join(map(str, leaf.default)) if isinstance(leaf.default, tuple) else leaf.default}`"


def presets_page() -> str:
    """Return the page of all presets."""
    lines = ["# Presets", "", "`--preset NAME` names an architecture; every option of it can be changed beside it.", ""]
    for title, command, presets in (
        ("Tokenizers", "vqgan train", TOKENIZERS),
        ("GPTs", "gpt train", GPTS),
    ):
        lines += [f"## {title} (`{command}`)", "", "| preset | what it is |", "|---|---|"]
        lines += [f"| `{name}` | {preset.describe()} |" for name, preset in presets.items()]
        lines += ["", "What the fields of an architecture mean:", "", "| field | meaning |", "|---|---|"]
        kind = type(next(iter(presets.values())))
        docs = field_docs(kind)
        lines += [f"| `{field.name}` | {cell(docs.get(field.name, ''))} |" for field in dataclasses.fields(kind)]
        lines.append("")
    return "\n".join(lines)


def room_page(room: str) -> str:
    """Return the page of a room: its modules with what they offer."""
    package = importlib.import_module(room)
    names = [room, *(module.name for module in pkgutil.walk_packages(package.__path__, f"{room}."))]
    lines = [f"# {room}", ""]
    for name in names:
        lines += [f"## {name}", "", "```{eval-rst}", f".. automodule:: {name}", "   :members:", "```", ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Return a docstring as one paragraph."""
    return " ".join(text.split())


def cell(text: str) -> str:
    """Return a sentence as the cell of a table."""
    return plain(text).replace("|", "\\|").replace("<", "\\<")


ALIGNED = re.compile(r"\S {2,}\S")


def mark_literal_blocks(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Have indented and column-wise aligned paragraphs of docstrings shown as they are typed."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(_as_literal(paragraph) for paragraph in paragraphs).split("\n")


def skip_foreign(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a module imports from other packages."""
    module = getattr(thing, "__module__", None)
    own = module is None or module.split(".")[0] in (*ROOMS, "secondsight", "builtins")
    return None if own else True


def _as_literal(paragraph: str) -> str:
    rows = paragraph.strip("\n").split("\n")
    if any(row.lstrip().startswith((":", "..", "*", "-")) for row in rows):
        return paragraph
    if all(row.startswith("    ") for row in rows) or any(ALIGNED.search(row) for row in rows):
        return "::\n\n" + "\n".join(f"    {row}" for row in rows)
    return _escape(paragraph)


def _escape(paragraph: str) -> str:
    """Have stars and bars outside of code stand for themselves: they are arithmetic, not markup."""
    pieces = paragraph.split("`")
    pieces[::2] = [re.sub(r"([*|])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)
