"""The parser and the help of a command, which tyro makes of its options. Imports no torch."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import MISSING, make_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro

from storage.field_docs import field_docs
from storage.options import Leaf, Options, leaves, number_type, presets_of, value_at
from storage.terminal import visible, visible_lines

WITH_COMMAS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
"""A number whose commas set off thousands, as 1,000."""
WITH_POINT = re.compile(r"[+-]?\d+,\d+", re.ASCII)
"""A number whose comma stands for a point, as 0,5."""
PLAIN = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
METAVARS = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}


def call_tyro(kind: Any, program: str, words: Sequence[str], description: str | None = None) -> Any:
    """Return the instance of a type that words stand for; its help is in colours, unless NO_COLOR asks for none."""
    with ExitStack() as context:
        escapes = any(visible(word) != word for word in words)
        if escapes or os.environ.get("NO_COLOR"):
            context.enter_context(_plain_terminal())
        if escapes:
            context.enter_context(_visible_errors())
        return tyro.cli(
            kind, prog=program, args=list(words), description=description, config=(tyro.conf.OmitArgPrefixes,)
        )


def check_numbers(kind: type[Options], words: Sequence[str]) -> None:
    """Refuse numbers with a sign of per cent or with commas, and say how they are written.

    Raises:
        ValueError: a word behind an option that takes numbers is such a one.
    """
    types = {leaf.flag: number_type(leaf.annotation) for leaf in leaves(kind).values()}
    flag = ""
    for given in words:
        named, _, value = given.partition("=")
        flag, word = (named, value) if given.startswith("--") else (flag, given)
        plain = _as_written(word, types.get(flag) is float) if types.get(flag) else word
        if plain != word:
            raise ValueError(f"{flag} {word}: numbers have no commas and no sign of per cent: write {plain}")


def _as_written(word: str, may_have_point: bool) -> str:
    """Return how a number with commas or a sign of per cent is written; a word that is no such number as it is."""
    number = word.removesuffix("%").rstrip()
    zero = number.partition(",")[0].strip("+-0") == ""
    if may_have_point and WITH_POINT.fullmatch(number) and (zero or not WITH_COMMAS.fullmatch(number)):
        number = number.replace(",", ".")
    elif WITH_COMMAS.fullmatch(number):
        number = number.replace(",", "")
    if not PLAIN.fullmatch(number):
        return word
    return f"{number}, or as a share {float(number) / 100:g}" if word.endswith("%") else number


@contextmanager
def _visible_errors() -> Iterator[None]:
    """Have what tyro says of words, which it quotes as they are, shown without the characters that a terminal obeys."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    finally:
        sys.stderr.write(visible_lines(said.getvalue()))


@contextmanager
def _plain_terminal() -> Iterator[None]:
    """Have tyro, which knows nothing of NO_COLOR, take the terminal for one that has no colours."""
    kind = os.environ.get("TERM")
    os.environ["TERM"] = "dumb"
    try:
        yield
    finally:
        os.environ.pop("TERM")
        if kind is not None:
            os.environ["TERM"] = kind


def parser_type(kind: type[Options], defaults: Mapping[str, Any]) -> type:
    """Return a dataclass with a field for each option, from which tyro makes a parser and its help.

    Required options come first, then the others of the command itself, then those of each nested class under a heading.
    """
    own = [leaf for leaf in leaves(kind).values() if len(leaf.path) == 1]
    fields: list[Any] = [_parser_field(leaf, defaults[leaf.name]) for leaf in own if defaults[leaf.name] is MISSING]
    fields += _sources_of_defaults(kind)
    fields += [_parser_field(leaf, defaults[leaf.name]) for leaf in own if defaults[leaf.name] is not MISSING]
    for group in dict.fromkeys(leaf.path[0] for leaf in leaves(kind).values() if len(leaf.path) > 1):
        nested = of_group(kind, group)
        made = make_dataclass(group, [_parser_field(leaf, defaults[leaf.name]) for leaf in nested])
        made.__doc__ = nested[0].owner.__doc__
        fields.append((group, made, dataclasses.field(default_factory=made)))
    parser = make_dataclass("options", fields, kw_only=True)
    parser.__doc__ = kind.__doc__
    return parser


def flatten(parsed: Any, known: Mapping[str, Leaf]) -> dict[str, Any]:
    """Return the values of all options by name."""
    return {
        name: value_at(parsed, leaf.path if len(leaf.path) == 1 else (leaf.path[0], name))
        for name, leaf in known.items()
    }


def of_group(kind: type[Options], field: str) -> list[Leaf]:
    """Return the options that stand in the group which a field of an options class holds."""
    return [leaf for leaf in leaves(kind).values() if leaf.path[0] == field and len(leaf.path) > 1]


def _sources_of_defaults(kind: type[Options]) -> list[Any]:
    """Return the fields for `--preset` and `--config`, which give other options their values."""
    fields: list[Any] = []
    presets = presets_of(kind)
    if presets:
        default = next(field.default for field in dataclasses.fields(kind) if field.name == presets[0])
        name = next(name for name, preset in presets[1].items() if preset == default)
        sizes = [f"{each}: {preset.describe()}" for each, preset in presets[1].items()]
        words = tyro.conf.arg(
            help="\n".join(["Architecture, which the options below change.", *sizes]),
            metavar="NAME",
            help_behavior_hint=f"\n(default: {name})",
        )
        fields.append(("preset", Annotated[(Literal[(*presets[1],)], words)], name))
    if kind.takes_config:
        words = tyro.conf.arg(
            help="config.json of another run of this command, whose options are taken unless given here.",
            metavar="PATH",
            help_behavior_hint="",
        )
        fields.append(("config", Annotated[Path | None, words], None))
    return fields


def _parser_field(leaf: Leaf, default: Any) -> Any:
    help_text = field_docs(leaf.owner).get(leaf.name, "")
    metavar = _metavar(leaf.annotation)
    words = tyro.conf.arg(help=help_text, metavar=metavar, help_behavior_hint=_hint(default))
    kind: Any = Annotated[(leaf.annotation, words)]
    if leaf.metadata.get("positional"):
        kind = Annotated[(kind, tyro.conf.Positional)]
    return (leaf.name, kind) if default is MISSING else (leaf.name, kind, dataclasses.field(default=default))


def _metavar(annotation: Any) -> str | None:
    """Return what stands for a value in help; None where tyro says it best."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin in (Union, UnionType):
        kinds = [_metavar(each) for each in arguments if each is not NoneType]
        return "|".join(filter(None, kinds)) or None
    if origin is tuple:
        each = _metavar(arguments[0])
        return f"{each} [{each} ...]" if each and arguments[-1] is Ellipsis else None
    if origin is Literal:
        return f"{{{','.join(map(str, arguments))}}}"
    return METAVARS.get(annotation)


def _hint(default: Any) -> str:
    """Return what help says of a default."""
    if default is MISSING:
        return "(required)"
    if default is None or default == () or default == "":
        return ""
    text = " ".join(str(part) for part in _words_of(default)) if isinstance(default, tuple) else str(default)
    return f"(default: {text.lower() if isinstance(default, bool) else text})"


def _words_of(value: Any) -> list[Any]:
    return [word for part in value for word in _words_of(part)] if isinstance(value, tuple) else [value]
