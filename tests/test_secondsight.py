"""The command line: what it offers, what it refuses, and that help is instant."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import secondsight
from data.playroom.make import render_clip
from data.video import write_video


def run(*arguments: str) -> None:
    secondsight.main(arguments)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        write_video(folder / f"{number}.mp4", render_clip(0, number, size=64), 8.0)
    return folder


def test_help_imports_no_torch() -> None:
    code = (
        "import sys, secondsight\n"
        "try: secondsight.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'scipy', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", [name.split() for name in secondsight.COMMANDS])
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*command, "--help")
    assert stop.value.code == 0
    assert "--out" in capsys.readouterr().out or command in (["gpt", "eval"], ["gpt", "plan"])


def test_every_command_names_a_function_that_exists() -> None:
    import importlib

    for _, target in secondsight.COMMANDS.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_unknown_option_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("vqgan", "train", "--data", "videos", "--out", "run", "--stps", "3")
    assert stop.value.code == 2
    assert "--steps" in capsys.readouterr().err


def test_unknown_command_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("vqgan", "trian")
    assert "train" in capsys.readouterr().err


def test_bad_value_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("vqgan", "train", "--data", "videos", "--out", "run", "--steps", "0")
    assert "--steps 0 must be at least 1" in capsys.readouterr().err


def test_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="does not exist"):
        run("vqgan", "train", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run"))


def test_the_whole_path(videos: Path, tmp_path: Path) -> None:
    """Every step of the README's five commands, a few optimizer steps each."""
    tokenizer, tokens, gpt = (str(tmp_path / name) for name in ("tokenizer", "tokens", "gpt"))
    quick = ("--steps", "2", "--batch", "2")
    run("data", "inspect", str(videos), "--out", str(tmp_path / "inspect"))
    run("vqgan", "train", "--data", str(videos), "--out", tokenizer, *quick, "--continuous-steps", "1")
    run("vqgan", "eval", "--tokenizer", tokenizer, "--data", str(videos), "--out", str(tmp_path / "eval"))
    run("vqgan", "leakage", "--tokenizer", tokenizer, "--data", str(videos), "--out", str(tmp_path / "leak"))
    run("vqgan", "encode", "--tokenizer", tokenizer, "--data", str(videos), "--out", tokens)
    run("gpt", "train", "--preset", "demo", "--tokens", tokens, "--out", gpt, *quick)
    run("gpt", "eval", "--gpt", gpt, "--tokens", tokens)
    run(
        "complete", "--gpt", gpt, "--tokenizer", tokenizer, "--input", str(videos), "--prompt", "half-image",
        "--n", "1", "--items", "1", "--out", str(tmp_path / "completions"),
    )  # fmt: skip
    assert json.loads((tmp_path / "leak" / "leakage.json").read_text())["prompt_tokens_changed"] == 0
    assert (tmp_path / "completions" / "grid.png").exists()


def test_palette(videos: Path, tmp_path: Path) -> None:
    run("vqgan", "palette", "--colours", "8", "--size", "8", "--data", str(videos), "--out", str(tmp_path / "palette"))
    run(
        "vqgan", "encode", "--tokenizer", str(tmp_path / "palette"), "--data", str(videos),
        "--out", str(tmp_path / "tokens"),
    )  # fmt: skip
    metadata = json.loads((tmp_path / "tokens" / "metadata.json").read_text())
    assert (metadata["grid"], metadata["vocab_size"]) == ([1, 8, 8], 8)
