"""The tokenizer: shapes, a past that never depends on the future, and folders that give the same tokens back."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny import IMAGE, SHORT, VIDEO, make_clips, make_palette, make_tokenizer, rewrite_config

from storage.model_paths import CheckpointError
from vqgan.config import PRESETS, VQGANConfig
from vqgan.model import VQGAN, load_tokenizer
from vqgan.palette import Palette

# What the comments beside the presets say.
PRESET_GRIDS = {
    "demo": (4, 16, 16),
    "demo-8x8": (4, 8, 8),
    "demo-image": (1, 16, 16),
    "video-128": (4, 16, 16),
    "video-256": (4, 16, 16),
    "image-128": (1, 16, 16),
    "image-256": (1, 16, 16),
    "image-256-32x32": (1, 32, 32),
    "image-128-32x32": (1, 32, 32),
}


@pytest.fixture(scope="module")
def video() -> VQGAN:
    return make_tokenizer(VIDEO)


@pytest.fixture(scope="module")
def image() -> VQGAN:
    return make_tokenizer(IMAGE)


def test_tokens_have_the_grid_the_tokenizer_announces(video: VQGAN) -> None:
    assert tuple(video.encode(make_clips()).shape) == (2, *video.grid(16, 16, 16)) == (2, 4, 4, 4)


def test_tokens_are_int64(video: VQGAN) -> None:
    assert video.encode(make_clips()).dtype == torch.int64


def test_tokens_lie_in_the_vocabulary(video: VQGAN) -> None:
    tokens = video.encode(make_clips())
    assert 0 <= tokens.min() <= tokens.max() < video.vocab_size


def test_tokens_of_the_test_tokenizer_differ_from_each_other(video: VQGAN) -> None:
    """Guards the other tests here: a tokenizer with one token for everything would pass them all."""
    assert len(video.encode(make_clips()).unique()) > 8


def test_decoded_clips_have_the_size_of_the_originals(video: VQGAN) -> None:
    clips = make_clips()
    assert video.decode(video.encode(clips)).shape == clips.shape


def test_decoded_clips_stay_in_range(video: VQGAN) -> None:
    decoded = video.decode(video.encode(make_clips()))
    assert -1 <= decoded.min() < decoded.max() <= 1


def test_forward_reports_the_tokens_that_encode_gives(video: VQGAN) -> None:
    assert torch.equal(video(make_clips()).tokens, video.encode(make_clips()))


def test_forward_without_quantization_has_no_quantizer_loss(video: VQGAN) -> None:
    assert video(make_clips(), quantize=False).quantizer_loss == 0


def test_clips_of_other_sizes_than_the_trained_one_are_encoded(video: VQGAN) -> None:
    assert tuple(video.encode(torch.zeros(1, 3, 8, 24, 32)).shape) == (1, *video.grid(8, 24, 32)) == (1, 2, 6, 8)


@settings(max_examples=8)
@given(latent=st.integers(0, 2), seed=st.integers(0, 100), training=st.booleans())
def test_latents_do_not_depend_on_later_frames(latent: int, seed: int, training: bool) -> None:
    encoder = make_tokenizer(VIDEO, seed).train(training).encoder
    clips, changed = make_clips(seed=seed), make_clips(seed=seed)
    seen = 4 * latent + 4
    changed[:, :, seen:] = make_clips(seed=seed + 1)[:, :, seen:]
    before, after = encoder(clips), encoder(changed)
    assert torch.equal(before[:, : latent + 1], after[:, : latent + 1])
    assert not torch.equal(before[:, latent + 1 :], after[:, latent + 1 :])


@settings(max_examples=5)
@given(latent=st.integers(0, 2), seed=st.integers(0, 100))
def test_tokens_do_not_depend_on_later_frames(latent: int, seed: int) -> None:
    tokenizer, changed = make_tokenizer(VIDEO, seed), make_clips(seed=seed)
    changed[:, :, 4 * latent + 4 :] = 0.5
    before, after = tokenizer.encode(make_clips(seed=seed)), tokenizer.encode(changed)
    assert torch.equal(before[:, : latent + 1], after[:, : latent + 1])


def test_tokens_in_training_do_not_depend_on_later_frames() -> None:
    changed = make_clips()
    changed[:, :, 8:] = 0.5
    before, after = (make_tokenizer(VIDEO, seed=5).train() for _ in range(2))
    for model in (before, after):
        model.quantizer.initialised.fill_(True)
    assert torch.equal(before(make_clips()).tokens[:, :2], after(changed).tokens[:, :2])


def test_a_latent_frame_depends_on_the_last_frame_it_stands_for(video: VQGAN) -> None:
    changed = make_clips()
    changed[:, :, 7] = 0.5
    assert not torch.equal(video.encoder(make_clips())[:, 1], video.encoder(changed)[:, 1])


def test_a_latent_frame_depends_on_earlier_ones(video: VQGAN) -> None:
    changed = make_clips()
    changed[:, :, 3] = 0.5
    assert not torch.equal(video.encoder(make_clips())[:, 1], video.encoder(changed)[:, 1])


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_prompt_encoded_alone_has_the_tokens_of_the_whole(seed: int) -> None:
    tokenizer, clips = make_tokenizer(VIDEO, seed), make_clips(seed=seed)
    assert torch.equal(tokenizer.encode(clips[:, :, :8]), tokenizer.encode(clips)[:, :2])


def test_an_item_has_the_tokens_that_it_has_in_a_batch(video: VQGAN) -> None:
    clips = make_clips(3)
    assert torch.equal(video.encode(clips[1:2]), video.encode(clips)[1:2])


def test_a_still_takes_one_latent_frame(video: VQGAN) -> None:
    assert tuple(video.encode(make_clips(frames=1)).shape) == (2, 1, 4, 4)


def test_a_still_is_encoded_as_a_clip_in_which_nothing_moves(video: VQGAN) -> None:
    still = make_clips(frames=1)
    assert torch.equal(video.encode(still), video.encode(still.expand(-1, -1, 4, -1, -1)))


def test_a_still_is_decoded_to_a_latent_frame_of_frames(video: VQGAN) -> None:
    assert tuple(video.decode(video.encode(make_clips(frames=1))).shape) == (2, 3, 4, 16, 16)


def test_an_image_tokenizer_gives_images_back(image: VQGAN) -> None:
    stills = make_clips(frames=1)
    assert image.decode(image.encode(stills)).shape == stills.shape


def test_an_image_tokenizer_encodes_frames_one_by_one(image: VQGAN) -> None:
    clips = make_clips(frames=3)
    alone = torch.cat([image.encode(clips[:, :, frame : frame + 1]) for frame in range(3)], dim=1)
    assert torch.equal(image.encode(clips), alone)


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ((7, 16, 16), "8 or 1 would"),
        ((2, 16, 16), "4 or 1 would"),
        ((0, 16, 16), "4 or 1 would"),
        ((16, 18, 16), "16 would"),
        ((16, 16, 3), "4 would"),
        ((16, 0, 16), "4 would"),
    ],
)
def test_a_size_that_does_not_divide_is_refused_with_the_nearest(
    video: VQGAN, size: tuple[int, int, int], nearest: str
) -> None:
    with pytest.raises(ValueError, match=nearest):
        video.grid(*size)


def test_encode_refuses_a_size_that_does_not_divide(video: VQGAN) -> None:
    with pytest.raises(ValueError, match="18x16 pixels do not divide into 4s"):
        video.encode(torch.zeros(1, 3, 16, 18, 16))


def test_encode_refuses_frames_that_do_not_fill_latent_frames(video: VQGAN) -> None:
    with pytest.raises(ValueError, match="clips of 5 frames do not divide into 4s; 4 or 1 would"):
        video.encode(torch.zeros(1, 3, 5, 16, 16))


@pytest.mark.parametrize("config", [VIDEO, IMAGE])
def test_a_saved_tokenizer_gives_the_same_tokens(config: VQGANConfig, tmp_path: Path) -> None:
    tokenizer, clips = make_tokenizer(config), make_clips(frames=config.frames)
    tokenizer.save_pretrained(tmp_path)
    assert torch.equal(VQGAN.from_pretrained(tmp_path).encode(clips), tokenizer.encode(clips))


def test_a_saved_tokenizer_has_the_same_config(tmp_path: Path) -> None:
    make_tokenizer(VIDEO).save_pretrained(tmp_path)
    assert VQGAN.from_pretrained(tmp_path).config == VIDEO


def test_a_saved_tokenizer_has_the_same_fingerprint(video: VQGAN, tmp_path: Path) -> None:
    video.save_pretrained(tmp_path)
    assert VQGAN.from_pretrained(tmp_path).fingerprint == video.fingerprint


def test_a_loaded_tokenizer_is_in_evaluation_mode(video: VQGAN, tmp_path: Path) -> None:
    video.save_pretrained(tmp_path)
    assert not any(module.training for module in VQGAN.from_pretrained(tmp_path).modules())


def test_other_weights_have_another_fingerprint(video: VQGAN) -> None:
    assert make_tokenizer(VIDEO, seed=1).fingerprint != video.fingerprint


def test_one_changed_weight_changes_the_fingerprint() -> None:
    tokenizer = make_tokenizer(VIDEO)
    before = tokenizer.fingerprint
    with torch.no_grad():
        tokenizer.encoder.last.bias[0] += 1e-3
    assert tokenizer.fingerprint != before


def test_the_same_weights_for_other_clips_have_another_fingerprint(video: VQGAN) -> None:
    assert make_tokenizer(replace(VIDEO, fps=4.0)).fingerprint != video.fingerprint


def test_load_tokenizer_finds_a_vqgan(tmp_path: Path) -> None:
    make_tokenizer(VIDEO).save_pretrained(tmp_path)
    assert isinstance(load_tokenizer(tmp_path), VQGAN)


def test_load_tokenizer_finds_a_palette(tmp_path: Path) -> None:
    make_palette().save_pretrained(tmp_path)
    assert isinstance(load_tokenizer(tmp_path), Palette)


def test_load_tokenizer_takes_a_run_folder(tmp_path: Path) -> None:
    make_tokenizer(VIDEO).save_pretrained(tmp_path / "final")
    assert isinstance(load_tokenizer(tmp_path), VQGAN)


def test_load_tokenizer_refuses_another_kind(tmp_path: Path) -> None:
    make_palette().save_pretrained(tmp_path)
    rewrite_config(tmp_path, kind="gpt")
    with pytest.raises(CheckpointError, match="holds a 'gpt', which is no tokenizer"):
        load_tokenizer(tmp_path)


def test_load_tokenizer_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        load_tokenizer(tmp_path)


def test_missing_weights_are_named(video: VQGAN, tmp_path: Path) -> None:
    video.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["quantizer.initialised"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"quantizer\.initialised is missing"):
        VQGAN.from_pretrained(tmp_path)


def test_misshapen_weights_are_named(video: VQGAN, tmp_path: Path) -> None:
    video.save_pretrained(tmp_path)
    rewrite_config(tmp_path, codes=33)
    with pytest.raises(CheckpointError, match=r"quantizer\.codebook has shape \(32, 4\), not \(33, 4\)"):
        VQGAN.from_pretrained(tmp_path)


def test_an_unknown_option_in_the_config_is_named(video: VQGAN, tmp_path: Path) -> None:
    video.save_pretrained(tmp_path)
    rewrite_config(tmp_path, colour=1)
    with pytest.raises(CheckpointError, match="colour"):
        VQGAN.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_grid_its_comment_says(name: str) -> None:
    config = PRESETS[name]
    with torch.device("meta"):
        model = VQGAN(config)
    assert model.grid(config.frames, config.resolution, config.resolution) == PRESET_GRIDS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_encodes_and_decodes_its_clips(name: str) -> None:
    config = PRESETS[name]
    with torch.device("meta"):
        clip = torch.empty(1, 3, config.frames, config.resolution, config.resolution)
        assert VQGAN(config).eval()(clip).clip.shape == clip.shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": ((2, 2),)}, "3 levels need 2 pairs of --strides"),
        ({"resolution": 18}, "--resolution 18 must divide by 4"),
        ({"frames": 6}, "--frames 6 must divide by 4"),
        ({"codes": 1}, "--codes 1 must be at least 2"),
        ({"levels": (1, 40)}, "--levels 1 must be at least 2"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SHORT, **change)
