"""What `--protocol igpt2022` sets, what is taken in its place, and what contradicts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import secondsight
from experiments.memory.options import MemoryOptions, SweepOptions
from experiments.memory.sweep import sweep_cells
from gpt.config import GPTConfig
from storage.command import arguments_of


def parsed(*words: str) -> MemoryOptions:
    options = secondsight.parse(["memory", "run", "--out", "o", *words])
    assert isinstance(options, MemoryOptions)
    return options


IGPT = ("--stimuli", "s", "--protocol", "igpt2022", "--tokenizer", "t")


def test_the_protocol_sets_what_was_published() -> None:
    options = parsed(*IGPT)
    assert options.model == GPTConfig(
        layers=24, heads=8, width=512, grid=options.model.grid, vocab_size=options.model.vocab_size,
        variant="legacy", bos=False,
    )  # fmt: skip
    learning = options.learning
    assert (options.batch, options.learning_rate, learning.grad_clip) == (32, 5e-4, 0)
    assert (learning.optimizer, learning.optimizer_state, learning.seed, learning.seeds) == ("adam", "fresh", 0, 2)
    assert (learning.order, learning.initial_weights, learning.exposures) == ("igpt2022", "mingpt", 100)
    material = options.material
    assert (material.colours, material.size, material.resize, material.fit_palette) == (512, 64, "pillow", False)
    assert options.test.ties == "wrong"


def test_without_the_protocol_all_is_as_before() -> None:
    assert parsed("--stimuli", "s") == MemoryOptions.of(stimuli=Path("s"), out=Path("o"))
    assert parsed("--stimuli", "s").test.ties == "half"


def test_a_gpt_that_is_there_studies_thirty_times_and_keeps_its_weights() -> None:
    options = parsed("--stimuli", "s", "--protocol", "igpt2022", "--gpt", "g")
    assert (options.learning.exposures, options.learning.initial_weights) == (30, "scaled")


def test_noise_has_sequences_of_one_seed_and_fifty_exposures() -> None:
    options = parsed("--noise", "2500", "--protocol", "igpt2022")
    material = options.material
    assert (material.noise_length, material.noise_codes) == (4096, 512)
    assert (options.learning.exposures, options.learning.seeds) == (50, 1)


def test_a_preset_gives_the_size_and_the_protocol_the_kind() -> None:
    model = parsed(*IGPT, "--preset", "igpt-mini").model
    assert (model.layers, model.heads, model.width, model.variant, model.bos) == (6, 2, 512, "legacy", False)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("--grad-clip", "1"), "grad_clip", 1.0),
        (("--exposures", "3"), "exposures", 3),
        (("--ties", "half"), "ties", "half"),
        (("--order", "own"), "order", "own"),
        (("--batch=16",), "batch", 16),
        (("--bos", "--initial-weights", "scaled"), "bos", True),
    ],
)
def test_what_is_named_is_taken(words: tuple[str, ...], name: str, value: Any) -> None:
    assert parsed(*IGPT, *words).flat()[name] == value


@pytest.mark.parametrize(
    "words",
    [
        IGPT,
        (*IGPT, "--grad-clip", "1", "--batch", "2", "--resize", "exact", "--seeds", "1", "--learning-rate", "3e-4"),
        (*IGPT, "--preset", "tiny"),
        (*IGPT, "--preset", "tiny", "--dropout", "0.1"),
        ("--stimuli", "s", "--protocol", "igpt2022", "--gpt", "g", "--exposures", "20"),
        ("--noise", "50", "--protocol", "igpt2022", "--noise-length", "256"),
    ],
)
def test_the_command_that_is_written_down_means_the_same(words: tuple[str, ...]) -> None:
    options = parsed(*words)
    assert secondsight.parse(arguments_of(options)) == options


def test_a_config_file_with_the_protocol_needs_no_more(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"protocol": "igpt2022", "batch": 4}))
    options = parsed("--stimuli", "s", "--tokenizer", "t", "--config", str(tmp_path / "config.json"))
    assert (options.batch, options.learning_rate, options.learning.grad_clip) == (4, 5e-4, 0)


def test_cells_of_a_sweep_have_the_protocol() -> None:
    words = "memory sweep --out o --stimuli a b --presets igpt-s tiny --gpts g --tokenizer t --protocol igpt2022"
    options = secondsight.parse([*words.split(), "--seeds", "1"])
    assert isinstance(options, SweepOptions)
    cells = sweep_cells(options)
    assert len(cells) == 6
    assert {(cell.protocol, cell.batch, cell.learning_rate, cell.learning.seeds) for cell in cells} == {
        ("igpt2022", 32, 5e-4, 1)
    }
    new = [cell for cell in cells if cell.gpt is None]
    assert {(cell.model.variant, cell.model.bos, cell.learning.initial_weights) for cell in new} == {
        ("legacy", False, "mingpt")
    }
    alone = parsed("--stimuli", "a", *IGPT[2:], "--preset", "igpt-s", "--seeds", "1")
    assert cells[0].flat() == alone.changed(out=cells[0].out, resume="auto").flat()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--stimuli s --protocol igpt2022",
            "--protocol igpt2022 makes no palette of the list: give --tokenizer, a --gpt that has one, or",
        ),
        ("--stimuli s --protocol igpt2022 --tokenizer t --fit-palette", "--tokenizer and --fit-palette exclude each"),
        ("--stimuli s --no-fit-palette", "--no-fit-palette makes no palette of the list"),
        (
            "--stimuli s --protocol igpt2022 --tokenizer t --variant rotary --bos",
            "--initial-weights mingpt needs --variant legacy --no-bos, not --variant rotary --bos",
        ),
        (
            "--stimuli s --protocol igpt2022 --gpt g --initial-weights mingpt",
            "--initial-weights mingpt is for a new GPT: leave it out with --gpt",
        ),
        ("--stimuli s --protocol igpt2022 --gpt g --preset igpt-s", "--gpt and --preset exclude each other"),
        ("--noise 9 --protocol igpt2022 --tokenizer t", "--tokenizer is for images: leave it out with --noise"),
        ("--stimuli s --protocol igpt2022 --gpt g --config CONFIG", "which has the protocol none, exclude each other"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_line(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"protocol": None, "batch": 4}))
    with pytest.raises(SystemExit) as stopped:
        parsed(*words.replace("CONFIG", str(config)).split())
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_an_unknown_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--protocol 'brady2008' must be igpt2022"):
        MemoryOptions.of(stimuli=tmp_path, out=tmp_path, protocol="brady2008")
