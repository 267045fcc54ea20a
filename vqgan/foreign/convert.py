"""Weights of other programs' tokenizers, renamed for ours, and the architecture that they show.

Every function is pure: tensors in, tensors or a config out. What is known to be no part of a tokenizer (losses,
discriminators, statistics of training) is left out; everything else is kept, so that an unknown layer is found out when
the weights are loaded. Layouts are those of the repositories CompVis/taming-transformers, FoundationVision/LlamaGen,
TencentARC/SEED-Voken (IBQ), songweige/TATS and microsoft/VidTok.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, cast

from torch import Tensor

from storage.checked_files import shortly
from storage.foreign.checkpoint import without_wrappers
from storage.model_paths import CheckpointError
from vqgan.foreign.taming import Quantizer, TamingConfig
from vqgan.foreign.tats import Padding, TATSConfig
from vqgan.foreign.vidtok import Before, VidTokConfig

Kind = Literal["taming", "tats", "llamagen", "ibq", "vidtok"]
Tensors = Mapping[str, Tensor]

# A name that begins like this shows the kind of a checkpoint; the first that is found counts.
MARKS: dict[Kind, str] = {
    "vidtok": "encoder.down_temporal.0.block.0.",
    "ibq": "model_ema.",
    "taming": "encoder.down.0.block.0.",
    "tats": "encoder.conv_blocks.0.down.",
    "llamagen": "encoder.conv_blocks.0.res.0.",
}
# What weights of GPTs begin with, by the options that import them.
GPT_MARKS = {
    "--kind tats": "transformer.blocks.",
    "--kind imagegpt": "transformer.h.",
    "--kind vqgan-gpt, or --kind igpt for a model of pixels": "blocks.0.ln1.",
}
# A checkpoint of a transformer holds its tokenizer under this name, beside the transformer itself.
NESTED = "first_stage_model."
BESIDE = ("transformer.", "cond_stage_model.", "permuter.")
# Averages of the weights, kept beside them under names without dots.
AVERAGED = "model_ema."

ENCODERS: dict[str, tuple[bool, Before]] = {
    "model_3dcausal.EncoderCausal3DPadding": (True, "zeros"),
    "model_3dcausal_v1_1.EncoderCausal3DPadding": (True, "first"),
    "model_3dnoncausal.Encoder3D": (False, "zeros"),
}
"""Encoders of VidTok: whether they are causal, and what stands in front of the first frame."""


def convert_taming(tensors: Tensors) -> dict[str, Tensor]:
    """Return the weights of a `TamingVQGAN` in a checkpoint of taming-transformers, a VQModel or a GumbelVQ.

    Raises:
        CheckpointError: the tensors are those of something else.
    """
    # `colorize` paints maps of labels for pictures of the training, and takes no part in coding.
    kept = _without(_unnested(tensors, "taming"), "loss.", "temperature_scheduler.", "colorize")
    if "quantize.proj.weight" not in kept:
        # A renumbering for a smaller vocabulary, made after the search; a GumbelVQ searches among these codes only.
        kept = _without(kept, "quantize.used")
    return {name.replace("quantize.embed.", "quantize.embedding."): tensor for name, tensor in kept.items()}


def convert_llamagen(tensors: Tensors) -> dict[str, Tensor]:
    """Return the weights of a `TamingVQGAN` in a tokenizer of LlamaGen, VQ-16 or VQ-8.

    Raises:
        CheckpointError: the tensors are those of something else.
    """
    kept = _without(_unnested(tensors, "llamagen"), "quantize.codebook_used")
    coarsest = max(_numbers(kept, r"encoder\.conv_blocks\.(\d+)\."), default=0)
    middle = ("block_1", "attn_1", "block_2")

    def rename(name: str) -> str:
        name = re.sub(r"^encoder\.conv_blocks\.", "encoder.down.", name)
        # LlamaGen numbers the decoder's levels from the coarsest, taming-transformers from the finest.
        name = re.sub(r"^decoder\.conv_blocks\.(\d+)", lambda found: f"decoder.up.{coarsest - int(found[1])}", name)
        name = re.sub(r"^((?:de|en)coder\.mid)\.([012])\.", lambda found: f"{found[1]}.{middle[int(found[2])]}.", name)
        return name.replace(".res.", ".block.")

    return {rename(name): tensor for name, tensor in kept.items()}


def convert_ibq(tensors: Tensors) -> dict[str, Tensor]:
    """Return the weights of a `TamingVQGAN` in a checkpoint of IBQ: their averages, where it holds any.

    Raises:
        CheckpointError: the tensors are those of something else, or not every weight has an average.
    """
    everything = _unnested(tensors, "ibq")
    kept = {name: each for name, each in _without(everything, "loss.").items() if not name.startswith(AVERAGED)}
    averages = {name.removeprefix(AVERAGED): each for name, each in everything.items() if name.startswith(AVERAGED)}
    if not averages:
        return kept
    found = {name: averages.pop(name.replace(".", "")) for name in kept if name.replace(".", "") in averages}
    left = next((name for name in averages if name not in ("decay", "num_updates") and not name.startswith("loss")), "")
    missing = next((name for name in kept if name not in found), "")
    if left or missing:
        what = f"{AVERAGED}{left} averages no weight" if left else f"{AVERAGED} has no average of {missing}"
        raise CheckpointError(f"{what}: the file is incomplete, or another architecture's")
    return found


def convert_vidtok(tensors: Tensors) -> dict[str, Tensor]:
    """Return the weights of a `VidTok` in a checkpoint of VidTok, those that its own programs take: no averages.

    Raises:
        CheckpointError: the tensors are those of something else.
    """
    # Models that were compiled for training name themselves so.
    plain = {name.replace("._orig_mod.", "."): tensor for name, tensor in tensors.items()}
    return _without(_unnested(plain, "vidtok"), "loss.", AVERAGED)


def convert_tats(tensors: Tensors) -> dict[str, Tensor]:
    """Return the weights of a `TATSVQGAN` in a checkpoint of TATS.

    Raises:
        CheckpointError: the tensors are those of something else.
    """
    trained_beside = ("image_discriminator.", "video_discriminator.", "perceptual_model.")
    return _without(_unnested(tensors, "tats"), *trained_beside, "codebook.N", "codebook.z_avg")


def taming_config(tensors: Tensors, normalised: bool = False, resolution: int = 256) -> TamingConfig:
    """Return the architecture that converted weights show.

    Args:
        tensors: what `convert_taming`, `convert_llamagen` or `convert_ibq` returned; that IBQ compares by product, its
            weights do not show.
        normalised: codes are compared by direction, as LlamaGen does.
        resolution: pixels a side of the images it was made for, which weights do not show.

    Raises:
        CheckpointError: a tensor that shows it is missing or misshapen.
    """
    levels = range(max(_numbers(tensors, r"encoder\.down\.(\d+)\."), default=0) + 1)
    width = _size(tensors, "encoder.conv_in.weight")
    widths = [_size(tensors, f"encoder.down.{level}.block.0.conv1.weight") for level in levels]
    if any(wider % width for wider in widths):
        raise CheckpointError(f"the levels have {widths} channels, no multiples of the first layer's {width}")
    quantizer: Quantizer = "gumbel" if "quantize.proj.weight" in tensors else "nearest"
    return TamingConfig(
        resolution=resolution,
        width=width,
        multipliers=tuple(wider // width for wider in widths),
        blocks=len(_numbers(tensors, r"encoder\.down\.0\.block\.(\d+)\.")),
        attention_levels=tuple(sorted(_numbers(tensors, r"encoder\.down\.(\d+)\.attn\."))),
        latent_width=_size(tensors, "encoder.conv_out.weight"),
        code_width=_size(tensors, "quantize.embedding.weight", axis=1),
        codes=_size(tensors, "quantize.embedding.weight"),
        quantizer="normalised" if normalised else quantizer,
    )


def check_taming_settings(config: TamingConfig, settings: Mapping[str, Any]) -> None:
    """Compare what weights show with the settings of a configuration file of taming-transformers.

    Args:
        config: what `taming_config` returned for the resolution of the settings.
        settings: `ddconfig`, with `embed_dim`, `n_embed` and `target` beside it.

    Raises:
        CheckpointError: they disagree; the setting and both values are named.
    """
    resolutions = [config.resolution // 2**level for level in range(len(config.multipliers))]
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    if isinstance(told.get("attn_resolutions"), tuple):
        # Resolutions that no level has are without effect.
        named = [each for each in told["attn_resolutions"] if isinstance(each, int)]
        told["attn_resolutions"] = tuple(each for each in resolutions if each in named)
    if "target" in told:
        gumbel = isinstance(told["target"], str) and told["target"].endswith("GumbelVQ")
        told["target"] = "GumbelVQ" if gumbel else "VQModel"
    shown = {
        "ch": config.width,
        "ch_mult": config.multipliers,
        "num_res_blocks": config.blocks,
        "attn_resolutions": tuple(resolutions[level] for level in config.attention_levels),
        "z_channels": config.latent_width,
        "embed_dim": config.code_width,
        "n_embed": config.codes,
        "in_channels": 3,
        "out_ch": 3,
        "target": "GumbelVQ" if config.quantizer == "gumbel" else "VQModel",
    }
    _check_agreement(told, shown, "--config")


def tats_config(tensors: Tensors, settings: Mapping[str, Any]) -> TATSConfig:
    """Return the architecture that converted weights and the settings beside them show.

    Args:
        tensors: what `convert_tats` returned.
        settings: the arguments of the training that made the checkpoint; only they tell strides and clip length.

    Raises:
        CheckpointError: a setting is missing, or the settings disagree with the weights.
        ValueError: the architecture cannot be had: factors that are no powers of two, for example.
    """
    levels = len(_numbers(tensors, r"encoder\.conv_blocks\.(\d+)\."))
    shown: dict[str, Any] = {
        "n_hiddens": _size(tensors, "encoder.conv_first.conv.weight"),
        "n_codes": _size(tensors, "codebook.embeddings"),
        "embedding_dim": _size(tensors, "codebook.embeddings", axis=1),
        "norm_type": "batch" if "encoder.final_block.0.running_mean" in tensors else "group",
        "image_channels": 3,
    }
    _check_agreement(settings, shown, "the checkpoint's args")
    factors = settings.get("downsample")
    if not isinstance(factors, list | tuple) or len(factors) != 3:
        raise CheckpointError(
            f"the checkpoint's args say downsample {shortly(factors)}, not frames, rows and columns per token: "
            "take the checkpoint that the training of the VQGAN itself wrote"
        )
    t, h, w = (_whole({"downsample": factor}, "downsample") for factor in factors)
    if max(t, h, w).bit_length() - 1 != levels:
        raise CheckpointError(f"the checkpoint's args say downsample {(t, h, w)}, but the weights have {levels} levels")
    every = _whole({"sample_every_n_frames": 1, **settings}, "sample_every_n_frames")
    rate = _frame_rate(settings)
    return TATSConfig(
        resolution=_whole(settings, "resolution"),
        frames=_whole(settings, "sequence_length") // every,
        fps=TATSConfig.fps if rate is None else rate / every,
        width=shown["n_hiddens"],
        downsample=(t, h, w),
        code_width=shown["embedding_dim"],
        codes=shown["n_codes"],
        norm=shown["norm_type"],
        padding=_padding(settings),
    )


def vidtok_config(tensors: Tensors, settings: Mapping[str, Any]) -> VidTokConfig:
    """Return the architecture that converted weights and the configuration beside them show.

    Args:
        tensors: what `convert_vidtok` returned.
        settings: `encoder`, `decoder` and `regularizer`, the names of their classes; `parameters` of the encoder;
            `levels` of the code dimensions; and `clips`, on which it was trained.

    Raises:
        CheckpointError: they describe a model without tokens or of an unknown kind, or disagree with the weights.
        ValueError: the architecture cannot be had.
    """
    regularizer = settings.get("regularizer")
    if _class_name(regularizer, 1) != "FSQRegularizer":
        raise CheckpointError(
            f"--config describes the regularizer {shortly(regularizer)}, whose latents are no tokens: take a model of "
            "VidTok with FSQRegularizer, which have fsq in their names"
        )
    causal, before = _vidtok_encoder(settings)
    parameters = settings["parameters"]
    down_levels = tuple(sorted(_numbers(tensors, r"encoder\.down_temporal\.(\d+)\.downsample\.")))
    up_levels = tuple(sorted(_numbers(tensors, r"decoder\.up_temporal\.(\d+)\.upsample\.")))
    convs = ".conv.weight" if "encoder.conv_in.conv.weight" in tensors else ".weight"
    width = _size(tensors, f"encoder.conv_in{convs}")
    coarsest = max(_numbers(tensors, r"encoder\.down\.(\d+)\."), default=0)
    widths = [_size(tensors, f"encoder.down.{level}.block.0.conv1.weight") for level in range(coarsest + 1)]
    shown = {
        "ch": width,
        "ch_mult": tuple(wider // width for wider in widths),
        "num_res_blocks": len(_numbers(tensors, r"encoder\.down\.0\.block\.(\d+)\.")),
        "z_channels": _size(tensors, f"encoder.conv_out{convs}"),
        "norm_type": "layernorm" if "encoder.down.0.block.0.norm1.norm.weight" in tensors else "groupnorm",
        "time_downsample_factor": 2 ** len(down_levels),
        "tempo_ds": down_levels,
        "tempo_us": up_levels,
        "in_channels": 3,
        "out_ch": 3,
        "double_z": False,
        "init_pad_mode": "replicate",
        "causal": convs == ".conv.weight",
    }
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}
    _check_agreement({**told, "causal": causal}, shown, "--config")
    levels = settings.get("levels")
    if not isinstance(levels, list) or any(not isinstance(each, int) or isinstance(each, bool) for each in levels):
        raise CheckpointError(f"--config says levels {shortly(levels)}, which are no list of whole numbers")
    _check_agreement({"dimensions of levels": len(levels)}, {"dimensions of levels": shown["z_channels"]}, "--config")
    clips = settings["clips"]
    sides = {clips.get("input_height"), clips.get("input_width")}
    return VidTokConfig(
        resolution=sides.pop() if len(sides) == 1 and _is_whole(*sides) else VidTokConfig.resolution,
        frames=_trained_frames(clips.get("sample_num_frames"), causal),
        fps=float(clips["sample_fps"]) if _is_whole(clips.get("sample_fps")) else VidTokConfig.fps,
        width=width,
        multipliers=shown["ch_mult"],
        blocks=shown["num_res_blocks"],
        down_levels=down_levels,
        up_levels=up_levels,
        levels=tuple(levels),
        norm="layer" if shown["norm_type"] == "layernorm" else "group",
        causal=causal,
        before=before,
        smooth=before == "first" and told.get("interpolation_mode", "nearest") == "trilinear",
    )


def check_no_gpt(names: Collection[str]) -> None:
    """Refuse weights of a GPT, by their names.

    Raises:
        CheckpointError: they are; the command that imports them is named.
    """
    for layout, mark in GPT_MARKS.items():
        found = next((name for name in names if name.startswith(mark)), None)
        if found:
            raise CheckpointError(
                f"the weights have {found}, which belongs to a GPT: use secondsight gpt import {layout}"
            )


def _vidtok_encoder(settings: Mapping[str, Any]) -> tuple[bool, Before]:
    """Return whether the encoder of a configuration of VidTok is causal, and what it finds before the first frame."""
    encoder = _class_name(settings.get("encoder"), 2)
    if encoder not in ENCODERS or _class_name(settings.get("decoder"), 2) != encoder.replace("Encoder", "Decoder"):
        raise CheckpointError(
            f"--config describes the encoder {shortly(settings.get('encoder'))} and the decoder "
            f"{shortly(settings.get('decoder'))}: known are {', '.join(ENCODERS)}, each with its decoder"
        )
    return ENCODERS[encoder]


def _class_name(target: Any, parts: int) -> str:
    """Return the last parts of the dotted name of a class; nothing of what is no name."""
    return ".".join(target.split(".")[-parts:]) if isinstance(target, str) else ""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _trained_frames(told: Any, causal: bool) -> int:
    if _is_whole(told):
        return int(told)
    return 17 if causal else 16


def _unnested(tensors: Tensors, kind: Kind) -> dict[str, Tensor]:
    """Return the tokenizer's part of a checkpoint in single precision, if it is one of `kind`."""
    tensors = without_wrappers(tensors)
    if any(name.startswith(NESTED) for name in tensors):
        tensors = {name.removeprefix(NESTED): each for name, each in tensors.items() if not name.startswith(BESIDE)}
    _check_kind(tensors, kind)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _check_kind(tensors: Tensors, kind: Kind) -> None:
    # A checkpoint of IBQ has the layout of a VQModel, and averages beside it unless they were taken already.
    possible: tuple[Kind, ...] = (kind, "taming") if kind == "ibq" else (kind,)
    for other, mark in MARKS.items():
        found = next((name for name in tensors if name.startswith(mark)), None)
        if found and other in possible:
            return
        if found:
            raise CheckpointError(f"the weights have {found}, which belongs to another kind: use --kind {other}")
    check_no_gpt(tensors)
    raise CheckpointError(
        f"the weights are of no tokenizer that is known: no name begins with {MARKS[possible[-1]]}; "
        f"they have {', '.join(list(tensors)[:10]) or 'no tensors'}"
    )


