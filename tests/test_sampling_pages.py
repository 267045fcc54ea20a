"""What all pages share: their header, and what their browser may load."""

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sampling.options import CompleteOptions
from sampling.pages import Fact, facts_of, inline_scripts, named, page_policy, render_page, with_fingerprint
from storage.options import Options, about

HEAD = '{% import "page_parts.html.j2" as parts %}{% call parts.head(title, "p") %}{% endcall %}{{ parts.made(facts) }}'


def asked(out: str = "runs/out", **more: object) -> CompleteOptions:
    return CompleteOptions.of(gpt=Path("gpt"), tokenizer=Path("tok"), input=(Path("videos"),), out=Path(out), **more)


def values(*facts: Fact) -> dict[str, str]:
    return {fact.name: fact.value for fact in facts}


def test_a_header_names_model_seed_settings_and_the_command() -> None:
    found = facts_of(asked(seed=7, n=2), model="gpt (0123abcd)", made_of="clips")
    assert [fact.name for fact in found] == ["model", "made of", "seed", "settings", "command"]
    assert values(*found)["seed"] == "7"
    assert values(*found)["settings"] == "n 2"
    assert found[-1] == Fact(
        "command",
        "secondsight complete --gpt gpt --tokenizer tok --out OUT --input videos --n 2 --seed 7",
        code=True,
    )


def test_the_header_is_the_same_wherever_the_page_lies() -> None:
    assert facts_of(asked("here")) == facts_of(asked("there", resume="auto"))


def test_what_changes_nothing_is_left_out_of_the_command() -> None:
    assert facts_of(asked(batch=2), left_out=("batch",)) == facts_of(asked())
    assert facts_of(asked(batch=2)) != facts_of(asked())


@dataclass(frozen=True)
class Named(Options):
    """A command with a text."""

    command = "named"
    out: Path = field(metadata=about(identity="none"))
    name: str | None = None


def test_a_page_whose_command_cannot_be_typed_says_the_rest() -> None:
    assert [fact.name for fact in facts_of(Named(Path("out"), "None"), model="gpt")] == ["model", "settings"]
    assert [fact.name for fact in facts_of(Named(Path("out"), "a"))] == ["settings", "command"]


def test_a_name_that_hides_something_is_shown_as_it_is() -> None:
    assert values(*facts_of(asked(), model="a\x1b\u202e"))["model"] == r"a\x1b\u202e"


def test_of_many_names_the_first_are_named_and_all_are_counted() -> None:
    assert named(["a", "b", "a"]) == "a, b"
    assert named([str(number) for number in range(1006)]) == "0, 1, 2, 3, 4, 5, and 1,000 more"


def test_a_model_without_a_fingerprint_has_its_name() -> None:
    assert with_fingerprint("control", "") == "control"
    assert with_fingerprint(Path("runs/gpt"), "0123456789abcdef-0123456789abcdef") == "runs/gpt (01234567)"


def test_a_page_without_scripts_allows_none() -> None:
    policy = page_policy()
    assert policy.startswith("default-src 'none'; ")
    assert "script" not in policy
    assert "img-src data:;" in policy


def test_a_policy_lets_the_scripts_of_the_page_run_and_no_other() -> None:
    digest = base64.b64encode(hashlib.sha256(b"run()").digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page_policy("run()")
    assert "script-src 'self' file:;" in page_policy(chunks=True)


def test_files_beside_a_page_are_loaded_only_where_it_has_some() -> None:
    assert "img-src 'self' file: data:; media-src 'self' file: data:" in page_policy(media="beside")
    assert "'self'" not in page_policy()


def test_scripts_are_found_letter_by_letter(tmp_path: Path) -> None:
    (tmp_path / "page.j2").write_text("<script>\na < b;\n</script><script type=x>data</script><script>c</script>")
    assert inline_scripts(tmp_path / "code.py", "page.j2") == ["\na < b;\n", "c"]


def test_parts_are_found_from_any_folder_and_escape_what_they_show(tmp_path: Path) -> None:
    (tmp_path / "page.j2").write_text(HEAD)
    page = render_page(tmp_path / "code.py", "page.j2", title="<b>", facts=[Fact("model", "<i>"), Fact("c", "&", True)])
    assert "<title>&lt;b&gt;</title>" in page
    assert "<dd>&lt;i&gt;</dd>" in page
    assert "<dd><code>&amp;</code></dd>" in page


def test_a_command_does_not_break_between_the_dashes_of_an_option(tmp_path: Path) -> None:
    (tmp_path / "page.j2").write_text(HEAD)
    command = Fact("command", "secondsight demo --out OUT '--<b> and' --" + "a" * 99, code=True)
    page = render_page(tmp_path / "code.py", "page.j2", title="Title", facts=(command,))
    typed = f"""secondsight demo <span class="option">--out</span> OUT &#39;--&lt;b&gt; and&#39; --{"a" * 99}"""
    assert f"<dd><code>{typed}</code></dd>" in page


def test_a_page_without_facts_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "page.j2").write_text(HEAD)
    assert "<dl" not in render_page(tmp_path / "code.py", "page.j2", title="Title", facts=())


def test_an_option_that_is_not_there_cannot_be_left_out() -> None:
    with pytest.raises(KeyError, match="nothing"):
        facts_of(asked(), left_out=("nothing",))
