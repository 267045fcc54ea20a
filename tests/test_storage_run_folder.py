"""A run folder says what was asked and never mixes two runs."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from storage.environment import environment
from storage.files import atomic_write, remove_leftovers, temporary_path, to_json, write_text
from storage.metrics_log import log_metrics, truncate_metrics
from storage.options import Options, about, option
from storage.run_folder import Resume, RunFolderError, check_run, leaving_nothing, open_run, read_options


@dataclass(frozen=True)
class Schedule(Options):
    """Like those that every training has."""

    steps: int = option(10, at_least=1)
    parts: int = option(1, at_least=1, may_change=True)
    fast: bool = option(False, may_change=True)
    sharp: bool = True
    save_every: int = option(5, identity="none")


@dataclass(frozen=True)
class RunOptions(Options):
    """Like those of the trainers."""

    command = "made up"

    out: Path = field(metadata=about(identity="none"))
    schedule: Schedule = Schedule()
    data: Path = Path("data")
    models: tuple[Path, ...] = ()
    grid: tuple[int, int] = (2, 3)
    workers: int = option(0, identity="none")
    keep_at: tuple[int, ...] = option((), identity="none")
    method: str = option("new", before="old")


@dataclass(frozen=True)
class TrainingRun(RunOptions):
    """Those of a command whose runs are continued from checkpoints."""

    keeps_checkpoints = True


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
    schedule = {"steps": 10, "parts": 1, "fast": False, "sharp": True, "save_every": 5}
    own = {"command": "made up", "out": str(options.out), "data": "data", "grid": [2, 3], "workers": 0, "keep_at": []}
    own |= {"method": "new", "models": []}
    assert recorded == {**own, **schedule}


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


def test_resuming_with_a_changed_option_is_refused_with_both_values_and_what_to_do(options: RunOptions) -> None:
    open_run(options.out, options)
    expected = r"\(--grid 2 3 -> 2 4; --steps 10 -> 20\): give the old ones, begin anew with --overwrite, or .*--out"
    with pytest.raises(RunFolderError, match=expected):
        open_run(options.out, options.changed(steps=20, grid=(2, 4)), resume="auto")


def test_switches_are_named_as_they_are_typed(options: RunOptions) -> None:
    open_run(options.out, options)
    with pytest.raises(RunFolderError, match=r"\(--sharp -> --no-sharp\)"):
        open_run(options.out, options.changed(sharp=False), resume="auto")


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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parts": 2}, "--parts 1 -> 2"),
        ({"fast": True}, "--no-fast -> --fast"),
        ({"workers": 3}, "--workers 0 -> 3"),
        ({"data": Path.cwd() / "data"}, f"--data data -> {Path.cwd() / 'data'}"),
    ],
)
def test_what_may_change_is_said_and_recorded(
    options: RunOptions, change: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_run(options.out, options)
    changed = options.changed(**change)
    open_run(options.out, changed, resume="auto")
    assert capsys.readouterr().err == f"changed since the run began: {said}\n"
    assert read_options(options.out, RunOptions) == changed


def test_an_empty_list_is_said_as_none(options: RunOptions, capsys: pytest.CaptureFixture[str]) -> None:
    open_run(options.out, options.changed(keep_at=(1, 2)))
    open_run(options.out, options, resume="auto")
    open_run(options.out, options.changed(keep_at=(3,)), resume="auto")
    assert capsys.readouterr().err.splitlines() == [
        "changed since the run began: --keep-at 1 2 -> no --keep-at",
        "changed since the run began: no --keep-at -> --keep-at 3",
    ]


def test_nothing_is_said_of_what_is_as_it_was(options: RunOptions, capsys: pytest.CaptureFixture[str]) -> None:
    open_run(options.out, options)
    open_run(options.out, options, resume="auto")
    assert capsys.readouterr().err == ""


def test_another_path_is_refused_unless_the_same_was_found_there(options: RunOptions) -> None:
    open_run(options.out, options)
    moved = options.changed(data=Path("elsewhere"))
    with pytest.raises(RunFolderError, match=r"\(--data data -> elsewhere\)"):
        check_run(options.out, moved, "auto")
    assert check_run(options.out, moved, "auto", by_content=["data"]).moved == {"data": ("data", "elsewhere")}
    open_run(options.out, moved, "auto", same=["data"])
    assert read_options(options.out, RunOptions).data == Path("elsewhere")


def test_lists_of_paths_are_the_same_if_each_lies_in_the_same_place(options: RunOptions) -> None:
    named = options.changed(models=(Path("one"), Path("two")))
    open_run(named.out, named)
    assert check_run(named.out, named.changed(models=(Path("one").resolve(), Path("two"))), "auto").continues
    with pytest.raises(RunFolderError, match=r"\(--models one two -> one\)"):
        check_run(named.out, named.changed(models=(Path("one"),)), "auto")


def test_an_option_that_the_record_does_not_know_had_its_default(options: RunOptions) -> None:
    open_run(options.out, options)
    path = options.out / "config.json"
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "grid"}))
    assert check_run(options.out, options, "auto").continues
    with pytest.raises(RunFolderError, match="--grid 2 3 -> 9 9"):
        check_run(options.out, options.changed(grid=(9, 9)), "auto")


def without_method(out: Path) -> None:
    """Makes the record of a run that of a version which had no such option."""
    record = json.loads((out / "config.json").read_text())
    del record["method"]
    (out / "config.json").write_text(json.dumps(record))


def test_an_option_with_another_value_before_it_was_there_is_not_mixed(options: RunOptions) -> None:
    open_run(options.out, options)
    without_method(options.out)
    with pytest.raises(RunFolderError, match="--method old -> new"):
        check_run(options.out, options, "auto")
    assert check_run(options.out, options.changed(method="old"), "auto").continues


def test_the_options_of_a_run_are_those_of_its_version(options: RunOptions) -> None:
    open_run(options.out, options)
    without_method(options.out)
    assert read_options(options.out, RunOptions).method == "old"


def test_checking_writes_nothing(options: RunOptions) -> None:
    check_run(options.out, options)
    assert not options.out.exists()


# A folder without something to go on with is not a run


@pytest.mark.parametrize("resume", ["no", "auto"])
def test_a_start_that_came_to_nothing_is_not_a_run(options: RunOptions, resume: Resume) -> None:
    training = TrainingRun(options.out)
    open_run(training.out, training)
    log_metrics(training.out, step=0)
    again = training.changed(grid=(9, 9))
    open_run(again.out, again, resume)
    assert read_options(again.out, TrainingRun) == again
    assert not (again.out / "metrics.jsonl").exists()


@pytest.mark.parametrize("held", ["checkpoints/000005/config.json", "final/model.safetensors"])
def test_a_checkpoint_or_a_final_model_makes_a_run(options: RunOptions, held: str) -> None:
    training = TrainingRun(options.out)
    open_run(training.out, training)
    write_text(training.out / held, "")
    with pytest.raises(RunFolderError, match="already holds a run"):
        open_run(training.out, training)
    with pytest.raises(RunFolderError, match="--grid 2 3 -> 9 9"):
        open_run(training.out, training.changed(grid=(9, 9)), "auto")


def test_a_checkpoint_that_is_still_being_written_makes_none(options: RunOptions) -> None:
    training = TrainingRun(options.out)
    open_run(training.out, training)
    (training.out / "checkpoints" / "000005.tmp").mkdir(parents=True)
    open_run(training.out, training)


@pytest.mark.parametrize("resume", ["no", "auto"])
def test_checkpoints_without_a_record_are_not_mixed_with_new_ones(options: RunOptions, resume: Resume) -> None:
    training = TrainingRun(options.out)
    (training.out / "checkpoints" / "000005").mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"no config\.json.*--overwrite"):
        open_run(training.out, training, resume)
    open_run(training.out, training, resume, overwrite=True)


def test_a_command_may_say_itself_whether_there_is_something_to_go_on_with(options: RunOptions) -> None:
    open_run(options.out, options)
    open_run(options.out, options.changed(steps=20), begun=False)
    with pytest.raises(RunFolderError, match="already holds a run"):
        open_run(options.out, options, begun=True)


def test_the_record_of_another_command_is_not_written_over(options: RunOptions) -> None:
    open_run(options.out, options)
    with pytest.raises(RunFolderError, match="already holds a run"):
        open_run(options.out, OtherOptions(), begun=False)


def fail(out: Path, error: type[BaseException] = ValueError) -> None:
    """A start that makes something, and then ends in an error."""
    with leaving_nothing(out, "old", "new", "list.csv"):
        write_text(out / "new" / "file", "")
        write_text(out / "list.csv", "")
        raise error("it came to nothing")


def test_a_start_that_fails_leaves_nothing_of_what_it_made(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(ValueError, match="came to nothing"):
        fail(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_start_that_people_stop_keeps_what_it_found(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path, KeyboardInterrupt)
    assert (tmp_path / "new").exists()


def test_of_a_run_that_has_begun_nothing_is_removed(options: RunOptions) -> None:
    open_run(options.out, options)
    with pytest.raises(ValueError, match="came to nothing"):
        fail(options.out)
    assert (options.out / "new").exists()


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


@pytest.mark.parametrize(("done", "kept"), [(2, [-1, 0, 1]), (0, [])])
def test_the_line_of_before_the_first_step_stays_once_a_step_is_done(
    options: RunOptions, done: int, kept: list[int]
) -> None:
    open_run(options.out, options)
    for step in range(-1, 4):
        log_metrics(options.out, step=step)
    truncate_metrics(options.out, done)
    assert [line["step"] for line in metrics(options.out)] == kept


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
    with pytest.raises(ValueError, match=r"metrics\.jsonl is a folder"):
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
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_unfinished_files_are_unique(tmp_path: Path) -> None:
    names = {temporary_path(tmp_path / "file").name for _ in range(9)}
    assert len(names) == 9
    assert all(name.endswith(".tmp") and f"-{os.getpid()}-" in name for name in names)


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127])
def test_a_file_may_have_the_longest_name_there_is(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    temporary_path(tmp_path / "file").write_text("ha")
    (tmp_path / "a" / "b").mkdir(parents=True)
    temporary_path(tmp_path / "a" / "b" / "file").write_text("ha")
    (temporary_path(tmp_path / "folder") / "in it").mkdir(parents=True)
    for name in ("mine.tmp", "notes.txt"):
        (tmp_path / name).write_text("mine")
    remove_leftovers(tmp_path)
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == ["a", "b", "mine.tmp", "notes.txt"]


def test_paths_and_dataclasses_can_be_written(tmp_path: Path) -> None:
    written = json.loads(to_json({"path": tmp_path, "options": RunOptions(tmp_path)}))
    assert written["path"] == str(tmp_path)
    assert written["options"]["out"] == str(tmp_path)


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="set cannot be written"):
        to_json({"a": {1, 2}})
