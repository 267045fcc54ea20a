"""The batch scripts pass on what they are given, end in good time, queue again, and know CUDA from ROCm."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from small_slurm import Interruption, Job, SmallSlurm, make_program

import secondsight
from gpt.options import TrainOptions
from storage.options import leaves
from vqgan.options import TrainOptions as TokenizerTrainOptions

BASH = shutil.which("bash")
SCRIPTS = Path(__file__).parent.parent / "slurm"
NAMES = ["a b", "$(touch harm)", "-x", "a'b\"c", "a;touch harm", "*"]
SAYS = "printf '%s\\0' \"$@\" > said; env -0 > variables"
"""A program that writes down what it was told, and in which environment."""
WORKS = "echo started; for ((i = 0; i < 2000; i++)); do sleep 0.05; done"
"""A program that works for longer than any test, and not for ever."""
WAITS = f"trap 'echo saved; exit 0' INT TERM; {WORKS}"
"""A program that works until it is asked to end."""

pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")


@pytest.fixture(autouse=True)
def _nothing_survives(tmp_path: Path) -> Iterator[None]:
    yield
    assert processes_in(tmp_path) == []


def processes_in(folder: Path) -> list[str]:
    """What runs in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another's
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
    return found


def make_site(folder: Path, program: str = SAYS, **variables: str) -> SmallSlurm:
    """A folder with `slurm/` and an environment whose programs do `program`, and a Slurm."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(SCRIPTS, folder / "slurm")
    make_program(folder / ".venv" / "bin" / "accelerate", program)
    make_program(folder / ".venv" / "bin" / "secondsight", program)
    return SmallSlurm(folder, **{"SECONDSIGHT_GPU": "none", **variables})


def words_told(folder: Path) -> list[str]:
    """What the program was told."""
    return (folder / "said").read_bytes().decode().split("\0")[:-1]


def variables_of(folder: Path) -> dict[str, str]:
    """The environment of the program."""
    lines = (folder / "variables").read_bytes().decode().split("\0")[:-1]
    return dict(line.partition("=")[::2] for line in lines)


def submit(slurm: SmallSlurm, script: str, *words: str) -> Job:
    """A job, submitted as people do, and done."""
    slurm.call("sbatch", f"slurm/{script}", *words)
    slurm.run()
    return slurm.jobs[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_gpt_is_trained_where_it_was_asked_for(name: str, tmp_path: Path) -> None:
    slurm = make_site(tmp_path)
    submit(slurm, "train.sbatch", "gpt", "train", f"--tokens={name}", f"--out={name}/run", "--seed", "3")
    words = words_told(tmp_path)
    words = words[words.index(".venv/bin/secondsight") + 1 :]
    assert secondsight.parse(words) == TrainOptions.of(tokens=Path(name), out=Path(name, "run"), seed=3, resume="auto")
    assert not list(tmp_path.glob("harm"))


@pytest.mark.parametrize("name", NAMES)
def test_a_tokenizer_is_trained_on_one_gpu_where_it_was_asked_for(name: str, tmp_path: Path) -> None:
    slurm = make_site(tmp_path)
    submit(slurm, "run.sbatch", "vqgan", "train", f"--data={name}", f"--out={name}/run", "--workers", "7")
    assert secondsight.parse(words_told(tmp_path)) == TokenizerTrainOptions.of(
        data=Path(name), out=Path(name, "run"), resume="auto", workers=7
    )
    assert not list(tmp_path.glob("harm"))


def test_a_container_and_other_folders_of_programs_are_used(tmp_path: Path) -> None:
    slurm = make_site(tmp_path, SECONDSIGHT_CONTAINER="env INSIDE=yes", SECONDSIGHT_BIN=".venv/../.venv/bin")
    submit(slurm, "run.sbatch", "gpt", "plan")
    assert variables_of(tmp_path)["INSIDE"] == "yes"


def test_commands_that_can_be_resumed_are_and_no_others() -> None:
    names = list(secondsight.COMMANDS)
    each = 'source slurm/cluster.sh; for name in "$@"; do name_command $name; echo "${words[*]}"; done'
    done = subprocess.run(["bash", "-c", each, "each", *names], cwd=SCRIPTS.parent, check=True, capture_output=True)
    resumed = {name: "resume" in leaves(secondsight.COMMANDS[name][0]) for name in names}
    assert done.stdout.decode().splitlines() == [f"{name} --resume auto" if resumed[name] else name for name in names]


def test_a_resume_that_was_given_stays(tmp_path: Path) -> None:
    submit(make_site(tmp_path), "run.sbatch", "gpt", "train", "--resume=no")
    assert words_told(tmp_path) == ["gpt", "train", "--resume=no"]


@pytest.mark.parametrize(
    ("script", "words", "variables", "message"),
    [
        ("run.sbatch", [], {}, "which command? Such as: sbatch slurm/run.sbatch memory run"),
        ("run.sbatch", ["gpt", "train", "--overwrite"], {}, "--overwrite would begin anew whenever the job runs again"),
        ("run.sbatch", ["demo"], {"SECONDSIGHT_GPU": "tpu"}, "SECONDSIGHT_GPU=tpu: cuda, rocm or none"),
        ("train.sbatch", ["memory", "run"], {}, "several GPUs are for gpt train, vqgan train and vqgan encode"),
        ("train.sbatch", ["complete", "--gpt=a"], {}, "vqgan encode: sbatch slurm/run.sbatch complete --gpt=a"),
        ("train.sbatch", ["gpt", "train"], {"SLURM_GPUS_ON_NODE": "1"}, "one GPU takes no launcher: sbatch slurm/run"),
        ("train.sbatch", ["gpt", "train"], {"SLURM_GPUS_ON_NODE": ""}, "is not set: ask for --gpus-per-node"),
        (
            "train.sbatch",
            ["gpt", "train"],
            {"SLURM_JOB_NODELIST": "one,two", "GLOO_SOCKET_IFNAME": "eth0", "SECONDSIGHT_NET_PLUGIN": "none"},
            "SECONDSIGHT_NET_PLUGIN=none holds no libnccl-net.so or librccl-net.so",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_log(
    script: str, words: list[str], variables: dict[str, str], message: str, tmp_path: Path
) -> None:
    job = submit(make_site(tmp_path, **variables), script, *words)
    assert job.state == "FAILED"
    assert message in job.log.read_text()
    assert not (tmp_path / "said").exists()


# Time limits


@pytest.mark.parametrize("script", ["run.sbatch", "train.sbatch"])
def test_a_job_whose_time_is_up_saves_and_queues_again(script: str, tmp_path: Path) -> None:
    program = f"[[ ! -e once ]] || exit 0; touch once; {WAITS}"
    slurm = make_site(tmp_path, program)
    slurm.call("sbatch", f"slurm/{script}", "gpt", "train")
    slurm.run([Interruption(until=lambda job: job.says("started"))])
    (job,) = slurm.jobs
    assert job.says("saved")
    assert (job.state, job.starts, slurm.calls("scontrol").count(["requeue", str(job.id)])) == ("COMPLETED", 2, 1)


def test_a_job_hears_what_is_ignored_where_the_tests_run_in_the_background(tmp_path: Path) -> None:
    slurm = make_site(tmp_path, "kill -INT $BASHPID; echo deaf")
    slurm.call("sbatch", "slurm/run.sbatch", "gpt", "plan")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        slurm.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert not slurm.jobs[0].says("deaf")


@pytest.mark.parametrize(("script", "asked"), [("run.sbatch", []), ("train.sbatch", [["--signal=TERM", "1000_1"]])])
def test_one_task_of_an_array_is_signalled_and_queued_again_and_no_other(
    script: str, asked: list[list[str]], tmp_path: Path
) -> None:
    once = f"[[ $SLURM_ARRAY_TASK_ID = 0 || -e once ]] && exit 0; touch once; {WAITS}"
    slurm = make_site(tmp_path, once)
    slurm.call("sbatch", "--array=0-1", f"slurm/{script}", "gpt", "train")
    slurm.run([Interruption(until=lambda job: job.says("started"))])
    assert [(job.id, job.starts, job.state) for job in slurm.jobs] == [(1001, 1, "COMPLETED"), (1000, 2, "COMPLETED")]
    assert slurm.calls("scancel") == asked


@pytest.mark.parametrize("script", ["run.sbatch", "train.sbatch"])
def test_a_failure_is_not_queued_again(script: str, tmp_path: Path) -> None:
    job = submit(make_site(tmp_path, "exit 3"), script, "gpt", "train")
    assert (job.state, job.codes, job.starts) == ("FAILED", [3], 1)


def test_a_job_that_was_told_to_end_has_not_done_its_work(tmp_path: Path) -> None:
    slurm = make_site(tmp_path, f"[[ ! -e once ]] || exit 0; touch once; {WAITS}")
    slurm.call("sbatch", "slurm/run.sbatch", "gpt", "train")
    slurm.run([Interruption(until=lambda job: job.says("started"), kind="preempted")])
    assert slurm.jobs[0].codes == [143, 0]
    assert not [words for words in slurm.calls("scontrol") if words[0] == "requeue"]


def test_who_is_asked_twice_saves_once_and_is_queued_again(tmp_path: Path) -> None:
    reached = "for ((i = 0; i < 2000; i++)); do [[ ! -e limit ]] || break; sleep 0.05; done"
    saves = f"trap 'echo asked; {reached}; echo saved; exit 0' INT"
    slurm = make_site(tmp_path, f"[[ ! -e once ]] || exit 0; touch once; {saves}; {WORKS}")

    def meets_the_limit(job: Job) -> bool:
        if job.says("asked"):
            (tmp_path / "limit").touch()
        return job.says("asked")

    slurm.call("sbatch", "slurm/run.sbatch", "gpt", "train")
    slurm.run([Interruption(lambda job: job.says("started")), Interruption(meets_the_limit, kind="limit")])
    (job,) = slurm.jobs
    assert job.log.read_text().count("asked") == 1
    assert (job.says("saved"), job.starts, job.state) == (True, 2, "COMPLETED")


def test_nothing_outlives_a_script_that_slurm_kills(tmp_path: Path) -> None:
    slurm = make_site(tmp_path)
    (tmp_path / "unwarned.sbatch").write_text(f"#!/bin/bash\nset -m\n( {WORKS} ) &\nwait\n")
    slurm.call("sbatch", "unwarned.sbatch")
    slurm.run([Interruption(until=lambda job: job.says("started"))])
    assert slurm.jobs[0].state == "FAILED"
    assert processes_in(tmp_path) == []


# What processes are given


def test_a_launcher_has_the_cores_of_its_node(tmp_path: Path) -> None:
    slurm = make_site(tmp_path)
    slurm.call("sbatch", "--cpus-per-task=56", "slurm/train.sbatch", "gpt", "train")
    slurm.run()
    assert variables_of(tmp_path)["SLURM_CPUS_PER_TASK"] == "56"


def test_a_launcher_of_each_node_starts_a_process_on_each_gpu(tmp_path: Path) -> None:
    nodes = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "one,two", "SLURM_NODEID": "1", "GLOO_SOCKET_IFNAME": "eth3"}
    submit(make_site(tmp_path, **nodes), "train.sbatch", "gpt", "train")
    words = words_told(tmp_path)
    told = dict(pairwise(words))
    assert words[:1] == ["launch"]
    assert (told["--num_machines"], told["--num_processes"], told["--machine_rank"]) == ("2", "4", "1")
    assert (told["--main_process_ip"], told["--main_process_port"]) == ("one", "21000")


def network(folder: Path, links: str, route: str = "10.0.0.2 dev ib0 src 10.0.0.1 uid 0") -> None:
    """Programs of a node with these interfaces, and this way to another node."""
    lines = "\n".join(f"{number}: {name}: <UP> mtu 9000" for number, name in enumerate(links.split(), start=1))
    make_program(folder / "bin" / "ip", f"[[ $2 = link ]] && echo '{lines}' || echo '{route}'")
    make_program(folder / "bin" / "getent", 'echo "10.0.0.2 STREAM $2"')


def trained_on_two_nodes(folder: Path, links: str, **variables: str) -> dict[str, str]:
    """The environment of the processes of two nodes."""
    nodes = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "one,two", "SLURMD_NODENAME": "one"}
    slurm = make_site(folder, **{**nodes, **variables})
    network(folder, links)
    submit(slurm, "train.sbatch", "gpt", "train")
    return variables_of(folder)


def test_nodes_talk_over_the_interface_on_the_way_to_the_others(tmp_path: Path) -> None:
    found = trained_on_two_nodes(tmp_path, "lo eth0 ib0", SECONDSIGHT_GPU="cuda")
    assert (found["NCCL_SOCKET_IFNAME"], found["GLOO_SOCKET_IFNAME"]) == ("ib0", "ib0")
    assert not [name for name in found if name.startswith(("FI_", "CXI_", "MIOPEN_"))]


def test_slingshot_is_found_and_set_up_for_rocm(tmp_path: Path) -> None:
    found = trained_on_two_nodes(tmp_path, "lo eth0 hsn1 hsn0", SECONDSIGHT_GPU="rocm")
    assert (found["NCCL_SOCKET_IFNAME"], found["GLOO_SOCKET_IFNAME"]) == ("hsn", "hsn0")
    assert (found["NCCL_NET_GDR_LEVEL"], found["FI_CXI_ATS"], found["FI_MR_CACHE_MONITOR"]) == (
        "PHB",
        "0",
        "userfaultfd",
    )


def test_what_a_site_has_set_stays(tmp_path: Path) -> None:
    own = {"NCCL_SOCKET_IFNAME": "hsn2", "GLOO_SOCKET_IFNAME": "hsn2", "FI_CXI_ATS": "1", "OMP_NUM_THREADS": "5"}
    found = trained_on_two_nodes(tmp_path, "lo hsn0", SECONDSIGHT_GPU="rocm", **own)
    assert {name: found[name] for name in own} == own


def test_a_plugin_is_found_by_the_libraries_and_must_be_used(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "librccl-net.so").touch()
    found = trained_on_two_nodes(tmp_path, "lo hsn0", SECONDSIGHT_GPU="rocm", SECONDSIGHT_NET_PLUGIN=str(plugin))
    assert found["LD_LIBRARY_PATH"] == str(plugin)
    assert found["NCCL_NET"] == "AWS Libfabric"


def test_caches_lie_on_the_node_and_no_two_jobs_share_them(tmp_path: Path) -> None:
    submit(make_site(tmp_path, SECONDSIGHT_GPU="rocm", SECONDSIGHT_SCRATCH=str(tmp_path)), "run.sbatch", "demo")
    found = variables_of(tmp_path)
    caches = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "MIOPEN_USER_DB_PATH", "MIOPEN_CUSTOM_CACHE_DIR")
    assert {Path(found[name]).parent.parent for name in caches} == {tmp_path}
    assert all(Path(found[name]).parent.name.endswith("-1000") for name in caches)
    assert Path(found["MIOPEN_USER_DB_PATH"]).is_dir()


def test_one_list_says_which_gpus_of_amd_are_seen(tmp_path: Path) -> None:
    lists = dict.fromkeys(("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"), "4,5")
    submit(make_site(tmp_path, SECONDSIGHT_GPU="rocm", **lists), "run.sbatch", "demo")
    assert {name for name in lists if name in variables_of(tmp_path)} == {"ROCR_VISIBLE_DEVICES"}


@pytest.mark.parametrize(("program", "kind"), [("nvidia-smi", "cuda"), ("rocm-smi", "rocm")])
def test_what_a_node_has_decides_between_cuda_and_rocm(program: str, kind: str, tmp_path: Path) -> None:
    slurm = make_site(tmp_path, SECONDSIGHT_GPU="")
    make_program(tmp_path / "bin" / program, "true")
    slurm.environment["PATH"] = os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"])
    assert f": {kind}, interface not needed" in submit(slurm, "run.sbatch", "demo").log.read_text()


@pytest.mark.parametrize(
    ("words", "threads"), [("gpt train", "16"), ("vqgan train", "1"), ("vqgan encode", "1")], ids=lambda each: each
)
def test_processes_share_the_cores_unless_workers_need_them(words: str, threads: str, tmp_path: Path) -> None:
    submit(make_site(tmp_path), "train.sbatch", *words.split())
    assert variables_of(tmp_path)["OMP_NUM_THREADS"] == threads


def test_lists_that_may_be_empty_do_not_end_scripts_of_old_bash() -> None:
    scripts = [*SCRIPTS.iterdir(), *(SCRIPTS.parent / "experiments").glob("*.j2")]
    text = "\n".join(script.read_text() for script in scripts)
    guarded = text.replace('${container[@]+"${container[@]}"}', "").replace('${after[@]+"${after[@]}"}', "")
    assert re.findall(r"\$\{(?:container|after)\[@\].*", guarded) == []


@pytest.mark.parametrize("script", sorted(SCRIPTS.iterdir()), ids=lambda script: script.name)
def test_scripts_are_sound(script: Path) -> None:
    subprocess.run([str(BASH), "-n", script], check=True)
    checker = shutil.which("shellcheck")
    if checker:
        subprocess.run([checker, "-x", script], check=True, cwd=SCRIPTS.parent)
