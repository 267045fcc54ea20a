"""What is published explains itself: the card tells what the files tell, its example runs, and nothing is lost."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from local_hub import serve_hub
from tiny import GPT_SHORT, IMAGE, SHORT, make_gpt, make_palette, make_tokenizer, make_videos

from gpt.model import GPT
from release.options import PublishOptions
from release.publish import publish, to_half
from storage.model_folder import CheckpointError, load_model_folder
from vqgan.evaluate import evaluate
from vqgan.foreign.taming import TamingConfig, TamingVQGAN
from vqgan.foreign.tats import TATSVQGAN, TATSConfig
from vqgan.model import load_tokenizer
from vqgan.options import EvaluateOptions

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
    publish(PublishOptions(tokenizer, tmp_path / "out", evaluation))
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
        publish(PublishOptions(tokenizer, tmp_path / "out", evaluation, license=license))
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
        publish(PublishOptions(tokenizer, tmp_path / "out", tmp_path))
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
    publish(PublishOptions(tokenizer, tmp_path / "out", folder))
    _, text = read_card(tmp_path / "out")
    rows = (
        "| peak signal-to-noise ratio, dB | 23.5 |\n| structural similarity | 0.712 |\n"
        "| items | 12,345 |\n| `frechet` | 0.000123 |\n"
    )
    assert rows in text
    assert "by_item" not in text
    assert "![best of.png](best%20of.png)" in text
    assert (tmp_path / "out" / "best of.png").read_bytes() == b"an image"


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
    assert b'load_tokenizer("me/tokenizer")' in files["README.md"]


def test_the_command_ends_with_one_line_when_there_is_no_model(tmp_path: Path, refused: Callable[..., str]) -> None:
    said = refused("publish", "--model", tmp_path / "none", "--out", tmp_path / "out")
    assert re.match(r"secondsight: .* holds no model", said)
