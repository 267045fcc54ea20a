"""Converting weights: every tensor of a tokenizer is kept, what is none is left out, what is unknown is found out."""

import pytest
import torch
from foreign_tokenizers import Layout, image_layout, random_weights, video_layout
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from storage.model_paths import CheckpointError
from vqgan.foreign.convert import (
    check_taming_settings,
    convert_llamagen,
    convert_taming,
    convert_tats,
    taming_config,
    tats_config,
)
from vqgan.foreign.taming import TamingConfig, TamingVQGAN
from vqgan.foreign.tats import TATSVQGAN, TATSConfig

CONVERT = {
    "taming": convert_taming,
    "gumbel": convert_taming,
    "llamagen": convert_llamagen,
    "tats": convert_tats,
}
VQ_16 = {"width": 128, "blocks": 2, "latent": 256, "codes": 16384, "multipliers": (1, 1, 2, 2, 4)}
VQ_8 = {**VQ_16, "multipliers": (1, 2, 2, 4)}
ARGS = {
    "downsample": (2, 4, 4),
    "n_hiddens": 32,
    "n_codes": 32,
    "embedding_dim": 8,
    "norm_type": "group",
    "padding_type": "constant",
    "sequence_length": 16,
    "sample_every_n_frames": 1,
    "resolution": 64,
    "image_channels": 3,
}
SETTINGS = {
    "ch": 32,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [16],
    "z_channels": 32,
    "in_channels": 3,
    "out_ch": 3,
    "resolution": 32,
    "embed_dim": 8,
    "n_embed": 32,
    "target": "taming.models.vqgan.VQModel",
    "double_z": False,
    "dropout": 0.0,
}


def empty(layout: Layout) -> dict[str, Tensor]:
    """Tensors of a layout without values, of any size."""
    return {name: torch.empty(shape, device="meta") for name, shape in layout.items()}


def layout_of(kind: str) -> Layout:
    return video_layout() if kind == "tats" else image_layout(kind)


def test_taming_weights_keep_their_names() -> None:
    weights = random_weights(image_layout("taming"))
    assert convert_taming(weights).keys() == weights.keys()


@pytest.mark.parametrize("kind", ["taming", "gumbel", "llamagen"])
def test_converted_image_weights_are_those_of_the_model_that_they_show(kind: str) -> None:
    tensors = CONVERT[kind](empty(image_layout(kind, multipliers=(1, 1, 2), blocks=2)))
    with torch.device("meta"):
        model = TamingVQGAN(taming_config(tensors, kind == "llamagen"))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tensor.shape for name, tensor in model.state_dict().items()
    }


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_converted_video_weights_are_those_of_the_model_that_they_show(norm: str) -> None:
    tensors = convert_tats(empty(video_layout(norm=norm)))
    with torch.device("meta"):
        model = TATSVQGAN(tats_config(tensors, {**ARGS, "norm_type": norm}))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tensor.shape for name, tensor in model.state_dict().items()
    }


@settings(max_examples=10)
@given(
    multipliers=st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple),
    blocks=st.integers(1, 3),
    latent=st.integers(1, 40),
    code_width=st.integers(1, 40),
    codes=st.integers(1, 40),
)
def test_weights_show_every_architecture(
    multipliers: tuple[int, ...], blocks: int, latent: int, code_width: int, codes: int
) -> None:
    weights = empty(image_layout("taming", 64, multipliers, blocks, latent, code_width, codes))
    assert taming_config(convert_taming(weights)) == TamingConfig(
        256, 64, multipliers, blocks, (len(multipliers) - 1,), latent, code_width, codes
    )


@pytest.mark.parametrize(("sizes", "keys"), [(VQ_16, 344), (VQ_8, 300)])
def test_a_full_llamagen_checkpoint_has_the_published_number_of_tensors(sizes: dict[str, object], keys: int) -> None:
    """Guards the layout on which the tests of LlamaGen stand."""
    assert len(image_layout("llamagen", **sizes)) == keys


def test_a_full_llamagen_checkpoint_has_the_published_number_of_values() -> None:
    weights = empty(image_layout("llamagen", **VQ_16))
    assert sum(tensor.numel() for tensor in weights.values()) == 71_948_939


@pytest.mark.parametrize("sizes", [VQ_16, VQ_8])
def test_the_two_tokenizers_of_llamagen_are_told_apart(sizes: dict[str, object]) -> None:
    tensors = convert_llamagen(empty(image_layout("llamagen", **sizes)))
    assert taming_config(tensors, normalised=True).multipliers == sizes["multipliers"]


