"""The page of files: every table that is written is explained there, column by column."""

from __future__ import annotations

import ast
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from secondsight import COMMANDS
from storage.field_docs import field_docs
from storage.options import leaves

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
from written_files import WRITTEN, files_page  # noqa: E402

ROOMS = ("data", "vqgan", "gpt", "sampling", "experiments", "viewing", "release", "starter")
KINDS = {file.fields for files in WRITTEN.values() for file in files if file.fields is not None}


def _written_kinds() -> set[str]:
    """Return the names of the classes that are given to `write_rows` anywhere."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    kinds = [call.args[2] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "write_rows"]
    return {kind.id for kind in kinds if isinstance(kind, ast.Name) and kind.id[0].isupper()}


def test_every_table_that_is_written_is_on_the_page() -> None:
    written = _written_kinds()
    assert len(written) > 10
    assert written - {kind.__name__ for kind in KINDS} == set()


@pytest.mark.parametrize("kind", sorted(KINDS, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_column_has_its_sentence(kind: type) -> None:
    docs = field_docs(kind)
    assert [field.name for field in fields(kind) if not docs.get(field.name)] == []


def test_the_page_names_every_command_that_writes_a_folder() -> None:
    writing = {name for name, (kind, _) in COMMANDS.items() if "out" in leaves(kind)}
    assert writing - {name for names in WRITTEN for name in names.split(", ")} == set()


def test_the_page_shows_every_file_and_column() -> None:
    page = files_page()
    names = [file.name for files in WRITTEN.values() for file in files]
    columns = [field.name for kind in KINDS for field in fields(kind)]
    assert [name for name in names + columns if f"`{name}`" not in page] == []
