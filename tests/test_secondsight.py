"""The command line: what it offers, what it refuses, where options come from, and that help is instant."""

import importlib
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny import GPT_SHORT, make_store

import secondsight
from data.playroom.make import render_clip
from data.video_writing import write_video
from gpt.config import PRESETS
from gpt.options import TrainOptions
from storage.config_file import config_of
from storage.files import to_json
from storage.options import leaves
from vqgan.config import PRESETS as TOKENIZERS

SECONDSIGHT = Path(sys.executable).with_name("secondsight")
COMMANDS = [name.split() for name in secondsight.COMMANDS]
TRAIN = ["gpt", "train", "--tokens", "tokens", "--out", "run"]
TRAIN_TOKENIZER = ["vqgan", "train", "--data", "videos", "--out", "run"]


def run(*arguments: str) -> None:
    secondsight.main(arguments)


def parsed(*arguments: str) -> TrainOptions:
    options = secondsight.parse([*TRAIN, *arguments])
    assert isinstance(options, TrainOptions)
    return options


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said of a command line that is refused: one line, with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def help_of(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        run(*command, "--help")
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        write_video(folder / f"{number}.mp4", render_clip(0, number, size=64), 8.0)
    return folder


# Help


def test_a_command_that_runs_in_one_process_touches_nothing_under_a_launcher_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit) as stop:
        secondsight.main(["data", "playroom", "--clips", "2", "--out", str(tmp_path / "room")])
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("secondsight: data playroom runs in one process: start it without ")
    assert list(tmp_path.iterdir()) == []


