"""A whole piece of work carried out twice, at once and as jobs of a small Slurm that are interrupted five times."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from small_slurm import Interruption, Job, SmallSlurm

TABLES = {".csv", ".html"}
KINDS = ("time", "node", "time", "preempted", "time")


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
