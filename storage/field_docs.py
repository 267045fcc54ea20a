"""The sentences under the fields of dataclasses: help of options, and what the columns of tables mean."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap

_DOCS: dict[type, dict[str, str]] = {}


def field_docs(cls: type) -> dict[str, str]:
    """Return the sentence under each field of a dataclass, on one line, those of the classes it derives from too."""
    if cls not in _DOCS:
        owners = [owner for owner in reversed(cls.__mro__) if dataclasses.is_dataclass(owner)]
        _DOCS[cls] = {name: text for owner in owners for name, text in _own_docs(owner).items()}
    return _DOCS[cls]


def _own_docs(cls: type) -> dict[str, str]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    docs = {}
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            docs[statement.target.id] = " ".join(str(following.value.value).split())
    return docs
