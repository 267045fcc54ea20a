"""VidTok as its program publishes it: the layout of its weights and what it computes, in plain functions.

Everything is a convolution over (B, C, T, H, W) with kernels of five axes, whatever axes the program itself flattens:
weights over rows and columns get an axis of time of one, weights over time get rows and columns of one. Nothing is
shared with the model under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Layout = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Design:
    """One of VidTok's models, made small."""

    width: int = 4
    multipliers: tuple[int, ...] = (1, 2, 2)
    blocks: int = 1
    down: tuple[int, ...] = (0, 1)
    up: tuple[int, ...] = (1, 2)
    levels: tuple[int, ...] = (8, 8, 8)
    norm: str = "layernorm"
    causal: bool = True
    version: str = "1.0"

    @property
    def factor(self) -> int:
        return 2 ** len(self.down)

    @property
    def widths(self) -> list[int]:
        return [self.width * each for each in self.multipliers]


def layout_of(design: Design) -> Layout:
    """Names and shapes of the weights of a design."""
    layout: Layout = {}
    inner = ".conv" if design.causal else ""

    def conv(name: str, after: int, before: int, *kernel: int, wrapped: bool) -> None:
        name += inner if wrapped else ""
        layout[f"{name}.weight"], layout[f"{name}.bias"] = (after, before, *kernel), (after,)

    def norm(name: str, size: int) -> None:
        name += ".norm" if design.norm == "layernorm" else ""
        layout[f"{name}.weight"], layout[f"{name}.bias"] = (size,), (size,)

    def block(name: str, before: int, after: int, axes: int) -> None:
        wrapped = axes != 2
        norm(f"{name}.norm1", before)
        conv(f"{name}.conv1", after, before, *[3] * axes, wrapped=wrapped)
        norm(f"{name}.norm2", after)
        conv(f"{name}.conv2", after, after, *[3] * axes, wrapped=wrapped)
        if before != after:
            conv(f"{name}.nin_shortcut", after, before, *[1] * axes, wrapped=wrapped)

    def middle(side: str, size: int) -> None:
        block(f"{side}.mid.block_1", size, size, 3)
        norm(f"{side}.mid.attn_1.norm", size)
        for part in ("q", "k", "v", "proj_out"):
            conv(f"{side}.mid.attn_1.{part}", size, size, 1, 1, 1, wrapped=True)
        block(f"{side}.mid.block_2", size, size, 3)

    def resample(name: str, size: int) -> None:
        conv(f"{name}.conv", size, size, 3, 3, 3, wrapped=True)
        layout[f"{name}.mix_factor"] = (1,)

    widths, dimensions = design.widths, len(design.levels)
    conv("encoder.conv_in", widths[0], 3, 3, 3, 3, wrapped=True)
    conv("decoder.conv_in", widths[-1], dimensions, 3, 3, 3, wrapped=True)
    entering = design.width
    for level, width in enumerate(widths):
        for place in range(design.blocks):
            block(f"encoder.down.{level}.block.{place}", entering, width, 2)
            block(f"encoder.down_temporal.{level}.block.{place}", width, width, 1)
            entering = width
        if level < len(widths) - 1:
            conv(f"encoder.down.{level}.downsample.conv", width, width, 3, 3, wrapped=False)
        if level in design.down:
            resample(f"encoder.down_temporal.{level}.downsample", width)
    for level in reversed(range(len(widths))):
        width = widths[level]
        for place in range(design.blocks + 1):
            block(f"decoder.up.{level}.block.{place}", entering, width, 2)
            block(f"decoder.up_temporal.{level}.block.{place}", width, width, 1)
            entering = width
        if level:
            conv(f"decoder.up.{level}.upsample.conv", width, width, 3, 3, wrapped=False)
        if level in design.up:
            resample(f"decoder.up_temporal.{level}.upsample", width)
    for side in ("encoder", "decoder"):
        middle(side, widths[-1])
    norm("encoder.norm_out", widths[-1])
    norm("decoder.norm_out", widths[0])
    conv("encoder.conv_out", dimensions, widths[-1], 3, 3, 3, wrapped=True)
    conv("decoder.conv_out", 3, widths[0], 3, 3, 3, wrapped=True)
    return layout