def test_llamagen_numbers_the_levels_of_the_decoder_the_other_way_round() -> None:
    weights = random_weights(image_layout("llamagen"))
    converted = convert_llamagen(weights)
    name = "res.0.conv1.weight"
    assert torch.equal(converted["decoder.up.1.block.0.conv1.weight"], weights[f"decoder.conv_blocks.0.{name}"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("taming", "loss.discriminator.main.0.weight"),
        ("taming", "loss.perceptual_loss.lin0.model.1.weight"),
        ("taming", "quantize.used"),
        ("llamagen", "quantize.codebook_used"),
        ("tats", "codebook.N"),
        ("tats", "codebook.z_avg"),
        ("tats", "image_discriminator.model0.0.weight"),
        ("tats", "video_discriminator.model0.0.weight"),
        ("tats", "perceptual_model.lin0.model.1.weight"),
    ],
)
def test_what_is_no_part_of_a_tokenizer_is_left_out(kind: str, name: str) -> None:
    weights = random_weights(layout_of(kind))
    assert CONVERT[kind]({**weights, name: torch.ones(2)}).keys() == CONVERT[kind](weights).keys()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("taming", "encoder.extra.weight"),
        ("taming", "codebook.N"),
        ("llamagen", "loss.weight"),
        ("gumbel", "quantize.used"),
        ("tats", "loss.weight"),
        ("tats", "codebook.Norm"),
    ],
)
def test_what_is_unknown_is_kept_to_be_found_out(kind: str, name: str) -> None:
    assert name in CONVERT[kind]({**random_weights(layout_of(kind)), name: torch.ones(2)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_come_in_single_precision(dtype: torch.dtype) -> None:
    weights = {name: tensor.to(dtype) for name, tensor in random_weights(image_layout()).items()}
    assert {tensor.dtype for tensor in convert_taming(weights).values()} == {torch.float32}


def test_counts_stay_whole_numbers() -> None:
    converted = convert_tats(random_weights(video_layout(norm="batch")))
    assert converted["encoder.final_block.0.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("kind", CONVERT)
def test_a_tokenizer_beside_a_transformer_is_found(kind: str) -> None:
    weights = random_weights(layout_of(kind))
    nested = {f"first_stage_model.{name}": tensor for name, tensor in weights.items()}
    beside = {"transformer.tok_emb.weight": torch.ones(2, 2), "cond_stage_model.encoder.conv_in.bias": torch.ones(2)}
    converted = CONVERT[kind]({**nested, **beside})
    assert converted.keys() == CONVERT[kind](weights).keys()


@pytest.mark.parametrize("kind", CONVERT)
@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod."])
def test_the_names_of_a_wrapped_model_are_unwrapped(kind: str, wrapper: str) -> None:
    weights = random_weights(layout_of(kind))
    converted = CONVERT[kind]({f"{wrapper}{name}": tensor for name, tensor in weights.items()})
    assert converted.keys() == CONVERT[kind](weights).keys()


def test_what_was_wrapped_only_in_part_is_found_out() -> None:
    weights = random_weights(layout_of("taming"))
    assert "module.extra" in convert_taming({**weights, "module.extra": torch.ones(2)})


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_a_tokenizer_beside_a_subsampling_transformer_is_found(wrapper: str) -> None:
    weights = random_weights(image_layout())
    nested = {f"first_stage_model.{name}": tensor for name, tensor in weights.items()}
    permuter = {f"permuter.{way}_shuffle_idx": torch.arange(256) for way in ("forward", "backward")}
    held = {**nested, **permuter, "first_stage_model.colorize": torch.ones(3, 7, 1, 1)}
    converted = convert_taming({f"{wrapper}{name}": tensor for name, tensor in held.items()})
    assert converted.keys() == convert_taming(weights).keys()


def test_colours_for_maps_of_labels_are_left_out() -> None:
    weights = random_weights(image_layout())
    assert convert_taming({**weights, "colorize": torch.ones(3, 7, 1, 1)}).keys() == weights.keys()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("transformer.blocks.0.ln1.weight", "use secondsight gpt import --kind tats"),
        ("transformer.h.0.ln_1.weight", "use secondsight gpt import --kind imagegpt"),
        ("blocks.0.ln1.weight", "use secondsight gpt import --kind vqgan-gpt, or --kind igpt"),
    ],
)
@pytest.mark.parametrize("kind", CONVERT)
def test_weights_of_a_gpt_are_refused_with_the_command_for_them(kind: str, name: str, advice: str) -> None:
    with pytest.raises(CheckpointError, match=advice):
        CONVERT[kind]({name: torch.ones(2)})


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("tats", "taming"),
        ("llamagen", "taming"),
        ("taming", "tats"),
        ("llamagen", "tats"),
        ("taming", "llamagen"),
        ("tats", "llamagen"),
    ],
)
def test_weights_of_another_kind_are_refused_with_their_kind(held: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=f"belongs to another kind: use --kind {held}"):
        CONVERT[told](random_weights(layout_of(held)))


def test_weights_of_no_tokenizer_are_refused_with_what_they_are() -> None:
    with pytest.raises(CheckpointError, match=r"of no tokenizer that is known: .* they have pos_emb, head\.weight"):
        convert_taming({"pos_emb": torch.ones(2), "head.weight": torch.ones(2)})


