"""Text from Jinja templates that lie beside the code that fills them: pages, scripts, model cards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render_template(package_file: Path, name: str, /, *, html: bool, shared: Sequence[Path] = (), **values: Any) -> str:
    """Return the text of a template.

    Args:
        package_file: the caller's `__file__`, beside which the template lies.
        name: of the template's file.
        html: whether it makes HTML, in which values are escaped. In other text a line break behind a block
            (`{% ... %}`) is left out, and the one at the end of the file is kept.
        shared: folders with templates that this one imports, looked into after the caller's own.
        values: what the template names.

    Raises:
        jinja2.TemplateNotFound: the template, or one that it imports, is not there.
        jinja2.UndefinedError: the template names something that is not among the values.
    """
    return _environment((package_file.parent, *shared), html).get_template(name).render(values)


@cache
def _environment(folders: tuple[Path, ...], html: bool) -> Environment:
    """Return what reads the templates of folders, and keeps them: some are filled several times a second."""
    return Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=html,
        trim_blocks=not html,
        keep_trailing_newline=not html,
    )
