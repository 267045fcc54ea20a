"""The page of `data look` as a file: what its policy allows, and that names of others stay text."""

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from look_pages import make_contents

from viewing.look import page as page_module
from viewing.look.contents import Contents
from viewing.look.page import SCRIPTS, page_script, write_page

HOSTILE = "</script><script>top.executed = 1</script><!--<b>&amp; {{ 7 * 7 }} \u202egnp.\u2028"
WEB = Path(page_module.__file__).parent / "web"


def written(folder: Path, contents: Contents) -> str:
    return write_page(folder, contents).read_text(encoding="utf-8")


def policy(page: str) -> str:
    (found,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    return html.unescape(found)


def scripts(page: str) -> list[tuple[str, str]]:
    """Attributes and contents of all scripts of a page, as a browser finds their ends."""
    return re.findall("<script([^>]*)>(.*?)</script>", page, flags=re.DOTALL)


@pytest.fixture
def page(tmp_path: Path) -> str:
    return written(tmp_path, make_contents(10))


def test_the_page_holds_its_contents(page: str) -> None:
    (data,) = (text for attributes, text in scripts(page) if "application/json" in attributes)
    assert json.loads(data) == json.loads(make_contents(10).to_json())


def test_the_policy_lets_the_pages_own_script_run(page: str) -> None:
    (script,) = (text for attributes, text in scripts(page) if not attributes)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' 'self' file:;" in policy(page)


def test_the_policy_lets_nothing_be_fetched_from_elsewhere(page: str) -> None:
    assert policy(page).startswith("default-src 'none';")
    assert not re.search(r"http|\*|unsafe-eval|connect-src", policy(page))


@pytest.mark.parametrize("place", ["title", "name", "header", "note", "skipped", "choice"])
def test_names_of_others_end_no_script_and_begin_no_element(place: str, tmp_path: Path) -> None:
    contents = make_contents(3)
    word = replace(contents.words[0], choices=(HOSTILE, "b"))
    changed = {
        "title": replace(contents, title=HOSTILE),
        "name": replace(contents, names=(HOSTILE, *contents.names[1:])),
        "header": replace(contents, header=((HOSTILE, HOSTILE),)),
        "note": replace(contents, notes=(HOSTILE,)),
        "skipped": replace(contents, skipped=((HOSTILE, HOSTILE),)),
        "choice": replace(contents, words=(word,)),
    }[place]
    page = written(tmp_path, changed)
    assert len(scripts(page)) == 2
    assert "<b>" not in page
    assert "\u202e" not in page


def test_a_page_without_a_training_has_no_view_of_it(page: str) -> None:
    assert "view-training" not in page


def test_every_part_of_the_script_is_in_the_page() -> None:
    assert sorted(SCRIPTS) == sorted(path.stem for path in WEB.glob("*.js"))
    assert all((WEB / f"{name}.js").read_text(encoding="utf-8").strip() in page_script() for name in SCRIPTS)


def test_the_page_asks_for_nothing_by_itself(page: str) -> None:
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:,"]
