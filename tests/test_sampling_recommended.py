"""Sampling settings that a GPT recommends: kept with it, handed on, and used by `complete` where none are given."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import GPT_SHORT, SHORT, make_gpt, make_store, make_tokenizer

import secondsight
from gpt import train as training
from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.sampling_settings import SamplingSettings
from release.publish import write_card
from sampling.complete import complete
from sampling.options import CompleteOptions
from storage.command import arguments_of, command_line
from storage.model_folder import save_model_folder
from storage.model_paths import CheckpointError
from storage.run_folder import read_options

BEST = SamplingSettings(temperature=0.5, top_k=5, top_p=0.75, min_p=0.125)
PLAIN = SamplingSettings()


def save_pair(folder: Path, sampling: SamplingSettings | None) -> Path:
    """A GPT that recommends settings, or none, with its tokenizer."""
    tokenizer = make_tokenizer(SHORT)
    gpt = make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint), scale=1.0)
    gpt.sampling = sampling
    gpt.save_pretrained(folder)
    tokenizer.save_pretrained(folder / "tokenizer")
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pair(tmp_path_factory.mktemp("models") / "best", BEST)


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pair(tmp_path_factory.mktemp("models") / "silent", None)


def options(model: Path, out: Path, **given: Any) -> CompleteOptions:
    return CompleteOptions.of(gpt=model, tokenizer=model, out=out, prompt="none", **{"n": 2, "items": 1, **given})


def config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def used(chosen: CompleteOptions) -> SamplingSettings:
    sampling = chosen.sampling
    return SamplingSettings(sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)


def save_config(folder: Path, sampling: Any) -> Path:
    """The folder of a GPT whose config.json recommends something by hand."""
    gpt = make_gpt()
    save_model_folder(folder, gpt.content | {"sampling": sampling}, gpt.state_dict())
    return folder


def test_the_config_says_what_is_recommended(pair: Path) -> None:
    assert config(pair)["sampling"] == {"temperature": 0.5, "top_k": 5, "top_p": 0.75, "min_p": 0.125}


def test_it_is_kept_by_load_and_save(pair: Path, tmp_path: Path) -> None:
    GPT.from_pretrained(pair).save_pretrained(tmp_path, torch.bfloat16)
    assert GPT.from_pretrained(tmp_path).sampling == BEST


def test_a_gpt_that_recommends_nothing_is_written_as_ever(silent: Path) -> None:
    assert "sampling" not in config(silent)
    assert GPT.from_pretrained(silent).sampling is None


def test_it_does_not_make_another_gpt_of_it(pair: Path, silent: Path) -> None:
    assert GPT.from_pretrained(pair).description == GPT.from_pretrained(silent).description


def test_what_is_not_named_is_the_default(tmp_path: Path) -> None:
    assert GPT.from_pretrained(save_config(tmp_path, {"top_p": 0.75})).sampling == SamplingSettings(top_p=0.75)


@pytest.mark.parametrize(
    ("sampling", "reason"),
    [
        ({"temprature": 0.5}, "'temprature'; there are temperature, top_k, top_p, min_p; did you mean temperature"),
        ({"noise": "gumbel"}, "no option 'noise'"),
        ({"temperature": -1}, "--temperature -1 must not be negative"),
        ({"temperature": 1e-9}, "--temperature 1e-09 must be 0 or at least 1e-06"),
        ({"top_p": 0}, "--top-p 0 must lie in"),
        ({"top_k": 1.5}, "top_k cannot be 1.5: a whole number is needed"),
        ([0.5], "sampling is a list, not settings by name"),
    ],
)
def test_what_cannot_be_recommended_is_refused(tmp_path: Path, sampling: Any, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason) as caught:
        GPT.from_pretrained(save_config(tmp_path, sampling))
    assert "\n" not in str(caught.value)


def test_the_command_refuses_what_cannot_be_recommended(tmp_path: Path, refused: Callable[..., str]) -> None:
    model = save_config(tmp_path / "model", {"temprature": 0.5})
    words = ["complete", "--gpt", model, "--tokenizer", model, "--prompt", "none", "--out", tmp_path / "out"]
    assert "recommends no way of sampling that can be" in refused(*words)


def test_completions_take_what_the_gpt_recommends(pair: Path, tmp_path: Path) -> None:
    assert used(options(pair, tmp_path)) == BEST


@pytest.mark.parametrize(
    ("given", "value"), [("temperature", 1.0), ("top_k", 0), ("top_p", 1.0), ("min_p", 0.0), ("min_p", 0.5)]
)
def test_one_that_is_given_stands_above_the_one_recommended(pair: Path, tmp_path: Path, given: str, value: Any) -> None:
    assert used(options(pair, tmp_path, **{given: value})) == replace(BEST, **{given: value})


def test_typed_ones_do_too(pair: Path) -> None:
    words = ["complete", "--gpt", str(pair), "--tokenizer", "t", "--prompt", "none", "--out", "o", "--top-p", "1"]
    chosen = secondsight.parse(words)
    assert isinstance(chosen, CompleteOptions)
    assert used(chosen) == replace(BEST, top_p=1.0)


def test_without_a_recommendation_nothing_is_implied(silent: Path, tmp_path: Path) -> None:
    assert CompleteOptions.implied({"gpt": silent, "out": tmp_path}) == {}
    assert CompleteOptions.implied({"gpt": tmp_path / "nowhere", "out": tmp_path}) == {}


def test_the_same_is_drawn_as_with_these_settings_given(pair: Path, silent: Path, tmp_path: Path) -> None:
    complete(options(pair, tmp_path / "recommended"))
    complete(options(silent, tmp_path / "given", **BEST.flat()))
    drawn = [np.load(tmp_path / name / "tokens.npy") for name in ("recommended", "given")]
    assert np.array_equal(*drawn)


def test_what_was_used_is_said_and_written(pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complete(options(pair, tmp_path))
    settings = "temperature 0.5, top-k 5, top-p 0.75, min-p 0.125"
    assert f"sampling     as {pair} recommends: {settings}" in capsys.readouterr().err
    sample = json.loads((tmp_path / "sample.json").read_text())
    assert {**sample["options"]["sampling"], "noise": None} == {**BEST.flat(), "noise": None}
    assert sample["recommended_sampling"] == BEST.flat()
    assert config(tmp_path)["temperature"] == 0.5


def test_what_was_given_is_said_beside_it(pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complete(options(pair, tmp_path, top_k=0))
    assert f"sampling     --top-k 0; for the rest as {pair} recommends: temperature 0.5" in capsys.readouterr().err


def test_nothing_is_said_without_a_recommendation(
    silent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    complete(options(silent, tmp_path))
    assert "sampling  " not in capsys.readouterr().err
    assert "recommended_sampling" not in json.loads((tmp_path / "sample.json").read_text())


def test_a_run_that_began_without_a_recommendation_goes_on_as_it_was(tmp_path: Path) -> None:
    model = save_pair(tmp_path / "model", None)
    out = complete(options(model, tmp_path / "out"))
    finished = next((out / "items").glob("*.npz"))
    before = finished.stat().st_mtime_ns
    save_pair(model, BEST)
    complete(options(model, out, resume="auto"))
    assert used(read_options(out, CompleteOptions)) == PLAIN
    assert finished.stat().st_mtime_ns == before


def test_a_run_goes_on_with_what_was_recommended_when_it_began(tmp_path: Path) -> None:
    model = save_pair(tmp_path / "model", BEST)
    out = complete(options(model, tmp_path / "out"))
    save_pair(model, replace(BEST, top_k=7))
    assert used(options(model, out, resume="auto")) == BEST
    assert used(options(model, out, overwrite=True)) == replace(BEST, top_k=7)


def test_a_run_that_is_replaced_decides_nothing(pair: Path, tmp_path: Path) -> None:
    out = complete(options(pair, tmp_path, **PLAIN.flat()))
    assert used(options(pair, out, resume="auto")) == PLAIN
    assert used(options(pair, out, resume="auto", overwrite=True)) == BEST
    words = ["complete", "--gpt", str(pair), "--tokenizer", str(pair), "--prompt", "none", "--out", str(out)]
    chosen = secondsight.parse([*words, "--resume", "auto", "--overwrite"])
    assert isinstance(chosen, CompleteOptions)
    assert used(chosen) == BEST


def test_a_run_of_a_version_with_fewer_settings_goes_on_as_it_was(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"command": "complete", "temperature": 0.75}), encoding="utf-8")
    (tmp_path / "sample.json").touch()
    assert used(options(pair, tmp_path, resume="auto")) == replace(PLAIN, temperature=0.75)


def test_a_start_that_failed_decides_nothing(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"command": "complete", **PLAIN.flat()}), encoding="utf-8")
    assert used(options(pair, tmp_path, resume="auto")) == BEST


@pytest.mark.parametrize("given", [{}, {"temperature": 1.0}, PLAIN.flat(), {"top_k": 3}])
def test_the_command_that_is_written_means_the_same(pair: Path, tmp_path: Path, given: dict[str, Any]) -> None:
    chosen = options(pair, tmp_path, **given)
    assert secondsight.parse(arguments_of(chosen)) == chosen


def test_the_command_of_a_gpt_without_a_recommendation_is_as_ever(silent: Path, tmp_path: Path) -> None:
    line = command_line(options(silent, tmp_path, top_p=0.5))
    assert line.endswith("--top-p 0.5")
    assert "--temperature" not in line


def test_a_training_hands_on_what_the_model_recommends(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path / "store")
    chosen = {**GPT_SHORT.flat(), "steps": 2, "batch": 4, "warmup": 1, "save_every": 1, "new_tokenizer": "keep"}
    out = tmp_path / "run"
    training.train(TrainOptions.of(tokens=store, out=out, init=pair, **chosen), lambda gpt, held, path: None)
    assert "sampling     recommended as by it: temperature 0.5, top-k 5" in capsys.readouterr().err
    kept = [config(folder)["sampling"] for folder in (out / "final", *sorted((out / "checkpoints").iterdir()))]
    assert kept == [BEST.flat()] * 3


def test_the_model_card_shows_it(pair: Path, tmp_path: Path) -> None:
    save_pair(tmp_path, BEST)
    write_card(tmp_path, "model")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| temperature | 0.5 |" in card
    assert "sampling=SamplingOptions(temperature=0.5, top_k=5, top_p=0.75, min_p=0.125)" in card
    assert "{'temperature'" not in card


def test_the_model_card_of_a_gpt_without_one_says_nothing_of_it(tmp_path: Path) -> None:
    save_pair(tmp_path, None)
    write_card(tmp_path, "model")
    assert "temperature" not in (tmp_path / "README.md").read_text(encoding="utf-8")
