"""Classes of models that nobody listed are saved, loaded, published and carded like those of this project."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from release.options import PublishOptions
from release.publish import publish
from storage import pretrained
from storage.model_folder import save_model_folder
from storage.model_paths import CheckpointError
from storage.pretrained import Pretrained, model_class
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class GreyConfig:
    """Greys of stills."""

    levels: int
    size: int = 4
    frames = 1
    fps = 1.0
    temporal_factor = 1
    spatial_factor = 1

    @property
    def vocab_size(self) -> int:
        """Number of greys."""
        return self.levels

    @property
    def resolution(self) -> int:
        """Pixels a side."""
        return self.size


class GreyTokenizer(Tokenizer):
    """One token per pixel, its brightness."""

    kind = "test-grey"
    config_class = GreyConfig
    config: GreyConfig
    renamed: ClassVar[dict[str, str]] = {"shades": "levels"}
    summary = "Greys, for a test."
    causal = True

    def __init__(self, config: GreyConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = nn.Parameter(torch.tensor(float(config.levels)))

    def encode(self, clip: Tensor) -> Tensor:
        return ((clip.mean(dim=1) + 1) / 2 * self.scale).long().clamp(0, self.config.levels - 1)

    def decode(self, tokens: Tensor) -> Tensor:
        return (tokens[:, None] / self.scale * 2 - 1).expand(-1, 3, -1, -1, -1)


def make_grey() -> GreyTokenizer:
    return GreyTokenizer(GreyConfig(8)).eval()


def test_a_class_of_ones_own_is_loaded_without_being_listed(tmp_path: Path) -> None:
    make_grey().save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert isinstance(loaded, GreyTokenizer)
    clip = torch.rand(1, 3, 1, 4, 4) * 2 - 1
    assert torch.equal(loaded.encode(clip), make_grey().encode(clip))


def test_a_class_of_ones_own_is_published_with_what_it_says_of_itself(tmp_path: Path) -> None:
    make_grey().save_pretrained(tmp_path / "model")
    publish(PublishOptions(tmp_path / "model", tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Greys, for a test." in card
    assert 'tokenizer = load_tokenizer("out")' in card
    assert "- tokenizer" in card


def test_fields_that_were_renamed_are_read(tmp_path: Path) -> None:
    save_model_folder(tmp_path, {"kind": "test-grey", "shades": 8, "size": 4}, make_grey().state_dict())
    assert load_tokenizer(tmp_path).config == GreyConfig(8)


def test_an_unknown_kind_is_refused_with_the_nearest(tmp_path: Path) -> None:
    save_model_folder(tmp_path, {"kind": "palete"}, {"x": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"no kind of model 'palete'.*did you mean palette\?.*import the module"):
        load_tokenizer(tmp_path)


def test_two_classes_cannot_have_one_kind() -> None:
    with pytest.raises(TypeError, match="has the kind 'test-grey' of"):
        type("Other", (Pretrained,), {"kind": "test-grey"})


def test_a_package_can_name_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Declared(Pretrained):
        kind = "test-declared"

    del pretrained._imported["test-declared"]
    point = SimpleNamespace(name="test-declared", load=lambda: pretrained._imported.update({"test-declared": Declared}))
    monkeypatch.setattr(pretrained, "entry_points", lambda group: [point])
    assert model_class("test-declared") is Declared


@pytest.mark.parametrize("module", ["gpt.model", "vqgan.model", "vqgan.foreign.tats"])
def test_a_models_file_imports_no_more_than_it_needs(module: str) -> None:
    heavy = {"accelerate", "huggingface_hub", "jinja2", "yaml", "PIL", "matplotlib", "av", "decord"}
    code = f"import sys, {module}; print(*(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_model_knows_its_device() -> None:
    assert make_grey().device == torch.device("cpu")