def test_help_imports_no_torch() -> None:
    code = (
        "import sys, secondsight\n"
        "try: secondsight.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'scipy', 'matplotlib', 'jinja2', 'huggingface_hub'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_names_every_option_and_speaks_no_python(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(command, capsys)
    known = leaves(secondsight.COMMANDS[" ".join(command)][0])
    assert all(leaf.flag in text for leaf in known.values() if not leaf.metadata.get("positional"))
    assert not re.search(r"PosixPath|<class|None|\(default: \)|\(\)|_|\{fixed", text.replace("_", " "))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_begins_with_what_must_be_given(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    listed = re.findall(r"^  (--[\w-]+)", help_of(command, capsys), re.MULTILINE)
    known = leaves(secondsight.COMMANDS[" ".join(command)][0]).values()
    required = {leaf.flag for leaf in known if leaf.required and not leaf.metadata.get("positional")}
    assert set(listed[: len(required)]) == required


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_example_in_the_help_of_a_command_is_one_that_it_takes(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kind = secondsight.COMMANDS[" ".join(command)][0]
    assert "".join(kind.example.split()) in "".join(help_of(command, capsys).split())
    program, *words = shlex.split(kind.example)
    assert program == "secondsight"
    assert isinstance(secondsight.parse(words), kind)


@pytest.mark.parametrize(("command", "presets"), [("gpt train", PRESETS), ("vqgan train", TOKENIZERS)])
def test_presets_are_listed_with_their_sizes(
    command: str, presets: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    text = " ".join(help_of(command.split(), capsys).replace("│", "").split())
    assert all(f"{name}: {preset.describe()}" in text for name, preset in presets.items())  # type: ignore[attr-defined]


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of([], capsys)
    assert all(word in text for word in ("demo", "complete", "publish", *secondsight.GROUPS))


@pytest.mark.parametrize("group", secondsight.GROUPS)
def test_help_of_a_group_lists_its_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of([group], capsys)
    assert all(name.split()[1] in text for name in secondsight.COMMANDS if name.startswith(f"{group} "))


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("--version")
    assert stop.value.code == 0
    assert re.fullmatch(r"secondsight \d+\.\d+\.\d+\n", capsys.readouterr().out)


def output_on_a_terminal(**environment: str) -> str:
    """What help looks like on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [SECONDSIGHT, "gpt", "eval", "--help"],
        stdout=theirs,
        stderr=theirs,
        env={**variables, "TERM": "xterm-256color", "COLUMNS": "80", **environment},
    )
    os.close(theirs)
    output = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            output += chunk
    except OSError:
        pass  # Linux says so where others say that the file ends
    assert process.wait() == 0
    return output.decode()


def test_a_terminal_gets_colours_unless_it_asks_for_none() -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert coloured.search(output_on_a_terminal())
    assert not coloured.search(output_on_a_terminal(NO_COLOR="1"))


@pytest.mark.parametrize("arguments", [["--help"], ["gpt", "plan"], ["memory", "run", "--help"]])
def test_a_reader_that_has_seen_enough_gets_no_traceback(arguments: list[str]) -> None:
    end, start = os.pipe()
    os.close(end)
    # Of one thread nothing is said of other work, which a machine that runs tests may have.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [SECONDSIGHT, *arguments]
    done = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    os.close(start)
    assert done.stderr == ""


@pytest.fixture(scope="module")
def completion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script that makes bash complete words."""
    path = tmp_path_factory.mktemp("completion") / "completion.bash"
    with path.open("w") as file:
        subprocess.run([SECONDSIGHT, "--tyro-print-completion", "bash"], stdout=file, check=True)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("vq", "vqgan"),
        ("vqgan enc", "encode"),
        ("gpt train --grad-c", "--grad-clip"),
        ("gpt train --preset al", "alef"),
    ],
)
def test_the_shell_completes_words(words: str, expected: str, completion: Path) -> None:
    script = f"""
        source {shlex.quote(str(completion))}
        COMP_WORDS=(secondsight {words}); COMP_CWORD={len(words.split())}
        $(complete -p secondsight | sed 's/.*-F \\([^ ]*\\).*/\\1/') secondsight
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected], done.stderr


# Where options come from: default < preset < config file < option


def test_a_preset_gives_the_architecture() -> None:
    assert parsed("--preset", "alef").model == PRESETS["alef"]


def test_an_option_changes_what_a_preset_gave() -> None:
    model = parsed("--preset", "alef", "--layers", "16", "--width", "384").model
    assert (model.layers, model.width, model.heads) == (16, 384, PRESETS["alef"].heads)


@pytest.mark.parametrize("name", [name for name, leaf in leaves(TrainOptions).items() if leaf.path[0] == "model"])
def test_every_field_of_an_architecture_is_an_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"--{name.replace('_', '-')}" in help_of(["gpt", "train"], capsys)


def test_levels_make_a_tokenizer_of_finite_scalar_quantization() -> None:
    options = secondsight.parse([*TRAIN_TOKENIZER, "--levels", "8", "5", "5", "5"])
    assert (options.model.levels, options.model.vocab_size) == ((8, 5, 5, 5), 1000)  # type: ignore[attr-defined]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The config.json of a run with an architecture and a schedule of its own."""
    path = tmp_path / "config.json"
    options = TrainOptions.of(tokens=Path("their tokens"), out=Path("theirs"), **GPT_SHORT.flat(), steps=7, seed=3)
    path.write_text(to_json(config_of(options)))
    return path


def test_a_config_file_gives_what_is_not_given(config: Path) -> None:
    options = parsed("--config", str(config), "--seed", "4")
    assert (options.model.flat(), options.training.steps, options.training.seed) == (GPT_SHORT.flat(), 7, 4)
    assert (options.tokens, options.out) == (Path("tokens"), Path("run"))


def test_a_config_file_gives_options_that_must_be_given_otherwise(config: Path) -> None:
    options = secondsight.parse(["gpt", "train", "--config", str(config), "--out", "run"])
    assert options.tokens == Path("their tokens")  # type: ignore[attr-defined]


def test_a_config_file_does_not_give_the_place_of_the_run(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("gpt", "train", "--config", str(config))
    assert "--out" in capsys.readouterr().err


def test_options_of_a_config_file_come_before_a_preset(config: Path) -> None:
    values = json.loads(config.read_text())
    config.write_text(json.dumps({"layers": 3, "steps": values["steps"]}))
    model = parsed("--preset", "alef", "--config", str(config)).model
    assert (model.layers, model.width) == (3, PRESETS["alef"].width)


def test_a_preset_beside_another_architecture_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, *TRAIN, "--preset", "alef", "--config", str(config))
    assert f"--preset alef and the architecture in --config {config} exclude each other: give one" in said


def test_a_config_of_another_command_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, *TRAIN_TOKENIZER, "--config", str(config))
    assert f"--config {config} holds options of `gpt train`, not of `vqgan train`" in said


def test_an_unknown_field_of_a_config_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text('{"layrs": 3}')
    said = refusal(capsys, *TRAIN, "--config", str(config))
    assert f"--config {config}: there is no option 'layrs'" in said
    assert "did you mean layers?" in said


def test_options_that_exclude_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, *TRAIN_TOKENIZER, "--levels", "8", "5", "--codes", "40")
    assert "--levels and --codes exclude each other" in said


def test_an_unknown_preset_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, *TRAIN, "--preset", "gimmel")
    assert "there is no preset 'gimmel'; there are demo, tiny, alef" in said
    assert "did you mean gimel?" in said


# What is refused


def test_unknown_option_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*TRAIN_TOKENIZER, "--stps", "3")
    assert stop.value.code == 2
    assert "--steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "near"),
    [("vqgan trian", "train"), ("gtp train", "gpt"), ("memroy run", "memory"), ("complet", "complete")],
)
def test_an_unknown_command_suggests_the_nearest(words: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, *words.split())
    assert f"did you mean {near}?" in said


def test_a_group_alone_shows_its_help_and_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("gpt")
    assert stop.value.code == 2
    assert "train" in capsys.readouterr().out


def test_bad_value_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--steps 0 must be at least 1" in refusal(capsys, *TRAIN_TOKENIZER, "--steps", "0")


