"""What is published explains itself: the card tells what the files tell, its example runs, and nothing is lost."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from local_hub import serve_hub
from markdown_it import MarkdownIt
from PIL import Image
from tiny import (
    GPT_SHORT,
    IMAGE,
    SHORT,
    make_gpt,
    make_images,
    make_palette,
    make_store,
    make_tokenizer,
    make_videos,
)

import secondsight
from gpt.config import MismatchError
from gpt.model import GPT
from gpt.options import TrainOptions
from release.markdown import code, in_quotes, plain
from release.options import PublishOptions
from release.publish import publish, to_half
from storage.ancestry import Ancestor
from storage.files import temporary_path
from storage.model_folder import load_model_folder, save_model_folder
from storage.model_paths import CheckpointError
from storage.run_folder import open_run
from storage.unfinished import replacing
from vqgan.evaluate import evaluate
from vqgan.foreign.taming import TamingConfig, TamingVQGAN
from vqgan.foreign.tats import TATSVQGAN, TATSConfig
from vqgan.model import load_tokenizer
from vqgan.options import EvaluateOptions
from vqgan.options import TrainOptions as TokenizerTrainOptions

TAMING = TamingConfig(
    resolution=16,
    width=32,
    multipliers=(1, 1),
    blocks=1,
    attention_levels=(1,),
    latent_width=32,
    code_width=4,
    codes=16,
)
TATS = TATSConfig(resolution=16, frames=4, width=32, downsample=(2, 4, 4), code_width=4, codes=16)
MODELS = {
    "clips": lambda: make_tokenizer(SHORT),
    "images": lambda: make_tokenizer(IMAGE),
    "palette": make_palette,
    "taming": lambda: TamingVQGAN(TAMING).eval(),
    "tats": lambda: TATSVQGAN(TATS).eval(),
    "gpt": make_gpt,
    "legacy gpt": lambda: make_gpt(replace(GPT_SHORT, variant="legacy", bos=False)),
}


def read_card(folder: Path) -> tuple[dict[str, Any], str]:
    """The card's header and its text."""
    _, header, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(header), text


