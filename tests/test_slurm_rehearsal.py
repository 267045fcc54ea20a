"""Whole pieces of work as jobs that are interrupted five times end with the same tables as without jobs."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked_program import forked_program
from memory_lists import make_list
from small_slurm import Interruption, Job, SmallSlurm
from tiny import IMAGE, SHORT, make_tokenizer, make_videos

pytestmark = [
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
    pytest.mark.timeout(900),  # many processes, which wait for one another where others compute, too
]
SWEEP = "--stimuli list --presets demo --batches 1 2 --colours 8 --size 4 --exposures 10 --learning-rates 3e-3"
STUDY = (
    "--videos videos --layers 1 --heads 2 --width 16 --steps 20 --gpt-batch 2 --training-items 4 --checkpoints 0.5 "
    "--n 2 --items 2 --perceptual none --features none --clip-tokenizer clip --image-tokenizer image"
)
TABLES = {".csv", ".html"}
KINDS = ("time", "node", "time", "preempted", "time")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with forked_program(tmp_path_factory.mktemp("program")) as path:
        yield path


def tables(folder: Path) -> dict[str, bytes]:
    """The content of all tables and pages, by where they lie."""
    found = {path for path in folder.rglob("*") if path.suffix in TABLES}
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def whenever_new(folder: Path, *patterns: str) -> Callable[[Job], bool]:
    """Whether the job that runs has made a file that was not there before: some work is done, and more is to do."""
    seen: set[Path] = set()

    def is_new(job: Job) -> bool:
        found = {path for pattern in patterns for path in folder.glob(pattern)} - seen
        seen.update(found)
        return any(path.exists() and path.stat().st_mtime > job.began for path in found)

    return is_new


def rehearse(
    program: Path, folder: Path, command: str, prepare: Callable[[Path], object], *patterns: str
) -> SmallSlurm:
    """Do a piece of work in `whole`, and in `jobs` as jobs that are interrupted when files of these patterns appear."""
    for name in ("whole", "jobs"):
        (folder / name).mkdir()
        prepare(folder / name)
    words = [str(program), *command.split(), "--out", "out"]
    subprocess.run(words, cwd=folder / "whole", check=True, capture_output=True, timeout=600)
    done = subprocess.run([*words, "--slurm"], cwd=folder / "jobs", check=True, capture_output=True, timeout=600)
    assert done.stdout.decode().endswith(": bash out/jobs/submit.sh\n")
    for path in (folder / "jobs" / "out" / "jobs").glob("*.txt"):
        lines = path.read_text().splitlines()
        path.write_text("".join(f"{program} {line.partition(' ')[2]}\n" for line in lines))
    slurm = SmallSlurm(folder / "slurm", OMP_NUM_THREADS="1")
    slurm.bash("out/jobs/submit.sh", folder=folder / "jobs")
    is_new = whenever_new(folder / "jobs" / "out", *patterns)
    interruptions = [Interruption(is_new, kind) for kind in KINDS]
    slurm.run(interruptions)
    assert all(each.met for each in interruptions)
    return slurm


def logs(slurm: SmallSlurm) -> str:
    """What all jobs said."""
    return "\n".join(job.log.read_text() for job in slurm.jobs if job.log.exists())


def check_same(folder: Path) -> None:
    """Check that both pieces of work left the same tables and pages, byte for byte."""
    whole = tables(folder / "whole" / "out")
    jobs = tables(folder / "jobs" / "out")
    assert whole.keys() == jobs.keys()
    assert {name for name in whole if whole[name] != jobs[name]} == set()
    assert "report/report.html" in whole


def test_a_sweep_that_is_interrupted_five_times_ends_with_the_same_tables(program: Path, tmp_path: Path) -> None:
    slurm = rehearse(
        program,
        tmp_path,
        f"memory sweep {SWEEP} --save-every 1",
        lambda folder: make_list(folder / "list", items=1, fillers=0),
        "cells/*/runs/*/state/checkpoints/*",
    )
    assert {job.state for job in slurm.jobs} == {"COMPLETED"}, logs(slurm)
    report = [program, "memory", "report", "out", "--out", "out/report"]
    subprocess.run(report, cwd=tmp_path / "whole", check=True, capture_output=True, timeout=600)
    check_same(tmp_path)


def make_material(folder: Path) -> None:
    """Videos, a tokenizer of clips and one of images."""
    make_videos(folder / "videos", 20, size=16)
    make_tokenizer(SHORT).save_pretrained(folder / "clip")
    make_tokenizer(IMAGE).save_pretrained(folder / "image")


def test_a_study_that_is_interrupted_five_times_ends_with_the_same_tables(program: Path, tmp_path: Path) -> None:
    slurm = rehearse(
        program,
        tmp_path,
        f"diversity study {STUDY}",
        make_material,
        "*/gpt_*/checkpoints/*",
        "runs/*/continuations/*/*/*.npz",
    )
    assert {job.state for job in slurm.jobs} == {"COMPLETED"}, logs(slurm)
    check_same(tmp_path)
