"""One small model of every family that timm knows, so that each can be built and run in a moment.

They are timm's own models, of fewer and narrower layers and for smaller images where the family allows it, registered
with timm under names of their own: `small_<model>`. Configurations are otherwise those of the models.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import timm
from timm.models import generate_default_cfgs, model_entrypoint, register_model
from torch import nn

default_cfgs: dict[str, Any] = {}  # where timm looks for the configurations of a module's models


@dataclass(frozen=True)
class Small:
    """A model made small."""

    model: str
    """Timm's name of it."""
    size: int = 32
    """Pixels a side of its images."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Arguments that make it small."""

    def register(self) -> str:
        """Make it known to timm and return its name."""
        name = f"small_{self.model}"
        config = timm.get_pretrained_cfg(self.model)
        config = replace(config, url="", file="", hf_hub_id="", input_size=(3, self.size, self.size))
        default_cfgs.update(generate_default_cfgs({name: config}))
        changes = self.changes

        def build(pretrained: bool = False, **more: Any) -> nn.Module:
            return model_entrypoint(self.model)(pretrained=pretrained, **{**changes, **more})

        build.__name__ = name
        if not timm.is_model(name):
            register_model(build)
        return name


def _vit(**more: Any) -> dict[str, Any]:
    return {"img_size": 32, "embed_dim": 48, "depth": 4, "num_heads": 3, **more}


XCEPTION = [
    {"in_chs": 64, "out_chs": 128, "stride": 2},
    {"in_chs": 128, "out_chs": 128, "stride": 2},
    {"in_chs": 128, "out_chs": 128, "stride": 2},
    *[{"in_chs": 128, "out_chs": 128, "stride": 1}] * 8,
    {"in_chs": 128, "out_chs": (128, 128, 128), "stride": 2},
    {"in_chs": 128, "out_chs": (128, 128, 128), "no_skip": True, "stride": 1},
]
"""The blocks of an Xception-41, narrower."""

