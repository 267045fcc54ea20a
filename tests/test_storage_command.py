"""The command that is written down means the options it was made from."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import secondsight
from data.options import InspectOptions
from gpt.config import PRESETS
from gpt.options import TrainOptions
from sampling.options import CompleteOptions
from storage.command import arguments_of, command_line, next_command, shell_line
from storage.options import Options
from vqgan.options import TrainOptions as TokenizerTrainOptions

BASH = shutil.which("bash")
GPT = TrainOptions.of(tokens=Path("my tokens"), out=Path("run"))
PARSED = settings(max_examples=25)  # a parser of all options takes its time
TOKENIZER = TokenizerTrainOptions.of(data=Path("videos"), out=Path("run"))


def test_defaults_are_left_out() -> None:
    assert command_line(GPT) == "secondsight gpt train --tokens 'my tokens' --out run"


def test_a_preset_is_named_and_only_what_differs_from_it_is_said() -> None:
    options = GPT.changed(**PRESETS["alef"].flat()).changed(layers=16)
    assert arguments_of(options)[2:] == ["--preset", "alef", "--tokens", "my tokens", "--out", "run", "--layers", "16"]


def test_a_switch_that_is_off_says_no() -> None:
    options = GPT.changed(variant="legacy", bos=False)
    assert arguments_of(options)[-3:] == ["--variant", "legacy", "--no-bos"]


def test_what_is_given_without_its_name_stands_without_it() -> None:
    assert arguments_of(InspectOptions(Path("videos"), Path("out")))[2:] == ["videos", "--out", "out"]


def test_to_do_it_again_begins_anew() -> None:
    assert "--resume" not in command_line(GPT.changed(resume="auto", overwrite=True))


@pytest.mark.parametrize(
    "options",
    [
        GPT.changed(**PRESETS["gimel"].flat()),
        GPT.changed(**PRESETS["gimel"].flat()).changed(width=640, dropout=0.1, precision="bf16", compile=True),
        GPT.changed(variant="legacy", bos=False, grad_clip=0.5),
        TOKENIZER.changed(levels=(8, 5, 5, 5), crop=32, adversarial_weight=0.5),
        TOKENIZER.changed(widths=(8, 16), strides=((1, 2),), frames=1),
        CompleteOptions.of(gpt=Path("hf:a/b@v1"), tokenizer=Path("hf:a/b"), input=(Path("v.mp4"),), out=Path("o")),
        CompleteOptions.of(gpt=Path("gpt"), tokenizer=Path("t"), input=(Path("v.mp4"),), out=Path("o"), top_p=0.9),
    ],
)
def test_the_command_means_the_options(options: Options) -> None:
    assert secondsight.parse(arguments_of(options)) == options


@PARSED
@given(
    layers=st.integers(1, 64),
    heads=st.sampled_from([1, 2, 4]),
    steps=st.integers(1, 10**6),
    rate=st.floats(1e-6, 1, allow_subnormal=False),
    switch=st.booleans(),
)
def test_any_options_survive_the_command_line(layers: int, heads: int, steps: int, rate: float, switch: bool) -> None:
    values: dict[str, Any] = {"layers": layers, "heads": heads, "steps": steps, "learning_rate": rate}
    options = GPT.changed(**values, activation_checkpointing=switch)
    assert secondsight.parse(arguments_of(options)) == options


# Hostile names

HOSTILE = [
    "-x",
    "--out",
    "--preset=gimel",
    "None",
    "a b",
    'a"b',
    "a'b",
    "$(touch harm)",
    "`touch harm`",
    "a;touch harm",
    "a&b|c>d",
    "*",
    "~",
    "!x",
    "#x",
    "%a",
    "a\nb",
    "a\\b",
    "{a,b}",
    "=x",
    "@x",
    "\x1b[31m",
]
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
hostile_paths = (st.sampled_from(HOSTILE) | names).map(Path)
hostile_texts = (st.sampled_from(HOSTILE) | names | st.just("")).filter(lambda text: text != "None")


@PARSED
@given(tokens=hostile_paths, out=hostile_paths, tokenizer=st.none() | hostile_paths)
def test_any_folder_survives_the_command_line(tokens: Path, out: Path, tokenizer: Path | None) -> None:
    options = TrainOptions.of(tokens=tokens, out=out, tokenizer=tokenizer)
    assert secondsight.parse(arguments_of(options)) == options


@PARSED
@given(inputs=st.lists(hostile_paths, min_size=1, max_size=3).map(tuple), gpt=hostile_paths)
def test_any_folders_side_by_side_survive_the_command_line(inputs: tuple[Path, ...], gpt: Path) -> None:
    options = CompleteOptions.of(gpt=gpt, tokenizer=Path("t"), out=Path("o"), input=inputs)
    assert secondsight.parse(arguments_of(options)) == options


@PARSED
@given(path=hostile_paths, out=hostile_paths)
def test_any_folder_without_an_option_before_it_survives_the_command_line(path: Path, out: Path) -> None:
    options = InspectOptions(path, out)
    assert secondsight.parse(arguments_of(options)) == options


@PARSED
@given(text=hostile_texts)
def test_any_text_survives_the_command_line(text: str) -> None:
    options = TOKENIZER.changed(perceptual=text)
    assert secondsight.parse(arguments_of(options)) == options


def test_a_text_that_reads_as_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'None' cannot be given on a command line"):
        arguments_of(TOKENIZER.changed(group_by="None"))


@pytest.mark.skipif(BASH is None, reason="needs bash")
@given(words=st.lists(st.sampled_from(HOSTILE) | names, min_size=1, max_size=3))
@settings(max_examples=30)
def test_a_shell_reads_the_words_that_were_quoted(words: list[str]) -> None:
    printed = subprocess.run(
        [str(BASH), "-c", f"printf '%s\\0' {shell_line(words)}"], capture_output=True, check=True
    ).stdout
    assert printed.decode().split("\0")[:-1] == words


@given(words=st.lists(st.sampled_from(HOSTILE) | names, min_size=1, max_size=3))
def test_what_was_quoted_is_one_line_that_can_be_printed(words: list[str]) -> None:
    assert shell_line(words).isprintable()


def test_a_file_name_of_other_bytes_than_text_can_be_quoted() -> None:
    assert shell_line([os.fsdecode(b"caf\xe9")]) == r"$'caf\xe9'"


def test_a_folder_that_begins_with_a_dash_is_said_as_one() -> None:
    assert next_command("secondsight gpt train --tokens", Path("-x"), "--out GPT") == (
        "secondsight gpt train --tokens ./-x --out GPT"
    )
    assert next_command("sbatch", Path("a b; c")) == "sbatch 'a b; c'"
