"""The documentation: every command in it is one that the program takes, and every link of README leads somewhere."""

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from accelerate.commands.launch import launch_command_parser

import secondsight
from storage.config_file import config_of
from storage.files import to_json
from storage.hub_names import is_hub_model, parse_hub_id

ROOT = Path(__file__).parent.parent
# Not the generated reference, whose examples tests/test_secondsight.py parses where they come from.
PAGES = [
    page
    for page in (*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    if page.exists() and not {"generated", "_build"} & set(page.relative_to(ROOT).parts)
]
FENCE = re.compile(r"^(?P<indent>[ >]*)```bash *\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
DOOR = "$(command -v secondsight)"
"""The program as launchers of several processes are given it: `"$(command -v secondsight)"`."""
END = re.compile(r"[;&|<>()]+")
"""Words with which the shell ends a command, or sends its output somewhere."""


class Line(NamedTuple):
    """A command in a page."""

    where: str
    """Page and number of the line."""
    text: str
    """The command, in one line."""


def commands_in(page: Path) -> list[Line]:
    """The commands of a page's bash blocks, lines that end in a backslash joined."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        number = text.count("\n", 0, fence.start("code")) + 1
        for line in fence["code"].replace("\\\n", "\\\0").splitlines():
            found.append(Line(f"{page.relative_to(ROOT)}:{number}", line.replace("\\\0", " ").strip()))
            number += 1 + line.count("\\\0")
    return [line for line in found if words_of(line.text) is not None]


def words_of(command: str) -> list[str] | None:
    """What is behind `secondsight` in a line of the shell; None where the line does not call it."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    if words[:2] == ["source", "<("]:
        words = words[2:]
    ends = [index for index, word in enumerate(words) if END.fullmatch(word)]
    words = words[: ends[0]] if ends else words
    if words[:1] and Path(words[0]).name == "secondsight":
        return words[1:]
    if words[:2] == ["accelerate", "launch"]:
        return launched(words[2:])
    if words[:1] == ["sbatch"]:
        return submitted(words[1:])
    return None


def launched(words: list[str]) -> list[str] | None:
    """What a launcher passes on to `secondsight`; it must know the options before."""
    known, unknown = launch_command_parser().parse_known_args(words)
    assert not unknown, f"accelerate launch knows no {unknown}"
    return known.training_script_args if known.training_script == DOOR else None


def submitted(words: list[str]) -> list[str]:
    """What a batch script carries out: the words behind its name."""
    script = next(index for index, word in enumerate(words) if not word.startswith("--"))
    assert (ROOT / words[script]).exists(), f"there is no {words[script]}"
    return words[script + 1 :]


def with_a_config(words: list[str], folder: Path) -> list[str]:
    """The words, `--config` of a run naming a file that is there: that of the example of the same command."""
    name = " ".join(words[:2])
    if "--config" not in words or name not in secondsight.COMMANDS or not secondsight.COMMANDS[name][0].takes_config:
        return words
    example = secondsight.parse(shlex.split(secondsight.COMMANDS[name][0].example)[1:])
    path = folder / "config.json"
    path.write_text(to_json(config_of(example)))
    behind = words.index("--config") + 1
    return [*words[:behind], str(path), *words[behind + 1 :]]


def with_a_plan(words: list[str], folder: Path) -> list[str]:
    """The words, `--plan` naming a folder that is there: that of the example of `scaling plan`."""
    if "--plan" not in words:
        return words
    planned = secondsight.parse(shlex.split(secondsight.COMMANDS["scaling plan"][0].example)[1:])
    (folder / "config.json").write_text(to_json(config_of(planned)))
    behind = words.index("--plan") + 1
    return [*words[:behind], str(folder), *words[behind + 1 :]]


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the parser says against a command; empty if it takes it."""
    try:
        secondsight.parse(words)
    except SystemExit as stop:
        return "" if stop.code in (0, None) else capsys.readouterr().err or f"exit code {stop.code}"
    return ""


LINES = [line for page in PAGES for line in commands_in(page)]


def test_pages_have_commands() -> None:
    assert {line.where.partition(":")[0] for line in LINES} >= {"README.md", "docs/tutorials/own_videos.md"}


@pytest.mark.parametrize("line", LINES, ids=[line.where for line in LINES])
def test_every_command_is_one_that_the_program_takes(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(line.text)
    assert words is not None
    said = refusal(with_a_plan(with_a_config(words, tmp_path), tmp_path), capsys)
    assert not said, f"{line.where}: {line.text}\n{said}"


@pytest.mark.parametrize(
    "command",
    [
        "secondsight gpt train --tokens T --out RUN --stps 3",
        "A=b .venv/bin/secondsight vqgan trian --data D --out RUN  # comment",
        'accelerate launch --multi_gpu "$(command -v secondsight)" gpt train --tokens T --out RUN --steps 0',
        "sbatch --nodes=2 slurm/train.sbatch gpt train --tokens T --out RUN --preset gimmel",
        "secondsight gpt plan --gpus many | head",
    ],
)
def test_a_wrong_command_would_be_found(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = words_of(command)
    assert words is not None
    assert refusal(words, capsys)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files_that_are_there(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    own = {link.partition("#")[0] for link in links if not re.match(r"\w+:|#", link)}
    assert {link for link in own if not (ROOT / link).exists()} == set()


# Names of models

MODEL_OPTIONS = ("--gpt", "--gpts", "--tokenizer", "--model")
CALLS = re.compile(r"""(?:from_pretrained|load_tokenizer)\(\s*["']([^"']+)["']""")


def models_in(page: Path) -> list[str]:
    """What a page gives to commands and to Python as models."""
    text = page.read_text(encoding="utf-8")
    words = [word for line in commands_in(page) for word in words_of(line.text) or ()]
    return [after for word, after in pairwise(words) if word in MODEL_OPTIONS] + CALLS.findall(text)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_models_of_the_hub_are_asked_for_as_such_and_paths_cannot_be_taken_for_them(page: Path) -> None:
    for name in models_in(page):
        assert parse_hub_id(name) is not None or not is_hub_model(name), f"{name} is no model of the hub"
        assert not re.match(r"(owner|me|you)/", name), f"{name} is a path: hf:{name} asks the hub"
    assert not re.search(r"(?<!hf:)(?<!/)owner/name[\w-]*@", page.read_text(encoding="utf-8"))


def test_pages_name_models() -> None:
    named = {name for page in PAGES for name in models_in(page)}
    assert named >= {"demo/tokenizer", "runs/gpt", "hf:owner/name", "hf:owner/name@v1"}