@pytest.fixture(scope="module")
def evaluation(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation of `tokenizer`."""
    folder = tmp_path_factory.mktemp("evaluation")
    videos = make_videos(tmp_path_factory.mktemp("videos"), count=1, frames=8, size=16)
    evaluate(EvaluateOptions(tokenizer, videos, folder))
    return folder


# The folder


def test_the_folder_holds_the_model_its_card_and_the_images(tokenizer: Path, evaluation: Path, tmp_path: Path) -> None:
    publish(PublishOptions(tokenizer, tmp_path / "out", (evaluation,)))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md", "reconstructions.png"}
    assert load_tokenizer(tmp_path / "out").fingerprint == load_tokenizer(tokenizer).fingerprint
    image = (tmp_path / "out" / "reconstructions.png").read_bytes()
    assert image == (evaluation / "reconstructions.png").read_bytes()


def test_what_to_do_next_is_said(tokenizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    said = capsys.readouterr().err
    assert said.startswith("model        vqgan in ")
    assert f"hf upload owner/name {tmp_path / 'out'}" in said


def test_an_earlier_publication_is_replaced(tokenizer: Path, evaluation: Path, tmp_path: Path) -> None:
    for license in (None, "mit"):
        publish(PublishOptions(tokenizer, tmp_path / "out", (evaluation,), license=license))
    assert read_card(tmp_path / "out")[0]["license"] == "mit"


@pytest.mark.parametrize("names", [["notes.txt"], ["README.md", "family.png"], ["config.json", "model.safetensors"]])
def test_whatever_else_a_folder_holds_is_kept_and_not_published(
    tokenizer: Path, tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match="which would be lost or pushed: choose a new folder"):
        publish(PublishOptions(tokenizer, tmp_path))
    assert [(tmp_path / name).read_text() for name in names] == ["mine"] * len(names)


def test_a_model_is_not_published_over_itself(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "run" / "final")
    with pytest.raises(FileExistsError, match="is the model's own folder"):
        publish(PublishOptions(tmp_path / "run", tmp_path / "run" / "final", half=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no metrics.json: --evaluation is a folder of vqgan eval"),
        ("{", "metrics.json is damaged"),
        ("[]", "metrics.json is damaged: it holds a list"),
    ],
)
def test_an_evaluation_that_is_none_is_refused(
    tokenizer: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        publish(PublishOptions(tokenizer, tmp_path / "out", (tmp_path,)))
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        publish(PublishOptions(tmp_path, tmp_path / "out"))


# Options


@pytest.mark.parametrize("repo", ["gpt", "me/my/gpt", "me/", "https://huggingface.co/me/gpt"])
def test_a_repository_has_an_owner_and_a_name(repo: str) -> None:
    with pytest.raises(ValueError, match=f"--repo {re.escape(repo)} must be owner/name"):
        PublishOptions(Path("model"), Path("out"), repo=repo)


def test_private_needs_a_repository() -> None:
    with pytest.raises(ValueError, match="--private says how to push, so it needs --repo"):
        PublishOptions(Path("model"), Path("out"), private=True)


# Half precision


@pytest.mark.parametrize("model", MODELS)
def test_half_the_bytes_give_back_a_model_of_whole_precision(tmp_path: Path, model: str) -> None:
    original = MODELS[model]()
    original.save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "out", half=True))
    loaded = type(original).from_pretrained(tmp_path / "out")
    for name, tensor in loaded.state_dict().items():
        expected = original.state_dict()[name]
        assert tensor.dtype == expected.dtype
        torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-6)
    config, tensors = load_model_folder(tmp_path / "out")
    assert {t.dtype for t in tensors.values() if t.is_floating_point()} == {torch.float16}
    assert config == json.loads((tmp_path / "model" / "config.json").read_text())
    assert "stored as float16" in read_card(tmp_path / "out")[1]


def test_what_is_no_floating_point_number_or_too_large_for_sixteen_bits_stays() -> None:
    for tensor in (torch.tensor(True), torch.tensor([2**40 + 1]), torch.tensor([1.0, 70_000.0])):
        assert torch.equal(to_half(tensor), tensor)
        assert to_half(tensor).dtype == tensor.dtype


# The card


@pytest.mark.parametrize("model", MODELS)
def test_the_example_in_the_card_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    original = MODELS[model]()
    original.save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "published"))
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", read_card(tmp_path / "published")[1], re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    if isinstance(original, GPT):
        assert names["nll"].shape == names["tokens"].shape
        assert names["continued"].shape == (1, 4, original.config.window)
    else:
        assert names["decoded"].shape == names["clip"].shape


def test_the_card_tells_the_config_the_size_and_the_kind(tokenizer: Path, tmp_path: Path) -> None:
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    header, text = read_card(tmp_path / "out")
    assert header == {"library_name": "secondsight", "tags": ["tokenizer", "vqgan"]}
    for key, value in json.loads((tokenizer / "config.json").read_text()).items():
        assert key == "kind" or f"| `{key}` | {value} |" in text
    numbers = sum(tensor.numel() for tensor in make_tokenizer(SHORT).state_dict().values())
    assert f"{numbers:,} numbers in `model.safetensors`" in text


def test_the_card_of_a_gpt_names_its_tokenizer(tmp_path: Path) -> None:
    model = make_gpt()
    GPT(replace(model.config, tokenizer="0123456789abcdef")).save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "out"))
    assert "whose `fingerprint` is `0123456789abcdef`" in read_card(tmp_path / "out")[1]


def test_the_card_tells_the_evaluation(tokenizer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    folder.mkdir()
    metrics = {"psnr_db": 23.4567, "ssim": 0.71234, "items": 12345, "frechet": 0.000123456, "by_item": [1, 2]}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "best of.png").write_bytes(b"an image")
    publish(PublishOptions(tokenizer, tmp_path / "out", (folder,)))
    _, text = read_card(tmp_path / "out")
    rows = (
        "| peak signal-to-noise ratio, dB | 23.5 |\n| structural similarity | 0.712 |\n"
        "| items | 12,345 |\n| `frechet` | 0.000123 |\n"
    )
    assert rows in text
    assert "by_item" not in text
    assert "![best of.png](best%20of.png)" in text
    assert (tmp_path / "out" / "best of.png").read_bytes() == b"an image"


def test_the_card_tells_what_is_kept_of_colour_and_sharpness(tokenizer: Path, tmp_path: Path) -> None:
    kept = {"chroma_error": 5.0, "saturation_kept": 0.91, "sharpness_ratio": 0.82}
    (tmp_path / "metrics.json").write_text(json.dumps(kept))
    publish(PublishOptions(tokenizer, tmp_path / "out", (tmp_path / "metrics.json",)))
    assert (
        "| error of chroma, CIELAB | 5 |\n| share of the saturation that is kept | 0.91 |\n"
        "| share of the sharpness that is kept | 0.82 |\n" in read_card(tmp_path / "out")[1]
    )


def test_the_card_tells_in_which_numbers_a_model_was_evaluated_unless_it_is_fp32(
    tokenizer: Path, tmp_path: Path
) -> None:
    for name, metrics in {"whole": {"ssim": 0.5}, "half": {"ssim": 0.25, "precision": "bf16|"}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(metrics))
    publish(PublishOptions(tokenizer, tmp_path / "out", (tmp_path / "whole.json", tmp_path / "half.json")))
    whole, half = read_card(tmp_path / "out")[1].split("### Reconstruction")[1:]
    assert "precision" not in whole
    assert "| structural similarity | 0.25 |\n| precision of the layers, instead of fp32 | bf16&#124; |\n" in half


def test_the_card_claims_nothing_that_was_not_given(tokenizer: Path, tmp_path: Path) -> None:
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    _, text = read_card(tmp_path / "out")
    assert "None was given, so nothing is said here about how good it is." in text
    assert text.rstrip().endswith("None has been stated.")


# Pushing

PUBLISH = "import sys, secondsight; secondsight.main(['publish', *sys.argv[1:]])"


def test_what_was_assembled_is_pushed(
    tokenizer: Path, evaluation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    arguments = ("--model", tokenizer, "--evaluation", evaluation, "--out", tmp_path / "out")
    with serve_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        command = [sys.executable, "-c", PUBLISH, *arguments, "--repo", "me/tokenizer", "--private"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert f"{hub.url}/me/tokenizer" in done.stdout
        (repository,) = hub.repositories.values()
    *_, files = repository.commits.values()
    pushed = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert files == pushed | {".gitattributes": b""}
    assert repository.private
    assert b'load_tokenizer("hf:me/tokenizer")' in files["README.md"]


def test_the_command_ends_with_one_line_when_there_is_no_model(tmp_path: Path, refused: Callable[..., str]) -> None:
    said = refused("publish", "--model", tmp_path / "none", "--out", tmp_path / "out")
    assert re.match(r"secondsight: .* holds no model", said)


# A GPT and its tokenizer


def publish_pair(folder: Path, still: bool, **others: Any) -> GPT:
    """Publish a tiny GPT with its tokenizer as `folder`/pair."""
    tokenizer = make_tokenizer(IMAGE if still else SHORT)
    gpt = make_gpt(replace(GPT_SHORT, grid=(1 if still else 2, 4, 4), tokenizer=tokenizer.fingerprint))
    tokenizer.save_pretrained(folder / "tokenizer")
    gpt.save_pretrained(folder / "gpt")
    publish(PublishOptions(folder / "gpt", folder / "pair", tokenizer=folder / "tokenizer", **others))
    return gpt


@pytest.mark.parametrize("still", [True, False])
def test_the_example_in_the_card_of_a_pair_completes_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, still: bool
) -> None:
    gpt = publish_pair(tmp_path, still)
    make_images(tmp_path, count=1)
    make_videos(tmp_path, count=1, frames=8, size=16)
    (tmp_path / "image_0.png").rename(tmp_path / "picture.jpg")
    (tmp_path / "film_0.mp4").rename(tmp_path / "video.mp4")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", read_card(tmp_path / "pair")[1], re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["tokenizer"].fingerprint == gpt.config.tokenizer
    made = sorted(path.name for path in tmp_path.glob("completed_*"))
    assert made == [f"completed_{number}.{'png' if still else 'mp4'}" for number in range(4)]


def test_the_command_in_the_card_of_a_pair_is_one_that_the_program_takes(tmp_path: Path) -> None:
    publish_pair(tmp_path, still=True)
    (line,) = re.findall(r"```bash\nsecondsight (.*?)\n```", read_card(tmp_path / "pair")[1])
    options = secondsight.parse(shlex.split(line))
    assert (options.flat()["gpt"], options.flat()["tokenizer"]) == (Path("pair"), Path("pair"))


def test_a_pair_is_one_folder(tmp_path: Path) -> None:
    gpt = publish_pair(tmp_path, still=True)
    files = {str(path.relative_to(tmp_path / "pair")) for path in (tmp_path / "pair").rglob("*") if path.is_file()}
    model = {"config.json", "model.safetensors"}
    assert files == {"README.md", *model, *(f"tokenizer/{name}" for name in model)}
    assert load_tokenizer(tmp_path / "pair").fingerprint == gpt.config.tokenizer
    publish(PublishOptions(tmp_path / "pair", tmp_path / "again"))
    assert load_tokenizer(tmp_path / "again").fingerprint == gpt.config.tokenizer
    publish_pair(tmp_path, still=True, license="mit")


def test_halves_of_a_gpt_keep_its_tokenizer_whole(tmp_path: Path) -> None:
    gpt = publish_pair(tmp_path, still=True, half=True)
    assert load_tokenizer(tmp_path / "pair").fingerprint == gpt.config.tokenizer
    assert "stored as float16" in read_card(tmp_path / "pair")[1]


def test_the_tokenizer_of_another_gpt_is_refused(tmp_path: Path) -> None:
    publish_pair(tmp_path, still=True)
    make_tokenizer(IMAGE, seed=1).save_pretrained(tmp_path / "other")
    with pytest.raises(MismatchError, match="the GPT learned the tokens of tokenizer"):
        publish(PublishOptions(tmp_path / "gpt", tmp_path / "out", tokenizer=tmp_path / "other"))
    with pytest.raises(ValueError, match="--tokenizer goes with a GPT"):
        publish(PublishOptions(tmp_path / "other", tmp_path / "out", tokenizer=tmp_path / "other"))
    assert not list(tmp_path.glob("*out*"))


# Where it comes from, and how good it is


@pytest.mark.parametrize("weight", [torch.full((32, 4), torch.nan), torch.zeros(32, 4, dtype=torch.int64)])
def test_weights_that_nobody_could_load_are_not_published(weight: torch.Tensor, tmp_path: Path) -> None:
    model = make_tokenizer(SHORT)
    state = {**model.state_dict(), "quantizer.codebook": weight}
    save_model_folder(tmp_path / "model", model.description, state)
    with pytest.raises(CheckpointError, match=r"quantizer\.codebook"):
        publish(PublishOptions(tmp_path / "model", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_card_tells_what_a_gpt_was_trained_on_without_a_path(tmp_path: Path) -> None:
    store = make_store(tmp_path / "data" / "tokens")
    options = TrainOptions.of(tokens=store, out=tmp_path / "run", steps=7, batch=3)
    open_run(tmp_path / "run", options)
    make_gpt().save_pretrained(tmp_path / "run" / "final")
    publish(PublishOptions(tmp_path / "run", tmp_path / "out"))
    text = read_card(tmp_path / "out")[1]
    assert (
        "| items | 12, 9 for training and 3 for validation; each 8 frames of 16 x 16 pixels at 8 per second |" in text
    )
    assert "| training | 7 steps in batches of 3, seed 0 |" in text
    assert str(tmp_path) not in text


def test_the_card_tells_what_a_tokenizer_was_trained_on_without_a_path(tmp_path: Path) -> None:
    open_run(tmp_path / "run", TokenizerTrainOptions.of(data=tmp_path / "my|films", out=tmp_path / "run", steps=7))
    make_tokenizer(SHORT).save_pretrained(tmp_path / "run" / "checkpoints" / "000007")
    publish(PublishOptions(tmp_path / "run", tmp_path / "out"))
    text = read_card(tmp_path / "out")[1]
    assert "| data | my&#124;films |" in text
    assert str(tmp_path) not in text


def test_several_evaluations_stand_side_by_side(tokenizer: Path, evaluation: Path, tmp_path: Path) -> None:
    (tmp_path / "gpt.json").write_text('{"gpt_nll": 4.5, "items": 3}')
    (tmp_path / "completions").mkdir()
    (tmp_path / "completions" / "sample.json").write_text("{}")
    Image.new("RGB", (8, 8)).save(tmp_path / "completions" / "grid.png")
    evaluations = (evaluation, tmp_path / "gpt.json", tmp_path / "completions", evaluation)
    publish(PublishOptions(tokenizer, tmp_path / "out", evaluations))
    text = read_card(tmp_path / "out")[1]
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [
        "Reconstruction",
        "Prediction",
        "Completions",
        "Reconstruction",
    ]
    assert "| mean negative log likelihood, nats per token | 4.5 |" in text
    images = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert images == {"reconstructions.png", "grid.png", "4_reconstructions.png"}


def test_a_link_to_a_file_elsewhere_is_not_published(tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "metrics.json").write_text("{}")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "evaluation" / "figure.png").symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="is a link to a file outside of"):
        publish(PublishOptions(tokenizer, tmp_path / "out", (tmp_path / "evaluation",)))


# Hostile names

HOSTILE = [
    'a"); raise SystemExit("harm") #',
    "a'b",
    "a|b",
    "a`b",
    "[x](https://example.com)",
    "<script>alert(1)</script>",
    "{name}",
    "```",
    "a\\",
    "-x",
    "*b*",
    "caf\u00e9 \U0001f600",
    "a\nb\n\n# c",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_a_name_to_the_python_and_the_markdown_of_the_card(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    name = name.replace("/", "\u2215")
    publish(PublishOptions(tokenizer, tmp_path / name))
    text = read_card(tmp_path / name)[1]
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example, {})
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert len([token for token in tokens if token.type == "heading_open" and token.tag == "h1"]) == 1
    title = next(token for before, token in pairwise(tokens) if before.type == "heading_open")
    assert "".join(child.content for child in title.children or ()) == " ".join(name.split())
    assert {child.type for child in title.children or ()} <= {"text", "text_special"}


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(HOSTILE))
def test_a_value_is_one_cell_of_text(text: str) -> None:
    rows = MarkdownIt("commonmark").enable("table").parse(f"| a | b |\n|---|---|\n| {plain(text)} | {code(text)} |\n")
    cells = [token for before, token in pairwise(rows) if before.type == "td_open"]
    assert len(cells) == 2
    assert {child.type for cell in cells for child in cell.children or ()} <= {"text", "text_special", "code_inline"}


@given(text=st.text(max_size=30) | st.sampled_from(HOSTILE))
def test_a_text_in_quotes_is_itself_to_python(text: str) -> None:
    quoted = in_quotes(text)
    assert ast.literal_eval(f'"{quoted}"') == text
    assert "`" not in quoted
    assert len(f'"{quoted}"'.splitlines()) == 1


def test_a_folder_that_reads_like_a_model_of_the_hub_is_refused() -> None:
    with pytest.raises(ValueError, match="would read as a model of the hub"):
        PublishOptions(Path("model"), Path("runs/hf:me"))


@pytest.mark.parametrize("license", ["mit\ntags: x", "", "a: b", "-x"])
def test_a_licence_that_is_none_is_refused(license: str) -> None:
    with pytest.raises(ValueError, match="is no name of a licence on the hub"):
        PublishOptions(Path("model"), Path("out"), license=license)


# Kills and full disks

KILLED = """
import os, sys
from pathlib import Path
from storage.unfinished import replacing
with replacing(Path(sys.argv[1]), "secondsight publish") as folder:
    (folder / "model.safetensors").write_text("half")
    os.kill(os.getpid(), 9)
"""
SMALL_DISK = """
import resource, sys
import secondsight
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
secondsight.main(["publish", *sys.argv[1:]])
"""


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_killed_publish_left_is_replaced_and_what_was_there_stays_till_then(
    tokenizer: Path, tmp_path: Path
) -> None:
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    before = contents(tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out")], check=False)
    assert done.returncode == -9
    assert contents(tmp_path / "out") == before
    assert (tmp_path / ".out.unfinished" / "new" / "model.safetensors").exists()
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_was_set_aside_by_a_killed_publish_is_put_back(tmp_path: Path, tokenizer: Path) -> None:
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    work = tmp_path / ".out.unfinished"
    work.mkdir()
    (work / "command.json").write_text("{}")
    (tmp_path / "out").rename(work / "before")
    with replacing(tmp_path / "out", "secondsight publish") as folder:
        (folder / "seen").write_text(str((tmp_path / "out" / "README.md").exists()))
    assert (tmp_path / "out" / "seen").read_text() == "True"
    assert not work.exists()


def test_a_publish_that_was_killed_before_it_marked_its_folder_is_no_obstacle(tmp_path: Path, tokenizer: Path) -> None:
    work = tmp_path / ".out.unfinished"
    work.mkdir()
    temporary_path(work / "command.json").write_text("{")
    (work / "writing.lock.guard").touch()
    os.utime(work / "writing.lock.guard", (0, 0))
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_unfinished_folder_of_somebody_else_is_not_touched(tmp_path: Path, tokenizer: Path) -> None:
    work = tmp_path / ".out.unfinished"
    work.mkdir()
    (work / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds what no `secondsight` command put there"):
        publish(PublishOptions(tokenizer, tmp_path / "out"))
    assert contents(work) == {"notes.txt": b"mine"}


def test_two_do_not_publish_to_one_folder(tmp_path: Path) -> None:
    with replacing(tmp_path / "out", "secondsight publish"):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "FolderLockError" in done.stderr
    assert "is being written into by process" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on processes")
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    tokenizer: Path, tmp_path: Path, python: tuple[str, ...]
) -> None:
    publish(PublishOptions(tokenizer, tmp_path / "out"))
    before = contents(tmp_path / "out")
    command = [*python, "-c", SMALL_DISK, "--model", str(tokenizer), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# Ancestry


def of_a_family() -> GPT:
    """A GPT that remembers two models before it."""
    gpt = make_gpt()
    gpt.ancestry = (
        Ancestor("hf:owner/name@0a1b2c", "0123456789abcdef", 600, (15, 9312), new=(6, 4128), notes=("2 blocks -> 3",)),
        Ancestor("grandparent", "fedcba9876543210", None, (15, 9312)),
    )
    return gpt


def test_a_published_model_remembers_its_ancestry(tmp_path: Path) -> None:
    of_a_family().save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "out", half=True))
    assert GPT.from_pretrained(tmp_path / "out").ancestry == of_a_family().ancestry


def test_the_card_tells_what_its_weights_began_from(tmp_path: Path) -> None:
    of_a_family().save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "out"))
    _, text = read_card(tmp_path / "out")
    section = text.partition("## Ancestry")[2].partition("## Evaluation")[0]
    assert (
        "1. `hf:owner/name@0a1b2c`, trained for 600 steps, weights `0123456789abcdef`: kept 15 tensors "
        "(9,312 numbers), begun anew 6 tensors (4,128 numbers); 2 blocks -\\> 3" in section
    )
    assert "2. `grandparent`, weights `fedcba9876543210`: kept 15 tensors (9,312 numbers)" in section
    assert "ancestry |" not in text


def test_the_card_of_a_model_that_began_at_random_has_no_ancestry(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "out"))
    assert "Ancestry" not in read_card(tmp_path / "out")[1]


def test_what_ancestors_are_called_means_nothing_in_a_card(tmp_path: Path) -> None:
    gpt = make_gpt()
    gpt.ancestry = (Ancestor("`x` <b>[a](http://b)", "w|w", 1, (1, 1), notes=("# <i>\n\n# b",)),)
    gpt.save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "out"))
    html = MarkdownIt("commonmark").render(read_card(tmp_path / "out")[1])
    section = html.partition("Ancestry</h2>")[2].partition("<h2>")[0]
    assert not re.search(r"<(b|i|a|h1)[ >]", section)
