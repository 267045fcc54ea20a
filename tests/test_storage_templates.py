"""Templates are filled from beside the code that fills them."""

from pathlib import Path

import jinja2
import pytest

from storage.templates import render_template


def fill(folder: Path, template: str, *, html: bool, **values: object) -> str:
    (folder / "text.j2").write_text(template)
    return render_template(folder / "code.py", "text.j2", html=html, **values)


def test_values_are_escaped_in_html_only(tmp_path: Path) -> None:
    assert fill(tmp_path, "{{ title }}", html=True, title="<b>&") == "&lt;b&gt;&amp;"
    assert fill(tmp_path, "{{ title }}", html=False, title="<b>&") == "<b>&"


@pytest.mark.parametrize("html", [True, False])
def test_what_is_missing_is_an_error(tmp_path: Path, html: bool) -> None:
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        fill(tmp_path, "{{ title }}", html=html)


def test_text_keeps_its_lines_and_those_of_blocks_leave_none(tmp_path: Path) -> None:
    assert fill(tmp_path, "{% if True %}\nline\n{% endif %}\nend\n", html=False) == "line\nend\n"


def test_html_keeps_line_breaks_but_the_last(tmp_path: Path) -> None:
    assert fill(tmp_path, "{% if True %}\nline\n{% endif %}\nend\n", html=True) == "\nline\n\nend"


def test_a_value_may_have_any_name(tmp_path: Path) -> None:
    assert fill(tmp_path, "{{ name }} {{ package_file }}", html=False, name="a", package_file="b") == "a b"


def test_what_is_shared_is_found_after_what_lies_beside(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "parts.j2").write_text("{% macro own() %}shared{% endmacro %}")
    (shared / "text.j2").write_text("hidden by the one beside")
    (tmp_path / "text.j2").write_text('{% import "parts.j2" as parts %}{{ parts.own() }}')
    assert render_template(tmp_path / "code.py", "text.j2", html=True, shared=(shared,)) == "shared"
