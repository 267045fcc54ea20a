"""Hugging Face's Image GPT as an observer: a tiny one, made by the test."""

import json
import sys
from pathlib import Path

import pytest
import torch
from memory_lists import make_list

from experiments.memory.observers.examinee import Examinee
from experiments.memory.observers.experiment import run_observe
from experiments.memory.observers.options import ObserveOptions, ObserverOptions
from experiments.observers import ObserverError
from experiments.statistics.accuracy import pooled

NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A GPT over 16 colours of 4 x 4 pixels, as `save_pretrained` writes it."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    config = transformers.ImageGPTConfig(vocab_size=17, n_positions=16, n_embd=32, n_layer=1, n_head=2, **NO_DROPOUT)
    folder = tmp_path / "tiny"
    transformers.ImageGPTForCausalImageModeling(config).save_pretrained(folder)
    colours = (torch.rand(16, 3, generator=torch.Generator().manual_seed(0)) - 0.5).tolist()
    (folder / "preprocessor_config.json").write_text(json.dumps({"clusters": colours, "size": 4}))
    return folder


def test_it_learns_a_list_and_says_its_likelihood_in_bits(model: Path, tmp_path: Path) -> None:
    stimuli = make_list(tmp_path / "list", items=3)
    settings = (f"model={model}", "learning_rate=0.01")
    options = ObserveOptions.of(
        stimuli=stimuli, out=tmp_path / "out", observer="imagegpt", settings=settings, exposures=20, batch=4
    )
    curves = pooled(run_observe(options))
    assert {curve[0].accuracy for curve in curves.values()} == {0.5}
    assert min(curve[-1].accuracy for curve in curves.values()) >= 0.8
    assert "bits_per_pixel_studied" in (tmp_path / "out" / "trials.csv").read_text()


def test_before_study_a_pixel_costs_about_as_much_as_a_uniform_guess(model: Path) -> None:
    examinee = Examinee(ObserverOptions.of(observer="imagegpt", settings=(f"model={model}",)), 0)
    scores = examinee.score(torch.rand(3, 3, 4, 4) * 2 - 1, ["a", "b", "c"], 0)["weights"]
    assert scores.tolist() == pytest.approx([torch.tensor(16.0).log().item()] * 3, abs=0.2)
    assert (examinee.size, examinee.tokens, examinee.name) == (4, 16, "tiny")


def test_other_weights_have_another_fingerprint(model: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    options = ObserverOptions.of(observer="imagegpt", settings=(f"model={model}",))
    before = Examinee(options, 0).fingerprint
    assert before == Examinee(options, 1).fingerprint
    network = transformers.ImageGPTForCausalImageModeling.from_pretrained(model)
    torch.nn.init.ones_(network.lm_head.weight)
    network.save_pretrained(model)
    assert Examinee(options, 0).fingerprint != before


def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path, model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(ObserverError, match=r"holds no model.safetensors: give the folder of an Image GPT"):
        Examinee(ObserverOptions.of(observer="imagegpt", settings=(f"model={model}",)), 0)


def test_without_its_package_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ObserverError, match=r"pip install '\.\[imagegpt\]'"):
        Examinee(ObserverOptions.of(observer="imagegpt", settings=(f"model={tmp_path}",)), 0)
