"""A run folder says what was asked and never mixes two runs."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from storage.files import atomic_write, to_json, write_text
from storage.options import Options, about, option
from storage.run_folder import (
    Resume,
    RunFolderError,
    environment,
    log_metrics,
    open_run,
    read_options,
    truncate_metrics,
)


@dataclass(frozen=True)
class Schedule(Options):
    """Like those that every training has."""

    steps: int = option(10, at_least=1)
    save_every: int = option(5, identity="none")


@dataclass(frozen=True)
class RunOptions(Options):
    """Like those of the trainers."""

    command = "made up"

    out: Path = field(metadata=about(identity="none"))
    schedule: Schedule = Schedule()
    grid: tuple[int, int] = (2, 3)
    workers: int = option(0, identity="none")


@dataclass(frozen=True)
class OtherOptions(Options):
    """Those of another command."""

    command = "made otherwise"


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    return RunOptions(tmp_path / "run")


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_records_the_options(options: RunOptions) -> None:
    recorded = json.loads((open_run(options.out, options) / "config.json").read_text())
    schedule = {"steps": 10, "save_every": 5}
    assert recorded == {"command": "made up", "out": str(options.out), "grid": [2, 3], "workers": 0, **schedule}


def test_a_run_folder_records_the_environment(options: RunOptions) -> None:
    recorded = json.loads((open_run(options.out, options) / "environment.json").read_text())
    assert recorded == environment()


def test_the_environment_names_versions_device_and_commit() -> None:
    found = environment()
    assert set(found) == {"python", "platform", "packages", "device", "threads", "commit"}
    assert found["packages"]["torch"]
    assert found["device"]


def test_a_second_run_in_the_same_folder_is_refused(options: RunOptions) -> None:
    open_run(options.out, options)
    with pytest.raises(RunFolderError, match=r"already holds a run: .*--resume auto.*--overwrite.*--out"):
        open_run(options.out, options)


def test_a_folder_without_a_run_can_be_used(options: RunOptions) -> None:
    options.out.mkdir()
    (options.out / "notes.txt").write_text("mine")
    open_run(options.out, options)
    assert (options.out / "notes.txt").read_text() == "mine"


def test_a_run_can_be_resumed_with_the_same_options(options: RunOptions) -> None:
    open_run(options.out, options)
    log_metrics(options.out, step=0, loss=1.0)
    open_run(options.out, options, resume="auto")
    assert metrics(options.out) == [{"step": 0, "loss": 1.0}]


def test_resuming_before_there_is_a_run_begins_one(options: RunOptions) -> None:
    assert (open_run(options.out, options, resume="auto") / "config.json").exists()


def test_resuming_with_a_changed_option_is_refused_and_names_it(options: RunOptions) -> None:
    open_run(options.out, options)
    with pytest.raises(RunFolderError, match=r"\(grid: \[2, 3\] -> \[2, 4\]; steps: 10 -> 20\)"):
        open_run(options.out, options.changed(steps=20, grid=(2, 4)), resume="auto")


def test_a_refused_run_leaves_the_record_as_it_was(options: RunOptions) -> None:
    open_run(options.out, options)
    before = (options.out / "config.json").read_bytes()
    with pytest.raises(RunFolderError):
        open_run(options.out, options.changed(steps=20), resume="auto")
    assert (options.out / "config.json").read_bytes() == before


def test_options_that_change_nothing_learned_may_change(options: RunOptions) -> None:
    open_run(options.out, options)
    open_run(options.out, options.changed(workers=4, save_every=1), resume="auto")
    assert json.loads((options.out / "config.json").read_text())["workers"] == 4


def test_overwriting_leaves_nothing_to_resume_from(options: RunOptions) -> None:
    open_run(options.out, options)
    log_metrics(options.out, step=0, loss=1.0)
    for name in ("checkpoints/000005", "final"):
        (options.out / name).mkdir(parents=True)
    open_run(options.out, options.changed(steps=20), overwrite=True)
    assert sorted(path.name for path in options.out.iterdir()) == ["config.json", "environment.json"]


# Reading options back


def test_the_options_of_a_run_are_read_back(options: RunOptions) -> None:
    changed = options.changed(steps=20, grid=(4, 5))
    open_run(changed.out, changed)
    assert read_options(changed.out, RunOptions) == changed


def test_a_folder_without_a_run_has_no_options(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"holds no run: its config\.json cannot be read"):
        read_options(tmp_path, RunOptions)


def test_options_of_another_command_are_not_taken_for_these(options: RunOptions) -> None:
    open_run(options.out, options)
    with pytest.raises(RunFolderError, match="holds a run of `made up`, not of `made otherwise`"):
        read_options(options.out, OtherOptions)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"config\.json is damaged"),
        ("[]", "is damaged: it holds a list, not options by name"),
        ('{"command": "made up", "out": "a", "setps": 3}', "there is no option 'setps'.*did you mean steps"),
        ('{"command": "made up", "out": "a", "steps": 0}', "--steps 0 must be at least 1"),
    ],
)
def test_a_damaged_record_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunFolderError, match=message):
        read_options(tmp_path, RunOptions)


@pytest.mark.parametrize("resume", ["no", "auto"])
def test_a_run_of_an_older_version_is_refused_with_what_to_do(options: RunOptions, resume: Resume) -> None:
    options.out.mkdir()
    (options.out / "config.json").write_text('{"out": "run", "preset": "demo", "steps": 10}')
    with pytest.raises(RunFolderError, match=r"choose another --out") as caught:
        open_run(options.out, options, resume)
    assert "\n" not in str(caught.value)


def test_a_run_of_another_command_is_not_continued(options: RunOptions) -> None:
    open_run(options.out, options)
    with pytest.raises(RunFolderError, match="holds a run of `made up`, not of `made otherwise`"):
        open_run(options.out, OtherOptions(), resume="auto")


# Metrics


def test_metrics_are_one_object_a_line(options: RunOptions) -> None:
    open_run(options.out, options)
    log_metrics(options.out, step=0, loss=0.5, sample=Path("a.png"))
    log_metrics(options.out, step=1, loss=0.25)
    assert metrics(options.out) == [{"step": 0, "loss": 0.5, "sample": "a.png"}, {"step": 1, "loss": 0.25}]


def test_metrics_that_a_resumed_run_will_write_again_are_dropped(options: RunOptions) -> None:
    open_run(options.out, options)
    for step in range(6):
        log_metrics(options.out, step=step)
    truncate_metrics(options.out, 3)
    assert [line["step"] for line in metrics(options.out)] == [0, 1, 2]


def test_half_a_line_of_a_killed_process_is_dropped(options: RunOptions) -> None:
    open_run(options.out, options)
    log_metrics(options.out, step=0)
    with (options.out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "lo')
    truncate_metrics(options.out, 5)
    log_metrics(options.out, step=1)
    assert [line["step"] for line in metrics(options.out)] == [0, 1]


@pytest.mark.parametrize("line", [b"[]", b"3", b"{}", b'{"step": "4"}', b"\0\0\0", b"\xff\xfe", b"", b"[" * 100_000])
def test_damaged_lines_of_metrics_are_dropped_and_counted(
    options: RunOptions, capsys: pytest.CaptureFixture[str], line: bytes
) -> None:
    open_run(options.out, options)
    for step in range(3):
        log_metrics(options.out, step=step)
        if step == 1:
            with (options.out / "metrics.jsonl").open("ab") as file:
                file.write(line + b"\n")
    truncate_metrics(options.out, 9)
    assert [line["step"] for line in metrics(options.out)] == [0, 1, 2]
    assert capsys.readouterr().err == f"{options.out / 'metrics.jsonl'}: 1 damaged line is dropped\n"


def test_metrics_that_are_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(ValueError, match=r"metrics\.jsonl is not a file"):
        truncate_metrics(tmp_path, 3)


def test_metrics_that_cannot_be_appended_name_their_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*metrics\.jsonl'"):
        log_metrics(tmp_path, step=0)


def test_there_may_be_no_metrics_yet(tmp_path: Path) -> None:
    truncate_metrics(tmp_path, 3)
    assert not list(tmp_path.iterdir())


# Writing


def test_text_is_replaced_whole_and_leaves_no_litter(tmp_path: Path) -> None:
    for text in ("old", "nëw"):
        write_text(tmp_path / "a" / "file.txt", text)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in (tmp_path / "a").iterdir()] == [
        ("file.txt", "nëw")
    ]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    def write_half(file: IO[bytes]) -> None:
        file.write(b"ha")
        raise OSError("disk full")

    atomic_write(tmp_path / "file", lambda file: file.write(b"old"))
    with pytest.raises(OSError, match="disk full"):
        atomic_write(tmp_path / "file", write_half)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_paths_and_dataclasses_can_be_written(tmp_path: Path) -> None:
    written = json.loads(to_json({"path": tmp_path, "options": RunOptions(tmp_path)}))
    assert written["path"] == str(tmp_path)
    assert written["options"]["out"] == str(tmp_path)


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="set cannot be written"):
        to_json({"a": {1, 2}})