def weights_for(design: Design, seed: int = 0) -> dict[str, Tensor]:
    """Random weights of a design that keep the size of what passes through them."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in layout_of(design).items():
        scale = 1.2 * torch.Size(shape[1:]).numel() ** -0.5 if len(shape) > 1 else 0.3
        weights[name] = torch.randn(shape, generator=generator) * scale
        if len(shape) == 1 and name.endswith("weight"):
            weights[name] += 1
    return weights


def settings_for(design: Design, size: int = 16, frames: int | None = None) -> dict[str, Any]:
    """The configuration file of a design."""
    module = {"1.0": "model_3dcausal", "1.1": "model_3dcausal_v1_1"}[design.version]
    names = ("Encoder3D", "Decoder3D")
    if design.causal:
        names = ("EncoderCausal3DPadding", "DecoderCausal3DPadding")
    else:
        module = "model_3dnoncausal"
    parameters: dict[str, Any] = {
        "double_z": False,
        "z_channels": len(design.levels),
        "in_channels": 3,
        "out_ch": 3,
        "ch": design.width,
        "ch_mult": list(design.multipliers),
        "time_downsample_factor": design.factor,
        "num_res_blocks": design.blocks,
        "norm_type": design.norm,
    }
    if design.causal:
        parameters |= {"init_pad_mode": "replicate", "tempo_ds": list(design.down), "tempo_us": list(design.up)}
    if design.version == "1.1":
        parameters |= {"interpolation_mode": "trilinear"}
    clips = {"input_height": size, "input_width": size, "sample_fps": 8}
    clips["sample_num_frames"] = frames or 4 * design.factor + int(design.causal)
    model = {
        "encoder_config": {"target": f"vidtok.modules.{module}.{names[0]}", "params": parameters},
        "decoder_config": {
            "target": f"vidtok.modules.{module}.{names[1]}",
            "params": "${model.params.encoder_config.params}",
        },
        "regularizer_config": {
            "target": "vidtok.modules.regularizers.FSQRegularizer",
            "params": {"levels": list(design.levels), "entropy_loss_weight": 0.1},
        },
    }
    return {
        "model": {"target": "vidtok.models.autoencoder.AutoencodingEngine", "params": model},
        "data": {"params": {"train": {"params": {"video_params": clips}}}},
    }


class Reference:
    """What VidTok computes with weights of a design."""

    def __init__(self, design: Design, weights: dict[str, Tensor]) -> None:
        self.design = design
        self.weights = weights

    def encode(self, clips: Tensor) -> Tensor:
        """The tokens (B, t, h, w) of clips (B, 3, T, H, W)."""
        design = self.design
        if design.causal:
            clips = torch.cat([clips[:, :, :1]] * (design.factor - 1) + [clips], dim=2)
        x = self.conv("encoder.conv_in", clips)
        for level in range(len(design.widths)):
            for place in range(design.blocks):
                x = self.block(f"encoder.down.{level}.block.{place}", x)
                x = self.block(f"encoder.down_temporal.{level}.block.{place}", x)
            if level < len(design.widths) - 1:
                name = f"encoder.down.{level}.downsample.conv"
                weight, bias = self.weights[f"{name}.weight"][:, :, None], self.weights[f"{name}.bias"]
                x = F.conv3d(F.pad(x, (0, 1, 0, 1)), weight, bias, stride=(1, 2, 2))
            if level in design.down:
                x = self.halve(f"encoder.down_temporal.{level}.downsample", x)
        x = self.conv("encoder.conv_out", self.activated("encoder.norm_out", self.middle("encoder", x), "clip"))
        tokens = torch.zeros(x[:, 0].shape, dtype=torch.int64)
        for dimension, levels in reversed(list(enumerate(design.levels))):
            half = (levels - 1) * 1.001 / 2
            offset = 0.5 if levels % 2 == 0 else 0.0
            shift = torch.atanh(torch.tensor(offset / half))
            digit = torch.round(torch.tanh(x[:, dimension] + shift) * half - offset) + levels // 2
            tokens = tokens * levels + digit.long()
        return tokens

    def decode(self, tokens: Tensor) -> Tensor:
        """The clips (B, 3, T, H, W) of tokens (B, t, h, w)."""
        design = self.design
        codes, rest = [], tokens
        for levels in design.levels:
            codes.append((rest % levels - levels // 2) / (levels // 2))
            rest = rest // levels
        x = self.middle("decoder", self.conv("decoder.conv_in", torch.stack(codes, dim=1)))
        first = 1
        for level in reversed(range(len(design.widths))):
            for place in range(design.blocks + 1):
                x = self.block(f"decoder.up.{level}.block.{place}", x)
                x = self.block(f"decoder.up_temporal.{level}.block.{place}", x)
            if level:
                doubled = x.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
                x = self.conv(f"decoder.up.{level}.upsample.conv", doubled)
            if level in design.up:
                x = self.double(f"decoder.up_temporal.{level}.upsample", x, first)
                first *= 2
        x = self.conv("decoder.conv_out", self.activated("decoder.norm_out", x, "clip"))
        return x[:, :, design.factor - 1 :] if design.causal else x

    def conv(self, name: str, x: Tensor, stride: int = 1, before: int | None = None) -> Tensor:
        """A convolution of any number of axes; causal in time, or centred."""
        wrapped = f"{name}.conv.weight" in self.weights
        name += ".conv" if wrapped else ""
        weight = self.weights[f"{name}.weight"]
        if weight.ndim == 4:
            weight = weight[:, :, None]
        if weight.ndim == 3:
            weight = weight[..., None, None]
        time, rows = weight.shape[2], weight.shape[3]
        if before is None:
            before = time - stride if self.design.causal else time // 2
        behind = 0 if self.design.causal or stride > 1 else time // 2
        x = torch.cat([self.edge(x, before), x, torch.zeros_like(x[:, :, :1]).repeat(1, 1, behind, 1, 1)], dim=2)
        edge = rows // 2
        return F.conv3d(F.pad(x, (edge, edge, edge, edge)), weight, self.weights[f"{name}.bias"], (stride, 1, 1))

    def edge(self, x: Tensor, count: int) -> Tensor:
        """So many frames in front of the first."""
        frame = x[:, :, :1] if self.design.version == "1.1" else torch.zeros_like(x[:, :, :1])
        return frame.repeat(1, 1, count, 1, 1)

    def activated(self, name: str, x: Tensor, over: str) -> Tensor:
        """A norm and swish; a group norm is over a frame, over a position's frames or only one, or over everything."""
        if self.design.norm == "layernorm":
            weight, bias = self.weights[f"{name}.norm.weight"], self.weights[f"{name}.norm.bias"]
            mean, variance = x.mean(dim=1, keepdim=True), x.var(dim=1, keepdim=True, correction=0)
            normed = (x - mean) / (variance + 1e-6).sqrt()
        else:
            weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
            groups = x.unflatten(1, (32, -1))
            ahead = {"frame": (2, 4, 5), "position": (2, 3), "clip": (2, 3, 4, 5)}
            dim = {"frame": (2, 4, 5), "position": (2,), "clip": (2, 4, 5)}[over] if self.design.causal else ahead[over]
            mean, variance = groups.mean(dim=dim, keepdim=True), groups.var(dim=dim, keepdim=True, correction=0)
            normed = ((groups - mean) / (variance + 1e-6).sqrt()).flatten(1, 2)
        normed = normed * weight[:, None, None, None] + bias[:, None, None, None]
        return normed if name.endswith("attn_1.norm") else normed * torch.sigmoid(normed)

    def block(self, name: str, x: Tensor) -> Tensor:
        over = "clip" if ".mid." in name else "position" if "_temporal." in name else "frame"
        h = self.conv(f"{name}.conv1", self.activated(f"{name}.norm1", x, over))
        h = self.conv(f"{name}.conv2", self.activated(f"{name}.norm2", h, over))
        shortcut = any(each.startswith(f"{name}.nin_shortcut.") for each in self.weights)
        return (self.conv(f"{name}.nin_shortcut", x) if shortcut else x) + h

    def middle(self, side: str, x: Tensor) -> Tensor:
        x = self.block(f"{side}.mid.block_1", x)
        normed = self.activated(f"{side}.mid.attn_1.norm", x, "clip")
        q, k, v = (self.conv(f"{side}.mid.attn_1.{part}", normed).flatten(3) for part in "qkv")
        scores = torch.einsum("bcti,bctj->btij", q, k) / q.shape[1] ** 0.5
        seen = torch.einsum("btij,bctj->bcti", scores.softmax(dim=3), v).view_as(x)
        return self.block(f"{side}.mid.block_2", x + self.conv(f"{side}.mid.attn_1.proj_out", seen))

    def halve(self, name: str, x: Tensor) -> Tensor:
        share = torch.sigmoid(self.weights[f"{name}.mix_factor"])
        if self.design.causal:
            longer = torch.cat([self.edge(x, 1), x], dim=2)
        else:
            longer = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)
        mean = (longer[:, :, :-2:2] + longer[:, :, 1:-1:2] + longer[:, :, 2::2]) / 3
        return share * mean + (1 - share) * self.conv(f"{name}.conv", longer, stride=2, before=0)

    def double(self, name: str, x: Tensor, first: int) -> Tensor:
        share = torch.sigmoid(self.weights[f"{name}.mix_factor"])
        if self.design.version == "1.1":
            parts = [part for part in (x[:, :, :first], x[:, :, first:]) if part.shape[2]]
            doubled = torch.cat([_between(part) for part in parts], dim=2)
        else:
            doubled = x.repeat_interleave(2, dim=2)
        return share * doubled + (1 - share) * self.conv(f"{name}.conv", doubled)


def _between(x: Tensor) -> Tensor:
    """Twice the frames: each a quarter on the way to the one before it, and to the one after it."""
    earlier = torch.cat([x[:, :, :1], x[:, :, :-1]], dim=2)
    later = torch.cat([x[:, :, 1:], x[:, :, -1:]], dim=2)
    return torch.stack([0.75 * x + 0.25 * earlier, 0.75 * x + 0.25 * later], dim=3).flatten(2, 3)
