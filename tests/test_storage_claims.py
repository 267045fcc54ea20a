"""What a config claims is compared with the weights before memory is taken, and loaded models are what they were."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from looking_ahead import make_tats
from tiny import (
    GPT_IMAGEGPT,
    GPT_LEGACY,
    GPT_LEGACY_START,
    GPT_SHORT,
    IMAGE,
    SHORT,
    make_clips,
    make_gpt,
    make_palette,
    make_tokenizer,
    make_tokens,
)
from torch import Tensor, nn

from gpt.model import GPT
from storage.model_folder import save_model_folder
from storage.model_paths import CheckpointError
from storage.pretrained import Pretrained
from vqgan.foreign.taming import TamingConfig, TamingVQGAN
from vqgan.foreign.tats import TATSVQGAN
from vqgan.model import VQGAN, load_tokenizer
from vqgan.palette import Palette
from vqgan.tokenizer import Tokenizer


def make_taming() -> TamingVQGAN:
    torch.manual_seed(0)
    config = TamingConfig(
        resolution=16,
        width=32,
        multipliers=(1, 1),
        blocks=1,
        attention_levels=(1,),
        latent_width=8,
        code_width=8,
        codes=8,
    )
    return TamingVQGAN(config).eval()


def make_scalar() -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(replace(IMAGE, levels=(4, 4, 2))).eval()


MODELS: dict[str, Callable[[], Pretrained]] = {
    "gpt": make_gpt,
    "legacy": lambda: make_gpt(GPT_LEGACY),
    "legacy with a start": lambda: make_gpt(GPT_LEGACY_START),
    "image gpt": lambda: make_gpt(GPT_IMAGEGPT),
    "clips": lambda: make_tokenizer(SHORT),
    "images": lambda: make_tokenizer(IMAGE),
    "finite scalars": make_scalar,
    "palette": make_palette,
    "double palette": lambda: Palette(torch.rand(4, 3, dtype=torch.float64), 4),
    "taming": make_taming,
    "tats": make_tats,
}


def layout(model: nn.Module) -> dict[str, Any]:
    """All that results may depend on: types, order in memory and numbers, also of buffers that are not saved."""
    found: dict[str, Any] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        found[name] = (tensor.dtype, tensor.stride(), tensor.device, tensor.requires_grad, tensor.tolist())
    return found


def outputs(model: Pretrained) -> list[Tensor]:
    if isinstance(model, GPT):
        return [model.nll(make_tokens())]
    assert isinstance(model, Tokenizer)
    clips = make_clips(1, model.frames, model.size)
    tokens = model.encode(clips)
    return [tokens, model.decode(tokens)]


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_is_the_one_that_was_saved_to_the_last_bit(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    model.save_pretrained(tmp_path)
    plain = type(model).from_config(model.config)  # as it was loaded before shapes were compared first
    plain.load_state_dict(model.state_dict())
    loaded = type(model).from_pretrained(tmp_path)
    assert layout(loaded) == layout(plain.eval())
    assert all(torch.equal(one, other) for one, other in zip(outputs(loaded), outputs(model), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_weights_do_not_lie_in_the_file(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    before = layout(loaded)
    path = tmp_path / "model.safetensors"
    with path.open("r+b") as file:
        file.seek(-path.stat().st_size // 2, 2)
        file.write(bytes(path.stat().st_size // 2))
    assert layout(loaded) == before


def test_loading_draws_no_random_numbers_for_weights(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    GPT.from_pretrained(tmp_path)
    assert torch.equal(torch.rand(1), expected)


def claim(folder: Path, model: Pretrained, **changes: object) -> Path:
    """Save a model with a config that claims something else."""
    save_model_folder(folder, json.loads(json.dumps({**model.description, **changes})), model.state_dict())
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 60_000}, r"embedding\.weight has shape \(33, 16\), not \(33, 60000\)"),
        ({"layers": 1000}, "is missing|a model of far more than the"),
        ({"layers": 10**9}, "--layers 1000000000 must be at least 1 and at most"),
        ({"layers": 1}, "is not part of the model"),
        ({"vocab_size": 10**12}, "embedding.weight has shape"),
        ({"width": 2**62, "heads": 2**55}, "must be at least 1 and at most"),
        ({"grid": [10**4, 10**4, 10**4]}, "more than the 1,048,576 that can be"),
        ({"grid": [1, 1024, 1024], "heads": 1, "width": 512}, "takes a table of more than"),
        ({"grid": [1, 2]}, "grid cannot be"),
        ({"grid": [-1, 4, 4]}, "must be three positive numbers"),
        ({"heads": 0}, "--heads 0 must be at least 1"),
        ({"heads": -2}, "--heads -2 must be at least 1"),
        ({"dropout": 2}, "--dropout 2 must lie in"),
        ({"variant": "other"}, "variant cannot be 'other': one of rotary, legacy, imagegpt"),
        ({"bos": "yes"}, "bos cannot be 'yes'"),
        ({"tokenizer": 3}, "tokenizer cannot be 3: a text is needed"),
        ({"widht": 3}, "there is no field 'widht'.*did you mean width"),
    ],
)
def test_a_gpt_that_its_config_does_not_describe_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    claim(tmp_path, make_gpt(GPT_SHORT), **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        GPT.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("clips", {"widths": [60_000] * 3}, "has shape|a model of far more than the"),
        ("clips", {"blocks": 1000}, "is missing|a model of far more than the"),
        ("clips", {"resolution": 8192}, "pixels, more than the"),
        ("clips", {"frames": 2**40}, "--frames 1099511627776 must be at least 1 and at most"),
        ("clips", {"fps": 0}, "--fps 0 must be at least 0.001"),
        ("clips", {"codes": 2**24}, "codes are more than|has shape"),
        ("clips", {"strides": [[2, 2], [2]]}, "strides cannot be"),
        ("clips", {"widths": []}, "levels need"),
        ("finite scalars", {"levels": [60_000] * 9}, "codes are more than"),
        ("finite scalars", {"levels": [4, 4, 4, 4]}, "has shape"),
        ("palette", {"colours": 10**12}, r"colours has shape \(16, 3\)"),
        ("palette", {"size": 10**9}, "pixels, more than the"),
        ("palette", {"colours": 0}, "--colours 0 must be at least 1"),
        ("palette", {"colours": True}, "colours cannot be True"),
        ("taming", {"width": 32 * 10**6}, "has shape"),
        ("taming", {"multipliers": [1] * 900}, "multipliers of 900 levels"),
        ("taming", {"multipliers": []}, "multipliers of 0 levels"),
        ("taming", {"blocks": 10**9}, "a model of far more than the"),
        ("taming", {"resolution": 2**40}, "pixels, more than the"),
        ("taming", {"causal": True}, "cannot be causal"),
        ("taming", {"quantizer": ["nearest"]}, "quantizer cannot be"),
        ("tats", {"downsample": [2**40, 2, 2]}, "frames .* must be a multiple|of far more|has shape"),
        ("tats", {"downsample": [4, 8]}, "downsample cannot be"),
        ("tats", {"width": 10**7}, "has shape"),
        ("tats", {"padding": "none"}, "padding cannot be 'none'"),
        ("tats", {"codes": -1}, "--codes -1 must lie in|must be at least"),
    ],
)
def test_a_tokenizer_that_its_config_does_not_describe_is_refused(
    name: str, changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    claim(tmp_path, MODELS[name](), **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_are_compared_before_memory_is_taken(tmp_path: Path) -> None:
    config = replace(GPT_SHORT, width=60_000)  # a model of some hundred gigabytes
    tensors = make_gpt().state_dict()
    with pytest.raises(CheckpointError, match="has shape"):
        GPT.with_weights(config, tensors, tmp_path)


@pytest.mark.parametrize("name", ["gpt", "clips", "palette", "taming", "tats"])
def test_weights_that_are_not_finite_are_refused_by_every_kind(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    state = model.state_dict()
    weight = next(key for key, tensor in state.items() if tensor.is_floating_point())
    state[weight] = torch.full(state[weight].shape, float("nan"))
    save_model_folder(tmp_path, model.description, state)
    with pytest.raises(CheckpointError, match=f"hold numbers that are NaN or infinite, in {weight}"):
        type(model).from_pretrained(tmp_path)


def test_weights_of_half_precision_are_read_as_the_model_has_them(tmp_path: Path) -> None:
    model = make_tats()
    halves = {name: each.half() if each.is_floating_point() else each for name, each in model.state_dict().items()}
    save_model_folder(tmp_path, model.description, halves)
    loaded = TATSVQGAN.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], halves[name].to(loaded[name].dtype)) for name in halves)
