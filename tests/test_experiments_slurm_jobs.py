"""Jobs mean the work that they were made of, whatever its folders are called: to Slurm, to bash, to the program."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_slurm import Interruption, SmallSlurm, directives

import secondsight
from experiments.memory.options import MemoryOptions, SweepOptions
from experiments.memory.sweep import sweep_cells
from experiments.slurm_jobs import Step, write_jobs

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")

TASK = {"SLURM_JOB_ID": "1", "PATH": "/usr/bin:/bin"}

HOSTILE = [
    "a b",
    'a"b',
    "a'b",
    "$(touch harm)",
    "`touch harm`",
    "a;touch harm",
    "%a",
    "%%j",
    "-x",
    "#x",
    "*",
    "~",
    "!x",
]
NAMES = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="/\0\\", exclude_categories=["C", "Zl", "Zp", "Zs"]), min_size=1, max_size=8
).filter(lambda name: name not in (".", "..") and "packjob" not in name.lower())


def make_door(folder: Path) -> Path:
    """A program that writes down its arguments and does nothing else."""
    door = folder / "door"
    door.write_text(f"#!/bin/bash\nprintf '%s\\0' \"$@\" > '{folder}/said'\n")
    door.chmod(0o755)
    return door


def write_cells(cells: list[MemoryOptions], out: Path, door: Path | None = None) -> Path:
    """The script of an array of cells."""
    return write_jobs([Step("cells", cells)], out, door).with_name("cells.sbatch")


def make_cells(out: Path, stimuli: Path) -> list[MemoryOptions]:
    """Two cells over one list."""
    return sweep_cells(SweepOptions.of(out=out, stimuli=(stimuli,), presets=("tiny",), batches=(1, 2)))


@needs_bash
@given(name=NAMES, stimuli=NAMES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_task_carries_out_its_cell_and_nothing_else(
    name: str, stimuli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / name / "sweep"
    cells = make_cells(out, Path(stimuli))
    script = write_cells(cells, out, make_door(tmp_path))
    subprocess.run([str(BASH), script], check=True, env={**TASK, "SLURM_ARRAY_TASK_ID": "1"})
    words = (tmp_path / "said").read_bytes().decode().split("\0")[:-1]
    assert secondsight.parse(words) == cells[1]
    assert not list(tmp_path.rglob("harm"))


@given(name=NAMES, folder=NAMES)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slurm_reads_the_folders_as_they_are(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / folder
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    read = directives(write_cells(make_cells(Path(name), Path("list")), Path(name)))
    assert read["--chdir"] == str(here)
    assert read["--output"] == f"{str(here / name).replace('%', '%%')}/jobs/logs/cells-%a.log"
    assert read["--array"] == "0-1"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\nb", "a character that cannot be printed"),
        ("a\x1bb", "a character that cannot be printed"),
        ("a\\b", "a backslash"),
        ("Packjob", "the word packjob"),
    ],
)
def test_a_folder_that_slurm_cannot_be_told_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, reason: str
) -> None:
    out = tmp_path / name
    with pytest.raises(ValueError, match=rf"--out .* has {reason}, which no line of a Slurm script can name") as error:
        write_cells(make_cells(out, Path("list")), out)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_slurm_cannot_be_told_is_named_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("back\\slash")
    with pytest.raises(ValueError, match=r"^--out 'back\\slash' has a backslash, which"):
        write_cells(make_cells(out, Path("list")), out)


@needs_bash
def test_a_list_of_any_name_stays_on_its_line(tmp_path: Path) -> None:
    cells = make_cells(tmp_path / "out", Path("a\nb"))[:1]
    cells = [cells[0].changed(out=tmp_path / "cell")]
    script = write_cells(cells, tmp_path / "out", make_door(tmp_path))
    assert len((tmp_path / "out" / "jobs" / "cells.txt").read_text().splitlines()) == 1
    subprocess.run([str(BASH), script], check=True, env={**TASK, "SLURM_ARRAY_TASK_ID": "0"})
    words = (tmp_path / "said").read_bytes().decode().split("\0")[:-1]
    assert secondsight.parse(words) == cells[0]


# Dependencies


def make_steps() -> list[Step]:
    """Two steps, of two tasks and of one."""
    cells = make_cells(Path("out"), Path("list"))
    return [Step("cells", cells), Step("report", cells[:1], gpu=False)]


@needs_bash
def test_a_step_begins_when_the_one_before_has_ended_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    submit = write_jobs(make_steps(), tmp_path / "a b", make_door(tmp_path))
    slurm = SmallSlurm(tmp_path / "slurm")
    assert slurm.bash(submit, "--account=me").stdout == "cells: job 1000\nreport: job 2000\n"
    first, second = slurm.calls("sbatch")
    assert first == ["--parsable", "--account=me", str(submit.with_name("cells.sbatch"))]
    assert second[1:4] == ["--dependency=afterok:1000", "--kill-on-invalid-dep=yes", "--account=me"]
    slurm.run()
    assert slurm.states() == {"cells.sbatch": ["COMPLETED"] * 2, "report.sbatch": ["COMPLETED"]}


@needs_bash
def test_nothing_is_merged_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    door = make_door(tmp_path)
    door.write_text("#!/bin/bash\necho broken\nexit 3\n")
    submit = write_jobs(make_steps(), tmp_path / "out", door)
    slurm = SmallSlurm(tmp_path / "slurm")
    slurm.bash(submit)
    slurm.run()
    assert slurm.states() == {"cells.sbatch": ["FAILED"] * 2, "report.sbatch": ["CANCELLED"]}
    assert (tmp_path / "out" / "jobs" / "logs" / "cells-1.log").read_text() == "broken\n"


@needs_bash
def test_a_task_whose_time_is_up_is_queued_again_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    door = make_door(tmp_path)
    waits = "trap 'echo saved; exit 0' INT; echo started; for ((i = 0; i < 2000; i++)); do sleep 0.05; done"
    door.write_text(f"#!/bin/bash\n[[ $SLURM_ARRAY_TASK_ID = 0 || -e once ]] && exit 0\ntouch once; {waits}\n")
    submit = write_jobs([Step("cells", make_cells(Path("out"), Path("list")))], tmp_path / "out", door)
    slurm = SmallSlurm(tmp_path / "slurm")
    slurm.bash(submit)
    slurm.run([Interruption(until=lambda job: job.says("started"))])
    assert [(job.starts, job.state) for job in slurm.jobs] == [(1, "COMPLETED"), (2, "COMPLETED")]
    assert slurm.calls("scontrol") == [["requeue", "1000_1"]]


def test_only_steps_that_compute_ask_for_a_gpu(tmp_path: Path) -> None:
    submit = write_jobs(make_steps(), tmp_path)
    assert directives(submit.with_name("cells.sbatch"))["--gpus"] == "1"
    assert "--gpus" not in directives(submit.with_name("report.sbatch"))


@needs_bash
def test_the_site_of_the_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "cluster.sh").write_text('set_up_node() { export SITE="of $1"; }\n')
    door = make_door(tmp_path)
    door.write_text('#!/bin/bash\necho "$SITE"\n')
    submit = write_jobs(make_steps(), tmp_path / "out", door)
    slurm = SmallSlurm(tmp_path / "small")
    slurm.bash(submit)
    slurm.run()
    assert (tmp_path / "out" / "jobs" / "logs" / "report-0.log").read_text().startswith("of ")


@needs_bash
def test_scripts_are_sound(tmp_path: Path) -> None:
    submit = write_jobs(make_steps(), tmp_path)
    scripts = [submit, *submit.parent.glob("*.sbatch")]
    for script in scripts:
        subprocess.run([str(BASH), "-n", script], check=True)
    checker = shutil.which("shellcheck")
    if checker:
        subprocess.run([checker, *scripts], check=True)
