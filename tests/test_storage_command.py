"""The command that is written down means the options it was made from."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import secondsight
from data.options import InspectOptions
from gpt.config import PRESETS
from gpt.options import TrainOptions
from sampling.options import CompleteOptions
from storage.command import arguments_of, command_line
from storage.options import Options
from vqgan.options import TrainOptions as TokenizerTrainOptions

GPT = TrainOptions.of(tokens=Path("my tokens"), out=Path("run"))
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
        CompleteOptions.of(gpt=Path("gpt"), tokenizer=Path("t"), input=(Path("v.mp4"),), out=Path("o"), top_p=0.9),
    ],
)
def test_the_command_means_the_options(options: Options) -> None:
    assert secondsight.parse(arguments_of(options)) == options


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
