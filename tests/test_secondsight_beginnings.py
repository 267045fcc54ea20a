"""What is refused before torch is imported, which takes seconds: every command in one process that cannot import it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import SHORT, make_gpt, make_tokenizer

import secondsight
from storage.files import write_text
from storage.options import leaves

# A command that gets as far as torch says so in the place of a refusal.
PROGRAM = """
import contextlib, io, json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise KeyError("torch is imported")

sys.meta_path.insert(0, Blocker())
import secondsight

said = []
for words in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            secondsight.main(words)
        except KeyError as error:
            errors.write(error.args[0])
        except SystemExit as end:
            errors.write(f" ({end.code})")
    said.append(errors.getvalue())
print(json.dumps(said))
"""

NO_MODEL = "secondsight: nowhere holds no model: there is no such folder"
NO_DATA = "secondsight: nowhere does not exist"
NO_STORE = "secondsight: nowhere is no token store (no metadata.json): write one with `secondsight vqgan encode`"
NO_LIST = "secondsight: nowhere/study holds no images"
NO_FILE = "secondsight: there is no checkpoint file nowhere"
RUN = "secondsight: run already holds a run: continue it with --resume auto, replace it with --overwrite, or choose"
FILE = "secondsight: --out file cannot be written: File exists"
LOOP = "secondsight: --out loop cannot be written: Too many levels of symbolic links"
LONG = 300 * "n"
COMPLETE = "complete --gpt gpt --tokenizer tokenizer --input clip.mp4"
LADDER = "scaling run --tokens tokens --widths 64 --budgets 1e12 --out new"
DIVERSITY = "diversity run --gpt gpt --tokenizer tokenizer --tokens tokens --data clip.mp4 --out new"

REFUSED = {
    "complete --gpt nowhere --tokenizer tokenizer --input clip.mp4 --out new": NO_MODEL,
    "complete --gpt tokenizer --tokenizer tokenizer --input clip.mp4 --out new": "secondsight: tokenizer holds a 'pal",
    "complete --gpt gpt --tokenizer nowhere --input clip.mp4 --out new": NO_MODEL,
    "complete --gpt gpt --tokenizer tokenizer --input clip.mp4 nowhere --out new": NO_DATA,
    f"{COMPLETE} --out file": FILE,
    f"{COMPLETE} --out file/new": "secondsight: --out file/new cannot be written: Not a directory",
    f"{COMPLETE} --out loop": f"{LOOP}: choose another\n",
    f"{COMPLETE} --out loop/new": "secondsight: --out loop/new cannot be written: Too many levels of symbolic links: ",
    f"{COMPLETE} --out {LONG}": f"secondsight: --out {LONG} cannot be written: File name too long: choose another\n",
    f"{COMPLETE} --out new/{LONG}/new": f"secondsight: --out new/{LONG}/new cannot be written: File name too long: ",
    f"gpt train --tokens tokens --out {LONG}": f"secondsight: --out {LONG} cannot be written: File name too long: ",
    "gpt train --tokens tokens --out loop": LOOP,
    f"{COMPLETE} --out completions": "secondsight: completions already holds a run: continue it with --resume auto",
    f"{COMPLETE} --input shards-{{0..3}}.tar --out new": "secondsight: shards-3.tar does not exist",
    f"{COMPLETE} --input list.csv --out new": "secondsight: list.csv has no column `path`",
    f"{COMPLETE} --input half --out new": "secondsight: half holds prepared shards that are not finished",
    "publish --model nowhere --out new": NO_MODEL,
    "publish --model gpt/model.safetensors --out new": "secondsight: gpt/model.safetensors is a file of a model: give",
    "publish --model gpt --evaluation nowhere --out new": "secondsight: nowhere holds no metrics.json: --evaluation is",
    "demo --videos nowhere --out new": NO_DATA,
    "data inspect nowhere --out new": NO_DATA,
    "data look nowhere --out new": NO_DATA,
    "data look clip.mp4 --tokenizer nowhere --out new": NO_MODEL,
    "data look clip.mp4 --gpt nowhere --out new": NO_MODEL,
    "data look clip.mp4 --tags nowhere --out new": "secondsight: --tags nowhere is no file: give the CSV",
    "data look clip.mp4 --out file": FILE,
    "data prepare nowhere --out new": NO_DATA,
    "data subset --tokens nowhere --items 2 --out new": NO_STORE,
    "data subset --tokens tokens --exclude nowhere --out new": "secondsight: there is no table of tags nowhere",
    "data playroom --clips 2 --out file": FILE,
    "data synthetic --clips 2 --out file": FILE,
    "physics stimuli --scenes 1 --out file": FILE,
    "data stimuli --kind brady --source nowhere --out file": FILE,
    "data stimuli --kind brady --source nowhere --out new": "secondsight: nowhere is not a folder",
    "vqgan train --data nowhere --out new": NO_DATA,
    "vqgan train --data clip.mp4 --init nowhere --out new": NO_MODEL,
    "vqgan train --data clip.mp4 --init tokens --out new": "secondsight: tokens holds no model: expected config.json",
    "vqgan train --data clip.mp4 --init gpt --out new": "secondsight: gpt holds a 'gpt', not a vqgan",
    "vqgan train --data clip.mp4 --out run": RUN,
    "vqgan palette --data nowhere --out new": NO_DATA,
    "vqgan eval --tokenizer nowhere --data clip.mp4 --out new": NO_MODEL,
    "vqgan eval --tokenizer tokenizer --data nowhere --out new": NO_DATA,
    "vqgan encode --tokenizer nowhere --data clip.mp4 --out new": NO_MODEL,
    "vqgan encode --tokenizer tokenizer --data nowhere --out new": NO_DATA,
    "vqgan leakage --tokenizer tokenizer --data nowhere --out new": NO_DATA,
    "vqgan import --kind tats --weights nowhere --out new": NO_FILE,
    "vqgan import --kind tats --weights tokenizer --out new": "secondsight: the checkpoint file tokenizer is a folder,",
    "vqgan import --kind ibq --weights file --config nowhere --out new": "secondsight: there is no configuration file",
    "gpt train --tokens nowhere --out new": NO_STORE,
    "gpt train --tokens tokens --init tokenizer --out new": "secondsight: tokenizer holds a 'palette', not a gpt",
    "gpt train --tokens tokens --tokenizer nowhere --out new": NO_MODEL,
    "gpt train --tokens tokens --out run": RUN,
    "gpt train --tokens tokens --schedule wsd --trunk nowhere --out new": "secondsight: nowhere holds no run: its conf",
    "gpt train --tokens nowhere --resume auto --out new": NO_STORE,
    "gpt train --tokens nowhere --overwrite --out run": NO_STORE,
    "gpt eval --gpt nowhere --tokens tokens": NO_MODEL,
    "gpt eval --gpt gpt --tokens nowhere": NO_STORE,
    "gpt import --kind vqgan-gpt --weights nowhere --out new": NO_FILE,
    "gpt import --kind vqgan-gpt --weights file --tokenizer nowhere --out new": NO_MODEL,
    "gpt import --kind imagegpt --weights file --clusters nowhere --out new": "secondsight: there is no preprocessor_",
    "memory run --stimuli nowhere --out new": NO_LIST,
    "memory keys --stimuli nowhere --out new": NO_LIST,
    "memory keys --stimuli list --keys gpt:nowhere --out new": NO_MODEL,
    "memory keys --stimuli list --key-data nowhere --out new": NO_DATA,
    "memory run --stimuli list --then nowhere --out new": NO_LIST,
    "memory run --stimuli list --store-key resnet --out new": "secondsight: 'resnet' is no key of pictures: give pixe",
    "memory run --stimuli list --gpt nowhere --out new": NO_MODEL,
    "memory run --stimuli list --tokenizer nowhere --out new": NO_MODEL,
    "memory observe --stimuli nowhere --observer chance --out new": NO_LIST,
    "memory observe --stimuli list --scores nowhere --out new": "secondsight: there is no table of scores nowhere",
    "memory continuous --stimuli nowhere --observer chance --out new": NO_LIST,
    "memory continuous --stimuli list --observer chance --beside list --out new": "secondsight: list holds no lags.csv",
    "memory task --stimuli nowhere --out new": NO_LIST,
    "memory task --stimuli list --out file": FILE,
    "memory task --stimuli list --consent nowhere --out new": "secondsight: there is no file nowhere: --consent and",
    "memory task --stimuli list --debriefing list --out new": "secondsight: there is no file list: --consent and",
    "memory task --stimuli list --consent clip.mp4 --out new": "secondsight: clip.mp4 must be a text for participants",
    "app --gpt nowhere --tokenizer tokenizer": NO_MODEL,
    "app --gpt gpt --tokenizer nowhere": NO_MODEL,
    "app --gpt gpt --tokenizer tokenizer --input nowhere": NO_DATA,
    "memory serve nowhere": "secondsight: nowhere holds no task.json: make a test with `secondsight memory task`",
    "memory report nowhere --out new": "secondsight: nowhere holds no trials.csv: give folders of finished runs of",
    "memory items nowhere --resmem --out new": "secondsight: nowhere holds no trials.csv: give folders of",
    "memory report --people nowhere --out new": "secondsight: there is no table of people's responses nowhere",
    "memory people nowhere --out new": "secondsight: there is no export nowhere",
    DIVERSITY.replace("--gpt gpt", "--gpt nowhere"): NO_MODEL,
    DIVERSITY.replace("--tokens tokens", "--tokens nowhere"): NO_STORE,
    DIVERSITY.replace("clip.mp4", "nowhere"): NO_DATA,
    "diversity study --videos nowhere --out new": NO_DATA,
    "physics run --films nowhere --tokenizer tokenizer --gpt gpt --out new": NO_DATA,
    "physics run --films list --tokenizer nowhere --gpt gpt --out new": NO_MODEL,
    "physics run --films list --tokenizer tokenizer --gpt gpt nowhere --out new": NO_MODEL,
    "physics run --films list --tokenizer tokenizer --gpt gpt --control-gpt nowhere --out new": NO_MODEL,
    "physics run --films list --tokenizer tokenizer --scores nowhere --out new": "secondsight: there is no table of",
    "physics report nowhere --out new": "secondsight: nowhere holds no scores.csv: it is no finished run of",
    "scaling extrapolate nowhere --target .9 --out new": "secondsight: nowhere does not exist: TABLE is a CSV file",
    "scaling extrapolate list --target .9 --out new": "secondsight: list is a folder: TABLE is a CSV file",
    "scaling fit nowhere --out new": "secondsight: nowhere does not exist: TABLE is a CSV file",
    "scaling fit list.csv --out file": FILE,
    "scaling plan --tokens nowhere --widths 64 --budgets 1e12 --out new": NO_STORE,
    "scaling plan --tokens tokens --widths 64 --budgets 1e12 --out file": FILE,
    "scaling report nowhere --out new": "secondsight: nowhere holds nothing that can be reported: give folders that",
    "scaling run --tokens nowhere --widths 64 --budgets 1e12 --out new": NO_STORE,
    "scaling run --tokens tokens --widths 64 --budgets 1e12 --out file": FILE,
    f"{LADDER} --tasks memory --tokenizer nowhere --stimuli list": NO_MODEL,
    f"{LADDER} --tasks memory --tokenizer tokenizer --stimuli nowhere": NO_LIST,
    f"{LADDER} --tasks reconstruction --tokenizer tokenizer --data nowhere": NO_DATA,
    f"{LADDER} --tasks physics --tokenizer tokenizer --films nowhere": NO_DATA,
    f"{LADDER} --tasks nll --task-options nowhere": "secondsight: there is no file of --task-options nowhere",
    "scaling tasks nowhere --out new": "secondsight: nowhere does not exist: TABLE is a CSV file",
    "scaling tasks list.csv --out file": FILE,
    "diversity report nowhere --out new": "secondsight: nowhere holds no run.csv: it is no finished run of",
}
"""Command lines, and how what is said of them begins."""

LEFT_TO_THE_COMMAND = [
    f"{COMPLETE} --out new",
    f"{COMPLETE} --gpt hf:nobody/nothing --out new",
    f"{COMPLETE} --input shards-{{0..2}}.tar --out new",
    f"{COMPLETE} --out completions --overwrite",
    "gpt train --tokens nowhere --resume auto --out run",
    "diversity study --videos nowhere --slurm --out new",
]
"""Command lines that are refused later, or not at all."""


def make_files(folder: Path) -> None:
    """What the command lines name, as far as it is looked at so early."""
    for name, kind in (("gpt", "gpt"), ("tokenizer", "palette")):
        write_text(folder / name / "config.json", json.dumps({"kind": kind}))
        write_text(folder / name / "model.safetensors", "")
    config = {"gpt train": "run", "complete": "completions"}
    for command, name in config.items():
        write_text(folder / name / "config.json", json.dumps({"command": command}))
    empty = ["file", "clip.mp4", "tokens/metadata.json", "tokens/items.jsonl", "run/final/model.safetensors"]
    empty += ["completions/sample.json", "half/plan.json", "half/shard-00000.tar", "list/study/a.png"]
    for name in [*empty, *(f"shards-{number}.tar" for number in range(3))]:
        write_text(folder / name, "")
    (folder / "loop").symlink_to("loop")
    write_text(folder / "list.csv", "start,end\n")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("beginnings")
    make_files(folder)
    before = sorted(folder.rglob("*"))
    lines = [*REFUSED, *LEFT_TO_THE_COMMAND]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([line.split() for line in lines]),
        cwd=folder,
        text=True,
        capture_output=True,
        check=True,
    )
    assert sorted(folder.rglob("*")) == before, "nothing is written"
    return dict(zip(lines, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_begin_is_refused_before_torch_is_imported(line: str, said: dict[str, str]) -> None:
    assert said[line].startswith(REFUSED[line])
    assert said[line].count("\n") == 1


@pytest.mark.parametrize("line", LEFT_TO_THE_COMMAND)
def test_what_may_begin_is_left_to_the_command(line: str, said: dict[str, str]) -> None:
    assert said[line] == "torch is imported"


def test_every_command_that_can_be_refused_so_early_is_tested() -> None:
    checked = {
        name
        for name, (kind, _) in secondsight.COMMANDS.items()
        if "out" in leaves(kind) or any(leaf.metadata.get("must_hold") for leaf in leaves(kind).values())
    }
    tested = {name for name in secondsight.COMMANDS for line in REFUSED if line.startswith(f"{name} ")}
    assert checked - tested == {"memory sweep"}  # one cell that fails does not keep the others from running


def test_a_picture_needs_nothing_that_takes_long_to_import_but_torch(tmp_path: Path) -> None:
    make_tokenizer(SHORT).save_pretrained(tmp_path / "tokenizer")
    make_gpt().save_pretrained(tmp_path / "gpt")
    slow = ["accelerate", "matplotlib", "scipy", "sympy", "torch._dynamo", "torch.distributed.tensor", "torchvision"]
    code = (
        "import sys, secondsight\n"
        "secondsight.main(sys.argv[1:])\n"
        f"print('imported:', *sorted({{*{slow}}} & sys.modules.keys()))"
    )
    models = ["--gpt", tmp_path / "gpt", "--tokenizer", tmp_path / "tokenizer"]
    words = ["complete", *models, "--prompt", "none", "--n", 1, "--out", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported:"
