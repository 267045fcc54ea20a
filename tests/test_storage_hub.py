"""Models go to the hub and come back, asked for as `hf:owner/name`; without it, the cache has to do.

The hub's client reads its settings when it is imported, so what depends on them runs in processes of its own.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from local_hub import LocalHub, Repository, serve_hub
from tiny import GPT_SHORT, SHORT, make_clips, make_gpt, make_palette, make_tokenizer

from storage.hub_names import HubId, parse_hub_id
from storage.model_paths import CheckpointError, find_model
from vqgan.model import load_tokenizer

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# No torch, so that it starts at once.
ASK = """
import sys
from pathlib import Path
from storage.hub import HubError, download_model, upload_model
from storage.hub_names import parse_hub_id
for name in sys.argv[1:]:
    try:
        print(upload_model(Path(), name[1:]) if name.startswith("+") else download_model(parse_hub_id(name)))
    except HubError as error:
        print(error)
"""

PUSH_AND_LOAD = """
import json
from pathlib import Path
from tiny import SHORT, make_clips, make_gpt, make_tokenizer
from gpt.model import GPT
from release.publish import push
from vqgan.model import VQGAN, load_tokenizer

def message(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"

said = {"url": push(make_tokenizer(SHORT), "me/tokenizer", token="hf_right")}
push(make_gpt(), "me/gpt", private=True, token="hf_right")
said["tokens"] = load_tokenizer("hf:me/tokenizer").encode(make_clips(2, 8)).tolist()
said["window"] = GPT.from_pretrained(Path("hf:me/gpt")).config.window
said["kind"] = message(VQGAN.from_pretrained, "hf:me/gpt")
said["unknown"] = message(load_tokenizer, "hf:me/tokeniser")
said["revision"] = message(load_tokenizer, "hf:me/tokenizer@v2")
said["incomplete"] = message(load_tokenizer, "hf:me/notes")
said["secret"] = message(push, make_gpt(), "me/gpt", token="hf_wrong")
said["public"] = message(push, make_gpt(), "me/tokenizer", private=True, token="hf_right")
said["name"] = message(push, make_gpt(), "me--gpt/x", token="hf_right")
print(json.dumps(said))
"""


def run(code: str, *arguments: str, stream: str = "stdout", **settings: str) -> str:
    """What Python code prints, the environment's hub settings replaced by `settings`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "no_proxy": "127.0.0.1"}
    here = {"PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(
        command, env={**plain, **quiet, **here, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return str(getattr(done, stream)).strip()


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with serve_hub() as running:
        running.repositories["me/notes"] = Repository()
        running.repositories["me/notes"].commit({"config.json": b"{}", "notes.pkl": b"cos\nsystem\n"})
        yield running


@pytest.fixture(scope="module")
def online(hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process says that pushes models to a hub and loads them again."""
    return json.loads(run(PUSH_AND_LOAD, HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path_factory.mktemp("home"))))


def fill_cache(home: Path, repo: str, *names: str) -> Path:
    """Put files of a tiny tokenizer where a download would have put them; return their folder."""
    folder = home / "hub" / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    make_tokenizer(SHORT).save_pretrained(snapshot)
    for path in snapshot.iterdir():
        if path.name not in names:
            path.unlink()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return snapshot


# Names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:me/gpt", HubId("me/gpt", None)),
        ("hf:me/gpt@v1.0", HubId("me/gpt", "v1.0")),
        ("hf:me/gpt@refs/pr/1", HubId("me/gpt", "refs/pr/1")),
    ],
)
def test_a_hub_id_is_recognised_and_reads_as_it_was_written(text: str, expected: HubId) -> None:
    assert parse_hub_id(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    ["me/gpt", "gpt", "/me/gpt", "runs/me/gpt", "../gpt", "~/gpt", "me/gpt@v1", "/hf:me/gpt", "HF:me/gpt", "hf/me/gpt"],
)
def test_a_path_is_no_hub_id(text: str) -> None:
    assert parse_hub_id(text) is None


@pytest.mark.parametrize("name", ["model", "runs/me/gpt", "../model", "me/a--b"])
def test_a_missing_folder_that_reads_like_no_hub_id_is_missing(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"holds no model: there is no such folder$"):
        find_model(Path(name))


def test_a_missing_folder_is_never_asked_of_the_hub_and_how_to_do_so_is_said() -> None:
    with pytest.raises(CheckpointError, match=r"me/gpt holds no model: there is no such folder \(hf:me/gpt would ask"):
        find_model(Path("me/gpt"))


@pytest.mark.parametrize(
    "name",
    [
        "hf:",
        "hf:gpt",
        "hf:me/gpt@",
        "hf:me/gpt@../x",
        "hf:me/a b",
        "hf:me/a--b",
        "hf:me/gpt.git",
        "hf:a/b/c",
        "hf://a/b",
    ],
)
def test_what_no_model_of_the_hub_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(
        CheckpointError, match="names no model of the hub: write hf:owner/name or hf:owner/name@revision"
    ):
        find_model(Path(name))


def test_a_folder_that_reads_like_a_model_of_the_hub_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_gpt().save_pretrained(Path("hf:me/gpt"))
    with pytest.raises(CheckpointError, match="hf:me/gpt is a folder here and also asks for a model of the hub"):
        find_model(Path("hf:me/gpt"))
    assert find_model(tmp_path / "hf:me" / "gpt") == tmp_path / "hf:me" / "gpt"


def test_a_folder_that_is_there_is_never_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_gpt().save_pretrained(Path("me/gpt"))
    Path("me/empty").mkdir()
    assert find_model(Path("me/gpt")) == Path("me/gpt")
    with pytest.raises(CheckpointError, match="me/empty holds no model"):
        find_model(Path("me/empty"))


# With a hub


def test_a_model_comes_back_as_it_was_pushed(online: Mapping[str, Any]) -> None:
    assert online["tokens"] == make_tokenizer(SHORT).encode(make_clips(2, 8)).tolist()
    assert online["window"] == GPT_SHORT.window


def test_pushing_returns_the_address(online: Mapping[str, Any], hub: LocalHub) -> None:
    assert online["url"] == f"{hub.url}/me/tokenizer"


def test_a_repository_is_private_if_asked_for(online: Mapping[str, Any], hub: LocalHub) -> None:
    assert (hub.repositories["me/tokenizer"].private, hub.repositories["me/gpt"].private) == (False, True)


def test_a_card_is_pushed_with_the_model(online: Mapping[str, Any], hub: LocalHub) -> None:
    files = hub.repositories["me/tokenizer"].commits[hub.repositories["me/tokenizer"].find("main") or ""]
    assert set(files) == {".gitattributes", "config.json", "model.safetensors", "README.md"}
    assert b'load_tokenizer("hf:me/tokenizer")' in files["README.md"]


def test_only_config_and_weights_are_downloaded(online: Mapping[str, Any], hub: LocalHub) -> None:
    downloaded = {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request}
    assert downloaded == {"config.json", "model.safetensors"}


def test_a_model_of_another_kind_is_refused(online: Mapping[str, Any]) -> None:
    assert "holds a 'gpt', not a vqgan" in online["kind"]


@pytest.mark.parametrize(
    ("case", "name", "reason"),
    [
        ("unknown", "hf:me/tokeniser", "there is none of that name, or it is private"),
        ("revision", "hf:me/tokenizer@v2", "it has no such revision"),
        ("incomplete", "hf:me/notes", "it lacks model.safetensors"),
    ],
)
def test_what_the_hub_does_not_have_is_one_clear_line(
    online: Mapping[str, Any], case: str, name: str, reason: str
) -> None:
    assert online[case].startswith(f"CheckpointError: {name} cannot be had from the Hugging Face hub: {reason}")
    assert f"hf download {name.partition('@')[0].removeprefix('hf:')}" in online[case]
    assert "\n" not in online[case]


def test_a_push_that_the_hub_refuses_is_explained(online: Mapping[str, Any]) -> None:
    assert online["secret"].startswith("HubError: me/gpt could not be pushed to the Hugging Face hub: ")
    assert "hf auth login" in online["secret"]
    assert "\n" not in online["secret"]


def test_a_name_that_the_hub_cannot_have_is_refused(online: Mapping[str, Any]) -> None:
    assert "Cannot have -- or .. in repo_id" in online["name"]


def test_a_private_model_is_not_pushed_to_a_public_repository(online: Mapping[str, Any], hub: LocalHub) -> None:
    assert online["public"].startswith("HubError: me/tokenizer is already on the hub and public")
    assert len(hub.repositories["me/tokenizer"].commits) == 2


def test_a_commit_can_be_named(online: Mapping[str, Any], hub: LocalHub, tmp_path: Path) -> None:
    commit = hub.repositories["me/tokenizer"].find("main")
    folder = run(ASK, f"hf:me/tokenizer@{commit}", HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path))
    assert Path(folder).name == commit


# Without one


def test_what_is_in_the_cache_needs_no_hub_and_the_rest_is_refused(tmp_path: Path) -> None:
    fill_cache(tmp_path, "me/tokenizer", "config.json", "model.safetensors")
    fill_cache(tmp_path, "me/part", "config.json")
    names = ("hf:me/tokenizer", f"hf:me/tokenizer@{COMMIT}", "hf:me/part", "hf:me/other", "+me/new")
    *found, part, other, new = run(ASK, *names, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path)).splitlines()
    assert [load_tokenizer(folder).fingerprint for folder in found] == [make_tokenizer(SHORT).fingerprint] * 2
    assert part == "it lacks model.safetensors"
    assert other == f"HF_HUB_OFFLINE is set; the cache {tmp_path / 'hub'} does not have it either"
    assert new.startswith("me/new could not be pushed to the Hugging Face hub: HF_HUB_OFFLINE is set")


def test_a_hub_that_is_out_of_reach_is_reported_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    start = time.monotonic()
    assert "refused" in run(ASK, "hf:me/gpt", HF_ENDPOINT=url, HF_HOME=str(tmp_path))
    assert time.monotonic() - start < 60


def test_a_hub_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    fill_cache(tmp_path, "me/tokenizer", "config.json", "model.safetensors")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "HF_HUB_ETAG_TIMEOUT": "1",
            "HF_HOME": str(tmp_path),
        }
        start = time.monotonic()
        missing, cached = run(ASK, "hf:me/gpt", "hf:me/tokenizer", **settings).splitlines()
        assert time.monotonic() - start < 60
    assert "timed out" in missing
    assert Path(cached).name == COMMIT


# What was loaded from where

LOAD = """
import sys
from pathlib import Path
from gpt.options import EvaluateOptions
from storage.model_paths import brought_tokenizer, is_at_hand
from storage.run_folder import open_run
from gpt.model import GPT
from vqgan.model import load_tokenizer
for _ in range(2):
    GPT.from_pretrained("hf:me/pair")
    print(load_tokenizer("hf:me/pair").fingerprint)
print(brought_tokenizer(Path("hf:me/pair")))
print([is_at_hand(Path(name)) for name in ("hf:me/pair", "hf:me/other", "me/pair", ".")])
"""


def test_what_was_loaded_is_said_once_with_its_commit_and_where_it_lies(tmp_path: Path) -> None:
    fill_cache(tmp_path, "me/tokenizer", "config.json", "model.safetensors")
    names = ("hf:me/tokenizer", "hf:me/tokenizer")
    said = run(ASK, *names, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path), stream="stderr")
    snapshot = tmp_path / "hub" / "models--me--tokenizer" / "snapshots" / COMMIT
    assert said == f"hub          hf:me/tokenizer, commit {COMMIT}, from the cache: {snapshot}"


def test_what_was_downloaded_is_said_to_be(hub: LocalHub, online: Mapping[str, Any], tmp_path: Path) -> None:
    commit = hub.repositories["me/tokenizer"].find("main")
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path)}
    first, second = (run(ASK, "hf:me/tokenizer", **settings, stream="stderr") for _ in range(2))
    assert first.startswith(f"hub          hf:me/tokenizer, commit {commit}, downloaded: {tmp_path}")
    assert second.startswith(f"hub          hf:me/tokenizer, commit {commit}, from the cache: {tmp_path}")


def test_a_repository_may_hold_a_gpt_and_its_tokenizer(tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path, "me/pair")
    tokenizer = make_tokenizer(SHORT)
    make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint)).save_pretrained(snapshot)
    tokenizer.save_pretrained(snapshot / "tokenizer")
    *fingerprints, brought, at_hand = run(LOAD, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path)).splitlines()
    assert fingerprints == [tokenizer.fingerprint] * 2
    assert brought == str(snapshot / "tokenizer")
    assert at_hand == "[True, False, False, True]"


def test_a_run_records_the_commits_of_its_models(tmp_path: Path) -> None:
    fill_cache(tmp_path, "me/tokenizer", "config.json", "model.safetensors")
    code = """
import sys
from pathlib import Path
from sampling.options import CompleteOptions
from storage.run_folder import open_run
options = CompleteOptions.of(
    gpt=Path("gpt"), tokenizer=Path("hf:me/tokenizer"), out=Path(sys.argv[1]), input=(Path("v"),)
)
open_run(options.out, options)
"""
    run(code, str(tmp_path / "run"), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    recorded = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert recorded["hub"] == {"hf:me/tokenizer": COMMIT}


BEGIN = """
import sys
from pathlib import Path
from sampling.options import CompleteOptions
from storage.run_folder import open_run
options = CompleteOptions.of(gpt=Path("gpt"), tokenizer=Path(sys.argv[2]), out=Path(sys.argv[1]), input=(Path("v"),))
try:
    open_run(options.out, options, "auto")
except ValueError as error:
    print(error)
"""


def test_a_run_is_not_continued_with_another_commit_and_the_one_it_had_can_be_named(tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path, "me/tokenizer", "config.json", "model.safetensors")
    cache, newer = snapshot.parents[1], COMMIT[::-1]
    arguments = (str(tmp_path / "run"), "hf:me/tokenizer")
    settings = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    assert run(BEGIN, *arguments, **settings) == ""
    shutil.copytree(snapshot, snapshot.with_name(newer))
    (cache / "refs" / "main").write_text(newer)
    said = run(BEGIN, *arguments, **settings)
    assert said.endswith(
        f"was begun with commit {COMMIT} of hf:me/tokenizer, which is {newer} by now: ask for hf:me/tokenizer@{COMMIT}"
    )
    assert run(BEGIN, arguments[0], f"hf:me/tokenizer@{COMMIT}", **settings) == ""


MEMORY = """
import sys
from pathlib import Path
from memory_lists import make_list
from experiments.memory.experiment import run_memory
from experiments.memory.options import MemoryOptions, ReportOptions
from experiments.memory.report import report_memory
folder = Path(sys.argv[1])
options = MemoryOptions.of(
    stimuli=make_list(folder / "list", items=1, fillers=0), gpt=Path("hf:me/pair"), exposures=1, out=folder / "run"
)
run_memory(options)
report_memory(ReportOptions(runs=(options.out,), out=folder / "report"))
"""


def test_an_experiment_begins_from_a_gpt_of_the_hub_and_the_tokenizer_that_it_brings(tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path, "me/pair")
    palette = make_palette(size=4)
    make_gpt(replace(GPT_SHORT, grid=(1, 4, 4), vocab_size=16, tokenizer=palette.fingerprint)).save_pretrained(snapshot)
    palette.save_pretrained(snapshot / "tokenizer")
    run(MEMORY, str(tmp_path), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert (tmp_path / "run" / "trials.csv").exists()
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["hub"] == {"hf:me/pair": COMMIT}
    methods = " ".join((tmp_path / "report" / "methods.txt").read_text().split())
    assert "Images became tokens of the tokenizer hf:me/pair, of " in methods
    assert "The GPT hf:me/pair learned them: 2 layers" in methods
    assert f"from the Hugging Face hub: hf:me/pair (commit {COMMIT})." in methods
