"""The video VQGAN of TATS: it computes what the original computes, and says that it is not causal."""

import json
from pathlib import Path

import pytest
import torch
from foreign_tokenizers import TATS, VideoReference, expected_of, random_weights, video_layout, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_clips, rewrite_config

from storage.model_paths import CheckpointError
from vqgan.foreign.convert import convert_tats
from vqgan.foreign.tats import TATSVQGAN, TATSConfig
from vqgan.model import load_tokenizer

TINY = TATSConfig(resolution=32, width=4, code_width=16, codes=64)
"""The architecture of the fixture."""
SMALL = TATSConfig(resolution=16, frames=8, width=32, downsample=(2, 4, 4), code_width=8, codes=32, norm="group")
"""The architecture of `VideoReference`."""


def load(weights: dict[str, torch.Tensor], config: TATSConfig = TINY) -> TATSVQGAN:
    model = TATSVQGAN(config)
    model.load_state_dict(convert_tats(weights))
    return model.eval()


def load_small(**change: object) -> TATSVQGAN:
    config = TATSConfig(**{**vars(SMALL), **change})
    return load(random_weights(video_layout(levels=len(config.strides))), config)


@pytest.fixture(scope="module")
def tokenizer() -> TATSVQGAN:
    return load(weights_of(TATS))


def test_tokens_are_those_of_the_original(tokenizer: TATSVQGAN) -> None:
    expected = expected_of(TATS)
    assert tokenizer.encode(2 * expected["video"]).eq(expected["tokens"]).float().mean() >= 0.999


