"""A small Slurm: `sbatch`, `srun`, `scontrol`, `scancel` and `squeue` as programs, a scheduler of real processes.

It knows what the batch scripts of this project ask for: arrays, dependencies (`afterok`), `--signal=B:USR1`, being
queued again, one log that is appended to. As in Slurm the last task of an array has the number of the array, which
alone means all tasks, and a step has one core unless `srun` is told otherwise. Jobs run one after the other, and
nothing of them outlives their script. Instead of clocks there are interruptions: each waits until its job has written
what it waits for.

    slurm = SmallSlurm(folder)
    slurm.bash("submit.sh")              # or slurm.call("sbatch", "job.sbatch")
    slurm.run([Interruption(until=lambda job: job.says("step 3"))])
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

POLL = 0.01
"""Seconds between two looks at a job."""
PROGRAMS = ("sbatch", "srun", "scontrol", "scancel", "squeue")
REPORTS = "calls.jsonl"
"""What the programs were told, a JSON list a line."""


@dataclass
class Job:
    """A job, or one task of an array."""

    id: int
    """What Slurm calls it; a task has its own, but the last one that of the array."""
    array: int
    """The job that it is a task of, or itself."""
    task: int | None
    script: Path
    folder: Path
    """Where it runs."""
    log: Path
    after: tuple[int, ...] = ()
    """Jobs that must have ended well before."""
    arguments: tuple[str, ...] = ()
    cores: str = "1"
    """For each of its tasks, as `--cpus-per-task` says."""
    signalled: bool = True
    """Whether Slurm tells the script before its time is up."""
    state: str = "PENDING"
    starts: int = 0
    began: float = 0.0
    """When it was last started, by the clock of files."""
    codes: list[int] = field(default_factory=list)
    """Exit codes of the script, one for each start."""

    def says(self, text: str) -> bool:
        """Whether its log holds a text."""
        return self.log.exists() and text in self.log.read_text(errors="replace")


@dataclass
class Interruption:
    """What happens to a job, once.

    Slurm says that its time will be up (`time`), it is (`limit`), the job is preempted, or its node dies. Only the
    limit comes on top of another one.
    """

    until: Callable[[Job], bool]
    """Whether it is time, asked of every job that runs."""
    kind: Literal["time", "limit", "preempted", "node"] = "time"
    met: Job | None = None
    """The job that it happened to, and that was queued again."""


class SmallSlurm:
    """A cluster of one node, in a folder."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.jobs: list[Job] = []
        bin_folder = folder / "bin"
        bin_folder.mkdir(parents=True)
        for name in PROGRAMS:
            make_program(bin_folder / name, f'exec "{sys.executable}" -S "{__file__}" "{folder}" {name} "$@"')
        # Only what a job needs: nothing of the environment that the tests run in must leak into it.
        self.environment = {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            **{name: os.environ[name] for name in ("PYTHONPATH", "LANG") if name in os.environ},
            **variables,
        }

    def calls(self, program: str) -> list[list[str]]:
        """What a program was told, call by call."""
        path = self.folder / REPORTS
        lines = path.read_text().splitlines() if path.exists() else []
        return [words[1:] for words in map(json.loads, lines) if words[0] == program]

    def bash(self, *words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a script as a person would who submits it."""
        return self.call("bash", *words, folder=folder)

    def call(self, *words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command with the programs of Slurm on its path, and take what it submits into the queue."""
        command = [str(word) for word in words]
        done = subprocess.run(
            command, cwd=folder or self.folder, env=self.environment, capture_output=True, text=True, timeout=200
        )
        self._take_submissions()
        return done

    def run(self, interruptions: Sequence[Interruption] = ()) -> None:
        """Run jobs until none can begin, and interrupt them."""
        waiting = list(interruptions)
        while (job := self._next()) is not None:
            self._run(job, waiting)
            self._take_submissions()
        for job in self.jobs:
            if job.state == "PENDING":
                job.state = "CANCELLED"  # --kill-on-invalid-dep

    def states(self) -> dict[str, list[str]]:
        """The states of jobs and tasks, by the name of their script."""
        found: dict[str, list[str]] = {}
        for job in self.jobs:
            found.setdefault(job.script.name, []).append(job.state)
        return found

    def _next(self) -> Job | None:
        ended = {
            array: {job.state for job in self.jobs if job.array == array} == {"COMPLETED"}
            for array in {job.array for job in self.jobs}
        }
        return next((job for job in self.jobs if job.state == "PENDING" and all(ended[id] for id in job.after)), None)

    def _run(self, job: Job, waiting: list[Interruption]) -> None:
        job.state = "RUNNING"
        job.starts += 1
        job.began = time.time()
        requeued = len(self.calls("scontrol"))
        with job.log.open("a") as log:
            script = subprocess.Popen(
                ["bash", str(job.script), *job.arguments],
                cwd=job.folder,
                env=self._variables(job),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_hear_ctrl_c,
            )
            met: list[Interruption] = []
            try:
                while script.poll() is None:
                    if waiting and (not met or waiting[0].kind == "limit") and waiting[0].until(job):
                        met.append(waiting.pop(0))
                        _interrupt(script, met[-1].kind, job.signalled)
                    time.sleep(POLL)
            finally:
                if script.poll() is None:
                    _interrupt(script, "node", job.signalled)
                    script.wait()
                _end_session(script.pid)
        job.codes.append(script.returncode)
        told = [words[1] for words in self.calls("scontrol")[requeued:] if words[0] == "requeue"]
        queued = [each for name in told for each in self._named(name)]
        # Slurm itself queues a job again that was preempted or whose node died.
        again = job in queued or {"preempted", "node"} & {each.kind for each in met}
        job.state = "PENDING" if again else "FAILED" if script.returncode else "COMPLETED"
        for each in queued:
            each.state = "PENDING"
        for interruption in reversed(met):
            if again:
                interruption.met = job
            else:
                waiting.insert(0, interruption)  # the job had ended before it came: it happens to the next

    def _named(self, name: str) -> list[Job]:
        """The jobs of a name: ARRAY_TASK is one task, and the bare number of an array all of its tasks."""
        number, _, task = name.partition("_")
        if task:
            return [job for job in self.jobs if (job.array, job.task) == (int(number), int(task))]
        tasks = [job for job in self.jobs if job.array == int(number)]
        return tasks or [job for job in self.jobs if job.id == int(number)]

    def _variables(self, job: Job) -> dict[str, str]:
        own = {"SLURM_JOB_ID": str(job.id), "SLURM_SUBMIT_DIR": str(job.folder), "SLURM_RESTART_COUNT": str(job.starts)}
        own |= {"SLURM_JOB_NODELIST": "node", "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_GPUS_ON_NODE": "2"}
        own |= {"SLURM_CPUS_PER_TASK": job.cores}
        if job.task is not None:
            own |= {"SLURM_ARRAY_TASK_ID": str(job.task), "SLURM_ARRAY_JOB_ID": str(job.array)}
        return {**own, **self.environment}

    def _take_submissions(self) -> None:
        known = {job.array for job in self.jobs}
        for path in sorted((self.folder / "queue").glob("*.json"), key=lambda path: int(path.stem)):
            if int(path.stem) not in known:
                self.jobs += _jobs_of(int(path.stem), json.loads(path.read_text()))


def make_program(path: Path, text: str) -> None:
    """A program in bash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def directives(script: Path) -> dict[str, str]:
    """The options that Slurm reads in a script.

    By its rules: one argument a line; quotes of both kinds group, a backslash takes the next character as it stands, an
    unquoted # begins a comment.
    """
    found = {}
    for line in script.read_text(encoding="utf-8").split("\n"):
        if line.startswith("#SBATCH"):
            name, _, value = _argument(line.removeprefix("#SBATCH").strip()).partition("=")
            found[name] = value
    return found


def _argument(line: str) -> str:
    word, quote, escaped = "", "", False
    for character in line:
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = True
        elif quote:
            word, quote = (word, "") if character == quote else (word + character, quote)
        elif character in "\"'":
            quote = character
        elif character == "#" or character.isspace():
            break
        else:
            word += character
    return word


def _hear_ctrl_c() -> None:
    """Do not inherit that SIGINT is ignored, as in what a shell runs in the background: bash could not trap it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(script: subprocess.Popen[bytes], kind: str, signalled: bool) -> None:
    """Do to the processes of a job what Slurm does."""
    everyone = [script.pid, *_descendants(script.pid)]
    if kind == "node":
        for pid in everyone:
            _send(pid, signal.SIGKILL)
    elif kind == "limit":
        _send(script.pid, signal.SIGTERM)
    elif kind == "preempted":
        for pid in everyone:
            _send(pid, signal.SIGTERM)
    else:
        _send(script.pid, signal.SIGUSR1 if signalled else signal.SIGKILL)


def _end_session(session: int) -> None:
    """End what a script left behind, whatever became of the processes that started it."""
    while left := _alive_in(session):
        for pid in left:
            _send(pid, signal.SIGKILL)
        time.sleep(POLL)


def _alive_in(session: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, own = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if own == str(session) and state != "Z":
            found.append(int(folder.name))
    return found


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    own = [int(word) for word in children.read_text().split()] if children.exists() else []
    return [each for child in own for each in (child, *_descendants(child))]


def _jobs_of(number: int, submitted: dict[str, list[str] | str]) -> list[Job]:
    """The job, or the tasks of the array, that a call of sbatch made; its own options win over those of the script."""
    words = list(submitted["words"])
    given = [word for word in words if word.startswith("--")]
    at = next(index for index, word in enumerate(words) if not word.startswith("--"))
    folder = Path(str(submitted["folder"]))
    script = folder / words[at]
    options = directives(script) | dict(word.partition("=")[::2] for word in given)
    runs_in = Path(options.get("--chdir", str(folder)))
    last = options.get("--array", "").partition("-")[2]
    after = tuple(int(each) for each in re.findall(r"\d+", options.get("--dependency", "")))
    tasks: list[int | None] = [*range(int(last) + 1)] if last else [None]
    jobs = []
    for task in tasks:
        own = number if task is None or task == tasks[-1] else number + 1 + task
        names = {"%%": "%", "%a": str(task), "%j": str(own), "%A": str(number), "%x": options.get("--job-name", "")}
        log = "".join(names.get(part, part) for part in re.split("(%.)", options.get("--output", "slurm-%j.out")))
        jobs.append(
            Job(
                id=own,
                array=number,
                task=task,
                script=script,
                folder=runs_in,
                log=runs_in / log,
                after=after,
                arguments=tuple(words[at + 1 :]),
                cores=options.get("--cpus-per-task", "1"),
                signalled=options.get("--signal", "").startswith("B:USR1"),
            )
        )
    return jobs


def _act(folder: Path, name: str, words: list[str]) -> int:
    """Do what one of the programs does."""
    with (folder / REPORTS).open("a") as file:
        file.write(json.dumps([name, *words]) + "\n")
    if name == "sbatch":
        queue = folder / "queue"
        queue.mkdir(exist_ok=True)
        number = 1000 * (1 + len(list(queue.glob("*.json"))))
        (queue / f"{number}.json").write_text(json.dumps({"words": words, "folder": str(Path.cwd())}))
        print(number if "--parsable" in words else f"Submitted batch job {number}")
    elif name == "scontrol" and words[:2] == ["show", "hostnames"]:
        print("\n".join(words[2].split(",")))
    elif name == "srun":
        cores = os.environ.get("SRUN_CPUS_PER_TASK", "1")  # since 22.05, whatever SLURM_CPUS_PER_TASK says
        while words[0].startswith("--"):
            name, _, value = words[0].partition("=")
            cores = value if name == "--cpus-per-task" else cores
            words = words[1:]
        os.environ["SLURM_CPUS_PER_TASK"] = cores
        (folder / "step").write_text(str(os.getpid()))
        os.execvp(words[0], words)
    elif name == "scancel" and words[0].startswith("--signal="):
        os.kill(int((folder / "step").read_text()), signal.Signals[f"SIG{words[0].partition('=')[2]}"])
    return 0


if __name__ == "__main__":
    sys.exit(_act(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