def _without(tensors: Tensors, *parts: str) -> dict[str, Tensor]:
    """Leave out tensors by name, or by the beginning of their names where that ends with a dot."""
    beginnings = tuple(part for part in parts if part.endswith("."))
    return {name: each for name, each in tensors.items() if name not in parts and not name.startswith(beginnings)}


def _numbers(tensors: Tensors, pattern: str) -> set[int]:
    """Return the numbers that the group of `pattern` matches in names that begin with it.

    Raises:
        CheckpointError: one of them is larger than all tensors are together.
    """
    numbers = {found[1] for name in tensors if (found := re.match(pattern, name))}
    if any(len(number) > 9 or int(number) >= len(tensors) for number in numbers):
        raise CheckpointError(
            f"there is a layer {max(numbers, key=len)[:20]} among {len(tensors)} weights: a damaged name"
        )
    return {int(number) for number in numbers}


def _size(tensors: Tensors, name: str, axis: int = 0) -> int:
    if name not in tensors:
        raise CheckpointError(f"the weights have no {name}: the file is incomplete, or another architecture's")
    shape = tensors[name].shape
    if len(shape) <= axis or shape[axis] < 1:
        raise CheckpointError(f"{name} has shape {tuple(shape)}, which no layer of its name has")
    return shape[axis]