@pytest.mark.parametrize("name", ["encoder.conv_in.weight", "quantize.embedding.weight", "encoder.conv_out.weight"])
def test_a_missing_tensor_that_shows_the_architecture_is_named(name: str) -> None:
    weights = random_weights(image_layout())
    del weights[name]
    with pytest.raises(CheckpointError, match=f"the weights have no {name}"):
        taming_config(convert_taming(weights))


@pytest.mark.parametrize("shape", [(), (3,), (3, 0)])
def test_a_misshapen_tensor_that_shows_the_architecture_is_named(shape: tuple[int, ...]) -> None:
    weights = {**random_weights(image_layout()), "quantize.embedding.weight": torch.ones(shape)}
    with pytest.raises(CheckpointError, match=r"quantize\.embedding\.weight has shape"):
        taming_config(convert_taming(weights))


def test_levels_that_are_no_multiples_of_the_first_layer_are_refused() -> None:
    weights = {**random_weights(image_layout()), "encoder.conv_in.weight": torch.ones(48, 3, 3, 3)}
    with pytest.raises(CheckpointError, match=r"the levels have \[32, 64\] channels, no multiples of .* 48"):
        taming_config(convert_taming(weights))


def test_settings_that_agree_are_accepted() -> None:
    check_taming_settings(taming_config(random_weights(image_layout()), resolution=32), SETTINGS)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ch", 64, "32"),
        ("ch_mult", [1, 1], r"\(1, 2\)"),
        ("num_res_blocks", 2, "1"),
        ("attn_resolutions", [32, 16], r"\(16,\)"),
        ("z_channels", 256, "32"),
        ("embed_dim", 256, "8"),
        ("n_embed", 1024, "32"),
        ("in_channels", 182, "3"),
        ("out_ch", 1, "3"),
        ("target", "taming.models.vqgan.GumbelVQ", "'VQModel'"),
    ],
)
def test_a_setting_that_disagrees_is_named_with_both_values(name: str, value: object, shown: str) -> None:
    config = taming_config(random_weights(image_layout()), resolution=32)
    with pytest.raises(CheckpointError, match=f"--config says {name} .*, the weights show {shown}"):
        check_taming_settings(config, {**SETTINGS, name: value})


def test_attention_at_a_resolution_that_no_level_has_is_without_effect() -> None:
    config = taming_config(random_weights(image_layout()), resolution=32)
    check_taming_settings(config, {**SETTINGS, "attn_resolutions": [16, 8]})


def test_the_arguments_of_a_training_become_a_config() -> None:
    assert tats_config(convert_tats(random_weights(video_layout())), ARGS) == TATSConfig(
        64, 16, 8.0, 32, (2, 4, 4), 8, 32, "group", "constant"
    )


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"frame_rate": 16}, "fps", 16.0),
        ({"frame_rate": None}, "fps", 8.0),
        ({"frame_rate": 16, "sample_every_n_frames": 4}, "fps", 4.0),
        ({"sample_every_n_frames": 4}, "frames", 4),
        ({"downsample": [1, 4, 4]}, "downsample", (1, 4, 4)),
    ],
)
def test_clip_length_and_rate_come_from_the_arguments(change: dict[str, object], field: str, value: object) -> None:
    config = tats_config(convert_tats(random_weights(video_layout())), {**ARGS, **change})
    assert getattr(config, field) == value


def test_padding_replicates_where_the_arguments_tell_none() -> None:
    args = {name: value for name, value in ARGS.items() if name != "padding_type"}
    assert tats_config(convert_tats(random_weights(video_layout())), args).padding == "replicate"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_hiddens": 16}, "n_hiddens 16, the weights show 32"),
        ({"n_codes": 64}, "n_codes 64, the weights show 32"),
        ({"embedding_dim": 9}, "embedding_dim 9, the weights show 8"),
        ({"norm_type": "batch"}, "norm_type 'batch', the weights show 'group'"),
        ({"image_channels": 1}, "image_channels 1, the weights show 3"),
        ({"downsample": (4, 8, 8)}, r"downsample \(4, 8, 8\), but the weights have 2 levels"),
        ({"downsample": (2, 4, 6)}, "must be powers of two"),
        ({"downsample": (2, 4, 2)}, "same for rows and columns"),
        ({"downsample": None}, "downsample None, not frames, rows and columns"),
        ({"downsample": (4, 4)}, r"downsample \(4, 4\), not frames"),
        ({"downsample": (4, 4, 0.5)}, "downsample 0.5, not"),
        ({"resolution": None}, "resolution None, not a positive whole number"),
        ({"sequence_length": 0}, "sequence_length 0, not a positive whole number"),
        ({"padding_type": "same"}, "padding 'same' must be one of"),
    ],
)
def test_arguments_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tats_config(convert_tats(random_weights(video_layout())), {**ARGS, **change})
