"""The image VQGAN of other programs: it computes what they compute, and says that it is not causal."""

import json
from pathlib import Path

import pytest
import torch
from foreign_tokenizers import TAMING, ImageReference, expected_of, image_layout, random_weights, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_clips, rewrite_config

from storage.model_paths import CheckpointError
from vqgan.foreign.convert import convert_llamagen, convert_taming, taming_config
from vqgan.foreign.taming import TamingConfig, TamingVQGAN
from vqgan.leakage import prompt_changes
from vqgan.model import load_tokenizer

KINDS = ["taming", "gumbel", "llamagen"]


def load(weights: dict[str, torch.Tensor], kind: str = "taming", resolution: int = 32) -> TamingVQGAN:
    tensors = convert_llamagen(weights) if kind == "llamagen" else convert_taming(weights)
    model = TamingVQGAN(taming_config(tensors, kind == "llamagen", resolution))
    model.load_state_dict(tensors)
    return model.eval()


@pytest.fixture(scope="module")
def tokenizer() -> TamingVQGAN:
    return load(weights_of(TAMING))


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest) -> tuple[TamingVQGAN, ImageReference]:
    weights = random_weights(image_layout(request.param))
    return load(weights, request.param), ImageReference(weights, request.param)


def test_tokens_are_those_of_the_original(tokenizer: TamingVQGAN) -> None:
    expected = expected_of(TAMING)
    tokens = tokenizer.encode(expected["image"][:, :, None])[:, 0]
    assert tokens.eq(expected["tokens"]).float().mean() >= 0.999


def test_reconstructions_are_those_of_the_original(tokenizer: TamingVQGAN) -> None:
    expected = expected_of(TAMING)
    with torch.no_grad():
        images = tokenizer.reconstruct(expected["tokens"][:, None])[:, :, 0]
    assert torch.allclose(images, expected["reconstruction"], rtol=0, atol=1e-3)


def test_tokens_of_every_quantizer_are_those_of_the_published_formulas(
    pair: tuple[TamingVQGAN, ImageReference],
) -> None:
    model, reference = pair
    clips = make_clips(3, 1, 32)
    assert model.encode(clips)[:, 0].eq(reference.encode(clips[:, :, 0])).float().mean() >= 0.999


def test_tokens_of_every_quantizer_differ_from_each_other(pair: tuple[TamingVQGAN, ImageReference]) -> None:
    """Guards the test before: one token for everything would pass it."""
    assert len(pair[0].encode(make_clips(3, 1, 32)).unique()) > 8


def test_reconstructions_of_every_quantizer_are_those_of_the_published_formulas(
    pair: tuple[TamingVQGAN, ImageReference],
) -> None:
    model, reference = pair
    tokens = torch.randint(32, (2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(model.reconstruct(tokens)[:, :, 0], reference.decode(tokens[:, 0]), rtol=0, atol=1e-3)


def test_a_batch_in_channels_last_memory_has_the_same_latents() -> None:
    model = load(random_weights(image_layout()))
    with torch.no_grad():
        model.encoder.conv_in.bias.add_(30)  # group norm takes this mean away again
        images = make_clips(2, 1, 32)[:, :, 0]
        exact = model.double().encoder(images.double())
        latents = model.float().encoder(images.contiguous(memory_format=torch.channels_last))
    assert (latents - exact).abs().max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_in_channels_last_memory_has_the_same_tokens(kind: str) -> None:
    model, clips = load(random_weights(image_layout(kind)), kind), make_clips(4, 1, 32)
    assert torch.equal(model.encode(clips.contiguous(memory_format=torch.channels_last_3d)), model.encode(clips))


@pytest.mark.parametrize(
    ("multipliers", "attention_level", "keys"), [((1, 1, 2, 2, 4), 4, 343), ((1, 1, 2, 4), 3, 299)]
)
def test_published_sizes_have_the_published_number_of_tensors(
    multipliers: tuple[int, ...], attention_level: int, keys: int
) -> None:
    with torch.device("meta"):
        model = TamingVQGAN(TamingConfig(multipliers=multipliers, attention_levels=(attention_level,)))
    assert len(model.state_dict()) == keys


def test_the_published_f16_size_has_the_published_number_of_values() -> None:
    with torch.device("meta"):
        model = TamingVQGAN(TamingConfig())
    assert sum(tensor.numel() for tensor in model.state_dict().values()) == 76_073_859


def test_published_images_become_the_published_grid() -> None:
    with torch.device("meta"):
        assert TamingVQGAN(TamingConfig()).grid(1, 256, 256) == (1, 16, 16)


@settings(max_examples=5)
@given(rows=st.integers(1, 4), columns=st.integers(1, 4), frames=st.integers(1, 3))
def test_clips_of_any_size_that_divides_come_back_in_it(rows: int, columns: int, frames: int) -> None:
    model = load(random_weights(image_layout()))
    clips = torch.zeros(2, 3, frames, 2 * rows, 2 * columns)
    tokens = model.encode(clips)
    assert tuple(tokens.shape[1:]) == model.grid(*clips.shape[2:])
    assert model.decode(tokens).shape == clips.shape


def test_tokens_are_int64(tokenizer: TamingVQGAN) -> None:
    assert tokenizer.encode(make_clips(1, 1, 32)).dtype == torch.int64


def test_decoded_images_stay_in_range(tokenizer: TamingVQGAN) -> None:
    decoded = tokenizer.decode(tokenizer.encode(make_clips(2, 1, 32)))
    assert -1 <= decoded.min() < decoded.max() <= 1


def test_a_size_that_does_not_divide_is_refused(tokenizer: TamingVQGAN) -> None:
    with pytest.raises(ValueError, match="33x32 pixels do not divide into 2s"):
        tokenizer.encode(torch.zeros(1, 3, 1, 33, 32))


def test_frames_are_encoded_one_by_one(tokenizer: TamingVQGAN) -> None:
    clips = make_clips(2, 3, 32)
    alone = torch.cat([tokenizer.encode(clips[:, :, frame : frame + 1]) for frame in range(3)], dim=1)
    assert torch.equal(tokenizer.encode(clips), alone)


def test_tokens_of_the_upper_half_depend_on_the_lower(tokenizer: TamingVQGAN) -> None:
    assert prompt_changes(tokenizer, expected_of(TAMING)["image"][:, :, None]).any()


def test_it_says_that_it_is_not_causal(tokenizer: TamingVQGAN) -> None:
    assert tokenizer.causal is False


def test_its_folder_says_that_it_is_not_causal(tokenizer: TamingVQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["causal"] is False


def test_a_folder_that_claims_to_be_causal_is_refused(tokenizer: TamingVQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    rewrite_config(tmp_path, causal=True)
    with pytest.raises(CheckpointError, match="cannot be causal"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_gives_the_same_tokens(kind: str, tmp_path: Path) -> None:
    model, clips = load(random_weights(image_layout(kind)), kind), make_clips(2, 1, 32)
    model.save_pretrained(tmp_path)
    assert torch.equal(load_tokenizer(tmp_path).encode(clips), model.encode(clips))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantizer": "random"}, "quantizer 'random' must be one of nearest, gumbel, normalised"),
        ({"resolution": 250}, "resolution 250 must be a multiple of 16"),
        ({"resolution": 0}, "resolution 0 must be at least 1"),
        ({"width": 48}, "a width of 48 channels must divide into 32 groups"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TamingConfig(**change)