def _whole(settings: Mapping[str, Any], name: str) -> int:
    value = settings.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CheckpointError(f"the checkpoint's args say {name} {shortly(value)}, not a positive whole number")
    return value


def _check_agreement(told: Mapping[str, Any], shown: Mapping[str, Any], source: str) -> None:
    for name, value in shown.items():
        if name in told and not _is_same(told[name], value):
            raise CheckpointError(
                f"{source} says {name} {shortly(told[name])}, the weights show {value!r}: they do not belong together"
            )


def _padding(settings: Mapping[str, Any]) -> Padding:
    value = settings.get("padding_type", "replicate")
    if not isinstance(value, str):
        raise CheckpointError(f"the checkpoint's args say padding_type {shortly(value)}, which is no text")
    return cast(Padding, value)  # TATSConfig looks whether it is one of them


def _frame_rate(settings: Mapping[str, Any]) -> float | None:
    """Return the frames per second of the clips; None where they were taken as they are."""
    value = settings.get("frame_rate")
    return None if value is None or (isinstance(value, int) and not value) else _whole(settings, "frame_rate")


def _is_same(told: Any, shown: Any) -> bool:
    """Whether a setting, which may be anything, is what the weights show."""
    if isinstance(shown, tuple):
        return isinstance(told, tuple) and len(told) == len(shown) and all(map(_is_same, told, shown))
    return type(told) is type(shown) and bool(told == shown)