def test_every_command_names_a_function_that_exists() -> None:
    for _, target in secondsight.COMMANDS.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_missing_folder_is_one_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    said = refused("vqgan", "train", "--data", tmp_path / "none", "--out", tmp_path / "run")
    assert re.fullmatch(r"secondsight: .*none does not exist", said)


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
        "complete",
        "--gpt",
        gpt,
        "--tokenizer",
        tokenizer,
        "--input",
        str(videos),
        "--prompt",
        "half-image",
        "--n",
        "1",
        "--items",
        "1",
        "--out",
        str(tmp_path / "completions"),
    )
    assert json.loads((tmp_path / "leak" / "leakage.json").read_text())["prompt_tokens_changed"] == 0
    assert (tmp_path / "completions" / "grid.png").exists()


def test_palette(videos: Path, tmp_path: Path) -> None:
    run("vqgan", "palette", "--colours", "8", "--size", "8", "--data", str(videos), "--out", str(tmp_path / "palette"))
    run(
        "vqgan",
        "encode",
        "--tokenizer",
        str(tmp_path / "palette"),
        "--data",
        str(videos),
        "--out",
        str(tmp_path / "tokens"),
    )
    metadata = json.loads((tmp_path / "tokens" / "metadata.json").read_text())
    assert (metadata["grid"], metadata["vocab_size"]) == ([1, 8, 8], 8)


# Endings


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Little more memory for this process than it has taken."""
    resource = pytest.importorskip("resource")
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells how much memory a process has taken")
    taken = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmSize"))
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken * 1024 + (256 << 20), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def of_training(store: Path, out: Path, *arguments: object) -> list[str]:
    architecture = ["--layers", 2, "--heads", 2, "--width", 16]
    schedule = ["--steps", 4, "--batch", 2, "--warmup", 1, "--log-every", 1, "--save-every", 2]
    options = ["--tokens", store, "--out", out, *architecture, *schedule, *arguments]
    return ["gpt", "train", *map(str, options)]


def test_a_training_that_finds_no_memory_says_what_to_lower(
    tmp_path: Path, refused: Callable[..., str], little_memory: None
) -> None:
    store = make_store(tmp_path / "store")
    said = refused(*of_training(store, tmp_path / "run", "--width", 4096))
    assert said.startswith("secondsight: out of memory")
    assert "raise --grad-accumulation (now 1), lower --batch (now 2)" in said


def test_a_run_folder_that_is_removed_ends_the_run(tmp_path: Path, refused: Callable[..., str]) -> None:
    store = make_store(tmp_path / "store")
    out = tmp_path / "run"
    begun = threading.Event()

    def remove() -> None:
        while not begun.is_set():
            if (out / "checkpoints" / "000002").exists():
                shutil.rmtree(out, ignore_errors=True)
                begun.set()
            time.sleep(0.005)

    remover = threading.Thread(target=remove)
    remover.start()
    said = refused(*of_training(store, out, "--steps", 1000))
    begun.set()
    remover.join()
    assert str(out) in said
    assert not (out / "final").exists()


def test_a_full_disk_names_the_file(tmp_path: Path, refused: Callable[..., str]) -> None:
    resource = pytest.importorskip("resource")
    store = make_store(tmp_path / "store")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))  # enough for all but the weights
    try:
        said = refused(*of_training(store, tmp_path / "run"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert said.startswith("secondsight: the checkpoint of step 2 cannot be written to")
    assert "File too large: '" in said
    assert "model.safetensors" in said
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


INTERRUPTED = """
import os, signal, sys

def interrupt(event, arguments):
    global moment
    if moment and event in ("import", "open") and moment in str(arguments[0]):
        moment = None
        os.kill(os.getpid(), signal.SIGINT)

moment = sys.argv.pop(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may have inherited to ignore it
sys.addaudithook(interrupt)
from secondsight import main
main()
"""
"""The program, which gets a signal as from Ctrl-C when it imports or opens what its first argument says."""


def interrupted(moment: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a command that Ctrl-C reaches at a moment, and what it says."""
    program = [sys.executable, "-c", INTERRUPTED, moment, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stderr


@pytest.mark.parametrize("moment", ["tyro", "vqgan.options", "options.json", "torch", "gpt.model"])
def test_ctrl_c_while_modules_are_imported_or_options_parsed_is_one_line(tmp_path: Path, moment: str) -> None:
    (tmp_path / "options.json").write_text("{}")
    command = of_training(make_store(tmp_path / "store"), tmp_path / "run")  # what cannot begin imports no torch
    told = interrupted(moment, *command, "--config", str(tmp_path / "options.json"))
    assert told == (130, "secondsight: stopped; what was finished is kept\n")


def test_ctrl_c_while_the_first_checkpoint_is_loaded_is_one_line(tmp_path: Path) -> None:
    command = of_training(make_store(tmp_path / "store"), tmp_path / "run")
    run(*command)
    told = interrupted("000004/config.json", *command, "--resume", "auto")
    assert told == (130, "secondsight: stopped; what was finished is kept\n")