def test_reconstructions_are_those_of_the_original(tokenizer: TATSVQGAN) -> None:
    expected = expected_of(TATS)
    with torch.no_grad():
        clips = tokenizer.reconstruct(expected["tokens"])
    assert torch.allclose(clips / 2, expected["reconstruction"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("padding", ["replicate", "constant", "reflect", "circular"])
def test_tokens_with_group_norm_are_those_of_the_published_formulas(padding: str) -> None:
    reference = VideoReference(random_weights(video_layout()), padding)
    clips = make_clips(2, 8, 16)
    assert load_small(padding=padding).encode(clips).eq(reference.encode(clips / 2)).float().mean() >= 0.99


def test_tokens_with_group_norm_differ_from_each_other() -> None:
    """Guards the test before: one token for everything would pass it."""
    assert len(load_small().encode(make_clips(2, 8, 16)).unique()) > 8


def test_reconstructions_with_group_norm_are_those_of_the_published_formulas() -> None:
    tokens = torch.randint(32, (2, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    reference = VideoReference(random_weights(video_layout()), "replicate")
    with torch.no_grad():
        assert torch.allclose(load_small().reconstruct(tokens) / 2, reference.decode(tokens), rtol=0, atol=1e-3)


def test_a_batch_in_channels_last_memory_has_the_same_features() -> None:
    model = load_small()
    with torch.no_grad():
        for down in model.encoder.conv_blocks:
            down.down.conv.bias.add_(30)  # group norm takes this mean away again
        clips = make_clips(2, 8, 16) / 2
        exact = model.double().encoder(clips.double())
        features = model.float().encoder(clips.contiguous(memory_format=torch.channels_last_3d))
    assert (features - exact).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("part", "keys"), [("encoder", 55), ("decoder", 97), ("codebook", 1), ("pre_vq_conv", 2), ("post_vq_conv", 2)]
)
def test_the_published_size_has_the_published_number_of_tensors(part: str, keys: int) -> None:
    """Of the codebook's three tensors two are statistics of training."""
    with torch.device("meta"):
        model = TATSVQGAN(TATSConfig())
    assert sum(name.startswith(f"{part}.") for name in model.state_dict()) == keys


@pytest.mark.parametrize(("downsample", "values"), [((4, 8, 8), 23.65e6), ((4, 16, 16), 95.62e6)])
def test_published_sizes_have_the_published_number_of_values(downsample: tuple[int, int, int], values: float) -> None:
    with torch.device("meta"):
        model = TATSVQGAN(TATSConfig(downsample=downsample))
    assert sum(weight.numel() for weight in model.parameters()) == pytest.approx(values, rel=1e-3)


@pytest.mark.parametrize(
    ("downsample", "strides"),
    [
        ((4, 8, 8), ((2, 2, 2), (2, 2, 2), (1, 2, 2))),
        ((1, 4, 4), ((1, 2, 2), (1, 2, 2))),
        ((8, 2, 2), ((2, 2, 2), (2, 1, 1), (2, 1, 1))),
    ],
)
def test_axes_stride_in_the_first_levels(
    downsample: tuple[int, int, int], strides: tuple[tuple[int, int, int], ...]
) -> None:
    assert TATSConfig(downsample=downsample).strides == strides


@settings(max_examples=6)
@given(t=st.integers(1, 3), h=st.integers(1, 3), w=st.integers(1, 3), temporal=st.sampled_from([1, 2, 4]))
def test_clips_of_any_size_that_divides_come_back_in_it(t: int, h: int, w: int, temporal: int) -> None:
    model = load_small(downsample=(temporal, 4, 4))
    clips = torch.zeros(1, 3, max(t * temporal, 2), 4 * h, 4 * w)
    tokens = model.encode(clips)
    assert tuple(tokens.shape[1:]) == model.grid(*clips.shape[2:])
    assert model.decode(tokens).shape == clips.shape


def test_decoded_clips_stay_in_range(tokenizer: TATSVQGAN) -> None:
    decoded = tokenizer.decode(tokenizer.encode(make_clips(1, 16, 32)))
    assert -1 <= decoded.min() < decoded.max() <= 1


def test_a_still_is_encoded_as_a_clip_in_which_nothing_moves(tokenizer: TATSVQGAN) -> None:
    still = make_clips(frames=1, size=32)
    assert torch.equal(tokenizer.encode(still), tokenizer.encode(still.expand(-1, -1, 4, -1, -1)))


def test_half_a_clip_encoded_alone_has_half_the_latent_frames(tokenizer: TATSVQGAN) -> None:
    assert tuple(tokenizer.encode(make_clips(1, 8, 32)).shape) == (1, 2, 4, 4)


def test_the_first_latent_frame_depends_on_the_last_frame(tokenizer: TATSVQGAN) -> None:
    clips = make_clips(1, 16, 32).requires_grad_()
    tokenizer.encoder(clips)[:, :, 0].square().sum().backward()
    assert clips.grad[:, :, -1].abs().max() > 0


def test_it_says_that_it_is_not_causal(tokenizer: TATSVQGAN) -> None:
    assert tokenizer.causal is False


def test_its_folder_says_that_it_is_not_causal(tokenizer: TATSVQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["causal"] is False


def test_a_folder_that_claims_to_be_causal_is_refused(tokenizer: TATSVQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    rewrite_config(tmp_path, causal=True)
    with pytest.raises(CheckpointError, match="cannot be causal"):
        load_tokenizer(tmp_path)


def test_a_saved_tokenizer_gives_the_same_tokens(tokenizer: TATSVQGAN, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    clips = make_clips(1, 16, 32)
    assert torch.equal(load_tokenizer(tmp_path).encode(clips), tokenizer.encode(clips))


@pytest.mark.parametrize(("padding", "needed"), [("reflect", 2), ("circular", 1)])
def test_clips_too_short_for_their_padding_are_refused(padding: str, needed: int) -> None:
    with pytest.raises(ValueError, match=f"too small for {padding} padding: more than {needed} tokens"):
        load_small(padding=padding).encode(make_clips(1, 1, 16))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"downsample": (2, 12, 12)}, r"must be powers of two: .* grids are those of \(2, 8, 8\)"),
        ({"downsample": (4, 8, 16)}, "must be the same for rows and columns"),
        ({"downsample": (8, 8)}, "must be frames, rows and columns per token"),
        ({"downsample": (1, 1, 1)}, "must be frames, rows and columns per token"),
        ({"resolution": 100}, "resolution 100 must be a multiple of 8"),
        ({"frames": 6}, "frames 6 must be a multiple of 4"),
        ({"norm": "layer"}, "norm 'layer' must be one of batch, group"),
        ({"padding": "same"}, "padding 'same' must be one of replicate, constant"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TATSConfig(**change)