FAMILIES = {
    "beit": Small("beit_base_patch16_224", changes=_vit()),
    "byoanet": Small("lambda_resnet26t", 64),
    "byobnet": Small("test_byobnet"),
    "cait": Small("cait_xxs24_224", changes=_vit()),
    "coat": Small("coat_tiny", changes={"img_size": 32, "embed_dims": [32] * 4, "parallel_depth": 1}),
    "convit": Small("convit_tiny", changes=_vit(depth=11)),
    "convmixer": Small("convmixer_768_32"),
    "convnext": Small("test_convnext"),
    "cpubone": Small("cpubone_nano"),
    "crossvit": Small("crossvit_tiny_240", 240, {"depth": [[1, 1, 0]]}),
    "csatv2": Small("csatv2", 64, {"depths": (1, 1, 2, 2), "transformer_depths": (0, 0, 1, 1)}),
    "cspnet": Small("cs3darknet_focus_s"),
    "cspnext": Small("cspnext_tiny"),
    "davit": Small("davit_tiny", changes={"embed_dims": (24, 48, 96, 192), "num_heads": (1, 2, 4, 8)}),
    "deepseek_vit": Small("deepseek_vit_412m", 28, {"embed_dim": 48, "depth": 4, "num_heads": 3}),
    "deit": Small("deit_tiny_distilled_patch16_224", changes=_vit()),
    "densenet": Small("densenet121", changes={"growth_rate": 8, "block_config": (2, 2, 2, 2)}),
    "dla": Small("dla46x_c"),
    "dpn": Small("dpn48b"),
    "edgenext": Small("edgenext_xx_small"),
    "efficientformer": Small("efficientformer_l1", 224, {"depths": (1, 1, 1, 2)}),
    "efficientformer_v2": Small("efficientformerv2_s0", changes={"img_size": 32, "depths": (1, 1, 1, 2)}),
    "efficientnet": Small("test_efficientnet"),
    "efficientvim": Small("efficientvim_m1"),
    "efficientvit_mit": Small("efficientvit_b0"),
    "efficientvit_msra": Small("efficientvit_m0", 64, {"img_size": 64}),
    "eva": Small("vit_tiny_patch16_dinov3_qkvb", changes=_vit()),
    "fasternet": Small("fasternet_t0"),
    "fastvit": Small("fastvit_t8"),
    "focalnet": Small("focalnet_tiny_srf"),
    "gcvit": Small("gcvit_xxtiny", changes={"img_size": 32}),
    "gemma4_vit": Small(
        "gemma4_vit_167m", 96, {"embed_dim": 48, "depth": 4, "num_heads": 3, "head_dim": 16, "intermediate_size": 96}
    ),
    "ghostnet": Small("ghostnet_050"),
    "hardcorenas": Small("hardcorenas_b"),
    "hgnet": Small("hgnetv2_b0"),
    "hiera": Small("hiera_tiny_224", changes={"img_size": 32, "embed_dim": 24}),
    "hieradet_sam2": Small("sam2_hiera_tiny", 64, {"embed_dim": 24}),
    "hrnet": Small("hrnet_w18_small"),
    "iformer": Small("iformer_t"),
    "inception_next": Small("inception_next_atto", changes={"dims": (16, 32, 48, 64)}),
    "inception_resnet_v2": Small("inception_resnet_v2", 96),
    "inception_v3": Small("inception_v3", 96),
    "inception_v4": Small("inception_v4", 96),
    "lcnetv2": Small("lcnetv2_small", changes={"depths": (1, 1, 1, 1)}),
    "levit": Small("levit_128s", changes={"img_size": 32, "depth": (1, 1, 1)}),
    "lowformer": Small("lowformer_b0", changes={"depth_list": [0, 1, 1, 1, 1], "head_widths": (64, 96)}),
    "mambaout": Small("test_mambaout"),
    "maxxvit": Small("test_coatnet", changes={"img_size": 32}),
    "metaformer": Small("poolformerv2_s12"),
    "mlp_mixer": Small("gmlp_ti16_224", changes={"img_size": 32}),
    "mobilenetv3": Small("mobilenetv3_small_050"),
    "mobilenetv5": Small("mobilenetv5_base", 64, {"channel_multiplier": 0.125}),
    "mobilevit": Small("mobilevit_xxs"),
    "mvitv2": Small("mvitv2_tiny"),
    "naflexvit": Small("naflexvit_base_patch16_gap", changes={"embed_dim": 48, "depth": 4, "num_heads": 3}),
    "nasnet": Small("nasnetalarge", changes={"num_features": 384}),
    "nest": Small("nest_tiny", changes={"img_size": 32}),
    "nextvit": Small("nextvit_small"),
    "nfnet": Small("test_nfnet"),
    "pit": Small("pit_ti_224", changes={"img_size": 32}),
    "pvt_v2": Small("pvt_v2_b0"),
    "qwen3_vit": Small("qwen3_vit_88m", changes={"embed_dim": 48, "depth": 4, "num_heads": 3}),
    "rdnet": Small("rdnet_tiny", changes={"num_init_features": 16, "growth_rates": [16] * 7}),
    "regnet": Small("regnetx_002"),
    "repghost": Small("repghostnet_050"),
    "repvit": Small("repvit_m1", changes={"depth": (1, 1, 2, 1)}),
    "res2net": Small("res2next50", changes={"layers": [1, 1, 1, 1]}),
    "resnest": Small("resnest14d"),
    "resnet": Small("test_resnet"),
    "resnetv2": Small("resnetv2_18", changes={"channels": (16, 32, 48, 64)}),
    "rexnet": Small("rexnet_100", changes={"depth_mult": 0.5}),
    "selecsls": Small("selecsls42"),
    "senet": Small("legacy_seresnet18", changes={"layers": [1, 1, 1, 1]}),
    "sequencer": Small("sequencer2d_s", changes={"layers": [1, 1, 1, 1]}),
    "shvit": Small("shvit_s1", changes={"depth": (1, 1, 1)}),
    "sknet": Small("skresnet18", changes={"layers": [1, 1, 1, 1]}),
    "starnet": Small("starnet_s050"),
    "swiftformer": Small("swiftformer_xs"),
    "swin_transformer": Small("swin_tiny_patch4_window7_224", changes={"img_size": 32, "embed_dim": 24}),
    "swin_transformer_v2": Small("swinv2_tiny_window8_256", changes={"img_size": 32, "embed_dim": 24}),
    "swin_transformer_v2_cr": Small("swinv2_cr_tiny_224", changes={"img_size": 32, "embed_dim": 24}),
    "tiny_vit": Small("tiny_vit_5m_224", changes={"embed_dims": [16, 32, 40, 80]}),
    "tnt": Small("tnt_s_legacy_patch16_224", changes={"img_size": 32, "embed_dim": 96, "depth": 4}),
    "tresnet": Small("tresnet_m", changes={"layers": [1, 1, 1, 1]}),
    "twins": Small("twins_svt_small", changes={"embed_dims": [16, 32, 64, 128], "depths": [1, 1, 1, 1]}),
    "vgg": Small("vgg11", changes={"mlp_ratio": 1 / 256}),
    "visformer": Small("visformer_tiny", changes={"img_size": 32, "embed_dim": 96, "depth": (1, 1, 1)}),
    "vision_transformer": Small("test_vit", changes={"img_size": 32}),
    "vision_transformer_hybrid": Small("vit_tiny_r_s16_p8_224", changes={"img_size": 32, "depth": 4}),
    "vision_transformer_relpos": Small("test_vit_relpos", changes={"img_size": 32}),
    "vision_transformer_sam": Small("samvit_base_patch16_224", changes=_vit(global_attn_indexes=[1, 3])),
    "vitamin": Small("vitamin_small_224", changes={"img_size": 32, "depth": 4}),
    "volo": Small("volo_d1_224", changes={"img_size": 32}),
    "vovnet": Small("ese_vovnet19b_slim_dw"),
    "xception": Small("legacy_xception"),
    "xception_aligned": Small("xception41p", changes={"block_cfg": XCEPTION}),
    "xcit": Small("xcit_nano_12_p8_224"),
}

TOO_LARGE = {"pnasnet"}
"""Families without a small model: the only one of this has 82 million weights in 331 x 331 pixels, and no argument that
changes them. It is built like `nasnet`."""
